"""Placing prepared statements: the checks that need the state in force, the links, and the batches they go into.

One `Placing` is one transaction: it reads the store, keeps what is new in memory, and is thrown away if anything
fails. It refuses to know how statements were prepared, and it neither seals nor commits. Spec: 2.7 to 2.14, 3.5.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Any, NoReturn, cast

from carnet.encoding import decode, sha256, tag
from carnet.errors import Reason, Refused
from carnet.ledger.rules.members import check_custody, roles_for
from carnet.node.aliases import check_alias
from carnet.node.erased import check_id_not_erased
from carnet.node.jobs import ChainRef, Prepared, PreparedGroup, Refusal, Row
from carnet.node.lookup import open_content
from carnet.node.placing.known import Known
from carnet.node.placing.records import MAX_BATCH, MAX_SOURCE_BYTES, Head, OpenBatch, Outcome, Receipt, Right
from carnet.passport.link import NO_PREV
from carnet.passport.statement import NO_TARGET
from carnet.signing import verify
from carnet.types import Basis, Mark
from carnet.vault.codes import ELSEWHERE, IN_VAULT
from carnet.vault.places import encode_kinds, encode_places
from carnet.vault.sealing import decrypt_subject, unwrap
from carnet.vault.store import Blob

CLOSING = "passport.closed/1"
AFTER_CLOSING = frozenset({"passport.corrected/1", "passport.rectified/1", "passport.contested/1"})

_LINK = tag("link")
_SEQ_EPOCH = struct.Struct(">QI").pack
_MARK_BYTES = tuple(bytes((mark,)) for mark in range(5))
_ZERO_MARK = bytes(1) + NO_TARGET
_get_seal = attrgetter("seal")

MAX_AHEAD_MS = 86_400_000
"""How far an author's clock may be ahead of the node's: a day, for one that is set to the time of another zone."""


class Placing(Known):
    """The statements of one transaction, linked and put into batches; the first batch gets the log index
    `state.size`."""

    def place_all(self, all_prepared: Sequence[Prepared]) -> list[Outcome]:
        """Link what can be linked; what cannot is refused by itself, and a submission without right as a whole."""
        # What each would ask of the store is asked once for all of them: most are of one entry.
        self._load_heads(group.chain for prepared in all_prepared for group in prepared.groups if group.chain)
        self._load_linked(all_prepared)
        return [self._place(prepared) for prepared in all_prepared]

    # ---- one submission

    def _place(self, prepared: Prepared) -> Outcome:
        try:
            right = self._check_submission(prepared)
        except Refused as refused:
            return Outcome([], prepared.refusals, refused)
        number = self.next_submission
        receipts: list[Receipt] = []
        refusals = list(prepared.refusals)
        self._load_blinds(group.blind for group in prepared.groups if not group.chain)
        self._load_sources(prepared.groups)
        entered = self._enter_groups(prepared, right, refusals)
        runs, kinds = self._link_rows(entered, right, prepared.signed, number, receipts, refusals)
        if receipts:
            self.next_submission += 1
            key = self._get_key_id(prepared)
            leaves = prepared.leaves or None
            seal = max(map(_get_seal, receipts))
            counts = {self._kinds.id_of[kind]: count for kind, count in kinds.items()}
            self.submissions.append(
                (
                    number, key, prepared.created_ms, prepared.statement_count, prepared.root, prepared.sig, leaves,
                    seal, encode_places(runs), encode_kinds(counts),
                )
            )  # fmt: skip
        refusals.sort(key=lambda refusal: refusal.place)
        return Outcome(receipts, refusals)

    def _enter_groups(
        self, prepared: Prepared, right: Right, refusals: list[Refusal]
    ) -> Iterator[tuple[Sequence[Row], Head]]:
        """The chains that may be linked to, one after the other: what is entered next sees what was linked before."""
        is_first, is_foreign = True, not prepared.is_signed_here
        for group in prepared.groups:
            try:
                entered = self._enter_group(group, right, is_first or is_foreign, refusals)
            except Refused as refused:
                refusals += [_refusal(row.place, refused) for row in group.rows]
                continue
            if group.chain:
                is_first = False
            yield entered

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
        if not prepared.is_signed_here and prepared.created_ms > self._at + MAX_AHEAD_MS:
            # It is sealed and shown for ever: nobody may say that he signed in the year 287,396.
            raise Refused(
                Reason.VALUE_OUT_OF_RANGE,
                "the submission says that it was signed more than a day from now: set the clock, then sign it again",
                created_ms=prepared.created_ms,
                now=self._at,
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
            raise _make_unknown(group.chain16)
        if head.home is not None:
            self._refuse_to_continue(head, right, group.rows[0].mark)
        rows: Sequence[Row] = group.rows
        if is_checked_twice:
            # A submission sent again would link its statements twice (2.5); secrets are random, so its first one tells.
            linked = self._linked.get(head.number, set()) | {row.sid for row, _, _ in self._get_placed(head)}
            rows = [row for row in rows if not _is_linked(linked, row, refusals)]
        if self._tombstones:
            rows = self._without_erased(head, rows, refusals)
        known = self._find_known(head)
        if known:
            rows = self._without_known(known, rows, refusals)
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
                    Reason.SUBJECT_TAKEN, f"this subject has a passport already: {taken.hex()}", passport=taken.hex()
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
        self.next_chain += 1
        return head

    def _without_known(self, known: set[bytes], rows: Sequence[Row], refusals: list[Refusal]) -> list[Row]:
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
        entered: Iterable[tuple[Sequence[Row], Head]],
        right: Right,
        signed_all: bytes,
        submission: int,
        receipts: list[Receipt],
        refusals: list[Refusal],
    ) -> tuple[list[tuple[int, int, int]], Counter[str]]:
        """Where the links stand now (as `vault.places.Run`), and how many there are of each kind."""
        # Every line below runs once per chain or entry: measure before adding one.
        runs, kinds = list[tuple[int, int, int]](), list[str]()
        id_of, basis, first_seal, at = self._kinds.id_of, right.basis, self._state.size, self._at
        allowed, batches, latest = right.kinds, self.batches, self._latest
        entries, bare_entries, placed = self.entries, self.bare_entries, self._placed
        secret: Any
        content: Any
        for rows, head in entered:
            number, chain16, head_id, epoch, before = head.number, head.chain16, head.id, head.epoch, head.seq
            link_prefix = _LINK + chain16
            own: list[bytes] = []
            taken: list[Row] = []
            # Before they are taken: what a row refers to may stand in the same submission.
            placed.setdefault(number, []).append((taken, before + 1, right))
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
                    epoch = head.epoch = epoch + 1
                signed = signed_all[32 * sub_index : 32 * sub_index + 32]
                marks = _MARK_BYTES[mark] + row.target if mark else _ZERO_MARK
                link = b"".join((link_prefix, _SEQ_EPOCH(seq, epoch), head_id, sid, marks, signed))
                ordinal = latest.get(class_, -1)
                # Seals of one chain never go back (5.4.11): not into a batch before that of the chain's last link.
                if ordinal < 0 or ordinal < head.ordinal or len(batches[ordinal].leaves) >= MAX_BATCH:
                    ordinal = self._open_batch(class_)
                leaves, seal = batches[ordinal].leaves, first_seal + ordinal
                source, secret, content = row.source, row.secret, row.content
                where = ELSEWHERE if content is None else IN_VAULT
                # What came from a worker is what the store takes already (`node.pool`).
                if type(secret) is not Blob:
                    secret, content = Blob(secret), None if content is None else Blob(content)
                if mark:
                    self.entries_at_target.append(
                        (
                            number, seq, id_of[kind], basis, class_, mark, Blob(row.target), Blob(sid), submission,
                            sub_index, seal, len(leaves), where, None if source is None else Blob(source),
                            secret, content,
                        )
                    )  # fmt: skip
                elif source is None:
                    bare_entries.append(
                        (
                            number, seq, id_of[kind], basis, class_, 0, Blob(sid), submission, sub_index, seal,
                            len(leaves), where, secret, content,
                        )
                    )  # fmt: skip
                else:
                    entries.append(
                        (
                            number, seq, id_of[kind], basis, class_, 0, Blob(sid), submission, sub_index, seal,
                            len(leaves), where, Blob(source), secret, content,
                        )
                    )  # fmt: skip
                if source is not None:
                    own.append(source)
                leaves.append(sha256(b"\x00" + link))
                head_id = sha256(link)
                head.seq, head.id, head.ordinal = seq, head_id, ordinal
                if is_special:
                    self._note_special(row, head, right)
                kinds.append(kind)
                taken.append(row)
                receipts.append(Receipt(row.place, chain16, seq, sid, seal, signed, at))
            if count := head.seq - before:
                runs.append((number, before + 1, count))
            held = head.sources
            if held is not None and own:
                head.sources = held + b"".join(own) if len(held) < MAX_SOURCE_BYTES else None
        return runs, Counter(kinds)

    def _open_batch(self, class_: int) -> int:
        self.batches.append(OpenBatch(class_))
        self._latest[class_] = len(self.batches) - 1
        return self._latest[class_]

    def _check_row(self, row: Row, head: Head, right: Right) -> None:
        """Everything that needs the state, in the order of docs/reasons.md."""
        self._check_kind(row, right)
        if row.alias is not None:
            check_alias(row.alias[0], row.alias[1], self._read_declarations(head))
        if (head.closed and row.kind not in AFTER_CLOSING) or head.home is not None:
            self._refuse_to_continue(head, right, row.mark)
        if row.mark in (Mark.SUPERSEDES, Mark.CONTESTS):
            seq = self._find_target(head, row.target)
            if seq is None:
                raise Refused(
                    Reason.UNKNOWN_TARGET, "no earlier entry of this passport has this id", target=row.target.hex()
                )
            if seq == 0:
                raise Refused(Reason.TARGET_IS_OPENING, "the opening of a passport is neither superseded nor contested")

    def _refuse_to_continue(self, head: Head, right: Right, mark: int) -> NoReturn:
        """Of a passport that takes no more entries. Who may not know that there is one is answered as if there were
        none: nothing is sealed, so the question would leave no trace. Source: rules, §4."""
        may_know = (
            right.basis == Basis.HOLDER
            or any(kind == "passport.opened/1" for kind, _, _ in right.member.accreditations)
            or self._has_written(head, right.member)
        )
        if not may_know and mark in (Mark.SUPERSEDES, Mark.CONTESTS):
            raise Refused(Reason.UNKNOWN_TARGET, "no earlier entry of this passport has this id")
        if not may_know:
            raise _make_unknown(head.chain16)
        if head.home is not None:
            raise Refused(Reason.PASSPORT_CLOSED, "this passport has moved to another home", home=head.home.hex())
        raise Refused(Reason.PASSPORT_CLOSED, "this passport is closed", passport=head.chain16.hex())

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


def _is_linked(linked: set[bytes], row: Row, refusals: list[Refusal]) -> bool:
    if row.sid not in linked:
        return False
    refused = Refused(Reason.STATEMENT_LINKED, "this statement stands in the chain already")
    refusals.append(_refusal(row.place, refused))
    return True


def _refusal(place: int, refused: Refused) -> Refusal:
    return Refusal(place, refused.reason, refused.message, dict(refused.facts))


def _make_unknown(chain16: bytes) -> Refused:
    return Refused(Reason.UNKNOWN_PASSPORT, "there is no such passport here", passport=chain16.hex())
