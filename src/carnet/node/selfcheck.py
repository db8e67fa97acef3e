"""What a writer checks before it writes: that the end of the store is the end of the log it has signed.

A damaged store that is written on is damaged for good. Only the ends are looked at here, so that a start stays quick;
`fsck` looks at everything.
"""

from __future__ import annotations

from carnet.encoding import unb64
from carnet.errors import Reason, Refused, Unverified
from carnet.ledger.batch import parse_batch
from carnet.node.logbook import Logbook, read_node
from carnet.tlog.checkpoint import log_key, open_checkpoint
from carnet.tlog.tree import HASH_BYTES, MerkleTree, leaf_hash, root_from
from carnet.vault.ledger import parse_record
from carnet.vault.store import Connection

TAIL_RECORDS = 64
"""How many of the last records are hashed again."""


def check_store(connection: Connection, book: Logbook) -> None:
    """Raise Refused(NODE_DAMAGED) naming the table that contradicts the log. The state itself was compared when it
    was read."""
    try:
        _check_log(connection)
        _check_checkpoint(connection, book)
        _check_last_seal(connection)
    except (Unverified, LookupError, ValueError, TypeError, AttributeError) as error:
        raise _damaged("log", str(error)) from error


def _check_log(connection: Connection) -> None:
    """The last leaves hash to their nodes; reading the frontier has found all the nodes that an append needs."""
    query = "SELECT idx, leaf FROM log_record ORDER BY idx DESC LIMIT ?"
    for index, leaf in connection.execute(query, (TAIL_RECORDS,)).fetchall():
        if read_node(connection, 0, index) != leaf_hash(leaf):
            raise _damaged("log_record", f"record {index} is not the one that was logged")


def _check_checkpoint(connection: Connection, book: Logbook) -> None:
    """The newest signed head is a prefix of this log: a store that was put back from an old copy, or cut, is not."""
    row = connection.execute("SELECT size, note FROM checkpoint ORDER BY size DESC LIMIT 1").fetchone()
    if row is None:
        return
    size, note = row
    genesis = book.state.genesis
    signed = open_checkpoint(note, log_key(genesis.origin, genesis.log_key)).checkpoint
    if size > book.state.size or signed.size != size:
        raise _damaged("checkpoint", f"a checkpoint of {signed.size} records, in a log of {book.state.size}")
    if signed.root != root_from(lambda level, index: read_node(connection, level, index), size):
        raise _damaged("log_node", f"the log's root at size {size} is not the one that was signed")


def _check_last_seal(connection: Connection) -> None:
    """The last batch: its leaves give the signed root, its entries are all there, and its chains end in it or later."""
    query = "SELECT idx, leaf FROM log_record WHERE type = 'seal' ORDER BY idx DESC LIMIT 1"
    row = connection.execute(query).fetchone()
    if row is None:
        return
    index, leaf = row
    batch = parse_batch(unb64(str(parse_record(leaf)["batch"])))
    found = connection.execute("SELECT leaves FROM seal WHERE idx = ?", (index,)).fetchone()
    if found is None:
        raise _damaged("seal", f"the batch of seal {index} is missing")
    leaves = [found[0][at : at + HASH_BYTES] for at in range(0, len(found[0]), HASH_BYTES)]
    if MerkleTree(leaves).root != batch.root or len(leaves) != batch.count:
        raise _damaged("seal", f"the leaves of seal {index} do not give its root")
    # The last chains that were written stand at the end of their table or anywhere in it; no index finds them by
    # seal, so the chain of the newest submission stands for all of them.
    last = connection.execute("SELECT max(id) FROM chain").fetchone()[0]
    row = connection.execute(
        "SELECT head_seal, (SELECT seal FROM entry WHERE chain = :id AND seq = head_seq) FROM chain WHERE id = :id",
        {"id": last},
    ).fetchone()
    if row is not None and row[0] != row[1]:
        raise _damaged("chain", f"the head of chain {last} is not one of its entries")


def _damaged(table: str, why: str) -> Refused:
    return Refused(Reason.NODE_DAMAGED, f"{table}: {why}. Nothing is written: run `carnet fsck`", table=table)
