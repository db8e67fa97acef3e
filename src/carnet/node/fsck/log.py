"""The log itself: leaves, the nodes of its tree, the signed checkpoints.

The newest checkpoint that the log key signed is what decides who is wrong: a leaf, a node, or a note.
"""

from __future__ import annotations

from dataclasses import dataclass

from carnet.errors import Unverified
from carnet.node.fsck.findings import Findings
from carnet.node.keyring import KeyRing
from carnet.signing import Signer
from carnet.tlog.checkpoint import log_key, open_checkpoint
from carnet.tlog.tree import Frontier, leaf_hash
from carnet.vault.ledger import Document, parse_genesis, parse_record
from carnet.vault.store import Connection


@dataclass(frozen=True)
class CheckedLog:
    """The log after its check: size, net and origin by record 0."""

    size: int
    net: bytes
    home: bytes


def check_log(connection: Connection, ring: KeyRing, found: Findings) -> CheckedLog:
    """Hash every leaf again; compare every node and every checkpoint; compare `meta` with genesis."""
    size = connection.execute("SELECT count(*) FROM log_record").fetchone()[0]
    try:
        genesis = parse_genesis(parse_record(_leaf(connection, 0))["genesis"])
    except (Unverified, LookupError, TypeError, ValueError) as error:
        found.add("log_record", 0, None, f"there is no genesis: {error}")
        raise
    if Signer(ring.log).public != genesis.log_key:
        found.add("log_record", 0, "leaf", "genesis names another log key than keys.json holds")
    key = log_key(genesis.origin, genesis.log_key)
    notes: dict[int, bytes] = {}
    for note_size, note in connection.execute("SELECT size, note FROM checkpoint ORDER BY size"):
        try:
            checkpoint = open_checkpoint(note, key).checkpoint
        except Unverified as error:
            found.add("checkpoint", note_size, "note", f"not signed by the log key: {error}")
            continue
        if checkpoint.size != note_size:
            found.add("checkpoint", note_size, "size", f"the note says {checkpoint.size}")
        if checkpoint.size > size:
            found.add("checkpoint", note_size, "size", f"beyond the end of the log, which has {size} records")
        notes[checkpoint.size] = checkpoint.root
    _check_tree(connection, size, notes, found)
    said = dict(connection.execute("SELECT key, value FROM meta").fetchall())
    truth = {"home": genesis.founders[0].member.hex(), "net": genesis.net.hex()}
    for name in sorted({*said, *truth}):
        if said.get(name) != truth.get(name):
            found.add("meta", name, "value", f"{said.get(name)!r} is not what genesis says ({truth.get(name)!r})")
    return CheckedLog(size, genesis.net, genesis.founders[0].member)


def _check_tree(connection: Connection, size: int, notes: dict[int, bytes], found: Findings) -> None:
    """Build the tree from the leaves. Where it leads to the signed roots, a node that differs is wrong; else the
    leaf is."""
    frontier = Frontier()
    suspects: list[tuple[int, int]] = []
    is_signed = True
    node_count = 0
    node_query = "SELECT hash FROM log_node WHERE level = ? AND idx = ?"
    records = connection.stream("SELECT idx, leaf, type FROM log_record ORDER BY idx")
    for expected, (index, leaf, type_) in enumerate(records):
        if index != expected:
            found.add("log_record", expected, "idx", f"missing: the next record is {index}")
            return
        frontier, nodes = frontier.with_leaf_nodes(leaf_hash(leaf))
        node_count += len(nodes)
        for level, at, digest in nodes:
            row = connection.execute(node_query, (level, at)).fetchone()
            if row is None or row[0] != digest:
                suspects.append((level, at))
        if frontier.size in notes and notes[frontier.size] != frontier.root():
            is_signed = False
        _check_type(index, leaf, type_, found)
        if index % 1000 == 0:
            found.tell("log_record", index, size)
    stored = connection.execute("SELECT count(*) FROM log_node").fetchone()[0]
    if stored != node_count and not suspects:
        found.add("log_node", None, None, f"{stored} nodes, where {size} records make {node_count}")
    for level, at in suspects[:100]:
        if is_signed:
            found.add("log_node", (level, at), "hash", "missing, or not the hash of the subtree below it")
        elif level == 0:
            found.add("log_record", at, "leaf", "not the leaf that was logged and signed")
    if not is_signed and not any(level == 0 for level, _ in suspects):
        found.add("log_record", None, "leaf", "the leaves do not lead to a root that was signed")


def _check_type(index: int, leaf: bytes, type_: str, found: Findings) -> None:
    try:
        record: Document = parse_record(leaf)
    except Unverified as error:
        found.add("log_record", index, "leaf", str(error))
        return
    if record["type"] != type_:
        found.add("log_record", index, "type", f"{type_}, where the record is a {record['type']}")


def _leaf(connection: Connection, index: int) -> bytes:
    row = connection.execute("SELECT leaf FROM log_record WHERE idx = ?", (index,)).fetchone()
    if row is None:
        raise Unverified("malformed", f"log record {index} is missing")
    leaf: bytes = row[0]
    return leaf
