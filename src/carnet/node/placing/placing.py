"""Placing prepared statements: the checks that need the state in force, the links, and the batches they go into.

One `Placing` is one transaction: it reads the store, keeps what is new in memory, and is thrown away if anything
fails. It refuses to know how statements were prepared, and it neither seals nor commits. Spec: 2.7 to 2.14, 3.5.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice, starmap
from typing import NoReturn

from carnet.errors import Reason, Refused
from carnet.ledger.rules.members import Key, check_custody, roles_for
from carnet.node.aliases import check_alias
from carnet.node.erased import check_id_not_erased
from carnet.node.jobs import ChainRef, Prepared, PreparedGroup, Refusal, Row
from carnet.node.lookup import open_content
from carnet.node.placing.known import Known
from carnet.node.placing.linking import Place, hash_link, link_plain
from carnet.node.placing.records import (
    MAX_BATCH,
    MAX_SOURCE_BYTES,
    Head,
    OpenBatch,
    OpenSubmission,
    Outcome,
    Receipt,
    Right,
)
from carnet.passport.link import NO_PREV, compute_next_epoch
from carnet.signing import verify
from carnet.types import Basis, Mark
from carnet.vault.codes import ELSEWHERE, IN_VAULT
from carnet.vault.places import encode_kinds, encode_places
from carnet.vault.sealing import decrypt_subject, unwrap
from carnet.vault.store import Blob

CLOSING = "passport.closed/1"
AFTER_CLOSING = frozenset({"passport.corrected/1", "passport.rectified/1", "passport.contested/1"})

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
        # One that comes twice is looked at in every chain the second time, as one from elsewhere. Its secrets are
        # of chance, so that its root is no other's.
        roots, outcomes = set[bytes](), list[Outcome]()
        for prepared in all_prepared:
            outcomes.append(self._place(prepared, is_quiet, is_again=prepared.root in roots))
            roots.add(prepared.root)
        return outcomes

    # ---- one submission

    def _place(self, prepared: Prepared, is_quiet: bool, *, is_again: bool) -> Outcome:
        try:
            right = self._check_submission(prepared)
        except Refused as refused:
            return Outcome([], prepared.refusals, refused)
        submission = OpenSubmission(
            self.next_submission, right, prepared.signed, is_quiet, refusals=list(prepared.refusals)
        )
        self._load_blinds(group.blind for group in prepared.groups if not group.chain)
        self._load_sources(prepared.groups)
        self._link_groups(prepared.groups, submission, is_foreign=is_again or not prepared.is_signed_here)
        if submission.spots:
            self.next_submission += 1
            key, leaves = self._get_key_id(prepared), prepared.leaves or None
            seal = self._state.size + submission.last_ordinal
            self.submissions.append(
                (
                    submission.number, key, prepared.created_ms, prepared.statement_count, prepared.root, prepared.sig,
                    leaves, seal, encode_places(submission.spots), encode_kinds(submission.counts),
                )
            )  # fmt: skip
        submission.refusals.sort(key=lambda refusal: refusal.place)
        return Outcome(list(starmap(Receipt, submission.receipts)), submission.refusals, None, submission.tally)

    def _link_groups(self, groups: Sequence[PreparedGroup], submission: OpenSubmission, *, is_foreign: bool) -> None:
        """Link what may be linked, one chain after the other: what is entered next sees what was linked before."""
        right, refusals = submission.right, submission.refusals
        at, is_checked_twice = 0, True
        while at < len(groups):
            begun = 0
            if not is_checked_twice and not self._tombstones:
                count, begun = self._link_alike(groups, at, submission)
                at += count
                if at == len(groups):
                    return
            group = groups[at]
            at += 1
            if begun:
                self._link_rows(group.rows, begun, self.heads[group.chain], submission)
                continue
            try:
                rows, head = self._enter_group(group, right, is_checked_twice, refusals)
            except Refused as refused:
                refusals += [_refusal(row.place, refused) for row in group.rows]
                continue
            if group.chain:
                is_checked_twice = is_foreign
            self._link_rows(rows, 0, head, submission)

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
        right, key = self._find_right_to_sign(prepared.member, prepared.key_digest, prepared.basis)
        if len(prepared.signed) != 32 * prepared.statement_count:
            raise Refused(Reason.BAD_SIGNATURE, "the submission is not signed yet")
        # Our own workers' signatures were made from the seed a moment ago; any other is verified before it is stored.
        if not prepared.is_signed_here and not verify(key.key, prepared.submission, prepared.sig):
            raise Refused(Reason.BAD_SIGNATURE, "the submission's signature does not verify")
        return right

    def _find_right_to_sign(self, member: bytes, digest: bytes, basis: int) -> tuple[Right, Key]:
        """By what right this key of a member signs on this basis now, and the key."""
        asked = member, digest, basis
        found = self._rights.get(asked)
        if found is None:
            leaf = self._state.members.get(member)
            key = leaf.get_signing_key(digest, roles_for(basis))
            check_custody(basis, key)
            found = self._rights[asked] = Right(leaf, basis, {}), key
        return found

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
        subject = decrypt_subject(key, group.chain16, group.subject)
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
            place=(self.next_chain, group.chain16, -1, 0, NO_PREV),
            type=group.type,
            blind=blind,
            wrapped_key=group.wrapped_key,
            subject=group.subject,
            sources=b"",
        )
        self.heads[self.next_chain] = head
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

    def _link_alike(self, groups: Sequence[PreparedGroup], first: int, submission: OpenSubmission) -> tuple[int, int]:
        """Link those from `first` on about which nothing is special, with one call: how many groups, and of the next
        one how many rows. Each is of another chain, to which this transaction has added nothing yet, and which holds
        none of its source rows."""
        found, heads, known = list[Head](), self.heads, self._known
        # Every line of the two loops below runs for each entry of a file in random order: measure before adding one.
        for group in islice(groups, first, first + submission.reach):
            head = heads.get(group.chain)
            if head is None or head.ordinal >= 0 or head.closed or head.home is not None or group.chain in known:
                break
            if head.place[1] != group.chain16 or not group.rows:
                break
            # So that it is not found a second time.
            head.ordinal = 0
            found.append(head)
        if not found or not _is_plain(groups[first].rows[0], found[0], submission.right):
            for head in found:
                head.ordinal = -1
            return 0, 0
        runs, before = [group.rows for group in groups[first : first + len(found)]], [head.place for head in found]
        ordinal = self._find_batch(runs[0][0].class_, -1)
        places, spots = self._link_plain(runs, before, runs[0][0], ordinal, submission)
        submission.spots += spots
        count, begun = len(places), places[-1][2] - before[len(places) - 1][2]
        if begun < len(runs[count - 1]):
            count -= 1
        else:
            begun = 0
        for head, rows, place in zip(found[:count], runs, places, strict=False):
            head.place, head.ordinal = place, ordinal
            if head.sources is not None:
                _add_sources(head, rows)
        if begun:
            # The rest of it is linked by itself, and then all of it is told as one run.
            found[count].place, found[count].ordinal = places[count], ordinal
            submission.spots.pop()
        for head in found[count + bool(begun) :]:
            head.ordinal = -1
        self._placed_together.append((runs[:count], before[:count], submission.right))
        # Where something is special about one of a few, most of what is gathered here is gathered in vain.
        submission.reach = max(submission.reach, 2 * count) if count == len(found) else max(count, 1)
        return count, begun

    def _link_rows(self, rows: Sequence[Row], begun: int, head: Head, submission: OpenSubmission) -> None:
        """Link those rows of one chain behind the first ones, of which so many are linked already."""
        # Every line below runs once per chain of a file that is grouped: measure before adding one.
        right, refusals = submission.right, submission.refusals
        before, number = head.place[2] - begun, head.place[0]
        taken, at = list(rows[:begun]), begun
        # Before they are taken: what a row refers to may stand in the same submission.
        self._placed.setdefault(number, []).append((taken, before + 1, right))
        while at < len(rows):
            row, count = rows[at], 1
            if not _is_plain(row, head, right):
                try:
                    self._check_row(row, head, right)
                except Refused as refused:
                    refusals.append(_refusal(row.place, refused))
                    at += 1
                    continue
            if _is_special(row, head):
                self._link_row(row, head, submission)
            else:
                ordinal = self._find_batch(row.class_, head.ordinal)
                run = rows[at:] if at else rows
                (place,), ((_, _, count),) = self._link_plain([run], [head.place], row, ordinal, submission)
                head.place, head.ordinal = place, ordinal
            taken += rows[at : at + count]
            at += count
        if count := head.place[2] - before:
            submission.spots.append((number, before + 1, count))
            if before < 0:
                submission.opened.append(head.place[1])
            if head.sources is not None:
                _add_sources(head, taken)

    def _link_plain(
        self, runs: Sequence[Sequence[Row]], places: Sequence[Place], row: Row, ordinal: int, submission: OpenSubmission
    ) -> tuple[list[Place], list[tuple[int, int, int]]]:
        """Link the rows of which nothing is special, the first of which is `row`, into a batch of its class: the places
        of the chains whose runs were begun, as they are then, and where the links stand."""
        kinds = submission.plain.setdefault(row.class_, {})
        kinds[row.kind] = self._kinds.id_of[row.kind]
        leaves = self.batches[ordinal].leaves
        frame = submission.right.basis, submission.number, self._state.size + ordinal, self._at
        ends, spots, counts, hashes, entries, bare_entries, receipts = link_plain(
            runs, places, kinds, row.class_, frame, submission.signed, len(leaves), MAX_BATCH - len(leaves),
            submission.is_quiet,
        )  # fmt: skip
        leaves += hashes
        self.entries += entries
        self.bare_entries += bare_entries
        submission.note(ordinal, counts, receipts or ())
        return ends, spots

    def _link_row(self, row: Row, head: Head, submission: OpenSubmission) -> None:
        """Link one of which something is special."""
        kind, mark, class_, right = row.kind, row.mark, row.class_, submission.right
        number, chain16, seq, epoch, prev = head.place
        seq, epoch = seq + 1, compute_next_epoch(epoch, mark)
        signed = submission.signed[32 * row.sub_index : 32 * row.sub_index + 32]
        ordinal = self._find_batch(class_, head.ordinal)
        leaves, seal = self.batches[ordinal].leaves, self._state.size + ordinal
        id_, leaf = hash_link(chain16, seq, epoch, prev, row.sid, mark, row.target, signed)
        begins = number, seq, self._kinds.id_of[kind], right.basis, class_, mark
        ends = Blob(row.sid), submission.number, row.sub_index, seal, len(leaves)
        where, content = (ELSEWHERE, None) if row.content is None else (IN_VAULT, Blob(row.content))
        source = None if row.source is None else Blob(row.source)
        if mark:
            self.entries_at_target.append((*begins, Blob(row.target), *ends, where, source, Blob(row.secret), content))
        elif source is None:
            self.bare_entries.append((*begins, *ends, where, Blob(row.secret), content))
        else:
            self.entries.append((*begins, *ends, where, source, Blob(row.secret), content))
        leaves.append(leaf)
        head.place, head.ordinal = (number, chain16, seq, epoch, id_), ordinal
        if mark or kind == CLOSING:
            self._note_special(row, head, right)
        told = () if submission.is_quiet else ((row.place, chain16, seq, row.sid, seal, signed, self._at),)
        submission.note(ordinal, {self._kinds.id_of[kind]: 1}, told)

    def _find_batch(self, class_: int, after: int) -> int:
        """The batch that the next link of a chain goes into, with room for one more; the chain's last link of this
        transaction is in the batch `after`."""
        ordinal = self._latest.get(class_, -1)
        # Seals of one chain never go back (5.4.11): not into a batch before that of the chain's last link.
        if ordinal < 0 or ordinal < after or len(self.batches[ordinal].leaves) >= MAX_BATCH:
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
        """The writer table, the member's accreditation, and the class in force; asked once for each kind and right."""
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


def _is_special(row: Row, head: Head) -> bool:
    """Whether this statement is linked by itself, after a second look."""
    return bool(row.mark or row.kind == CLOSING or row.alias is not None or head.closed or head.home is not None)


def _is_plain(row: Row, head: Head, right: Right) -> bool:
    """Whether nothing is special about this statement, and its kind and class were found to be right before."""
    return right.kinds.get(row.kind) == row.class_ and not _is_special(row, head)


def _add_sources(head: Head, rows: Iterable[Row]) -> None:
    """A chain of which all source rows are known holds these too."""
    held, own = head.sources, b"".join([row.source for row in rows if row.source is not None])
    if held is not None and own:
        head.sources = held + own if len(held) < MAX_SOURCE_BYTES else None


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
