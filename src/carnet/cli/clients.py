"""`carnet client`: programs of a member, and the keys by which they are known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from carnet.cli.group import Age, TeachingGroup, as_json, passphrase_file
from carnet.cli.session import Session

if TYPE_CHECKING:
    from carnet.services.accounts.clients import Issued

EXAMPLE = "cli_0123456789abcdef0123456789abcdef"
SCOPES = ("passports:read", "passports:open", "entries:append", "claims:issue", "files", "webhooks")


@click.group(
    cls=TeachingGroup,
    examples=(
        (
            "A garage's software, which writes and prints codes",
            "carnet client add --member Tilleuls --name Workshop --scope entries:append --scope claims:issue",
        ),
        ("What there is, and when it was last used", "carnet client list"),
        ("A new key beside the old one", f"carnet client rotate {EXAMPLE}"),
    ),
)
def client() -> None:
    """Give programs keys; list, replace and revoke them."""


@client.command(
    examples=(
        (
            "With a key that ends in a year",
            "carnet client add --member Mutuelle --name Fleet --scope passports:read --valid 365d",
        ),
        (
            "With OAuth: the program keeps its private key, and signs with it",
            "carnet client add --member Mutuelle --name Fleet --scope passports:read --public-key fleet.jwk",
        ),
    )
)
@click.option("--member", "which", required=True, metavar="MEMBER", help="Whose program it is: a name or an id.")
@click.option("--name", required=True, help="What the program is called.")
@click.option("--scope", "scopes", multiple=True, required=True, type=click.Choice(SCOPES), help="What it may do.")
@click.option("--valid", type=Age(), metavar="AGE", help="How long the key is good: 90d, 365d.  [until it is revoked]")
@click.option(
    "--public-key",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A public JWK, Ed25519 or P-256: an OAuth client instead of a key.",
)
@passphrase_file
@as_json
@click.pass_obj
def add(
    session: Session,
    which: str,
    name: str,
    scopes: tuple[str, ...],
    valid: int | None,
    public_key: Path | None,
    passphrase_file: str | None,
    is_json: bool,
) -> None:
    """Add a program of a member. Its key is shown now, and never again."""
    from carnet.cli.terminal import write_json_line
    from carnet.services.accounts.clients import KEY, OAUTH, add_client, issue_key, parse_scopes
    from carnet.services.accounts.oauth import add_public_key
    from carnet.services.accounts.office import office_at
    from carnet.services.founding import find_present_member
    from carnet.services.principals import Principal, Standing

    operator, document = Principal(Standing.OPERATOR), None if public_key is None else _read_jwk(public_key)
    with office_at(session.home, session.find_passphrase(passphrase_file)) as (office, reader):
        member = find_present_member(reader.state.members.all, which)
        kind = KEY if document is None else OAUTH
        made = add_client(office, operator, member.id, name, parse_scopes(scopes), kind)
        if document is None:
            _tell_key(issue_key(office, operator, made.public_id, valid_ms=valid), is_json)
            return
        kid = add_public_key(office, operator, made.public_id, document)
    if is_json:
        write_json_line({"client": made.public_id, "kid": kid})
        return
    click.echo(f"Added {made.public_id}, which signs with the key {kid}.")
    click.echo("It asks for tokens at POST /v1/oauth/token: see docs/accounts.md.")


@client.command("list", examples=(("All of them, with their keys", "carnet client list"),))
@passphrase_file
@as_json
@click.pass_obj
def list_(session: Session, passphrase_file: str | None, is_json: bool) -> None:
    """List the programs and their keys: since when, until when, when last used."""
    from carnet.cli.terminal import Piece, Terminal, format_moment, write_json_line
    from carnet.services.accounts.clients import list_clients
    from carnet.services.accounts.office import office_at
    from carnet.services.principals import Principal, Standing

    with office_at(session.home, session.find_passphrase(passphrase_file)) as (office, reader):
        found, now = list_clients(office, Principal(Standing.OPERATOR)), office.clock()
        names = {one.id: one.name for one in reader.state.members.all}
    if is_json:
        for one, keys in found:
            document: dict[str, Any] = {"client": one.public_id, "ended_at": one.ended_at, "kind": one.kind}
            document |= {"member": one.member.hex(), "name": one.name, "scopes": sorted(one.scopes)}
            write_json_line(document | {"keys": [key._asdict() for key in keys]})
        return
    rows: list[list[Piece]] = []
    for one, keys in found:
        state: Piece = ("ended", "yellow") if one.ended_at is not None else ""
        rows.append([one.public_id, one.name, names.get(one.member, ""), ", ".join(sorted(one.scopes)), "", state])
        for key in keys:
            used = "never used" if key.used_at is None else f"used {format_moment(key.used_at)}"
            force: Piece = "" if key.is_in_force(now) else ("not in force", "yellow")
            until = "" if key.until is None else f"until {format_moment(key.until)}"
            rows.append(["", f"{key.hint}…", "", until, used, force])
    Terminal().table(("client", "name", "member", "may", "", ""), rows, whole=(0,))


@client.command(examples=(("The old key ends in a day", f"carnet client rotate {EXAMPLE}"),))
@click.argument("which", metavar="CLIENT")
@click.option("--overlap", type=Age(), default="1d", metavar="AGE", help="How long both keys are good.  [1d]")
@click.option("--valid", type=Age(), metavar="AGE", help="How long the new key is good.  [until it is revoked]")
@passphrase_file
@as_json
@click.pass_obj
def rotate(
    session: Session, which: str, overlap: int, valid: int | None, passphrase_file: str | None, is_json: bool
) -> None:
    """Give a program a new key; the one before it ends after the overlap."""
    from carnet.services.accounts.clients import rotate_key
    from carnet.services.accounts.office import office_at
    from carnet.services.principals import Principal, Standing

    with office_at(session.home, session.find_passphrase(passphrase_file)) as (office, _):
        issued = rotate_key(office, Principal(Standing.OPERATOR), which, valid_ms=valid, overlap_ms=overlap)
    _tell_key(issued, is_json)


@client.command(
    examples=(
        ("One key, by its beginning", f"carnet client revoke {EXAMPLE} ck_live_AbC123"),
        ("The program with all that it has", f"carnet client revoke {EXAMPLE} --all"),
    ),
    # The id of an OAuth key may begin as an option does.
    context_settings={"ignore_unknown_options": True},
)
@click.argument("which", metavar="CLIENT")
@click.argument("key", required=False)
@click.option("--all", "is_all", is_flag=True, help="End the program itself, with every key and token.")
@passphrase_file
@click.pass_obj
def revoke(session: Session, which: str, key: str | None, is_all: bool, passphrase_file: str | None) -> None:
    """End a key (its beginning, or the id of an OAuth key), or a whole program, at once."""
    from carnet.services.accounts.clients import LIVE, TEST, end_client, revoke_key
    from carnet.services.accounts.oauth import revoke_public_key
    from carnet.services.accounts.office import office_at
    from carnet.services.principals import Principal, Standing

    if is_all == (key is not None):
        raise click.UsageError("Name the key, or say --all.")
    operator = Principal(Standing.OPERATOR)
    with office_at(session.home, session.find_passphrase(passphrase_file)) as (office, _):
        if key is None:
            end_client(office, operator, which)
        elif key.startswith((LIVE, TEST)):
            revoke_key(office, operator, which, key.removesuffix("…"))
        else:
            revoke_public_key(office, operator, which, key)
    click.echo(f"Revoked {key or which}: it lets nobody in any more.")


def _read_jwk(path: Path) -> dict[str, Any]:
    from carnet.errors import Reason, Refused

    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        raise Refused(Reason.NOT_JSON, f"{path} is no JSON: it must be a public JWK", file=str(path)) from None
    if not isinstance(found, dict):
        raise Refused(Reason.WRONG_TYPE, f"{path} is no JWK", file=str(path))
    return found


def _tell_key(issued: Issued, is_json: bool) -> None:
    from carnet.cli.terminal import Terminal, format_moment, write_json_line

    if is_json:
        write_json_line({"client": issued.client.public_id, "key": issued.secret, "until": issued.until})
        return
    until = "until it is revoked" if issued.until is None else f"until {format_moment(issued.until)}"
    Terminal().say(f"The key of {issued.client.public_id} ({issued.client.name}), good {until}:")
    click.echo(f"\n  {issued.secret}\n")
    Terminal().say("It is shown now, and never again. Programs send it as `Authorization: Bearer KEY`.")


VERBS: dict[str, click.Command] = {"client": client}
