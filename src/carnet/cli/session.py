"""What a run of the command line has at hand: the home folder, the clock, randomness, and how to talk to a person.

The only module of the command line that reads the environment. No question is ever asked unless a person sits at both
ends of the terminal.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from carnet.node.home import Home
    from carnet.types import Millis


def find_default_home() -> str:
    """Where a node lives if nobody says: `$XDG_DATA_HOME/carnet`, `~/.local/share/carnet`, or macOS's own folder. As a
    person writes it."""
    if sys.platform == "darwin":
        return "~/Library/Application Support/Carnet"
    base = os.environ.get("XDG_DATA_HOME", "")
    # The XDG specification: a relative path is to be ignored.
    return f"{base}/carnet" if base.startswith("/") else "~/.local/share/carnet"


@dataclass(frozen=True, slots=True)
class Session:
    """The home's path as it was chosen: by option, by CARNET_HOME, or by default."""

    home_path: Path
    is_named: bool
    """Whether `--home` was given."""
    server: str | None = None
    """The address of the service to ask instead of a folder, if one was named."""
    api_key_file: str | None = None

    @classmethod
    def of(cls, home: str | None, server: str | None = None, key_file: str | None = None) -> Session:
        """The session of a run with this `--home`, or `--server` with its `--key-file`. A folder that was named is
        meant, whatever server the environment names."""
        path = Path(home or os.environ.get("CARNET_HOME") or find_default_home()).expanduser()
        chosen = server or (None if home is not None else os.environ.get("CARNET_SERVER") or None)
        return cls(path, home is not None, chosen, key_file or os.environ.get("CARNET_API_KEY_FILE"))

    @property
    def home(self) -> Home:
        """The node's folder; it may not exist."""
        from carnet.node.home import Home

        try:
            os.fspath(self.home_path).encode()
        except UnicodeEncodeError:
            import click

            raise click.UsageError(
                f"The home's name, {self.home_path}, is no text in UTF-8, as a store's must be: choose another folder."
            ) from None
        return Home(self.home_path)

    @property
    def command(self) -> str:
        """What this process was asked to do, for whoever finds the lock taken. Options may hold names: only the
        verb.
        """
        return "carnet " + " ".join(word for word in sys.argv[1:] if word.isalpha())

    def find_passphrase(self, file: str | None) -> str | None:
        """The passphrase from the given file, or that of CARNET_PASSPHRASE_FILE or CARNET_KEY_FILE; asked for only if a
        person can answer and the keys are under one. None if there is none."""
        chosen = file or os.environ.get("CARNET_PASSPHRASE_FILE") or find_key_file()
        if chosen:
            return read_passphrase(Path(chosen))
        from carnet.node.keyring import is_under_passphrase

        if not (is_under_passphrase(self.home.keys) and is_interactive()):
            return None
        import click

        return str(click.prompt("Passphrase of this node's keys", hide_input=True, err=True))


def find_backup_passphrase(file: str | None, *, is_new: bool) -> str | None:
    """The passphrase of a backup: from the given file or that of CARNET_BACKUP_PASSPHRASE_FILE, or asked for if a
    person can answer, twice when it `is_new`."""
    chosen = file or os.environ.get("CARNET_BACKUP_PASSPHRASE_FILE")
    if chosen:
        return read_passphrase(Path(chosen))
    if not is_interactive():
        return None
    import click

    return str(click.prompt("Passphrase of the backup", hide_input=True, err=True, confirmation_prompt=is_new))


def find_key_file() -> str | None:
    """The file that CARNET_KEY_FILE names. Raises Refused(NOT_PRIVATE) if others may read it."""
    chosen = os.environ.get("CARNET_KEY_FILE")
    if not chosen:
        return None
    from carnet.node.home import check_private

    return str(check_private(Path(chosen)))


def read_passphrase(path: Path) -> str:
    """The first line of a file, without its end, and without the mark that an editor on Windows puts before UTF-8: it
    would be no part of what is typed. Raises OSError, and Refused(WRONG_PASSPHRASE) if it is empty, or no text in
    UTF-8."""
    from carnet.errors import Reason, Refused

    try:
        text = path.read_bytes().split(b"\n")[0].decode("utf-8-sig").rstrip("\r")
    except UnicodeDecodeError:
        saying = f"the first line of {path} is no text in UTF-8: what would be typed would be other bytes"
        raise Refused(Reason.WRONG_PASSPHRASE, saying, file=str(path)) from None
    if not text:
        raise Refused(
            Reason.WRONG_PASSPHRASE, f"the first line of {path} is empty, and a passphrase is not", file=str(path)
        )
    return text


def is_interactive() -> bool:
    """Whether a person can be asked something."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))


def end_unconfirmed(*, is_json: bool) -> int:
    """Say that nothing was changed, since nobody confirmed it or nobody was there to ask; gives the exit code."""
    import click

    from carnet.cli.failures import USAGE

    if is_json or not is_interactive():
        click.echo("Nothing was changed: nobody is here to ask. Say --yes if this is meant.", err=True)
        return USAGE
    click.echo("Nothing was changed.", err=True)
    return 0


def now_ms() -> Millis:
    """The clock."""
    return time.time_ns() // 1_000_000


@contextmanager
def stopwatch() -> Iterator[list[float]]:
    """Seconds that the block took, as the one item of the list once it has ended."""
    taken: list[float] = []
    started = time.perf_counter()
    try:
        yield taken
    finally:
        taken.append(time.perf_counter() - started)
