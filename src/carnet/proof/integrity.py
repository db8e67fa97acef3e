"""Integrity: bytes, paths, the chain, and the log's own signature. The first of the four findings. Spec: 5.4.

Knows that everything hangs together under one checkpoint; refuses to know whose keys signed it (`authority`) or
whether it is all
(`completeness`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from carnet.encoding import sha256
from carnet.errors import Unverified
from carnet.ledger.rules.document import CENSUS_CLASS
from carnet.proof.chain import check_chain
from carnet.proof.evidence import Claim, Evidence, FirmGround, Uses, Verify, check_path
from carnet.proof.memory import Memory
from carnet.proof.parts import Bundle, CensusPart, Ground, GroupPart, LeafPart, LinePart, SealPart, SectionPart
from carnet.proof.wire import RefWire
from carnet.tlog.checkpoint import Checkpoint, parse_body
from carnet.tlog.cosignature import find_cosigned_time
from carnet.tlog.note import TYPE_ED25519, Note, parse_note
from carnet.tlog.policy import Policy
from carnet.tlog.tree import check_consistency, split_path
from carnet.types import Mark

T = TypeVar("T")


def check_integrity(bundle: Bundle, policy: Policy | None, verify: Verify, memory: Memory | None = None) -> Evidence:
    """Run the checks of clause 5.4 in their order; raises Unverified with the code of the first that does not hold."""
    ground, check = bundle.ground, partial(check_ground, bundle.ground, policy, verify, memory)
    firm = check() if memory is None else memory.once(("firm", id(ground), id(policy)), (ground, policy), check)
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
    net = sha256(ground.genesis)
    origin = f"{ground.name}/{net.hex()}"
    checkpoint = read_checkpoint(note, origin)
    check_log_signature(ground, origin, note, verify)
    cosigned_s = read_cosignatures(ground, origin, note, policy)
    seals = check_records(ground, net, checkpoint)
    check_references(ground)
    leaves, lines = check_leaves_and_lines(ground, memory)
    return FirmGround(ground, net, origin, checkpoint, cosigned_s, seals, leaves, lines)


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
    lines = [line for line in note.signatures if line.name == origin and line.key_id == key_id]
    if not lines:
        raise Unverified("log_signature_missing")
    body = note.text.encode()
    if not all(verify(public, body, line.signature) for line in lines):
        raise Unverified("log_signature_invalid")


def read_cosignatures(ground: Ground, origin: str, note: Note, policy: Policy | None) -> dict[bytes, int]:
    """Spec: 5.4.2, the lines of witnesses that the reader's policy knows: each one's earliest time in seconds."""
    cosigned_s = dict[bytes, int]()
    if policy is None or policy.find_log(origin, ground.log_key) is None:
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


def check_records(ground: Ground, net: bytes, checkpoint: Checkpoint) -> dict[int, SealPart]:
    """Spec: 5.4.3; returns the seals by their log index."""
    records, seals = ground.records, dict[int, SealPart]()
    indices, leaves = [record.index for record in records], [record.leaf for record in records]
    check_path(checkpoint.root, checkpoint.size, indices, leaves, ground.records_path, "record_path_mismatch")
    at = height = 0
    for record in records:
        if record.at < at:
            raise Unverified("record_time_goes_back")
        if record.height < height:
            raise Unverified("record_height_goes_back")
        at, height = record.at, record.height
        if record.members.index >= record.index or record.rules.index >= record.index:
            raise Unverified("reference_not_earlier")
        if isinstance(record, SealPart):
            if record.batch.net != net:
                raise Unverified("batch_other_network")
            if record.batch.rules != record.rules.index:
                raise Unverified("rules_conflict")
            if record.height > record.batch.expires:
                raise Unverified("batch_expired")
            seals[record.index] = record
        elif record.covers > record.index:
            raise Unverified("census_covers_itself")
    return seals


def check_references(ground: Ground) -> None:
    """Spec: 5.4.4."""
    for code, refs in (
        ("members_conflict", [record.members for record in ground.records]),
        ("rules_conflict", [record.rules for record in ground.records]),
    ):
        seen: dict[int, RefWire] = {}
        for ref in refs:
            if seen.setdefault(ref.index, ref) != ref:
                raise Unverified(code)


def check_leaves_and_lines(
    ground: Ground, memory: Memory | None
) -> tuple[dict[int, dict[bytes, LeafPart]], dict[int, dict[tuple[object, ...], LinePart]]]:
    """Spec: 5.4.5; returns the leaves and the lines, by the log index of their record."""
    members = {record.members.index: record.members for record in ground.records}
    leaves, lines = dict[int, dict[bytes, LeafPart]](), dict[int, dict[tuple[object, ...], LinePart]]()
    for index, group in ground.groups.items():
        ref = members.get(index)
        if ref is None:
            raise Unverified("surplus_member")
        leaves[index] = _once("group", group, ref, memory, partial(_check_group, group, ref))
    rules = {record.rules.index: record.rules for record in ground.records}
    for index, section in ground.sections.items():
        ref = rules.get(index)
        if ref is None:
            raise Unverified("surplus_rule")
        lines[index] = _once("section", section, ref, memory, partial(_check_section, section, ref))
    return leaves, lines


def _once(what: str, part: object, ref: RefWire, memory: Memory | None, check: Callable[[], T]) -> T:
    return check() if memory is None else memory.once((what, id(part), ref.root, ref.count), part, check)


def _check_group(group: GroupPart, ref: RefWire) -> dict[bytes, LeafPart]:
    indices, leaves = [leaf.index for leaf in group.leaves], [leaf.leaf for leaf in group.leaves]
    check_path(ref.root, ref.count, indices, leaves, group.path, "member_path_mismatch")
    by_id = {leaf.id: leaf for leaf in group.leaves}
    if len(by_id) != len(group.leaves):
        raise Unverified("member_twice")
    return by_id


def _check_section(section: SectionPart, ref: RefWire) -> dict[tuple[object, ...], LinePart]:
    indices, leaves = [line.index for line in section.lines], [line.leaf for line in section.lines]
    check_path(ref.root, ref.count, indices, leaves, section.path, "rule_path_mismatch")
    by_subject: dict[tuple[object, ...], LinePart] = {}
    for line in section.lines:
        if line.subject in by_subject and line.subject != ("writer",):
            raise Unverified("rule_twice")
        by_subject[line.subject] = line
    return by_subject


def check_since_proof(evidence: Evidence) -> None:
    """Spec: 5.4.13."""
    since, checkpoint = evidence.bundle.since, evidence.checkpoint
    if since is not None:
        check_consistency(since.size, since.root, checkpoint.size, checkpoint.root, split_path(since.path))


def check_needed(evidence: Evidence) -> None:
    """Spec: 5.4.14: everything in a bundle is used, and everything needed is there."""
    census = evidence.get_census()
    needed_records = {item.placement.record for item in evidence.bundle.items if item.placement is not None}
    # Each of them is there: the placements were found among the seals, and this among the censuses.
    if len(needed_records) + 1 != len(evidence.ground.records):
        raise Unverified("surplus_record")
    judged = [item for _, item, entry in evidence.entries() if entry.fields is None]
    if judged:
        shown = {evidence.sids[seq] for seq, _, entry in evidence.entries() if entry.is_shown}
        if not all(item.mark in (Mark.SUPERSEDES, Mark.CONTESTS) and item.target in shown for item in judged):
            raise Unverified("surplus_entry")
    claims = _make_claims(evidence)
    check = partial(_check_uses, evidence.firm, census, claims)
    evidence.uses = evidence.once("uses", evidence.firm, (census.index, claims), check)


def _make_claims(evidence: Evidence) -> tuple[Claim, ...]:
    """Spec: 2.12 has the chain's type."""
    opening = evidence.bundle.items[0].entry
    chain_type = "history" if opening is not None and opening.kind == "passport.opened/1" else "journal"
    claims = list[Claim]()
    for seq, _, entry in evidence.entries():
        _, _, member, key_digest, basis, class_, mark, _, _ = entry.statement
        claims.append(Claim(entry.seal, member, key_digest, basis, class_, mark, entry.kind, seq == 0, chain_type))
    return tuple(claims)


