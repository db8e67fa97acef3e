"""Integrity: bytes, paths, the chain, and the log's own signature. The first of the four findings. Spec: 5.4.

Knows that everything hangs together under one checkpoint; refuses to know whose keys signed it (`authority`) or
whether it is all
(`completeness`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from typing import Any, TypeVar

from carnet.errors import Unverified
from carnet.ledger.rules.document import CENSUS_CLASS
from carnet.passport.fields import compute_root_of_shown
from carnet.passport.link import Link, check_mark, compute_chain_id, compute_next_epoch
from carnet.passport.statement import NO_CHAIN, compute_sid, compute_signed, compute_submission
from carnet.proof.bundle import (
    Bundle,
    CensusPart,
    EntryPart,
    GroupPart,
    Item,
    LeafPart,
    LinePart,
    SealPart,
    SectionPart,
)
from carnet.proof.memory import Memory
from carnet.proof.shapes import is_kind, is_occurred, is_subject
from carnet.proof.wire import RefWire
from carnet.tlog.checkpoint import Checkpoint, parse_body
from carnet.tlog.cosignature import find_cosigned_time
from carnet.tlog.joint import check_joint, compute_joint_root
from carnet.tlog.note import TYPE_ED25519, Note, parse_note
from carnet.tlog.policy import Policy
from carnet.tlog.tree import HASH_BYTES, check_consistency, leaf_hash
from carnet.types import Mark

Verify = Callable[[bytes, bytes, bytes], bool]
T = TypeVar("T")


@dataclass
class Evidence:
    """What integrity established, for the findings that follow. Filled step by step; complete only when every check
    held."""

    bundle: Bundle
    net: bytes
    origin: str
    checkpoint: Checkpoint
    cosigned_s: dict[bytes, int] = field(default_factory=dict)
    seals: dict[int, SealPart] = field(default_factory=dict)
    census: CensusPart | None = None
    chain: bytes = NO_CHAIN
    sids: list[bytes] = field(default_factory=list)
    submissions: list[bytes] = field(default_factory=list)
    link_ids: list[bytes] = field(default_factory=list)
    link_leaves: dict[int, bytes] = field(default_factory=dict)
    epoch: int = 0
    leaves: dict[int, dict[bytes, LeafPart]] = field(default_factory=dict)
    lines: dict[int, dict[tuple[object, ...], LinePart]] = field(default_factory=dict)
    memory: Memory | None = None

    def __post_init__(self) -> None:
        self._entries = [(seq, item, item.entry) for seq, item in enumerate(self.bundle.items) if item.entry]

    def once(self, what: str, part: object, context: tuple[object, ...], make: Callable[[], T]) -> T:
        """What `make` gives; where there is a memory, only once for this very part and this context, which are all
        that it depends on."""
        if self.memory is None:
            return make()
        return self.memory.once((what, id(part), *context), part, make)

    def get_census(self) -> CensusPart:
        """The census record."""
        if self.census is None:
            raise Unverified("placement_not_census")
        return self.census

    def seal_of(self, item: Item) -> SealPart:
        """The seal in which an item with a placement stands."""
        if item.placement is None:
            raise Unverified("tip_not_placed")
        return self.seals[item.placement.record]

    def entries(self) -> list[tuple[int, Item, EntryPart]]:
        """(seq, item, entry) of every shown or judged entry, in order."""
        return self._entries


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
    check_opening_and_tip(evidence)
    check_placements(evidence)
    check_statements(evidence)
    check_submissions(evidence)
    check_links(evidence)
    check_batches(evidence)
    check_corrections_shown(evidence)
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
    _check_path(checkpoint.root, checkpoint.size, indices, leaves, path, "record_path_mismatch")
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
    _check_path(ref.root, ref.count, indices, leaves, group.path, "member_path_mismatch")
    by_id = {leaf.id: leaf for leaf in group.leaves}
    if len(by_id) != len(group.leaves):
        raise Unverified("member_twice")
    return by_id


def _check_section(section: SectionPart, ref: RefWire) -> dict[tuple[object, ...], LinePart]:
    indices, leaves = [line.index for line in section.lines], [line.leaf for line in section.lines]
    _check_path(ref.root, ref.count, indices, leaves, section.path, "rule_path_mismatch")
    by_subject: dict[tuple[object, ...], LinePart] = {}
    for line in section.lines:
        if line.subject in by_subject and line.subject != ("writer",):
            raise Unverified("rule_twice")
        by_subject[line.subject] = line
    return by_subject


def check_opening_and_tip(evidence: Evidence) -> None:
    """Spec: 5.4.6."""
    items = evidence.bundle.items
    if items[0].entry is None or not items[0].entry.is_shown:
        raise Unverified("opening_not_shown")
    if items[-1].placement is None:
        raise Unverified("tip_not_placed")


def check_placements(evidence: Evidence) -> None:
    """Spec: 5.4.7."""
    for item in evidence.bundle.items:
        if item.placement is not None:
            seal = evidence.seals.get(item.placement.record)
            if seal is None:
                raise Unverified("placement_not_seal")
            if item.placement.index >= seal.batch.count:
                raise Unverified("index_beyond_count")
    census = next((r for r in evidence.bundle.records if r.index == evidence.bundle.census_record), None)
    if not isinstance(census, CensusPart):
        raise Unverified("placement_not_census")
    evidence.census = census


def check_statements(evidence: Evidence) -> None:
    """Spec: 5.4.8; computes the chain's id and every sid."""
    for item in evidence.bundle.items:
        evidence.sids.append(item.sid or b"" if item.entry is None else compute_sid(item.entry.statement_bytes))
    if len(set(evidence.sids)) != len(evidence.sids):
        raise Unverified("statement_linked_twice")
    for seq, item, entry in evidence.entries():
        statement, batch = entry.statement, evidence.seal_of(item).batch
        if seq == 0:
            evidence.chain = compute_chain_id(batch.home, evidence.sids[0])
        if statement.net != evidence.net:
            raise Unverified("statement_other_network")
        if statement.chain != (NO_CHAIN if seq == 0 else evidence.chain):
            raise Unverified("statement_other_passport")
        if statement.class_ != batch.class_:
            raise Unverified("wrong_class")
        if entry.fields is not None:
            check_fields(entry.fields, statement.fields_root)
        if entry.index >= entry.submission.count:
            raise Unverified("index_beyond_count")


