"""Receipts as a member gets them: where a statement stands, signed by the node; and which ones a file of them has
already. Spec: 3.11."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from carnet.encoding import b64, unb64
from carnet.node.placing import Receipt
from carnet.node.writing import Writing

DIGEST_BYTES: Final = 32

_SHELF_BITS: Final = 48


class _Line(msgspec.Struct):
    """What is read of a line: of which row of a file it is, and of which statement. It ends with its signature."""

    row: int
    sig: str
    statement: str


_read_line = msgspec.json.Decoder(_Line).decode


class KeptReceipts:
    """Which receipts a file has, by row and statement: 64 bits of each, so that hundreds of millions fit. The first
    bits say on which shelf the others are looked for."""

    def __init__(self, lines: Iterable[bytes] = ()) -> None:
        """Read a file's lines (NDJSON). One that is no whole receipt, as a power cut leaves it, counts for none."""
        self._shelves: dict[int, array[int]] = {}
        for line in lines:
            try:
                told = _read_line(line)
                key = _compute_key(told.row, bytes.fromhex(told.statement))
            except (msgspec.MsgspecError, ValueError):
                continue
            self._shelves.setdefault(key >> _SHELF_BITS, array("Q")).append(key)

    def has(self, row: int, sid: bytes) -> bool:
        """Whether there is a receipt of this statement, as that of this row (from 1)."""
        key = _compute_key(row, sid)
        return key in self._shelves.get(key >> _SHELF_BITS, ())


def _compute_key(row: int, sid: bytes) -> int:
    """64 bits: of two statements, or of two rows with one statement, they are the same by no chance worth counting."""
    return int.from_bytes(sid[:8], "big") ^ row & 0xFFFF_FFFF_FFFF_FFFF


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
