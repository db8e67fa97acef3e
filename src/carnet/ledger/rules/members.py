"""Members of the network: organisations with their keys and accreditations, as leaves of one tree.

Knows who may sign and since when no longer; refuses to know persons or vehicles. Spec: 3.3, 3.4.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from carnet.encoding import b64, encode, tag
from carnet.errors import Reason, Refused
from carnet.signing import ALG_ED25519, key_digest, verify
from carnet.tlog.tree import MerkleTree, leaf_hash
from carnet.types import Basis, Custody, KeyRole

NODE_KIND = "node"

_MEMBER = tag("member")
_ENROL = tag("enrol")

Accreditation = tuple[str, int, int]


def compute_enrolment(net: bytes, member: bytes, role: int, custody: int) -> bytes:
    """What a key signs about itself when it is enrolled. Spec: 3.3."""
    return _ENROL + net + member + bytes((role, custody))


@dataclass(frozen=True, slots=True)
class Key:
    """One public key of a member: raw key 32 bytes, enrolment signature 64 bytes, log indices of revocation and
    dispute."""

    key: bytes
    role: int
    custody: int
    sig: bytes
    revoked: int | None = None
    disputed_since: int | None = None

    @property
    def digest(self) -> bytes:
        """The key digest of clause 1.7."""
        return key_digest(self.key)

    def to_document(self) -> dict[str, object]:
        """The key entry of clause 3.3."""
        return {
            "alg": ALG_ED25519,
            "custody": int(self.custody),
            "disputed_since": self.disputed_since,
            "key": b64(self.key),
            "revoked": self.revoked,
            "role": int(self.role),
            "sig": b64(self.sig),
        }


@dataclass(frozen=True)
class Member:
    """An organisation: id and host are 16-byte member ids; `retired` is a log index."""

    id: bytes
    name: str
    kind: str
    host: bytes
    accreditations: tuple[Accreditation, ...] = ()
    keys: tuple[Key, ...] = ()
    retired: int | None = None

    def to_document(self) -> dict[str, object]:
        """The leaf object of clause 3.3."""
        return {
            # Plain values: the encoder refuses the enumerations that callers may use.
            "accreditations": [[kind, int(basis), int(class_)] for kind, basis, class_ in self.accreditations],
            "host": b64(self.host),
            "id": b64(self.id),
            "keys": [key.to_document() for key in self.keys],
            "kind": str(self.kind),
            "name": self.name,
            "retired": self.retired,
        }

    def find_key(self, digest: bytes) -> Key | None:
        """The listed key with this digest, revoked or not."""
        return next((key for key in self.keys if key.digest == digest), None)

    def get_signing_key(self, digest: bytes, roles: tuple[int, ...]) -> Key:
        """A key that may sign now in one of these roles; raises Refused(UNKNOWN_KEY, KEY_REVOKED, MEMBER_RETIRED)."""
        if self.retired is not None:
            raise Refused(Reason.MEMBER_RETIRED, f"{self.name} has left the network", member=self.name)
        key = self.find_key(digest)
        if key is None or key.role not in roles:
            raise Refused(Reason.UNKNOWN_KEY, f"{self.name} lists no such key in this role", member=self.name)
        if key.revoked is not None:
            raise Refused(
                Reason.KEY_REVOKED, f"this key of {self.name} was revoked", member=self.name, since=key.revoked
            )
        return key

    def check_accredited(self, kind: str, basis: int, class_: int) -> None:
        """Raise Refused(NOT_ACCREDITED) unless [kind, basis, class] is among the accreditations."""
        if (kind, basis, class_) not in self.accreditations:
            raise Refused(
                Reason.NOT_ACCREDITED,
                f"{self.name} is not accredited for {kind} on basis {basis}",
                member=self.name,
                kind=kind,
                basis=basis,
            )


def check_custody(basis: int, key: Key) -> None:
    """Raise Refused(WRONG_CUSTODY) unless a statement of this basis may be signed by such a key. Spec: 2.6."""
    wanted = {Basis.OWN_KEY: Custody.OWN, Basis.HOSTED: Custody.NODE}.get(Basis(basis))
    if wanted is not None and key.custody != wanted:
        raise Refused(
            Reason.WRONG_CUSTODY, f"basis {basis} asks for a key in custody {wanted.name.lower()}", basis=basis
        )


def roles_for(basis: int) -> tuple[int, ...]:
    """The key roles that may sign a statement of this basis. Spec: 2.6."""
    return (KeyRole.HOLDER_AUTHOR,) if basis == Basis.HOLDER else (KeyRole.AUTHOR,)


@dataclass(frozen=True)
class Members:
    """All members in the order of their enrolment; an index is never reused."""

    all: tuple[Member, ...]

    @cached_property
    def tree(self) -> MerkleTree:
        """The Merkle tree over the leaves."""
        return MerkleTree([leaf_hash(compute_member_leaf(member)) for member in self.all])

    @cached_property
    def _by_id(self) -> dict[bytes, int]:
        return {member.id: index for index, member in enumerate(self.all)}

    def find_index(self, member_id: bytes) -> int | None:
        """The leaf index of a member."""
        return self._by_id.get(member_id)

    def get(self, member_id: bytes) -> Member:
        """The member with this id; raises Refused(UNKNOWN_MEMBER)."""
        index = self._by_id.get(member_id)
        if index is None:
            raise Refused(Reason.UNKNOWN_MEMBER, f"no member {member_id.hex()}", member=member_id.hex())
        return self.all[index]

    def with_member(self, member: Member) -> Members:
        """With a changed or a new member."""
        index = self._by_id.get(member.id)
        if index is None:
            return Members((*self.all, member))
        return Members((*self.all[:index], member, *self.all[index + 1 :]))

    def is_key_listed(self, digest: bytes) -> bool:
        """Whether any member lists this key, revoked or not: a key is listed once, ever."""
        return any(key.digest == digest for member in self.all for key in member.keys)


def compute_member_leaf(member: Member) -> bytes:
    """The leaf bytes of a member. Spec: 3.3."""
    return _MEMBER + encode(member.to_document())


def frame_member(encoded: bytes) -> bytes:
    """The leaf bytes of a member from its `cj`, as a bundle carries it."""
    return _MEMBER + encoded


def check_enrolment(net: bytes, member: bytes, key: Key) -> None:
    """Raise Refused(BAD_SIGNATURE) unless the key signed its own enrolment."""
    if not verify(key.key, compute_enrolment(net, member, key.role, key.custody), key.sig):
        raise Refused(Reason.BAD_SIGNATURE, "the key did not sign its own enrolment: nobody enrols another's key")


def with_revoked_key(member: Member, digest: bytes, index: int, disputed_since: int | None) -> Member:
    """The member with this key revoked from log index `index` on; raises Refused(UNKNOWN_KEY, KEY_REVOKED)."""
    key = member.find_key(digest)
    if key is None:
        raise Refused(Reason.UNKNOWN_KEY, f"{member.name} lists no such key", member=member.name)
    if key.revoked is not None:
        raise Refused(Reason.KEY_REVOKED, "this key was revoked already", member=member.name, since=key.revoked)
    revoked = replace(key, revoked=index, disputed_since=disputed_since)
    return replace(member, keys=tuple(revoked if k is key else k for k in member.keys))
