"""The census: at one log size, the heads of all the chains of one home, under one root. Spec: 3.8, 3.9.

It is what proves that a history is complete, and that a chain is absent. Knows heads, never contents.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from carnet.encoding import b64, encode, sha256, tag, u32, u64
from carnet.errors import Unverified
from carnet.kernel import kernel
from carnet.tlog.pieces import find_way as find_way_in
from carnet.tlog.pieces import list_numbers, make_change, open_piece
from carnet.tlog.smt import census_leaf_hash, check_presence
from carnet.tlog.tree import split_path

Head = tuple[bytes, int, int, bytes]
"""chain16, epoch, seq, link id."""

CHANGE_GROUPS: Final = 256
"""Changes are gathered by the first byte of the slot that they change."""

_CENSUS = tag("census")
_SLOT = tag("slot")
_HEAD = tag("head")
_TIP = tag("tip")


@dataclass(frozen=True, slots=True)
class Census:
    """`home` 16 bytes; `previous` the log index of that home's latest census; `covers` a log size; counts of chains;
    `root` 32 bytes."""

    home: bytes
    previous: int | None
    covers: int
    count: int
    erased: int
    root: bytes

    def to_document(self) -> dict[str, object]:
        """The census object of clause 3.8."""
        return {
            "count": self.count,
            "covers": self.covers,
            "erased": self.erased,
            "home": b64(self.home),
            "previous": self.previous,
            "root": b64(self.root),
        }


def compute_census_message(net: bytes, document: object) -> bytes:
    """What the home signs. Spec: 3.8."""
    return frame_census(net, encode(document))


def frame_census(net: bytes, encoded: bytes) -> bytes:
    """The same from the census's `cj`, as a bundle carries it."""
    return _CENSUS + net + encoded


def compute_slot(chain: bytes) -> bytes:
    """Where a chain stands in the census tree, 32 bytes. Spec: 3.9."""
    return sha256(_SLOT + chain)


def _find_slots(leaves: bytes) -> bytes:
    return b"".join([sha256(_SLOT + leaves[at : at + 16]) for at in range(0, len(leaves), 48)])


find_slots: Final[Callable[[bytes], bytes]] = _find_slots if kernel is None else kernel.find_slots
"""The slots, joined, of chains that stand in a piece of the tree, each before the hash of its leaf."""


def find_way(pieces: Sequence[bytes], slot: bytes) -> tuple[list[bytes], bytes, bytes] | None:
    """The siblings from the root down to the leaf of this slot, the chain in it and its hash; of the pieces of the tree
    from the top towards it. None where they do not lead to it."""
    found = None if kernel is None else kernel.find_way(pieces, slot)
    return _find_way(pieces, slot) if found is None else found


def _find_way(pieces: Sequence[bytes], slot: bytes) -> tuple[list[bytes], bytes, bytes] | None:
    content_of = {number: piece for (number, _), piece in zip(list_numbers(slot), pieces, strict=False)}
    try:
        siblings, name, digest = find_way_in(
            lambda number: open_piece(number, content_of.get(number), find_slots), slot
        )
    except Unverified:
        return None
    return None if name is None or digest is None or compute_slot(name) != slot else (siblings, name, digest)


def compute_head_leaf(slot: bytes, chain: bytes, epoch: int, seq: int, link_id: bytes) -> bytes:
    """The leaf that names a chain's head. Spec: 3.9."""
    return _HEAD + slot + sha256(_TIP + chain + u32(epoch) + u64(seq) + link_id)


def check_head(root: bytes, head: Head, path: bytes) -> None:
    """Check that a chain has this head under the root of a census. `path` holds the siblings from the root downwards,
    joined; raises `Unverified` as `tlog.smt.check_presence`. Spec: 5.6.1."""
    if kernel is None or kernel.find_head_root(head, path) != root:
        chain, epoch, seq, link_id = head
        slot = compute_slot(chain)
        check_presence(root, slot, compute_head_leaf(slot, chain, epoch, seq, link_id), split_path(path))


def _make_changes(heads: Sequence[Head]) -> list[bytes]:
    leaves: list[list[bytes]] = [[] for _ in range(CHANGE_GROUPS)]
    for chain, epoch, seq, link_id in heads:
        slot = compute_slot(chain)
        leaves[slot[0]] += (chain, census_leaf_hash(compute_head_leaf(slot, chain, epoch, seq, link_id)))
    return [b"".join(own) for own in leaves]


make_changes: Final[Callable[[Sequence[Head]], list[bytes]]] = _make_changes if kernel is None else kernel.make_changes
"""What gives chains these heads in the tree: a leaf for each, as pieces hold them (a name and a hash), joined for each
first byte of their slots."""


def _list_changes(leaves: bytes) -> list[bytes]:
    if len(leaves) % 48:
        raise ValueError("a leaf has a name of 16 bytes and a hash of 32")
    named = [(leaves[at : at + 16], leaves[at + 16 : at + 48]) for at in range(0, len(leaves), 48)]
    return sorted(make_change(compute_slot(name), name, digest) for name, digest in named)


list_changes: Final[Callable[[bytes], list[bytes]]] = _list_changes if kernel is None else kernel.list_changes
"""The changes of `tlog.pieces`, ascending, that give the tree these leaves, joined."""
