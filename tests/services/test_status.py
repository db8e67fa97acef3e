"""The node at a glance: each number is compared with what reading everything gives."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from carnet.cli.terminal import format_age
from carnet.node.backup.envelope import Passphrase
from carnet.node.backup.take import take_backup
from carnet.node.glance import count_entries, glance
from carnet.node.home import Home
from carnet.node.lock import WriterLock, find_holder
from carnet.services.status import get_status
from carnet.types import Basis
from carnet.vault.store import describe_address, open_store
from tests.cli.run import carnet
from tests.node.home import TestNode, make_node, more, new_passport, reading, vin_subject

REPORTED = Basis.REPORTED


@pytest.fixture(params=["sqlite", "postgres"])
def node(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[TestNode]:
    url = None if request.param == "sqlite" else request.getfixturevalue("postgres").make_url()
    made = make_node(tmp_path, store_url=url)
    yield made
    made.close()


def check_counts(node: TestNode) -> None:
    with node.read() as reader:
        seen = glance(Home(node.path))
        assert seen.entries == (reader.count_entries(), True)
        assert seen.passports == (reader.count_passports(), True)
        assert seen.state.size == reader.state.size


def test_glance__counts_exactly_through_growth_census_and_erasure(node: TestNode) -> None:
    with node.open() as writer:
        writer.append(node.operator.id, REPORTED, [new_passport(n, 10, 20) for n in range(4)])
        check_counts(node)
        assert glance(Home(node.path)).census is None
        writer.take_census()
        check_counts(node)
        grown = more(writer.find_chain(vin_subject(1)), reading(vin_subject(1), 30))
        writer.append(node.operator.id, REPORTED, [grown, new_passport(8, 1), new_passport(9, 1)])
        check_counts(node)
        census = glance(Home(node.path)).census
        assert census is not None
        assert (census.chain_count, census.changed, census.is_owed) == (4, 3, False)
        for number, seqs in ((2, None), (8, None), (3, [1])):
            ref = writer.find_chain(vin_subject(number))
            assert ref is not None
            writer.erase(ref.chain16, seqs, "holder_request")
            check_counts(node)
        seen = glance(Home(node.path))
        assert (seen.erasure_count, seen.uncleared_count) == (3, 0)


def test_count_entries__three_ways(node: TestNode) -> None:
    with node.open() as writer:
        for number in range(12):
            writer.append(node.operator.id, REPORTED, [new_passport(number, *range(5))])
        size = writer.state.size
    with open_store(Home(node.path).address, is_read_only=True) as store:
        assert count_entries(store.connection, size) == (72, True)
        assert count_entries(store.connection, size, most_seals=1) == (72, True), "by the chains"
        found = count_entries(store.connection, size, most_seals=0, most_chains=0)
    assert not found.is_exact
    assert found.number == 72, "all batches are alike here, so that the estimate hits"


def test_glance__knows_when_a_key_was_listed_and_what_became_of_it(node: TestNode) -> None:
    with node.open() as writer:
        first = node.clock.now
        garage = writer.enrol_member("Garage", "garage")
        writer.add_key(garage.id)
        writer.revoke_key(garage.id, garage.keys[0].digest, disputed_since=3)
        last = node.clock.now
    keys = [one for one in glance(Home(node.path)).keys if one.member.id == garage.id]
    assert len(keys) == 2
    assert first <= keys[0].listed_at < keys[1].listed_at <= last
    assert (keys[0].key.disputed_since, keys[1].key.revoked) == (3, None)
    assert keys[0].key.revoked is not None


def test_status__by_a_clock_that_was_set_back_does_not_say_just_now(node: TestNode) -> None:
    found = get_status(Home(node.path))
    assert format_age(found.now - found.seen.last_at).endswith(" ago")
    assert format_age(found.seen.last_at - found.now).endswith(" ahead of the clock")


def test_status__of_the_last_backup_and_what_it_lacks(node: TestNode, tmp_path: Path) -> None:
    assert get_status(Home(node.path)).records_since_backup is None
    take_backup(Home(node.path), tmp_path / "b", Passphrase("x"), now=5, random_bytes=node.dice)
    with node.open() as writer:
        writer.append(node.operator.id, REPORTED, [new_passport(1, 1)])
    found = get_status(Home(node.path))
    assert found.records_since_backup == 1
    assert found.to_document()["backup"]["file"] == str(tmp_path / "b")


HOLDER = """
import sys
from pathlib import Path
from carnet.node.lock import WriterLock
lock = WriterLock(Path(sys.argv[1]), "carnet import histovec")
print("held", flush=True)
sys.stdin.readline()
"""


def test_find_holder__is_the_process_that_writes_and_does_not_disturb_it(node: TestNode) -> None:
    path = node.path / "writer.lock"
    assert find_holder(path) is None
    assert find_holder(node.path / "absent") is None
    before = time.time_ns() // 10**6
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    found = find_holder(path)
    assert found is not None
    assert (found.pid, found.command) == (process.pid, "carnet import histovec")
    assert before - 1_000 <= found.since <= time.time_ns() // 10**6
    assert get_status(Home(node.path)).writer == found
    process.communicate("\n", timeout=60)
    assert find_holder(path) is None
    # Looking never takes the lock: whoever comes at that moment gets it.
    for _ in range(50):
        assert find_holder(path) is None
        WriterLock(path, "x").release()


def test_lock__that_is_released_is_free_though_a_child_has_its_file_open(tmp_path: Path) -> None:
    # A child that is just being begun has all files of its parent open until it is another program.
    lock = WriterLock(tmp_path / "writer.lock", "carnet serve")
    child = os.dup(lock._descriptor)
    try:
        lock.release()
        WriterLock(tmp_path / "writer.lock", "carnet import").release()
    finally:
        os.close(child)


def test_status__of_a_running_node_in_words_and_as_json(node: TestNode, tmp_path: Path) -> None:
    with node.open() as writer:
        writer.append(node.operator.id, REPORTED, [new_passport(1, 1, 2)])
        writer.take_census()
        said = carnet("status", home=node.path)
        found = carnet("status", "--json", home=node.path).json
    assert said.code == 0
    assert "3 in 1 passports" in said.out
    assert f"process {os.getpid()} (a test)" in said.out
    assert "none was made from here" in said.out
    assert (found["entries"], found["passports"]["number"]) == ({"exact": True, "number": 3}, 1)
    assert found["writer"]["pid"] == os.getpid()
    assert found["census"]["changed"] == 0
    assert found["restored"] is None
    assert {key["role"] for key in found["keys"]} == {"author", "node"}
    assert found["disk"]["store"] > 100_000
    assert found["store"] == describe_address(Home(node.path).address)


def test_status__tells_each_thing_that_an_operator_looks_for(node: TestNode, tmp_path: Path) -> None:
    """Entries, passports, log, head, census, backup, disk, keys, and programs' keys that end, in words and numbers."""
    with node.open() as writer:
        writer.append(node.operator.id, REPORTED, [new_passport(n, 1, 2) for n in range(2)])
        writer.take_census()
        take_backup(Home(node.path), tmp_path / "b", Passphrase("x"), now=5, random_bytes=node.dice)
        garage = writer.enrol_member("Garage", "garage")
        writer.revoke_key(garage.id, garage.keys[0].digest, disputed_since=3)
        writer.append(node.operator.id, REPORTED, [new_passport(7, 1)])
        size, signed = writer.state.size, glance(Home(node.path)).head_size
        found, said = (carnet("status", *options, home=node.path) for options in (["--json"], []))
    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in said.out.splitlines() if line.strip()}
    census = found.json["census"]
    assert (lines["entries"], found.json["entries"]["number"]) == ("8 in 3 passports", 8)
    assert lines["log"].startswith(f"{size:,} records, the last ")
    assert (found.json["log"]["size"], found.json["log"]["signed"]) == (size, signed)
    assert lines["log"].endswith(f"signed up to record {signed}" if signed < size else " ago")
    assert lines["census"].startswith(f"record {census['record']}, ")
    assert lines["census"].endswith("2 passports; 1 passports changed since")
    lacks = size - found.json["backup"]["log_size"]
    assert re.search(rf"{tmp_path / 'b'}, [\d,]+ bytes; {lacks} records since$", lines["backup"])
    assert re.match(r"store [\d.]+ [kM]B.*; [\d.]+ [GTM]B free \(\d+ %\)$", lines["disk"])
    assert re.match(r"2 in force, the oldest of \d{4}-.* UTC; 1 revoked, 1 disputed;", lines["keys"])
    assert lines["writer"].startswith(f"process {os.getpid()} (a test)")
    assert "programs" not in lines

    add = ("client", "add", "--member", "Fleet Data", "--scope", "passports:read")
    for name, options in (("Lasting", []), ("Long", ["--valid", "40d"]), ("Soon", ["--valid", "20d"])):
        assert carnet(*add, "--name", name, *options, home=node.path).code == 0
    desk = carnet("status", "--json", home=node.path).json["desk"]
    left_ms = desk["first_key_ends_at"] - time.time_ns() // 10**6
    assert (desk["keys_ending"], 19 * 86_400_000 < left_ms <= 20 * 86_400_000) == (1, True)
    told = carnet("status", home=node.path).out
    assert re.search(r"programs +1 of their keys end within 30 days, the first 20\d\d-.* UTC: carnet client list", told)
