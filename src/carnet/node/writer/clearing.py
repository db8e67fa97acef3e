"""Erasing: begun with a line in the journal, and finished by the next writer whatever happens meanwhile.

It refuses to know what is erased, and why (`node.erasing`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from carnet.ledger.commands import TakeCensus
from carnet.ledger.rules.members import Key
from carnet.node.erasing import (
    ErasureJournal,
    Traces,
    apply_erasure,
    clear_all_traces,
    clear_traces,
    find_missing,
    find_older_stores,
    find_unwritten,
    is_of_older_copy,
    plan_erasure,
    read_traces_of,
)
from carnet.node.rotation import get_node_key
from carnet.node.writer.governing import Governing
from carnet.vault.erasing import SignedErasure, has_uncleared, mark_cleared


class Clearing(Governing):
    """A home in which passports and entries can be erased."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._journal = ErasureJournal(self._home.erasures)

    def replace_lost_node_key(self) -> Key:
        """Replace the node key in force, which the ring does not hold; for a writer that was opened without it."""
        with self._mutex:
            lost = get_node_key(self._book.state.members.get(self._node_id))
            key = self.rotate_key(self._node_id, lost.digest)
            self._finish_erasures()
            return key

    def erase(self, chain16: bytes, seqs: Sequence[int] | None, reason: str) -> tuple[SignedErasure, Traces]:
        """Erase entries of a chain, or with None all of it; take the census that this asks for; search the files.

        From the line in the journal on it is begun: whatever happens then, the next writer finishes it. Raises Refused
        UNKNOWN_PASSPORT, ERASED, and what `plan_erasure` raises; then nothing was erased.
        """
        with self._mutex:
            self._check_alive()
            chain = self.get_chain_by_id(chain16)
            at, state = self._now(), self._book.state
            signed = plan_erasure(self._connection, self._ring, state, self._node_id, chain, seqs, reason, at)
            with self._on_disk():
                self._journal.append([signed])
            return signed, self._carry_out([signed])

    def finish_erasures(self) -> None:
        """Take what a reader held back out of the files, if it has let go since: the store is written anew."""
        with self._mutex:
            self._check_alive()
            self._finish_erasures()

    def _carry_out(self, erasures: Sequence[SignedErasure]) -> Traces:
        traces = [trace for one in erasures for trace in read_traces_of(self._connection, one)]
        self._transact(lambda at: self._erase(erasures, at))
        self.keep_checkpoint()
        with self._on_disk():
            self._mover.wait()
            found = clear_traces(self._connection, self._home, traces)
        if found.is_gone:
            # Those alone: of an earlier one that a reader held back, nothing was looked for now.
            self._transact(lambda at: mark_cleared(self._connection, erasures))
        return found

    def _erase(self, erasures: Sequence[SignedErasure], at: int) -> None:
        state, connection = self._book.state, self._connection
        self._forget_heads()
        node = state.members.get(self._node_id)
        gone = [apply_erasure(connection, self._ring, self._kinds, state.net, node, one) for one in erasures]
        # The latest census names the head of a chain that is gone; only a new one lets the others be proved. None is
        # taken in an older copy of the store: merely to open it must not write another future into the log.
        is_older = self._lost is not None or any(is_of_older_copy(one, state.size) for one in erasures)
        if any(gone) and not is_older:
            census, sig = self._make_census()
            self._write_block(at, [TakeCensus(census, self._node.digest, sig)])

    def _finish_erasures(self) -> None:
        """Before anything else is written: what was begun, and what an older copy of the store does not know."""
        journal = self._journal.read()
        unwritten = find_unwritten(self._connection, journal)
        with self._on_disk():
            self._mover.wait()
            if unwritten:
                self._journal.append(unwritten)
            missing = find_missing(self._connection, journal)
            is_cleared = (
                not missing
                and has_uncleared(self._connection)
                # A copy of the store that stands beside it has what was erased: first somebody removes it.
                and not find_older_stores(self._home)
                and clear_all_traces(self._connection, patience_s=0.5)
            )
        if missing:
            self._carry_out(missing)
        elif is_cleared:
            self._transact(lambda at: mark_cleared(self._connection))
