"""`carnet member appearance`: how a member looks in pages that it shows to its customers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from carnet.cli.group import Teaching, as_json, passphrase_file
from carnet.cli.session import Session

if TYPE_CHECKING:
    from carnet.services.accounts.office import Office
    from carnet.services.appearance.looks import Look

EXAMPLES = (
    ("As it is", 'carnet member appearance "Garage des Tilleuls"'),
    (
        "Name and colours; a contrast that is too low is refused with the nearest colours that would do",
        'carnet member appearance Tilleuls --name "Les Tilleuls" --ink "#0b3d91" --paper "#ffffff"',
    ),
    (
        "Which pages may show the passport in a frame (all of them, each time)",
        "carnet member appearance Tilleuls --origin https://app.tilleuls.example",
    ),
    ("A logo", "carnet member appearance Tilleuls --logo logo.png"),
    ("Look like Carnet again", "carnet member appearance Tilleuls --remove"),
)


@click.command("appearance", cls=Teaching, examples=EXAMPLES)
@click.argument("which")
@click.option("--name", help="What its customers call it.  [its name in the network]")
@click.option("--ink", metavar="#RRGGBB", help="The dark colour: text by day, ground by night.")
@click.option("--paper", metavar="#RRGGBB", help="The light colour: ground by day, text by night.")
@click.option("--origin", "origins", multiple=True, metavar="URL", help="An exact https origin that may frame it.")
@click.option("--no-origins", is_flag=True, help="No page may frame it any more.")
@click.option("--logo", type=click.Path(path_type=Path), metavar="FILE", help="A PNG, JPEG or WebP, at most 64 kB.")
@click.option("--remove", is_flag=True, help="Look like Carnet again.")
@passphrase_file
@as_json
@click.pass_obj
def appearance(
    session: Session,
    which: str,
    name: str | None,
    ink: str | None,
    paper: str | None,
    origins: tuple[str, ...],
    no_origins: bool,
    logo: Path | None,
    remove: bool,
    passphrase_file: str | None,
    is_json: bool,
) -> None:
    """Show how a member looks in the pages that it shows to its customers, or set it.

    Account, consent and data stay the holder's whatever a page looks like, and a member that leaves takes nothing with
    it. What is not named stays as it is.
    """
    from carnet.services.accounts.office import office_at
    from carnet.services.appearance.looks import find_kept_look, remove_look, set_logo
    from carnet.services.founding import find_member
    from carnet.services.principals import Principal, Standing

    if origins and no_origins:
        raise click.UsageError("Say --origin or --no-origins, not both.")
    picture = None if logo is None else logo.read_bytes()
    operator = Principal(Standing.OPERATOR)
    with office_at(session.home, session.find_passphrase(passphrase_file)) as (office, reader):
        member = find_member(reader.state.members.all, which)
        if remove:
            remove_look(office, operator, member.id)
        look = find_kept_look(office.people, member.id)
        changed = {key: text for key, text in (("name", name), ("ink", ink), ("paper", paper)) if text is not None}
        if changed or origins or no_origins:
            kept = () if no_origins else origins or (() if look is None else look.origins)
            look = _set(office, member.id, {"name": member.name} if look is None else {}, changed, kept, look)
        if picture is not None:
            look = set_logo(office, operator, member.id, picture)
    _tell(member.name, look, is_json)


def _set(
    office: Office, member: bytes, named: dict[str, str], changed: dict[str, str], origins: Any, look: Look | None
) -> Look:
    from carnet.services.appearance.looks import set_look
    from carnet.services.principals import Principal, Standing
    from carnet.services.settings import find_settings

    kept = {} if look is None else {"name": look.name, "ink": look.colours.ink, "paper": look.colours.paper}
    wanted = {**named, **kept, **changed}
    missing = [f"--{name}" for name in ("ink", "paper") if name not in wanted]
    if missing:
        raise click.UsageError(f"A first look needs {' and '.join(missing)} too.")
    return set_look(
        office,
        Principal(Standing.OPERATOR),
        member,
        name=wanted["name"],
        ink=wanted["ink"],
        paper=wanted["paper"],
        origins=origins,
        is_secure=find_settings({}, os.environ).is_secure,
    )


def _tell(name: str, look: Look | None, is_json: bool) -> None:
    from carnet.cli.terminal import Terminal, format_moment, write_json_line
    from carnet.services.appearance.colours import list_pairs

    if look is None:
        if is_json:
            write_json_line({"appearance": None, "member": name})
        else:
            click.echo(f"{name} has no look of its own: its customers see Carnet's.")
        return
    if is_json:
        shown = {"ink": look.colours.ink, "name": look.name, "origins": list(look.origins), "paper": look.colours.paper}
        logo = None if look.logo_size is None else list(look.logo_size)
        write_json_line(
            {"appearance": {**shown, "changed": look.changed_at, "logo": logo}, "member": name, "page": _page(look)}
        )
        return
    terminal = Terminal()
    terminal.say((look.name, "bold"), f"  as customers of {name} see it, since {format_moment(look.changed_at)}")
    size = look.logo_size
    terminal.facts(
        (
            ("ink, paper", f"{look.colours.ink}, {look.colours.paper}"),
            ("logo", "none" if size is None else f"{size[0]} by {size[1]} pixels"),
            ("may frame it", ", ".join(look.origins) or "nobody"),
            ("page", _page(look)),
        )
    )
    for pair in list_pairs(look.colours):
        terminal.facts(((pair.what, f"{pair.ratio:.1f}:1 (at least {pair.needed:g}:1)"),))


def _page(look: Look) -> str:
    return f"/with/{look.public_id}"
