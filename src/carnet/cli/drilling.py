"""`carnet drill`: try a backup by restoring it, and say what came of it."""

from __future__ import annotations

from pathlib import Path

import click

from carnet.cli.backup import backup_passphrase, find_opener, show_progress
from carnet.cli.group import as_json, verb
from carnet.cli.session import Session

FAILED = 1


@verb(
    examples=(
        ("The last backup, under its passphrase", "carnet drill --passphrase-file ~/.backup"),
        ("A file that was sealed for a key", "carnet drill /media/node.backup --key-file backup.key"),
        ("From a timer", "carnet drill --passphrase-file ~/.backup --json"),
    )
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@backup_passphrase
@click.option("--key-file", type=click.Path(path_type=Path), help="The secret of the backup key it was sealed for.")
@click.option(
    "--keys-passphrase-file",
    type=click.Path(),
    metavar="FILE",
    help="The passphrase of the node's own keys, if they are under one.  [$CARNET_PASSPHRASE_FILE]",
)
@click.option(
    "--scratch",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="Where the copy has room for a moment.  [the system's folder for temporary files]",
)
@as_json
@click.pass_obj
def drill(
    session: Session,
    file: Path | None,
    passphrase_file: str | None,
    key_file: Path | None,
    keys_passphrase_file: str | None,
    scratch: Path | None,
    is_json: bool,
) -> int:
    """Restore a backup into a folder that is removed again, check all of it, and hold its log against this node's.

    FILE is the last backup, if it is not named. The node may be served meanwhile. The outcome is kept in the node's
    folder: `carnet status` and the operator's page show its date.

    \b
    Exit code  0  the backup is good
               1  it is not, or it could not be tried
    """
    from carnet.cli.terminal import Terminal, format_moment, write_json_line
    from carnet.services.drilling import drill as try_backup

    ring = session.find_passphrase(keys_passphrase_file)
    with show_progress(is_json=is_json) as progress:
        done = try_backup(
            session.home,
            file,
            lambda about: find_opener(about, passphrase_file, key_file),
            scratch=scratch,
            ring_passphrase=ring,
            progress=progress,
        )
    if is_json:
        write_json_line(done.to_document())
        return 0 if done.problem is None else FAILED
    terminal = Terminal()
    if done.problem is None:
        terminal.say(terminal.shape("good"), f" {done.file}: restored, and all of it is what was signed")
    else:
        terminal.say(terminal.shape("bad"), f" {done.file}: this backup is not good ({done.problem})")
    terminal.facts(
        (
            ("made", format_moment(done.backup_at)),
            ("log", f"{done.log_size:,} records; the node has {done.behind:,} more by now"),
            ("took", f"{done.took_ms / 1000:.1f} s"),
        )
    )
    return 0 if done.problem is None else FAILED


VERBS: dict[str, click.Command] = {"drill": drill}
