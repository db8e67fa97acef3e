"""Placing prepared statements: the checks that need the state in force, the links, and the batches they go into.

One `Placing` is one transaction: it reads the store, keeps what is new in memory, and is thrown away if anything
fails. It refuses to know how statements were prepared, and it neither seals nor commits. Spec: 2.7 to 2.14, 3.5.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import NamedTuple, cast

import msgspec

from carnet.encoding import decode, tag
from carnet.errors import Reason, Refused
from carnet.ledger.rules.members import Member, check_custody, roles_for
from carnet.ledger.state import State
from carnet.node.aliases import Declaration, check_alias
from carnet.node.erased import check_id_not_erased
from carnet.node.heads import ChainHead, follow_heads
from carnet.node.keyring import KeyRing
from carnet.node.lookup import Kinds, ask_many, find_linked, find_sources, get_chain_by_number, open_content
from carnet.node.prepare import IDENTITY, ChainRef, Prepared, PreparedGroup, Refusal, Row
from carnet.passport.link import NO_PREV
from carnet.passport.statement import NO_TARGET
from carnet.signing import verify
from carnet.types import Mark
from carnet.vault.erasing import Tombstones
from carnet.vault.sealing import decrypt_subject, unwrap
from carnet.vault.store import Blob, Connection
from carnet.vault.tables import ELSEWHERE, IN_VAULT

MAX_BATCH = 4096
"""Links in one batch: a proof that is made cold reads the leaves of its batch, 32 bytes each."""

MAX_SOURCE_BYTES = 512
"""So many bytes of digests of source rows are kept with a head, of 16 bytes each."""

CLOSING = "passport.closed/1"
AFTER_CLOSING = frozenset({"passport.corrected/1", "passport.rectified/1", "passport.contested/1"})

_LINK = tag("link")
_SEQ_EPOCH = struct.Struct(">QI").pack
_MARK_BYTES = tuple(bytes((mark,)) for mark in range(5))
_FIND_HEADS = (
    "SELECT id, chain16, type, blind, closed, home, head_seq, head_epoch, head_id, head_seal FROM chain WHERE id IN (?)"
)
_FIND_BLINDS = "SELECT blind, chain16 FROM chain WHERE blind IN (?)"
_ZERO_MARK = bytes(1) + NO_TARGET


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """Where the item at `place` of a job now stands, durably: chain, seq, sid 32, the seal's log index, `signed` 32
    bytes and the time of acceptance (ms)."""

    place: int
    chain16: bytes
    seq: int
    sid: bytes
    seal: int
    signed: bytes
    accepted_ms: int


class Outcome(NamedTuple):
    """What became of one submission: a receipt or a refusal for each item; `refused` when all of it was refused as a
    whole."""

    receipts: list[Receipt]
    refusals: list[Refusal]
    refused: Refused | None = None


@dataclass(slots=True)
class Head:
    """A chain as this transaction sees it. `ordinal` is the last batch of this transaction that holds a link of it,
    -1 at first; `seal` that of its newest link before; `stored` the head that its row remembers, None for a new chain;
    `is_turned` says that it was closed, reopened, transferred or moved; `sources` are the digests of all its source
    rows, one after the other, None where not all are known."""

    number: int
    chain16: bytes
    type: int
    blind: bytes | None
    closed: int
    seq: int
    epoch: int
    id: bytes
    home: bytes | None = None
    ordinal: int = -1
    seal: int = -1
    stored: ChainHead | None = None
    is_turned: bool = False
    sources: bytes | None = None
    wrapped_key: bytes = b""
    subject: bytes = b""

    @property
    def current(self) -> ChainHead:
        """The newest link, which is sealed."""
        return ChainHead(self.seq, self.epoch, self.id, self.seal)

    def keep(self, seal: int, *, is_written: bool = False) -> None:
        """The links of this transaction are sealed up to the log index `seal`; with `is_written` the row says so."""
        self.seal, self.ordinal, self.is_turned, self.wrapped_key, self.subject = seal, -1, False, b"", b""
        if is_written:
            self.stored = self.current


@dataclass(slots=True)
class OpenBatch:
    """Links that will be sealed together: their class and their leaf hashes in order."""

    class_: int
    leaves: list[bytes] = field(default_factory=list)


class Right(NamedTuple):
    """What a submission's author may do now: the member's leaf, and the class or the refusal for each kind asked so
    far."""

    member: Member
    basis: int
    kinds: dict[str, Refused | int]


class Placing:
    """The statements of one transaction, linked and put into batches; the first batch gets the log index
    `state.size`."""

    def __init__(
        self,
        connection: Connection,
        ring: KeyRing,
        kinds: Kinds,
        state: State,
        home: bytes,
        at: int,
        next_chain: int,
        next_submission: int,
        key_ids: dict[bytes, int],
        kept_heads: Mapping[int, Head] | None = None,
    ) -> None:
        self._connection = connection
        self._ring = ring
        self._kinds = kinds
        self._state = state
        self._home = home
        self._at = at
        self._key_ids = key_ids
        self.next_chain = next_chain
        self.next_submission = next_submission
        self.new_keys: dict[bytes, tuple[int, bytes, bytes, bytes]] = {}
        self._kept_heads = {} if kept_heads is None else kept_heads
        self.heads: dict[int, Head] = {}
        self.batches: list[OpenBatch] = []
        # Rows of `entry`: imported ones, whose target is left out; those with neither target nor source; the others.
        self.entries: list[tuple[object, ...]] = []
        self.bare_entries: list[tuple[object, ...]] = []
        self.entries_at_target: list[tuple[object, ...]] = []
        self.submissions: list[tuple[object, ...]] = []
        self._latest: dict[int, int] = {}
        self._blinds: dict[bytes, bytes] = {}
        # Source rows that a chain holds, as far as they were asked for or placed.
        self._known: dict[int, set[bytes]] = {}
        self._rows_of: dict[int, list[tuple[Row, int, Right]]] = {}
        self._linked: dict[int, set[bytes]] = {}
        self._tombstones = Tombstones(connection, ring.index)

    # ---- one submission

    def place(self, prepared: Prepared) -> Outcome:
        """Link what can be linked; what cannot is refused by itself, and a submission without right as a whole."""
        try:
            right = self._check_submission(prepared)
        except Refused as refused:
            return Outcome([], prepared.refusals, refused)
        number = self.next_submission
        receipts: list[Receipt] = []
        refusals = list(prepared.refusals)
        self._load_heads(group.chain for group in prepared.groups if group.chain)
        self._load_blinds(group.blind for group in prepared.groups if not group.chain)
        self._load_sources(prepared.groups)
        self._load_linked(prepared)
        is_first = True
        for group in prepared.groups:
            try:
                rows, head = self._enter_group(group, right, is_first or not prepared.is_signed_here, refusals)
            except Refused as refused:
                refusals += [_refusal(row.place, refused) for row in group.rows]
                continue
            if group.chain:
                is_first = False
            self._link_rows(rows, head, right, prepared.signed, number, receipts, refusals)
        if receipts:
            self.next_submission += 1
            key = self._get_key_id(prepared)
            leaves = prepared.leaves or None
            self.submissions.append(
                (number, key, prepared.created_ms, prepared.statement_count, prepared.root, prepared.sig, leaves)
            )
        refusals.sort(key=lambda refusal: refusal.place)
        return Outcome(receipts, refusals)

    def _check_submission(self, prepared: Prepared) -> Right:
        state = self._state
        if prepared.net != state.net:
            raise Refused(Reason.WRONG_NETWORK, "the submission belongs to another network")
        if prepared.rules != state.rules_ref.index:
            raise Refused(
                Reason.RULES_NOT_IN_FORCE,
                "the rules changed since this was prepared: prepare it again",
                could_retry=True,
            )
        member = state.members.get(prepared.member)
        key = member.get_signing_key(prepared.key_digest, roles_for(prepared.basis))
        check_custody(prepared.basis, key)
        if len(prepared.signed) != 32 * prepared.statement_count:
            raise Refused(Reason.BAD_SIGNATURE, "the submission is not signed yet")
        # Our own workers' signatures were made from the seed a moment ago; any other is verified before it is stored.
        if not prepared.is_signed_here and not verify(key.key, prepared.submission, prepared.sig):
            raise Refused(Reason.BAD_SIGNATURE, "the submission's signature does not verify")
        return Right(member, prepared.basis, {})

    def _get_key_id(self, prepared: Prepared) -> int:
        digest = prepared.key_digest
        found = self._key_ids.get(digest) or (self.new_keys[digest][0] if digest in self.new_keys else None)
        if found is None:
            found = len(self._key_ids) + len(self.new_keys) + 1
            self.new_keys[digest] = (found, prepared.member, digest, prepared.public)
        return found

    # ---- one chain of it

    def _load_heads(self, numbers: Iterable[int]) -> None:
        """Read many heads with few questions: one for each would cost more than the links."""
        wanted = set(numbers) - self.heads.keys()
        self.heads |= {number: self._kept_heads[number] for number in wanted & self._kept_heads.keys()}
        rows = list(ask_many(self._connection, _FIND_HEADS, sorted(wanted - self.heads.keys())))
        stored = {row[0]: (row[1], ChainHead(*row[6:])) for row in rows}
        newer = follow_heads(self._connection, self._state.net, stored)
        for number, chain16, type_, blind, closed, home, *_ in rows:
            before = stored[number][1]
            seq, epoch, link_id, seal = newer.get(number, before)
            self.heads[number] = Head(
                number, chain16, type_, blind, closed, seq, epoch, link_id, home, seal=seal, stored=before
            )

    def _load_blinds(self, blinds: Iterable[bytes | None]) -> None:
        """Read which of the subjects of new passports have one already."""
        missing = [Blob(blind) for blind in blinds if blind is not None and blind not in self._blinds]
        self._blinds.update(ask_many(self._connection, _FIND_BLINDS, missing))

    def _load_linked(self, prepared: Prepared) -> None:
        """Read which of the statements stand in their chains already: of those that we signed a moment ago, the first
        chain's alone are asked for."""
        groups = [group for group in prepared.groups if group.chain]
        asked = groups[:1] if prepared.is_signed_here else groups
        self._linked = find_linked(self._connection, {one.chain: [row.sid for row in one.rows] for one in asked})

    def _load_sources(self, groups: Iterable[PreparedGroup]) -> None:
        """Read which source rows the chains hold already to which more are to be added."""
        asked: dict[int, list[bytes]] = {}
        for group in groups:
            head = self.heads.get(group.chain) if group.chain else None
            if head is None:
                continue
            held = head.sources
            # Bytes that stand there across two digests are asked for in vain, and no harm is done.
            sources = [row.source for row in group.rows if row.source and (held is None or row.source in held)]
            if sources:
                asked.setdefault(group.chain, []).extend(sources)
        if asked:
            for chain, known in find_sources(self._connection, asked).items():
                self._known.setdefault(chain, set()).update(known)

    def _enter_group(
        self, group: PreparedGroup, right: Right, is_checked_twice: bool, refusals: list[Refusal]
    ) -> tuple[Sequence[Row], Head]:
        """The head to link after, and the rows that may follow it."""
        if not group.chain:
            self._check_kind(group.rows[0], right)
            self._check_may_reopen(group)
            opened = self._open_chain(group)
            return self._without_erased(opened, group.rows, refusals), opened
        head = self.heads.get(group.chain)
        if head is None or head.chain16 != group.chain16:
            check_id_not_erased(self._connection, group.chain16)
            raise Refused(Reason.UNKNOWN_PASSPORT, "there is no such passport here", passport=group.chain16.hex())
        if head.home is not None:
            raise Refused(Reason.PASSPORT_CLOSED, "this passport has moved to another home", home=head.home.hex())
        rows: Sequence[Row] = group.rows
        if is_checked_twice:
            # A submission sent again would link its statements twice (2.5); secrets are random, so its first one tells.
            linked = self._linked.get(head.number, set()) | {
                row.sid for row, _, _ in self._rows_of.get(head.number, ())
            }
            rows = [row for row in rows if not _is_linked(linked, row, refusals)]
        if any(row.source is not None for row in rows):
            rows = self._without_known(head, self._without_erased(head, rows, refusals), refusals)
        return rows, head

    def _check_may_reopen(self, group: PreparedGroup) -> None:
        """A subject whose passport was erased is opened anew only by an opening that says so."""
        if group.blind is None or not self._tombstones.has_subject(group.blind) or group.blind in self._blinds:
            return
        opening = group.rows[0]
        key = unwrap(self._ring.kek, group.wrapped_key)
        subject = cast("dict[str, object]", decode(decrypt_subject(key, group.chain16, group.subject)))
        ref = ChainRef(0, group.chain16, group.type, key, subject)
        names = self._kinds.names_of[self._kinds.id_of[opening.kind]][1]
        fields = open_content(ref, opening.kind, names, opening.sid, opening.secret, opening.content).fields
        if fields.get("after_erasure") is not True:
            raise Refused(
                Reason.ERASED,
                "the passport of this subject was erased: whoever may open it anew says so (after_erasure)",
            )

    def _without_erased(self, head: Head, rows: Sequence[Row], refusals: list[Refusal]) -> Sequence[Row]:
        """Leave out source rows whose entry was erased: reading the file again does not bring it back."""
        if head.blind is None or not self._tombstones:
            return rows
        gone = self._tombstones.find_rows(head.blind, [row.source for row in rows if row.source is not None])
        refused = Refused(Reason.ERASED, "the entry of this source row was erased")
        refusals += [_refusal(row.place, refused) for row in rows if row.source in gone]
        return [row for row in rows if row.source not in gone]

    def _open_chain(self, group: PreparedGroup) -> Head:
        blind = group.blind
        if blind is not None:
            taken = self._blinds.get(blind)
            if taken is not None:
                raise Refused(
                    Reason.SUBJECT_TAKEN,
                    f"this subject has a passport already: {taken.hex()}",
                    passport=taken.hex(),
                )
            self._blinds[blind] = group.chain16
        head = Head(
            number=self.next_chain,
            chain16=group.chain16,
            type=group.type,
            blind=blind,
            closed=0,
            seq=-1,
            epoch=0,
            id=NO_PREV,
            wrapped_key=group.wrapped_key,
            subject=group.subject,
            sources=b"",
        )
        self.heads[head.number] = head
        self._known[head.number] = set()
        self.next_chain += 1
        return head

    def _without_known(self, head: Head, rows: Sequence[Row], refusals: list[Refusal]) -> list[Row]:
        known = self._known.setdefault(head.number, set())
        kept = []
        for row in rows:
            if row.source is not None and row.source in known:
                refusals.append(
                    _refusal(row.place, Refused(Reason.ALREADY_SEALED, "this source row is sealed already"))
                )
            else:
                kept.append(row)
        return kept

    # ---- its statements

    def _link_rows(
        self,
        rows: Sequence[Row],
        head: Head,
        right: Right,
        signed_all: bytes,
        submission: int,
        receipts: list[Receipt],
        refusals: list[Refusal],
    ) -> None:
        # Every line below runs once per entry: measure before adding one.
        link_prefix = _LINK + head.chain16
        number, chain16, basis = head.number, head.chain16, right.basis
        id_of, first_seal, at = self._kinds.id_of, self._state.size, self._at
        allowed, batches, latest = right.kinds, self.batches, self._latest
        own: list[bytes] = []
        placed, known = self._rows_of.setdefault(number, []), self._known.setdefault(number, set())
        for row in rows:
            kind, class_, mark, sid, sub_index = row.kind, row.class_, row.mark, row.sid, row.sub_index
            is_special = mark or kind == CLOSING
            if allowed.get(kind) != class_ or is_special or row.alias is not None or head.closed:
                try:
                    self._check_row(row, head, right)
                except Refused as refused:
                    refusals.append(_refusal(row.place, refused))
                    continue
            seq = head.seq + 1
            if mark == Mark.TRANSFER:
                head.epoch += 1
            signed = signed_all[32 * sub_index : 32 * sub_index + 32]
            marks = _MARK_BYTES[mark] + row.target if mark else _ZERO_MARK
            link = b"".join((link_prefix, _SEQ_EPOCH(seq, head.epoch), head.id, sid, marks, signed))
            ordinal = latest.get(class_, -1)
            # Seals of one chain never go back (5.4.11): not into a batch before that of the chain's last link.
            if ordinal < 0 or ordinal < head.ordinal or len(batches[ordinal].leaves) >= MAX_BATCH:
                ordinal = self._open_batch(class_)
            leaves, seal = batches[ordinal].leaves, first_seal + ordinal
            content = row.content
            where = IN_VAULT if content is not None else ELSEWHERE
            secret, kept, source = Blob(row.secret), None if content is None else Blob(content), row.source
            if mark:
                self.entries_at_target.append(
                    (
                        number, seq, id_of[kind], basis, class_, mark, Blob(row.target), Blob(sid), submission,
                        sub_index, seal, len(leaves), where, None if source is None else Blob(source), secret, kept,
                    )
                )  # fmt: skip
            elif source is None:
                self.bare_entries.append(
                    (
                        number, seq, id_of[kind], basis, class_, 0, Blob(sid), submission, sub_index, seal, len(leaves),
                        where, secret, kept,
                    )
                )  # fmt: skip
            else:
                self.entries.append(
                    (
                        number, seq, id_of[kind], basis, class_, 0, Blob(sid), submission, sub_index, seal, len(leaves),
                        where, Blob(source), secret, kept,
                    )
                )  # fmt: skip
            if source is not None:
                known.add(source)
                own.append(source)
            leaves.append(sha256(b"\x00" + link).digest())
            head.seq, head.id, head.ordinal = seq, sha256(link).digest(), ordinal
            if is_special:
                self._note_special(row, head, right)
            placed.append((row, seq, right))
            receipts.append(Receipt(row.place, chain16, seq, sid, seal, signed, at))
        if own and head.sources is not None:
            head.sources = head.sources + b"".join(own) if len(head.sources) < MAX_SOURCE_BYTES else None

    def _open_batch(self, class_: int) -> int:
        self.batches.append(OpenBatch(class_))
        self._latest[class_] = len(self.batches) - 1
        return self._latest[class_]

    def _check_row(self, row: Row, head: Head, right: Right) -> None:
        """Everything that needs the state, in the order of docs/reasons.md."""
        self._check_kind(row, right)
        if row.alias is not None:
            check_alias(row.alias[0], row.alias[1], self._read_declarations(head))
        if head.closed and row.kind not in AFTER_CLOSING:
            raise Refused(Reason.PASSPORT_CLOSED, "this passport is closed", passport=head.chain16.hex())
        if head.home is not None:
            raise Refused(Reason.PASSPORT_CLOSED, "this passport has moved to another home", home=head.home.hex())
        if row.mark in (Mark.SUPERSEDES, Mark.CONTESTS):
            seq = self._find_target(head, row.target)
            if seq is None:
                raise Refused(
                    Reason.UNKNOWN_TARGET, "no earlier entry of this passport has this id", target=row.target.hex()
                )
            if seq == 0:
                raise Refused(Reason.TARGET_IS_OPENING, "the opening of a passport is neither superseded nor contested")

    def _check_kind(self, row: Row, right: Right) -> None:
        """The writer table, the member's accreditation, and the class in force; asked once for each kind of a
        submission."""
        found = right.kinds.get(row.kind)
        if found is None:
            found = self._find_right(row.kind, right)
            right.kinds[row.kind] = found
        if isinstance(found, Refused):
            raise found
        if found != row.class_:
            raise Refused(Reason.UNKNOWN_CLASS, f"{row.kind} has class {found} now, not {row.class_}", kind=row.kind)

    def _find_right(self, kind: str, right: Right) -> Refused | int:
        rules, member = self._state.rules, right.member
        try:
            class_ = rules.get_kind(kind).class_
            rules.check_may_write(member.kind, kind, right.basis)
            member.check_accredited(kind, right.basis, class_)
        except Refused as refused:
            return refused
        return class_

    # ---- what only some statements need

    def _note_special(self, row: Row, head: Head, right: Right) -> None:
        """What an entry does to its chain: closing, reopening by a correction that holds, moving away."""
        if row.kind == CLOSING:
            head.closed, head.is_turned = 1, True
        elif row.mark == Mark.TRANSFER:
            # Who may read depends on the epoch: the row always says the present one.
            head.is_turned = True
        elif row.mark == Mark.MOVE:
            head.home, head.is_turned = row.target[:16], True
        elif row.mark == Mark.SUPERSEDES and head.closed:
            found = self._find_entry(head, row.target)
            if found is not None and found[0] == CLOSING and self._is_held(right, found[1], found[2]):
                head.closed, head.is_turned = 0, True

    def _is_held(self, right: Right, member: bytes, basis: int) -> bool:
        """Whether a correction by this author holds on an entry of that member and basis. Spec: 2.9."""
        if right.member.id == member and right.basis == basis:
            return True
        return is_corrector(right.member, right.basis)

    def _find_target(self, head: Head, sid: bytes) -> int | None:
        for row, seq, _ in self._rows_of.get(head.number, ()):
            if row.sid == sid:
                return seq
        query = "SELECT seq FROM entry WHERE chain = ? AND sid = ?"
        found = self._connection.execute(query, (head.number, sid)).fetchone()
        return None if found is None else int(found[0])

    def _find_entry(self, head: Head, sid: bytes) -> tuple[str, bytes, int] | None:
        """(kind, member, basis) of an entry of this chain."""
        for row, _, right in self._rows_of.get(head.number, ()):
            if row.sid == sid:
                return row.kind, right.member.id, right.basis
        query = (
            "SELECT kind, member, basis FROM entry JOIN submission ON submission.id = entry.submission"
            " JOIN author_key ON author_key.id = submission.author_key WHERE chain = ? AND sid = ?"
        )
        found = self._connection.execute(query, (head.number, sid)).fetchone()
        return None if found is None else (self._kinds.names_of[found[0]][0], found[1], found[2])

    def read_declarations(self, number: int) -> list[Declaration]:
        """The aliases that the entries of a stored chain declare, from the highest seq down; raises Refused(ERASED)."""
        self._load_heads([number])
        return self._read_declarations(self.heads[number])

    def _read_declarations(self, head: Head) -> list[Declaration]:
        """The aliases that the chain's identity entries declare, from the highest seq down."""
        ref = self._get_ref(head)
        kind_id = self._kinds.id_of.get(IDENTITY, 0)
        names = self._kinds.names_of[kind_id][1]
        query = (
            "SELECT sid, basis, secret, content FROM entry WHERE chain = ? AND kind = ? AND content IS NOT NULL"
            " ORDER BY seq DESC"
        )
        stored = self._connection.execute(query, (head.number, kind_id)).fetchall()
        pending = [
            (row.sid, right.basis, row.secret, row.content)
            for row, _, right in reversed(self._rows_of.get(head.number, ()))
            if row.kind == IDENTITY and row.content is not None
        ]
        return [
            Declaration(
                open_content(ref, IDENTITY, names, sid, secret, content).fields["alias"],
                basis,
                self._is_superseded(head, sid),
            )
            for sid, basis, secret, content in [*pending, *stored]
        ]

    def _is_superseded(self, head: Head, sid: bytes) -> bool:
        found = self._find_entry(head, sid)
        if found is None:
            return False
        for row, _, right in self._rows_of.get(head.number, ()):
            if row.mark == Mark.SUPERSEDES and row.target == sid and self._is_held(right, found[1], found[2]):
                return True
        query = (
            "SELECT member, basis FROM entry JOIN submission ON submission.id = entry.submission"
            " JOIN author_key ON author_key.id = submission.author_key WHERE chain = ? AND mark = 1 AND target = ?"
        )
        for member, basis in self._connection.execute(query, (head.number, sid)):
            # The accreditation in force is asked, not that of the old seal: a stricter answer for an author who lost
            # it.
            if (member, basis) == found[1:] or is_corrector(self._state.members.get(member), basis):
                return True
        return False

    def _get_ref(self, head: Head) -> ChainRef:
        if head.stored is not None:
            return get_chain_by_number(self._connection, self._ring, head.number)
        key = unwrap(self._ring.kek, head.wrapped_key)
        subject = decode(decrypt_subject(key, head.chain16, head.subject))
        return ChainRef(head.number, head.chain16, head.type, key, subject)  # type: ignore[arg-type]


def is_corrector(member: Member, basis: int) -> bool:
    """Whether a member may withdraw what others wrote, on this basis. Spec: 2.9."""
    return any(kind == "passport.rectified/1" and accredited == basis for kind, accredited, _ in member.accreditations)


def _is_linked(linked: set[bytes], row: Row, refusals: list[Refusal]) -> bool:
    if row.sid not in linked:
        return False
    refused = Refused(Reason.STATEMENT_LINKED, "this statement stands in the chain already")
    refusals.append(_refusal(row.place, refused))
    return True


def _refusal(place: int, refused: Refused) -> Refusal:
    return Refusal(place, refused.reason, refused.message, dict(refused.facts))
