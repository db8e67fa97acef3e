"""The other side of the door: what a web worker, or an import beside a running node, uses in place of the writer.

It reads the store by itself and asks the writer only for what must be written or signed. A reply that is lost after the
commit is found again in the store: what was sealed is sealed once. It refuses to hold a signing key.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any, Final, TypeVar

from carnet.errors import InvariantBroken, Reason, Refused
from carnet.ledger.rules.members import roles_for
from carnet.ledger.state import State
from carnet.ledger.transition import Logged
from carnet.node.acts import Act, Done
from carnet.node.aliases import Declaration
from carnet.node.declared import read_aliases
from carnet.node.door.ahead import Ahead, Handed
from carnet.node.door.place import find_place
from carnet.node.door.soon import LostReplyError, Soon, away
from carnet.node.door.wire import (
    Answer,
    Ask,
    AskHealth,
    Became,
    Commit,
    Failed,
    Frames,
    Given,
    Health,
    KeepCheckpoint,
    KeepsKey,
    Perform,
    Refusing,
    Request,
    Sealed,
    Signed,
    SignReceipt,
    SignReceipts,
    TakeCensus,
    ask_to_seal,
    frame,
    read_reply,
)
from carnet.node.erased import check_id_not_erased, is_census_owed
from carnet.node.home import Home
from carnet.node.jobs import ChainRef, Context, Group, Job, Prepared, Refusal, count_random_bytes, make_context
from carnet.node.keyring import KeyRing, RandomBytes
from carnet.node.lookup import (
    find_chain_by_id,
    find_chain_by_subject,
    find_chains_by_numbers,
    find_chains_by_subjects,
    find_numbers,
    find_sources,
)
from carnet.node.made import read_prepared
from carnet.node.placing import Outcome, Receipt, tally_receipts
from carnet.node.prepare import Preparer
from carnet.node.reader import Reader
from carnet.node.readers import Readers
from carnet.node.receipts import find_receipt, find_receipts
from carnet.node.rotation import get_node_key
from carnet.node.sealed_rows import SealedRow, find_sealed_row
from carnet.node.writing import Preparing
from carnet.types import Custody, Subject
from carnet.vault.census import count_changed
from carnet.vault.ledger import parse_record, read_leaf
from carnet.vault.waiting import check_may_wait

READ_BYTES: Final = 1 << 18
PATIENCE_S: Final = 60.0
"""How long an answer may take; a census of a large store takes as long as much has changed."""

SIGNED_AT_ONCE: Final = 256
"""Receipts that the writer signs before it looks after others again: some 5 ms."""

_STALE: Final = frozenset({Reason.RULES_NOT_IN_FORCE, Reason.KEY_REVOKED})
"""Refusals of what was prepared under a state of a moment ago."""

T = TypeVar("T", bound=Answer)


class _Line:
    """One connection to the door; one request at a time."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._frames = Frames()
        self._numbers = count(1)

    def call(self, ask: Ask) -> Answer:
        """Send, wait, receive. Raises LostReplyError, and Refused(WRITER_AWAY) if no answer comes in time: then the
        request may still be carried out."""
        number = next(self._numbers)
        try:
            self._socket.sendall(frame(Request(number, ask)))
            found: list[bytes] = []
            while not found:
                data = self._socket.recv(READ_BYTES)
                if not data:
                    raise LostReplyError("the writer closed the connection")
                found = self._frames.feed(data)
        except TimeoutError:
            raise Refused(
                Reason.WRITER_AWAY, "the writer does not answer in time; hand it in again later", could_retry=True
            ) from None
        except OSError as error:
            raise LostReplyError(str(error)) from error
        reply = read_reply(found[0])
        if reply.number != number:
            raise InvariantBroken("the writer answered another request")
        return reply.answer

    def close(self) -> None:
        self._socket.close()


