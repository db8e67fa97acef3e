"""A row that could not be taken: where it stands, which rule it breaks, and what a person can do about it.

The list of faults is NDJSON, one object a line with `row, line, column, rule, message, raw`: meant to be read by
people. What can be mended and imported again is the row's `Origin`. It refuses to know which format the row came from.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

from carnet.encoding import encode_trusted
from carnet.errors import Reason

RAW_MAX_CHARACTERS = 4000


Frame: TypeAlias = Literal["lines", "array", "utf-16"]


class Origin(NamedTuple):
    """The part of the file that holds a row, so that it can be written down and read again by itself.

    `data` are its bytes without the line's end, `header` those that must stand before the first of them. `frame` says
    how such parts stand together: one a line, as items of a JSON array, or one a line in UTF-16 (the bytes themselves
    are UTF-8 then).
    """

    data: bytes
    header: bytes = b""
    frame: Frame = "lines"


class Fault(NamedTuple):
    """One faulty row: line and row (both from 1), the column if one is to blame, the rule, one sentence, the row, and
    where it can be read again from, if all of it was read."""

    line: int
    row: int
    column: str | None
    rule: Reason
    message: str
    raw: str
    origin: Origin | None = None


def compute_raw(data: bytes) -> str:
    """The row as text for a person: bytes that are not UTF-8 as `\\xNN`, cut with an ellipsis at 4,000 characters."""
    # Cut before it is decoded: what is not shown need not be read.
    text = data[: 4 * RAW_MAX_CHARACTERS + 4].decode("utf-8", "backslashreplace")
    if len(text) > RAW_MAX_CHARACTERS or len(data) > 4 * RAW_MAX_CHARACTERS + 4:
        return text[:RAW_MAX_CHARACTERS] + "…"
    return text


def write_fault(fault: Fault, copied_to: int | None = None) -> bytes:
    """The line of the list of faults, with its line feed: one JSON object, keys in ascending order, UTF-8.

    `copied_to` is the line in the file of faulty rows where the row was written, if it was.
    """
    document = fault._asdict()
    del document["origin"]
    if copied_to is not None:
        document["copied_to"] = copied_to
    return encode_trusted(document) + b"\n"
