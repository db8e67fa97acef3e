"""Integrity: bytes, paths, the chain, and the log's own signature. The first of the four findings. Spec: 5.4.

Knows that everything hangs together under one checkpoint; refuses to know whose keys signed it (`authority`) or
whether it is all
(`completeness`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from carnet.encoding import sha256
from carnet.errors import Unverified
from carnet.ledger.rules.document import CENSUS_CLASS
from carnet.proof.chain import check_chain
from carnet.proof.evidence import Claim, Evidence, FirmGround, Uses, Verify, check_path
from carnet.proof.memory import Memory
from carnet.proof.parts import Bundle, CensusPart, Ground, GroupPart, Line, SealPart, SectionPart
from carnet.proof.wire import MemberWire, RefWire
from carnet.tlog.checkpoint import Checkpoint, parse_body
from carnet.tlog.cosignature import find_cosigned_time
from carnet.tlog.note import TYPE_ED25519, Note, parse_note
from carnet.tlog.policy import Policy
from carnet.tlog.tree import check_consistency, split_path
from carnet.types import Mark

T = TypeVar("T")
Part = TypeVar("Part")


def check_integrity(bundle: Bundle, policy: Policy | None, verify: Verify, memory: Memory | None = None) -> Evidence:
    """Run the checks of clause 5.4 in their order; raises Unverified with the code of the first that does not hold."""
    ground = bundle.ground
    if memory is None:
        firm = check_ground(ground, policy, verify, None)
    else:
        check = partial(check_ground, ground, policy, verify, memory)
        firm = memory.once(("firm", id(ground), id(policy)), (ground, policy), check)
    evidence = Evidence(bundle, firm, memory)
    check_chain(evidence)
    check_since_proof(evidence)
    check_needed(evidence)
    return evidence


def check_ground(ground: Ground, policy: Policy | None, verify: Verify, memory: Memory | None) -> FirmGround:
    """Spec: 5.4.1 to 5.4.5, which ask about nothing but the ground and the reader's policy."""
    if memory is None:
        note = parse_note(ground.checkpoint)
    else:
        note = memory.once(("note", ground.checkpoint), None, partial(parse_note, ground.checkpoint))
    net = sha256(ground.framed)
    origin = f"{ground.genesis.name}/{net.hex()}"
    checkpoint = read_checkpoint(note, origin)
    check_log_signature(ground, origin, note, verify)
    cosigned_s = read_cosignatures(ground, origin, note, policy)
    seals, censuses = check_records(ground, net, checkpoint)
    members, rules = check_references(ground)
    leaves, lines = check_leaves_and_lines(ground, members, rules, memory)
    return FirmGround(ground, net, origin, checkpoint, cosigned_s, seals, censuses, leaves, lines)


def read_checkpoint(note: Note, origin: str) -> Checkpoint:
    """Spec: 5.4.1."""
    checkpoint = parse_body(note.text)
    if checkpoint.size < 1:
        raise Unverified("checkpoint_malformed")
    if checkpoint.origin != origin:
        raise Unverified("origin_mismatch")
    return checkpoint


def compute_log_key_id(origin: str, public: bytes) -> bytes:
    """The four bytes of a log key's lines (C2SP signed-note), also for a key that could verify nothing."""
    return sha256(origin.encode() + b"\n" + bytes((TYPE_ED25519,)) + public)[:4]


def check_log_signature(ground: Ground, origin: str, note: Note, verify: Verify) -> None:
    """Spec: 5.4.2, the log's own line."""
    public = ground.log_key
    key_id = compute_log_key_id(origin, public)
    body, is_signed = note.text.encode(), False
    for line in note.signatures:
        if line.name != origin or line.key_id != key_id:
            continue
        if not verify(public, body, line.signature):
            raise Unverified("log_signature_invalid")
        is_signed = True
    if not is_signed:
        raise Unverified("log_signature_missing")


