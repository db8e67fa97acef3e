"""`carnet account`: who gets in: inviting people, listing and ending their accounts.

Whoever can read the node's keys is an operator here. An invitation is a link: whoever opens it makes a passkey.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from carnet.cli.group import TeachingGroup, as_json, passphrase_file, yes
from carnet.cli.session import Session, end_unconfirmed, is_interactive

if TYPE_CHECKING:
    from carnet.services.accounts.registry import Post

ROLES = ("admin", "clerk", "reader", "auditor")

with_origin = click.option(
    "--origin", metavar="URL", help="The address of the service, for the link.  [$CARNET_ORIGIN, or this machine's]"
)


@click.group(
    cls=TeachingGroup,
    examples=(
        ("The first operator: open the link, and make a passkey", "carnet account add-operator"),
        ("Somebody at a garage", 'carnet account invite --member "Garage des Tilleuls" --role admin'),
        ("Who has an account", "carnet account list"),
    ),
)
def account() -> None:
    """Invite people; list and end their accounts. There are no passwords: people make passkeys."""


@account.command("add-operator", examples=(("A link that makes an operator's account", "carnet account add-operator"),))
@with_origin
@passphrase_file
@as_json
@click.pass_obj
def add_operator(session: Session, origin: str | None, passphrase_file: str | None, is_json: bool) -> None:
    """Print the link with which an operator makes an account. It works once, within seven days."""
    from carnet.services.accounts.registry import OPERATOR

    _invite(session, OPERATOR, origin, passphrase_file, is_json)


@account.command(
    examples=(
        ("A member's first admin", 'carnet account invite --member "Garage des Tilleuls" --role admin'),
        ("A holder, where sign-up is by invitation", "carnet account invite --holder"),
    )
)
@click.option("--member", "which", metavar="MEMBER", help="The member whose people they are: a name or an id.")
@click.option("--role", type=click.Choice(ROLES), help="What they may do there.")
@click.option("--holder", is_flag=True, help="A holder of vehicles, of no member.")
@with_origin
@passphrase_file
@as_json
@click.pass_obj
def invite(
    session: Session,
    which: str | None,
    role: str | None,
    holder: bool,
    origin: str | None,
    passphrase_file: str | None,
    is_json: bool,
) -> None:
    """Print a link with which one person makes an account. It works once, within seven days.

    An admin does everything for the member, a clerk reads and writes, a reader reads, an auditor reads the audit trail
    too.
    """
    from carnet.services.accounts.registry import HOLDER, Post
    from carnet.services.founding import find_present_member
    from carnet.services.principals import Role, Standing
    from carnet.services.reading import open_reader

    if holder == (which is not None) or (which is None) != (role is None):
        raise click.UsageError("Say --member and --role, or --holder.")
    post = HOLDER
    if which is not None and role is not None:
        with open_reader(session.home, session.find_passphrase(passphrase_file)) as reader:
            post = Post(Standing.STAFF, find_present_member(reader.state.members.all, which).id, Role(role))
    _invite(session, post, origin, passphrase_file, is_json)


@account.command("list", examples=(("Everyone, oldest first", "carnet account list"),))
@passphrase_file
@as_json
@click.pass_obj
def list_(session: Session, passphrase_file: str | None, is_json: bool) -> None:
    """List the accounts, also those that were ended lately."""
    from carnet.cli.terminal import Piece, Terminal, format_moment, write_json_line
    from carnet.services.accounts.office import office_at
    from carnet.services.accounts.registry import list_accounts
    from carnet.services.principals import Principal, Standing

    with office_at(session.home, session.find_passphrase(passphrase_file)) as (office, reader):
        found = list_accounts(office, Principal(Standing.OPERATOR))
        names = {one.id: one.name for one in reader.state.members.all}
    if is_json:
        for one in found:
            write_json_line(
                {
                    "created_at": one.created_at,
                    "ended_at": one.ended_at,
                    "id": one.public_id,
                    "member": None if one.member is None else one.member.hex(),
                    "name": one.name,
                    "role": None if one.role is None else one.role.value,
                    "standing": one.standing.value,
                }
            )
        return
    rows: list[list[Piece]] = [
        [
            one.public_id,
            one.name,
            f"{one.standing.value} {one.role or ''}".strip(),
            "" if one.member is None else names.get(one.member, one.member.hex()),
            format_moment(one.created_at),
            ("ended", "yellow") if one.ended_at is not None else "",
        ]
        for one in found
    ]
    Terminal().table(("id", "name", "office", "member", "since", ""), rows, whole=(0,))


@account.command(
    examples=(
        ("Somebody who has left", "carnet account end acc_0123456789abcdef0123456789abcdef"),
        ("From a script", "carnet account end acc_0123456789abcdef0123456789abcdef --yes"),
    ),
)
@click.argument("which", metavar="ACCOUNT")
@yes
@passphrase_file
@click.pass_obj
def end(session: Session, which: str, yes: bool, passphrase_file: str | None) -> int:
    """End an account, with its sessions, passkeys and codes, at once. What it did stays in the audit trail.

    It says whose it is and what goes, and asks.
    """
    from carnet.cli.terminal import Terminal
    from carnet.services.accounts.office import office_at
    from carnet.services.accounts.registry import end_account, get_account_by_id
    from carnet.services.principals import Principal, Standing

    with office_at(session.home, session.find_passphrase(passphrase_file)) as (office, _):
        found, terminal = get_account_by_id(office, which), Terminal()
        terminal.say((found.name, "bold"), f": {found.standing.value} {found.role or ''}".rstrip())
        terminal.say("It ends for good, with its sessions, passkeys and codes; it holds no vehicle any more.", indent=2)
        if not yes and not (is_interactive() and click.confirm("End this account?", default=False, err=True)):
            return end_unconfirmed(is_json=False)
        end_account(office, Principal(Standing.OPERATOR), which)
    click.echo(f"Ended {which}: nobody is signed in with it any more.")
    return 0


@account.command(
    examples=(
        ("What was done lately", "carnet account events"),
        ("To one passport, for a program", "carnet account events --about pas_0123456789abcdef0123456789abcdef --json"),
    )
)
@click.option("--about", metavar="ID", help="Only what concerns this account, client or passport.")
@click.option("--limit", type=click.IntRange(1, 200), default=50, show_default=True, help="How many.")
@passphrase_file
@as_json
@click.pass_obj
def events(session: Session, about: str | None, limit: int, passphrase_file: str | None, is_json: bool) -> None:
    """Show the audit trail, newest first: who did what about whom, and on which ground."""
    from carnet.cli.terminal import Piece, Terminal, format_moment, write_json_line
    from carnet.services.accounts.auditing import list_events
    from carnet.services.accounts.office import office_at
    from carnet.services.principals import Principal, Standing

    with office_at(session.home, session.find_passphrase(passphrase_file)) as (office, _):
        found = list_events(office, Principal(Standing.OPERATOR), about=about, limit=limit)
    if is_json:
        for event in found:
            write_json_line({**event._asdict(), "action": event.action.value})
        return
    rows: list[list[Piece]] = [[format_moment(one.at), one.action.value, one.who, one.about, one.why] for one in found]
    Terminal().table(("when", "what", "who", "about", "why"), rows)


def _invite(session: Session, post: Post, origin: str | None, passphrase_file: str | None, is_json: bool) -> None:
    from carnet.cli.terminal import Terminal, format_moment, write_json_line
    from carnet.services.accounts.invitations import invite as make_invitation
    from carnet.services.accounts.office import office_at
    from carnet.services.principals import Principal, Standing
    from carnet.services.settings import find_settings

    settings = find_settings({"origin": origin}, os.environ)
    with office_at(session.home, session.find_passphrase(passphrase_file)) as (office, _):
        made = make_invitation(office, Principal(Standing.OPERATOR), post)
    link = made.make_link(settings.public_address)
    if is_json:
        write_json_line({"code": made.code, "id": made.id, "link": link, "until": made.until})
        return
    Terminal().say(f"Whoever opens this link first makes the account; it works until {format_moment(made.until)}:")
    # Not wrapped: a link that is broken over two lines cannot be opened.
    click.echo(f"\n  {link}\n")
    Terminal().say("Send it by a way that only they can read. `carnet serve` must be running when they open it.")


VERBS: dict[str, click.Command] = {"account": account}
