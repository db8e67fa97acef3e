"""Moving a store between SQLite and PostgreSQL: nothing of it changes, one of both writes, and a kill loses neither."""

from __future__ import annotations

import os
import random
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from carnet.errors import Reason, Refused
from carnet.node.fsck.findings import Progress
from carnet.node.home import Home
from carnet.node.moving import Moved, move_store
from carnet.proof.assemble import Selection, assemble_bundle
from carnet.proof.verify import verify_bundle
from carnet.tlog.policy import parse_policy
from tests.cli.run import start_victim
from tests.node.conftest import ON_FILE
from tests.node.home import TestNode, change_behind, make_node, new_passport
from tests.node.test_same_roots import live, read_rows
from tests.node.test_writer import REPORTED
from tests.postgres import Cluster


def move(node: TestNode, target: str | None) -> Moved:
    return move_store(Home(node.path), target, clock=node.clock, random_bytes=node.dice, command="a test")


def read_all(node: TestNode) -> dict[str, list[Any]]:
    rows = read_rows(node)
    del rows["writer"]
    return rows


def prove_all(node: TestNode, chains: list[bytes]) -> list[bytes]:
    with node.read() as reader:
        return [assemble_bundle(reader, chain, Selection()) for chain in chains]


def test_move__there_and_back_changes_nothing(tmp_path: Path, postgres: Cluster) -> None:
    url = postgres.make_url()
    node = make_node(tmp_path)
    chains = live(node)
    rows, bundles = read_all(node), prove_all(node, chains)
    with node.read() as reader:
        policy = parse_policy(reader.get_policy())
    there = move(node, url)
    assert there.rows == sum(map(len, rows.values())) + 1
    assert Home(node.path).address == url
    assert not (node.path / "node.db").exists()
    assert there.kept == str(node.path / "node.db.moved-1")
    node.check()
    assert read_all(node) == rows
    assert prove_all(node, chains) == bundles
    assert all(verify_bundle(bundle, policy, node.clock()).exit_code == 0 for bundle in bundles)
    with node.open() as writer:
        writer.append(node.operator.id, REPORTED, [new_passport(5000, 1, 2)])
        writer.take_census()
    rows = read_all(node)
    back = move(node, None)
    assert back.moment.log_size > there.moment.log_size
    assert not (node.path / "store.url").exists()
    node.check()
    assert read_all(node) == rows
    for bundle in prove_all(node, chains):
        assert verify_bundle(bundle, policy, node.clock()).exit_code == 0
    # And once more to an empty place: the file that was put aside before stays beside the new one.
    again = move(node, postgres.make_url())
    assert again.kept == str(node.path / "node.db.moved-2")
    node.check()


def test_move__old_store_is_never_written_again(tmp_path: Path, postgres: Cluster) -> None:
    url = postgres.make_url()
    node = make_node(tmp_path)
    node.open().close()
    old = replace(node, path=tmp_path / "old", writers=[])
    shutil.copytree(node.path, old.path)
    with old.open() as late:
        # A copy from before the move has no mark: that is what the newest signed head is for (docs/postgresql.md).
        assert late.state.size == 3
    move(node, url)
    shutil.copy(node.path / "node.db.moved-1", old.path / "node.db")
    with pytest.raises(Refused) as caught:
        old.open()
    assert caught.value.reason is Reason.STORE_MOVED
    with old.read() as reader:
        assert reader.state.size == 3
    with pytest.raises(Refused) as caught:
        move(old, postgres.make_url())
    assert caught.value.reason is Reason.STORE_MOVED
    move(node, None)
    (old.path / "store.url").write_text(url)
    with pytest.raises(Refused) as caught:
        old.open()
    assert caught.value.reason is Reason.STORE_MOVED


def test_move__refused_node_exists(tmp_path: Path, postgres: Cluster) -> None:
    url = postgres.make_url()
    other = make_node(tmp_path, store_url=url, seed=b"another")
    (tmp_path / "one").mkdir()
    node = make_node(tmp_path / "one")
    for target in (url, None):
        with pytest.raises(Refused) as caught:
            move(node, target)
        assert caught.value.reason is Reason.NODE_EXISTS
    node.check()
    other.check()
    node.open().close()


def test_move__refused_writer_busy(node: TestNode, postgres: Cluster) -> None:
    with node.open():
        with pytest.raises(Refused) as caught:
            move(node, postgres.make_url())
        assert caught.value.reason is Reason.WRITER_BUSY


