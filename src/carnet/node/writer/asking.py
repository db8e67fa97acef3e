"""What may be asked of the writer: chains, receipts, source rows, aliases; beside a commit that is under way, over a
connection of its own.

It refuses to know who asks.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from carnet.errors import Reason, Refused
from carnet.node.aliases import Declaration
from carnet.node.declared import read_aliases
from carnet.node.erased import check_id_not_erased
from carnet.node.jobs import ChainRef, Context, make_context
from carnet.node.lookup import (
    find_chain_by_id,
    find_chain_by_subject,
    find_chains_by_numbers,
    find_chains_by_subjects,
    find_numbers,
    find_sources,
)
from carnet.node.placing import Receipt
from carnet.node.receipts import find_receipt, find_receipts
from carnet.node.sealed_rows import SealedRow, find_sealed_row
from carnet.node.writer.transacting import Transacting
from carnet.types import Subject
from carnet.vault.store import Connection, Store, limit_cache, open_store

LOOKUP_CACHE_KB = 16 * 1024
"""Pages that the connection for look-ups keeps."""


class Asking(Transacting):
    """A home that answers what is asked of its store."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._lookups: Store | None = None
        self._looking, self._looker = threading.RLock(), 0

    def context(self) -> Context:
        """What worker processes need to prepare jobs under the rules in force."""
        state, ring = self._book.state, self._ring
        return make_context(
            state.net, self._node_id, ring.kek, ring.index, state.rules_ref.index, state.rules, self._kinds.documents
        )

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Look many things up under one read of the store: each look-up alone takes and frees its locks anew. It has a
        connection of its own, so that it waits for no commit, and sees what is committed."""
        with self._looking:
            self._check_alive()
            if self._lookups is None:
                self._lookups = open_store(self._home.address, is_read_only=True)
                limit_cache(self._lookups.connection, LOOKUP_CACHE_KB)
                self._lookups.connection.prefer_indexes()
            connection = self._lookups.connection
            connection.begin_read()
            self._looker = threading.get_ident()
            try:
                yield
            finally:
                self._looker = 0
                connection.commit()

    @contextmanager
    def _look(self) -> Iterator[Connection]:
        """The connection for a look-up of this thread."""
        if self._looker == threading.get_ident() and self._lookups is not None:
            yield self._lookups.connection
        else:
            with self._mutex:
                yield self._connection

    def find_chain(self, subject: Subject) -> ChainRef | None:
        """The passport of a subject, ready for more entries; raises Refused(ERASED) for one whose key is gone."""
        with self._look() as connection:
            return find_chain_by_subject(connection, self._ring, subject)

    def find_chains(self, subjects: Iterable[Subject]) -> dict[Subject, ChainRef]:
        """The passports that these subjects have, at once; an erased one is left out."""
        with self._look() as connection:
            return find_chains_by_subjects(connection, self._ring, subjects)

    def find_numbers(self, subjects: Sequence[bytes]) -> list[int | None]:
        """The number in the store of the passport that each of these subjects (their `cj`) has, if any."""
        with self._look() as connection:
            return find_numbers(connection, self._ring, subjects)

    def find_chains_by_numbers(self, numbers: Sequence[int], subjects: Sequence[bytes]) -> dict[bytes, ChainRef]:
        """By their subjects (`cj`) the passports with these numbers, which were found before by these."""
        with self._look() as connection:
            return find_chains_by_numbers(connection, self._ring, numbers, subjects)

    def find_chain_by_id(self, chain16: bytes) -> ChainRef | None:
        """The chain with this id, ready for more entries."""
        with self._mutex:
            return find_chain_by_id(self._connection, self._ring, chain16)

    def get_chain_by_id(self, chain16: bytes) -> ChainRef:
        """The same; raises Refused(UNKNOWN_PASSPORT), and Refused(ERASED) for one that was erased."""
        with self._mutex:
            chain = find_chain_by_id(self._connection, self._ring, chain16)
            if chain is None:
                check_id_not_erased(self._connection, chain16)
                raise Refused(Reason.UNKNOWN_PASSPORT, "there is no such passport here", passport=chain16.hex())
            return chain

    def find_receipt(self, place: int, chain16: bytes, sid: bytes) -> Receipt | None:
        """The receipt that a statement of this chain got when it was sealed."""
        with self._mutex:
            return find_receipt(self._connection, self._book.state.net, place, chain16, sid)

    def find_receipts(self, wanted: Sequence[tuple[bytes, bytes]]) -> dict[int, Receipt]:
        """The same for many (chain16, sid), by their places; what is not sealed is left out."""
        with self._mutex:
            return find_receipts(self._connection, self._book.state.net, wanted)

    def find_sources(self, sources: Mapping[int, Sequence[bytes]]) -> dict[int, set[bytes]]:
        """Which of these source rows (by the numbers of their chains in the store) the chains hold already."""
        with self._look() as connection:
            return find_sources(connection, sources)

    def find_sealed_row(self, chain: int, source: bytes) -> SealedRow | None:
        """The row of a chain (its number in the store) that was read from this source, if the chain holds it."""
        with self._look() as connection:
            return find_sealed_row(connection, chain, source)

    def read_aliases(self) -> list[tuple[Subject, Declaration]]:
        """Every alias that an author signed for, with the subject of its passport. Looks through the whole store."""
        with self._mutex:
            self._check_alive()
            return read_aliases(self._connection, self._ring, self._kinds, self._book.state, self._node_id)

    def _release(self) -> None:
        if self._lookups is not None:
            self._lookups.close()
        super()._release()
