"""Authority: who signed, with which key, in whose custody, accredited for what – and whether the reader trusts this
log. Spec: 5.5.

Takes no key from the bundle on trust: a key counts because it stands in the members tree of a seal that stands in a
log whose key is in
the reader's own policy.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple, cast

from carnet.encoding import decode, encode_trusted
from carnet.errors import Unverified
from carnet.ledger.batch import compute_endorsement
from carnet.ledger.census import frame_census
from carnet.ledger.rules.document import CENSUS_CLASS
from carnet.ledger.rules.members import NODE_KIND, compute_enrolment
from carnet.proof.evidence import Claim, Evidence, Verify
from carnet.proof.parts import EntryPart, Item
from carnet.proof.shapes import find_written_date, is_date
from carnet.proof.wire import ClassLineWire, EndorsementWire, KeyWire, KindLineWire, MemberWire
from carnet.signing import ALG_ED25519, key_digest_of
from carnet.tlog.policy import Policy
from carnet.types import Basis, Custody, KeyRole, Mark

OPENING_KINDS = {"passport.opened/1": "history", "journal.opened/1": "journal"}
# Spec 2.8: kinds that bear one mark, and that mark borne by no other kind.
_ONLY_MARK = {
    "passport.transferred/1": Mark.TRANSFER,
    "passport.moved/1": Mark.MOVE,
    "passport.contested/1": Mark.CONTESTS,
}
_CUSTODY_OF: dict[int, int] = {Basis.OWN_KEY: Custody.OWN, Basis.HOSTED: Custody.NODE}
_CORRECTIONS = {"passport.corrected/1", "passport.rectified/1"}
# The numbers in signed bytes: a name of an enumeration is looked up in Python, each time.
_NONE, _SUPERSEDES, _MOVE = int(Mark.NONE), int(Mark.SUPERSEDES), int(Mark.MOVE)
_AUTHOR, _HOLDER_AUTHOR, _NODE = int(KeyRole.AUTHOR), int(KeyRole.HOLDER_AUTHOR), int(KeyRole.NODE)
_HOLDER = int(Basis.HOLDER)


class CannotTell(Unverified):
    """Nothing is wrong, but this reader cannot judge it."""


class Standing(NamedTuple):
    """What later links say about an entry: the seq that supersedes it, and those that contest it. Spec: 2.9."""

    superseded_by: int | None
    contested_by: list[int]


def check_authority(evidence: Evidence, policy: Policy | None, verify: Verify) -> None:
    """Run the checks of clause 5.5 in their order; raises Unverified, or CannotTell."""
    rights, uses = Rights(evidence, verify), evidence.get_uses()
    if uses.keys is None:
        check_seals(evidence, rights, verify)
    keys = check_entries(evidence, rights, verify)
    check_tip(evidence)
    check_subjects(evidence)
    check_census_home(evidence)
    if uses.keys is None:
        check_census(evidence, rights, verify)
        # What was asked since, but for the entries' own signatures and homes, asks about nothing but the ground and the
        # claims: where these are met again, it held.
        uses.keys = keys
    check_trust(evidence, policy)


class Rights:
    """Looks keys up in the leaves of a bundle; of each its enrolment is checked once. Spec: 5.5.1."""

    def __init__(self, evidence: Evidence, verify: Verify) -> None:
        self._evidence = evidence
        self._verify = verify
        self._listed: dict[int, dict[bytes, list[tuple[MemberWire, KeyWire]]]] = {}
        self._enrolled: set[tuple[bytes, KeyWire]] = set()

    def check(self, group: int, member: bytes, digest: bytes, role: int, index: int) -> KeyWire:
        """The key with this digest, if it may sign in this role what is sealed at this log index."""
        evidence = self._evidence
        memory = evidence.memory
        if memory is None:
            return self._check(group, member, digest, role, index)
        leaves, check = evidence.leaves[group], partial(self._check, group, member, digest, role, index)
        return memory.once(("right", id(leaves), member, digest, role, index, evidence.net), leaves, check)

    def _check(self, group: int, member: bytes, digest: bytes, role: int, index: int) -> KeyWire:
        listed = self._list_keys(group).get(digest, ())
        leaf, key = get_own(listed, member)
        if key.alg != ALG_ED25519:
            raise CannotTell("unknown_algorithm")
        if key.role != role or (role == _NODE and leaf.kind != NODE_KIND):
            raise Unverified("wrong_role")
        if len(listed) > 1:
            raise Unverified("key_listed_twice")
        # Most keys are asked for at several places.
        enrolled = member, key
        if enrolled not in self._enrolled:
            message = compute_enrolment(self._evidence.net, member, key.role, key.custody)
            if not self._verify(key.key, message, key.sig):
                raise Unverified("enrolment_invalid")
            self._enrolled.add(enrolled)
        if leaf.retired is not None and leaf.retired <= index:
            raise Unverified("member_retired")
        if key.revoked is not None and key.revoked <= index:
            raise Unverified("key_revoked")
        return key

    def _list_keys(self, group: int) -> dict[bytes, list[tuple[MemberWire, KeyWire]]]:
        """Every key that the leaves of a group list, by its digest, in their order."""
        listed = self._listed.get(group)
        if listed is None:
            listed = self._listed[group] = {}
            for leaf in self._evidence.leaves[group].values():
                for key in leaf.keys:
                    listed.setdefault(key_digest_of(key.alg, key.key), []).append((leaf, key))
        return listed


def get_own(listed: Sequence[tuple[MemberWire, KeyWire]], member: bytes) -> tuple[MemberWire, KeyWire]:
    """The first of these that is of this member."""
    for leaf, key in listed:
        if leaf.id == member:
            return leaf, key
    raise Unverified("unknown_key")


def check_seals(evidence: Evidence, rights: Rights, verify: Verify) -> None:
    """Spec: 5.5.2."""
    for seal in evidence.seals.values():
        batch, group = seal.batch, seal.members.index
        key = rights.check(group, batch.home, batch.key_digest, _NODE, seal.index)
        if not verify(key.key, seal.batch_bytes, seal.sig):
            raise Unverified("batch_signature_invalid")
        if seal.endorsements:
            check_endorsements(rights, verify, seal.endorsements, batch.home, group, seal.index, seal.batch_bytes)
        check_endorsed_enough(evidence, seal.rules.index, batch.class_, len(seal.endorsements))


def check_endorsements(
    rights: Rights,
    verify: Verify,
    endorsements: Sequence[EndorsementWire],
    home: bytes,
    group: int,
    index: int,
    message: bytes,
) -> None:
    """Spec: 5.5.2 and 5.5.6, the endorsements of a seal or census."""
    for endorsement in endorsements:
        if endorsement.member == home:
            raise Unverified("endorsement_by_home")
        key = rights.check(group, endorsement.member, endorsement.key, _NODE, index)
        if not verify(key.key, compute_endorsement(message), endorsement.sig):
            raise Unverified("endorsement_invalid")


def check_endorsed_enough(evidence: Evidence, section: int, class_: int, count: int) -> None:
    """Spec: 5.5.2, the class line's count."""
    line = evidence.lines[section][("class", class_)]
    if not isinstance(line, ClassLineWire) or count < line.endorsements:
        raise Unverified("not_enough_endorsements")


