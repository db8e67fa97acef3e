"""`carnet keys`: which keys there are, and the passphrase over those that this node keeps.

No secret is ever printed.
"""

from __future__ import annotations

from pathlib import Path

import click

from carnet.cli.group import TeachingGroup, as_json, passphrase_file
from carnet.cli.session import Session, read_passphrase


@click.group(
    cls=TeachingGroup,
    examples=(
        ("See them", "carnet keys list"),
        ("Put them under a passphrase", "carnet keys passphrase --new-file ~/.carnet-passphrase"),
    ),
)
def keys() -> None:
    """Look at this node's keys; put them under a passphrase."""


@keys.command("list", examples=(("Every key that a member lists, and whether this node keeps it", "carnet keys list"),))
@passphrase_file
@as_json
@click.pass_obj
def list_(session: Session, passphrase_file: str | None, is_json: bool) -> None:
    """List the keys of all members: role, custody, digest, revocation."""
    from carnet.cli.terminal import Piece, Terminal, write_json_line
    from carnet.services.members import list_keys
    from carnet.services.reading import open_reader

    with open_reader(session.home, session.find_passphrase(passphrase_file)) as reader:
        found = list(list_keys(reader.state.members.all))
        log_key = reader.get_log_key()
    if is_json:
        write_json_line({"key": log_key.format(), "member": None, "role": "log"})
        for one in found:
            write_json_line(
                {
                    "custody": one.custody,
                    "digest": one.key.digest.hex(),
                    "disputed_since": one.key.disputed_since,
                    "member": one.member.id.hex(),
                    "name": one.member.name,
                    "revoked": one.key.revoked,
                    "role": one.role,
                }
            )
        return
    rows: list[list[Piece]] = [["log", "node", log_key.key_id.hex(), log_key.name.split("/")[0], ""]]
    for one in found:
        state: Piece = ("", "") if one.key.revoked is None else (f"revoked at record {one.key.revoked}", "yellow")
        rows.append([one.role, one.custody, one.key.digest.hex()[:16], one.member.name, state])
    Terminal().table(("role", "custody", "digest", "member", ""), rows)


@keys.command(
    examples=(
        ("Set one, or change it", "carnet keys passphrase --new-file ~/.carnet-passphrase"),
        (
            "Change it, where the old one stands in a file too",
            "carnet keys passphrase --passphrase-file old --new-file new",
        ),
        ("Take it away", "carnet keys passphrase --passphrase-file old --remove"),
    )
)
@click.option(
    "--new-file", type=click.Path(path_type=Path), metavar="FILE", help="Where the new passphrase stands (first line)."
)
@click.option("--remove", is_flag=True, help="Keep the keys in clear, in a file of mode 0600.")
@passphrase_file
@click.pass_obj
def passphrase(session: Session, new_file: Path | None, remove: bool, passphrase_file: str | None) -> None:
    """Put the key ring under a passphrase, change it, or take it away.

    Whoever loses the passphrase loses the node: nothing can be signed any more, and nothing be read.
    """
    from carnet.services.keeping import change_passphrase

    if remove == (new_file is not None):
        raise click.UsageError("Say --new-file FILE (read from a file, so that no shell keeps it), or --remove.")
    new = None if new_file is None else read_passphrase(new_file)
    change_passphrase(session.home, session.find_passphrase(passphrase_file), new)
    click.echo(
        "The keys are in clear now, in a file of mode 0600." if new is None else "The keys are under the passphrase."
    )


VERBS: dict[str, click.Command] = {"keys": keys}
