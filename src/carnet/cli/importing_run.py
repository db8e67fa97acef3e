"""The run of one import, whatever its format: its options, its progress, and the summary at its end.

It refuses to ask anything, and to end with success when a row was left out.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import IO, TYPE_CHECKING, Any

import click

from carnet.cli.group import OutsidePath, as_json, passphrase_file
from carnet.cli.session import Session, now_ms, stopwatch
from carnet.cli.stopping import stop_put_off

if TYPE_CHECKING:
    from carnet.cli.terminal import Terminal
    from carnet.services.importing import Format, Progress, Sinks, Summary
    from carnet.services.receipts import KeptReceipts
    from carnet.services.sources import Source
    from carnet.services.tables import Table

ROWS_WERE_FAULTY = 1

EXIT_CODES = """\b
Exit code  0  every row is sealed, now or before
           1  refused, or some rows were faulty; the good ones are sealed"""

_OPTIONS = (
    click.argument("file", type=click.Path(path_type=Path)),
    click.option("--validate-only", is_flag=True, help="Read and check every row, and seal nothing. Needs no node."),
    click.option(
        "--faulty",
        type=OutsidePath(),
        help="Copy faulty rows here as they stand, to be mended and imported alone; why stands in FILE.faults.ndjson.",
    ),
    click.option(
        "--faults",
        type=OutsidePath(),
        help="Write the fault of each row here: row, column, rule (NDJSON).",
    ),
    click.option(
        "--receipts",
        type=OutsidePath(),
        help="Append a signed receipt of each row that is sealed, now or before, if it has none there yet (NDJSON).",
    ),
    click.option("--as", "member", metavar="MEMBER", help="In whose name: an id or a name.  [the node's operator]"),
    click.option("--workers", type=click.IntRange(0, 64), help="Processes that prepare rows.  [by the file's size]"),
    passphrase_file,
    as_json,
)


@dataclass(frozen=True, slots=True)
class Order:
    """What every verb of `carnet import` is given."""

    file: Path
    validate_only: bool
    faulty: Path | None
    faults: Path | None
    receipts: Path | None
    member: str | None
    workers: int | None
    passphrase_file: str | None
    is_json: bool

    @property
    def path(self) -> Path | None:
        """The file, None for standard input."""
        return None if str(self.file) == "-" else self.file


def with_order(command: Callable[..., Any]) -> Callable[..., Any]:
    """Declare the options of an `Order`, which the verb is given by their names."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def run_import(session: Session, order: Order, format_: Format, opened: Source | Table | None = None) -> int:
    """Import a file, opened already or not, and say what became of its rows; the exit code."""
    from carnet.services.sources import Source

    with ExitStack() as stack:
        source: Source | Table = opened or Source(order.path)
        stack.callback(source.close)
        sinks = _open_sinks(stack, order)
        terminal = _make_terminal()
        progress = stack.enter_context(_show_progress(source, order))
        with stopwatch() as taken:
            if order.validate_only:
                summary = _validate(format_, source, sinks, progress)
            else:
                summary = _import(session, format_, source, sinks, progress, order)
    _report(terminal, summary, taken[0], order)
    return ROWS_WERE_FAULTY if summary.faulty else 0


def _make_terminal() -> Terminal:
    from carnet.cli.terminal import Terminal

    return Terminal()


def _open_sinks(stack: ExitStack, order: Order) -> Sinks:
    from carnet.services.faulty import FaultyRows, check_is_not_source
    from carnet.services.importing import Sinks

    if order.receipts is not None:
        check_is_not_source(order.receipts, order.path)
    rows, faults = open_faults(stack, order)
    faulty = FaultyRows(faults, rows)
    stack.callback(faulty.finish)
    if order.receipts is None:
        return Sinks(faulty)
    kept = _read_receipts(order.receipts)
    return Sinks(faulty, stack.enter_context(_open_receipts(order.receipts)), kept=kept)


def open_faults(stack: ExitStack, order: Order) -> tuple[IO[bytes] | None, IO[bytes] | None]:
    """The file of faulty rows and the list of faults, where they are asked for: they get their names when `stack` is
    left without an error, and those of the last run are there until then. Raises as `writing_rows_and_list`."""
    from carnet.services.faulty import (
        check_is_not_source,
        check_may_write,
        get_list_beside,
        writing_rows,
        writing_rows_and_list,
    )
    from carnet.vault.partial import writing_whole

    path, listed = order.faulty, order.faults
    if path is not None:
        check_may_write(path, order.path)
    place = get_list_beside(path) if path is not None and listed is None else listed
    if place is not None:
        check_is_not_source(place, order.path)
    if path is not None and listed is None:
        return stack.enter_context(writing_rows_and_list(path))
    rows = None if path is None else stack.enter_context(writing_rows(path))
    return rows, None if listed is None else stack.enter_context(writing_whole(listed))