def check_entries(evidence: Evidence, rights: Rights, verify: Verify) -> list[KeyWire]:
    """Spec: 5.5.3; returns the key of each entry."""
    homes, uses, submissions = compute_homes(evidence), evidence.get_uses(), evidence.submissions
    seals = evidence.seals
    signed: dict[int, bytes] = {}
    found: dict[tuple[object, ...], KeyWire] = {}
    keys: list[KeyWire] = []
    for at, (seq, _, entry) in enumerate(evidence.entries):
        fault = None
        if uses.keys is None:
            claim = uses.claims[at]
            author = claim.seal, claim.member, claim.key_digest, claim.basis
            key = found.get(author)
            if key is None:
                key = found[author] = check_author(evidence, rights, claim)
            if claim.kind is not None:
                fault = find_fault_of_shown(evidence, claim)
        else:
            key = uses.keys[at]
        # What was signed together is one signature.
        if signed.get(entry.number) != key.key:
            if not verify(key.key, submissions[entry.number], entry.submission.signature):
                raise Unverified("author_signature_invalid")
            signed[entry.number] = key.key
        if seals[entry.seal].batch.home != homes[seq]:
            raise Unverified("wrong_home")
        if fault is not None:
            raise Unverified(fault)
        keys.append(key)
    return keys


