"""What an act would change, line by line: how it is now, and how it would be. For people who decide.

It refuses to find words: each line has a code, and values as they are stored.
"""

from __future__ import annotations

from typing import NamedTuple

from carnet.ledger.rules.default import default_accreditations
from carnet.ledger.rules.members import Accreditation, Member
from carnet.node.acts import AccreditMember, AddKey, EnrolMember, RetireMember, RevokeKey, RotateKey
from carnet.node.reader import Reader
from carnet.services.approving.wishes import InviteOperator, Wish


class Change(NamedTuple):
    """One line. `what`: name, kind, id, may_write, key, own_key, key_here, disputed_since, signed, state or operator;
    None where there is nothing before or after."""

    what: str
    before: str | None
    after: str | None


def list_changes(reader: Reader, wish: Wish) -> list[Change]:
    """The lines of a wish against the ledger as it is now. Of one that was carried out they say what it left."""
    match wish:
        case EnrolMember():
            return _list_enrolment(reader, wish)
        case AccreditMember(member=member, accreditations=wanted):
            return _compare(reader.state.members.get(member).accreditations, wanted)
        case AddKey(key=key):
            return [Change("key_here" if key is None else "own_key", None, None if key is None else key.digest.hex())]
        case RevokeKey(key=digest, disputed_since=since):
            return [Change("key", digest.hex(), None), *_list_ending(reader, wish.member, digest, since)]
        case RotateKey(key=digest, disputed_since=since):
            lines = _list_ending(reader, wish.member, digest, since)
            return [Change("key", digest.hex(), None), Change("key_here", None, "new"), *lines]
        case RetireMember():
            return [Change("state", "member", "retired")]
        case InviteOperator():
            return [Change("operator", None, "one")]


def find_subject(reader: Reader, wish: Wish) -> Member | None:
    """The member that a wish is about, if the ledger lists it."""
    if isinstance(wish, InviteOperator):
        return None
    index = reader.state.members.find_index(wish.member)
    return None if index is None else reader.state.members.all[index]


def _list_enrolment(reader: Reader, wish: EnrolMember) -> list[Change]:
    lines = [
        Change("name", None, wish.name),
        Change("kind", None, wish.kind),
        Change("id", None, f"mem_{wish.member.hex()}"),
        Change("key_here", None, "new") if wish.key is None else Change("own_key", None, wish.key.digest.hex()),
    ]
    return [*lines, *_compare((), default_accreditations(reader.state.rules, wish.kind))]


def _compare(before: tuple[Accreditation, ...], after: tuple[Accreditation, ...]) -> list[Change]:
    lost = [Change("may_write", _say(one), None) for one in before if one not in after]
    return lost + [Change("may_write", None, _say(one)) for one in after if one not in before]


def _list_ending(reader: Reader, member: bytes, digest: bytes, since: int | None) -> list[Change]:
    key = reader.state.members.get(member).find_key(digest)
    count = 0 if key is None else reader.count_signed(digest)
    lines = [Change("signed", str(count), str(count))] if count else []
    return lines if since is None else [*lines, Change("disputed_since", None, str(since))]


def _say(one: Accreditation) -> str:
    kind, basis, _ = one
    return f"{kind} {basis}"
