"""`carnet backup`, `carnet restore`, `carnet checkpoint`: the node in one file, and back.

It says what to keep beside a backup, and why a restored copy only reads. It refuses to write a backup in clear.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from carnet.cli.group import OutsidePath, as_json, verb
from carnet.cli.session import Session, find_backup_passphrase

if TYPE_CHECKING:
    from carnet.cli.terminal import Terminal
    from carnet.node.backup.envelope import Opener, Sealer
    from carnet.services.backup import About, Progress, Restored, Shown, Taken

backup_passphrase = click.option(
    "--passphrase-file",
    type=click.Path(),
    metavar="FILE",
    help="Where the backup's passphrase stands (first line).  [$CARNET_BACKUP_PASSPHRASE_FILE]",
)


@verb(
    examples=(
        ("Under a passphrase, while the node runs", "carnet backup -o /media/node.backup --passphrase-file ~/.backup"),
        ("Make a key; its secret half stays elsewhere", "carnet backup --new-key backup.key"),
        ("For that key: this machine cannot open it", "carnet backup -o /media/node.backup --to carnet-backup:…"),
    )
)
@click.option("-o", "--output", type=OutsidePath(dir_okay=False), metavar="FILE", help="Where to; on another disk.")
@backup_passphrase
@click.option("--to", "recipient", metavar="RECIPIENT", help="Seal it for this backup key instead.")
@click.option(
    "--new-key",
    type=OutsidePath(dir_okay=False),
    metavar="FILE",
    help="Make a backup key, keep its secret in FILE, print its recipient, and do nothing else.",
)
@click.option("--force", is_flag=True, help="Replace FILE, once the new one is whole.")
@click.option(
    "--scratch",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="Where a copy of the store has room for a moment.  [the node's folder]",
)
@as_json
@click.pass_obj
def backup(
    session: Session,
    output: Path | None,
    passphrase_file: str | None,
    recipient: str | None,
    new_key: Path | None,
    force: bool,
    scratch: Path | None,
    is_json: bool,
) -> None:
    """Write the whole node to one encrypted file, also while it imports.

    Store, keys, erasures and trusted policies, as of one moment of the log. The keys stay under their own passphrase
    if they have one. The journal of erasures is kept beside the file: a restore needs the newest.
    """
    from carnet.cli.terminal import write_json_line
    from carnet.services.backup import back_up, make_key

    if new_key is not None:
        made = make_key(new_key).format()
        if is_json:
            write_json_line({"recipient": made, "secret": str(new_key)})
        else:
            click.echo(made)
            click.echo(f"The secret is in {new_key}: move it to where you restore; it opens every backup.", err=True)
        return
    if output is None:
        raise click.UsageError("Say where to: -o FILE.")
    sealer = _find_sealer(passphrase_file, recipient)
    with show_progress(is_json=is_json) as progress:
        taken = back_up(session.home, output, sealer, scratch=scratch, is_replacing=force, progress=progress)
    if is_json:
        write_json_line(_to_document(taken))
    else:
        _tell_taken(taken, is_for_key=recipient is not None)
    if taken.moment.has_uncleared:
        click.echo(
            "Note: bytes of an erasure may still be in the store, and then they are in this backup. End what reads\n"
            "  this home, let any command write, and make the backup again.",
            err=True,
        )


def _find_sealer(passphrase_file: str | None, recipient: str | None) -> Sealer:
    from carnet.services.backup import Passphrase, Recipient

    if recipient is not None:
        if passphrase_file is not None:
            raise click.UsageError("Choose one: --passphrase-file FILE or --to RECIPIENT.")
        return Recipient.parse(recipient)
    passphrase = find_backup_passphrase(passphrase_file, is_new=True)
    if passphrase is None:
        raise click.UsageError("A backup is never in clear: say --passphrase-file FILE or --to RECIPIENT.")
    return Passphrase(passphrase)


def _to_document(taken: Taken) -> dict[str, Any]:
    from carnet.encoding import b64

    moment = taken.moment
    return {
        "at": taken.at,
        "bytes": taken.byte_count,
        "erasures": taken.erasure_count,
        "file": str(taken.file),
        "journal": str(taken.journal),
        "log_size": moment.log_size,
        "network": moment.origin,
        "noted": taken.is_noted,
        "root": b64(moment.root),
        "uncleared": moment.has_uncleared,
    }


def _tell_taken(taken: Taken, *, is_for_key: bool) -> None:
    from carnet.cli.terminal import Terminal, format_moment

    terminal, moment = Terminal(), taken.moment
    said = f" {taken.file}: {taken.byte_count:,} bytes, the log with {moment.log_size:,} records"
    terminal.say(terminal.shape("good"), said, f", as of {format_moment(taken.at)}")
    terminal.rule("Keep beside it, and not only here")
    secret = "the secret key file of its recipient" if is_for_key else "the passphrase of this backup"
    terminal.say(f"{secret}; without it nothing opens", indent=2)
    terminal.say("the passphrase of the node's keys, if they are under one", indent=2)
    terminal.say(f"{taken.journal}: what was erased ({taken.erasure_count:,}); after each erasure the newest", indent=2)
    terminal.say("the newest signed head (carnet checkpoint) or proof: only with it may a copy write again", indent=2)


@verb(
    examples=(
        ("A copy that only reads", "carnet --home ./copy restore node.backup --passphrase-file ~/.backup"),
        (
            "The node again: the newest proof or head that anybody has says that nothing is missing",
            "carnet --home ./node restore node.backup --key-file backup.key --checkpoint newest.carnet",
        ),
        ("Show the head later, to a copy that only reads", "carnet --home ./copy restore --checkpoint head.note"),
        ("Erase in it what was erased since", "carnet --home ./copy restore --erasures erasures.journal"),
        (
            "No newest head is left: go on as another network, the copy beside it in ./fork.old",
            "carnet --home ./fork restore node.backup --key-file backup.key --fork",
        ),
    )
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The newest signed head of this log, or the newest proof, from outside.",
)
@click.option(
    "--erasures",
    type=click.Path(path_type=Path, dir_okay=False),
    multiple=True,
    metavar="JOURNAL",
    help="A newer journal of erasures; the one beside FILE is found.",
)
@click.option("--fork", is_flag=True, help="Go on as a new network that cites this one; the copy stays beside it.")
@click.option("--name", metavar="NETWORK", help="With --fork, the new network's name.  [fork. and the old one's]")
@click.option("--check", is_flag=True, help="Check everything that is restored (as fsck does) before it gets its name.")
@backup_passphrase
@click.option("--key-file", type=click.Path(path_type=Path), help="The secret of the backup key it was sealed for.")
@click.option(
    "--keys-passphrase-file",
    type=click.Path(),
    metavar="FILE",
    help="The passphrase of the node's own keys, if they are under one.  [$CARNET_PASSPHRASE_FILE]",
)
@as_json
@click.pass_obj
def restore(
    session: Session,
    file: Path | None,
    checkpoint: Path | None,
    erasures: tuple[Path, ...],
    fork: bool,
    name: str | None,
    check: bool,
    passphrase_file: str | None,
    key_file: Path | None,
    keys_passphrase_file: str | None,
    is_json: bool,
) -> None:
    """Make a node of a backup, in a new folder (--home).

    An altered, cut or mixed copy is refused, and leaves nothing. What was erased since is erased again. The copy only
    reads: it cannot know whether it is the newest, and two ends of one log must never be written. Shown the newest
    head from outside, it may write, unless records are missing.

    With --fork the copy goes beside --home, under its name with .old, and --home becomes another network, with keys and
    a policy of its own, whose genesis cites the old log. It begins empty; the old passports stay in the copy.
    """
    from carnet.services.backup import read_head

    if name is not None and not fork:
        raise click.UsageError("--name goes with --fork: a restored copy keeps the name of its network.")
    if fork and checkpoint is not None:
        raise click.UsageError("With the newest head the copy itself may write: leave --fork out.")
    ring = session.find_passphrase(keys_passphrase_file)
    if fork:
        from carnet.cli.forking import show_fork
        from carnet.services.backup import Wish
        from carnet.services.forking import fork as fork_network

        with show_progress(is_json=is_json) as progress:
            forked = fork_network(
                file,
                session.home,
                lambda about: find_opener(about, passphrase_file, key_file),
                wish=Wish(ring, erasures, None, check),
                name=name,
                progress=progress,
            )
        show_fork(forked, is_json=is_json)
        return
    head = None if checkpoint is None else read_head(checkpoint)
    if file is None:
        _go_on(session, head, erasures, ring, is_json=is_json)
        return
    from carnet.services.backup import Wish
    from carnet.services.backup import restore as restore_file

    wish = Wish(ring, erasures, head, check)
    with show_progress(is_json=is_json) as progress:
        restored = restore_file(
            file,
            session.home,
            lambda about: find_opener(about, passphrase_file, key_file),
            wish=wish,
            progress=progress,
        )
    _report(restored, is_json=is_json)


def find_opener(about: About, passphrase_file: str | None, key_file: Path | None) -> Opener:
    """What opens a backup: the key in a file, or a passphrase."""
    from carnet.services.backup import Passphrase, read_key

    if key_file is not None:
        return read_key(key_file)
    if about.is_for_key and passphrase_file is None:
        raise click.UsageError("This backup was sealed for a key: say --key-file FILE.")
    passphrase = find_backup_passphrase(passphrase_file, is_new=False)
    if passphrase is None:
        raise click.UsageError("This backup is under a passphrase: say --passphrase-file FILE.")
    return Passphrase(passphrase)


def _go_on(
    session: Session, head: bytes | None, erasures: tuple[Path, ...], ring: str | None, *, is_json: bool
) -> None:
    """With a copy that was restored before."""
    from carnet.cli.terminal import Terminal, write_json_line
    from carnet.services.backup import apply_newer_journals, show_newest_head

    if head is None and not erasures:
        raise click.UsageError("Say which backup: carnet restore FILE; or show a restored copy --checkpoint FILE.")
    terminal, document = Terminal(), dict[str, Any]()
    if erasures:
        count, is_gone = apply_newer_journals(session.home, erasures, ring)
        document |= {"erased": count, "gone": is_gone}
        if not is_json:
            terminal.say(terminal.shape("good"), f" {count:,} erasures carried out that this copy lacked")
        warn_if_left(is_gone=is_gone)
    if head is not None:
        shown = show_newest_head(session.home, head, ring)
        document |= _shown_to_document(shown)
        if not is_json:
            _tell_shown(terminal, shown)
    if is_json:
        write_json_line(document)


def _shown_to_document(shown: Shown) -> dict[str, Any]:
    return {"head": shown.checkpoint.size, "log_size": shown.log_size, "older": shown.is_older, "writes": True}


def _tell_shown(terminal: Terminal, shown: Shown) -> None:
    said = f" It holds all {shown.checkpoint.size:,} records that the log has signed there, and may write again."
    terminal.say(terminal.shape("good"), said)
    terminal.say("Stop whatever else still writes as this node: two writers would give its log two ends.", indent=2)
    if shown.is_older:
        said = (
            "Note: that head is older than the newest in the backup itself, so it shows nothing about what came later."
        )
        click.echo(said, err=True)


def warn_if_left(*, is_gone: bool) -> None:
    """Say what to do where something that was erased may still be on the disk."""
    if not is_gone:
        click.echo(
            "Note: something that was erased may still be on the disk. End what reads this home, and run", err=True
        )
        click.echo("  `carnet restore --erasures JOURNAL` on it again, or let it write.", err=True)


def _report(restored: Restored, *, is_json: bool) -> None:
    from carnet.cli.terminal import Terminal, format_moment, write_json_line
    from carnet.encoding import b64

    about, shown = restored.about, restored.shown
    if is_json:
        document: dict[str, Any] = {
            "backup_at": about.at,
            "erased": restored.erased_count,
            "gone": restored.is_gone,
            "head": None,
            "home": str(restored.home),
            "journals": [str(path) for path in restored.journals],
            "log_size": about.log_size,
            "network": about.origin,
            "root": b64(about.root),
            "writes": False,
        }
        write_json_line(document if shown is None else document | _shown_to_document(shown))
        warn_if_left(is_gone=restored.is_gone)
        return
    terminal = Terminal()
    terminal.say(terminal.shape("good"), f" {restored.home}: restored, as of {format_moment(about.at)}")
    journals = ", ".join(map(str, restored.journals))
    terminal.facts(
        (
            ("network", about.origin),
            ("log", f"{about.log_size:,} records, root {b64(about.root)}"),
            ("erasures", f"{restored.erased_count:,} carried out anew" + (f", from {journals}" if journals else "")),
        )
    )
    if not restored.journals:
        said = "Note: no journal of erasures was found beside the backup: what was erased since is here again, unless"
        click.echo(f"{said}\n  you name the newest one with --erasures.", err=True)
    warn_if_left(is_gone=restored.is_gone)
    if shown is not None:
        _tell_shown(terminal, shown)
        return
    terminal.say("It only reads: a copy cannot know whether it is the newest. To let it write, show it the newest")
    terminal.say(f"head or proof that anybody has: carnet --home {restored.home} restore --checkpoint FILE")


@verb(
    examples=(
        ("Keep it elsewhere, after each import", "carnet checkpoint > head.note"),
        ("Into a file, replaced in one step", "carnet checkpoint -o /media/head.note"),
    )
)
@click.option("-o", "--output", type=OutsidePath(), metavar="FILE", help="Where to, replacing the head in it.")
@as_json
@click.pass_obj
def checkpoint(session: Session, output: Path | None, is_json: bool) -> None:
    """Print the newest signed head of the log.

    It says how long the log is and what it holds, in 200 bytes, and no secret. Whoever keeps the newest one can tell
    whether a restored copy lacks anything; without one, such a copy never writes again.
    """
    from carnet.services.backup import get_newest_head

    head = get_newest_head(session.home)
    if output is not None:
        from carnet.services.backup import write_head

        write_head(output, head)
    if is_json:
        from carnet.cli.terminal import write_json_line

        text = head.decode()
        origin, size, root = text.split("\n")[:3]
        write_json_line({"network": origin, "note": text, "root": root, "size": int(size)})
    elif output is None:
        sys.stdout.buffer.write(head)


@contextmanager
def show_progress(*, is_json: bool) -> Iterator[Callable[[Progress], None]]:
    """A bar for each thing that is done, on a terminal; nothing where nobody looks."""
    if is_json or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, Any] = {}

        def show(progress: Progress) -> None:
            if progress.doing not in tasks:
                tasks[progress.doing] = bar.add_task(progress.doing, total=progress.total)
            bar.update(tasks[progress.doing], completed=progress.done, total=progress.total)

        yield show


VERBS: dict[str, click.Command] = {"backup": backup, "checkpoint": checkpoint, "restore": restore}