def check_author(evidence: Evidence, rights: Rights, claim: Claim) -> KeyWire:
    """Spec: 5.5.3, up to custody: the author's key, which follows from a claim's seal, member, key and basis."""
    if not 1 <= claim.basis <= 4:
        raise Unverified("basis_unknown")
    role = _HOLDER_AUTHOR if claim.basis == _HOLDER else _AUTHOR
    seal = evidence.seals[claim.seal]
    key = rights.check(seal.members.index, claim.member, claim.key_digest, role, seal.index)
    if key.custody != _CUSTODY_OF.get(claim.basis, key.custody):
        raise Unverified("wrong_custody")
    return key


def find_fault_of_shown(evidence: Evidence, claim: Claim) -> str | None:
    """Spec: 5.5.3, what the kind of a shown entry asks for and is not so."""
    seal, kind = evidence.seals[claim.seal], claim.kind
    leaf = evidence.leaves[seal.members.index][claim.member]
    if not is_accredited(bytes(leaf.accreditations), str(kind), claim.basis, claim.class_):
        return "not_accredited"
    line = evidence.lines[seal.rules.index][("kind", kind)]
    if not isinstance(line, KindLineWire) or line.chain != claim.chain_type:
        return "wrong_chain"
    if line.class_ != claim.class_:
        return "wrong_class"
    if (kind in OPENING_KINDS) != claim.is_opening:
        return "wrong_opening"
    return None if is_mark_of_kind(kind, claim.mark) else "wrong_mark"


def is_accredited(held: bytes, kind: str, basis: int, class_: int) -> bool:
    """Whether accreditations, in `cj`, list this one. They are mostly not read: half a hundred stand there for each one
    that is asked for."""
    wanted = kind, basis, class_
    if encode_trusted(wanted) not in held:
        return False
    # A quote within a text bears a backslash. One that ends a text has a comma behind it: only there may what looks
    # like this accreditation begin in another one's text.
    return not kind.startswith(",") or list(wanted) in cast("list[object]", decode(held))


def is_mark_of_kind(kind: object, mark: int) -> bool:
    """Spec: 2.8."""
    if kind in _CORRECTIONS:
        return mark == _SUPERSEDES
    if kind in OPENING_KINDS:
        return mark == _NONE
    only = _ONLY_MARK.get(str(kind))
    return mark == only if only is not None else mark in (_NONE, _SUPERSEDES)


def compute_homes(evidence: Evidence) -> list[bytes]:
    """The home that must have sealed each link. Spec: 2.13."""
    items = evidence.bundle.items
    homes, home = [], evidence.seal_of(items[0]).batch.home
    for item in items:
        homes.append(home)
        if item.mark == _MOVE:
            home = item.target[:16]
    return homes


def check_tip(evidence: Evidence) -> None:
    """Spec: 5.5.4."""
    item = evidence.bundle.items[-1]
    if item.entry is None and evidence.seal_of(item).batch.home != compute_homes(evidence)[-1]:
        raise Unverified("wrong_home")


def check_subjects(evidence: Evidence) -> None:
    """Spec: 2.14, 5.5.5."""
    passport: object = None
    for seq, _, entry in evidence.entries:
        if entry.fields is None:
            continue
        # None may withhold it: that was looked at before. Each is an object of texts, and two are equal if their `cj`
        # is.
        subject = entry.fields["subject"][1]
        if seq == 0:
            passport = subject
            if isinstance(subject, dict) and subject.get("scheme") == "plate":
                raise Unverified("subject_is_plate")
        elif subject != passport:
            check_alias(evidence, seq, entry, encode_trusted(subject))


