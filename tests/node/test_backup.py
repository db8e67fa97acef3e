"""A backup, taken apart: what it holds, every way to alter it, and what a restored copy may do."""

from __future__ import annotations

import fcntl
import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from carnet.encoding import b64
from carnet.errors import Reason, Refused, Unverified
from carnet.node.backup import envelope
from carnet.node.backup.contents import PEOPLE, read_parts, write_end, write_part
from carnet.node.backup.envelope import Opener, Passphrase, Recipient, Sealer, SealingWriter, SecretKey
from carnet.node.backup.restore import Restored, Wish, read_about, restore_backup
from carnet.node.backup.take import Taken, get_journal_beside, read_last_backup, take_backup
from carnet.node.erasing import ErasureJournal
from carnet.node.fsck import check_home
from carnet.node.home import Home
from carnet.node.keyring import load_key_ring, save_key_ring
from carnet.node.lock import WriterLock
from carnet.node.people import open_people
from carnet.node.reader import open_reader
from carnet.node.restored import find_mark, show_head
from carnet.node.writer import open_writer
from carnet.proof.assemble import Selection, assemble_bundle
from carnet.proof.verify import verify_bundle
from carnet.signing import Signer
from carnet.tlog.checkpoint import Checkpoint, sign_checkpoint
from carnet.tlog.policy import parse_policy
from carnet.types import Basis
from tests.node.conftest import ON_FILE
from tests.node.home import START_MS, Clock, Dice, TestNode, make_node, more, new_passport, reading, vin_subject
from tests.node.test_erasing import fill, find_in_files, note_traces

PASSPHRASE = Passphrase("a long passphrase")
OPENER = SecretKey(b"a key that opens at once".ljust(32))
SEALER = OPENER.recipient
"""A passphrase takes its time at each try: what is not about passphrases is sealed for a key."""

REPORTED = Basis.REPORTED


def back_up(node: TestNode, file: Path, sealer: Sealer = SEALER, *, is_replacing: bool = False) -> Taken:
    return take_backup(
        Home(node.path), file, sealer, now=node.clock(), random_bytes=node.dice, is_replacing=is_replacing
    )


def bring_back(file: Path, path: Path, opener: Opener = OPENER, wish: Wish | None = None) -> Restored:
    return restore_backup(file, Home(path), opener, now=START_MS + 10**9, wish=wish)


def at(path: Path, node: TestNode) -> TestNode:
    """The same node, in another home."""
    return TestNode(path, node.operator, node.clock, node.dice)


def refusal(work: Callable[[], object]) -> Refused:
    with pytest.raises(Refused) as caught:
        work()
    return caught.value


def get_root(path: Path) -> tuple[int, bytes]:
    with open_reader(path) as reader:
        from carnet.tlog.tree import root_from

        return reader.state.size, root_from(reader._read_node, reader.state.size)


def read_head(node: TestNode) -> bytes:
    with node.read() as reader:
        return reader.get_checkpoint()[1]


@pytest.fixture
def filled(checked: TestNode) -> tuple[TestNode, list[bytes]]:
    with checked.open() as writer:
        return checked, fill(checked, writer)


# ---- what comes back


def test_restore__gives_the_same_root_a_clean_store_and_the_same_proofs(
    filled: tuple[TestNode, list[bytes]], tmp_path: Path
) -> None:
    node, chains = filled
    (node.path / "trust" / "other.policy").write_bytes(b"log x\nquorum none\n")
    taken = back_up(node, tmp_path / "b", PASSPHRASE)
    restored = bring_back(tmp_path / "b", tmp_path / "copy", PASSPHRASE, wish=Wish(is_checked=True))
    assert get_root(tmp_path / "copy") == get_root(node.path) == (taken.moment.log_size, taken.moment.root)
    assert (restored.about.root, restored.about.log_size) == (taken.moment.root, taken.moment.log_size)
    assert check_home(tmp_path / "copy") == []
    copy = at(tmp_path / "copy", node)
    for chain in chains:
        assert copy.prove(chain).exit_code == 0
        with node.read() as here, copy.read() as there:
            assert assemble_bundle(here, chain, Selection()) == assemble_bundle(there, chain, Selection())
    assert load_key_ring(copy.path / "keys.json") == load_key_ring(node.path / "keys.json")
    assert (copy.path / "trust" / "other.policy").read_bytes() == b"log x\nquorum none\n"
    modes = {entry.name: entry.stat().st_mode & 0o777 for entry in copy.path.iterdir()}
    assert modes["keys.json"] == modes["node.db"] == modes["erasures.journal"] == 0o600
    assert copy.path.stat().st_mode & 0o777 == 0o700