def test_move__refused_while_another_home_moves_to_the_same_place(tmp_path: Path, postgres: Cluster) -> None:
    """The second would take the first one's copy for what a killed move has left, and the first would end in it."""
    url = postgres.make_url()
    first, second = (make_node(tmp_path / name, seed=name.encode()) for name in ("first", "second"))
    caught: list[Refused] = []

    def meanwhile(progress: Progress) -> None:
        if progress.table != "copying" and not caught:
            with pytest.raises(Refused) as refused:
                move(second, url)
            caught.append(refused.value)

    home = Home(first.path)
    move_store(home, url, clock=first.clock, random_bytes=first.dice, command="a test", progress=meanwhile)
    assert (caught[0].reason, caught[0].could_retry) == (Reason.WRITER_BUSY, True)
    first.check()
    second.check()
    assert Home(second.path).address == second.path / "node.db"
    with pytest.raises(Refused) as refused:
        move(second, url)
    assert refused.value.reason is Reason.NODE_EXISTS


@ON_FILE
def test_move__copy_of_a_damaged_store_is_not_used(node: TestNode, postgres: Cluster) -> None:
    with node.open() as writer:
        writer.append(node.operator.id, REPORTED, [new_passport(n, 1) for n in range(3)])
    # Where the look at the end of the store, with which a writer begins, does not reach.
    assert change_behind(node, "UPDATE entry SET content = x'00' WHERE chain = 1 AND seq = 1") == 1
    url = postgres.make_url()
    with pytest.raises(Refused) as caught:
        move(node, url)
    assert caught.value.reason is Reason.NODE_DAMAGED
    assert "entry" in caught.value.message
    assert Home(node.path).address == node.path / "node.db"
    node.open().close()
    assert change_behind(node, "DELETE FROM entry") > 0


MOVE = """
import os, sys, time
from pathlib import Path
from carnet.node.home import Home
from carnet.node.moving import move_store
print("ready", flush=True)
target = None if sys.argv[2] == "sqlite" else sys.argv[2]
move_store(Home(Path(sys.argv[1])), target, clock=lambda: time.time_ns() // 10**6, random_bytes=os.urandom)
print("done", flush=True)
"""


def test_move__killed_anywhere_is_finished_or_begun_anew(tmp_path: Path, postgres: Cluster) -> None:
    """Back and forth, killed in each round until a move comes through; the rows are always those of before."""
    chance = random.Random(5)
    node = make_node(tmp_path)
    chains = live(node)
    rows, bundles = read_all(node), prove_all(node, chains)
    node.clock.now = 4_000_000_000_000
    kills = finished = round_ = 0
    limit_s = 0.8
    rounds = int(os.environ.get("CARNET_MOVE_KILLS", "4"))
    # A quick machine is done before it is killed: it gets less time, and more rounds.
    while round_ < rounds or (kills <= 3 and round_ < 40):
        round_ += 1
        target = "sqlite" if round_ % 2 else postgres.make_url()
        for _ in range(12):
            victim = start_victim(MOVE, node.path, target)
            assert victim.stdout.readline() == b"ready\n"
            time.sleep(chance.uniform(0, limit_s))
            said = victim.kill()
            home = Home(node.path)
            if home.address == (home.store if target == "sqlite" else target):
                # Done, and perhaps killed before it could say so.
                finished += 1
                limit_s *= 0.7
                break
            assert said == b""
            kills += 1
            # Whichever store is the store now, it is whole; where a move stands before its last steps, it says so.
            assert prove_all(node, chains) == bundles
            try:
                node.open().close()
            except Refused as refused:
                assert refused.reason is Reason.STORE_MOVED  # noqa: PT017
        else:
            assert start_victim(MOVE, node.path, target).end() == b"ready\ndone\n"
        node.check()
        assert {name: table for name, table in read_all(node).items() if name != "checkpoint"} == {
            name: table for name, table in rows.items() if name != "checkpoint"
        }
        assert prove_all(node, chains) == bundles
    assert kills > 3


def test_move__killed_before_its_last_steps_is_finished(tmp_path: Path, postgres: Cluster) -> None:
    """What a kill leaves after the old store was marked, made by hand from what a whole move leaves."""
    url = postgres.make_url()
    node = make_node(tmp_path)
    chains = live(node)
    bundles = prove_all(node, chains)
    home = Home(node.path)

    def check_is_finished(target: str | None) -> None:
        with pytest.raises(Refused) as caught:
            node.open()
        assert caught.value.reason is Reason.STORE_MOVED
        assert prove_all(node, chains) == bundles
        moved = move(node, target)
        assert moved.rows is None
        assert home.address == (target or home.store)
        node.open().close()
        node.check()
        assert prove_all(node, chains) == bundles

    move(node, url)
    assert change_behind(node, "UPDATE writer SET state = 'filling'") == 1
    home.store_url.unlink()
    (node.path / "node.db.moved-1").rename(home.store)
    check_is_finished(url)
    for state in ("filling", ""):
        move(node, None)
        change_behind(node, f"UPDATE writer SET state = '{state}'")
        if state:
            home.store.rename(home.moving)
        home.store_url.write_text(url)
        check_is_finished(None)
        # The database holds the store that was moved away; nothing of it is taken for a new one.
        with pytest.raises(Refused) as caught:
            move(node, url)
        assert caught.value.reason is Reason.NODE_EXISTS
        url = postgres.make_url()
        move(node, url)
