"""What a file was read as, before anything of it is certified: its mapping, why, its first rows, and its faulty cells.

It refuses to know who decides.
"""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

import msgspec

from carnet.formats.guess_columns import Column
from carnet.formats.remarks import Remark
from carnet.services.filing.records import Counts, Format

SHOWN_ROWS: Final = 12
SHOWN_DUPLICATES: Final = 200
SHOWN_DOUBTS: Final = 200

READING, FAULTS, MENDS, MENDED, DUPLICATES, DOUBTS, MAPPING, KNOWN = (
    "reading.json", "faults.ndjson", "mends.json", "mended.ndjson", "duplicates.ndjson", "doubts.ndjson",
    "mapping.json", "known.json",
)  # fmt: skip

SIGNING, SIGNATURES = "signing.json", "signatures.json"

Origin: TypeAlias = Literal["given", "chosen", "saved", "template", "guessed", "format"]
Mends: TypeAlias = dict[int, dict[str, str]]
"""Row number → column → what a person says instead of the file."""


class ShownRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row as the file has it, with what a person mended; and what became of it."""

    row: int
    line: int
    cells: dict[str, str]
    state: Literal["ready", "duplicate", "faulty"]


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """`origin` says whose the mapping is, `saved` which one of the member's; `draft` is a mapping that is not whole,
    where none was found: what was understood of the columns all the same, and `head` the first rows as they stand,
    (line, cells by column). `problem` is (code, sentence) where the
    file cannot be read so, `cause` the same in particular.

    Counts of cells are of those that cannot be read, and of those that were mended and can;
    `doubtful` counts rows whose reading goes against one that the member has sealed."""

    format: Format
    origin: Origin
    mapping: dict[str, Any] | None = None
    draft: dict[str, Any] | None = None
    head: tuple[tuple[int, dict[str, str]], ...] = ()
    saved: str | None = None
    confidence: int = 100
    doubts: tuple[Remark, ...] = ()
    reasons: tuple[Remark, ...] = ()
    reader: dict[str, Any] | None = None
    columns: tuple[Column, ...] = ()
    rows: tuple[ShownRow, ...] = ()
    kinds: tuple[str, ...] = ()
    counts: Counts = Counts()
    faulty_cells: int = 0
    mended_cells: int = 0
    doubtful: int = 0
    problem: tuple[str, str] | None = None
    cause: Remark | None = None


class Place(msgspec.Struct, frozen=True):
    """The row that a statement was read from: its number, its line, its keyed digest in hexadecimal."""

    row: int
    line: int
    source: str


class Signing(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be signed: by the key with this digest (hexadecimal), a message (Base64) for each submission; and the
    rows of each."""

    key: str
    messages: tuple[str, ...]
    places: tuple[tuple[Place, ...], ...]