def test_backup__while_the_writer_is_open_holds_one_moment(checked: TestNode, tmp_path: Path) -> None:
    writer = checked.open()
    sizes = []
    for number in range(4):
        writer.append(checked.operator.id, REPORTED, [new_passport(number, 10, 20)])
        taken = back_up(checked, tmp_path / f"b{number}")
        assert taken.moment.log_size == writer.state.size
        sizes.append(taken.moment.log_size)
    assert sorted(set(sizes)) == sizes
    for number, size in enumerate(sizes):
        bring_back(tmp_path / f"b{number}", tmp_path / f"copy{number}", wish=Wish(is_checked=True))
        assert get_root(tmp_path / f"copy{number}")[0] == size


def test_backup__never_holds_the_lock_nor_an_older_note(filled: tuple[TestNode, list[bytes]], tmp_path: Path) -> None:
    node, _ = filled
    back_up(node, tmp_path / "b")
    with node.open():
        back_up(node, tmp_path / "b2")
        with (tmp_path / "b2").open("rb") as file:
            header = envelope.read_header(file)
            names = []
            for part in read_parts(envelope.open_chunks(file, header, OPENER)):
                names.append(part.name)
                assert sum(map(len, part.pieces)) == part.size
    assert names == ["keys.json", "node.db"]


def test_backup__leaves_nothing_of_the_copy_in_the_home(filled: tuple[TestNode, list[bytes]], tmp_path: Path) -> None:
    node, _ = filled
    before = {entry.name for entry in node.path.iterdir()}
    back_up(node, tmp_path / "b")
    after = {entry.name for entry in node.path.iterdir()}
    assert after - before <= {"last-backup.json", "node.db-wal", "node.db-shm"}
    last = read_last_backup(Home(node.path))
    assert last is not None
    assert (last.file, last.byte_count) == (str(tmp_path / "b"), (tmp_path / "b").stat().st_size)
    assert sorted(entry.name for entry in tmp_path.iterdir() if entry.name.startswith("b")) == ["b"]


def test_backup__removes_what_killed_ones_left_and_no_other(
    filled: tuple[TestNode, list[bytes]], tmp_path: Path
) -> None:
    node, _ = filled
    back_up(node, tmp_path / "b")
    whole, left = (tmp_path / "b").read_bytes(), tmp_path / "monday.carnet-part"
    # A download of a backup, as browsers call it: whoever fetches it may go on tomorrow.
    for name in ("monday.carnet-part", "now.carnet-part", "busy.carnet-part", "old", "fetched.part"):
        (tmp_path / name).write_bytes(whole[:100])
    (tmp_path / "song.carnet-part").write_bytes(b"not a backup")
    for name in ("monday.carnet-part", "busy.carnet-part", "song.carnet-part", "old", "fetched.part"):
        os.utime(tmp_path / name, (1_000_000, 1_000_000))
    (node.path / ".carnet-copy-left").mkdir()
    (node.path / ".carnet-copy-left" / "at-work").touch()
    with (tmp_path / "busy.carnet-part").open("rb") as busy:
        fcntl.flock(busy, fcntl.LOCK_EX)
        back_up(node, tmp_path / "c")
    assert not left.exists()
    assert not (node.path / ".carnet-copy-left").exists()
    kept = ("now.carnet-part", "busy.carnet-part", "song.carnet-part", "old", "fetched.part", "b", "c")
    assert all((tmp_path / name).exists() for name in kept)


@ON_FILE
def test_backup__shows_nothing_of_the_home(filled: tuple[TestNode, list[bytes]], tmp_path: Path) -> None:
    node, _ = filled
    back_up(node, tmp_path / "b")
    data, store = (tmp_path / "b").read_bytes(), (node.path / "node.db").read_bytes()
    for file in ("keys.json", "node.db"):
        content = (node.path / file).read_bytes()
        assert all(content[start : start + 24] not in data for start in range(0, len(content) - 24, 4096))
    assert b"Fleet Data" in store
    assert b"Fleet Data" not in data


