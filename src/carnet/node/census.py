"""The census of a home: the heads of all its chains at the present log size, as one tree. Spec: 3.8, 3.9.

Knows heads; refuses to know what the chains are about.
"""

from __future__ import annotations

from carnet.ledger.census import Census, compute_census_message, compute_head_leaf, compute_slot
from carnet.ledger.state import State
from carnet.signing import Signer
from carnet.tlog.smt import SparseTree
from carnet.vault.erasing import count_erased_chains
from carnet.vault.store import Connection

# A chain that has not grown since the census still has the head it had; one that has, keeps the old one beside it; one
# that was opened since has none.
_HEADS = """
SELECT chain16, head_epoch, head_seq, head_id FROM chain WHERE head_seal < :covers
UNION ALL
SELECT chain16, census_epoch, census_seq, census_id FROM chain WHERE head_seal >= :covers AND census_id IS NOT NULL
"""


def read_census_tree(connection: Connection, covers: int) -> SparseTree:
    """The tree of all heads below log size `covers`, which is that of the latest census or the present one."""
    items = []
    for chain, epoch, seq, link_id in connection.execute(_HEADS, {"covers": covers}):
        slot = compute_slot(chain)
        items.append((slot, compute_head_leaf(slot, chain, epoch, seq, link_id)))
    return SparseTree.build(items)


def make_census(connection: Connection, state: State, home: bytes, node: Signer) -> tuple[Census, bytes]:
    """The census of this moment, and the node's signature on it."""
    latest = state.censuses.get(home)
    tree = read_census_tree(connection, state.size)
    census = Census(
        home=home,
        previous=latest.index if latest else None,
        covers=state.size,
        count=len(tree),
        erased=count_erased_chains(connection),
        root=tree.root,
    )
    return census, node.sign(compute_census_message(state.net, census.to_document()))
