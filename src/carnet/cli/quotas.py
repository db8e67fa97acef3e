"""`carnet quota`: how much a member's programs and people may ask of the API in a minute."""

from __future__ import annotations

import click

from carnet.cli.group import TeachingGroup, as_json, passphrase_file
from carnet.cli.session import Session


@click.group(
    cls=TeachingGroup,
    examples=(
        ("Who has a limit of its own", "carnet quota list"),
        ("A thousand requests a minute, all workers together", 'carnet quota set "Garage des Tilleuls" 1000'),
        ("No limit of its own any more", 'carnet quota remove "Garage des Tilleuls"'),
    ),
)
def quota() -> None:
    """See and set the quotas of members. A running service goes by them after a few seconds."""


@quota.command("list", examples=(("Those that were set", "carnet quota list --json"),))
@passphrase_file
@as_json
@click.pass_obj
def list_(session: Session, passphrase_file: str | None, is_json: bool) -> None:
    """List the members that have a limit of their own."""
    from carnet.cli.terminal import Piece, Terminal, format_moment, write_json_line
    from carnet.services.accounts.office import OPERATOR_HERE, office_at
    from carnet.services.quotas import list_quotas

    with office_at(session.home, session.find_passphrase(passphrase_file)) as (office, reader):
        found = list_quotas(office, OPERATOR_HERE)
        names = {member.id: member.name for member in reader.state.members.all}
    if is_json:
        for one in found:
            write_json_line({**one._asdict(), "member": f"mem_{one.member.hex()}", "name": names.get(one.member)})
        return
    rows: list[list[Piece]] = [
        [
            names.get(one.member) or one.member.hex(),
            f"{one.requests_per_minute:,}",
            format_moment(one.changed_at),
            one.changed_by,
        ]
        for one in found
    ]
    Terminal().table(("member", "a minute", "since", "set by"), rows, right=(1,))


@quota.command("set", examples=(("A thousand a minute", 'carnet quota set "Garage des Tilleuls" 1000'),))
@click.argument("which", metavar="MEMBER")
@click.argument("requests_per_minute", type=click.IntRange(1, 10_000_000))
@passphrase_file
@click.pass_obj
def set_(session: Session, which: str, requests_per_minute: int, passphrase_file: str | None) -> None:
    """Let a member send so many requests a minute, its programs and people all together."""
    _set(session, which, requests_per_minute, passphrase_file)
    click.echo(f"{which}: {requests_per_minute:,} requests a minute.")


@quota.command(examples=(("The node's own limit applies again", 'carnet quota remove "Garage des Tilleuls"'),))
@click.argument("which", metavar="MEMBER")
@passphrase_file
@click.pass_obj
def remove(session: Session, which: str, passphrase_file: str | None) -> None:
    """Take a member's own limit away."""
    _set(session, which, None, passphrase_file)
    click.echo(f"{which}: no limit of its own.")


def _set(session: Session, which: str, requests_per_minute: int | None, passphrase_file: str | None) -> None:
    from carnet.services.accounts.office import OPERATOR_HERE, office_at
    from carnet.services.founding import find_member
    from carnet.services.quotas import set_quota

    with office_at(session.home, session.find_passphrase(passphrase_file)) as (office, reader):
        member = find_member(reader.state.members.all, which)
        set_quota(office, OPERATOR_HERE, member.id, requests_per_minute)


VERBS: dict[str, click.Command] = {"quota": quota}
