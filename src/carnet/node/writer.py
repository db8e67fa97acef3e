"""The one writer of a home: it owns the lock and the signing keys, and turns prepared submissions into durable
receipts.

Everything of one commit – entries, contents, seals, log nodes, ledger state – is one transaction: acknowledged means
on the disk. It refuses to know where submissions come from, and to write on when the disk has failed it once.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from carnet.errors import InvariantBroken, Reason, Refused
from carnet.ledger.batch import Batch, compute_receipt
from carnet.ledger.census import Census
from carnet.ledger.commands import (
    AccreditMember,
    AddKey,
    ChangeRules,
    Command,
    EnrolMember,
    RetireMember,
    RevokeKey,
    SealBatch,
    TakeCensus,
)
from carnet.ledger.rules.default import default_accreditations
from carnet.ledger.rules.document import Rules
from carnet.ledger.rules.members import Accreditation, Key, Member, roles_for
from carnet.ledger.state import State
from carnet.ledger.transition import Logged
from carnet.node.aliases import Declaration
from carnet.node.census import make_census
from carnet.node.declared import read_aliases
from carnet.node.erased import check_id_not_erased, is_census_owed
from carnet.node.erasing import (
    ErasureJournal,
    Traces,
    apply_erasure,
    clear_all_traces,
    clear_traces,
    find_missing,
    find_unwritten,
    is_of_older_copy,
    plan_erasure,
    read_traces_of,
)
from carnet.node.found import check_member, enrol_key
from carnet.node.grouping import Grouping
from carnet.node.heads import MAX_UNWRITTEN
from carnet.node.home import Home
from carnet.node.keyring import KeyRing, RandomBytes, Rotation, is_under_passphrase, load_key_ring, save_key_ring
from carnet.node.lock import WriterLock
from carnet.node.logbook import read_logbook, write_block, write_checkpoint
from carnet.node.lookup import (
    Kinds,
    find_chain_by_id,
    find_chain_by_subject,
    find_chains_by_subjects,
    find_sources,
)
from carnet.node.placing import Head, Outcome, Placing, Receipt
from carnet.node.prepare import (
    ChainRef,
    Context,
    Group,
    Job,
    Prepared,
    Preparer,
    count_random_bytes,
    make_context,
)
from carnet.node.receipts import find_receipt, find_receipts
from carnet.node.restored import check_may_write
from carnet.node.rotation import check_may_rotate, check_node_key, find_commands, find_key, get_node_key, settle
from carnet.node.selfcheck import check_store
from carnet.node.turns import Turns
from carnet.signing import Signer
from carnet.tlog.tree import MerkleTree
from carnet.types import Custody, KeyRole, Subject
from carnet.vault.census import count_changed, note_changed, note_new
from carnet.vault.disk import explained_disk_errors, is_disk_refusal
from carnet.vault.erasing import SignedErasure, has_uncleared, mark_cleared
from carnet.vault.fence import Fence
from carnet.vault.ledger import parse_record, read_leaf, read_schemas, write_schemas
from carnet.vault.store import Blob, Connection, Error, Store, limit_cache, move_log, open_store

MAX_CLOCK_STEP_MS = 60_000
"""How far the clock may have gone back: within it, `at` stands still; beyond it, nothing is sealed."""

LOOKUP_CACHE_KB = 16 * 1024
"""Pages that the connection for look-ups keeps."""

KEPT_HEADS = 32_768
"""Chains whose heads are kept at hand: some 20 MB."""

T = TypeVar("T")

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


class Writer:
    """Open it with `open_writer`, and close it: it holds the home's lock. Its methods may be called from any thread."""

    def __init__(
        self,
        home: Home,
        ring: KeyRing,
        lock: WriterLock,
        *,
        clock: Callable[[], int],
        random_bytes: RandomBytes,
        passphrase: str | None,
        is_node_key_lost: bool = False,
        command: str = "",
    ) -> None:
        self._home, self._ring, self._file_lock = home, ring, lock
        self._clock, self._random_bytes, self._passphrase = clock, random_bytes, passphrase
        self._store = open_store(home.address)
        try:
            connection = self._store.connection
            self._connection = connection
            # A commit whose flush failed may have outlived its process in the system's memory alone. Moved, it is
            # written and flushed once more, before anything is told or written that rests on it.
            move_log(connection)
            self._fence = Fence(connection, f"{os.getpid()} {socket.gethostname()} {command}")
            self._log, self._node = Signer(ring.log), Signer(ring.node)
            self._book = read_logbook(connection)
            self._node_id = self._book.state.genesis.founders[0].member
            self._kinds = Kinds(read_schemas(connection))
            check_store(connection, self._book, self._log.public)
            self._key_ids: dict[bytes, int] = dict(connection.execute("SELECT digest, id FROM author_key").fetchall())
            self._next_chain = _next(connection, "chain")
            self._next_submission = _next(connection, "submission")
        except BaseException:
            self._store.close()
            raise
        self._is_note_due = not self._has_note()
        self._mutex = Turns()
        self._lookups: Store | None = None
        self._looking, self._looker = threading.RLock(), 0
        self._late: Exception | None = None
        self._failure: str | None = None
        self._preparer: tuple[int, Preparer] | None = None
        self._heads: OrderedDict[int, Head] = OrderedDict()
        self._grouping = Grouping(self.commit)
        self._journal = ErasureJournal(home.erasures)
        try:
            self._finish_rotation()
            if not is_node_key_lost:
                check_node_key(self._ring, self._book.state.members.get(self._node_id))
                self._finish_erasures()
        except BaseException:
            self._store.close()
            raise

    # ---- what it knows

    @property
    def state(self) -> State:
        """The ledger's state in force."""
        return self._book.state

    @property
    def node_id(self) -> bytes:
        """This node's member id, the home of its chains."""
        return self._node_id

    @property
    def node_key(self) -> bytes:
        """The digest of the key that this node seals and signs receipts with."""
        return self._node.digest

    @property
    def ring(self) -> KeyRing:
        """The keys; for `make_job` and tests."""
        return self._ring

    @property
    def index_key(self) -> bytes:
        """The key of the blind index, with which source rows are known again."""
        return self._ring.index

    def check_alive(self) -> None:
        """Raise Refused(NODE_DAMAGED) if this writer has stopped."""
        self._check_alive()

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

    def read_aliases(self) -> list[tuple[Subject, Declaration]]:
        """Every alias that an author signed for, with the subject of its passport. Looks through the whole store."""
        with self._mutex:
            self._check_alive()
            return read_aliases(self._connection, self._ring, self._kinds, self._book.state, self._node_id)

    # ---- appending

    def make_job(
        self,
        member: bytes,
        basis: int,
        groups: Sequence[Group],
        *,
        created_ms: int | None = None,
        public: bytes | None = None,
    ) -> Job:
        """A job in the name of a member: signed by its key in our ring, or by `public` elsewhere.

        Raises Refused(UNKNOWN_KEY) if neither is there.
        """
        seed = None
        if public is None:
            seed = self._get_seed(member, roles_for(basis))
            public = Signer(seed).public
        return Job(
            member,
            public,
            seed,
            basis,
            self._clock() if created_ms is None else created_ms,
            groups,
            self._random_bytes(count_random_bytes(groups)),
        )

    def prepare(self, job: Job) -> Prepared:
        """Prepare in this process, under the rules in force."""
        with self._mutex:
            index = self._book.state.rules_ref.index
            if self._preparer is None or self._preparer[0] != index:
                self._preparer = (index, Preparer(self.context()))
            preparer = self._preparer[1]
        return preparer.prepare(job)

    def append(self, member: bytes, basis: int, groups: Sequence[Group]) -> Outcome:
        """Prepare and commit one submission; the outcome's receipts are durable. Raises the refusal of a whole
        submission."""
        outcome = self.commit([self.prepare(self.make_job(member, basis, groups))])[0]
        if outcome.refused is not None:
            raise outcome.refused
        return outcome

    def submit(self, prepared: Prepared) -> Future[Outcome]:
        """Hand over one submission from any thread; those that wait together share one transaction and one flush."""
        self._check_alive()
        return self._grouping.submit(prepared)

    def commit(self, prepared: Sequence[Prepared]) -> list[Outcome]:
        """Place, seal and store the submissions in one transaction; when it returns, they are on the disk.

        What is refused is refused by itself. Raises Refused(TIME_WENT_BACK, NODE_DAMAGED) for all of them; then
        nothing was written.
        """
        with self._mutex:
            return self._transact(lambda at: self._seal_all(prepared, at))

    def start_commit(self, prepared: Sequence[Prepared]) -> Future[list[Outcome]]:
        """As `commit`, but only the disk, or the server, is still to be waited for when it returns: once the future has
        its outcomes, they are durable. Whatever is asked of this writer next waits for that too."""
        with self._mutex:
            late: list[Callable[[], None]] = []

            def work(at: int) -> list[Outcome]:
                placing, outcomes = self._place(prepared, at)
                if self._connection.is_file:
                    # Each row of a file gives up the interpreter for a moment, and in another thread would wait long
                    # to have it back.
                    self._store_placed(placing, at)
                else:
                    late.append(lambda: self._store_placed(placing, at))
                return outcomes

            outcomes, commit = self._begin(work)

            def finish() -> list[Outcome]:
                try:
                    commit(*late)
                    # Should it fail, nothing is acknowledged any more, be it on the disk or not.
                    with self._on_disk():
                        move_log(self._connection, is_long=True)
                except Exception as error:
                    # Whoever asks next may come before the one who waits for this.
                    self._late = error
                    raise
                return outcomes

            return self._mutex.finish_later(finish)

    def complete(self, prepared: Prepared) -> Prepared:
        """A submission that came from another process, as this writer takes it: signed in the name of a member whose
        key the node keeps, if it has no signature yet; and never trusted to have been signed here.

        Raises Refused(UNKNOWN_KEY) for one without a signature whose key is not kept here.
        """
        if prepared.sig or not prepared.statement_count:
            return prepared._replace(is_signed_here=False)
        seed = self._ring.find_seed(prepared.key_digest)
        if seed is None:
            raise Refused(Reason.UNKNOWN_KEY, "this node keeps no such key to sign with", key=prepared.key_digest.hex())
        return prepared.with_signature(Signer(seed).sign(prepared.submission))._replace(is_signed_here=True)

    def keeps_key(self, digest: bytes) -> bool:
        """Whether this node has the secret of an author key."""
        return self._ring.find_seed(digest) is not None

    def sign_receipt(self, receipt: Receipt, deadline_ms: int) -> bytes:
        """The node's signature of clause 3.11 on a receipt."""
        message = compute_receipt(
            self._book.state.net, self._node.digest, receipt.signed, receipt.accepted_ms, deadline_ms
        )
        return self._node.sign(message)

    # ---- the ledger's other commands

    def run(self, command: Command) -> Logged:
        """One command of the ledger in a block of its own; raises its refusal."""
        with self._mutex:
            return self._transact(lambda at: self._write_block(at, [command]))[-1]

    def enrol_member(
        self,
        name: str,
        kind: str,
        *,
        accreditations: Sequence[Accreditation] | None = None,
        member_id: bytes | None = None,
        key: Key | None = None,
    ) -> Member:
        """Enrol an organisation hosted by this node, by default accredited for all that the writer table allows to
        its kind.

        Without `key` the node makes one and keeps it (custody node, basis 2). With `key`, an own key that has signed
        its enrolment for `member_id`, the node never sees the secret (custody own, basis 1).
        """
        check_member(name, kind)
        member_id = member_id or self._random_bytes(16)
        state = self._book.state
        if key is None:
            seed = self._random_bytes(32)
            # The key is on the disk before the ledger lists it: a listed key that nobody has is lost for ever.
            self._keep_key(seed)
            key = enrol_key(Signer(seed), state.net, member_id, KeyRole.AUTHOR, Custody.NODE)
        if accreditations is None:
            accreditations = default_accreditations(state.rules, kind)
        member = Member(member_id, name, kind, self._node_id, tuple(accreditations), (key,))
        self.run(EnrolMember(member))
        return member

    def accredit(self, member: bytes, accreditations: Sequence[Accreditation]) -> None:
        """Replace a member's accreditations."""
        self.run(AccreditMember(member, tuple(sorted(accreditations))))

    def add_key(self, member: bytes, key: Key | None = None, *, role: int = KeyRole.AUTHOR) -> Key:
        """List one more key of a member: an own one, or one that the node makes and keeps."""
        if key is None:
            seed = self._random_bytes(32)
            self._keep_key(seed)
            key = enrol_key(Signer(seed), self._book.state.net, member, role, Custody.NODE)
        self.run(AddKey(member, key))
        return key

    def revoke_key(self, member: bytes, digest: bytes, disputed_since: int | None = None) -> None:
        """End a key from now on; what it signed since a log index is disputed. Raises Refused(KEY_IN_USE) for the key
        that this node seals with."""
        if digest == self._node.digest:
            raise Refused(
                Reason.KEY_IN_USE,
                "the node seals with this key: replace it with `carnet keys rotate node`, which revokes it too",
                key=digest.hex(),
            )
        self.run(RevokeKey(member, digest, disputed_since))

    def rotate_key(self, member: bytes, old: bytes, disputed_since: int | None = None) -> Key:
        """Replace a key that this node keeps, or should keep: a new one is listed, the old one is revoked.

        Killed at any point, it has not begun, or the next writer finishes it. Raises as `check_may_rotate` does.
        """
        with self._mutex:
            self._check_alive()
            check_may_rotate(self._book.state, self._node_id, member, old, disputed_since)
            seed = self._random_bytes(32)
            self._keep_ring(replace(self._ring, rotation=Rotation(member, old, seed, disputed_since)))
            self._finish_rotation()
            key = find_key(self._book.state.members, member, seed)
            if key is None:
                raise InvariantBroken("a rotation ended without its key")
            return key

    def replace_lost_node_key(self) -> Key:
        """Replace the node key in force, which the ring does not hold; for a writer that was opened without it."""
        with self._mutex:
            lost = get_node_key(self._book.state.members.get(self._node_id))
            key = self.rotate_key(self._node_id, lost.digest)
            self._finish_erasures()
            return key

    def _finish_rotation(self) -> None:
        """What was begun, by this writer or by one that was killed: the ledger first, then the ring."""
        rotation = self._ring.rotation
        commands = [] if rotation is None else find_commands(rotation, self._book.state)
        if commands:
            # A block for each: each of their records has its own tree of members.
            self._transact(lambda at: [self._write_block(at, [command]) for command in commands])
        ring = settle(self._ring, self._book.state.members, self._node_id)
        if ring != self._ring:
            self._keep_ring(ring)

    def retire(self, member: bytes) -> None:
        """A member leaves the network."""
        self.run(RetireMember(member))

    def change_rules(self, rules: Rules, documents: Mapping[str, object] | None = None) -> None:
        """Put other rules in force, with the schema documents of kinds that are new."""
        new = [(kind, document) for kind, document in (documents or {}).items() if kind not in self._kinds.id_of]
        with self._mutex:

            def change(at: int) -> list[Logged]:
                logged = self._write_block(at, [ChangeRules(rules)])
                write_schemas(self._connection, new)
                return logged

            self._transact(change)
            self._kinds = Kinds(read_schemas(self._connection))

    def take_census(self) -> Logged:
        """Seal the heads of all chains (3.8), then sign and keep the checkpoint that proofs are made against. It takes
        as long as the chains that changed since the last one are many."""
        with self._mutex:

            def take(at: int) -> list[Logged]:
                census, sig = self._make_census()
                return self._write_block(at, [TakeCensus(census, self._node.digest, sig)])

            logged = self._transact(take)[-1]
            self.keep_checkpoint()
            return logged

    def count_changed(self) -> int:
        """How many chains are new or have grown since the latest census."""
        with self._mutex:
            return count_changed(self._connection)

    def find_census(self) -> tuple[int, dict[str, Any]] | None:
        """(log index, record) of this node's latest census."""
        with self._mutex:
            latest = self._book.state.censuses.get(self._node_id)
            return None if latest is None else (latest.index, parse_record(read_leaf(self._connection, latest.index)))

    @property
    def is_census_owed(self) -> bool:
        """Whether the latest census counts a passport that was erased since: no proof can be made against it."""
        with self._mutex:
            latest = self.find_census()
            return latest is not None and is_census_owed(self._connection, latest[1]["census"]["erased"])

    # ---- erasing

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

    def _carry_out(self, erasures: Sequence[SignedErasure]) -> Traces:
        traces = [trace for one in erasures for trace in read_traces_of(self._connection, one)]
        self._transact(lambda at: self._erase(erasures, at))
        self.keep_checkpoint()
        with self._on_disk():
            found = clear_traces(self._connection, self._home, traces)
        if found.is_gone:
            self._transact(lambda at: mark_cleared(self._connection))
        return found

    def _erase(self, erasures: Sequence[SignedErasure], at: int) -> None:
        state, connection = self._book.state, self._connection
        self._heads.clear()
        node = state.members.get(self._node_id)
        gone = [apply_erasure(connection, self._ring, self._kinds, state.net, node, one) for one in erasures]
        # The latest census names the head of a chain that is gone; only a new one lets the others be proved. None is
        # taken in an older copy of the store: merely to open it must not write another future into the log.
        if any(gone) and not any(is_of_older_copy(one, state.size) for one in erasures):
            census, sig = self._make_census()
            self._write_block(at, [TakeCensus(census, self._node.digest, sig)])

    def _finish_erasures(self) -> None:
        """Before anything else is written: what was begun, and what an older copy of the store does not know."""
        journal = self._journal.read()
        unwritten = find_unwritten(self._connection, journal)
        with self._on_disk():
            if unwritten:
                self._journal.append(unwritten)
            missing = find_missing(self._connection, journal)
            is_cleared = (
                not missing and has_uncleared(self._connection) and clear_all_traces(self._connection, patience_s=0.5)
            )
        if missing:
            self._carry_out(missing)
        elif is_cleared:
            self._transact(lambda at: mark_cleared(self._connection))

    def keep_checkpoint(self) -> None:
        """Sign and store the head of the log, which is durable by now, unless it is stored already."""
        with self._mutex:
            if self._is_note_due:
                self._transact(lambda at: None)

    # ---- ending

    def close(self) -> None:
        """Finish what waits, keep the last checkpoint, and let the next writer in; idempotent."""
        self._grouping.close()
        with self._mutex:
            try:
                if self._failure is None:
                    self.keep_checkpoint()
                    with self._on_disk():
                        move_log(self._connection)
            finally:
                self._failure = self._failure or "the writer was closed"
                self._mutex.close()
                if self._lookups is not None:
                    self._lookups.close()
                self._store.close()
                self._file_lock.release()

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    # ---- one transaction

    def _transact(self, work: Callable[[int], T]) -> T:
        """Run `work(at)` in one transaction; on any error nothing has happened, in the store or in memory."""
        result, commit = self._begin(work)
        commit()
        return result

    def _begin(self, work: Callable[[int], T]) -> tuple[T, Callable[..., None]]:
        """The result of `work(at)` in a transaction, and what commits it, after what it is given to do before: nothing
        else may be asked of the connection until then. On any error of either nothing has happened."""
        self._check_alive()
        at = self._now()
        with self._on_disk():
            move_log(self._connection, is_long=True)
        before = (self._book, self._key_ids, self._next_chain, self._next_submission, self._is_note_due)
        connection = self._connection

        def undo(error: BaseException) -> None:
            self._book, self._key_ids, self._next_chain, self._next_submission, self._is_note_due = before
            self._heads.clear()
            self._roll_back(error)

        def commit(*last: Callable[[], None]) -> None:
            try:
                with explained_disk_errors(self._home.path):
                    for each in last:
                        each()
                    connection.commit()
            except BaseException as error:
                undo(error)
                raise

        try:
            with explained_disk_errors(self._home.path):
                connection.begin_write()
                self._fence.check()
                if self._is_note_due:
                    # The head of the last commit: its size and root are on the disk, so it may be signed (3.10).
                    write_checkpoint(connection, self._book.checkpoint, self._log)
                    self._is_note_due = False
                return work(at), commit
        except BaseException as error:
            undo(error)
            raise

    def _roll_back(self, error: BaseException) -> None:
        """After an error of the disk nobody knows what is on it: this process writes no more, and the next one
        re-checks."""
        try:
            if self._connection.in_transaction:
                self._connection.rollback()
        except Error as second:
            self._failure = f"{type(second).__name__}: {second}"
        if isinstance(error, (*Error, InvariantBroken)) or is_disk_refusal(error):
            self._failure = f"{type(error).__name__}: {error}"
        elif isinstance(error, Refused) and error.reason in (Reason.WRITER_REPLACED, Reason.STORE_MOVED):
            self._failure = error.message

    @contextmanager
    def _on_disk(self) -> Iterator[None]:
        """Work on the disk outside of a transaction: an error of it ends this writer as one inside does."""
        try:
            with explained_disk_errors(self._home.path):
                yield
        except (*Error, OSError, Refused) as error:
            if not isinstance(error, Refused) or is_disk_refusal(error):
                self._failure = self._failure or f"{type(error).__name__}: {error}"
            raise

    def _seal_all(self, prepared: Sequence[Prepared], at: int) -> list[Outcome]:
        placing, outcomes = self._place(prepared, at)
        self._store_placed(placing, at)
        return outcomes

    def _place(self, prepared: Sequence[Prepared], at: int) -> tuple[Placing, list[Outcome]]:
        placing = self._make_placing(at)
        return placing, [placing.place(one) for one in prepared]

    def _store_placed(self, placing: Placing, at: int) -> None:
        if placing.batches:
            self._seal(placing, at)
            self._keep_heads(placing.heads)

    def _keep_heads(self, heads: Mapping[int, Head]) -> None:
        """Have the heads of chains that grew lately at hand. An error forgets all of them (`_transact`)."""
        kept = self._heads
        for number, head in heads.items():
            kept[number] = head
            kept.move_to_end(number)
        while len(kept) > KEPT_HEADS:
            kept.popitem(last=False)

    def _make_census(self) -> tuple[Census, bytes]:
        heads = {number: head.current for number, head in self._heads.items()}
        made = make_census(self._connection, self._book.state, self._node_id, self._node, heads)
        for head in self._heads.values():
            head.stored = head.current
        return made

    def _make_placing(self, at: int) -> Placing:
        return Placing(
            self._connection,
            self._ring,
            self._kinds,
            self._book.state,
            self._node_id,
            at,
            self._next_chain,
            self._next_submission,
            self._key_ids,
            self._heads,
        )

    def _seal(self, placing: Placing, at: int) -> None:
        state, connection = self._book.state, self._connection
        height = state.height + 1
        commands: list[Command] = []
        seals = []
        for ordinal, batch in enumerate(placing.batches):
            root = MerkleTree(batch.leaves).root
            header = Batch(
                state.net,
                self._node_id,
                self._node.digest,
                batch.class_,
                len(batch.leaves),
                root,
                state.rules_ref.index,
                height,
            ).to_bytes()
            commands.append(SealBatch(header, self._node.sign(header)))
            seals.append((state.size + ordinal, batch.class_, len(batch.leaves), b"".join(batch.leaves)))
        self._write_block(at, commands)
        connection.insert_many("INSERT INTO seal VALUES (?,?,?,?)", seals)
        connection.executemany("INSERT INTO author_key VALUES (?,?,?,?)", placing.new_keys.values())
        connection.insert_many("INSERT INTO submission VALUES (?,?,?,?,?,?,?)", placing.submissions)
        self._write_chains(placing, state)
        # In the order of the tree they go into: neighbours share a page.
        connection.insert_many(_ENTRY, sorted(placing.entries))
        connection.insert_many(_BARE_ENTRY, sorted(placing.bare_entries))
        connection.insert_many(_ENTRY_AT_TARGET, sorted(placing.entries_at_target))
        self._key_ids = {**self._key_ids, **{digest: new[0] for digest, new in placing.new_keys.items()}}
        self._next_chain, self._next_submission = placing.next_chain, placing.next_submission

    def _write_chains(self, placing: Placing, before: State) -> None:
        census = before.censuses.get(self._node_id)
        covers = census.covers if census is not None else 0
        new, keys, grown, grown_since, changed, moved = [], [], [], [], [], []
        for head in placing.heads.values():
            if head.ordinal < 0:
                continue
            seal = before.size + head.ordinal
            now, old = (head.seq, head.epoch, Blob(head.id), seal), head.stored
            if old is not None and head.seal < covers:
                changed.append(head.number)
            if old is None:
                blind = None if head.blind is None else Blob(head.blind)
                new.append((head.number, Blob(head.chain16), head.type, blind, Blob(head.subject), head.closed, *now))
                keys.append((head.number, Blob(head.wrapped_key)))
            elif not head.is_turned and head.seq - old.seq <= MAX_UNWRITTEN:
                # Its entries tell the head (`node.heads`): the row's page stays as it is.
                head.keep(seal)
                continue
            elif old.seal < covers:
                grown.append((head.closed, *now, old.seq, old.epoch, Blob(old.id), head.number))
            else:
                grown_since.append((head.closed, *now, head.number))
            if head.home is not None:
                moved.append((head.home, head.number))
            head.keep(seal, is_written=True)
        self._connection.insert_many(_NEW_CHAIN, new)
        self._connection.insert_many("INSERT INTO passport_key VALUES (?,?)", keys)
        self._connection.update_many(_GROWN_CHAIN, grown)
        self._connection.update_many(_GROWN_SINCE, grown_since)
        # Once for each chain and census; those that had grown before are noted.
        note_new(self._connection, sorted(row[0] for row in new))
        note_changed(self._connection, sorted(changed))
        # Nothing is linked to a chain that has moved, so only one that moves now is written with its new home.
        self._connection.executemany("UPDATE chain SET home=? WHERE id=?", moved)

    def _write_block(self, at: int, commands: Sequence[Command]) -> list[Logged]:
        self._book, logged = write_block(self._connection, self._book, self._book.state.height + 1, at, commands)
        self._is_note_due = True
        return logged

    # ---- the rest

    def _check_alive(self) -> None:
        late, self._late = self._late, None
        if late is not None:
            raise late
        if self._failure is not None:
            raise Refused(
                Reason.NODE_DAMAGED, f"this writer has stopped ({self._failure}): start again, and run `carnet fsck`"
            )

    def _now(self) -> int:
        now, last = self._clock(), self._book.state.at
        if now < last - MAX_CLOCK_STEP_MS:
            raise Refused(
                Reason.TIME_WENT_BACK,
                f"the clock says {now}, and the log's last record is of {last}: set the clock, then try again",
                could_retry=True,
                now=now,
                last=last,
            )
        return max(now, last)

    def _get_seed(self, member: bytes, roles: tuple[int, ...]) -> bytes:
        leaf = self._book.state.members.get(member)
        ours = [key for key in leaf.keys if key.custody == Custody.NODE and key.role in roles]
        for key in reversed(ours):
            seed = self._ring.find_seed(key.digest)
            if seed is not None and key.revoked is None:
                return seed
        if ours and all(key.revoked is not None for key in ours):
            raise Refused(Reason.KEY_REVOKED, f"the key of {leaf.name} was revoked", member=leaf.name)
        raise Refused(Reason.UNKNOWN_KEY, f"this node keeps no key of {leaf.name}", member=leaf.name)

    def _keep_key(self, seed: bytes) -> None:
        with self._mutex:
            self._keep_ring(self._ring.with_author(seed))

    def _keep_ring(self, ring: KeyRing) -> None:
        """Have these keys on the disk, then sign with them."""
        self._check_alive()
        with self._on_disk():
            save_key_ring(ring, self._home.keys, self._passphrase, self._random_bytes)
        self._ring, self._node = ring, Signer(ring.node)

    def _has_note(self) -> bool:
        query = "SELECT 1 FROM checkpoint WHERE size = ?"
        return self._connection.execute(query, (self._book.state.size,)).fetchone() is not None


