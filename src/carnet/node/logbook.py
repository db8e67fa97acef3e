"""Writing a block of the ledger into the store: records, the nodes of the log's tree, and the state's own rows.

One block is one height and one transaction. It refuses to know what the batches hold, and it neither begins nor
commits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from carnet.errors import InvariantBroken, Refused
from carnet.ledger.commands import (
    AccreditMember,
    AddKey,
    Block,
    ChangeRules,
    Command,
    EnrolMember,
    RetireMember,
    RevokeKey,
)
from carnet.ledger.state import State
from carnet.ledger.transition import Logged, apply
from carnet.signing import Signer
from carnet.tlog.checkpoint import Checkpoint, sign_checkpoint
from carnet.tlog.tree import Frontier, leaf_hash
from carnet.vault.ledger import read_state, write_members, write_records, write_rules
from carnet.vault.store import Connection

_MEMBER_COMMANDS = (AccreditMember, AddKey, EnrolMember, RetireMember, RevokeKey)


@dataclass(frozen=True, slots=True)
class Logbook:
    """The ledger's state and the log's frontier, which always belong together."""

    state: State
    frontier: Frontier

    @property
    def checkpoint(self) -> Checkpoint:
        """The head of the log."""
        return Checkpoint(self.state.genesis.origin, self.frontier.size, self.frontier.root())


def read_logbook(connection: Connection) -> Logbook:
    """As stored; raises Refused(NODE_DAMAGED) if the store contradicts its log."""
    state = read_state(connection)
    return Logbook(state, Frontier.from_nodes(state.size, lambda level, index: read_node(connection, level, index)))


def read_node(connection: Connection, level: int, index: int) -> bytes:
    """A stored node of the log's tree; raises `IndexError` where it is missing."""
    row = connection.execute("SELECT hash FROM log_node WHERE level = ? AND idx = ?", (level, index)).fetchone()
    if row is None:
        raise IndexError(f"log node ({level}, {index}) is missing")
    found: bytes = row[0]
    return found


def write_block(
    connection: Connection, before: Logbook | None, height: int, at: int, commands: Sequence[Command]
) -> tuple[Logbook, list[Logged]]:
    """Apply the commands and store what they log; raises the first refusal, whereupon the caller rolls back.

    The store keeps the rules and the members as they are after a block, so one block changes each of them once at most.
    """
    changes = sum(isinstance(command, _MEMBER_COMMANDS) for command in commands)
    if changes > 1 or sum(isinstance(command, ChangeRules) for command in commands) > 1:
        raise InvariantBroken("a block that changes the members or the rules twice: the store would keep the last only")
    state, results = apply(before.state if before else None, Block(height, at, tuple(commands)))
    logged: list[Logged] = []
    for result in results:
        if isinstance(result, Refused):
            raise result
        logged += result
    frontier = before.frontier if before else Frontier()
    nodes: list[tuple[int, int, bytes]] = []
    for one in logged:
        frontier, completed = frontier.with_leaf_nodes(leaf_hash(one.leaf))
        nodes += completed
    write_records(connection, logged)
    connection.insert_many("INSERT INTO log_node (level, idx, hash) VALUES (?, ?, ?)", nodes)
    old = before.state if before else None
    if old is None or old.rules_ref != state.rules_ref:
        write_rules(connection, state)
    if old is None or old.members_ref != state.members_ref:
        write_members(connection, old.members if old else None, state)
    return Logbook(state, frontier), logged


def write_checkpoint(connection: Connection, checkpoint: Checkpoint, signer: Signer) -> None:
    """Sign and store a head whose size and root are durable already (clause 3.10); the same head gives the same
    note."""
    note = sign_checkpoint(checkpoint, signer)
    connection.write(
        "INSERT INTO checkpoint (size, note) VALUES (?, ?) ON CONFLICT (size) DO UPDATE SET note = excluded.note",
        (checkpoint.size, note),
    )
