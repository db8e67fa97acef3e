"""The chain in a bundle: its links hang together, stand in the batches they name, and hide no correction of what is
shown. Spec: 5.4.6 to 5.4.12.

Knows positions and hashes; refuses to know who signed, or what a field means.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from carnet.errors import Unverified
from carnet.passport.link import Placed, check_mark, compute_chain_id, compute_next_epoch, hash_links
from carnet.passport.statement import NO_CHAIN, NO_TARGET, frame_submission
from carnet.proof.evidence import Evidence, check_path, order
from carnet.proof.parts import EntryPart
from carnet.proof.shapes import is_kind, is_occurred, is_subject
from carnet.proof.wire import SubmissionWire
from carnet.tlog.joint import compute_joint_root
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
    seals, bundle = evidence.seals, evidence.bundle
    for item in bundle.items:
        placement = item.placement
        if placement is not None:
            seal = seals.get(placement.record)
            if seal is None:
                raise Unverified("placement_not_seal")
            if placement.index >= seal.batch.count:
                raise Unverified("index_beyond_count")
    evidence.census = evidence.firm.censuses.get(bundle.census_record)
    if evidence.census is None:
        raise Unverified("placement_not_census")


def check_statements(evidence: Evidence) -> None:
    """Spec: 5.4.8; computes the chain's id, and lists every sid."""
    items, net, seals = evidence.bundle.items, evidence.net, evidence.seals
    sids = evidence.sids = [item.sid for item in items]
    if len(set(sids)) != len(sids):
        raise Unverified("statement_linked_twice")
    evidence.chain = compute_chain_id(evidence.seal_of(items[0]).batch.home, sids[0])
    chain = NO_CHAIN
    for _, _, entry in evidence.entries:
        statement = entry.statement
        if statement.net != net:
            raise Unverified("statement_other_network")
        # The opening is the first of them.
        if statement.chain != chain:
            raise Unverified("statement_other_passport")
        chain = evidence.chain
        if statement.class_ != seals[entry.seal].batch.class_:
            raise Unverified("wrong_class")
        if entry.fields is not None:
            check_fields(entry.fields, entry.root, statement.fields_root)
        if entry.index >= entry.submission.count:
            raise Unverified("index_beyond_count")


def check_fields(fields: dict[str, bytes | tuple[bytes, Any]], root: bytes, fields_root: bytes) -> None:
    """Spec: 2.2, 2.3, 5.4.8. `root` is that of the fields, `fields_root` the statement's."""
    if root != fields_root:
        raise Unverified("fields_mismatch")
    kind, subject, occurred = fields.get("kind"), fields.get("subject"), fields.get("occurred")
    if not (isinstance(kind, tuple) and isinstance(subject, tuple) and isinstance(occurred, tuple)):
        raise Unverified("required_field_withheld")
    if not (is_kind(kind[1]) and is_subject(subject[1]) and is_occurred(occurred[1])):
        raise Unverified("field_malformed")


def check_submissions(evidence: Evidence) -> None:
    """Spec: 5.4.9; computes what each author signed."""
    submissions = evidence.bundle.submissions
    entries: list[list[EntryPart]] = [[] for _ in submissions]
    for _, _, entry in evidence.entries:
        entries[entry.number].append(entry)
    messages = evidence.submissions
    for submission, together in zip(submissions, entries, strict=True):
        messages.append(compute_message(evidence, submission, together))
    if len(messages) > 1:
        signatures = [submission.signature for submission in submissions]
        if len(set(zip(messages, signatures, strict=True))) != len(messages):
            raise Unverified("submission_twice")


def compute_message(evidence: Evidence, submission: SubmissionWire, together: Sequence[EntryPart]) -> bytes:
    """What the author of these entries signed together. Spec: 2.10, 5.4.9."""
    key = together[0].statement.key_digest
    indices: list[int] = []
    leaves: list[bytes] = []
    for entry in together:
        if entry.statement.key_digest != key:
            raise Unverified("submission_of_two_keys")
        indices.append(entry.index)
        leaves.append(entry.leaf)
    try:
        # Leaves at one place are refused there too.
        root = compute_joint_root(submission.count, *order(indices, leaves), submission.path)
    except Unverified:
        raise Unverified("submission_path_mismatch") from None
    return frame_submission(evidence.net, key, submission.at, submission.count, root)


def check_links(evidence: Evidence) -> None:
    """Spec: 5.4.10; computes every link's id and leaf, and the tip's epoch."""
    items, submissions, epoch = evidence.bundle.items, evidence.submissions, 0
    links: list[Placed] = []
    for seq, item in enumerate(items):
        mark, target, entry = item.mark, item.target, item.entry
        # Most bear no mark and name no target, which is right anywhere.
        if mark or target != NO_TARGET:
            check_mark(seq, mark, target, evidence.find_earlier(target, seq))
            epoch = compute_next_epoch(epoch, mark)
        if entry is None:
            links.append((epoch, item.sid, mark, target, item.signed or b"", None))
        else:
            links.append((epoch, item.sid, mark, target, submissions[entry.number], entry.submission.signature))
    evidence.epoch = epoch
    evidence.link_ids, evidence.link_leaves = hash_links(evidence.chain, links)


def check_batches(evidence: Evidence) -> None:
    """Spec: 5.4.11."""
    bundle, last, is_ordered = evidence.bundle, 0, True
    links_of: dict[int, tuple[list[int], list[bytes]]] = {}
    for item, leaf in zip(bundle.items, evidence.link_leaves, strict=True):
        placement = item.placement
        if placement is None:
            continue
        record = placement.record
        if record not in links_of:
            links_of[record] = [], []
        indices, leaves = links_of[record]
        indices.append(placement.index)
        leaves.append(leaf)
        if record < last:
            is_ordered = False
        last = record
    for (record, seal), path in zip(evidence.seals.items(), bundle.batches, strict=True):
        # A seal without any link is surplus, which is found below.
        links = links_of.get(record)
        if links is not None:
            batch = seal.batch
            check_path(batch.root, batch.count, *order(*links), path, "batch_path_mismatch")
    evidence.used_seals = len(links_of)
    if not is_ordered:
        raise Unverified("seal_order")


def check_corrections_shown(evidence: Evidence) -> None:
    """Spec: 5.4.12."""
    if len(evidence.entries) == len(evidence.bundle.items):
        return
    hidden = [item for item in evidence.bundle.items if item.entry is None]
    targets = {item.target for item in hidden if item.mark in (Mark.SUPERSEDES, Mark.CONTESTS)}
    if targets and any(evidence.sids[seq] in targets for seq, _, entry in evidence.entries if entry.is_shown):
        raise Unverified("correction_withheld")
