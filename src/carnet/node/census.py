"""The census of a home: the heads of all its chains at the present log size, as one tree. Spec: 3.8, 3.9.

The tree is kept in pieces, and only those on the way to a chain that changed are made anew. Knows heads; refuses to
know what the chains are about.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from carnet.encoding import unb64
from carnet.errors import Unverified
from carnet.ledger.census import (
    Census,
    Head,
    compute_census_message,
    compute_head_leaf,
    compute_slot,
    make_changes,
)
from carnet.ledger.state import State
from carnet.node.census_tree import MOST_AT_ONCE, apply_all, apply_groups
from carnet.node.heads import FindHead, NotedHeads, settle_changed
from carnet.signing import Signer
from carnet.tlog.pieces import NOTHING, Top, make_change
from carnet.tlog.smt import SparseTree, census_leaf_hash
from carnet.vault.census import (
    clear_changed,
    clear_pieces,
    read_heads,
    read_last_erased,
)
from carnet.vault.erasing import count_erased_chains
from carnet.vault.ledger import parse_record, read_leaf
from carnet.vault.store import Connection

Document = dict[str, Any]

# A chain that has not grown since the census still has the head it had; one that has, keeps the old one beside it; one
# that was opened since has none.
_HEADS = """
SELECT chain16, head_epoch, head_seq, head_id FROM chain WHERE head_seal < :covers
UNION ALL
SELECT chain16, census_epoch, census_seq, census_id FROM chain WHERE head_seal >= :covers AND census_id IS NOT NULL
"""

_HEADS_AT_ONCE: Final = 4096


def read_census_tree(connection: Connection, covers: int) -> SparseTree:
    """The whole tree of all heads below log size `covers`, which is that of the latest census, from the chains
    themselves: slow and large, for where its pieces are absent or damaged."""
    items = []
    for chain16, epoch, seq, link_id in connection.stream(_HEADS, {"covers": covers}):
        slot = compute_slot(chain16)
        items.append((slot, compute_head_leaf(slot, chain16, epoch, seq, link_id)))
    return SparseTree.build(items)


def make_census(
    connection: Connection,
    state: State,
    home: bytes,
    node: Signer,
    noted: NotedHeads,
    find_known: FindHead,
    *,
    most: int = MOST_AT_ONCE,
) -> tuple[Census, bytes]:
    """The census of this moment, and the node's signature on it; the stored tree becomes that of this census, and the
    rows of chains remember the heads that it names. `noted` and `find_known` give some of these (`node.heads`);
    `most` are changed at once, or some thousands more."""
    latest = state.censuses.get(home)
    document = None if latest is None else parse_record(read_leaf(connection, latest.index))["census"]
    heads = settle_changed(connection, state.net, noted, find_known)
    top = _update_tree(connection, document, heads, most)
    census = Census(
        home=home,
        previous=latest.index if latest else None,
        covers=state.size,
        count=top.leaf_count,
        erased=count_erased_chains(connection),
        root=top.digest,
    )
    return census, node.sign(compute_census_message(state.net, census.to_document()))


def get_top(census: Document) -> Top:
    """What a census object says of the whole tree."""
    return Top(census["count"], unb64(census["root"]))


def compute_head_digest(slot: bytes, head: Head) -> bytes:
    """The leaf's hash of a head: chain16, epoch, seq, link id. Spec: 3.9."""
    return census_leaf_hash(compute_head_leaf(slot, *head))


def _update_tree(connection: Connection, latest: Document | None, heads: Iterator[list[bytes]], most: int) -> Top:
    try:
        top = NOTHING if latest is None else get_top(latest)
        erased = count_erased_chains(connection) - (0 if latest is None else latest["erased"])
        if erased:
            gone = read_last_erased(connection, erased)
            changes = sorted(make_change(compute_slot(chain16), chain16, None) for chain16 in gone)
            top = apply_groups(connection, top, [changes])
        top = apply_all(connection, top, heads, most=most)
    except Unverified:
        # No pieces yet after an upgrade; or they were changed behind our back, which fsck names. The heads decide, and
        # all of them are settled first.
        deque(heads, maxlen=0)
        clear_pieces(connection)
        stored = read_heads(connection)
        changed = map(make_changes, iter(lambda: list(islice(stored, _HEADS_AT_ONCE)), []))
        top = apply_all(connection, NOTHING, changed, most=most)
    clear_changed(connection)
    return top