def check_fields(fields: dict[str, bytes | tuple[bytes, Any]], fields_root: bytes) -> None:
    """Spec: 2.2, 2.3, 5.4.8. `cj` writes names in ascending order, so the bundle's order is theirs."""
    if compute_root_of_shown(fields) != fields_root:
        raise Unverified("fields_mismatch")
    shown = [fields.get(name) for name in ("kind", "subject", "occurred")]
    if not all(type(found) is tuple for found in shown):
        raise Unverified("required_field_withheld")
    kind, subject, occurred = (found[1] for found in shown if type(found) is tuple)
    if not (is_kind(kind) and is_subject(subject) and is_occurred(occurred)):
        raise Unverified("field_malformed")


def check_submissions(evidence: Evidence) -> None:
    """Spec: 5.4.9; computes what each author signed."""
    entries: list[list[EntryPart]] = [[] for _ in evidence.bundle.submissions]
    for _, _, entry in evidence.entries():
        entries[entry.number].append(entry)
    for submission, together in zip(evidence.bundle.submissions, entries, strict=True):
        key = together[0].statement.key_digest
        if any(entry.statement.key_digest != key for entry in together):
            raise Unverified("submission_of_two_keys")
        placed = sorted((entry.index, leaf_hash(entry.statement_bytes)) for entry in together)
        indices, leaves = [index for index, _ in placed], [leaf for _, leaf in placed]
        try:
            root = compute_joint_root(submission.count, indices, leaves, submission.path)
        except Unverified:
            raise Unverified("submission_path_mismatch") from None
        message = compute_submission(evidence.net, key, submission.at, submission.count, root)
        evidence.submissions.append(message)
    signed = zip(evidence.submissions, evidence.bundle.submissions, strict=True)
    if len({(message, submission.signature) for message, submission in signed}) != len(evidence.submissions):
        raise Unverified("submission_twice")


def check_links(evidence: Evidence) -> None:
    """Spec: 5.4.10; computes every link's id and leaf, and the tip's epoch."""
    seq_of: dict[bytes, int] = {}
    prev, epoch = bytes(32), 0
    for seq, item in enumerate(evidence.bundle.items):
        sid, signed, entry = evidence.sids[seq], item.signed or b"", item.entry
        if entry is not None:
            signed = compute_signed(sid, evidence.submissions[entry.number], entry.submission.signature)
        check_mark(seq, item.mark, item.target, seq_of.get(item.target))
        seq_of[sid] = seq
        epoch = compute_next_epoch(epoch, item.mark)
        link = Link(evidence.chain, seq, epoch, prev, sid, item.mark, item.target, signed).to_bytes()
        prev = sha256(link).digest()
        evidence.link_ids.append(prev)
        if item.placement is not None:
            evidence.link_leaves[seq] = leaf_hash(link)
    evidence.epoch = epoch


def check_batches(evidence: Evidence) -> None:
    """Spec: 5.4.11."""
    placed: dict[int, list[tuple[int, bytes]]] = {index: [] for index in evidence.seals}
    order = []
    for seq, item in enumerate(evidence.bundle.items):
        if item.placement is not None:
            placed[item.placement.record].append((item.placement.index, evidence.link_leaves[seq]))
            order.append(item.placement.record)
    for (index, links), path in zip(placed.items(), evidence.bundle.batches, strict=True):
        # A seal without any link is surplus, which is found below.
        if links:
            links.sort()
            batch = evidence.seals[index].batch
            indices, leaves = [at for at, _ in links], [leaf for _, leaf in links]
            _check_path(batch.root, batch.count, indices, leaves, path, "batch_path_mismatch")
    if order != sorted(order):
        raise Unverified("seal_order")


def check_corrections_shown(evidence: Evidence) -> None:
    """Spec: 5.4.12."""
    shown = {evidence.sids[seq] for seq, _, entry in evidence.entries() if entry.is_shown}
    for item in evidence.bundle.items:
        if item.mark in (Mark.SUPERSEDES, Mark.CONTESTS) and item.target in shown and item.entry is None:
            raise Unverified("correction_withheld")


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


def _check_path(root: bytes, count: int, indices: list[int], leaves: list[bytes], path: bytes, code: str) -> None:
    try:
        check_joint(root, count, indices, leaves, path)
    except Unverified as error:
        raise Unverified("index_beyond_count" if error.code == "index_beyond_count" else code) from None


def split_path(path: bytes) -> tuple[bytes, ...]:
    """The hashes of a path."""
    return tuple(path[at : at + HASH_BYTES] for at in range(0, len(path), HASH_BYTES))