def open_writer(
    path: Path,
    *,
    clock: Callable[[], int],
    random_bytes: RandomBytes,
    passphrase: str | None = None,
    command: str | None = None,
    is_node_key_lost: bool = False,
) -> Writer:
    """The writer of a home. `clock` gives ms since 1970, `command` is what others are told who find it busy;
    `is_node_key_lost` opens it only so that the node key be replaced (`replace_lost_node_key`).

    Raises Refused NO_NODE, RESTORED_COPY (until the newest head was shown), WRITER_BUSY (with pid), WRONG_PASSPHRASE,
    NODE_DAMAGED (it re-checks the end of the store first).
    """
    home = Home(path)
    home.finish_founding()
    if not home.is_founded():
        raise Refused(Reason.NO_NODE, f"there is no node in {path}; make one with `carnet init`", home=str(path))
    check_may_write(home)
    command = command or " ".join(sys.argv)
    lock = WriterLock(home.lock, command)
    try:
        ring = load_key_ring(home.keys, passphrase)
        # One that was given although the keys are in clear does not put them under it by the way.
        passphrase = passphrase if is_under_passphrase(home.keys) else None
        with explained_disk_errors(path):
            return Writer(
                home,
                ring,
                lock,
                clock=clock,
                random_bytes=random_bytes,
                passphrase=passphrase,
                is_node_key_lost=is_node_key_lost,
                command=command,
            )
    except BaseException:
        lock.release()
        raise


def _next(connection: Connection, table: str) -> int:
    row = connection.execute(f"SELECT coalesce(max(id), 0) + 1 FROM {table}").fetchone()  # noqa: S608 - our own words
    return int(row[0])
