"""`carnet draft`, `carnet sign`, `carnet submit`: an entry written at the node's word, signed on another machine by a
member's own key, and sealed here.

Only `draft` and `submit` need a node. It refuses to overwrite a file unless told to.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from carnet.cli.group import OutsidePath, as_json, output_file, passphrase_file, verb
from carnet.cli.session import Session, is_interactive, now_ms, read_passphrase

if TYPE_CHECKING:
    from carnet.services.submitting import Submitted

SOME_TURNED = 1

own_passphrase_file = click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where the passphrase of the own key stands, if it is under one (first line).",
)


def find_own_passphrase(key: Path, file: Path | None) -> str | None:
    """The passphrase of an own key, from its file or from a person; None if it needs none, or nobody can say it."""
    from carnet.node.ownkey import needs_passphrase

    if file is not None:
        return read_passphrase(file)
    if not (needs_passphrase(key) and is_interactive()):
        return None
    return str(click.prompt(f"Passphrase of {key}", hide_input=True, err=True))


def write_output(output: Path | None, data: bytes, *, force: bool) -> None:
    """To standard output for None or -, else to a file of mode 0600, whole or not at all. Raises
    Refused(FILE_EXISTS) for a file with other contents, unless `force`."""
    if output is None or str(output) == "-":
        sys.stdout.buffer.write(data)
        return
    from carnet.errors import Reason, Refused
    from carnet.node.home import write_private

    if output.exists() and not force and output.read_bytes() != data:
        saying = f"{output} exists already; choose another name, or say --force"
        raise Refused(Reason.FILE_EXISTS, saying, file=str(output))
    write_private(output, data)


def read_input(file: Path) -> bytes:
    """A file, or standard input for -."""
    with click.open_file(str(file), "rb") as stream:
        data: bytes = stream.read()
    return data


@verb(
    examples=(
        (
            "A reading of the odometer, to be filled in and signed elsewhere",
            "carnet draft odometer VFZZZZ000J0000000 -o reading.json",
        ),
        ("One for each of several vehicles, one on a line", "carnet draft service 3fa81c 77b0e2 > services.ndjson"),
    )
)
@click.argument("kind")
@click.argument("which", nargs=-1, required=True)
@click.option("-o", "--output", type=OutsidePath(), metavar="FILE", help="Where to.  [standard output]")
@click.option("--force", is_flag=True, help="Overwrite FILE.")
@passphrase_file
@click.pass_obj
def draft(
    session: Session, kind: str, which: tuple[str, ...], output: Path | None, force: bool, passphrase_file: str | None
) -> None:
    """Write drafts for a member that signs elsewhere: JSON, with every field of the KIND still empty (null).

    Each WHICH is a passport. A draft holds no secret, but it names the vehicle: give it only to who may know it. Take
    out what stays unknown, or leave it null. `mark` 1 and the `target` of an entry (a statement id, `carnet show
    --json`) replace that entry.
    """
    import json

    from carnet.encoding import encode_trusted
    from carnet.services.drafting import make_drafts
    from carnet.services.reading import open_reader

    with open_reader(session.home, session.find_passphrase(passphrase_file)) as reader:
        drafts = make_drafts(reader, kind, which)
    if len(drafts) == 1:
        data = json.dumps(drafts[0], ensure_ascii=False, indent=2, sort_keys=True).encode() + b"\n"
    else:
        data = b"".join(encode_trusted(one) + b"\n" for one in drafts)
    write_output(output, data, force=force)


@verb(
    examples=(
        (
            "On the member's own machine, which has no node",
            "carnet sign reading.json --key garage.key -o reading.submission",
        ),
        ("Many at once, for a program", "carnet sign services.ndjson --key garage.key -o week.submission --json"),
    )
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--key",
    "key_path",
    required=True,
    type=click.Path(path_type=Path),
    metavar="KEY",
    help="The own key (carnet keys new).",
)
@output_file
@click.option("--force", is_flag=True, help="Overwrite FILE.")
@own_passphrase_file
@as_json
def sign(file: Path, key_path: Path, output: Path, force: bool, passphrase_file: Path | None, is_json: bool) -> None:
    """Sign drafts with a member's own key, on any machine: no node, no network.

    FILE holds one draft, or one on each line; - is standard input. All of them are signed at once, basis 1, or none.
    The submission that is written is for the passport's home (`carnet submit`). It holds what it says in clear: carry
    it as you would carry that.
    """
    from carnet.cli.terminal import Terminal, write_json_line
    from carnet.node.ownkey import load_own_key
    from carnet.passport.submission import write_submission
    from carnet.services.signing import sign_drafts

    key = load_own_key(key_path, find_own_passphrase(key_path, passphrase_file))
    submission = sign_drafts(read_input(file), key, now_ms())
    write_output(output, write_submission(submission), force=force)
    if str(output) == "-":
        return
    author = submission.author
    if is_json:
        write_json_line(
            {
                "created_ms": submission.created_ms,
                "file": str(output),
                "key": author.key_digest.hex(),
                "member": author.member.hex(),
                "network": key.network,
                "statements": [one.sid.hex() for one in submission.statements],
            }
        )
        return
    terminal = Terminal()
    terminal.say(
        terminal.shape("good"), f" {output}: {len(submission.statements):,} signed by {author.key_digest.hex()[:16]}"
    )
    terminal.say(("At the home of the passport: ", "dim"), f"carnet submit {output}")


@verb(
    examples=(
        ("Seal what a member signed elsewhere", "carnet submit reading.submission"),
        ("Its receipts, for the member's program", "carnet submit week.submission --json > week.receipts"),
    )
)
@click.argument("file", type=click.Path(path_type=Path))
@passphrase_file
@as_json
@click.pass_obj
def submit(session: Session, file: Path, passphrase_file: str | None, is_json: bool) -> int:
    """Verify and seal what a member signed with its own key on another machine; print its receipts.

    A file that was changed on its way is refused whole. Handed in again, it gets the same receipts, and nothing is
    sealed twice.

    \b
    Exit code  0  every statement is sealed, now or before
               1  refused, or some statements were turned away; the others are sealed
    """
    data = read_input(file)
    if session.server is not None:
        from carnet.cli.remote import submit_remote

        return submit_remote(session, data, passphrase_file, is_json)
    from carnet.services.founding import reach_writer_at
    from carnet.services.receipts import make_receipts
    from carnet.services.submitting import submit as take

    with reach_writer_at(session.home, session.find_passphrase(passphrase_file), session.command) as writer:
        found = take(writer, data)
        receipts = make_receipts(writer, found.receipts)
    _tell(found, receipts, is_json)
    return SOME_TURNED if found.turned else 0


def _tell(found: Submitted, receipts: list[dict[str, object]], is_json: bool) -> None:
    from carnet.cli.terminal import Piece, Terminal, write_json_line

    if is_json:
        write_json_line(
            {
                "duplicate": len(receipts) - found.sealed_count,
                "member": found.member.id.hex(),
                "receipts": receipts,
                "refused": [one.to_document() for one in found.turned],
                "sealed": found.sealed_count,
            }
        )
        return
    terminal = Terminal()
    known = len(receipts) - found.sealed_count
    again = f", {known:,} were sealed before" if known else ""
    shape = "unsure" if found.turned else "good"
    terminal.say(terminal.shape(shape), f" {found.member.name}: {found.sealed_count:,} sealed{again}")
    rows: list[list[Piece]] = [
        [str(one["passport"]), str(one["seq"]), str(one["record"]), str(one["statement"])[:16]] for one in receipts
    ]
    if rows:
        terminal.table(("passport", "#", "record", "statement"), rows, right=(1, 2), whole=(0,))
    for one in found.turned:
        terminal.say(
            terminal.shape("bad"),
            f" statement {one.place + 1} ({one.sid.hex()[:16]}) was turned away: {one.refused.message}",
            (f"  (code: {one.refused.reason.value})", "dim"),
        )


VERBS: dict[str, click.Command] = {"draft": draft, "sign": sign, "submit": submit}