def check_alias(evidence: Evidence, seq: int, entry: EntryPart, wanted: bytes) -> None:
    """Raise the code of the first declaration tried unless one of them holds. Spec: 5.5.5."""
    first: str | None = None
    for declared_at, _, declaration in reversed(evidence.entries):
        if declared_at >= seq or declaration.kind != "vehicle.identity/1":
            continue
        alias = declaration.get_shown("alias")
        if not isinstance(alias, dict) or "subject" not in alias or encode_trusted(alias["subject"]) != wanted:
            continue
        code = find_alias_fault(evidence, declared_at, declaration, alias, entry)
        if code is None:
            return
        first = first or code
    raise Unverified(first or "subject_mismatch")


def find_alias_fault(
    evidence: Evidence, declared_at: int, declaration: EntryPart, alias: dict[str, object], entry: EntryPart
) -> str | None:
    """Why this declaration does not hold for the entry; None if it does."""
    if declaration.statement.basis not in (Basis.OWN_KEY, Basis.HOSTED):
        return "alias_unaccredited"
    if compute_standing(evidence, declared_at).superseded_by is not None:
        return "alias_superseded"
    start, end = alias.get("from"), alias.get("until")
    if set(alias) != {"from", "subject", "until"} or not is_date(start) or not (end is None or is_date(end)):
        return "alias_malformed"
    date = find_written_date(entry.get_shown("occurred"))
    if date is None or not str(start) <= date or (end is not None and not date < str(end)):
        return "alias_outside_interval"
    return None


def compute_standing(evidence: Evidence, seq: int) -> Standing:
    """What the marks on the entry at this seq come to. Spec: 2.9, 5.10."""
    sid, target = evidence.sids[seq], evidence.bundle.items[seq].entry
    superseded_by: int | None = None
    contested_by: list[int] = []
    for later, item, entry in evidence.entries:
        if item.mark not in (Mark.SUPERSEDES, Mark.CONTESTS) or item.target != sid or target is None:
            continue
        if item.mark == Mark.SUPERSEDES and is_correction_held(evidence, item, entry, target):
            superseded_by = later
        else:
            contested_by.append(later)
    return Standing(superseded_by, contested_by)


def is_correction_held(evidence: Evidence, item: Item, correction: EntryPart, target: EntryPart) -> bool:
    """Spec: 2.9."""
    by, of = correction.statement, target.statement
    if (by.member, by.basis) == (of.member, of.basis):
        return True
    leaf: MemberWire = evidence.leaves[evidence.seal_of(item).members.index][by.member]
    return b'["passport.rectified/1",%d,' % by.basis in bytes(leaf.accreditations)


def check_census_home(evidence: Evidence) -> None:
    """Spec: 5.5.6, what asks about the passport."""
    if evidence.get_census().home != evidence.seal_of(evidence.bundle.items[-1]).batch.home:
        raise Unverified("census_wrong_home")


def check_census(evidence: Evidence, rights: Rights, verify: Verify) -> None:
    """Spec: 5.5.6, the rest."""
    census = evidence.get_census()
    group = census.members.index
    key = rights.check(group, census.home, census.key, _NODE, census.index)
    message = frame_census(evidence.net, census.census)
    if not verify(key.key, message, census.sig):
        raise Unverified("census_signature_invalid")
    if census.endorsements:
        check_endorsements(rights, verify, census.endorsements, census.home, group, census.index, message)
    check_endorsed_enough(evidence, census.rules.index, CENSUS_CLASS, len(census.endorsements))


def check_trust(evidence: Evidence, policy: Policy | None) -> None:
    """Spec: 5.5.7."""
    if policy is None:
        raise CannotTell("no_policy")
    if policy.find_log(evidence.origin, evidence.ground.log_key) is None:
        raise CannotTell("other_network")
    if not policy.is_quorum_met(evidence.cosigned_s):
        raise CannotTell("quorum_unmet")


def is_disputed(evidence: Evidence, item: Item, entry: EntryPart) -> bool:
    """Whether the census's members tree calls this signature disputed. Spec: 3.4, 5.10."""
    leaf = evidence.leaves[evidence.get_census().members.index][entry.statement.member]
    index = evidence.seal_of(item).index
    return any(
        key.disputed_since is not None and key.disputed_since <= index
        for key in leaf.keys
        if key_digest_of(key.alg, key.key) == entry.statement.key_digest
    )


__all__ = ["CannotTell", "check_authority", "compute_standing", "is_disputed"]
