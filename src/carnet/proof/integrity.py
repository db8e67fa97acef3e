"""Integrity: bytes, paths, the chain, and the log's own signature. The first of the four findings. Spec: 5.4.

Knows that everything hangs together under one checkpoint; refuses to know whose keys signed it (`authority`) or
whether it is all
(`completeness`).
"""

from __future__ import annotations

from functools import partial
from hashlib import sha256

from carnet.errors import Unverified
from carnet.ledger.rules.document import CENSUS_CLASS
from carnet.proof.chain import check_chain
from carnet.proof.evidence import Evidence, Verify, check_path, split_path
from carnet.proof.memory import Memory
from carnet.proof.parts import Bundle, CensusPart, GroupPart, LeafPart, LinePart, SealPart, SectionPart
from carnet.proof.wire import RefWire
from carnet.tlog.checkpoint import Checkpoint, parse_body
from carnet.tlog.cosignature import find_cosigned_time
from carnet.tlog.note import TYPE_ED25519, Note, parse_note
from carnet.tlog.policy import Policy
from carnet.tlog.tree import check_consistency
from carnet.types import Mark


def check_integrity(bundle: Bundle, policy: Policy | None, verify: Verify, memory: Memory | None = None) -> Evidence:
    """Run the checks of clause 5.4 in their order; raises Unverified with the code of the first that does not hold."""
    if memory is None:
        note = parse_note(bundle.checkpoint)
    else:
        note = memory.once(("note", bundle.checkpoint), None, lambda: parse_note(bundle.checkpoint))
    net = sha256(bundle.genesis).digest()
    origin = f"{bundle.name}/{net.hex()}"
    evidence = Evidence(bundle, net, origin, read_checkpoint(note, origin), memory=memory)
    check_log_signature(evidence, note, verify)
    check_cosignatures(evidence, note, policy)
    check_records(evidence)
    check_references(evidence)
    check_leaves_and_lines(evidence)
    check_chain(evidence)
    check_since_proof(evidence)
    check_needed(evidence)
    return evidence


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
    return sha256(origin.encode() + b"\n" + bytes((TYPE_ED25519,)) + public).digest()[:4]


def check_log_signature(evidence: Evidence, note: Note, verify: Verify) -> None:
    """Spec: 5.4.2, the log's own line."""
    public = evidence.bundle.log_key
    key_id = compute_log_key_id(evidence.origin, public)
    lines = [line for line in note.signatures if line.name == evidence.origin and line.key_id == key_id]
    if not lines:
        raise Unverified("log_signature_missing")
    body = note.text.encode()
    if not all(verify(public, body, line.signature) for line in lines):
        raise Unverified("log_signature_invalid")


def check_cosignatures(evidence: Evidence, note: Note, policy: Policy | None) -> None:
    """Spec: 5.4.2, the lines of witnesses that the reader's policy knows; keeps each one's earliest time in seconds."""
    if policy is None or policy.find_log(evidence.origin, evidence.bundle.log_key) is None:
        return
    body = note.text.encode()
    for line in note.signatures:
        for witness in policy.witnesses:
            key = witness.key
            if key.public == evidence.bundle.log_key or (key.name, key.key_id) != (line.name, line.key_id):
                continue
            time_s = find_cosigned_time(body, key.public, line.signature)
            if time_s is None:
                raise Unverified("cosignature_invalid")
            evidence.cosigned_s[witness.name] = min(time_s, evidence.cosigned_s.get(witness.name, time_s))


def check_records(evidence: Evidence) -> None:
    """Spec: 5.4.3."""
    checkpoint, records = evidence.checkpoint, evidence.bundle.records
    indices, leaves = [record.index for record in records], [record.leaf for record in records]
    path = evidence.bundle.records_path
    check_path(checkpoint.root, checkpoint.size, indices, leaves, path, "record_path_mismatch")
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
            if record.batch.net != evidence.net:
                raise Unverified("batch_other_network")
            if record.batch.rules != record.rules.index:
                raise Unverified("rules_conflict")
            if record.height > record.batch.expires:
                raise Unverified("batch_expired")
            evidence.seals[record.index] = record
        elif record.covers > record.index:
            raise Unverified("census_covers_itself")


def check_references(evidence: Evidence) -> None:
    """Spec: 5.4.4."""
    for code, refs in (
        ("members_conflict", [record.members for record in evidence.bundle.records]),
        ("rules_conflict", [record.rules for record in evidence.bundle.records]),
    ):
        seen: dict[int, RefWire] = {}
        for ref in refs:
            if seen.setdefault(ref.index, ref) != ref:
                raise Unverified(code)


def check_leaves_and_lines(evidence: Evidence) -> None:
    """Spec: 5.4.5."""
    bundle = evidence.bundle
    members = {record.members.index: record.members for record in bundle.records}
    for index, group in bundle.groups.items():
        ref = members.get(index)
        if ref is None:
            raise Unverified("surplus_member")
        evidence.leaves[index] = evidence.once("group", group, (ref.root, ref.count), partial(_check_group, group, ref))
    rules = {record.rules.index: record.rules for record in bundle.records}
    for index, section in bundle.sections.items():
        ref = rules.get(index)
        if ref is None:
            raise Unverified("surplus_rule")
        evidence.lines[index] = evidence.once(
            "section", section, (ref.root, ref.count), partial(_check_section, section, ref)
        )


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
    needed_records = {item.placement.record for item in evidence.bundle.items if item.placement} | {census.index}
    if any(record.index not in needed_records for record in evidence.bundle.records):
        raise Unverified("surplus_record")
    shown = {evidence.sids[seq] for seq, _, entry in evidence.entries() if entry.is_shown}
    for _, item, entry in evidence.entries():
        if not entry.is_shown and not (item.mark in (Mark.SUPERSEDES, Mark.CONTESTS) and item.target in shown):
            raise Unverified("surplus_entry")
    _check_same(_needed_members(evidence, census), _found(evidence.leaves), "member_missing", "surplus_member")
    _check_same(_needed_lines(evidence, census), _found(evidence.lines), "rule_missing", "surplus_rule")


def _needed_members(evidence: Evidence, census: CensusPart) -> set[tuple[int, object]]:
    needed: set[tuple[int, object]] = {(census.members.index, census.home)}
    needed |= {(census.members.index, endorsement.member) for endorsement in census.endorsements}
    for seal in evidence.seals.values():
        needed.add((seal.members.index, seal.batch.home))
        needed |= {(seal.members.index, endorsement.member) for endorsement in seal.endorsements}
    for _, item, entry in evidence.entries():
        needed.add((evidence.seal_of(item).members.index, entry.statement.member))
        needed.add((census.members.index, entry.statement.member))
    return needed


def _needed_lines(evidence: Evidence, census: CensusPart) -> set[tuple[int, object]]:
    needed: set[tuple[int, object]] = {(census.rules.index, ("class", CENSUS_CLASS))}
    needed |= {(seal.rules.index, ("class", seal.batch.class_)) for seal in evidence.seals.values()}
    for _, item, entry in evidence.entries():
        if entry.is_shown:
            needed.add((evidence.seal_of(item).rules.index, ("kind", entry.get_shown("kind"))))
    return needed


def _found(
    parts: dict[int, dict[bytes, LeafPart]] | dict[int, dict[tuple[object, ...], LinePart]],
) -> set[tuple[int, object]]:
    return {(index, key) for index, found in parts.items() for key in found}


def _check_same(needed: set[tuple[int, object]], found: set[tuple[int, object]], missing: str, surplus: str) -> None:
    if needed - found:
        raise Unverified(missing)
    if found - needed:
        raise Unverified(surplus)
