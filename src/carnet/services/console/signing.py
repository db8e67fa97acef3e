"""Writing with a member's own key, which this node never sees: the statements are made here, signed elsewhere (in a
browser, say), checked here and sealed.

    unsigned = make_unsigned(reader, member, key, wanted, now, random_bytes)    one submission of up to 10,000 entries
    … whoever has the key signs `unsigned.message`, 132 bytes …
    seal_signed(writer, unsigned, signature)                                    receipts, as `submitting.submit` gives

`write_unsigned` and `read_unsigned` keep it in between, in a form or beside a file job. It is as confidential as what
it says. It refuses to trust what comes back: every byte of it is checked against the signature.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, cast

from carnet.errors import Reason, Refused
from carnet.ledger.rules.members import Key, Member
from carnet.ledger.state import State
from carnet.node.jobs import OPENINGS
from carnet.node.reader import Reader
from carnet.node.writing import Writing
from carnet.passport.draft import Draft
from carnet.passport.kinds import read_schema
from carnet.passport.statement import compute_submission
from carnet.passport.submission import (
    SIGNATURE_BYTES,
    Stated,
    Submission,
    read_submission,
    state_draft,
    write_submission,
)
from carnet.services.appending import NewEntry, make_item
from carnet.services.signing import MAX_STATEMENTS
from carnet.services.submitting import Submitted, submit
from carnet.tlog.tree import compute_root, leaf_hash
from carnet.types import Basis, Custody, KeyRole, MemberId, Millis
from carnet.vault.asker import asking_as_node

_NO_SIGNATURE: Final = bytes(SIGNATURE_BYTES)


class Wanted(NamedTuple):
    """One entry to be made, in a passport (16 bytes)."""

    passport: bytes
    new: NewEntry


class Unsigned(NamedTuple):
    """A submission that lacks its signature. `message` is what the member's key signs (docs/spec 2.10)."""

    created_ms: Millis
    statements: tuple[Stated, ...]

    @property
    def message(self) -> bytes:
        """What is signed: network, key, time, how many statements, their Merkle root."""
        author = self.statements[0].parts
        root = compute_root([leaf_hash(one.data) for one in self.statements])
        return compute_submission(author.net, author.key_digest, self.created_ms, len(self.statements), root)


def list_own_keys(member: Member) -> list[Key]:
    """The keys in force that the member keeps itself, in the order in which they were listed."""
    return [key for key in member.keys if key.custody == Custody.OWN and key.role == KeyRole.AUTHOR and not key.revoked]


def name_own_keys(member: Member) -> str:
    """Their digests in hexadecimal, with spaces between: what a page tells its script to look for."""
    return " ".join(key.digest.hex() for key in list_own_keys(member))


def get_own_key(member: Member, digest: str = "") -> Key:
    """The own key with this digest (hexadecimal); without one the only one that there is.

    Raises Refused(UNKNOWN_KEY).
    """
    keys = [key for key in list_own_keys(member) if not digest or key.digest.hex() == digest]
    if len(keys) == 1:
        return keys[0]
    saying = "this key is not listed, or is no longer in force" if digest else "say with which of your keys you sign"
    raise Refused(Reason.UNKNOWN_KEY, saying, member=member.name)


def make_unsigned(
    reader: Reader,
    member: Member,
    key: Key,
    wanted: Sequence[Wanted],
    now: Millis,
    random_bytes: Callable[[int], bytes],
) -> Unsigned:
    """The statements of these entries in the member's name, basis 1.

    Raises Refused for the first that cannot be made, with its place from 0 as `place`: UNKNOWN_KIND, WRONG_CHAIN for an
    opening, UNKNOWN_PASSPORT, WRONG_MARK, MAY_NOT_WRITE, NOT_ACCREDITED, and what its schema refuses;
    VALUE_OUT_OF_RANGE for none or too many.
    """
    if not 1 <= len(wanted) <= MAX_STATEMENTS:
        raise Refused(
            Reason.VALUE_OUT_OF_RANGE, f"a submission has 1 to {MAX_STATEMENTS:,} entries, not {len(wanted):,}"
        )
    stated = []
    for place, one in enumerate(wanted):
        try:
            draft = _make_draft(reader, member, one)
        except Refused as refused:
            refused.facts = {**refused.facts, "place": place}
            raise
        stated.append(
            state_draft(
                draft,
                net=reader.state.net,
                member=member.id,
                key_digest=key.digest,
                basis=Basis.OWN_KEY,
                class_=reader.state.rules.get_kind(draft.kind).class_,
                secret=random_bytes(32),
            )
        )
    return Unsigned(now, tuple(stated))


def write_unsigned(unsigned: Unsigned) -> bytes:
    """As bytes: a submission's document whose signature is all zeros, which no key ever gives."""
    return write_submission(Submission(unsigned.created_ms, _NO_SIGNATURE, unsigned.statements))


def read_unsigned(data: bytes) -> Unsigned:
    """Read it again. Raises Refused as `read_submission`, and UNREADABLE_FILE for one that has a signature."""
    submission = read_submission(data)
    if submission.sig != _NO_SIGNATURE:
        raise Refused(Reason.UNREADABLE_FILE, "this submission is signed already")
    return Unsigned(submission.created_ms, submission.statements)


def seal_signed(
    writer: Writing, unsigned: Unsigned, signature: bytes, own: MemberId, sources: Sequence[bytes] | None = None
) -> Submitted:
    """Check the signature and all that was signed, and seal it: for this member alone. Handed in again it gets the same
    receipts. Raises as `submit`."""
    signed = Submission(unsigned.created_ms, signature, unsigned.statements)
    return submit(writer, write_submission(signed), own, sources)


def _make_draft(reader: Reader, member: Member, one: Wanted) -> Draft:
    state, new = reader.state, one.new
    if new.kind in OPENINGS:
        raise Refused(Reason.WRONG_CHAIN, "a passport is opened at its home, not by a submission from outside")
    _check_may_write(state, member, new.kind)
    # It names the vehicle itself, and may not have written in its passport yet.
    with asking_as_node():
        subject = reader.get_subject(one.passport)
    item = make_item(new, subject)
    schema = read_schema(reader.kinds[new.kind])
    if item.mark not in schema.marks:
        raise Refused(Reason.WRONG_MARK, f"{new.kind} does not bear this mark", mark=int(item.mark))
    fields = schema.validate(cast("Mapping[str, Any]", item.fields))
    return Draft(one.passport, new.kind, None, int(item.mark), item.target, fields, state.genesis.origin)


def _check_may_write(state: State, member: Member, kind: str) -> None:
    line = state.rules.get_kind(kind)
    state.rules.check_may_write(member.kind, kind, Basis.OWN_KEY)
    member.check_accredited(kind, Basis.OWN_KEY, line.class_)
