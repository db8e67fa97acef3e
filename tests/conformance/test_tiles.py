"""The tile log of Tessera: its leaves, its tiles and each of its sixteen checkpoints, with the log's published key."""

from __future__ import annotations

import json
from pathlib import Path

from carnet.encoding import unb64
from carnet.tlog.checkpoint import Checkpoint, open_checkpoint
from carnet.tlog.note import VerifierKey
from carnet.tlog.tree import (
    MerkleTree,
    check_consistency,
    check_inclusion,
    compute_root_of,
    consistency_path,
    leaf_hash,
)
from tests.shared import shared_file

# The public key of this test log, as its authors publish it with the log.
KEY = VerifierKey.parse("example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx")
SIZE = 15


def log() -> Path:
    return shared_file("data", "conformance", "tlog_tiles_log", "log")


def read_checkpoint(size: int) -> Checkpoint:
    return open_checkpoint((log() / f"checkpoint.{size}").read_bytes(), KEY).checkpoint


def read_entries(size: int) -> list[bytes]:
    """The entries of the partial bundle of `size`: each a big-endian u16 length, then its bytes (C2SP tlog-tiles)."""
    data = (log() / "tile" / "entries" / "000.p" / str(size)).read_bytes()
    entries = []
    while data:
        length = int.from_bytes(data[:2], "big")
        entries.append(data[2 : 2 + length])
        data = data[2 + length :]
    return entries


def test_tiles__hold_the_hashes_of_the_entries() -> None:
    for size in range(1, SIZE + 1):
        entries = read_entries(size)
        assert len(entries) == size
        tile = (log() / "tile" / "0" / "000.p" / str(size)).read_bytes()
        assert tile == b"".join(leaf_hash(entry) for entry in entries)


def test_checkpoints__each_is_signed_and_has_the_root_of_its_entries() -> None:
    for size in range(SIZE + 1):
        checkpoint = read_checkpoint(size)
        assert checkpoint.origin == KEY.name
        assert checkpoint.size == size
        assert checkpoint.root == compute_root_of(read_entries(size) if size else [])
    assert (log() / "checkpoint").read_bytes() == (log() / f"checkpoint.{SIZE}").read_bytes()


def test_checkpoints__are_consistent_with_each_other_and_include_every_entry() -> None:
    hashes = [leaf_hash(entry) for entry in read_entries(SIZE)]
    roots = [read_checkpoint(size).root for size in range(SIZE + 1)]
    for new in range(1, SIZE + 1):
        tree = MerkleTree(hashes[:new])
        for index in range(new):
            check_inclusion(roots[new], new, index, hashes[index], tree.path(index))
        for old in range(new + 1):
            check_consistency(old, roots[old], new, roots[new], consistency_path(hashes, old, new))


def test_state__has_the_same_root() -> None:
    state = json.loads((log() / ".state" / "treeState").read_text())
    assert state["size"] == SIZE
    assert read_checkpoint(SIZE).root.hex() == unb64(state["root"], 32).hex()