def read_cosignatures(ground: Ground, origin: str, note: Note, policy: Policy | None) -> dict[bytes, int]:
    """Spec: 5.4.2, the lines of witnesses that the reader's policy knows: each one's earliest time in seconds."""
    cosigned_s: dict[bytes, int] = {}
    if policy is None or not policy.witnesses or policy.find_log(origin, ground.log_key) is None:
        return cosigned_s
    body = note.text.encode()
    for line in note.signatures:
        for witness in policy.witnesses:
            key = witness.key
            if key.public == ground.log_key or (key.name, key.key_id) != (line.name, line.key_id):
                continue
            time_s = find_cosigned_time(body, key.public, line.signature)
            if time_s is None:
                raise Unverified("cosignature_invalid")
            cosigned_s[witness.name] = min(time_s, cosigned_s.get(witness.name, time_s))
    return cosigned_s


def check_records(
    ground: Ground, net: bytes, checkpoint: Checkpoint
) -> tuple[dict[int, SealPart], dict[int, CensusPart]]:
    """Spec: 5.4.3; returns the seals and the censuses by their log index."""
    seals: dict[int, SealPart] = {}
    censuses: dict[int, CensusPart] = {}
    path, code = ground.records_path, "record_path_mismatch"
    check_path(checkpoint.root, checkpoint.size, ground.indices, ground.hashes, path, code)
    at = height = 0
    for record in ground.records:
        index, rules = record.index, record.rules.index
        if record.at < at:
            raise Unverified("record_time_goes_back")
        if record.height < height:
            raise Unverified("record_height_goes_back")
        at, height = record.at, record.height
        if record.members.index >= index or rules >= index:
            raise Unverified("reference_not_earlier")
        if isinstance(record, CensusPart):
            if record.covers > index:
                raise Unverified("census_covers_itself")
            censuses[index] = record
            continue
        batch = record.batch
        if batch.net != net:
            raise Unverified("batch_other_network")
        if batch.rules != rules:
            raise Unverified("rules_conflict")
        if height > batch.expires:
            raise Unverified("batch_expired")
        seals[index] = record
    return seals, censuses


def check_references(ground: Ground) -> tuple[dict[int, RefWire], dict[int, RefWire]]:
    """Spec: 5.4.4; returns the members and the rules that records name, by the log index of each."""
    members: dict[int, RefWire] = {}
    rules: dict[int, RefWire] = {}
    for record in ground.records:
        ref = record.members
        if members.setdefault(ref.index, ref) != ref:
            raise Unverified("members_conflict")
    for record in ground.records:
        ref = record.rules
        if rules.setdefault(ref.index, ref) != ref:
            raise Unverified("rules_conflict")
    return members, rules


def check_leaves_and_lines(
    ground: Ground, members: Mapping[int, RefWire], rules: Mapping[int, RefWire], memory: Memory | None
) -> tuple[dict[int, Mapping[bytes, MemberWire]], dict[int, Mapping[tuple[object, ...], Line]]]:
    """Spec: 5.4.5; returns the leaves and the lines, by the log index of their record."""
    leaves: dict[int, Mapping[bytes, MemberWire]] = {}
    lines: dict[int, Mapping[tuple[object, ...], Line]] = {}
    for index, group in ground.groups.items():
        ref = members.get(index)
        if ref is None:
            raise Unverified("surplus_member")
        leaves[index] = _once("group", _check_group, group, ref, memory)
    for index, section in ground.sections.items():
        ref = rules.get(index)
        if ref is None:
            raise Unverified("surplus_rule")
        lines[index] = _once("section", _check_section, section, ref, memory)
    return leaves, lines


def _once(what: str, check: Callable[[Part, RefWire], T], part: Part, ref: RefWire, memory: Memory | None) -> T:
    if memory is None:
        return check(part, ref)
    return memory.once((what, id(part), ref.root, ref.count), part, partial(check, part, ref))


