"""Receipts as a member gets them: where a statement stands, signed by the node. Spec: 3.11."""

from __future__ import annotations

from carnet.encoding import b64
from carnet.node.placing import Receipt
from carnet.node.writing import Writing


def make_receipt(writer: Writing, receipt: Receipt) -> dict[str, object]:
    """Clause 3.11, signed with the node key in force: what is sealed already has its acceptance as its deadline."""
    deadline = receipt.accepted_ms
    return {
        "accepted_ms": receipt.accepted_ms,
        "deadline_ms": deadline,
        "key": b64(writer.node_key),
        "passport": receipt.chain16.hex(),
        "record": receipt.seal,
        "seq": receipt.seq,
        "sig": b64(writer.sign_receipt(receipt, deadline)),
        "signed": b64(receipt.signed),
        "statement": receipt.sid.hex(),
    }
