"""A passport as a timeline: newest first, one entry a row, corrections and contests beside what they are about.

The same for an entry that this node opened and for one that a proof shows. It refuses to know where they came from.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from carnet.cli.terminal import Piece, Terminal
from carnet.services.describing import describe_entry
from carnet.services.explaining import BASES

HEADINGS = ("when", "what", "odometer", "who", "basis", "#", "state")
BASIS_STYLES = {1: "bold green", 2: "green", 3: "yellow", 4: "dim"}


def show_timeline(terminal: Terminal, entries: Sequence[dict[str, Any]]) -> None:
    """Draw entries as clause 5.10 reports them, in any order; the newest is drawn first."""
    ordered = sorted(entries, key=lambda entry: entry["seq"], reverse=True)
    if terminal.is_tty:
        terminal.blocks(_make_block(entry) for entry in ordered)
    else:
        terminal.table(HEADINGS, [_make_row(entry) for entry in ordered], right=(2, 5))


def show_readings(terminal: Terminal, entries: Iterable[dict[str, Any]], last: int) -> None:
    """Only the last few readings of the odometer, oldest first, as one would look for a number that falls."""
    rows: list[list[Piece]] = []
    before: int | None = None
    for entry in sorted(entries, key=lambda entry: entry["seq"]):
        km = entry["fields"].get("odometer_km")
        if not isinstance(km, int):
            continue
        words = describe_entry(entry["fields"])
        fallen = before is not None and km < before and entry["state"] == "stands"
        note: Piece = (f"{before - km:,} km less than before", "bold yellow") if fallen and before is not None else ""
        rows.append([words.when[:10], words.label, words.odometer, note, entry["by"]["name"]])
        before = km if entry["state"] == "stands" else before
    terminal.table(("when", "what", "odometer", "", "who"), rows[-last:], right=(2,), whole=(0,))


def _make_block(entry: dict[str, Any]) -> tuple[str, list[Piece], str]:
    """An entry on a terminal: when, then what, who and the details below each other, then the odometer."""
    words = describe_entry(entry["fields"])
    basis, who = int(entry["basis"]), entry["by"]["name"]
    stands = entry["state"] == "stands"
    lines: list[Piece] = [(words.label, "bold" if stands else "dim strike")]
    state = _format_state(entry)
    if state != "":
        lines.append(state)
    badge = f"{BASES.get(basis, str(basis))}, #{entry['seq']}"
    lines.append((f"{who} ({badge})", BASIS_STYLES.get(basis, "")))
    # A centre that is the author itself is said already.
    details = [detail for detail in words.details if detail != f"centre {who}"]
    if details:
        lines.append((" · ".join(details), "dim"))
    return words.when, lines, words.odometer


def _make_row(entry: dict[str, Any]) -> list[Piece]:
    words = describe_entry(entry["fields"])
    basis = int(entry["basis"])
    what = words.label + "".join(f"\n{detail}" for detail in words.details)
    stands = entry["state"] == "stands"
    return [
        words.when,
        (what, "bold" if stands else "dim strike"),
        words.odometer,
        entry["by"]["name"],
        (BASES.get(basis, str(basis)), BASIS_STYLES.get(basis, "")),
        str(entry["seq"]),
        _format_state(entry),
    ]


def _format_state(entry: dict[str, Any]) -> Piece:
    notes = []
    if entry["superseded_by"] is not None:
        notes.append(f"superseded by #{entry['superseded_by']}")
    if entry["contested_by"]:
        notes.append("contested by " + ", ".join(f"#{seq}" for seq in entry["contested_by"]))
    if entry.get("target") is not None:
        notes.append(f"about #{entry['target']}")
    if entry.get("erased"):
        notes.append("erased")
    if entry["disputed"]:
        notes.append("its key is disputed")
    if entry["state"] == "stands":
        return ", ".join(notes)
    return (", ".join(notes), "yellow")
