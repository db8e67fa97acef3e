"""A figure of the table: what was measured, beside which peer, against which target. Knows no subject."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

BUILD = Path(__file__).resolve().parent.parent / "build"
IS_QUICK = os.environ.get("QUICK", "") not in ("", "0")
ROUNDS = 3
"""Each thing is measured so many times, in turn with the others: a machine drifts."""


@dataclass(frozen=True)
class Figure:
    """One line. `ratio` is value / peer_value; `met` says whether the target was reached (None: there is none)."""

    name: str
    value: float
    unit: str
    peer: str | None = None
    peer_value: float | None = None
    ratio: float | None = None
    target: str | None = None
    met: bool | None = None


def make_figure(
    name: str,
    value: float,
    unit: str,
    *,
    peer: tuple[str, float] | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
    at_least_ratio: float | None = None,
) -> Figure:
    """A figure with its ratio and its judgement worked out; of several targets all must be met."""
    peer_value = None if peer is None else peer[1]
    ratio = None if not peer_value else value / peer_value
    targets: list[tuple[str, bool]] = []
    if at_least is not None:
        targets.append((f"≥ {at_least:,g}", value >= at_least))
    if at_most is not None:
        targets.append((f"≤ {at_most:,g}", value <= at_most))
    if at_least_ratio is not None and ratio is not None:
        targets.append((f"≥ {at_least_ratio:g} × peer", ratio >= at_least_ratio))
    target = ", ".join(text for text, _ in targets) or None
    met = all(is_met for _, is_met in targets) if targets else None
    return Figure(name, value, unit, None if peer is None else peer[0], peer_value, ratio, target, met)


def take_time(work: Callable[[], object]) -> float:
    """Seconds that a piece of work took."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def middle(values: list[float]) -> float:
    """The median."""
    return float(median(values))


@contextmanager
def open_folder(name: str) -> Iterator[Path]:
    """An empty folder on the project's own disk, removed afterwards: /tmp may be memory."""
    folder = BUILD / "bench" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_figures(figures: list[Figure]) -> Path:
    """Keep the table as JSON; returns the file."""
    BUILD.mkdir(exist_ok=True)
    path = BUILD / "bench.json"
    path.write_text(json.dumps([asdict(figure) for figure in figures], ensure_ascii=False, indent=1) + "\n", "utf-8")
    return path


def format_table(figures: list[Figure]) -> str:
    """The table for a person."""
    headings = ("what", "value", "unit", "peer", "peer's value", "ratio", "target", "met")
    rows = [headings, *(_format_row(figure) for figure in figures)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(headings))]
    lines = []
    for row in rows:
        columns = enumerate(zip(row, widths, strict=True))
        cells = [cell.rjust(width) if at in (1, 4, 5) else cell.ljust(width) for at, (cell, width) in columns]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _format_row(one: Figure) -> tuple[str, ...]:
    return (
        one.name,
        _number(one.value),
        one.unit,
        one.peer or "",
        "" if one.peer_value is None else _number(one.peer_value),
        "" if one.ratio is None else f"{one.ratio:.2f}",
        one.target or "",
        "" if one.met is None else "yes" if one.met else "NO",
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:,.1f}"
