"""Submitting: what a member signed with its own key elsewhere, verified and sealed here.

Everything that was signed is checked before anything is sealed. Handed in again, it gets the same receipts. It refuses
to change one byte of what was signed.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, NamedTuple

from carnet.errors import Reason, Refused
from carnet.ledger.rules.members import Key, Member
from carnet.ledger.state import State
from carnet.node.incoming import prepare_incoming
from carnet.node.jobs import Prepared
from carnet.node.placing import Receipt
from carnet.node.writing import Writing
from carnet.passport.submission import Submission, open_fields, read_submission
from carnet.signing import verify
from carnet.types import Basis, MemberId

IN_TURN_BYTES: Final = range(64 * 1024, 2 * 1024 * 1024)
"""A submission of such a size, a hundred to three thousand statements, waits for those before it: 5 to 150 ms each."""

_turn = threading.Lock()


@dataclass(frozen=True, slots=True)
class Turned:
    """A statement that was turned away: which one (its place from 0, its id), and why."""

    place: int
    sid: bytes
    refused: Refused

    def to_document(self) -> dict[str, object]:
        """The object of `submit --json`."""
        return {
            "message": self.refused.message,
            "reason": self.refused.reason.value,
            "statement": self.sid.hex(),
        }


@dataclass(frozen=True, slots=True)
class Submitted:
    """What became of a submission: receipts in its order, `sealed_count` of them new; the statements turned away."""

    member: Member
    receipts: list[Receipt]
    sealed_count: int
    turned: list[Turned]


class _Ready(NamedTuple):
    """A submission that was asked about everything but whether its author may say it; its statements that are sealed
    already, by their places."""

    member: Member
    submission: Submission
    known: dict[int, Receipt]
    prepared: Prepared


def submit(
    writer: Writing, data: bytes, own: MemberId | None = None, sources: Sequence[bytes] | None = None
) -> Submitted:
    """Take a submission's file. A statement that cannot stand where it wants to is turned away by itself. With `own`,
    only this member's. `sources` are the keyed digests of the rows that the statements were read from: a row that is
    sealed already is turned away (ALREADY_SEALED).

    Raises Refused for the whole, and then nothing is sealed: UNREADABLE_FILE, WRONG_NETWORK, UNKNOWN_MEMBER,
    UNKNOWN_KEY, WRONG_CUSTODY, BAD_SIGNATURE, FIELDS_MISMATCH, NOT_PERMITTED for another member's.
    """
    with _in_turn(len(data)):
        ready = _make_ready(writer, data, own, sources)
    if isinstance(ready, Submitted):
        return ready
    member, submission, known, prepared = ready
    outcome = writer.commit([prepared])[0]
    refusals = {one.place: one.to_error() for one in outcome.refusals}
    if outcome.refused is not None:
        refusals = dict.fromkeys(range(len(submission.statements)), outcome.refused)
    receipts = sorted([*known.values(), *outcome.receipts], key=lambda receipt: receipt.place)
    turned = [
        Turned(place, submission.sids[place], refused)
        for place, refused in sorted(refusals.items())
        if place not in known
    ]
    return Submitted(member, receipts, len(outcome.receipts), turned)


def _make_ready(
    writer: Writing, data: bytes, own: MemberId | None, sources: Sequence[bytes] | None
) -> Submitted | _Ready:
    """All that is asked before the writer is: what it takes, or the answer where all of it is sealed already."""
    submission = read_submission(data)
    if own is not None and submission.author.member != own:
        raise Refused(Reason.NOT_PERMITTED, "this submission was signed by another member than the one you act for")
    member, key = check_author(writer.state, submission)
    if not verify(key.key, submission.message, submission.sig):
        raise Refused(Reason.BAD_SIGNATURE, "the signature does not verify: the file was changed after it was signed")
    opened = [open_fields(one) for one in submission.statements]
    context = writer.context()
    # One look for all of it: each by itself would begin to read anew.
    with writer.reading():
        chains = [one.parts.chain for one in submission.statements]
        known = writer.find_receipts(list(zip(chains, submission.sids, strict=True)))
        if len(known) == len(submission.statements):
            return Submitted(member, list(known.values()), 0, [])
        prepared = prepare_incoming(context, submission, opened, key.key, writer.get_chain_by_id)
        if sources is not None:
            prepared = _with_sources(prepared, sources)
    return _Ready(member, submission, known, prepared)


@contextmanager
def _in_turn(byte_count: int) -> Iterator[None]:
    """Whoever has some thousand statements has the interpreter for all of them: it does one thing at a time anyway, and
    the first is with the writer while the next is read. What is small is not held up, and what is huge holds up nobody:
    they share the interpreter."""
    if byte_count not in IN_TURN_BYTES:
        yield
        return
    with _turn:
        yield


def _with_sources(prepared: Prepared, sources: Sequence[bytes]) -> Prepared:
    groups = [
        group._replace(rows=[row._replace(source=sources[row.place]) for row in group.rows])
        for group in prepared.groups
    ]
    return prepared._replace(groups=groups)


def check_author(state: State, submission: Submission) -> tuple[Member, Key]:
    """The member and the key that signed, be it revoked since: what was sealed before keeps its receipts. Spec: 2.6."""
    author = submission.author
    if author.net != state.net:
        raise Refused(Reason.WRONG_NETWORK, "this submission was signed for another network")
    member = state.members.get(author.member)
    key = member.find_key(author.key_digest)
    if key is None:
        raise Refused(
            Reason.UNKNOWN_KEY,
            f"{member.name} lists no key {author.key_digest.hex()[:16]}: list it with `carnet member add-key`",
            member=member.name,
            key=author.key_digest.hex(),
        )
    if author.basis != Basis.OWN_KEY:
        raise Refused(
            Reason.WRONG_CUSTODY, "what comes from outside is signed by a member's own key, basis 1", basis=author.basis
        )
    return member, key
