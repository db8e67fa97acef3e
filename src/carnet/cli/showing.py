"""`carnet show`: a passport of this node as a timeline.

It refuses to call anything proved: that is for `carnet verify` to say, about a file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from carnet.cli.group import as_json, passphrase_file, verb
from carnet.cli.session import Session, now_ms
from carnet.errors import Reason, Refused

if TYPE_CHECKING:
    from carnet.ledger.network import Fork
    from carnet.services.forking import Older


@verb(
    examples=(
        ("By VIN", "carnet show VFZZZZ000J0000000"),
        ("Only inspections and odometer readings", "carnet show VFZZZZ000J0000000 --only inspection,odometer"),
        ("By id, for a program", "carnet show 3fa8 --json"),
        ("Through a service", "carnet --server https://carnet.example --key-file my.key show VFZZZZ000J0000000"),
    )
)
@click.argument("which")
@click.option("--only", metavar="KIND,…", help="Only entries of these kinds, such as odometer,inspection.")
@passphrase_file
@as_json
@click.pass_obj
def show(session: Session, which: str, only: str | None, passphrase_file: str | None, is_json: bool) -> None:
    """Show a passport as a timeline, newest first.

    WHICH is a passport's id (or its beginning), a VIN, scheme:value or plate:COUNTRY:value. Corrections stand beside
    what they correct; nothing is ever overwritten. In a network that goes on from another it says where the older
    entries of this vehicle are.
    """
    if session.server is not None:
        from carnet.cli.remote import show_remote

        show_remote(session, which, only, passphrase_file, is_json)
        return
    from carnet.cli.terminal import Terminal, format_age, format_moment, write_json_line
    from carnet.cli.timeline import show_timeline
    from carnet.services.exporting import resolve_kinds
    from carnet.services.forking import find_older
    from carnet.services.reading import format_subject, open_reader
    from carnet.services.showing import open_passport

    passphrase = session.find_passphrase(passphrase_file)
    with open_reader(session.home, passphrase) as reader:
        kinds = None if only is None else resolve_kinds(reader, only.split(","))
        cited = reader.state.genesis.forked_from
        try:
            found = open_passport(reader, which, kinds)
        except Refused as refused:
            older = find_older(session.home, which, cited, passphrase)
            if older is None or refused.reason is not Reason.UNKNOWN_PASSPORT:
                raise
            where = f"carnet --home {older.home} show {which}"
            saying = f"{refused}; the network that this one goes on from has it: {where}"
            raise Refused(Reason.UNKNOWN_PASSPORT, saying, older=str(older.home)) from None
    older = None if cited is None else find_older(session.home, format_subject(found.subject), cited, passphrase)
    if is_json:
        write_json_line(found.to_document() | {"older": None if older is None else older.to_document()})
        return
    terminal, now = Terminal(), now_ms()
    terminal.say((format_subject(found.subject), "bold"), "  (closed)" if found.is_closed else "")
    counted = (
        "not yet"
        if found.census_at is None
        else f"{format_moment(found.census_at)} ({format_age(now - found.census_at)})"
    )
    terminal.facts(
        (
            ("passport", found.passport),
            ("entries", f"{found.entry_count:,}" + (f", {len(found.entries):,} shown" if kinds else "")),
            ("holder", f"{found.epoch + 1}" + (f" (changed hands {found.epoch} times)" if found.epoch > 1 else "")),
            ("sealed", f"{format_moment(found.sealed_at)} (newest entry)"),
            ("census", counted),
            *([] if cited is None else [("goes on from", _say_older(cited, older))]),
        )
    )
    terminal.say("")
    show_timeline(terminal, found.entries)


def _say_older(cited: Fork, older: Older | None) -> str:
    if older is None:
        return f"{cited.origin}, whose older passports are not beside this home, or none is of this vehicle"
    where = f"carnet --home {older.home} show {older.passport}"
    return f"{cited.origin}, which has {older.entry_count:,} older entries: {where}"


VERBS: dict[str, click.Command] = {"show": show}
