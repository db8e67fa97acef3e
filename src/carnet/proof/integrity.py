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
from typing import TypeVar

from carnet.encoding import encode_trusted
from carnet.errors import Unverified
from carnet.ledger.network import compute_net
from carnet.ledger.records import Ref, frame_record
from carnet.ledger.rules.document import CENSUS_CLASS, compute_line_leaf
from carnet.ledger.rules.members import frame_member
from carnet.passport.fields import compute_field_digest, compute_fields_root
from carnet.passport.link import Link, check_mark, compute_chain_id, compute_next_epoch
from carnet.passport.statement import NO_CHAIN, compute_sid, compute_signed, compute_submission
from carnet.proof.bundle import Bundle, CensusPart, EntryPart, Item, LeafPart, LinePart, SealPart
from carnet.proof.memory import Memory
from carnet.proof.shapes import is_kind, is_occurred, is_subject
from carnet.tlog.checkpoint import Checkpoint, parse_body
from carnet.tlog.cosignature import find_cosigned_time
from carnet.tlog.note import TYPE_ED25519, Note, parse_note
from carnet.tlog.policy import Policy
from carnet.tlog.tree import check_consistency, check_inclusion, compute_root_from_path, leaf_hash
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
    submissions: dict[int, bytes] = field(default_factory=dict)
    link_ids: list[bytes] = field(default_factory=list)
    link_leaves: dict[int, bytes] = field(default_factory=dict)
    epoch: int = 0
    leaves: dict[int, dict[bytes, LeafPart]] = field(default_factory=dict)
    lines: dict[int, dict[tuple[object, ...], LinePart]] = field(default_factory=dict)
    memory: Memory | None = None

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
        return [(seq, item, item.entry) for seq, item in enumerate(self.bundle.items) if item.entry is not None]


def check_integrity(bundle: Bundle, policy: Policy | None, verify: Verify, memory: Memory | None = None) -> Evidence:
    """Run the checks of clause 5.4 in their order; raises Unverified with the code of the first that does not hold."""
    if memory is None:
        net, note = compute_net(bundle.genesis), parse_note(bundle.checkpoint)
    else:
        genesis = bundle.genesis
        net = memory.once(("net", id(genesis)), genesis, lambda: compute_net(genesis))
        note = memory.once(("note", bundle.checkpoint), None, lambda: parse_note(bundle.checkpoint))
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
    checkpoint = evidence.checkpoint
    at = height = 0
    for record in evidence.bundle.records:
        evidence.once("record", record, (checkpoint.root, checkpoint.size), partial(_check_record, record, checkpoint))
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
        seen: dict[int, Ref] = {}
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


def _check_record(record: SealPart | CensusPart, checkpoint: Checkpoint) -> None:
    leaf = leaf_hash(frame_record(encode_trusted(record.document)))
    _check_path(checkpoint.root, checkpoint.size, record.index, leaf, record.path, "record_path_mismatch")


def _check_group(group: tuple[LeafPart, ...], ref: Ref) -> dict[bytes, LeafPart]:
    by_id: dict[bytes, LeafPart] = {}
    for leaf in group:
        hashed = leaf_hash(frame_member(encode_trusted(leaf.document)))
        _check_path(ref.root, ref.count, leaf.index, hashed, leaf.path, "member_path_mismatch")
        if leaf.id in by_id:
            raise Unverified("member_twice")
        by_id[leaf.id] = leaf
    return by_id


