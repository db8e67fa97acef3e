"""The one writer of a home: it owns the lock and the signing keys, and turns prepared submissions into durable
receipts.

Everything of one commit – entries, contents, seals, log nodes, ledger state – is one transaction: acknowledged means
on the disk. It refuses to know where submissions come from, and to write on when the disk has failed it once.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path

from carnet.errors import Reason, Refused
from carnet.ledger.batch import compute_receipt
from carnet.ledger.rules.members import roles_for
from carnet.node.acts import Act, Done, perform
from carnet.node.grouping import Grouping
from carnet.node.home import Home
from carnet.node.jobs import Group, Job, Prepared, count_random_bytes
from carnet.node.keyring import KeyRing, RandomBytes, is_under_passphrase, load_key_ring
from carnet.node.lock import WriterLock
from carnet.node.placing import Head, Outcome, Placing, Receipt
from carnet.node.prepare import Preparer
from carnet.node.restored import check_may_write
from carnet.node.rotation import check_node_key
from carnet.node.writer.clearing import Clearing
from carnet.node.writer.storing import make_seals, store_linked, store_signed
from carnet.node.writing import Preparing
from carnet.signing import Signer
from carnet.vault.disk import explained_disk_errors

KEPT_SIGNERS = 1_024
"""Key pairs of members that are kept at hand, beside the ring that has their seeds."""


class Writer(Clearing):
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
        super().__init__(
            home, ring, lock, clock=clock, random_bytes=random_bytes, passphrase=passphrase, command=command
        )
        self._preparer: tuple[int, Preparer] | None = None
        self._signers: dict[bytes, Signer] = {}
        self._grouping = Grouping(self.commit)
        try:
            if self._lost is not None:
                # What was erased goes from an older copy as well; nothing else is written to one.
                self._finish_erasures()
                raise self._lost
            self._finish_rotation()
            if not is_node_key_lost:
                check_node_key(self._ring, self._book.state.members.get(self._node_id))
                self._finish_erasures()
        except BaseException:
            self._mover.close()
            self._store.close()
            raise

    def close(self) -> None:
        """Finish what waits, keep the last checkpoint, and let the next writer in; idempotent."""
        self._grouping.close()
        super().close()

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
            public = self._get_signer(seed).public
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
        return self._get_preparer().prepare(job)

    def warm_up(self) -> None:
        """Compile the kinds under the rules in force."""
        self._get_preparer()

    def _get_preparer(self) -> Preparer:
        # Mostly found without a turn: a commit that is on its way would be waited for. What is found was made under
        # rules that are on the disk, and whatever is prepared under other ones than those in force is refused.
        known = self._preparer
        if known is not None and known[0] == self._book.state.rules_ref.index:
            return known[1]
        with self._mutex:
            index = self._book.state.rules_ref.index
            if self._preparer is None or self._preparer[0] != index:
                self._preparer = (index, Preparer(self.context(), self._get_signer))
            return self._preparer[1]

    def _get_signer(self, seed: bytes) -> Signer:
        """To make a key pair of its seed takes as long as to sign with it."""
        signer = self._signers.get(seed)
        if signer is None:
            if len(self._signers) >= KEPT_SIGNERS:
                self._signers.clear()
            signer = self._signers[seed] = Signer(seed)
        return signer

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

    def commit(self, prepared: Sequence[Prepared], *, is_quiet: bool = False) -> list[Outcome]:
        """Place, seal and store the submissions in one transaction; when it returns, they are on the disk. Quiet, the
        outcomes bring a tally and no receipts.

        What is refused is refused by itself. Raises Refused(TIME_WENT_BACK, NODE_DAMAGED) for all of them; then
        nothing was written.
        """
        with self._mutex:
            return self._transact(lambda at: self._seal_all(prepared, at, is_quiet))

    def start_commit(self, preparing: Preparing, *, is_quiet: bool = False) -> Future[Outcome]:
        """As `commit`, but only the disk, or the server, is still to be waited for when it returns: once the future has
        its outcome, that is durable. Whatever is asked of this writer next waits for that too."""
        prepared = preparing.result()
        with self._mutex:
            late: list[Callable[[], None]] = []

            def work(at: int) -> list[Outcome]:
                placing, outcomes = self._place([prepared], at, is_quiet)
                if self._connection.is_file:
                    # Each row of a file gives up the interpreter for a moment, and in another thread would wait long
                    # to have it back.
                    self._store_placed(placing, at)
                else:
                    late.append(lambda: self._store_placed(placing, at))
                return outcomes

            (outcome,), commit = self._begin(work)

            def finish() -> Outcome:
                try:
                    commit(*late)
                    # Should it fail, nothing is acknowledged any more, be it on the disk or not.
                    with self._on_disk():
                        self._mover.move_long()
                except Exception as error:
                    # Whoever asks next may come before the one who waits for this.
                    self._late = error
                    raise
                return outcome

            return self._mutex.finish_later(finish)

    @property
    def most_ahead(self) -> int:
        """One: the next one would wait for it."""
        return 1

    @property
    def is_shared(self) -> bool:
        """Whoever has the writer in its own process has it alone."""
        return False

    async def commit_soon(self, prepared: Prepared) -> Outcome:
        """As `commit` for one submission, from an event loop: in a thread."""
        return (await asyncio.to_thread(self.commit, [prepared]))[0]

    async def leave_loop(self) -> None:
        """Nothing of it belongs to a loop."""

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
        return prepared.with_signature(self._get_signer(seed).sign(prepared.submission))._replace(is_signed_here=True)

    def perform(self, act: Act) -> Done:
        """Carry out an act of whoever runs the node, by the method that is named as it."""
        return perform(self, act)

    def keeps_key(self, digest: bytes) -> bool:
        """Whether this node has the secret of an author key."""
        return self._ring.find_seed(digest) is not None

    def sign_receipt(self, receipt: Receipt, deadline_ms: int) -> bytes:
        """The node's signature of clause 3.11 on a receipt."""
        message = compute_receipt(
            self._book.state.net, self._node.digest, receipt.signed, receipt.accepted_ms, deadline_ms
        )
        return self._node.sign(message)

    def sign_receipts(self, receipts: Sequence[Receipt]) -> list[bytes]:
        """The same for many, each with its acceptance as its deadline."""
        return [self.sign_receipt(receipt, receipt.accepted_ms) for receipt in receipts]

    def _seal_all(self, prepared: Sequence[Prepared], at: int, is_quiet: bool) -> list[Outcome]:
        placing, outcomes = self._place(prepared, at, is_quiet)
        self._store_placed(placing, at)
        return outcomes

    def _place(self, prepared: Sequence[Prepared], at: int, is_quiet: bool) -> tuple[Placing, list[Outcome]]:
        placing = self._make_placing(at)
        return placing, placing.place_all(prepared, is_quiet=is_quiet)

    def _store_placed(self, placing: Placing, at: int) -> None:
        if not placing.batches:
            return
        before = self._book.state
        commands, seals = make_seals(before, self._node_id, self._node, placing.batches)
        with self._connection.together():
            self._write_block(at, commands)
            store_signed(self._connection, placing, seals)
            store_linked(self._connection, placing, before, self._node_id)
        self._key_ids = {**self._key_ids, **{digest: new[0] for digest, new in placing.new_keys.items()}}
        self._next_chain, self._next_submission = placing.next_chain, placing.next_submission
        self._keep_heads(placing.heads)

    def _keep_heads(self, heads: Mapping[int, Head]) -> None:
        """Have the heads of chains that grew lately at hand. An error forgets all of them (`_transact`)."""
        self._recent.keep(heads)
        note = self._unwritten.note
        for head in heads.values():
            number, chain16, seq, epoch, id_ = head.place
            stored = head.stored
            if stored is not None and seq > 0:
                note(number, chain16, seq, epoch, id_, head.seal, stored[2] == seq)

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
            self._recent,
        )


def open_writer(
    path: Path,
    *,
    clock: Callable[[], int],
    random_bytes: RandomBytes,
    passphrase: str | None = None,
    command: str | None = None,
    pid: int | None = None,
    is_node_key_lost: bool = False,
) -> Writer:
    """The writer of a home. `clock` gives ms since 1970; others who find it busy are told `command` and `pid` (this
    process's, unless given). With `is_node_key_lost` only `replace_lost_node_key` is to be asked of it.

    Raises Refused NO_NODE, RESTORED_COPY (until the newest head was shown), STALE_COPY and OTHER_HISTORY (a database
    that lacks what was signed here), WRITER_BUSY (with pid), WRONG_PASSPHRASE, NODE_DAMAGED (it re-checks the end of
    the store first).
    """
    home = Home(path)
    home.finish_founding()
    home.check_founded()
    check_may_write(home)
    command = command or " ".join(sys.argv)
    lock = WriterLock(home.lock, command, pid)
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
