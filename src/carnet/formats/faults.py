"""A row that could not be taken: where it stands, which rule it breaks, and what a person can do about it.

The file of faulty rows is NDJSON, one object a line with `row, line, column, rule, message, raw`: meant to be read by
people, mended, and fed in again. It refuses to know which format the row came from.
"""

from __future__ import annotations

from typing import NamedTuple

from carnet.encoding import encode_trusted
from carnet.errors import Reason

RAW_MAX_CHARACTERS = 4000


class Fault(NamedTuple):
    """One faulty row: line and row (both from 1), the column if one is to blame, the rule, one sentence, the row."""

    line: int
    row: int
    column: str | None
    rule: Reason
    message: str
    raw: str


def compute_raw(data: bytes) -> str:
    """The row as text for a person: bytes that are not UTF-8 as `\\xNN`, cut with an ellipsis at 4,000 characters."""
    # Cut before it is decoded: what is not shown need not be read.
    text = data[: 4 * RAW_MAX_CHARACTERS + 4].decode("utf-8", "backslashreplace")
    if len(text) > RAW_MAX_CHARACTERS or len(data) > 4 * RAW_MAX_CHARACTERS + 4:
        return text[:RAW_MAX_CHARACTERS] + "…"
    return text


def write_fault(fault: Fault) -> bytes:
    """The line of the file of faulty rows, with its line feed: one JSON object, keys in ascending order, UTF-8."""
    return encode_trusted(fault._asdict()) + b"\n"
