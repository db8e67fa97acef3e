"""Who may enter the network, with which keys, accredited for what: the checks that stand before a member's leaf is
written.

Knows members, keys and the writer table; refuses to know who decided the admission (that comes with governance). The
checks of each function stand in the order of `Reason`. Spec: 3.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from carnet.encoding import check_text
from carnet.errors import Reason, Refused
from carnet.ledger.rules.document import Rules
from carnet.ledger.rules.members import NODE_KIND, Accreditation, Key, Member, Members, check_enrolment
from carnet.signing import PUBLIC_KEY_BYTES, SIGNATURE_BYTES
from carnet.types import ID_BYTES, Custody, KeyRole


def check_new_member(net: bytes, known: Members, rules: Rules, member: Member, hosts: Members) -> None:
    """Raise Refused unless the member is new, hosted by a node among `hosts`, accredited within the writer table, and
    every key of it signed its own enrolment."""
    check_text(member.name)
    check_text(member.kind)
    for kind, _, _ in member.accreditations:
        rules.get_kind(kind)
    check_size("member id", member.id, ID_BYTES)
    check_size("host id", member.host, ID_BYTES)
    for key in member.keys:
        check_key_shape(key)
    if member.retired is not None:
        raise Refused(Reason.FIELDS_CONFLICT, "a new member is not retired")
    for key in member.keys:
        check_key_is_new(key)
        check_key_suits(member.kind, key)
    if (member.kind == NODE_KIND) != (member.host == member.id):
        raise Refused(Reason.FIELDS_CONFLICT, "a node hosts itself, and nobody else does", host=member.host.hex())
    if hosts.find_index(member.host) is not None and hosts.get(member.host).kind != NODE_KIND:
        raise Refused(Reason.FIELDS_CONFLICT, "a member is hosted by a node", host=member.host.hex())
    check_accreditations_agree(rules, member.accreditations)
    if member.kind != NODE_KIND:
        check_not_retired(hosts.get(member.host))
    check_may_write_all(rules, member.kind, member.accreditations)
    for key in member.keys:
        check_enrolment(net, member.id, key)
    if known.find_index(member.id) is not None:
        raise Refused(Reason.MEMBER_EXISTS, f"member {member.id.hex()} exists", member=member.id.hex())
    digests = [key.digest for key in member.keys]
    if len(set(digests)) != len(digests) or any(known.is_key_listed(digest) for digest in digests):
        raise Refused(Reason.KEY_EXISTS, "this key is listed already: a key is listed once, ever")


def check_new_key(net: bytes, known: Members, member: bytes, key: Key) -> None:
    """Raise Refused unless this member of the network may list this key from now on."""
    check_key_shape(key)
    check_key_is_new(key)
    found = known.get(member)
    check_key_suits(found.kind, key)
    check_not_retired(found)
    check_enrolment(net, member, key)
    if known.is_key_listed(key.digest):
        raise Refused(Reason.KEY_EXISTS, "this key is listed already: a key is listed once, ever")


def check_key_shape(key: Key) -> None:
    """Raise Refused(WRONG_TYPE, NOT_IN_LIST) unless sizes, role and custody are those of clause 3.3."""
    check_size("public key", key.key, PUBLIC_KEY_BYTES)
    check_size("enrolment signature", key.sig, SIGNATURE_BYTES)
    if key.role not in set(KeyRole) or key.custody not in set(Custody):
        raise Refused(
            Reason.NOT_IN_LIST,
            f"a key has role 1, 2 or 3 and custody 1 or 2, not {key.role} and {key.custody}",
            role=key.role,
            custody=key.custody,
        )


def check_key_is_new(key: Key) -> None:
    """Raise Refused(FIELDS_CONFLICT) if a key starts out revoked or disputed."""
    if key.revoked is not None or key.disputed_since is not None:
        raise Refused(Reason.FIELDS_CONFLICT, "a new key is neither revoked nor disputed")


def check_key_suits(member_kind: str, key: Key) -> None:
    """Raise Refused(FIELDS_CONFLICT) if a member that is no node would list a node key: it could seal and endorse."""
    # Otherwise a home could endorse its own batches through the members that it hosts.
    if key.role == KeyRole.NODE and member_kind != NODE_KIND:
        raise Refused(Reason.FIELDS_CONFLICT, f"only a node lists a node key, not a {member_kind}")


def check_accreditations(rules: Rules, member_kind: str, accreditations: Sequence[Accreditation]) -> None:
    """Raise Refused(UNKNOWN_KIND, FIELDS_CONFLICT, MAY_NOT_WRITE) unless the writer table allows each, in strictly
    ascending order and with its kind's class."""
    check_accreditations_agree(rules, accreditations)
    check_may_write_all(rules, member_kind, accreditations)


def check_may_write_all(rules: Rules, member_kind: str, accreditations: Sequence[Accreditation]) -> None:
    """Raise Refused(MAY_NOT_WRITE) unless the writer table has a cell and basis for each."""
    for kind, basis, _ in accreditations:
        rules.check_may_write(member_kind, kind, basis)


def check_accreditations_agree(rules: Rules, accreditations: Sequence[Accreditation]) -> None:
    """Raise Refused(UNKNOWN_KIND, FIELDS_CONFLICT) unless accreditations ascend strictly and name the class of their
    kind."""
    for kind, _, _ in accreditations:
        rules.get_kind(kind)
    if any(left >= right for left, right in pairwise(accreditations)):
        raise Refused(Reason.FIELDS_CONFLICT, "accreditations stand in strictly ascending order")
    for kind, _, class_ in accreditations:
        wanted = rules.get_kind(kind).class_
        if wanted != class_:
            raise Refused(
                Reason.FIELDS_CONFLICT,
                f"{kind} has class {wanted}, not {class_}",
                kind=kind,
                class_=class_,
                wanted=wanted,
            )


def check_not_retired(member: Member) -> None:
    """Raise Refused(MEMBER_RETIRED) if the member has left."""
    if member.retired is not None:
        raise Refused(Reason.MEMBER_RETIRED, f"{member.name} has left the network", member=member.name)


def check_size(what: str, data: bytes, size: int) -> None:
    """Raise Refused(WRONG_TYPE) unless these are `size` bytes."""
    if len(data) != size:
        raise Refused(Reason.WRONG_TYPE, f"a {what} has {size} bytes, not {len(data)}", size=len(data), wanted=size)
