"""`carnet fsck`: everything that is stored, verified again; what is wrong is named by table, row and column.

It changes nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from carnet.cli.group import as_json, passphrase_file, verb
from carnet.cli.session import Session, stopwatch

if TYPE_CHECKING:
    from carnet.node.fsck.findings import Progress
    from carnet.services.checking import Checked

DAMAGED = 1


@verb(
    examples=(
        ("Check everything, down to the last bit", "carnet fsck"),
        ("For a program: one object a finding, then one with their number", "carnet fsck --json"),
    )
)
@passphrase_file
@as_json
@click.pass_obj
def fsck(session: Session, passphrase_file: str | None, is_json: bool) -> int:
    """Check everything again from storage: log, signatures, batches, chains, contents, indexes.

    Works while another process writes. Exits with 1 if anything is not what was signed.
    """
    from carnet.services.checking import check

    with stopwatch() as taken, show_progress(is_json=is_json) as progress:
        found = check(session.home, session.find_passphrase(passphrase_file), progress)
    if is_json:
        _write(found)
    else:
        _tell(found, taken[0])
    return DAMAGED if found.findings else 0


def _write(found: Checked) -> None:
    from carnet.cli.failures import to_json
    from carnet.cli.terminal import write_json_line

    for finding in found.findings:
        write_json_line(
            {
                "column": finding.column,
                "key": None if finding.key is None else to_json(finding.key),
                "table": finding.table,
                "what": finding.what,
            }
        )
    write_json_line({"clean": not found.findings, "cut": found.is_cut, "findings": len(found.findings)})


def _tell(found: Checked, seconds: float) -> None:
    from carnet.cli.terminal import Terminal

    terminal = Terminal()
    if not found.findings:
        terminal.say(terminal.shape("good"), f" Clean: everything stored is what was signed ({seconds:.1f} s).")
        return
    for finding in found.findings:
        terminal.say(terminal.shape("bad"), f" {finding}")
    more = " at least" if found.is_cut else ""
    terminal.say((f"Damaged:{more} {len(found.findings):,} findings.", "bold red"), " Nothing was changed. What to do:")
    for advice in found.list_advice():
        terminal.say(advice, indent=2)


@contextmanager
def show_progress(*, is_json: bool) -> Iterator[Callable[[Progress], None] | None]:
    """A bar for each table that is being checked, if a person looks on."""
    if is_json or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, Any] = {}

        def show(progress: Progress) -> None:
            if progress.table not in tasks:
                tasks[progress.table] = bar.add_task(progress.table, total=progress.total)
            bar.update(tasks[progress.table], completed=progress.done, total=progress.total)

        yield show


VERBS: dict[str, click.Command] = {"fsck": fsck}
