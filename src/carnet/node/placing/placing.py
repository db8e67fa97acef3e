"""Placing prepared statements: the checks that need the state in force, the links, and the batches they go into.

One `Placing` is one transaction: it reads the store, keeps what is new in memory, and is thrown away if anything
fails. It refuses to know how statements were prepared, and it neither seals nor commits. Spec: 2.7 to 2.14, 3.5.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import starmap
from operator import itemgetter
from typing import Any, NoReturn, cast

from carnet.encoding import decode
from carnet.errors import Reason, Refused
from carnet.ledger.rules.members import check_custody, roles_for
from carnet.node.aliases import check_alias
from carnet.node.erased import check_id_not_erased
from carnet.node.jobs import ChainRef, Prepared, PreparedGroup, Refusal, Row
from carnet.node.lookup import open_content
from carnet.node.placing.known import Known
from carnet.node.placing.linking import hash_link, link_plain
from carnet.node.placing.records import MAX_BATCH, MAX_SOURCE_BYTES, Head, OpenBatch, Outcome, Receipt, Right, Tally
from carnet.passport.link import NO_PREV
from carnet.signing import verify
from carnet.types import Basis, Mark
from carnet.vault.codes import ELSEWHERE, IN_VAULT
from carnet.vault.places import encode_kinds, encode_places
from carnet.vault.sealing import decrypt_subject, unwrap
from carnet.vault.store import Blob

CLOSING = "passport.closed/1"
AFTER_CLOSING = frozenset({"passport.corrected/1", "passport.rectified/1", "passport.contested/1"})

_get_seal = itemgetter(4)

MAX_AHEAD_MS = 86_400_000
"""How far an author's clock may be ahead of the node's: a day, for one that is set to the time of another zone."""


class Placing(Known):
    """The statements of one transaction, linked and put into batches; the first batch gets the log index
    `state.size`."""

    def place_all(self, all_prepared: Sequence[Prepared], *, is_quiet: bool = False) -> list[Outcome]:
        """Link what can be linked; what cannot is refused by itself, and a submission without right as a whole. Quiet,
        no receipts are made."""
        # What each would ask of the store is asked once for all of them: most are of one entry.
        self._load_heads(group.chain for prepared in all_prepared for group in prepared.groups if group.chain)
        self._load_linked(all_prepared)
        return [self._place(prepared, is_quiet) for prepared in all_prepared]

    # ---- one submission

    def _place(self, prepared: Prepared, is_quiet: bool) -> Outcome:
        try:
            right = self._check_submission(prepared)
        except Refused as refused:
            return Outcome([], prepared.refusals, refused)
        number = self.next_submission
        told: list[tuple[Any, ...]] = []
        opened: list[bytes] = []
        refusals = list(prepared.refusals)
        self._load_blinds(group.blind for group in prepared.groups if not group.chain)
        self._load_sources(prepared.groups)
        entered = self._enter_groups(prepared, right, refusals)
        runs, kinds = self._link_rows(entered, right, prepared.signed, number, told, opened, refusals)
        if runs:
            self.next_submission += 1
            key = self._get_key_id(prepared)
            leaves = prepared.leaves or None
            seal = max(map(_get_seal, told))
            counts = {self._kinds.id_of[kind]: count for kind, count in kinds.items()}
            self.submissions.append(
                (
                    number, key, prepared.created_ms, prepared.statement_count, prepared.root, prepared.sig, leaves,
                    seal, encode_places(runs), encode_kinds(counts),
                )
            )  # fmt: skip
        refusals.sort(key=lambda refusal: refusal.place)
        receipts = [] if is_quiet else list(starmap(Receipt, told))
        return Outcome(receipts, refusals, None, Tally(len(told), len(opened), opened[0] if opened else None))

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
        signed: bytes,
        submission: int,
        told: list[tuple[Any, ...]],
        opened: list[bytes],
        refusals: list[Refusal],
    ) -> tuple[list[tuple[int, int, int]], Counter[str]]:
        """Where the links stand now (as `vault.places.Run`), and how many there are of each kind."""
        # Every line below runs once per chain, and those of a run once per row: measure before adding one.
        runs, kinds = list[tuple[int, int, int]](), list[str]()
        placed, plain = self._placed, dict[int, dict[str, int]]()
        for rows, head in entered:
            before, number = head.seq, head.number
            taken: list[Row] = []
            # Before they are taken: what a row refers to may stand in the same submission.
            placed.setdefault(number, []).append((taken, before + 1, right))
            at = 0
            while at < len(rows):
                row, count = rows[at], 1
                is_ended = head.closed or head.home is not None
                is_special = row.mark or row.kind == CLOSING or row.alias is not None or is_ended
                if is_special or right.kinds.get(row.kind) != row.class_:
                    try:
                        self._check_row(row, head, right)
                    except Refused as refused:
                        refusals.append(_refusal(row.place, refused))
                        at += 1
                        continue
                if is_special:
                    told.append(self._link_row(row, head, right, signed, submission))
                else:
                    count = self._link_run(rows, at, head, right, signed, submission, plain, told)
                taken += rows[at : at + count]
                at += count
            if count := head.seq - before:
                runs.append((number, before + 1, count))
                if before < 0:
                    opened.append(head.chain16)
            kinds += [row.kind for row in taken]
            held = head.sources
            if held is not None:
                own = b"".join([row.source for row in taken if row.source is not None])
                if own:
                    head.sources = held + own if len(held) < MAX_SOURCE_BYTES else None
        return runs, Counter(kinds)

    def _link_run(
        self,
        rows: Sequence[Row],
        first: int,
        head: Head,
        right: Right,
        signed: bytes,
        submission: int,
        plain: dict[int, dict[str, int]],
        told: list[tuple[Any, ...]],
    ) -> int:
        """Link the first of these, of which nothing is special, and those behind it of `plain` kinds, by their class;
        how many."""
        kind, class_ = rows[first].kind, rows[first].class_
        kinds = plain.setdefault(class_, {})
        kinds[kind] = self._kinds.id_of[kind]
        ordinal = self._find_batch(class_, head)
        leaves = self.batches[ordinal].leaves
        place = head.number, head.chain16, head.seq, head.epoch, head.id
        frame = right.basis, submission, self._state.size + ordinal, self._at
        id_, hashes, entries, bare_entries, parts = link_plain(
            rows, first, kinds, class_, place, frame, signed, len(leaves), MAX_BATCH - len(leaves)
        )
        head.seq, head.id, head.ordinal = head.seq + len(hashes), id_, ordinal
        leaves += hashes
        self.entries += entries
        self.bare_entries += bare_entries
        told += parts
        return len(hashes)

    def _link_row(self, row: Row, head: Head, right: Right, signed_all: bytes, submission: int) -> tuple[Any, ...]:
        """Link one of which something is special; the parts of its receipt."""
        kind, mark, class_ = row.kind, row.mark, row.class_
        seq = head.seq + 1
        if mark == Mark.TRANSFER:
            head.epoch += 1
        signed = signed_all[32 * row.sub_index : 32 * row.sub_index + 32]
        ordinal = self._find_batch(class_, head)
        leaves, seal = self.batches[ordinal].leaves, self._state.size + ordinal
        id_, leaf = hash_link(head.chain16, seq, head.epoch, head.id, row.sid, mark, row.target, signed)
        begins = head.number, seq, self._kinds.id_of[kind], right.basis, class_, mark
        ends = Blob(row.sid), submission, row.sub_index, seal, len(leaves)
        where, content = (ELSEWHERE, None) if row.content is None else (IN_VAULT, Blob(row.content))
        source = None if row.source is None else Blob(row.source)
        if mark:
            self.entries_at_target.append((*begins, Blob(row.target), *ends, where, source, Blob(row.secret), content))
        elif source is None:
            self.bare_entries.append((*begins, *ends, where, Blob(row.secret), content))
        else:
            self.entries.append((*begins, *ends, where, source, Blob(row.secret), content))
        leaves.append(leaf)
        head.seq, head.id, head.ordinal = seq, id_, ordinal
        if mark or kind == CLOSING:
            self._note_special(row, head, right)
        return row.place, head.chain16, seq, row.sid, seal, signed, self._at

    def _find_batch(self, class_: int, head: Head) -> int:
        """The batch that the next link goes into, with room for one more."""
        ordinal = self._latest.get(class_, -1)
        # Seals of one chain never go back (5.4.11): not into a batch before that of the chain's last link.
        if ordinal < 0 or ordinal < head.ordinal or len(self.batches[ordinal].leaves) >= MAX_BATCH:
            ordinal = self._open_batch(class_)
        return ordinal

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