def _check_section(section: tuple[LinePart, ...], ref: Ref) -> dict[tuple[object, ...], LinePart]:
    by_subject: dict[tuple[object, ...], LinePart] = {}
    for line in section:
        hashed = leaf_hash(compute_line_leaf(encode_trusted(line.document)))
        _check_path(ref.root, ref.count, line.index, hashed, line.path, "rule_path_mismatch")
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
    for seq, item, entry in evidence.entries():
        statement, batch = entry.statement, evidence.seal_of(item).batch
        if seq == 0:
            evidence.chain = compute_chain_id(batch.home, compute_sid(entry.statement_bytes))
        if statement.net != evidence.net:
            raise Unverified("statement_other_network")
        if statement.chain != (NO_CHAIN if seq == 0 else evidence.chain):
            raise Unverified("statement_other_passport")
        if statement.class_ != batch.class_:
            raise Unverified("wrong_class")
        if entry.fields is not None:
            check_fields(entry.fields, statement.fields_root)
        if entry.index >= entry.count:
            raise Unverified("index_beyond_count")


def check_fields(fields: dict[str, bytes | tuple[bytes, object]], fields_root: bytes) -> None:
    """Spec: 2.2, 2.3, 5.4.8. `cj` writes names in ascending order, so the bundle's order is theirs."""
    digests = [
        (name, found if isinstance(found, bytes) else compute_field_digest(found[0], name, found[1]))
        for name, found in fields.items()
    ]
    if compute_fields_root(digests, len(digests)) != fields_root:
        raise Unverified("fields_mismatch")
    shown = {name: found[1] for name, found in fields.items() if isinstance(found, tuple)}
    if any(name not in shown for name in ("kind", "subject", "occurred")):
        raise Unverified("required_field_withheld")
    if not (is_kind(shown["kind"]) and is_subject(shown["subject"]) and is_occurred(shown["occurred"])):
        raise Unverified("field_malformed")


def check_submissions(evidence: Evidence) -> None:
    """Spec: 5.4.9; computes what each author signed."""
    for seq, _, entry in evidence.entries():
        try:
            root = compute_root_from_path(entry.count, entry.index, leaf_hash(entry.statement_bytes), entry.path)
        except Unverified:
            raise Unverified("submission_path_mismatch") from None
        evidence.submissions[seq] = compute_submission(
            evidence.net, entry.statement.key_digest, entry.created_ms, entry.count, root
        )


def check_links(evidence: Evidence) -> None:
    """Spec: 5.4.10; computes every link's id and leaf, and the tip's epoch."""
    seq_of: dict[bytes, int] = {}
    prev, epoch = bytes(32), 0
    for seq, item in enumerate(evidence.bundle.items):
        if item.entry is not None:
            sid = compute_sid(item.entry.statement_bytes)
            signed = compute_signed(sid, evidence.submissions[seq], item.entry.signature)
        else:
            sid, signed = item.sid or b"", item.signed or b""
        if sid in seq_of:
            raise Unverified("statement_linked_twice")
        check_mark(seq, item.mark, item.target, seq_of.get(item.target))
        seq_of[sid] = seq
        epoch = compute_next_epoch(epoch, item.mark)
        link = Link(evidence.chain, seq, epoch, prev, sid, item.mark, item.target, signed).to_bytes()
        prev = sha256(link).digest()
        evidence.sids.append(sid)
        evidence.link_ids.append(prev)
        if item.placement is not None:
            evidence.link_leaves[seq] = leaf_hash(link)
    evidence.epoch = epoch


def check_batches(evidence: Evidence) -> None:
    """Spec: 5.4.11."""
    latest = 0
    for seq, item in enumerate(evidence.bundle.items):
        if item.placement is None:
            continue
        batch = evidence.seal_of(item).batch
        _check_path(
            batch.root,
            batch.count,
            item.placement.index,
            evidence.link_leaves[seq],
            item.placement.path,
            "batch_path_mismatch",
        )
        if item.placement.record < latest:
            raise Unverified("seal_order")
        latest = item.placement.record


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
        check_consistency(since.size, since.root, checkpoint.size, checkpoint.root, since.path)


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


def _check_path(root: bytes, count: int, index: int, leaf: bytes, path: tuple[bytes, ...], code: str) -> None:
    try:
        check_inclusion(root, count, index, leaf, path)
    except Unverified as error:
        raise Unverified("index_beyond_count" if error.code == "index_beyond_count" else code) from None
