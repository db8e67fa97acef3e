"""Receipts as a member gets them: where a statement stands, signed by the node. Spec: 3.11."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from carnet.encoding import b64, unb64
from carnet.node.placing import Receipt
from carnet.node.writing import Writing

DIGEST_BYTES: Final = 32


def make_receipt(writer: Writing, receipt: Receipt) -> dict[str, object]:
    """Clause 3.11, signed with the node key in force: what is sealed already has its acceptance as its deadline."""
    return _describe(receipt, b64(writer.node_key), writer.sign_receipt(receipt, receipt.accepted_ms))


def make_receipts(writer: Writing, receipts: Sequence[Receipt]) -> list[dict[str, object]]:
    """The same for many, which the writer signs with few questions."""
    key, sigs = b64(writer.node_key), writer.sign_receipts(receipts)
    return [_describe(receipt, key, sig) for receipt, sig in zip(receipts, sigs, strict=True)]


def _describe(receipt: Receipt, key: str, sig: bytes) -> dict[str, object]:
    return {
        **describe_receipt(receipt),
        "deadline_ms": receipt.accepted_ms,
        "key": key,
        "sig": b64(sig),
    }


def describe_receipt(receipt: Receipt) -> dict[str, object]:
    """What a receipt says, unsigned: `read_receipt` makes it one that can be signed."""
    return {
        "accepted_ms": receipt.accepted_ms,
        "passport": receipt.chain16.hex(),
        "record": receipt.seal,
        "seq": receipt.seq,
        "signed": b64(receipt.signed),
        "statement": receipt.sid.hex(),
    }


def read_receipt(told: Mapping[str, Any]) -> Receipt:
    """The receipt that was described."""
    return Receipt(
        0,
        bytes.fromhex(told["passport"]),
        told["seq"],
        bytes.fromhex(told["statement"]),
        told["record"],
        unb64(told["signed"], DIGEST_BYTES),
        told["accepted_ms"],
    )
