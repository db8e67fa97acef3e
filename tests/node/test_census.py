"""The census of a real node: made from what changed, it is the one that all heads give; its pieces are mended and
proved from, and a store of the first schema gets them."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from carnet.encoding import b64, unb64
from carnet.errors import Reason, Refused
from carnet.node.census import make_census, read_census_tree
from carnet.node.reader import Reader
from carnet.node.unwritten import UnwrittenHeads
from carnet.node.writer import Writer
from carnet.signing import Signer
from carnet.types import Basis, Mark
from carnet.vault.ledger import parse_record, read_leaf
from carnet.vault.store import Connection, open_store
from tests.node.home import TestNode, is_good, make_item, make_node, more, new_passport, reading, vin_subject

REPORTED = Basis.REPORTED


def take(writer: Writer) -> dict[str, Any]:
    """A census, compared with the tree that is built from all heads; returns its object."""
    index = writer.take_census().index
    connection = writer._connection
    census: dict[str, Any] = parse_record(read_leaf(connection, index))["census"]
    connection.begin_read()
    tree = read_census_tree(connection, census["covers"])
    connection.commit()
    assert (len(tree), tree.root) == (census["count"], unb64(census["root"]))
    assert writer.count_changed() == 0
    return census


def fill(node: TestNode, writer: Writer, numbers: range) -> list[bytes]:
    """New passports; their ids."""
    receipts = writer.append(node.operator.id, REPORTED, [new_passport(number) for number in numbers]).receipts
    return [receipt.chain16 for receipt in receipts]


def grow(node: TestNode, writer: Writer, number: int, km: int = 1) -> None:
    subject = vin_subject(number)
    assert not writer.append(
        node.operator.id, REPORTED, [more(writer.find_chain(subject), reading(subject, km))]
    ).refusals


def move(node: TestNode, writer: Writer, number: int) -> None:
    subject, target = vin_subject(number), writer.node_id[::-1] + bytes(16)
    moved = make_item("passport.moved/1", subject, Mark.MOVE, target, new_home=target[:16].hex())
    outcome = writer.append(node.operator.id, Basis.HOSTED, [more(writer.find_chain(subject), moved)])
    assert outcome.refusals == []


def count_pieces(connection: Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM census_piece").fetchone()[0])


@pytest.mark.parametrize("seed", range(4))
def test_take_census__is_that_of_all_heads_after_any_growth(node: TestNode, seed: int) -> None:
    chance = random.Random(seed)
    writer = node.open()
    here: dict[int, bytes] = {}
    moved: set[int] = set()
    next_number = erased = 0
    for _ in range(5):
        for _ in range(chance.randrange(1, 6)):
            what = chance.choice(["open", "open", "grow", "move", "erase"])
            free = sorted(here.keys() - moved)
            if what == "open":
                numbers = range(next_number, next_number + chance.choice([1, 2, 45]))
                here |= zip(numbers, fill(node, writer, numbers), strict=True)
                next_number = numbers.stop
            elif what == "grow" and free:
                grow(node, writer, chance.choice(free))
            elif what == "move" and free:
                moved.add(chance.choice(free))
                move(node, writer, max(moved & set(free)))
            elif what == "erase" and here:
                # Its census is taken at once; the heads that grew before are in it.
                writer.erase(here.pop(gone := chance.choice(sorted(here))), None, "holder_request")
                moved.discard(gone)
                erased += 1
        if chance.random() < 0.3:
            writer.close()
            writer = node.open()
        census = take(writer)
        assert (census["count"], census["erased"]) == (len(here), erased)
        node.check()
    for chain in here.values():
        assert node.prove(chain).integrity.state == "ok"
    node.close()


@pytest.mark.parametrize("most", [1, 7, 40])
def test_make_census__is_the_same_however_many_heads_are_held(node: TestNode, most: int) -> None:
    with node.open() as writer:
        fill(node, writer, range(60))
        take(writer)
        fill(node, writer, range(60, 100))
        for number in range(0, 100, 3):
            grow(node, writer, number)
        connection, state = writer._connection, writer.state
        signer = Signer(writer.ring.node)
        made = []
        for held in (most, 1000):
            connection.begin_write()
            nothing = UnwrittenHeads(next_chain=1000), lambda number: None
            census, _ = make_census(connection, state, writer.node_id, signer, *nothing, most=held)
            made.append((census.root, census.count, count_pieces(connection)))
            connection.rollback()
        assert made[0] == made[1]
        assert take(writer)["root"] == b64(made[0][0])
        node.check()


def test_take_census__touches_only_what_changed(node: TestNode) -> None:
    with node.open() as writer:
        fill(node, writer, range(700))
        take(writer)
        connection = writer._connection
        before = dict(connection.execute("SELECT id, content FROM census_piece"))
        assert len(before) > 17
        grow(node, writer, 5)
        grow(node, writer, 5, 2)
        assert writer.count_changed() == 1
        take(writer)
        after = dict(connection.execute("SELECT id, content FROM census_piece"))
    changed = [number for number in after if after[number] != before[number]]
    assert (len(after), after.keys()) == (len(before), before.keys())
    assert len(changed) == 3
    node.check()


def test_take_census__nothing_changed(node: TestNode) -> None:
    with node.open() as writer:
        assert take(writer)["count"] == 0
        assert take(writer)["count"] == 0
        fill(node, writer, range(3))
        one, two = take(writer), take(writer)
        assert (one["count"], one["root"]) == (two["count"], two["root"])
    node.check()


@pytest.mark.parametrize("damage", ["DELETE FROM census_piece", "UPDATE census_piece SET content = zeroblob(49)"])
def test_take_census__damaged_pieces_are_made_anew_from_the_heads(tmp_path: Path, damage: str) -> None:
    node = make_node(tmp_path)
    with node.open() as writer:
        chains = fill(node, writer, range(60))
        take(writer)
        writer._connection.execute(damage)
        # A proof is made all the same, from the heads.
        assert is_good(node.prove(chains[0]))
        grow(node, writer, 7)
        take(writer)
        assert count_pieces(writer._connection) > 1
    node.check()
    assert is_good(node.prove(chains[7]))


def test_get_census_path__reads_a_few_pieces_and_no_other_head(tmp_path: Path) -> None:
    node = make_node(tmp_path)
    with node.open() as writer:
        chains = fill(node, writer, range(300))
        take(writer)
    asked: list[str] = []
    with node.read() as reader:
        reader._connection.set_trace_callback(asked.append)
        reader.get_census_path(chains[11])
        assert 1 <= len(asked) < 3
        for chain in chains:
            reader.get_census_path(chain)
        reader._connection.set_trace_callback(None)
        # What is near the top is kept: each piece was read once.
        assert len(asked) < count_pieces(reader.connection)
    assert all("FROM census_piece WHERE id = " in query for query in asked)


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM census_piece WHERE id = 1",
        "DELETE FROM census_piece WHERE id > 1",
        "UPDATE census_piece SET content = x'' WHERE id > 1",
        "UPDATE census_piece SET content = x'01' WHERE id = 1",
        "UPDATE census_piece SET content = substr(content, 1, 1024) WHERE id = 1",
        "UPDATE census_piece SET content = CAST(x'01' || zeroblob(1024) AS BLOB) WHERE id = 1",
        "UPDATE census_piece SET content = CAST(substr(content, 1, length(content) - 1) || x'00' AS BLOB) WHERE id > 1",
        "UPDATE census_piece SET content = (SELECT content FROM census_piece WHERE id = 1) WHERE id > 1",
        "UPDATE census_piece SET content = (SELECT content FROM census_piece WHERE id = 17) WHERE id <> 17",
    ],
)
def test_get_census_path__of_damaged_pieces_is_that_of_the_heads(tmp_path: Path, damage: str) -> None:
    node = make_node(tmp_path)
    with node.open() as writer:
        chains = fill(node, writer, range(100))
        take(writer)
        with node.read() as reader:
            paths = [reader.get_census_path(chain) for chain in chains]
        writer._connection.execute(damage)
    with node.read() as reader:
        assert [reader.get_census_path(chain) for chain in chains] == paths


def test_get_census_path__of_the_snapshot_while_newer_ones_are_taken(node: TestNode) -> None:
    with node.open() as writer:
        chains = fill(node, writer, range(40))
        take(writer)
        with node.read() as reader:
            before = reader.get_census_path(chains[3])
            for km in range(3):
                grow(node, writer, 3, km)
                fill(node, writer, range(100 * km + 100, 100 * km + 140))
                take(writer)
            reader._cache()
            assert reader.get_census_path(chains[3]) == before
            reader.refresh()
            assert reader.get_census_path(chains[3]) != before
        assert is_good(node.prove(chains[3]))


def test_get_census_path__refused_node_damaged(node: TestNode) -> None:
    with node.open() as writer:
        chains = fill(node, writer, range(2))
        take(writer)
        writer._connection.execute("DELETE FROM census_piece")
        writer._connection.execute("UPDATE chain SET head_seq = 7 WHERE id = 1")
    with node.read() as reader, pytest.raises(Refused) as caught:
        reader.get_census_path(chains[1])
    assert caught.value.reason is Reason.NODE_DAMAGED


def make_first_schema(path: Path) -> None:
    """Turn a store back into one of schema 0001."""
    with open_store(path) as store:
        for statement in (
            "DROP TABLE census_piece",
            "DROP TABLE census_changed",
            "DROP TABLE writer",
            "DROP TABLE chain_name",
            "DROP TABLE new_chain_name",
            "CREATE UNIQUE INDEX chain_by_id ON chain (chain16)",
            "CREATE UNIQUE INDEX chain_by_blind ON chain (blind)",
            "CREATE TABLE source_row (chain, digest, seq, PRIMARY KEY (chain, digest)) WITHOUT ROWID",
            "INSERT INTO source_row SELECT chain, source, seq FROM entry WHERE source IS NOT NULL",
            "ALTER TABLE entry DROP COLUMN source",
            "DROP INDEX submission_by_author",
            *(f"ALTER TABLE submission DROP COLUMN {name}" for name in ("seal", "places", "kinds")),
            "UPDATE alembic_version SET version_num = '0001'",
        ):
            store.connection.execute(statement)


@pytest.mark.parametrize("has_grown", [False, True])
def test_open_writer__upgrades_a_store_of_the_first_schema(tmp_path: Path, has_grown: bool) -> None:
    node = make_node(tmp_path)
    with node.open() as writer:
        chains = fill(node, writer, range(50))
        take(writer)
        if has_grown:
            grow(node, writer, 3)
            fill(node, writer, range(50, 52))
    make_first_schema(node.path / "node.db")
    with pytest.raises(Refused) as caught:
        node.read()
    assert caught.value.reason is Reason.NODE_DAMAGED
    assert "carnet census" in str(caught.value)
    with node.open() as writer:
        assert count_pieces(writer._connection) == 0
        node.check()
        assert is_good(node.prove(chains[9]))
        grow(node, writer, 9)
        assert take(writer)["count"] == 50 + 2 * has_grown
        assert count_pieces(writer._connection) > 1
    node.check()
    assert is_good(node.prove(chains[9]))


def test_reader__opens_without_reading_heads(tmp_path: Path) -> None:
    node = make_node(tmp_path)
    with node.open() as writer:
        fill(node, writer, range(20))
        take(writer)
    asked: list[str] = []
    with node.read() as reader:
        reader._connection.set_trace_callback(asked.append)
        Reader.refresh(reader)
        reader._connection.set_trace_callback(None)
    assert asked
    assert not any("FROM chain" in query for query in asked)
