"""The power goes while a store moves between SQLite and PostgreSQL: one of both is the store, whole, and the same
command moves it, or says that it is there.

The server is another machine, which keeps its power: the move is killed at one of its calls, and chance decides what of
its home is on the disk then (`tests.faults.recorder`), twice for each call.
"""

from __future__ import annotations

import random
import re
import shutil
import signal
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from carnet.errors import Reason, Refused
from carnet.node.home import Home
from carnet.node.moving import move_store
from carnet.proof.assemble import Selection, assemble_bundle
from tests.faults.effort import scaled
from tests.faults.recorder import Disk, Event, python, record
from tests.faults.test_kill import make_place
from tests.faults.tracing import needs_strace
from tests.node.home import TestNode, make_node, new_passport
from tests.node.test_writer import REPORTED
from tests.postgres import Cluster

WHERE = "fsync|fdatasync|rename|unlink"
CUTS = 2
"""How often the power goes for each call at which a move is killed."""

LAST = 12
"""So many of these calls come after the old store was marked, or a few more."""


@dataclass
class Ground:
    """A node about to move, with its proofs: into the database at `url`, or out of it."""

    node: TestNode
    url: str
    target: str | None
    chains: list[bytes]
    proofs: list[bytes]
    cluster: Cluster

    def copy_database(self, name: str, of: str) -> None:
        """The database `name` is as `of` is; nobody is connected to either."""
        import psycopg

        with psycopg.connect(self.cluster.admin_url, autocommit=True) as connection:
            # A session ends a moment after its process was killed.
            for _ in range(100):
                asked = "SELECT count(*) FROM pg_stat_activity WHERE datname IN (%s, %s)"
                found = connection.execute(asked, (name, of)).fetchone()
                if found == (0,):
                    break
                connection.execute("SELECT pg_sleep(0.05)")
            connection.execute(f"DROP DATABASE IF EXISTS {name}".encode())
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {of}".encode())

    @property
    def database(self) -> str:
        return self.url.partition("?")[0].rpartition("/")[2]

    def prove(self, path: Path) -> list[bytes]:
        with replace(self.node, path=path).read() as reader:
            return [assemble_bundle(reader, chain, Selection()) for chain in self.chains]


@pytest.fixture(params=["to a database", "to a file"])
def ground(tmp_path: Path, postgres: Cluster, request: pytest.FixtureRequest) -> Ground:
    node, url = make_node(tmp_path), postgres.make_database()
    node.clock.now = 4_000_000_000_000
    with node.open() as writer:
        groups = [new_passport(number, 1, 2) for number in range(20)]
        chains = sorted({receipt.chain16 for receipt in writer.append(node.operator.id, REPORTED, groups).receipts})
        writer.take_census()
    target = url
    if request.param == "to a file":
        move_store(Home(node.path), url, clock=node.clock, random_bytes=node.dice)
        for old in node.path.glob("*.moved-*"):
            old.unlink()
        target = None
    made = Ground(node, url, target, chains, [], postgres)
    made.proofs = made.prove(node.path)
    made.copy_database(f"{made.database}_start", made.database)
    return made


def move_and_kill(ground: Ground, work: Path, place: tuple[str, int] | None = None) -> tuple[list[Event], int]:
    """Record a move that is killed at one of those calls, or at none; what it did to files, and its exit code."""
    inject = () if place is None else ("-e", f"inject={place[0]}:signal=KILL:when={place[1]}")
    command = python("carnet", "--home", ground.node.path, "move", "--to", ground.target or "sqlite")
    return record(command, work / "out", work / "trace", inject=inject)


def find_places(trace: Path) -> list[tuple[str, int]]:
    """The places to kill a move at, in their order: the name of a call, and which of its kind in its thread it is."""
    calls = re.findall(rf"^(\d+) +({WHERE})\(", trace.read_text(encoding="ascii"), re.MULTILINE)
    seen = Counter[tuple[str, str]]()
    places = list[tuple[str, int]]()
    for call in calls:
        seen[call] += 1
        if call[0] == calls[0][0]:
            places.append((call[1], seen[call]))
    return places


def cut_and_move_again(ground: Ground, place: Path) -> str:
    """Look at what a cut has left, and move again; what was there."""
    home, node = Home(place), replace(ground.node, path=place, writers=[])
    address = ground.target or home.store
    # Whichever is the store now, it can be read, and is the same; who writes is let in, or told where it went.
    assert ground.prove(place) == ground.proofs
    is_there, is_closed = home.address == address, False
    if not is_there:
        try:
            node.open().close()
        except Refused as refused:
            assert refused.reason is Reason.STORE_MOVED  # noqa: PT017
            is_closed = True
    try:
        moved = move_store(home, ground.target, clock=node.clock, random_bytes=node.dice)
    except Refused as refused:
        # Nothing was left to do: it says so.
        assert is_there
        assert refused.reason is Reason.NODE_EXISTS  # noqa: PT017
    else:
        assert (moved.rows is None) == (is_closed or is_there)
    assert home.address == address
    node.check()
    with node.open() as writer:
        writer.append(node.operator.id, REPORTED, [new_passport(1000, 1)])
    node.check()
    assert ground.prove(place)
    return "moved" if is_there else "last steps missing" if is_closed else "not moved"


def cut(ground: Ground, start: Path, events: list[Event], count: int, place: object) -> Counter[str]:
    """Cut the power so often after these calls, and look at what is left each time; what was there."""
    found_at = Counter[str]()
    ground.copy_database(f"{ground.database}_left", ground.database)
    for number in range(count):
        ground.copy_database(ground.database, f"{ground.database}_left")
        disk = Disk.of(start, random.Random(f"{place} {number}"), is_failure_total=False)
        disk.home = str(ground.node.path)
        for event in events:
            disk.play(event)
        with make_place(is_in_memory=True) as memory:
            disk.crash_into(memory / "home")
            try:
                found_at[cut_and_move_again(ground, memory / "home")] += 1
            except BaseException:
                names = sorted(file.name for file in (memory / "home").iterdir())
                print(f"killed at {place}, cut {number}: {events[-1]}, {names}")
                raise
    return found_at


def begin_again(ground: Ground, start: Path) -> None:
    """The home and the database are as they were before the first move."""
    shutil.rmtree(ground.node.path)
    shutil.copytree(start, ground.node.path)
    ground.copy_database(ground.database, f"{ground.database}_start")


@needs_strace
@pytest.mark.timeout(300)
def test_move__survives_power_loss(ground: Ground, tmp_path: Path) -> None:
    start, chance = tmp_path / "start", random.Random(7)
    shutil.copytree(ground.node.path, start)
    events, code = move_and_kill(ground, tmp_path)
    assert code == 0
    places = find_places(tmp_path / "trace")
    found_at = cut(ground, start, events, 1, "its end")
    # The last steps are few: most of the kills go there.
    chosen = {*chance.sample(places[:-LAST], scaled(2)), *chance.sample(places[-LAST:], min(LAST, scaled(4)))}
    for place in sorted(chosen, key=places.index):
        begin_again(ground, start)
        events, code = move_and_kill(ground, tmp_path, place)
        assert code == -signal.SIGKILL
        found_at += cut(ground, start, events, CUTS, place)
    print(f"power cut {found_at.total()} times: {dict(found_at)}")
    assert set(found_at) == {"not moved", "last steps missing", "moved"}
