"""The chain in a bundle: its links hang together, stand in the batches they name, and hide no correction of what is
shown. Spec: 5.4.6 to 5.4.12.

Knows positions and hashes; refuses to know who signed, or what a field means.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from carnet.errors import Unverified
from carnet.passport.fields import compute_root_of_shown
from carnet.passport.link import Link, check_mark, compute_chain_id, compute_next_epoch
from carnet.passport.statement import NO_CHAIN, compute_sid, compute_signed, compute_submission
from carnet.proof.evidence import Evidence, check_path
from carnet.proof.parts import CensusPart, EntryPart
from carnet.proof.shapes import is_kind, is_occurred, is_subject
from carnet.tlog.joint import compute_joint_root
from carnet.tlog.tree import leaf_hash
from carnet.types import Mark


def check_chain(evidence: Evidence) -> None:
    """Run these checks in their order; raises Unverified with the code of the first that does not hold."""
    check_opening_and_tip(evidence)
    check_placements(evidence)
    check_statements(evidence)
    check_submissions(evidence)
    check_links(evidence)
    check_batches(evidence)
    check_corrections_shown(evidence)


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
            check_path(batch.root, batch.count, indices, leaves, path, "batch_path_mismatch")
    if order != sorted(order):
        raise Unverified("seal_order")


def check_corrections_shown(evidence: Evidence) -> None:
    """Spec: 5.4.12."""
    shown = {evidence.sids[seq] for seq, _, entry in evidence.entries() if entry.is_shown}
    for item in evidence.bundle.items:
        if item.mark in (Mark.SUPERSEDES, Mark.CONTESTS) and item.target in shown and item.entry is None:
            raise Unverified("correction_withheld")
