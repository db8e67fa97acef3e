"""What tests begin with, made once for each process and then copied: a store is a file, or the statements that make it
in a database. It refuses to know what is in one.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import parse_qs, urlsplit

from carnet.vault.people.store import open_people_store
from carnet.vault.people.tables import people
from tests.postgres import find_binaries, find_memory

_SCHEMA = "the_schema_of_this_store"


@dataclass(frozen=True)
class Folder:
    """A folder with all that is in it, by name: the bytes and the rights of each file, the rights alone of a folder."""

    entries: tuple[tuple[str, bytes | None, int], ...]

    @classmethod
    def read(cls, path: Path) -> Folder:
        found = [path, *sorted(path.rglob("*"))]
        return cls(
            tuple(
                (str(one.relative_to(path)), one.read_bytes() if one.is_file() else None, one.stat().st_mode)
                for one in found
            )
        )

    def write(self, path: Path) -> None:
        for name, data, mode in self.entries:
            place = path / name
            if data is None:
                place.mkdir(parents=True, exist_ok=True)
            else:
                place.write_bytes(data)
            place.chmod(mode & 0o777)


def read_statements(url: str, tables: Iterable[str] = ()) -> str:
    """The statements that make again what is in a database's schema, or some tables of it, wherever they stand."""
    binaries = find_binaries()
    assert binaries is not None
    schema = _find_schema(url)
    command = [str(binaries / "pg_dump"), "-d", url, "-n", schema, "--inserts", "--no-owner", "--no-privileges"]
    command += [word for table in tables for word in ("-t", f"{schema}.{table}")]
    done = subprocess.run(command, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    # What begins with a backslash is for the program psql.
    lines = [line for line in done.stdout.decode().splitlines() if not line.startswith(("--", "\\", "CREATE SCHEMA"))]
    return "\n".join(lines).replace(f"{schema}.", f"{_SCHEMA}.")


def run_statements(url: str, statements: str) -> None:
    """Make it in the empty schema at `url`."""
    import psycopg

    with psycopg.connect(url) as connection:
        connection.execute(statements.replace(f"{_SCHEMA}.", f"{_find_schema(url)}.").encode())


def _find_schema(url: str) -> str:
    """The schema in which a URL of `tests.postgres` puts tables."""
    options = parse_qs(urlsplit(url).query).get("options", ["=public"])
    return options[0].rpartition("=")[2]


@cache
def _read_made(make: Callable[[Path], object]) -> bytes:
    with TemporaryDirectory(dir=find_memory()) as folder:
        make(Path(folder) / "made")
        return (Path(folder) / "made").read_bytes()


def _make_people(address: Path | str) -> None:
    open_people_store(address).close()


_statements_of_people: list[str] = []


def _has_people(url: str) -> bool:
    import psycopg

    with psycopg.connect(url) as connection:
        return connection.execute("SELECT to_regclass('people_version')").fetchone() != (None,)


def lay_people(address: Path | str) -> None:
    """A store of people at `address`, unless there is one: it is of today's schema, and empty."""
    if address.exists() if isinstance(address, Path) else _has_people(address):
        return
    if isinstance(address, Path):
        address.touch(0o600)
        address.write_bytes(_read_made(_make_people))
    elif _statements_of_people:
        run_statements(address, _statements_of_people[0])
    else:
        _make_people(address)
        _statements_of_people.append(read_statements(address, [*people.tables, "people_version"]))