def test_backup__of_a_key_ring_under_a_passphrase_keeps_it_so(
    filled: tuple[TestNode, list[bytes]], tmp_path: Path
) -> None:
    node, _ = filled
    ring = load_key_ring(node.path / "keys.json")
    save_key_ring(ring, node.path / "keys.json", "of the keys", node.dice)
    back_up(node, tmp_path / "b")
    refused = refusal(lambda: bring_back(tmp_path / "b", tmp_path / "copy"))
    assert (refused.reason, refused.facts["of"]) == (Reason.WRONG_PASSPHRASE, "keys")
    assert not (tmp_path / "copy").exists()
    bring_back(tmp_path / "b", tmp_path / "copy", wish=Wish(ring_passphrase="of the keys"))
    assert load_key_ring(tmp_path / "copy" / "keys.json", "of the keys") == ring
    save_key_ring(ring, node.path / "keys.json", None, node.dice)


def test_backup__for_a_key_opens_with_its_secret_only(filled: tuple[TestNode, list[bytes]], tmp_path: Path) -> None:
    node, _ = filled
    secret = SecretKey(node.dice(32))
    back_up(node, tmp_path / "b", Recipient.parse(secret.recipient.format()))
    assert read_about(tmp_path / "b").is_for_key
    for wrong in (SecretKey(node.dice(32)), PASSPHRASE):
        refused = refusal(lambda opener=wrong: bring_back(tmp_path / "b", tmp_path / "copy", opener))  # type: ignore[misc]
        assert (refused.reason, refused.facts["of"]) == (Reason.WRONG_PASSPHRASE, "backup")
    bring_back(tmp_path / "b", tmp_path / "copy", secret)
    assert get_root(tmp_path / "copy") == get_root(node.path)


@pytest.mark.parametrize("text", ["", "x", "carnet-backup:", "carnet-backup:AAAA", "carnet-backup:" + b64(bytes(31))])
def test_recipient__refused_wrong_type(text: str) -> None:
    assert refusal(lambda: Recipient.parse(text)).reason is Reason.WRONG_TYPE


def test_backup__refused_low_order_recipient(checked: TestNode, tmp_path: Path) -> None:
    assert refusal(lambda: back_up(checked, tmp_path / "b", Recipient(bytes(32)))).reason is Reason.WRONG_TYPE
    assert not (tmp_path / "b").exists()


def test_backup__refused_file_exists(checked: TestNode, tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"mine")
    assert refusal(lambda: back_up(checked, tmp_path / "b")).reason is Reason.FILE_EXISTS
    assert (tmp_path / "b").read_bytes() == b"mine"
    back_up(checked, tmp_path / "b", is_replacing=True)
    assert read_about(tmp_path / "b").log_size == 3


def test_backup__refused_inside_the_home(checked: TestNode) -> None:
    for file in (checked.path / "b", checked.path / "trust" / "b"):
        assert refusal(lambda file=file: back_up(checked, file)).reason is Reason.VALUE_OUT_OF_RANGE  # type: ignore[misc]
        assert not file.exists()


def test_backup__refused_no_node(tmp_path: Path) -> None:
    work = lambda: take_backup(Home(tmp_path), tmp_path / "b", SEALER, now=1, random_bytes=Dice())  # noqa: E731
    assert refusal(work).reason is Reason.NO_NODE


def test_backup__refused_writer_busy_by_another_backup_to_the_same_file(checked: TestNode, tmp_path: Path) -> None:
    lock = WriterLock(tmp_path / "b.carnet-part", "another")
    refused = refusal(lambda: back_up(checked, tmp_path / "b"))
    assert (refused.reason, refused.could_retry) == (Reason.WRITER_BUSY, True)
    lock.release()
    back_up(checked, tmp_path / "b")
    assert not (tmp_path / "b.carnet-part").exists()


@ON_FILE
def test_backup__refused_no_room(checked: TestNode, tmp_path: Path) -> None:
    """A store that is said to be larger than any disk: a hole in a file costs nothing."""
    shutil.copytree(checked.path, tmp_path / "large")
    (tmp_path / "large" / "node.db-wal").write_bytes(b"")
    os.truncate(tmp_path / "large" / "node.db-wal", 8 * 2**40)
    large = at(tmp_path / "large", checked)
    assert refusal(lambda: back_up(large, tmp_path / "b")).reason is Reason.NO_ROOM
    assert not (tmp_path / "b").exists()


# ---- altered