class RemoteWriter:
    """`node.writing.Writing` for another process. Make it with `connect`, and close it."""

    def __init__(
        self,
        home: Home,
        ring: KeyRing,
        *,
        clock: Callable[[], int],
        random_bytes: RandomBytes,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._place, self._patience_s = find_place(home), patience_s
        self._soon = Soon(self._place, patience_s)
        self._ahead = Ahead(self._connect, self._read_handed, self._find_out)
        self._clock, self._random_bytes = clock, random_bytes
        self._readers = Readers(lambda: Reader(home, ring, is_one_of_many=True, prefers_indexes=True))
        self._ring = ring
        self._lines: list[_Line] = []
        self._lock = threading.Lock()
        self._held = threading.local()
        self._preparer: tuple[int, Preparer] | None = None
        self._compiling = threading.Lock()
        self._state_at_hand: State | None = None
        self._sigs: dict[tuple[bytes, int], bytes] = {}
        self._is_shared = False

    # ---- reading, by itself

    @contextmanager
    def _looking(self, *, is_glance: bool = False) -> Iterator[Reader]:
        """A reader that sees what was committed before; for a glance its rules and members are not asked for, and may
        be of a moment ago: at passports, which the writer looks at again."""
        held = getattr(self._held, "reader", None)
        if held is not None and is_glance:
            yield held
            return
        with self._readers.reading(is_glance=is_glance) as reader:
            yield reader

    @contextmanager
    def reading(self) -> Iterator[None]:
        """See `Writing`: this thread sees one moment of passports until the block ends."""
        with self._looking(is_glance=True) as reader:
            before = getattr(self._held, "reader", None)
            self._held.reader = reader
            try:
                yield
            finally:
                self._held.reader = before

    @property
    def state(self) -> State:
        """See `Writing`."""
        with self._looking() as reader:
            self._state_at_hand = reader.state
            return reader.state

    @property
    def node_id(self) -> bytes:
        """See `Writing`."""
        return self._get_state().genesis.founders[0].member

    @property
    def node_key(self) -> bytes:
        """See `Writing`."""
        return get_node_key(self._get_state().members.get(self.node_id)).digest

    @property
    def index_key(self) -> bytes:
        """See `Writing`."""
        return self._ring.index

    @property
    def is_census_owed(self) -> bool:
        """See `Writing`."""
        with self._looking() as reader:
            latest = _find_census(reader)
            return latest is not None and is_census_owed(reader.connection, latest[1]["census"]["erased"])

    def context(self) -> Context:
        """See `Writing`."""
        with self._looking() as reader:
            state = reader.state
            return make_context(
                state.net,
                state.genesis.founders[0].member,
                self._ring.kek,
                self._ring.index,
                state.rules_ref.index,
                state.rules,
                reader.kinds,
            )

    def find_chain(self, subject: Subject) -> ChainRef | None:
        """See `Writing`."""
        with self._looking(is_glance=True) as reader:
            return find_chain_by_subject(reader.connection, self._ring, subject)

    def find_chains(self, subjects: Iterable[Subject]) -> dict[Subject, ChainRef]:
        """See `Writing`."""
        with self._looking(is_glance=True) as reader:
            return find_chains_by_subjects(reader.connection, self._ring, subjects)

    def find_numbers(self, subjects: Sequence[bytes]) -> list[int | None]:
        """See `Writing`."""
        with self._looking(is_glance=True) as reader:
            return find_numbers(reader.connection, self._ring, subjects)

    def find_chains_by_numbers(self, numbers: Sequence[int], subjects: Sequence[bytes]) -> dict[bytes, ChainRef]:
        """See `Writing`."""
        with self._looking(is_glance=True) as reader:
            return find_chains_by_numbers(reader.connection, self._ring, numbers, subjects)

    def find_chain_by_id(self, chain16: bytes) -> ChainRef | None:
        """See `Writing`."""
        with self._looking(is_glance=True) as reader:
            return find_chain_by_id(reader.connection, self._ring, chain16)

    def get_chain_by_id(self, chain16: bytes) -> ChainRef:
        """See `Writing`."""
        with self._looking(is_glance=True) as reader:
            chain = find_chain_by_id(reader.connection, self._ring, chain16)
            if chain is None:
                check_id_not_erased(reader.connection, chain16)
                raise Refused(Reason.UNKNOWN_PASSPORT, "there is no such passport here", passport=chain16.hex())
            return chain

    def find_receipt(self, place: int, chain16: bytes, sid: bytes) -> Receipt | None:
        """See `Writing`."""
        with self._looking(is_glance=True) as reader:
            return find_receipt(reader.connection, reader.state.net, place, chain16, sid)

    def find_receipts(self, wanted: Sequence[tuple[bytes, bytes]]) -> dict[int, Receipt]:
        """See `Writing`."""
        with self._looking(is_glance=True) as reader:
            return find_receipts(reader.connection, reader.state.net, wanted)

    def find_sources(self, sources: Mapping[int, Sequence[bytes]]) -> dict[int, set[bytes]]:
        """See `Writing`."""
        with self._looking(is_glance=True) as reader:
            return find_sources(reader.connection, sources)

    def find_sealed_row(self, chain: int, source: bytes) -> SealedRow | None:
        """See `Writing`."""
        with self._looking(is_glance=True) as reader:
            return find_sealed_row(reader.connection, chain, source)

    def read_aliases(self) -> list[tuple[Subject, Declaration]]:
        """See `Writing`."""
        with self._looking() as reader:
            return read_aliases(reader.connection, self._ring, reader.stored_kinds, reader.state, self.node_id)

    def find_census(self) -> tuple[int, dict[str, Any]] | None:
        """See `Writing`."""
        with self._looking() as reader:
            return _find_census(reader)

    def count_changed(self) -> int:
        """See `Writing`."""
        with self._looking(is_glance=True) as reader:
            return count_changed(reader.connection)

    def _get_state(self) -> State:
        """A state that may be of a moment ago: what rests on it, the writer checks again."""
        return self._state_at_hand or self.state

    # ---- preparing

    def make_job(
        self,
        member: bytes,
        basis: int,
        groups: Sequence[Group],
        *,
        created_ms: int | None = None,
        public: bytes | None = None,
    ) -> Job:
        """See `Writing`: without a secret, which stays with the writer. Raises Refused UNKNOWN_KEY, KEY_REVOKED."""
        public = public or self._get_hosted_key(member, roles_for(basis))
        created_ms = self._clock() if created_ms is None else created_ms
        return Job(member, public, None, basis, created_ms, groups, self._random_bytes(count_random_bytes(groups)))

    def _get_hosted_key(self, member: bytes, roles: tuple[int, ...]) -> bytes:
        """The public key with which the node signs for a member: the latest that it keeps."""
        leaf = self._get_state().members.get(member)
        ours = [key for key in leaf.keys if key.custody == Custody.NODE and key.role in roles]
        for key in reversed(ours):
            if key.revoked is None:
                return key.key
        if ours:
            raise Refused(Reason.KEY_REVOKED, f"the key of {leaf.name} was revoked", member=leaf.name)
        raise Refused(Reason.UNKNOWN_KEY, f"this node keeps no key of {leaf.name}", member=leaf.name)

    def prepare(self, job: Job) -> Prepared:
        """See `Writing`."""
        found = self._preparer
        if found is None or found[0] != self._get_state().rules_ref.index:
            found = self._compile()
        return found[1].prepare(job)

    def _compile(self) -> tuple[int, Preparer]:
        """The kinds under the rules in force, compiled by one thread for all that ask at once."""
        check_may_wait()
        with self._compiling:
            found = self._preparer
            if found is None or found[0] != self._get_state().rules_ref.index:
                context = self.context()
                found = self._preparer = (context.rules, Preparer(context))
        return found

    def warm_up(self) -> None:
        """See `Writing`."""
        self._compile()

    def append(self, member: bytes, basis: int, groups: Sequence[Group]) -> Outcome:
        """See `Writing`. Prepared again, once, where rules or keys have changed meanwhile."""
        outcome = self._append_once(member, basis, groups)
        if outcome.refused is not None and outcome.refused.reason in _STALE:
            outcome = self._append_once(member, basis, groups)
        if outcome.refused is not None:
            raise outcome.refused
        return outcome

    def _append_once(self, member: bytes, basis: int, groups: Sequence[Group]) -> Outcome:
        return self.commit([self.prepare(self.make_job(member, basis, groups))])[0]

    # ---- asking the writer

    def commit(self, prepared: Sequence[Prepared]) -> list[Outcome]:
        """See `Writing`. Raises Refused(WRITER_AWAY) only if nothing of it was sealed."""
        return self._commit(prepared, ask_to_seal(prepared))

    def _commit(self, prepared: Sequence[Prepared], ask: Commit) -> list[Outcome]:
        try:
            sealed = self._call(ask, Sealed)
        except LostReplyError:
            return self._find_or_seal(prepared, ask)
        return self._read_sealed(prepared, sealed)

    async def commit_soon(self, prepared: Prepared) -> Outcome:
        """See `Writing`. Raises as `commit`."""
        ask = ask_to_seal([prepared])
        try:
            sealed = _check_answer(await self._soon.call(ask), Sealed)
        except LostReplyError:
            return (await asyncio.to_thread(self._find_or_seal, [prepared], ask))[0]
        return self._read_sealed([prepared], sealed)[0]

    async def leave_loop(self) -> None:
        """See `Writing`."""
        self._soon.close()

    def _find_or_seal(self, prepared: Sequence[Prepared], ask: Commit) -> list[Outcome]:
        """What became of a commit whose answer was lost: handed in again, and then looked for in the store.

        The writer may be gone, before or after it sealed, or live with the request still in its queue. Handed in again
        it comes behind that one, and what is sealed already is refused, the rest for its own reasons; so the store
        tells which is which. Raises Refused(WRITER_AWAY) only if nothing of it was sealed.
        """
        self._hang_up()
        why: Refused | None = None
        try:
            sealed = self._call_again(Commit(ask.prepared, ask.is_patient, ask.is_quiet, is_again=True))
            again = self._read_sealed(prepared, sealed)
        except Refused as refused:
            why, again = refused, [Outcome([], one.refusals, refused) for one in prepared]
        found = self._look_up(prepared)
        if why is not None and not any(found):
            raise why
        return list(map(_settle, prepared, again, found))

    def _read_sealed(self, prepared: Sequence[Prepared], sealed: Sealed) -> list[Outcome]:
        self._note_sealed(sealed)
        return [self._read_outcome(one.refusals, became) for one, became in zip(prepared, sealed.outcomes, strict=True)]

    def _note_sealed(self, sealed: Sealed) -> None:
        self._is_shared = sealed.is_shared
        state = self._state_at_hand
        if state is not None and (sealed.rules, sealed.members) != (state.rules_ref.index, state.members_ref.index):
            self._state_at_hand = None

    def start_commit(self, preparing: Preparing, *, is_quiet: bool = False) -> Handed:
        """See `Writing`: as it came from a worker it goes to the writer, and is not even read here. Nobody waits for
        what is handed in so: others go first."""
        return self._ahead.hand_in(*preparing.encoded(), is_quiet=is_quiet)

    def _read_handed(self, handed: Handed, answer: Answer) -> Outcome:
        sealed = _check_answer(answer, Sealed)
        self._note_sealed(sealed)
        return self._read_outcome(handed.refusals, sealed.outcomes[0])

    def _find_out(self, handed: Handed) -> Outcome:
        return self._find_or_seal([read_prepared(handed.data, handed.refusals)], handed.ask)[0]

    @property
    def most_ahead(self) -> int:
        """See `Writing`: so many that the writer finds another one when it is done with one."""
        return 4

    @property
    def is_shared(self) -> bool:
        """See `Writing`: as the writer told at the last commit, or when it was asked how it fares."""
        return self._is_shared

    def _call_again(self, ask: Commit) -> Sealed:
        try:
            return self._call(ask, Sealed)
        except LostReplyError:
            found_by_next = "whether it was sealed is found out by handing it in again"
            raise Refused(Reason.WRITER_AWAY, f"the writer went away; {found_by_next}", could_retry=True) from None

    def _read_outcome(self, before: Sequence[Refusal], became: Became) -> Outcome:
        refusals = sorted([*before, *became.refusals], key=lambda one: one.place)
        if len(self._sigs) > 10_000:
            self._sigs.clear()
        for receipt, sig in zip(became.receipts, became.sigs, strict=False):
            self._sigs[receipt.signed, receipt.accepted_ms] = sig
        refused = None if became.refused is None else became.refused.to_error()
        if refused is not None and refused.reason in _STALE:
            self._state_at_hand = None
        return Outcome(became.receipts, refusals, refused, became.tally)

    def _look_up(self, prepared: Sequence[Prepared]) -> list[list[Receipt]]:
        """The receipts of the statements that are sealed, of each submission."""
        with self.reading():
            return [
                [
                    receipt
                    for group in one.groups
                    for row in group.rows
                    if (receipt := self.find_receipt(row.place, group.chain16, row.sid)) is not None
                ]
                for one in prepared
            ]

    def sign_receipt(self, receipt: Receipt, deadline_ms: int) -> bytes:
        """See `Writing`."""
        known = self._sigs.pop((receipt.signed, deadline_ms), None)
        if known is not None:
            return known
        value = self._ask(SignReceipt(receipt, deadline_ms), Given).value
        if not isinstance(value, bytes):
            raise InvariantBroken("the writer gave no signature")
        return value

    def sign_receipts(self, receipts: Sequence[Receipt]) -> list[bytes]:
        """See `Writing`. A part at a time, so that others need not wait for all of them."""
        found: list[bytes] = []
        for at in range(0, len(receipts), SIGNED_AT_ONCE):
            part = list(receipts[at : at + SIGNED_AT_ONCE])
            sigs = self._ask(SignReceipts(part), Signed).sigs
            if len(sigs) != len(part):
                raise InvariantBroken("the writer left out a signature")
            found += sigs
        return found

    def keeps_key(self, digest: bytes) -> bool:
        """See `Writing`."""
        return bool(self._ask(KeepsKey(digest), Given).value)

    def perform(self, act: Act) -> Done:
        """See `Writing`. Raises Refused(WRITER_AWAY) where the answer was lost: then it may have been carried out."""
        try:
            return self._call(Perform(act), Done)
        except LostReplyError:
            self._hang_up()
            saying = "the writer went away before it answered: look whether it was carried out before asking again"
            raise Refused(Reason.WRITER_AWAY, saying, could_retry=True) from None
        finally:
            self._state_at_hand = None

    def take_census(self) -> Logged:
        """See `Writing`."""
        index = self._ask(TakeCensus(), Given).value
        if not isinstance(index, int):
            raise InvariantBroken("the writer took no census")
        with self._looking() as reader:
            return Logged(index, read_leaf(reader.connection, index))

    def keep_checkpoint(self) -> None:
        """See `Writing`."""
        self._ask(KeepCheckpoint(), Given)

    def check_alive(self) -> None:
        """Raise Refused WRITER_AWAY if the writer does not answer, NODE_DAMAGED if it has stopped, TIME_WENT_BACK if it
        can seal nothing by its clock."""
        health = self.get_health()
        self._is_shared = health.is_shared
        if health.failure is not None and health.cause == Reason.TIME_WENT_BACK:
            raise Refused(Reason.TIME_WENT_BACK, health.failure, could_retry=True)
        if health.failure is not None:
            raise Refused(Reason.NODE_DAMAGED, health.failure, cause=health.cause)

    def get_health(self) -> Health:
        """How the writer fares. Raises Refused(WRITER_AWAY)."""
        return self._ask(AskHealth(), Health)

    def _ask(self, ask: Ask, kind: type[T]) -> T:
        """For what may be asked twice: a line that a dead writer has left is not the last word."""
        for _ in range(2):
            try:
                return self._call(ask, kind)
            except LostReplyError:
                self._hang_up()
        raise Refused(Reason.WRITER_AWAY, "the writer does not answer", could_retry=True)

    def _call(self, ask: Ask, kind: type[T]) -> T:
        check_may_wait()
        line = self._take_line()
        try:
            answer = line.call(ask)
        except BaseException:
            line.close()
            raise
        with self._lock:
            self._lines.append(line)
        return _check_answer(answer, kind)

    def _take_line(self) -> _Line:
        with self._lock:
            if self._lines:
                return self._lines.pop()
        return _Line(self._connect())

    def _connect(self) -> socket.socket:
        connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connected.settimeout(self._patience_s)
            connected.connect(str(self._place))
        except OSError:
            connected.close()
            raise away() from None
        except BaseException:
            # Told to stop.
            connected.close()
            raise
        return connected

    def _hang_up(self) -> None:
        with self._lock:
            lines, self._lines = self._lines, []
        for line in lines:
            line.close()

    def close(self) -> None:
        """Hang up; idempotent. The writer goes on."""
        self._hang_up()
        self._ahead.close()
        self._readers.close()

    def __enter__(self) -> RemoteWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def connect(
    home: Home,
    ring: KeyRing,
    *,
    clock: Callable[[], int],
    random_bytes: RandomBytes,
    patience_s: float = PATIENCE_S,
) -> RemoteWriter:
    """The running writer of a home. Of the ring it keeps the two storage keys alone. Raises Refused(WRITER_AWAY) if
    nobody listens, NODE_DAMAGED if the writer has stopped, TIME_WENT_BACK if it can seal nothing by its clock."""
    writer = RemoteWriter(
        home, without_signing_keys(ring), clock=clock, random_bytes=random_bytes, patience_s=patience_s
    )
    try:
        writer.check_alive()
    except BaseException:
        writer.close()
        raise
    return writer


def without_signing_keys(ring: KeyRing) -> KeyRing:
    """The two storage keys, with which one can read, and nothing with which one could sign."""
    return KeyRing(b"", b"", ring.kek, ring.index)


def _settle(prepared: Prepared, again: Outcome, receipts: list[Receipt]) -> Outcome:
    """What became of a submission of which these are sealed; `again` is what was said when it was handed in again."""
    if not receipts:
        return again
    sealed = {receipt.place for receipt in receipts}
    refusals = {one.place: one for one in again.refusals if one.place not in sealed}
    if again.refused is not None:
        # Refused as a whole by now: that says of the others, too, why they are not sealed.
        why = again.refused
        places = [row.place for group in prepared.groups for row in group.rows]
        for place in set(places).difference(sealed, refusals):
            refusals[place] = Refusal(place, why.reason, why.message, dict(why.facts))
    return Outcome(receipts, [refusals[place] for place in sorted(refusals)], None, tally_receipts(receipts))


def _check_answer(answer: Answer, kind: type[T]) -> T:
    if isinstance(answer, Refusing):
        raise answer.said.to_error()
    if isinstance(answer, Failed) or not isinstance(answer, kind):
        raise InvariantBroken(f"the writer failed: {answer}")
    return answer


def _find_census(reader: Reader) -> tuple[int, dict[str, Any]] | None:
    latest = reader.state.censuses.get(reader.state.genesis.founders[0].member)
    return None if latest is None else (latest.index, parse_record(read_leaf(reader.connection, latest.index)))