def _check_uses(firm: FirmGround, census: CensusPart, claims: tuple[Claim, ...]) -> Uses:
    _check_same(_needed_members(firm, census, claims), firm.leaves, "member_missing", "surplus_member")
    _check_same(_needed_lines(firm, census, claims), firm.lines, "rule_missing", "surplus_rule")
    return Uses(claims)


def _needed_members(firm: FirmGround, census: CensusPart, claims: Sequence[Claim]) -> set[tuple[int, Any]]:
    needed: set[tuple[int, Any]] = {(census.members.index, census.home)}
    needed |= {(census.members.index, endorsement.member) for endorsement in census.endorsements}
    for seal in firm.seals.values():
        needed.add((seal.members.index, seal.batch.home))
        needed |= {(seal.members.index, endorsement.member) for endorsement in seal.endorsements}
    for claim in claims:
        needed.add((firm.seals[claim.seal].members.index, claim.member))
        needed.add((census.members.index, claim.member))
    return needed


def _needed_lines(firm: FirmGround, census: CensusPart, claims: Sequence[Claim]) -> set[tuple[int, Any]]:
    needed: set[tuple[int, Any]] = {(census.rules.index, ("class", CENSUS_CLASS))}
    needed |= {(seal.rules.index, ("class", seal.batch.class_)) for seal in firm.seals.values()}
    # The kind of a shown entry is a text: it was looked at before.
    for claim in claims:
        if claim.kind is not None:
            needed.add((firm.seals[claim.seal].rules.index, ("kind", claim.kind)))
    return needed


def _check_same(
    needed: set[tuple[int, Any]], parts: Mapping[int, Mapping[Any, object]], missing: str, surplus: str
) -> None:
    for index, key in needed:
        if index not in parts or key not in parts[index]:
            raise Unverified(missing)
    # All that are needed are there: are there more?
    if len(needed) != sum(map(len, parts.values())):
        raise Unverified(surplus)
