"""`carnet keys`: which keys there are, replacing and revoking them, and the passphrase over those that this node keeps.

No secret is ever printed. It refuses to revoke anything before it has said what that does.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from carnet.cli.group import OutsidePath, TeachingGroup, as_json, passphrase_file, yes
from carnet.cli.session import Session, end_unconfirmed, is_interactive, read_passphrase
from carnet.cli.signing import find_own_passphrase, own_passphrase_file, write_output

if TYPE_CHECKING:
    from carnet.cli.terminal import Piece, Terminal
    from carnet.services.keeping import Ending, KeyLine

disputed_since = click.option(
    "--disputed-since",
    metavar="RECORD|TIME",
    help="Since when it may have been in wrong hands: a log record (120), or a moment (2026-11-24, 2026-11-24T18:30Z).",
)


@click.group(
    cls=TeachingGroup,
    examples=(
        ("See them", "carnet keys list"),
        ("Replace the node's key", "carnet keys rotate node"),
        ("End a key that was stolen on Tuesday", "carnet keys revoke 3fa81c --disputed-since 2026-11-24"),
        ("Put them under a passphrase", "carnet keys passphrase --new-file ~/.carnet-passphrase"),
        ("A key of one's own, for signing outside the node", "carnet keys new garage.key"),
    ),
)
def keys() -> None:
    """Look at keys; make, replace, revoke and protect them."""


@keys.command("list", examples=(("Every key that a member lists, and whether this node keeps it", "carnet keys list"),))
@passphrase_file
@as_json
@click.pass_obj
def list_(session: Session, passphrase_file: str | None, is_json: bool) -> None:
    """List the keys of all members: whose, for what, who holds the secret, since which log record, revoked, disputed.

    A key stays listed for ever: what it signed while it was in force is still verified with it.
    """
    from carnet.cli.terminal import Terminal, write_json_line
    from carnet.services.keeping import list_keys
    from carnet.services.reading import open_reader

    with open_reader(session.home, session.find_passphrase(passphrase_file)) as reader:
        found = list_keys(reader)
        log_key = reader.get_log_key()
    if is_json:
        write_json_line({"custody": "node", "key": log_key.format(), "member": None, "role": "log", "since": 0})
        for one in found:
            write_json_line(one.to_document())
        return
    rows: list[list[Piece]] = [["log", "node", log_key.key_id.hex(), log_key.name.split("/")[0], "0", ""]]
    for one in found:
        digest = one.key.digest.hex()[:16]
        rows.append([one.role, one.custody, digest, one.member.name, str(one.since), _describe_state(one)])
    Terminal().table(("role", "custody", "digest", "member", "since", ""), rows, right=(4,), whole=(2,))


@keys.command(
    examples=(
        ("The node's own key", "carnet keys rotate node"),
        (
            "A hosted member's, which may have been copied since record 120",
            "carnet keys rotate 3fa81c --disputed-since 120 --yes",
        ),
        ("The node's, when only an older copy of keys.json is left", "carnet keys rotate node --lost"),
    )
)
@click.argument("key")
@disputed_since
@click.option("--lost", is_flag=True, help="The node's key is not in keys.json, which is older than its last rotation.")
@yes
@passphrase_file
@as_json
@click.pass_obj
def rotate(
    session: Session,
    key: str,
    disputed_since: str | None,
    lost: bool,
    yes: bool,
    passphrase_file: str | None,
    is_json: bool,
) -> int:
    """Replace a key that this node keeps: a new one is listed, the old one is revoked, in one step.

    KEY is `node`, a member that has one key, or the beginning of a digest (`carnet keys list`). What the old key
    signed stays verifiable. Killed at any moment, it has not begun, or the next command that writes finishes it. Back
    up the node afterwards: an older keys.json cannot seal. It asks only where --disputed-since marks entries.
    """
    from carnet.services.accounts.office import OPERATOR_HERE
    from carnet.services.governing import acting_at, carry_out
    from carnet.services.keeping import NODE, plan_ending, replace_lost_node_key
    from carnet.services.reading import open_reader

    if lost and (key != NODE or disputed_since is not None):
        raise click.UsageError(
            "--lost is for the node's key alone, and disputes nothing: carnet keys rotate node --lost"
        )
    passphrase = session.find_passphrase(passphrase_file)
    if lost:
        new = replace_lost_node_key(session.home, passphrase, session.command)
        return _tell_new(session, passphrase, new.digest, is_json)
    with open_reader(session.home, passphrase) as reader:
        ending = plan_ending(reader, key, disputed_since, is_rotation=True)
    if disputed_since is not None and not _confirm(ending, "Replace this key", yes=yes, is_json=is_json):
        return end_unconfirmed(is_json=is_json)
    with acting_at(session.home, passphrase, session.command) as (writer, office):
        done = carry_out(writer, office, OPERATOR_HERE, ending.rotation)
    return _tell_new(session, passphrase, done.key or b"", is_json)


@keys.command(
    examples=(
        ("What it would do; then it asks", "carnet keys revoke 3fa81c"),
        ("A stolen one, from a script", "carnet keys revoke 3fa81c --disputed-since 2026-11-24T18:30Z --yes --json"),
    )
)
@click.argument("key")
@disputed_since
@yes
@passphrase_file
@as_json
@click.pass_obj
def revoke(
    session: Session, key: str, disputed_since: str | None, yes: bool, passphrase_file: str | None, is_json: bool
) -> int:
    """End a key, for ever: nothing that it signed is sealed from now on.

    KEY is a member that has one key, or the beginning of a digest (`carnet keys list`). What was sealed before stays
    valid. With --disputed-since, proofs mark what it signed since then as disputed: never as altered, for nobody can
    know.
    """
    from carnet.cli.terminal import Terminal, write_json_line
    from carnet.services.accounts.office import OPERATOR_HERE
    from carnet.services.governing import acting_at, carry_out
    from carnet.services.keeping import list_keys, plan_ending
    from carnet.services.reading import open_reader

    passphrase = session.find_passphrase(passphrase_file)
    with open_reader(session.home, passphrase) as reader:
        ending = plan_ending(reader, key, disputed_since)
    if not _confirm(ending, "Revoke this key for ever", yes=yes, is_json=is_json):
        return end_unconfirmed(is_json=is_json)
    with acting_at(session.home, passphrase, session.command) as (writer, office):
        carry_out(writer, office, OPERATOR_HERE, ending.revocation)
    with open_reader(session.home, passphrase) as reader:
        (line,) = [one for one in list_keys(reader) if one.key.digest == ending.line.key.digest]
    if is_json:
        write_json_line(line.to_document())
        return 0
    terminal = Terminal()
    terminal.say(terminal.shape("good"), f" Revoked at record {line.key.revoked}: {line.key.digest.hex()}")
    return 0


@keys.command(
    examples=(
        ("On the member's own machine", "carnet keys new garage.key"),
        ("Under a passphrase, which is asked for", "carnet keys new garage.key --with-passphrase"),
    )
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--with-passphrase", is_flag=True, help="Ask for a passphrase to put the key under.")
@own_passphrase_file
@as_json
def new(file: Path, with_passphrase: bool, passphrase_file: Path | None, is_json: bool) -> None:
    """Make an own key in FILE (mode 0600), and print its public half. Needs no node.

    Whoever has the file can sign in the member's name. It is in no node's backup: keep a copy, or be ready to list
    another key. Next, tie it to a member of a network with `carnet keys enrol`.
    """
    from carnet.cli.terminal import Terminal, write_json_line
    from carnet.encoding import b64
    from carnet.services.signing import make_own_key

    chosen = None if passphrase_file is None else read_passphrase(passphrase_file)
    if with_passphrase and chosen is None:
        if is_json or not is_interactive():
            raise click.UsageError("Nobody is here to ask: name the file of the passphrase with --passphrase-file.")
        chosen = str(click.prompt(f"Passphrase of {file}", hide_input=True, confirmation_prompt=True, err=True))
    signer = make_own_key(file, chosen).signer
    if is_json:
        write_json_line({"digest": signer.digest.hex(), "file": str(file), "public": b64(signer.public)})
        return
    terminal = Terminal()
    terminal.say(terminal.shape("good"), f" {file}" + (" (mode 0600)" if chosen is None else " (under the passphrase)"))
    terminal.facts((("public", b64(signer.public)), ("digest", signer.digest.hex())))


@keys.command(
    examples=(
        ("A new member", "carnet keys enrol garage.key --policy network.policy -o garage.enrolment"),
        (
            "One that is enrolled already, and needs another key",
            "carnet keys enrol new.key --policy net.policy --member 3fa81c00112233445566778899aabbcc -o new.enrolment",
        ),
    )
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--policy",
    required=True,
    type=click.Path(path_type=Path),
    help="The network's policy, as its node prints it (carnet policy).",
)
@click.option("--member", metavar="ID", help="The member's id, if it is enrolled already (32 hexadecimal digits).")
@click.option("-o", "--output", type=OutsidePath(), metavar="FILE", help="Where to.  [standard output]")
@click.option("--force", is_flag=True, help="Overwrite FILE.")
@own_passphrase_file
def enrol(
    file: Path, policy: Path, member: str | None, output: Path | None, force: bool, passphrase_file: Path | None
) -> None:
    """Write the file by which a member proves to a node that it has the own key in FILE. Needs no node.

    The node's operator lists the key with it: `carnet member add --enrolment`, or `carnet member add-key --enrolment`
    for another key of a member. The proof holds no secret. From now on the key belongs to that member of that network.
    """
    from carnet.services.signing import enrol_own_key

    key, document = enrol_own_key(file, find_own_passphrase(file, passphrase_file), policy, member)
    write_output(output, document, force=force)
    click.echo(f"member {(key.member or b'').hex()}, key {key.signer.digest.hex()}, network {key.network}", err=True)


@keys.command(
    examples=(
        ("Set one, or change it, when you sit at a terminal", "carnet keys passphrase"),
        ("From a file, so that no shell keeps it", "carnet keys passphrase --new-file ~/.carnet-passphrase"),
        ("A key file that nobody has to type; it is made", "carnet keys passphrase --new-key-file ~/.carnet-key"),
        (
            "Change it, where the old one stands in a file too",
            "carnet keys passphrase --passphrase-file old --new-file new",
        ),
        ("Take it away", "carnet keys passphrase --passphrase-file old --remove"),
    )
)
@click.option("--new-file", type=OutsidePath(), metavar="FILE", help="Where the new passphrase stands (first line).")
@click.option(
    "--new-key-file",
    type=OutsidePath(),
    metavar="FILE",
    help="The key file to use from now on (mode 0600); made, with 32 random bytes, if there is none.",
)
@click.option("--remove", is_flag=True, help="Keep the keys in clear, in a file of mode 0600.")
@passphrase_file
@click.pass_obj
def passphrase(
    session: Session, new_file: Path | None, new_key_file: Path | None, remove: bool, passphrase_file: str | None
) -> None:
    """Put the key ring under a passphrase or a key file, change it, or take it away.

    Whoever loses it loses the node: nothing can be signed any more, and nothing be read. The secrets themselves stay
    the same; a copy of keys.json from before still opens with what it was under then.
    """
    from carnet.node.home import check_private
    from carnet.services.keeping import change_passphrase, make_key_file

    if sum((remove, new_file is not None, new_key_file is not None)) > 1:
        raise click.UsageError("Say one of --new-file, --new-key-file and --remove.")
    old = session.find_passphrase(passphrase_file)
    made = None
    if new_key_file is not None and not new_key_file.exists():
        made = new_key_file
        new: str | None = make_key_file(new_key_file)
    elif new_key_file is not None:
        new = read_passphrase(check_private(new_key_file))
    else:
        new = None if remove else _find_new(new_file)
    try:
        change_passphrase(session.home, old, new)
    except BaseException:
        if made is not None:
            made.unlink()
        raise
    if new is None:
        click.echo("The keys are in clear now, in a file of mode 0600.")
    else:
        click.echo(f"The keys are under {f'the key file {new_key_file}' if new_key_file else 'the passphrase'}.")


def _find_new(file: Path | None) -> str:
    """The new passphrase: from its file, or from a person who writes it twice."""
    if file is not None:
        return read_passphrase(file)
    if not is_interactive():
        raise click.UsageError(
            "Say --new-file FILE (read from a file, so that no shell keeps it), --new-key-file FILE or --remove."
        )
    return str(click.prompt("New passphrase of this node's keys", hide_input=True, confirmation_prompt=True, err=True))


def _confirm(ending: Ending, question: str, *, yes: bool, is_json: bool) -> bool:
    """Say what it does, and have it confirmed by --yes or by a person. False: neither, or the person said no."""
    from carnet.cli.terminal import Terminal

    if not is_json:
        _explain(Terminal(), ending)
    if yes:
        return True
    return not is_json and is_interactive() and click.confirm(f"{question}?", default=False, err=True)


def _explain(terminal: Terminal, ending: Ending) -> None:
    from carnet.cli.terminal import format_moment

    line = ending.line
    terminal.say((line.member.name, "bold"), f": {line.role} key {line.key.digest.hex()[:16]}, custody {line.custody}")
    terminal.rule("What this does")
    is_author = line.role != "node"
    terminal.say("Nothing more that it signs is sealed; what it signed and is not sealed yet stays outside.", indent=2)
    signed = f"Its {ending.signed_count:,} entries" if is_author else "Everything that it sealed"
    terminal.say(f"{signed} stay{'' if is_author else 's'} valid, and verifiable with it.", indent=2)
    if ending.disputed_since is not None:
        when = "" if ending.disputed_at is None else f" ({format_moment(ending.disputed_at)})"
        since = f"since record {ending.disputed_since:,}{when}"
        terminal.say(
            f"{ending.disputed_count:,} of them, sealed {since}, are marked disputed; no proof becomes altered."
            if is_author
            else f"It is listed as disputed {since}. No entry is marked: that is for the keys of authors.",
            indent=2,
        )
    if ending.is_last and line.role != "node":
        terminal.say(f"{line.member.name} has no other such key: until it has one, it can write nothing.", indent=2)
    terminal.say("It cannot be undone: a key is listed once, ever.", indent=2)


def _tell_new(session: Session, passphrase: str | None, digest: bytes, is_json: bool) -> int:
    from carnet.cli.terminal import Terminal, write_json_line
    from carnet.services.keeping import list_keys
    from carnet.services.reading import open_reader

    with open_reader(session.home, passphrase) as reader:
        (line,) = [one for one in list_keys(reader) if one.key.digest == digest]
    if is_json:
        write_json_line(line.to_document())
        return 0
    terminal = Terminal()
    terminal.say(terminal.shape("good"), f" {line.member.name} signs with a new key now: {digest.hex()}")
    terminal.say("Back up the node now: an older copy of keys.json has not got it.", indent=2)
    return 0


def _describe_state(line: KeyLine) -> Piece:
    notes = []
    if line.key.revoked is not None:
        notes.append(f"revoked at record {line.key.revoked}")
    if line.key.disputed_since is not None:
        notes.append(f"disputed since record {line.key.disputed_since}")
    if line.is_kept is False and line.key.revoked is None:
        notes.append("not in keys.json: replace it with carnet keys rotate")
    return (", ".join(notes), "yellow") if notes else ""


VERBS: dict[str, click.Command] = {"keys": keys}
