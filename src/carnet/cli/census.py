"""`carnet census`: the heads of all passports under one root, now or when it is due; what changed and how long it took.

It refuses to wait: a schedule calls it again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from carnet.cli.group import Age, as_json, passphrase_file, verb
from carnet.cli.session import Session, now_ms

if TYPE_CHECKING:
    from carnet.services.censuses import Taken


@verb(
    examples=(
        ("Take one now: what was sealed until now can be proved complete", "carnet census"),
        ("Every quarter of an hour from cron, if it is worth it", "carnet census --older-than 1d --changed 1000"),
        ("For a program", "carnet census --json"),
    )
)
@click.option(
    "--older-than", type=Age(), metavar="AGE", help="Only if the latest is older than this, such as 1h or 1d."
)
@click.option(
    "--changed",
    type=click.IntRange(0),
    metavar="COUNT",
    help="Only if more passports than this are new or have grown since. With --older-than: if either is so.",
)
@passphrase_file
@as_json
@click.pass_obj
def census(
    session: Session, older_than: int | None, changed: int | None, passphrase_file: str | None, is_json: bool
) -> None:
    """Take a census: seal the newest entry of every passport under one root.

    A proof is complete as of the latest census. `import` and `export` take one by themselves; a schedule keeps it fresh
    between them. It costs as much as what has changed, however many passports there are.
    """
    from carnet.services.censuses import Due, take_census

    passphrase = session.find_passphrase(passphrase_file)
    found = take_census(session.home, Due(older_than, changed), passphrase, session.command)
    _report(found, is_json=is_json)


def _report(found: Taken, *, is_json: bool) -> None:
    from carnet.cli.terminal import Terminal, format_age, format_moment, write_json_line

    if is_json:
        write_json_line(
            {
                "as_of": found.at,
                "changed": found.changed,
                "chains": found.chain_count,
                "erased": found.erased,
                "record": found.record,
                "taken": found.is_taken,
                "took_ms": found.took_ms,
            }
        )
        return
    terminal = Terminal()
    since = f"{found.changed:,} new or grown since the one before"
    if not found.is_taken:
        age = format_age(now_ms() - found.at)
        terminal.say(f"Not due: the latest census is of {age}, and {found.changed:,} have changed since.")
        return
    counted = f"{found.chain_count:,} chains" + (f", {found.erased:,} erased" if found.erased else "")
    terminal.say(terminal.shape("good"), f" Census of {format_moment(found.at)}: {counted}; {since}.")
    terminal.facts([("log record", f"{found.record:,}"), ("took", f"{found.took_ms:,} ms")])


VERBS: dict[str, click.Command] = {"census": census}
