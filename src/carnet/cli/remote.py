"""What `carnet --server URL` does: show, export, submit and import through a running node's API, by its own client.

It needs no node on this machine. It refuses to know what is behind the API.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from carnet.cli.importing_run import Order, open_faults
from carnet.cli.session import Session

if TYPE_CHECKING:
    from carnet.sdk import Client, shapes

ROWS_WERE_FAULTY = SOME_TURNED = 1
SHOWN_FAULTS = 10
BASES = {"own_key": 1, "hosted": 2, "reported": 3, "holder": 4}
MARKS = {"none": 0, "supersedes": 1, "contests": 2, "transfer": 3, "move": 4}


class Sent(NamedTuple):
    """How a file is announced to a service: its format there, and what that format needs."""

    format: str
    mapping: Mapping[str, Any] | None = None
    subject: str | None = None


@contextmanager
def reaching(session: Session, key_file: str | None) -> Iterator[Client]:
    """The client of the service that `--server` names, with the key in `--key-file` or CARNET_API_KEY_FILE."""
    from carnet.cli.session import read_passphrase
    from carnet.node.home import check_private
    from carnet.sdk import Client

    chosen = key_file or session.api_key_file
    key = None if chosen is None else read_passphrase(check_private(Path(chosen))).strip()
    with Client(str(session.server), key) as client:
        yield client


def show_remote(session: Session, which: str, only: str | None, key_file: str | None, is_json: bool) -> None:
    """A passport as the service shows it to this key, as a timeline."""
    from carnet.cli.terminal import Terminal, write_json_line
    from carnet.cli.timeline import show_timeline

    with reaching(session, key_file) as client:
        passport = client.passports.get(find_passport(client, which))
        kinds = () if only is None else [_name_kind(client, name) for name in only.split(",")]
        entries = list(client.entries.timeline(passport.id, kinds=kinds))
    shown = _make_entries(entries)
    if is_json:
        write_json_line(
            {
                "as_of": passport.as_of,
                "closed": passport.closed,
                "entries": shown,
                "passport": passport.id,
                "sealed_at": passport.sealed_at,
                "sees": passport.sees,
                "subject": passport.subject,
            }
        )
        return
    terminal = Terminal()
    terminal.say((_format_subject(passport.subject), "bold"), "  (closed)" if passport.closed else "")
    seen = "all of it" if passport.sees == "whole" else "what your member wrote"
    terminal.facts(
        (
            ("service", str(session.server)),
            ("passport", passport.id),
            ("you see", seen),
            ("entries", f"{passport.entry_count:,}" + (f", {len(shown):,} shown" if only else "")),
            ("sealed", f"{passport.sealed_at} (newest entry)"),
            ("census", passport.as_of or "not yet"),
        )
    )
    terminal.say("")
    show_timeline(terminal, shown)


def export_remote(session: Session, which: str, output: Path, key_file: str | None, is_json: bool) -> None:
    """The proof of what this key sees of a passport, as a file."""
    from carnet.cli.terminal import Terminal, write_json_line
    from carnet.vault.partial import write_whole

    with reaching(session, key_file) as client:
        passport = find_passport(client, which)
        data = client.proofs.passport(passport)
    if str(output) == "-":
        sys.stdout.buffer.write(data)
        return
    write_whole(output, data)
    if is_json:
        write_json_line({"bytes": len(data), "file": str(output), "passport": passport})
        return
    terminal = Terminal()
    terminal.say(terminal.shape("good"), f" {output}: {len(data):,} bytes")
    terminal.say(("Whoever receives it: ", "dim"), f"carnet verify {output} --policy POLICY")


def submit_remote(session: Session, data: bytes, key_file: str | None, is_json: bool) -> int:
    """Hand in what was signed here with an own key; print its receipts."""
    from carnet.cli.terminal import Piece, Terminal, write_json_line
    from carnet.sdk.shapes import to_document

    with reaching(session, key_file) as client:
        found = client.entries.submit(data)
    if is_json:
        write_json_line(to_document(found))
        return SOME_TURNED if found.turned_away else 0
    terminal = Terminal()
    known = len(found.receipts) - found.sealed
    terminal.say(
        terminal.shape("unsure" if found.turned_away else "good"),
        f" {found.member}: {found.sealed:,} sealed" + (f", {known:,} were sealed before" if known else ""),
    )
    rows: list[list[Piece]] = [
        [one.passport, str(one.seq), str(one.record), one.statement[:16]] for one in found.receipts
    ]
    if rows:
        terminal.table(("passport", "#", "record", "statement"), rows, right=(1, 2), whole=(0,))
    for one in found.turned_away:
        said = f" statement {one.place + 1} ({one.statement[:16]}) was turned away: {one.detail}"
        terminal.say(terminal.shape("bad"), said, (f"  (code: {one.code})", "dim"))
    return SOME_TURNED if found.turned_away else 0


def import_remote(session: Session, order: Order, sent: Sent, *, is_whole: bool = False) -> int:
    """Send a file to the service, follow it until each row is accounted for, and say what became of it. `is_whole`
    says that an option was given which a service does not take."""
    from carnet.cli.terminal import Terminal, write_json_line
    from carnet.sdk.shapes import to_document

    if is_whole:
        raise click.UsageError("A service takes no --open-as and no --wmi: import the file at the node itself.")
    if order.path is None or order.member is not None or order.receipts is not None or order.workers is not None:
        raise click.UsageError(
            "With --server a file is sent whole, in your key's name: no -, --as, --receipts, --workers."
        )
    with ExitStack() as stack:
        copy, listed = open_faults(stack, order)
        client = stack.enter_context(reaching(session, order.passphrase_file))
        terminal = Terminal()
        tell = _make_progress(is_json=order.is_json)
        file = client.files.send(
            order.path,
            sent.format,
            mapping=sent.mapping,
            subject=sent.subject,
            validate_only=order.validate_only,
            progress=tell,
        )
        file = client.files.wait(file.id, progress=tell)
        if copy is not None and file.counts.faulty:
            copy.write(client.files.faulty_rows(file.id))
        if listed is not None:
            listed.writelines(map(_write_fault, client.files.faults(file.id)))
        faults = list(islice(client.files.faults(file.id), SHOWN_FAULTS))
    if order.is_json:
        write_json_line(
            {"file": file.id, "state": file.state, **to_document(file.counts), "failure": to_document(file.failure)}
        )
    else:
        _tell_file(terminal, file, faults)
    return 0 if file.state == "done" and not file.counts.faulty else ROWS_WERE_FAULTY


def _write_fault(found: shapes.Faulty) -> bytes:
    """A line of the list of faults, as an import at the node writes it."""
    from carnet.encoding import encode_trusted

    names = {"column": found.column, "line": found.line, "message": found.detail, "raw": found.raw}
    return encode_trusted(names | {"row": found.row, "rule": found.code}) + b"\n"


def find_passport(client: Client, which: str) -> str:
    """The passport that a person names: by `pas_…`, its hexadecimal digits, VIN or scheme:value."""
    text = which.strip()
    if text.startswith("pas_"):
        return text
    if len(text) == 32 and all(digit in "0123456789abcdef" for digit in text.lower()):
        return f"pas_{text.lower()}"
    return client.passports.find(text)


def _format_subject(subject: Mapping[str, Any]) -> str:
    return ":".join(str(subject[part]) for part in ("scheme", "country", "value") if subject.get(part))


def _name_kind(client: Client, name: str) -> str:
    """A kind as a person writes it, short or full."""
    from carnet.errors import Reason, Refused
    from carnet.passport.kinds import all_kinds
    from carnet.services.describing import find_kind

    kind = find_kind(name, all_kinds())
    if kind is None:
        raise Refused(Reason.UNKNOWN_KIND, f"there is no kind {name[:60]!a}", value=name[:60])
    return kind


def _make_entries(entries: list[shapes.Entry]) -> list[dict[str, Any]]:
    """The entries as clause 5.10 reports them, which one timeline shows."""
    seqs = {entry.id: entry.seq for entry in entries}
    return [
        {
            "basis": BASES[entry.basis],
            "by": {"id": entry.author.id, "kind": entry.author.kind, "name": entry.author.name},
            "contested_by": [seqs[one] for one in entry.contested_by if one in seqs],
            "disputed": entry.key_disputed,
            "erased": entry.erased,
            "fields": {
                **(entry.fields or {}),
                "kind": entry.kind,
                "occurred": {
                    "at": entry.occurred.at,
                    "precision": entry.occurred.precision,
                    "zone": entry.occurred.zone,
                },
                "subject": entry.subject,
            },
            "mark": MARKS[entry.mark],
            "sealed_at": entry.sealed_at,
            "seq": entry.seq,
            "state": entry.state,
            "statement": entry.id,
            "superseded_by": seqs.get(entry.superseded_by or ""),
            "target": seqs.get(entry.target or ""),
        }
        for entry in entries
    ]


def _make_progress(*, is_json: bool) -> Any:
    """One line that is written over, where somebody looks."""
    if is_json or not sys.stderr.isatty():
        return lambda file: None

    def tell(file: shapes.File) -> None:
        if file.state == "uploading":
            said = f"sending {file.received:,} of {file.size:,} bytes"
        else:
            said = f"{file.state}: {file.counts.rows_read:,} rows, {file.counts.sealed:,} sealed"
        end = "\n" if file.has_ended else ""
        click.echo(f"\r\x1b[K{said}{end}", nl=False, err=True)

    return tell


def _tell_file(terminal: Any, file: shapes.File, faults: list[shapes.Faulty]) -> None:
    counts = file.counts
    for one in faults:
        column = f", column {one.column}" if one.column else ""
        click.echo(f"Faulty: row {one.row} (line {one.line}{column}): {one.detail} [{one.code}]", err=True)
    if file.failure is not None:
        terminal.say(terminal.shape("bad"), f" {file.id}: {file.failure.detail} (code: {file.failure.code})")
        return
    if file.validate_only:
        good = counts.rows_read - counts.faulty
        terminal.say(f"{counts.rows_read:,} rows read: {good:,} good, {counts.faulty:,} faulty. Nothing was sealed.")
        return
    terminal.say(
        ("rows read ", "bold"),
        f"{counts.rows_read:,} = ",
        (f"{counts.sealed:,} sealed", "green"),
        f" + {counts.duplicate:,} duplicate + ",
        (f"{counts.faulty:,} faulty", "bold red" if counts.faulty else ""),
    )
    terminal.say(f"passports {counts.passports:,}; file {file.id} ({file.state})")
