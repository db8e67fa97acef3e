"""Members: who is to be enrolled, accredited, retired, which key is to be listed, as acts that name all of it; and
members as documents.

It carries nothing out (`services.governing` does), and refuses to hold a secret that a member keeps itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from carnet.encoding import decode, unb64
from carnet.errors import Reason, Refused, Unverified
from carnet.ledger.rules.members import NODE_KIND, Key, Member
from carnet.ledger.state import State
from carnet.node.acts import AccreditMember, AddKey, EnrolMember, RetireMember
from carnet.node.found import check_member, check_name_is_free
from carnet.services.founding import find_member
from carnet.services.signing import ENROLMENT
from carnet.types import Basis, Custody, KeyRole


class ListedKey(NamedTuple):
    """A key as it is listed: whose, for what, who holds the secret, and the log index of its revocation if any."""

    member: Member
    key: Key
    role: str
    custody: str


ROLE_NAMES = {KeyRole.AUTHOR: "author", KeyRole.HOLDER_AUTHOR: "holder's author", KeyRole.NODE: "node"}
CUSTODY_NAMES = {Custody.OWN: "own", Custody.NODE: "node"}


def plan_enrolment(
    state: State, name: str, kind: str, *, own_key: str | None = None, member_id: str | None = None
) -> EnrolMember:
    """To enrol an organisation that this node hosts.

    Without `own_key` the node makes a key and signs with it (basis 2). `own_key` is `PUBLIC:SIGNATURE` in Base64: 32
    bytes, and the key's signature over its enrolment under `member_id` (clause 3.3, role 1, custody 1); then only the
    member can sign (basis 1). Raises Refused(MEMBER_EXISTS, NOT_IN_LIST, VALUE_OUT_OF_RANGE).
    """
    check_name_is_free(state, name)
    check_member(name, kind)
    if own_key is None:
        return EnrolMember(os.urandom(16), name, kind)
    if member_id is None:
        raise Refused(Reason.MISSING_FIELD, "an own key signs its enrolment under a member id: give it with --id")
    return EnrolMember(_parse_id(member_id), name, kind, parse_own_key(own_key))


def plan_enrolment_by_file(state: State, name: str, kind: str, enrolment: bytes) -> EnrolMember:
    """To enrol an organisation that keeps its own key, from the file by which it proves that it has it. Raises as
    `plan_enrolment` and `read_enrolment` do."""
    member_id, key = read_enrolment(enrolment, state.genesis.origin)
    check_name_is_free(state, name)
    check_member(name, kind)
    return EnrolMember(member_id, name, kind, key)


def parse_own_key(text: str) -> Key:
    """A key with its enrolment signature, as `PUBLIC:SIGNATURE` in Base64; Refused(WRONG_TYPE) otherwise."""
    public, _, signature = text.partition(":")
    try:
        return Key(unb64(public, 32), KeyRole.AUTHOR, Custody.OWN, unb64(signature, 64))
    except Unverified:
        raise Refused(
            Reason.WRONG_TYPE, "an own key is written PUBLIC:SIGNATURE, both in Base64 (32 and 64 bytes)"
        ) from None


def read_enrolment(data: bytes, origin: str) -> tuple[bytes, Key]:
    """The member id and the key of the file that `carnet keys enrol` wrote for this network.

    Raises Refused UNREADABLE_FILE for what is none, WRONG_NETWORK. The signature in it is the ledger's to verify.
    """
    try:
        document = decode(data.removesuffix(b"\n"))
        if not isinstance(document, dict) or document.get("carnet") != ENROLMENT:
            raise Unverified("malformed", f'it has no "carnet": "{ENROLMENT}"')
        if set(document) != {"carnet", "custody", "key", "member", "network", "role", "sig"}:
            raise Unverified("malformed", "it has other members than an enrolment")
        if (document["role"], document["custody"]) != (KeyRole.AUTHOR, Custody.OWN):
            raise Unverified("malformed", "it is not for an author's own key")
        member = unb64(document["member"], 16)
        key = Key(unb64(document["key"], 32), KeyRole.AUTHOR, Custody.OWN, unb64(document["sig"], 64))
    except (Unverified, TypeError) as error:
        raise Refused(
            Reason.UNREADABLE_FILE, f"this is no enrolment as `carnet keys enrol` writes it: {error}"
        ) from None
    if document["network"] != origin:
        raise Refused(
            Reason.WRONG_NETWORK,
            f"this key was enrolled for {document['network']}, and this is {origin}",
            network=origin,
        )
    return member, key


def plan_key(state: State, which: str, enrolment: bytes | None) -> AddKey:
    """To list one more key of a member: its own, from an enrolment, or without one a key that this node makes and
    keeps.

    Raises Refused UNKNOWN_MEMBER, MEMBER_RETIRED, WRONG_CUSTODY for a member of another node, FIELDS_CONFLICT for an
    enrolment of another member, and as `read_enrolment` does.
    """
    member = find_member(state.members.all, which)
    key = None
    if enrolment is not None:
        member_id, key = read_enrolment(enrolment, state.genesis.origin)
        if member_id != member.id:
            raise Refused(
                Reason.FIELDS_CONFLICT,
                f"this key was enrolled for member {member_id.hex()}, and {member.name} is {member.id.hex()}: enrol it"
                f" with --member {member.id.hex()}",
                member=member.id.hex(),
            )
    elif member.host != state.genesis.founders[0].member or member.kind == NODE_KIND:
        raise Refused(Reason.WRONG_CUSTODY, f"this node keeps no keys for {member.name}", member=member.name)
    elif member.retired is not None:
        raise Refused(Reason.MEMBER_RETIRED, f"{member.name} has left the network", member=member.name)
    return AddKey(member.id, key)


def plan_accreditation(
    state: State, which: str, kind: str, basis: int, *, is_withdrawn: bool = False
) -> AccreditMember:
    """To let a member say a kind of entry on a basis, or no longer. Raises Refused(UNKNOWN_MEMBER, UNKNOWN_KIND)."""
    member = find_member(state.members.all, which)
    wanted = (kind, int(Basis(basis)), state.rules.get_kind(kind).class_)
    kept = {one for one in member.accreditations if one != wanted}
    return AccreditMember(member.id, tuple(sorted(kept if is_withdrawn else kept | {wanted})))


def find_listed_key(members: tuple[Member, ...], digest: str) -> tuple[Member, Key]:
    """The one key of these members with this digest or beginning of one (at least 6 digits), and whose it is. Raises
    Refused(UNKNOWN_KEY)."""
    wanted = digest.strip().lower()
    found = [(member, key) for member in members for key in member.keys if key.digest.hex().startswith(wanted)]
    if len(wanted) < 6:
        raise Refused(Reason.UNKNOWN_KEY, "name a key by at least the first 6 digits of its digest", key=digest[:64])
    if len(found) != 1:
        raise Refused(
            Reason.UNKNOWN_KEY,
            f"{len(found)} listed keys begin with {digest[:64]!a}",
            key=digest[:64],
            found=len(found),
        )
    return found[0]


def plan_retirement(state: State, which: str) -> RetireMember:
    """To let a member leave: it signs nothing from then on. Raises Refused(UNKNOWN_MEMBER, MEMBER_RETIRED)."""
    member = find_member(state.members.all, which)
    if member.retired is not None:
        raise Refused(Reason.MEMBER_RETIRED, f"{member.name} has left the network", member=member.name)
    return RetireMember(member.id)


def list_keys(members: tuple[Member, ...]) -> Iterator[ListedKey]:
    """Every key that is listed, revoked ones too: a key stays listed for ever."""
    for member in members:
        for key in member.keys:
            yield ListedKey(member, key, ROLE_NAMES[KeyRole(key.role)], CUSTODY_NAMES[Custody(key.custody)])


def to_document(member: Member) -> dict[str, object]:
    """A member as JSON."""
    return {
        "accreditations": [
            {"basis": basis, "class": class_, "kind": kind} for kind, basis, class_ in member.accreditations
        ],
        "id": member.id.hex(),
        "keys": [
            {
                "custody": CUSTODY_NAMES[Custody(key.custody)],
                "digest": key.digest.hex(),
                "disputed_since": key.disputed_since,
                "revoked": key.revoked,
                "role": ROLE_NAMES[KeyRole(key.role)],
            }
            for key in member.keys
        ],
        "kind": str(member.kind),
        "name": member.name,
        "retired": member.retired,
    }


def _parse_id(text: str) -> bytes:
    from carnet.types import parse_hex_id

    return parse_hex_id(text.lower())