def _read_receipts(path: Path) -> KeptReceipts:
    """Which receipts the file has by now; a pipe is not asked."""
    from carnet.services.receipts import KeptReceipts

    if not path.is_file():
        return KeptReceipts()
    with path.open("rb") as written:
        return KeptReceipts(written)


def _open_receipts(path: Path) -> IO[bytes]:
    """The file of receipts, open at its end, on a line of its own: a power cut may have left the last one torn."""
    is_torn = False
    if path.is_file() and path.stat().st_size:
        with path.open("rb") as written:
            written.seek(-1, os.SEEK_END)
            is_torn = written.read(1) != b"\n"
    file = path.open("ab")
    if is_torn:
        file.write(b"\n")
    return file


def _validate(format_: Format, source: Source | Table, sinks: Sinks, progress: Progress) -> Summary:
    from carnet.services.importing import validate_file

    return validate_file(format_, source.chunks(), now_ms(), sinks, progress)


def _import(
    session: Session, format_: Format, source: Source | Table, sinks: Sinks, progress: Progress, order: Order
) -> Summary:
    from carnet.services.apart import reach_writer_apart
    from carnet.services.founding import found, get_operator, reach_writer_at
    from carnet.services.importing import choose_worker_count, import_file

    home, passphrase = session.home, session.find_passphrase(order.passphrase_file)
    if not home.store.exists() and not home.keys.exists():
        made = found(home, passphrase=passphrase)
        click.echo(
            f"There was no node in {home.path}: made one, network {made.network}, operator a data service.", err=True
        )
    count = choose_worker_count(source.byte_count) if order.workers is None else order.workers
    # Where reading it is worth processes, sealing is worth one too.
    reach = reach_writer_apart if count else reach_writer_at
    with reach(home, passphrase, session.command) as writer:
        operator = get_operator(writer, order.member)
        return import_file(
            writer,
            operator,
            format_,
            source.chunks(),
            now_ms(),
            sinks=sinks,
            progress=progress,
            worker_count=count,
            stop_put_off=stop_put_off,
        )


@contextmanager
def _show_progress(source: Source | Table, order: Order) -> Iterator[Progress]:
    """On a terminal a bar, by bytes read, what became of the rows, how many a second, and the time left; nothing where
    nobody looks."""
    if not sys.stderr.isatty() or order.is_json:
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
            done, said = summary.rows_read, f"{summary.rows_read:,} rows"
            if not order.validate_only:
                done, said = summary.sealed + summary.duplicate + summary.faulty, f"{said}, {summary.sealed:,} sealed"
            if summary.faulty:
                said += f", {summary.faulty:,} faulty"
            seconds = bar.tasks[task].elapsed
            if done and seconds:
                said += f", {done / seconds:,.0f} rows/s"
            bar.update(task, completed=source.position, said=said)

        yield show


def _report(terminal: Terminal, summary: Summary, seconds: float, order: Order) -> None:
    from carnet.cli.terminal import write_json_line

    _show_faults(summary, order)
    if order.is_json:
        document: dict[str, Any] = summary.to_document()
        if order.validate_only:
            document["validate_only"] = True
        write_json_line(document)
        return
    if order.validate_only:
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
    if terminal.is_tty and summary.passports:
        terminal.say(("Next: carnet list, then carnet show and carnet export with one of the passports.", "dim"))


def _show_faults(summary: Summary, order: Order) -> None:
    """The first faulty rows on standard error, and what to do about all of them."""
    for fault in summary.first_faults:
        column = f", column {fault.column}" if fault.column else ""
        click.echo(f"Faulty: row {fault.row} (line {fault.line}{column}): {fault.message} [{fault.rule}]", err=True)
    more = summary.faulty - len(summary.first_faults)
    if more > 0:
        click.echo(f"… and {more:,} more.", err=True)
    if not summary.faulty:
        return
    has_no_good = summary.faulty == summary.rows_read > 1
    if has_no_good:
        where = "" if order.path is None else f" carnet import guess {quote(str(order.path))} tells what it is."
        click.echo(f"No row of it can be read: is it a file of this format, or mapping?{where}", err=True)
    if order.faulty is not None:
        click.echo(f"Next: mend {order.faulty}, then import it by the same verb; nothing is sealed twice.", err=True)
    elif order.faults is None and not has_no_good:
        click.echo(
            "Run it again with --faulty FILE to have the faulty rows in a file that can be mended and imported alone; "
            "nothing is sealed twice.",
            err=True,
        )
