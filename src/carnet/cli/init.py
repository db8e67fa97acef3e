"""`carnet init`: a node with sensible defaults, in one word.

It asks nothing: every choice has a default, and every default an option.
"""

from __future__ import annotations

import click

from carnet.cli.group import as_json, passphrase_file, verb
from carnet.cli.session import Session


@verb(
    examples=(
        ("A node in the default folder", "carnet init"),
        (
            "Named, and run by an organisation",
            'carnet --home ./node init --name cars.example --operator "Example Data"',
        ),
        ("In a PostgreSQL database", "carnet init --store postgresql://carnet@db.example/carnet"),
        ("With its keys under a passphrase", "carnet init --passphrase-file ~/.carnet-passphrase"),
    )
)
@click.option("--name", metavar="NETWORK", help="The network's name, such as cars.example.  [this machine's]")
@click.option("--operator", metavar="NAME", help="The organisation that runs the node.")
@click.option("--kind", metavar="KIND", help="What kind of organisation it is.  [data_service]")
@click.option(
    "--store",
    "store_url",
    metavar="URL",
    help="A PostgreSQL database for the store: postgresql://USER@HOST/DATABASE.  [a SQLite file in the folder]",
)
@passphrase_file
@as_json
@click.pass_obj
def init(
    session: Session,
    name: str | None,
    operator: str | None,
    kind: str | None,
    store_url: str | None,
    passphrase_file: str | None,
    is_json: bool,
) -> None:
    """Make a node: keys, rules, log and an empty store.

    The keys stand in one file that only you can read (mode 0600). Whoever has it can sign in the node's name: keep a
    copy of it where you keep such things.
    """
    from carnet.cli.terminal import Terminal, write_json_line
    from carnet.node.keyring import is_under_passphrase
    from carnet.services.founding import check_store_url, found
    from carnet.vault.store import describe_address

    founded = found(
        session.home,
        name=name,
        operator_name=operator,
        operator_kind=kind,
        passphrase=session.find_passphrase(passphrase_file),
        store_url=None if store_url is None else check_store_url(store_url),
    )
    member = founded.operator
    if is_json:
        write_json_line(
            {
                "home": str(founded.home),
                "network": founded.network,
                "operator": {"id": member.id.hex(), "kind": str(member.kind), "name": member.name},
            }
        )
        return
    terminal = Terminal()
    terminal.say(terminal.shape("good"), f" Made a node in {founded.home}")
    terminal.facts(
        (
            ("network", founded.network),
            ("operator", f"{member.name} ({member.kind}), id {member.id.hex()}"),
            *([("store", describe_address(session.home.address))] if store_url else []),
            (
                "keys",
                f"{session.home.keys}"
                + (" (under the passphrase)" if is_under_passphrase(session.home.keys) else " (mode 0600)"),
            ),
        )
    )
    terminal.say("")
    terminal.say("Next: carnet import histovec FILE, or enrol an organisation with carnet member add.")


VERBS: dict[str, click.Command] = {"init": init}
