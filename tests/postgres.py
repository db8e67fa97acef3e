"""A real PostgreSQL for the tests: a throw-away cluster on a Unix socket, fsync on, stopped when the run ends.

Each test process starts its own, when the first test asks for it. PostgreSQL refuses to run as root: there it runs as
the user `postgres`, or `nobody`. Its files lie in memory where there is plenty: no test takes a disk's power away, and
a server that is killed finds in the kernel's memory all that it has written.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from urllib.parse import quote

import pytest

MISSING = "no PostgreSQL server here: initdb is not on the path, nor in /usr/lib/postgresql (Debian: postgresql)"
ROOM_BYTES = 4 * 2**30
SMALL = {"shared_buffers": "32MB", "max_wal_size": "256MB"}
"""Several servers run at once in the tests, and each store is small."""

_numbers = count(1)


@dataclass
class Cluster:
    """A running server. `make_url` gives an empty place of its own to each store."""

    binaries: Path
    data: Path
    sockets: Path
    port: int = 5432
    process: subprocess.Popen[bytes] | None = None
    settings: Mapping[str, str] = field(default_factory=lambda: SMALL)

    @property
    def admin_url(self) -> str:
        return f"postgresql://carnet@/postgres?host={quote(str(self.sockets), safe='')}&port={self.port}"

    def make_url(self) -> str:
        """A new, empty schema of the one database, as a URL."""
        import psycopg

        name = f"store_{next(_numbers)}"
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}".encode())
        return f"{self.admin_url}&options=-csearch_path%3D{name}"

    def make_database(self) -> str:
        """A new, empty database, as a URL: two nodes of one network may write at once, as in two files."""
        import psycopg

        name = f"store_{next(_numbers)}"
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.admin_url.replace("@/postgres?", f"@/{name}?")

    @contextmanager
    def owned_by(self, name: str) -> Iterator[str]:
        """A schema of a new user of this name, who has no other right, as a URL; both are gone in the end."""
        import psycopg

        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            connection.execute(f"CREATE ROLE {name} LOGIN".encode())
            connection.execute(f"CREATE SCHEMA {name} AUTHORIZATION {name}".encode())
        try:
            yield f"{self.admin_url.replace('carnet@', f'{name}@')}&options=-csearch_path%3D{name}"
        finally:
            with psycopg.connect(self.admin_url, autocommit=True) as connection:
                connection.execute(f"DROP SCHEMA {name} CASCADE".encode())
                connection.execute(f"DROP ROLE IF EXISTS {name}_reader".encode())
                connection.execute(f"DROP ROLE {name}".encode())

    def run(self, *command: str | Path) -> None:
        done = subprocess.run(
            [str(word) for word in command], **self._as_server_user(), capture_output=True, timeout=120
        )
        assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()

    def start(self, fsync: str | None = "on") -> None:
        """Start the server, and wait until it answers. Without a word about fsync its own settings hold."""
        command = [
            str(self.binaries / "postgres"), "-D", str(self.data), "-k", str(self.sockets), "-p", str(self.port),
            "-c", "listen_addresses=", "-c", "max_connections=50",
            *(word for name, value in self.settings.items() for word in ("-c", f"{name}={value}")),
            *(() if fsync is None else ("-c", f"fsync={fsync}")),
        ]  # fmt: skip
        with (self.sockets / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **self._as_server_user()
            )
        self._wait()

    def stop(self) -> None:
        """A fast shutdown: sessions are ended, all is on the disk."""
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(60)
            self.process = None

    def kill(self) -> None:
        """As if the machine had lost its power, but for what the kernel still writes."""
        if self.process is not None:
            # Its children notice that the postmaster is gone, and end.
            self.process.kill()
            self.process.wait(60)
            self.process = None

    def _wait(self) -> None:
        import time

        import psycopg

        for _ in range(600):
            try:
                psycopg.connect(self.admin_url).close()
            except psycopg.OperationalError:
                assert self.process is not None
                assert self.process.poll() is None, (self.sockets / "log").read_text()
                time.sleep(0.05)
            else:
                return
        raise AssertionError((self.sockets / "log").read_text())

    def _as_server_user(self) -> dict[str, int]:
        user = find_server_user()
        return {} if user is None else {"user": user.pw_uid, "group": user.pw_gid}  # type: ignore[return-value]


def find_binaries() -> Path | None:
    """The folder of `initdb` and `postgres`, or None."""
    on_path = shutil.which("initdb")
    places = [Path(on_path).resolve().parent] if on_path else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "initdb").exists() and (place / "postgres").exists()), None)


def find_server_user() -> pwd.struct_passwd | None:
    """The user that the server runs as, if not our own."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    return names.get("postgres") or names["nobody"]


def find_memory() -> Path | None:
    """A folder whose files are kept in memory, if it has room for every store of a run."""
    place = Path("/dev/shm")
    is_roomy = place.is_dir() and os.access(place, os.W_OK) and shutil.disk_usage(place).free >= ROOM_BYTES
    return place if is_roomy else None


@contextmanager
def run_cluster(settings: Mapping[str, str] = SMALL, *, is_on_disk: bool = False) -> Iterator[Cluster]:
    """A new cluster, and its end; its files lie in memory, or where temporary files do."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip(MISSING)
    # Directly under the folder of temporary files: the path of a Unix socket may have a hundred characters.
    folder = Path(tempfile.mkdtemp(prefix="carnet-pg-", dir=None if is_on_disk else find_memory()))
    cluster = Cluster(binaries, folder / "data", folder, settings=settings)
    user = find_server_user()
    if user is not None:
        os.chown(folder, user.pw_uid, user.pw_gid)
    # Tests that run as another user than the server must reach its socket; only its own user reads the data.
    folder.chmod(0o711)
    try:
        cluster.run(binaries / "initdb", "-D", cluster.data, "-U", "carnet", "-A", "trust", "--locale=C", "-E", "UTF8")
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)