def _check_group(group: GroupPart, ref: RefWire) -> Mapping[bytes, MemberWire]:
    check_path(ref.root, ref.count, group.indices, group.hashes, group.path, "member_path_mismatch")
    if len(group.leaves) != len(group.indices):
        raise Unverified("member_twice")
    return group.leaves


def _check_section(section: SectionPart, ref: RefWire) -> Mapping[tuple[object, ...], Line]:
    check_path(ref.root, ref.count, section.indices, section.hashes, section.path, "rule_path_mismatch")
    if section.is_twice:
        raise Unverified("rule_twice")
    return section.lines


def check_since_proof(evidence: Evidence) -> None:
    """Spec: 5.4.13."""
    since, checkpoint = evidence.bundle.since, evidence.checkpoint
    if since is not None:
        check_consistency(since.size, since.root, checkpoint.size, checkpoint.root, split_path(since.path))


def check_needed(evidence: Evidence) -> None:
    """Spec: 5.4.14: everything in a bundle is used, and everything needed is there."""
    census = evidence.get_census()
    # Each of them is there: the placements were found among the seals, and this among the censuses.
    if evidence.used_seals + 1 != len(evidence.ground.records):
        raise Unverified("surplus_record")
    check_judged(evidence)
    firm, memory, claims = evidence.firm, evidence.memory, _make_claims(evidence)
    if memory is None:
        evidence.uses = _check_uses(firm, census, claims)
    else:
        key = "uses", id(firm), census.index, claims
        evidence.uses = memory.once(key, firm, partial(_check_uses, firm, census, claims))


def check_judged(evidence: Evidence) -> None:
    """Spec: 5.4.14, the entries that are there only because of what they target."""
    judged = [item for _, item, entry in evidence.entries if entry.fields is None]
    if judged:
        shown = {evidence.sids[seq] for seq, _, entry in evidence.entries if entry.is_shown}
        if not all(item.mark in (Mark.SUPERSEDES, Mark.CONTESTS) and item.target in shown for item in judged):
            raise Unverified("surplus_entry")


def _make_claims(evidence: Evidence) -> tuple[Claim, ...]:
    """Spec: 2.12 has the chain's type."""
    opening = evidence.bundle.items[0].entry
    chain_type = "history" if opening is not None and opening.kind == "passport.opened/1" else "journal"
    claims: list[Claim] = []
    for seq, _, entry in evidence.entries:
        by = entry.statement
        is_opening = seq == 0
        claim = Claim(
            entry.seal, by.member, by.key_digest, by.basis, by.class_, by.mark, entry.kind, is_opening, chain_type
        )
        claims.append(claim)
    return tuple(claims)


def _check_uses(firm: FirmGround, census: CensusPart, claims: tuple[Claim, ...]) -> Uses:
    seals, at_census = firm.seals, census.members.index
    members: set[tuple[int, Any]] = {(at_census, census.home)}
    lines: set[tuple[int, Any]] = {(census.rules.index, ("class", CENSUS_CLASS))}
    for endorsement in census.endorsements:
        members.add((at_census, endorsement.member))
    for seal in seals.values():
        members.add((seal.members.index, seal.batch.home))
        lines.add((seal.rules.index, ("class", seal.batch.class_)))
        for endorsement in seal.endorsements:
            members.add((seal.members.index, endorsement.member))
    for claim in claims:
        seal, member = seals[claim.seal], claim.member
        members.add((seal.members.index, member))
        members.add((at_census, member))
        # The kind of a shown entry is a text: it was looked at before.
        if claim.kind is not None:
            lines.add((seal.rules.index, ("kind", claim.kind)))
    _check_same(members, firm.leaves, "member_missing", "surplus_member")
    _check_same(lines, firm.lines, "rule_missing", "surplus_rule")
    return Uses(claims)


def _check_same(
    needed: set[tuple[int, Any]], parts: Mapping[int, Mapping[Any, object]], missing: str, surplus: str
) -> None:
    there = {(index, key) for index, part in parts.items() for key in part}
    if needed != there:
        raise Unverified(surplus if needed < there else missing)
