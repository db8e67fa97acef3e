"""`carnet import`: a file of the field, certified; progress for a person, one object at the end for a program.

It refuses to ask anything, and to end with success when a row was left out.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from carnet.cli.group import TeachingGroup, as_json, passphrase_file
from carnet.cli.session import Session, now_ms, stopwatch

if TYPE_CHECKING:
    from carnet.cli.terminal import Terminal
    from carnet.services.importing import Progress, Sinks, Summary
    from carnet.services.sources import Source

ROWS_WERE_FAULTY = 1


@click.group(
    "import",
    cls=TeachingGroup,
    examples=(
        ("Certify the inspections of a HistoVec file", "carnet import histovec odometer_histories.jsonl"),
        ("Look for faulty rows first", "carnet import histovec FILE --validate-only --faults faults.ndjson"),
    ),
)
def import_() -> None:
    """Certify a file of the field, row by row."""


@import_.command(
    examples=(
        (
            "Certify a file; run it again whenever you like, nothing is sealed twice",
            "carnet import histovec odometer_histories.jsonl",
        ),
        (
            "Look for faulty rows and write nothing else",
            "carnet import histovec FILE --validate-only --faults faults.ndjson",
        ),
        ("From a packed stream, for a program", "cat FILE.gz | carnet import histovec - --json"),
        ("Keep a receipt of each row", "carnet import histovec FILE --receipts receipts.ndjson"),
    )
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--validate-only", is_flag=True, help="Read and check every row, and seal nothing. Needs no node.")
@click.option(
    "--faults", type=click.Path(path_type=Path), help="Write each faulty row here: row, column, rule (NDJSON)."
)
@click.option(
    "--receipts", type=click.Path(path_type=Path), help="Append a signed receipt of each sealed row (NDJSON)."
)
@click.option("--as", "member", metavar="MEMBER", help="In whose name: an id or a name.  [the node's operator]")
@click.option("--workers", type=click.IntRange(0, 64), help="Processes that prepare rows.  [by the file's size]")
@passphrase_file
@as_json
@click.pass_obj
def histovec(
    session: Session,
    file: Path,
    validate_only: bool,
    faults: Path | None,
    receipts: Path | None,
    member: str | None,
    workers: int | None,
    passphrase_file: str | None,
    is_json: bool,
) -> int:
    """Certify the roadworthiness inspections of a HistoVec file (NDJSON, plain or packed with gzip; - is standard
    input).

    One inspection is one row and one entry, reported (basis 3) by the node's operator. A row that is sealed already
    is a duplicate: an import that was interrupted goes on when it is run again. On an empty home the node is made
    first.

    \b
    Exit code  0  every row is sealed, now or before
               1  refused, or some rows were faulty; the good ones are sealed
    """
    from carnet.services.sources import Source

    with ExitStack() as stack:
        source = stack.enter_context(Source(None if str(file) == "-" else file))
        sinks = _open_sinks(stack, faults, receipts)
        terminal = _make_terminal()
        progress = stack.enter_context(_show_progress(terminal, source, is_json=is_json))
        with stopwatch() as taken:
            if validate_only:
                summary = _validate(source, sinks, progress)
            else:
                summary = _import(session, source, sinks, progress, member, workers, passphrase_file)
    _report(
        terminal, summary, taken[0], is_validation=validate_only, is_json=is_json, has_faults_file=faults is not None
    )
    return ROWS_WERE_FAULTY if summary.faulty else 0


def _make_terminal() -> Terminal:
    from carnet.cli.terminal import Terminal

    return Terminal()


def _open_sinks(stack: ExitStack, faults: Path | None, receipts: Path | None) -> Sinks:
    from carnet.services.importing import Sinks

    # The faults of this run replace those of the last; receipts are for ever, so they are added to.
    opened: list[IO[bytes] | None] = [
        None if faults is None else stack.enter_context(faults.open("wb")),
        None if receipts is None else stack.enter_context(receipts.open("ab")),
    ]
    return Sinks(*opened)


def _validate(source: Source, sinks: Sinks, progress: Progress) -> Summary:
    from carnet.services.importing import HISTOVEC, validate_file

    return validate_file(HISTOVEC, source.chunks(), now_ms(), sinks, progress)


def _import(
    session: Session,
    source: Source,
    sinks: Sinks,
    progress: Progress,
    member: str | None,
    workers: int | None,
    passphrase_file: str | None,
) -> Summary:
    from carnet.services.founding import found, get_operator, open_writer_at
    from carnet.services.importing import HISTOVEC, choose_worker_count, import_file

    home, passphrase = session.home, session.find_passphrase(passphrase_file)
    if not home.store.exists() and not home.keys.exists():
        made = found(home, passphrase=passphrase)
        click.echo(
            f"There was no node in {home.path}: made one, network {made.network}, operator a data service.", err=True
        )
    count = choose_worker_count(source.byte_count) if workers is None else workers
    with _stop_on_term(), open_writer_at(home, passphrase, session.command) as writer:
        operator = get_operator(writer, member)
        return import_file(
            writer, operator, HISTOVEC, source.chunks(), now_ms(), sinks=sinks, progress=progress, worker_count=count
        )


@contextmanager
def _stop_on_term() -> Iterator[None]:
    """Let a polite kill end like Ctrl-C: what is in flight is dropped, what is sealed stays."""
    import signal

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _show_progress(terminal: Terminal, source: Source, *, is_json: bool) -> Iterator[Progress]:
    """A bar on a terminal, by bytes read; nothing where nobody looks."""
    if not sys.stderr.isatty() or is_json:
        yield lambda summary: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (
        BarColumn(bar_width=None),
        TaskProgressColumn(),
        TextColumn("{task.fields[said]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=source.byte_count, said="")

        def show(summary: Summary) -> None:
            said = f"{summary.rows_read:,} rows, {summary.sealed:,} sealed"
            bar.update(task, completed=source.position, said=said)

        yield show


def _report(
    terminal: Terminal, summary: Summary, seconds: float, *, is_validation: bool, is_json: bool, has_faults_file: bool
) -> None:
    from carnet.cli.terminal import write_json_line

    _show_faults(summary, has_faults_file=has_faults_file)
    if is_json:
        document: dict[str, Any] = summary.to_document()
        if is_validation:
            document["validate_only"] = True
        write_json_line(document)
        return
    if is_validation:
        good = summary.rows_read - summary.faulty
        terminal.say(f"{summary.rows_read:,} rows read: {good:,} good, {summary.faulty:,} faulty. Nothing was sealed.")
        return
    terminal.say(
        ("rows read ", "bold"),
        f"{summary.rows_read:,} = ",
        (f"{summary.sealed:,} sealed", "green"),
        f" + {summary.duplicate:,} duplicate + ",
        (f"{summary.faulty:,} faulty", "bold red" if summary.faulty else ""),
    )
    rate = f", {summary.sealed / seconds:,.0f} entries/s" if summary.sealed and seconds > 0 else ""
    opened = f" ({summary.opened:,} of them new)" if summary.opened else ""
    terminal.say(f"passports {summary.passports:,}{opened}; {seconds:.1f} s{rate}")
    if terminal.is_tty:
        terminal.say(("Next: carnet list, then carnet show and carnet export with one of the passports.", "dim"))


def _show_faults(summary: Summary, *, has_faults_file: bool) -> None:
    """The first faulty rows on standard error, and where to find them all."""
    for fault in summary.first_faults:
        column = f", column {fault.column}" if fault.column else ""
        click.echo(f"Faulty: row {fault.row} (line {fault.line}{column}): {fault.message} [{fault.rule}]", err=True)
    more = summary.faulty - len(summary.first_faults)
    if more > 0:
        click.echo(f"… and {more:,} more.", err=True)
    if summary.faulty and not has_faults_file:
        click.echo(
            "Run it again with --faults FILE to have each faulty row with its rule; nothing is sealed twice.", err=True
        )


VERBS: dict[str, click.Command] = {"import": import_}