def test_restore__refused_backup_altered__one_bit_in_each_region(
    filled: tuple[TestNode, list[bytes]], tmp_path: Path
) -> None:
    node, _ = filled
    back_up(node, tmp_path / "b")
    whole = (tmp_path / "b").read_bytes()
    header_end = len(envelope.MAGIC) + 4 + int.from_bytes(whole[16:20], "big")
    regions = {
        "magic": range(0, 16, 5),
        "header length": range(16, 20),
        "header": range(20, header_end, 29),
        "check": range(header_end, header_end + 16, 5),
        "chunk length": range(header_end + 16, header_end + 20),
        "chunk": range(header_end + 20, len(whole) - 16, len(whole) // 10),
        "tag": range(len(whole) - 16, len(whole), 5),
    }
    tried = 0
    for places in regions.values():
        for place in places:
            (tmp_path / "bad").write_bytes(whole[:place] + bytes((whole[place] ^ 1,)) + whole[place + 1 :])
            refused = refusal(lambda: bring_back(tmp_path / "bad", tmp_path / "copy"))
            wanted = {Reason.BACKUP_ALTERED, Reason.WRONG_PASSPHRASE, Reason.UNREADABLE_FILE}
            assert refused.reason in wanted, place
            assert not (tmp_path / "copy").exists()
            assert not (tmp_path / "copy.restoring").exists()
            tried += 1
    assert tried > 40
    bring_back(tmp_path / "b", tmp_path / "copy")


@pytest.fixture(scope="module")
def long_stream() -> tuple[bytes, bytes]:
    """Two sealed files of three and a half chunks for one key."""
    files = []
    for seed in (b"one", b"two"):
        file = io.BytesIO()
        writer = SealingWriter(file, {"about": "a test"}, SEALER, Dice(seed))
        for _ in range(7):
            writer.write(Dice(seed)(envelope.CHUNK_BYTES // 2))
        writer.finish()
        files.append(file.getvalue())
    return files[0], files[1]


def open_all(data: bytes) -> int:
    file = io.BytesIO(data)
    header = envelope.read_header(file)
    return sum(map(len, envelope.open_chunks(file, header, OPENER)))


def split_chunks(data: bytes) -> list[bytes]:
    """The front of a file up to its chunks, then each chunk with its length."""
    start = 20 + int.from_bytes(data[16:20], "big") + 16
    parts = [data[:start]]
    while start < len(data):
        end = start + 4 + (int.from_bytes(data[start : start + 4], "big") & 0x7FFFFFFF)
        parts.append(data[start:end])
        start = end
    return parts


def test_open_chunks__gives_what_was_written(long_stream: tuple[bytes, bytes]) -> None:
    assert open_all(long_stream[0]) == 7 * (envelope.CHUNK_BYTES // 2)
    assert len(split_chunks(long_stream[0])) == 1 + 4


@pytest.mark.parametrize("count", [0, 1, envelope.CHUNK_BYTES - 1, envelope.CHUNK_BYTES, envelope.CHUNK_BYTES + 1])
def test_open_chunks__of_any_length(count: int) -> None:
    file = io.BytesIO()
    writer = SealingWriter(file, {}, SecretKey(bytes(32)).recipient, Dice())
    writer.write(bytes(count))
    writer.finish()
    file.seek(0)
    header = envelope.read_header(file)
    assert b"".join(envelope.open_chunks(file, header, SecretKey(bytes(32)))) == bytes(count)


def test_open_chunks__refused_backup_altered__rearranged(long_stream: tuple[bytes, bytes]) -> None:
    front, *chunks = split_chunks(long_stream[0])
    other_front, *others = split_chunks(long_stream[1])
    as_last = (int.from_bytes(chunks[0][:4], "big") | 1 << 31).to_bytes(4, "big") + chunks[0][4:]
    as_middle = (int.from_bytes(chunks[-1][:4], "big") & 0x7FFFFFFF).to_bytes(4, "big") + chunks[-1][4:]
    cases = {
        "two swapped": [chunks[1], chunks[0], *chunks[2:]],
        "one left out": [chunks[0], *chunks[2:]],
        "one twice": [chunks[0], chunks[0], *chunks[1:]],
        "cut at each border": chunks[:3],
        "cut at the first border": chunks[:1],
        "no chunk": [],
        "the first made the last": [as_last],
        "the last made a middle one": [*chunks[:3], as_middle],
        "the last twice": [*chunks, chunks[-1]],
        "one of another file": [chunks[0], others[1], *chunks[2:]],
        "all of another file": others,
        "something behind": [*chunks, b"\n"],
        "cut within": [*chunks[:3], chunks[3][:-1]],
        "a length that is too large": [b"\x7f\xff\xff\xff" + chunks[0][4:], *chunks[1:]],
    }
    for name, case in cases.items():
        assert refusal(lambda case=case: open_all(front + b"".join(case))).reason is Reason.BACKUP_ALTERED, name  # type: ignore[misc]
    # With the other's header the key is another, and the check says so.
    mixed = other_front[:-16] + front[-16:] + b"".join(chunks)
    assert refusal(lambda: open_all(mixed)).reason is Reason.WRONG_PASSPHRASE


def test_restore__refused_backup_altered__cut_anywhere(filled: tuple[TestNode, list[bytes]], tmp_path: Path) -> None:
    node, _ = filled
    back_up(node, tmp_path / "b")
    whole = (tmp_path / "b").read_bytes()
    for size in (0, 10, 16, 18, 20, 100, 500, len(whole) // 2, len(whole) - 16, len(whole) - 1):
        (tmp_path / "cut").write_bytes(whole[:size])
        reason = refusal(lambda: bring_back(tmp_path / "cut", tmp_path / "copy")).reason
        assert reason is (Reason.UNREADABLE_FILE if size < 16 else Reason.BACKUP_ALTERED), size
        assert not (tmp_path / "copy").exists()


def test_restore__refused_wrong_passphrase(checked: TestNode, tmp_path: Path) -> None:
    back_up(checked, tmp_path / "b", PASSPHRASE)
    refused = refusal(lambda: bring_back(tmp_path / "b", tmp_path / "copy", Passphrase("another")))
    assert (refused.reason, refused.facts["of"]) == (Reason.WRONG_PASSPHRASE, "backup")


def seal_by_hand(file: Path, about: dict[str, object], parts: dict[str, bytes]) -> None:
    """What somebody who knows the key can write."""
    with file.open("wb") as opened:
        writer = SealingWriter(opened, about, SEALER, Dice())
        for name, data in parts.items():
            write_part(writer.write, name, len(data), io.BytesIO(data))
        write_end(writer.write)
        writer.finish()


def read_parts_of(file: Path) -> tuple[dict[str, object], dict[str, bytes]]:
    with file.open("rb") as opened:
        header = envelope.read_header(opened)
        parts = read_parts(envelope.open_chunks(opened, header, OPENER))
        read = {part.name: b"".join(part.pieces) for part in parts}
    names = ("at", "log_size", "net", "origin", "root", "store_bytes")
    return {name: header.document[name] for name in names}, read


@pytest.mark.parametrize(
    "name", ["../x", "/etc/x", "trust/../x.policy", "trust/a/b.policy", "writer.lock", "x", "keys.json/"]
)
def test_restore__refused_backup_altered__names_that_belong_elsewhere(
    checked: TestNode, tmp_path: Path, name: str
) -> None:
    back_up(checked, tmp_path / "b")
    about, parts = read_parts_of(tmp_path / "b")
    seal_by_hand(tmp_path / "bad", about, {name: b"x", **parts})
    assert refusal(lambda: bring_back(tmp_path / "bad", tmp_path / "copy")).reason is Reason.BACKUP_ALTERED
    assert not (tmp_path / "x").exists()


def test_restore__refused_node_damaged__a_store_that_is_not_the_one_named(
    filled: tuple[TestNode, list[bytes]], tmp_path: Path
) -> None:
    node, _ = filled
    back_up(node, tmp_path / "old")
    with node.open() as writer:
        writer.append(node.operator.id, REPORTED, [new_passport(7, 1)])
    back_up(node, tmp_path / "new")
    about, _ = read_parts_of(tmp_path / "new")
    _, old = read_parts_of(tmp_path / "old")
    seal_by_hand(tmp_path / "bad", about, old)
    assert refusal(lambda: bring_back(tmp_path / "bad", tmp_path / "copy")).reason is Reason.NODE_DAMAGED
    assert not (tmp_path / "copy").exists()


def test_restore__refused_node_damaged__keys_of_another_node(checked: TestNode, tmp_path: Path) -> None:
    with checked.open() as writer:
        fill(checked, writer)
    back_up(checked, tmp_path / "b")
    about, parts = read_parts_of(tmp_path / "b")
    other = make_node(tmp_path / "other", seed=b"other")
    seal_by_hand(tmp_path / "bad", about, {**parts, "keys.json": (other.path / "keys.json").read_bytes()})
    assert refusal(lambda: bring_back(tmp_path / "bad", tmp_path / "copy")).reason is Reason.NODE_DAMAGED


def test_restore__refused_node_exists(checked: TestNode, tmp_path: Path) -> None:
    back_up(checked, tmp_path / "b")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    (tmp_path / "copy.restoring").mkdir()
    (tmp_path / "copy.restoring" / "mine").write_text("mine")
    for name in ("home", "full", "copy"):
        assert refusal(lambda name=name: bring_back(tmp_path / "b", tmp_path / name)).reason is Reason.NODE_EXISTS  # type: ignore[misc]
    assert (tmp_path / "full" / "mine").read_text() == (tmp_path / "copy.restoring" / "mine").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    bring_back(tmp_path / "b", tmp_path / "empty")


def test_restore__goes_on_where_another_was_killed(checked: TestNode, tmp_path: Path) -> None:
    """What it had written by then is all its own, the store of people too, and may go."""
    open_people(Home(checked.path)).store.close()
    back_up(checked, tmp_path / "b")
    bring_back(tmp_path / "b", tmp_path / "whole")
    assert (tmp_path / "whole" / PEOPLE).exists()
    (tmp_path / "whole").rename(tmp_path / "copy.restoring")
    half = Home(tmp_path / "copy.restoring")
    half.keys.rename(half.keys_waiting)
    (tmp_path / "copy.restoring" / f"{PEOPLE}-wal").touch()
    bring_back(tmp_path / "b", tmp_path / "copy")
    assert (tmp_path / "copy" / PEOPLE).exists()
    assert not (tmp_path / "copy.restoring").exists()


def test_restore__has_no_name_before_its_last_step(checked: TestNode, tmp_path: Path) -> None:
    back_up(checked, tmp_path / "b")

    def die(copy: Home) -> None:
        assert copy.is_founded()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        restore_backup(tmp_path / "b", Home(tmp_path / "copy"), OPENER, now=START_MS, finish=die)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("copy")] == []


# ---- old


def test_restored_copy__refused_restored_copy(filled: tuple[TestNode, list[bytes]], tmp_path: Path) -> None:
    node, _ = filled
    back_up(node, tmp_path / "b")
    bring_back(tmp_path / "b", tmp_path / "copy")
    before = get_root(tmp_path / "copy")
    refused = refusal(at(tmp_path / "copy", node).open)
    assert refused.reason is Reason.RESTORED_COPY
    assert get_root(tmp_path / "copy") == before
    (tmp_path / "copy" / "restored.json").write_bytes(b"{}")
    assert refusal(at(tmp_path / "copy", node).open).reason is Reason.NODE_DAMAGED, "no mark, however broken, opens"


def test_show_head__the_newest_lets_it_write(filled: tuple[TestNode, list[bytes]], tmp_path: Path) -> None:
    node, chains = filled
    back_up(node, tmp_path / "b")
    bring_back(tmp_path / "b", tmp_path / "copy")
    copy = at(tmp_path / "copy", node)
    shown = show_head(Home(copy.path), read_head(node))
    assert (shown.checkpoint.size, shown.is_older) == (get_root(node.path)[0], False)
    assert find_mark(Home(copy.path)) is None
    with copy.open() as writer:
        writer.append(
            node.operator.id, REPORTED, [more(writer.find_chain(vin_subject(0)), reading(vin_subject(0), 40))]
        )
        writer.take_census()
    copy.check()
    assert copy.prove(chains[0]).exit_code == 0
    assert refusal(lambda: show_head(Home(copy.path), read_head(node))).reason is Reason.NODE_EXISTS


def test_show_head__a_proof_is_a_head_too(filled: tuple[TestNode, list[bytes]], tmp_path: Path) -> None:
    node, chains = filled
    back_up(node, tmp_path / "b")
    with node.read() as reader:
        bundle = assemble_bundle(reader, chains[0], Selection())
    restored = bring_back(tmp_path / "b", tmp_path / "copy", wish=Wish(head=bundle))
    assert restored.shown is not None
    with at(tmp_path / "copy", node).open():
        pass


def test_show_head__refused_stale_copy(filled: tuple[TestNode, list[bytes]], tmp_path: Path) -> None:
    node, chains = filled
    back_up(node, tmp_path / "b")
    bring_back(tmp_path / "b", tmp_path / "copy")
    with node.open() as writer:
        writer.append(node.operator.id, REPORTED, [new_passport(7, 1)])
        writer.take_census()
    size = get_root(tmp_path / "copy")[0]
    for work in (
        lambda: show_head(Home(tmp_path / "copy"), read_head(node)),
        lambda: bring_back(tmp_path / "b", tmp_path / "second", wish=Wish(head=read_head(node))),
    ):
        refused = refusal(work)
        assert (refused.reason, refused.facts["missing"]) == (Reason.STALE_COPY, 2)
    assert refusal(at(tmp_path / "copy", node).open).reason is Reason.RESTORED_COPY
    assert get_root(tmp_path / "copy")[0] == size
    assert not (tmp_path / "second").exists()
    assert at(tmp_path / "copy", node).prove(chains[0]).exit_code == 0, "it still reads and proves"


def test_show_head__an_older_one_is_told_apart(filled: tuple[TestNode, list[bytes]], tmp_path: Path) -> None:
    node, _ = filled
    old = read_head(node)
    with node.open() as writer:
        writer.append(node.operator.id, REPORTED, [new_passport(7, 1)])
    back_up(node, tmp_path / "b")
    restored = bring_back(tmp_path / "b", tmp_path / "copy", wish=Wish(head=old))
    assert restored.shown is not None
    assert restored.shown.is_older


def test_show_head__refused_other_history(filled: tuple[TestNode, list[bytes]], tmp_path: Path) -> None:
    node, _ = filled
    back_up(node, tmp_path / "b")
    bring_back(tmp_path / "b", tmp_path / "copy")
    with node.read() as reader:
        origin = reader.state.genesis.origin
    signer = Signer(load_key_ring(node.path / "keys.json").log)
    for size in (1, 4, 5):
        head = sign_checkpoint(Checkpoint(origin, size, b"\x07" * 32), signer)
        assert refusal(lambda head=head: show_head(Home(tmp_path / "copy"), head)).reason is Reason.OTHER_HISTORY  # type: ignore[misc]
    assert find_mark(Home(tmp_path / "copy")) is not None


def test_show_head__that_the_log_did_not_sign_is_none(filled: tuple[TestNode, list[bytes]], tmp_path: Path) -> None:
    node, _ = filled
    back_up(node, tmp_path / "b")
    bring_back(tmp_path / "b", tmp_path / "copy")
    head = read_head(node)
    other = make_node(tmp_path / "other", seed=b"other")
    with other.open() as writer:
        fill(other, writer)
    forged = head[:-10] + (b"A" if head[-10:-9] != b"A" else b"B") + head[-9:]
    for data in (forged, read_head(other), b"", b"{}", b"x\n", head[:-1]):
        with pytest.raises(Unverified):
            show_head(Home(tmp_path / "copy"), data)
    assert find_mark(Home(tmp_path / "copy")) is not None
    other.close()


# ---- erased since


@pytest.mark.parametrize("seqs", [[2], None], ids=["an entry", "the passport"])
@pytest.mark.parametrize("way", ["beside", "named", "later"])
def test_restore__what_was_erased_since_is_in_no_file(
    filled: tuple[TestNode, list[bytes]], tmp_path: Path, seqs: list[int] | None, way: str
) -> None:
    node, chains = filled
    (tmp_path / "backups").mkdir()
    back_up(node, tmp_path / "backups" / "b")
    with node.open() as writer:
        traces = note_traces(writer, chains[1], seqs)
        kept = note_traces(writer, chains[0], None)
        writer.erase(chains[1], seqs, "holder_request")
    journal = get_journal_beside(tmp_path / "backups" / "b", read_about(tmp_path / "backups" / "b").net)
    assert ErasureJournal(journal).read() == []
    wish = Wish(is_checked=True)
    if way == "beside":
        shutil.copy(node.path / "erasures.journal", journal)
    elif way == "named":
        wish = Wish(journals=[node.path / "erasures.journal"], is_checked=True)
    restored = bring_back(tmp_path / "backups" / "b", tmp_path / "copy", wish=wish)
    if way == "later":
        from carnet.node.backup.restore import apply_journals

        assert find_in_files(tmp_path / "copy", traces) == set(traces)
        ring = load_key_ring(tmp_path / "copy" / "keys.json")
        assert apply_journals(Home(tmp_path / "copy"), ring, [node.path / "erasures.journal"]) == (1, True)
    else:
        assert (restored.erased_count, restored.is_gone) == (1, True)
    assert find_in_files(tmp_path / "copy", traces) == set()
    assert find_in_files(tmp_path / "copy", kept) == set(kept)
    assert check_home(tmp_path / "copy") == []
    assert get_root(tmp_path / "copy")[0] == restored.about.log_size, "no record was added to the log"
    assert ErasureJournal(tmp_path / "copy" / "erasures.journal").read() != []


def test_restore__of_an_erasure_without_a_record_after_it_writes_no_census(
    filled: tuple[TestNode, list[bytes]], tmp_path: Path
) -> None:
    """Where the log was as long as in the backup, a writer would take a census; the old one took another one."""
    node, chains = filled
    back_up(node, tmp_path / "b")
    with node.open() as writer:
        writer.erase(chains[1], None, "holder_request")
    wish = Wish(journals=[node.path / "erasures.journal"])
    restored = bring_back(tmp_path / "b", tmp_path / "copy", wish=wish)
    assert get_root(tmp_path / "copy") == (restored.about.log_size, restored.about.root)
    refused = refusal(lambda: show_head(Home(tmp_path / "copy"), read_head(node)))
    assert (refused.reason, refused.facts["missing"]) == (Reason.STALE_COPY, 1)


def test_restore__refused_erasures_of_another_node(filled: tuple[TestNode, list[bytes]], tmp_path: Path) -> None:
    node, _ = filled
    back_up(node, tmp_path / "b")
    other = make_node(tmp_path / "other", seed=b"other")
    with other.open() as writer:
        writer.erase(fill(other, writer)[1], [2], "holder_request")
    with pytest.raises(Unverified) as caught:
        bring_back(tmp_path / "b", tmp_path / "copy", wish=Wish(journals=[other.path / "erasures.journal"]))
    assert caught.value.code == "erasure_signature_invalid"
    assert not (tmp_path / "copy").exists()
    absent = Wish(journals=[tmp_path / "absent"])
    assert refusal(lambda: bring_back(tmp_path / "b", tmp_path / "copy", wish=absent)).reason is Reason.UNREADABLE_FILE


def test_backup__journal_beside_it_only_grows(filled: tuple[TestNode, list[bytes]], tmp_path: Path) -> None:
    node, chains = filled
    with node.open() as writer:
        writer.erase(chains[1], [1], "holder_request")
    first = back_up(node, tmp_path / "b")
    assert first.erasure_count == 1
    with node.open() as writer:
        writer.erase(chains[1], [2], "holder_request")
    assert back_up(node, tmp_path / "b2").erasure_count == 2
    lines = first.journal.read_bytes()
    assert lines == (node.path / "erasures.journal").read_bytes()
    # An older home that is backed up to the same folder takes nothing away.
    bring_back(tmp_path / "b", tmp_path / "copy")
    (tmp_path / "copy" / "erasures.journal").unlink()
    assert back_up(at(tmp_path / "copy", node), tmp_path / "b3").erasure_count == 2
    assert first.journal.read_bytes() == lines


def test_proof_before__verifies_under_the_same_policy_after_it(
    filled: tuple[TestNode, list[bytes]], tmp_path: Path
) -> None:
    node, chains = filled
    with node.read() as reader:
        policy, bundle = reader.get_policy(), assemble_bundle(reader, chains[0], Selection())
    back_up(node, tmp_path / "b")
    bring_back(tmp_path / "b", tmp_path / "copy", wish=Wish(head=read_head(node)))
    with open_writer(tmp_path / "copy", clock=Clock(START_MS + 2 * 10**9), random_bytes=node.dice) as writer:
        writer.append(
            node.operator.id, REPORTED, [more(writer.find_chain(vin_subject(0)), reading(vin_subject(0), 50))]
        )
        writer.take_census()
    with open_reader(tmp_path / "copy") as reader:
        assert reader.get_policy() == policy
        from carnet.services.exporting import _read_since

        newer = assemble_bundle(reader, chains[0], Selection(since=_read_since(reader, bundle)))
    assert verify_bundle(bundle, parse_policy(policy), node.clock()).exit_code == 0
    assert verify_bundle(newer, parse_policy(policy), START_MS + 3 * 10**9).exit_code == 0


def test_restore__of_a_copy_from_before_a_rotation_cannot_check_a_later_erasure(
    filled: tuple[TestNode, list[bytes]], tmp_path: Path
) -> None:
    """It is refused rather than restored with what was erased."""
    node, chains = filled
    back_up(node, tmp_path / "b")
    with node.open() as writer:
        digest = Signer(writer.ring.node).digest
        writer.rotate_key(writer.node_id, digest)
        writer.erase(chains[1], [2], "holder_request")
    back_up(node, tmp_path / "after")
    with pytest.raises(Unverified) as caught:
        bring_back(tmp_path / "b", tmp_path / "copy")
    assert caught.value.code == "erasure_signature_invalid"
    assert not (tmp_path / "copy").exists()
    bring_back(tmp_path / "after", tmp_path / "copy", wish=Wish(is_checked=True))
