"""`carnet move`: the store from a SQLite file to a PostgreSQL database, or back; what was proved stays proved.

It stops nobody: while a writer runs it is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from carnet.cli.fsck import show_progress
from carnet.cli.group import as_json, passphrase_file, verb
from carnet.cli.session import Session, stopwatch

if TYPE_CHECKING:
    from carnet.services.moving import Moved


@verb(
    examples=(
        (
            "To a PostgreSQL database; its password comes from ~/.pgpass",
            "carnet move --to postgresql://carnet@db/carnet",
        ),
        ("Back to a file of the home", "carnet move --to sqlite"),
    )
)
@click.option(
    "--to", required=True, metavar="STORE", help="postgresql://USER@HOST/DATABASE, or sqlite for a file of the home."
)
@passphrase_file
@as_json
@click.pass_obj
def move(session: Session, to: str, passphrase_file: str | None, is_json: bool) -> None:
    """Move the store to a PostgreSQL database, or back to a file.

    Every row is copied and checked as fsck does; then the home points to the new store, and the old one is kept and
    never written again. A move that was killed is finished, or begun anew, by the same command.
    """
    from carnet.services.moving import move as move_store

    passphrase = session.find_passphrase(passphrase_file)
    with stopwatch() as taken, show_progress(is_json=is_json) as progress:
        moved = move_store(session.home, to, passphrase, session.command, progress or (lambda _: None))
    _report(moved, taken[0], is_json=is_json)


def _report(moved: Moved, seconds: float, *, is_json: bool) -> None:
    from carnet.cli.terminal import Terminal, write_json_line

    if is_json:
        write_json_line(
            {
                "from": moved.old,
                "kept": moved.kept,
                "log_root": moved.moment.root.hex(),
                "log_size": moved.moment.log_size,
                "rows": moved.rows,
                "to": moved.new,
            }
        )
        return
    terminal = Terminal()
    what = "The last steps of an earlier move" if moved.rows is None else f"Moved {moved.rows:,} rows"
    terminal.say(terminal.shape("good"), f" {what}, in {seconds:.1f} s: the store is {moved.new} now.")
    terminal.facts(
        (
            ("log", f"{moved.moment.log_size:,} records, the same in both"),
            ("old store", f"{moved.kept} (it can be read, and is never written again)"),
        )
    )
    terminal.say("")
    terminal.say("What is erased from now on stays in the old store: remove it when the new one has proved itself.")


VERBS: dict[str, click.Command] = {"move": move}
