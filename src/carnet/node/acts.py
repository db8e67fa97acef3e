"""Acts of whoever runs a node, as they are handed to its one writer: who takes part, with which keys, what is erased.

Each names all that it changes, so that it can be shown before it is done, and be recognised when it was. It refuses to
know who may ask for it, and holds no secret: a key that the node keeps is made where it is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from carnet.ledger.rules.members import Accreditation, Key
from carnet.node.erasing import Traces
from carnet.vault.erasing import SignedErasure

if TYPE_CHECKING:
    from carnet.node.writer import Writer


class EnrolMember(msgspec.Struct, array_like=True, frozen=True, tag="enrol"):
    """Add an organisation that this node hosts, under this id; without `key` the node makes one and keeps it."""

    member: bytes
    name: str
    kind: str
    key: Key | None = None


class AccreditMember(msgspec.Struct, array_like=True, frozen=True, tag="accredit"):
    """Replace what a member may write."""

    member: bytes
    accreditations: tuple[Accreditation, ...]


class AddKey(msgspec.Struct, array_like=True, frozen=True, tag="add_key"):
    """List one more key of a member; without `key` the node makes one and keeps it."""

    member: bytes
    key: Key | None = None


class RevokeKey(msgspec.Struct, array_like=True, frozen=True, tag="revoke_key"):
    """End a key (by its digest); what it signed since the log index `disputed_since` is disputed."""

    member: bytes
    key: bytes
    disputed_since: int | None = None


class RotateKey(msgspec.Struct, array_like=True, frozen=True, tag="rotate_key"):
    """Replace a key that the node keeps by a new one."""

    member: bytes
    key: bytes
    disputed_since: int | None = None


class RetireMember(msgspec.Struct, array_like=True, frozen=True, tag="retire"):
    """Let a member leave."""

    member: bytes


class Erase(msgspec.Struct, array_like=True, frozen=True, tag="erase"):
    """Erase entries of a chain, or with None all of it."""

    chain16: bytes
    seqs: tuple[int, ...] | None
    reason: str


Act = EnrolMember | AccreditMember | AddKey | RevokeKey | RotateKey | RetireMember | Erase


class Done(msgspec.Struct, array_like=True, frozen=True, tag="done"):
    """What came of an act: the digest of a key that is new, the signed record of an erasure and what was searched."""

    key: bytes | None = None
    erasure: SignedErasure | None = None
    traces: Traces | None = None


def perform(writer: Writer, act: Act) -> Done:
    """Carry out an act with the writer of this process; when it returns, that is on the disk. Raises what the method
    of the same name of `Writer` does; then nothing has changed."""
    match act:
        case EnrolMember(member=member, name=name, kind=kind, key=own):
            return Done(writer.enrol_member(name, kind, member_id=member, key=own).keys[0].digest)
        case AccreditMember(member=member, accreditations=accreditations):
            writer.accredit(member, accreditations)
        case AddKey(member=member, key=own):
            return Done(writer.add_key(member, own).digest)
        case RevokeKey(member=member, key=digest, disputed_since=since):
            writer.revoke_key(member, digest, since)
        case RotateKey(member=member, key=digest, disputed_since=since):
            return Done(writer.rotate_key(member, digest, since).digest)
        case RetireMember(member=member):
            writer.retire(member)
        case Erase(chain16=chain16, seqs=seqs, reason=reason):
            erasure, traces = writer.erase(chain16, seqs, reason)
            return Done(erasure=erasure, traces=traces)
    return Done()
