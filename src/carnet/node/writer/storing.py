"""Writing what was placed: seals, submissions, chains and entries, each in the order of the tree it goes into.

It refuses to know how any of it was placed, and it does not commit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from carnet.ledger.batch import Batch
from carnet.ledger.commands import SealBatch
from carnet.ledger.state import State
from carnet.node.heads import MAX_UNWRITTEN
from carnet.node.placing import Head, OpenBatch, Placing
from carnet.signing import Signer
from carnet.tlog.tree import MerkleTree
from carnet.vault.census import note_changed, note_new
from carnet.vault.names import note_names
from carnet.vault.store import Blob, Connection

# Nulls are written out: for the driver, a null among the parameters is dearer than a text.
_ENTRY = "INSERT INTO entry VALUES (?,?,?,?,?,?,NULL,?,?,?,?,?,?,?,?,?)"
_BARE_ENTRY = "INSERT INTO entry VALUES (?,?,?,?,?,?,NULL,?,?,?,?,?,?,NULL,?,?)"
_ENTRY_AT_TARGET = "INSERT INTO entry VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
_NEW_CHAIN = "INSERT INTO chain VALUES (?,?,?,NULL,?,?,?,?,?,?,?,NULL,NULL,NULL)"
_GROWN_CHAIN = (
    "UPDATE chain SET closed=?, head_seq=?, head_epoch=?, head_id=?, head_seal=?"
    ", census_seq=?, census_epoch=?, census_id=? WHERE id=?"
)
_GROWN_SINCE = "UPDATE chain SET closed=?, head_seq=?, head_epoch=?, head_id=?, head_seal=? WHERE id=?"


Seal = tuple[int, int, int, bytes]
"""A row of `seal`."""


def make_seals(
    state: State, node_id: bytes, node: Signer, batches: Sequence[OpenBatch]
) -> tuple[list[SealBatch], list[Seal]]:
    """The commands that seal batches after a state, signed by the node, and the rows of `seal`. Spec: 3.5."""
    commands, seals = [], []
    for ordinal, batch in enumerate(batches):
        header = Batch(
            state.net,
            node_id,
            node.digest,
            batch.class_,
            len(batch.leaves),
            MerkleTree(batch.leaves).root,
            state.rules_ref.index,
            state.height + 1,
        ).to_bytes()
        commands.append(SealBatch(header, node.sign(header)))
        seals.append((state.size + ordinal, batch.class_, len(batch.leaves), b"".join(batch.leaves)))
    return commands, seals


def store_signed(connection: Connection, placing: Placing, seals: Sequence[Seal]) -> None:
    """Write the seals, which are in the log already, and the submissions: a few rows. Nothing is read."""
    connection.insert_many("INSERT INTO seal VALUES (?,?,?,?)", seals)
    connection.executemany("INSERT INTO author_key VALUES (?,?,?,?)", placing.new_keys.values())
    connection.insert_many("INSERT INTO submission VALUES (?,?,?,?,?,?,?,?,?,?)", placing.submissions)


def store_linked(connection: Connection, placing: Placing, before: State, node_id: bytes) -> None:
    """Write the chains and entries that were placed after the state `before`."""
    _write_chains(connection, placing.heads.values(), before, node_id)
    # In the order of the tree they go into: neighbours share a page.
    connection.insert_in_order(
        (
            (_ENTRY, sorted(placing.entries)),
            (_BARE_ENTRY, sorted(placing.bare_entries)),
            (_ENTRY_AT_TARGET, sorted(placing.entries_at_target)),
        )
    )


def _write_chains(connection: Connection, heads: Iterable[Head], before: State, node_id: bytes) -> None:
    census = before.censuses.get(node_id)
    covers = census.covers if census is not None else 0
    new, names, keys, grown, grown_since, changed, moved = [], [], [], [], [], [], []
    for head in heads:
        # The lines down to `continue` run for each entry of a file in random order.
        if head.ordinal < 0:
            continue
        sealed_before, old, place = head.seal, head.stored, head.place
        head.seal, head.ordinal = seal, _ = before.size + head.ordinal, -1
        if old is not None:
            if sealed_before < covers:
                changed.append(place[0])
            if not head.is_turned and place[2] - old[2] <= MAX_UNWRITTEN:
                # Its entries tell the head (`node.heads`): the row's page stays as it is.
                continue
        number, chain16, seq, epoch, id_ = place
        now = seq, epoch, Blob(id_), seal
        if old is None:
            blind = None if head.blind is None else Blob(head.blind)
            new.append((number, Blob(chain16), head.type, blind, Blob(head.subject), head.closed, *now))
            names.append((number, chain16, head.blind))
            keys.append((number, Blob(head.wrapped_key)))
            head.wrapped_key, head.subject = b"", b""
        elif head.stored_seal < covers:
            grown.append((head.closed, *now, old[2], old[3], Blob(old[4]), number))
        else:
            grown_since.append((head.closed, *now, number))
        if head.home is not None:
            moved.append((head.home, number))
        head.is_turned = False
        head.remember()
    connection.insert_many(_NEW_CHAIN, new)
    connection.insert_many("INSERT INTO passport_key VALUES (?,?)", keys)
    note_names(connection, names)
    connection.update_many(_GROWN_CHAIN, grown)
    connection.update_many(_GROWN_SINCE, grown_since)
    # Once for each chain and census; those that had grown before are noted.
    note_new(connection, sorted(row[0] for row in new))
    note_changed(connection, sorted(changed))
    # Nothing is linked to a chain that has moved, so only one that moves now is written with its new home.
    connection.executemany("UPDATE chain SET home=? WHERE id=?", moved)
