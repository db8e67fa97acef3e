"""`carnet audit`: the audit trail of the service, searched and taken away as a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from carnet.cli.group import OutsidePath, TeachingGroup, as_json, passphrase_file
from carnet.cli.session import Session

F = TypeVar("F", bound=Callable[..., Any])


def _search_options(function: F) -> F:
    for option in (
        click.option("--to", "until", default="", metavar="TIME", help="Until this day, or before this moment (UTC)."),
        click.option("--from", "since", default="", metavar="TIME", help="Since this day or moment (UTC)."),
        click.option("--member", default="", metavar="ID", help="Only what is this member's matter (mem_…)."),
        click.option("--about", default="", metavar="ID", help="Only what was done to this (acc_…, mem_…, apr_…)."),
        click.option("--who", default="", metavar="ID", help="Only what this account or program did, or `operator`."),
        click.option("--action", default="", help="Only this action, or all that begin with it (member, approval)."),
    ):
        function = option(function)
    return function


@click.group(
    cls=TeachingGroup,
    examples=(
        ("What was decided about members this month", "carnet audit list --action member --from 2026-11-01"),
        ("What one operator did", "carnet audit list --who acc_00112233445566778899aabbccddeeff"),
        ("A file for the auditor's spreadsheet", "carnet audit export -o november.csv --from 2026-11-01"),
    ),
)
def audit() -> None:
    """Search the audit trail, and export it: who did what about whom, when, and on which ground.

    It holds names and grounds only, for 365 days: never a value of anybody's data.
    """


@audit.command(
    "list",
    examples=(
        ("What was done lately", "carnet audit list"),
        ("Refused sign-ins of one day", "carnet audit list --action session --from 2026-11-24 --to 2026-11-24"),
    ),
)
@_search_options
@click.option("--limit", type=click.IntRange(1, 200), default=50, show_default=True, help="How many.")
@passphrase_file
@as_json
@click.pass_obj
def list_(session: Session, /, limit: int, passphrase_file: str | None, is_json: bool, **wanted: str) -> None:
    """List what is in the trail, newest first."""
    from carnet.cli.terminal import Piece, Terminal, format_moment, write_json_line
    from carnet.services.accounts.office import OPERATOR_HERE, office_at
    from carnet.services.accounts.trail import make_search, search, to_document

    asked = make_search(**wanted)
    with office_at(session.home, session.find_passphrase(passphrase_file)) as (office, _):
        found = search(office, OPERATOR_HERE, asked, limit=limit)
    if is_json:
        for event in found:
            write_json_line(to_document(event))
        return
    rows: list[list[Piece]] = [[format_moment(one.at), one.action.value, one.who, one.about, one.why] for one in found]
    Terminal().table(("when", "what", "who", "about", "why"), rows)


@audit.command(
    examples=(
        ("All of it, for a spreadsheet", "carnet audit export -o trail.csv"),
        ("For a program: an object a line", "carnet audit export -o trail.jsonl --format json"),
    )
)
@click.option("-o", "--output", required=True, type=OutsidePath(), help="Where to.")
@click.option("--format", "format_", type=click.Choice(("csv", "json")), default="csv", show_default=True)
@_search_options
@click.option("--force", is_flag=True, help="Overwrite FILE.")
@passphrase_file
@click.pass_obj
def export(
    session: Session, /, output: Path, format_: str, force: bool, passphrase_file: str | None, **wanted: str
) -> None:
    """Write the trail to a file. In CSV no cell begins as a formula. That it was taken is an entry of the trail."""
    from carnet.errors import Reason, Refused
    from carnet.services.accounts.office import OPERATOR_HERE, office_at
    from carnet.services.accounts.trail import export as export_trail
    from carnet.services.accounts.trail import make_search
    from carnet.vault.partial import writing_whole

    asked = make_search(**wanted)
    if output.exists() and not force:
        raise Refused(Reason.FILE_EXISTS, f"{output} exists already: say --force to overwrite it", file=str(output))
    with office_at(session.home, session.find_passphrase(passphrase_file)) as (office, _):
        # Asked first: a home that takes no note of it gives no trail, wherever that was to go.
        pieces = export_trail(office, OPERATOR_HERE, asked, format_)
        with writing_whole(output) as file:
            file.writelines(pieces)
    click.echo(f"{output}: {output.stat().st_size:,} bytes", err=True)


VERBS: dict[str, click.Command] = {"audit": audit}
