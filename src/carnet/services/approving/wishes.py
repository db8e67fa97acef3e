"""What one operator can ask of another: the acts of the ledger that touch other organisations or the node's own keys,
and the admission of one more operator.

A wish is kept as the exact act, so that what is granted is what was asked. It refuses to know who asks. ADR 16.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec

from carnet.errors import Reason, Refused
from carnet.ledger import commands
from carnet.ledger.rules.members import Accreditation, Member
from carnet.ledger.state import State
from carnet.ledger.transition import apply
from carnet.node.acts import AccreditMember, AddKey, EnrolMember, RetireMember, RevokeKey, RotateKey
from carnet.node.found import check_member, check_name_is_free
from carnet.node.rotation import check_may_retire, check_may_rotate, get_node_key
from carnet.types import MemberId


class InviteOperator(msgspec.Struct, array_like=True, frozen=True, tag="invite_operator"):
    """One more operator: otherwise one alone could be two."""


LedgerAct: TypeAlias = EnrolMember | AccreditMember | AddKey | RevokeKey | RotateKey | RetireMember
Wish: TypeAlias = LedgerAct | InviteOperator


class Kept(msgspec.Struct, frozen=True):
    """A wish as it is stored. `before`: what the member might write when it was asked, for a wish that replaces it;
    `key_count`: how many keys it had, for a wish by which the node makes one more."""

    act: Wish
    before: tuple[Accreditation, ...] | None = None
    key_count: int | None = None


NAMES: Final[dict[type, str]] = {
    EnrolMember: "enrol",
    AccreditMember: "accredit",
    AddKey: "add_key",
    RevokeKey: "revoke_key",
    RotateKey: "rotate_key",
    RetireMember: "retire",
    InviteOperator: "invite_operator",
}
"""How each wish is called in the store, the audit trail and the command line."""


def keep(state: State, wish: Wish) -> str:
    """The document of a wish."""
    before = state.members.get(wish.member).accreditations if isinstance(wish, AccreditMember) else None
    count = len(state.members.get(wish.member).keys) if isinstance(wish, AddKey) and wish.key is None else None
    return msgspec.json.encode(Kept(wish, before, count)).decode()


def read(document: str) -> Kept:
    """The wish of a document that `keep` has written."""
    return msgspec.json.decode(document, type=Kept)


def is_same(one: Kept, other: Kept) -> bool:
    """Whether two requests ask for the same. The id of a new member is drawn by whoever asks, and says nothing."""
    if isinstance(one.act, EnrolMember) and isinstance(other.act, EnrolMember):
        return msgspec.structs.replace(one.act, member=other.act.member) == other.act
    return one == other


def find_member_id(wish: Wish) -> MemberId | None:
    """The member that a wish is about."""
    return None if isinstance(wish, InviteOperator) else wish.member


def check_possible(state: State, kept: Kept) -> None:
    """Raise the refusal that the ledger as it is would give; APPROVAL_OUTDATED where what is to be replaced is not what
    it was when it was asked. Changes nothing."""
    wish = kept.act
    if isinstance(wish, InviteOperator):
        return
    if isinstance(wish, EnrolMember):
        check_name_is_free(state, wish.name)
        check_member(wish.name, wish.kind)
    if isinstance(wish, AccreditMember) and kept.before != state.members.get(wish.member).accreditations:
        saying = "what this member may write has changed since this was asked: ask again"
        raise Refused(Reason.APPROVAL_OUTDATED, saying)
    if isinstance(wish, AddKey) and _has_other_keys(state, wish, kept.key_count):
        raise Refused(Reason.APPROVAL_OUTDATED, "this member's keys have changed since this was asked: ask again")
    home = state.genesis.founders[0].member
    if isinstance(wish, RotateKey):
        check_may_rotate(state, home, wish.member, wish.key, wish.disputed_since)
        return
    if isinstance(wish, RevokeKey) and wish.key == get_node_key(state.members.get(home)).digest:
        raise Refused(Reason.KEY_IN_USE, "the node seals with this key: replace it, which revokes it too")
    if isinstance(wish, RetireMember):
        check_may_retire(state.members.get(home), wish.member)
    command = _find_command(state, wish)
    if command is not None:
        _, (result,) = apply(state, commands.Block(state.height + 1, state.at, (command,)))
        if isinstance(result, Refused):
            raise result


def _has_other_keys(state: State, wish: AddKey, key_count: int | None) -> bool:
    # Documents of older programs have no count.
    return key_count is not None and len(state.members.get(wish.member).keys) != key_count


def has_happened(state: State, kept: Kept) -> bool:
    """Whether the ledger is already as the wish would have it: asked where nobody knows whether it was carried out."""
    wish = kept.act
    if isinstance(wish, InviteOperator):
        return False
    index = state.members.find_index(wish.member)
    if isinstance(wish, EnrolMember) or index is None:
        return index is not None
    member = state.members.all[index]
    match wish:
        case AccreditMember(accreditations=wanted):
            return member.accreditations == wanted
        case AddKey(key=None):
            # Which key is not known, since the node made it: one more than there were.
            return _has_other_keys(state, wish, kept.key_count)
        case AddKey(key=key):
            return key is not None and member.find_key(key.digest) is not None
        case RevokeKey(key=digest) | RotateKey(key=digest):
            key = member.find_key(digest)
            return key is not None and key.revoked is not None
        case RetireMember():
            return member.retired is not None


def find_listed(state: State, wish: LedgerAct) -> bytes | None:
    """The digest of the key that a wish has listed, of one that has happened; None for a wish that lists none."""
    if not isinstance(wish, AddKey):
        return None
    # The node made it: the newest of the member's keys.
    return (wish.key or state.members.get(wish.member).keys[-1]).digest


def _find_command(state: State, wish: LedgerAct) -> commands.Command | None:
    """The ledger's command of a wish; None for one whose key is still to be made."""
    match wish:
        case EnrolMember(member=member, name=name, kind=kind, key=key) if key is not None:
            host = state.genesis.founders[0].member
            return commands.EnrolMember(Member(member, name, kind, host, (), (key,)))
        case AccreditMember(member=member, accreditations=accreditations):
            return commands.AccreditMember(member, accreditations)
        case AddKey(member=member, key=key) if key is not None:
            return commands.AddKey(member, key)
        case RevokeKey(member=member, key=digest, disputed_since=since):
            return commands.RevokeKey(member, digest, since)
        case RetireMember(member=member):
            return commands.RetireMember(member)
    return None
