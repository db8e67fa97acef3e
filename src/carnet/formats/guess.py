"""A look at the beginning of an unknown file: how it is written, what its columns mean, and the mapping that follows.

It proposes and gives its reasons; a person decides. Where two readings are possible (04/05 is two days) it says so and
lowers its confidence; it never invents a VIN out of a plate, nor a unit out of a number. It refuses to read the rest.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from itertools import islice
from typing import NamedTuple

from carnet.errors import Refused
from carnet.formats.delimited import Cells, is_blank, is_directive, name_cells, read_cells, tell_apart
from carnet.formats.documents import read_documents
from carnet.formats.faults import Fault
from carnet.formats.guess_columns import Column, compute_column
from carnet.formats.guess_plan import Plan, compute_plan
from carnet.formats.guess_template import compute_template_plan
from carnet.formats.mapping import read_mapped, read_table, write_cell
from carnet.formats.mapping_document import MAX_COLUMNS, Delimited, Given, Json, Mapping, Reader
from carnet.formats.remarks import Remark, remark, repeat_refusal
from carnet.formats.rows import Item
from carnet.formats.table import TableRow
from carnet.types import Fact, Millis

HEAD_BYTES = 65_536
SHOWN_ROWS = 10
SAMPLE_ROWS = 500
TITLE_LINES = 20
"""So far down a header is looked for; and of so many rows below a line it is told whether they are a table."""

_MOST = 80
_SEPARATORS = (",", ";", "\t", "|")
_BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_MARKUP = re.compile(rb"\s*<(!doctype|html|\?xml)\b", re.IGNORECASE)
_FOREIGN = (
    (b"PAR1", "parquet"),
    (b"PK\x03\x04", "zip"),
    (b"%PDF", "pdf"),
    (b"\xd0\xcf\x11\xe0", "old_excel"),
    (b"\x1f\x8b", "gzip"),
    (b"SQLite format 3", "sqlite"),
)


# Files that have an importer of their own, which reads more than a mapping could.
_KNOWN = (
    ({"vehicle", "inspections"}, "histovec", "known_histovec"),
    ({"vehicle", "registration", "registry"}, "registry", "known_registry"),
    ({"vehicule", "controles_techniques"}, "report", "known_report"),
    ({"testTypes", "vin"}, "dvsa", "known_dvsa_tests"),
    ({"motTests", "registration"}, "dvsa", "known_dvsa_history"),
    ({"kenteken"}, "rdw", "known_rdw"),
    ({"Results", "SearchCriteria"}, "vpic", "known_vpic"),
)


class _Look(NamedTuple):
    """What the text of a file holds: its reader, columns, rows with their lines, and why; and the keys of its objects,
    if it has any."""

    reader: Reader
    names: list[str]
    rows: list[list[str]]
    lines: list[int]
    reasons: list[Remark]
    keys: frozenset[str] = frozenset()


class Guess(NamedTuple):
    """What a file seems to be. `mapping` is None where no entry can be made of it, and the reasons say why.

    `draft` is then a mapping that says what was understood, and lacks what the first doubts name, or None.
    `confidence` is between 0 and 100; `reasons` are remarks for a person, the doubtful ones first; `rows` are the
    first rows as they would be understood, good or faulty; `head` are the same as they stand: (line, cells by column).
    `importer` is the verb of `carnet import` that knows the
    format, and reads more of it than a mapping could; `reader` is how the file is written, where it holds a table.
    """

    mapping: Mapping | None
    confidence: int
    reasons: tuple[Remark, ...]
    columns: tuple[Column, ...]
    rows: tuple[Item, ...]
    doubt_count: int = 0
    importer: str | None = None
    reader: Reader | None = None
    draft: Mapping | None = None
    head: tuple[tuple[int, dict[str, str]], ...] = ()

    @property
    def doubts(self) -> tuple[Remark, ...]:
        """The reasons not to be sure."""
        return self.reasons[: self.doubt_count]

    @property
    def grounds(self) -> tuple[Remark, ...]:
        """The reasons for what is proposed."""
        return self.reasons[self.doubt_count :]


def guess(head: bytes, name: str, now: Millis) -> Guess:
    """Propose a mapping for a file by its first 64 kB and its name; `now` bounds dates. Raises nothing."""
    is_whole = len(head) < HEAD_BYTES
    head = head[:HEAD_BYTES]
    for magic, code in _FOREIGN:
        if head.startswith(magic):
            return Guess(None, 0, (remark(code),), (), ())
    if not head.strip():
        return Guess(None, 0, (remark("empty"),), (), ())
    if b"\0" in head and not _is_utf16(head):
        return Guess(None, 0, (remark("unmarked_utf16" if _is_unmarked_utf16(head) else "binary"),), (), ())
    if _MARKUP.match(head):
        return Guess(None, 0, (remark("markup"),), (), ())
    if not is_whole and not _is_utf16(head):
        # The last line is cut: it would only look like a fault.
        head = head[: head.rfind(b"\n") + 1] or head
    first = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    is_json = first in (b"{", b"[")
    reader, names, rows, lines, reasons, keys = _look_at_json(head) if is_json else _look_at_text(head)
    if len(names) > MAX_COLUMNS:
        return refuse_columns(len(names))
    columns = tuple(
        compute_column(column, [row[place] for row in rows if place < len(row)])
        for place, column in enumerate(names)
        # A column without a name is not read.
        if column
    )
    importer, advice = _find_importer(keys)
    if not rows:
        doubts = [*advice, remark("no_row"), *_explain_no_row(head, reader)]
        return Guess(None, 0, (*doubts, *reasons), columns, (), len(doubts), importer, reader)
    found = _propose(
        lambda mapping: read_mapped([head], mapping, now), name, reader, columns, reasons, is_cut=not is_whole
    )
    return found._replace(
        reasons=(*advice, *found.reasons),
        doubt_count=len(advice) + found.doubt_count,
        importer=importer,
        head=_list_head(names, rows, lines),
    )


def _list_head(
    names: Sequence[str], rows: Sequence[Sequence[str]], lines: Sequence[int]
) -> tuple[tuple[int, dict[str, str]], ...]:
    """The first rows as they stand."""
    few = zip(lines, rows[:SHOWN_ROWS], strict=False)
    return tuple((line, {name: cell for name, cell in zip(names, row, strict=False) if name}) for line, row in few)


def refuse_columns(count: int) -> Guess:
    """What is said of a file with more columns than a mapping can name."""
    return Guess(None, 0, (remark("too_many_columns", most=MAX_COLUMNS, count=count),), (), ())


def guess_rows(rows: Sequence[TableRow], name: str, now: Millis) -> Guess:
    """The same for the first rows of a table that another reader hands over (Parquet, XLSX). Raises nothing."""
    if not rows:
        return Guess(None, 0, (remark("no_row"),), (), ())
    names = list(rows[0].values)
    cells = [[write_cell(row.values.get(name)) or "" for name in names] for row in rows]
    columns = tuple(
        _compute_mixed(column, [row.values.get(column) for row in rows])
        or compute_column(column, [row[at] for row in cells])
        for at, column in enumerate(names)
    )
    reasons = [remark("table", count=len(names))]
    reader = Given()
    if rows[0].header > 1:
        reasons.append(remark("header_line", line=rows[0].header))
        reader = Given(header=rows[0].header)
    found = _propose(lambda mapping: read_table(rows, mapping, now), name, reader, columns, reasons, is_cut=False)
    return found._replace(head=_list_head(names, cells, [row.line for row in rows]))


def _compute_mixed(name: str, values: Sequence[object]) -> Column | None:
    """A column in which some cells are days and others texts that write days; None for every other."""
    texts = [value for value in values if isinstance(value, str) and value.strip()]
    if not texts or not any(isinstance(value, date) for value in values):
        return None
    found = compute_column(name, texts)
    if found.sort != "day":
        return None
    return found._replace(confidence=min(50, found.confidence), doubt=remark("mixed_days", column=name))


def _explain_no_row(head: bytes, reader: Reader) -> Iterator[Remark]:
    """Why no row was found in a text that has more than a header."""
    if not isinstance(reader, Delimited):
        return
    if b"\r" in head.strip() and b"\n" not in head:
        yield remark("bare_returns")
    for row in read_cells([head], encoding=reader.encoding, separator=reader.separator, quote='"', first_line=1):
        if row.refused is not None:
            yield remark("open_quote", line=row.line)
            return


def _find_importer(keys: frozenset[str]) -> tuple[str | None, tuple[Remark, ...]]:
    """The verb for a format that has one, and a remark that says so."""
    for wanted, importer, code in _KNOWN:
        if wanted <= keys:
            return importer, (remark(code, importer=importer),)
    return None, ()


def _propose(
    read: Callable[[Mapping], Iterator[Item]],
    name: str,
    reader: Reader,
    columns: tuple[Column, ...],
    reasons: Sequence[Remark],
    *,
    is_cut: bool,
) -> Guess:
    plan: Plan = compute_template_plan(reader, columns) or compute_plan(reader, columns, name)
    if plan.mapping is None:
        said = (*plan.doubts, *reasons, *plan.reasons)
        return Guess(None, 0, said, columns, (), len(plan.doubts), reader=reader, draft=plan.draft)
    try:
        items = list(islice(read(plan.mapping), SAMPLE_ROWS))
    except Refused as refused:
        said = (repeat_refusal(refused), *plan.doubts, *reasons)
        return Guess(None, 0, said, columns, (), 1 + len(plan.doubts), reader=reader)
    doubts = list(plan.doubts)
    if is_cut and isinstance(reader, Json) and items and isinstance(items[-1], Fault):
        # Where the head was cut says nothing about the file.
        items.pop()
    faulty = [item for item in items if isinstance(item, Fault)]
    if faulty:
        rule, column = Counter((fault.rule.value, fault.column) for fault in faulty).most_common(1)[0][0]
        told: dict[str, Fact] = {"count": len(faulty), "all": len(items), "rule": rule}
        doubts.insert(0, Remark("faulty", told) if column is None else Remark("faulty_in", told | {"column": column}))
    share = 1 - len(faulty) / max(1, len(items))
    confidence = max(0, min(100, round(plan.confidence * share)))
    said = (*doubts, *reasons, *plan.reasons)
    return Guess(plan.mapping, confidence, said, columns, tuple(items[:SHOWN_ROWS]), len(doubts), reader=reader)


def _look_at_json(head: bytes) -> _Look:
    documents = list(islice(read_documents([head]), SAMPLE_ROWS))
    values = [document.value for document in documents]
    objects = [_flatten(value) for value in values if isinstance(value, dict)]
    lines = [document.line for document in documents if isinstance(document.value, dict)]
    names = list(dict.fromkeys(name for each in objects for name in each))
    rows = [[each.get(name, "") for name in names] for each in objects]
    reasons = [remark("objects", count=len(names))]
    if not names:
        lists = (name for each in values if isinstance(each, dict) for name, inner in each.items() if _is_rows(inner))
        reasons += [remark("inner_list", name=name) for name in islice(lists, 1)]
    keys = frozenset(key for value in values if isinstance(value, dict) for key in value)
    return _Look(Json(), names, rows, lines, reasons, keys)


def _is_rows(value: object) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _flatten(value: dict[str, object], prefix: str = "", depth: int = 0) -> dict[str, str]:
    """The single values of an object, inner ones under names with dots; lists are left out."""
    flat: dict[str, str] = {}
    for name, inner in value.items():
        if isinstance(inner, dict) and depth < 4:
            flat |= _flatten(inner, f"{prefix}{name}.", depth + 1)
        else:
            cell = write_cell(inner)
            if cell is not None:
                flat[prefix + name] = cell
    return flat


class _Cut(NamedTuple):
    """A text cut into rows by a separator: the share of them (in percent) that have the most common number of cells,
    which is `width`; and the lines in which they begin."""

    share: int
    width: int
    separator: str
    rows: list[list[str]]
    lines: list[int]


def _look_at_text(head: bytes) -> _Look:
    encoding, why = _guess_encoding(head)
    cut = _cut_rows(head, encoding, 1, SAMPLE_ROWS)
    if not cut.rows:
        return _Look(Delimited(), [], [], [], [why])
    has_header, why_header = _guess_header(cut.rows)
    header: bool | int = has_header
    if not _begins_table(cut):
        line = _find_header_line(head, encoding)
        if line is not None:
            cut = _cut_rows(head, encoding, line, SAMPLE_ROWS)
            has_header, header, why_header = True, line, remark("header_line", line=line)
    names = tell_apart(name_cells(cut.rows[0], has_header=has_header))
    separated = remark("separated", count=len(names), separator=repr(cut.separator))
    reasons = [why, separated if len(names) > 1 else remark("one_column"), why_header]
    reader = Delimited(encoding=encoding, separator=cut.separator, header=header)  # type: ignore[arg-type]
    first = 1 if has_header else 0
    return _Look(reader, names, cut.rows[first:], cut.lines[first:], reasons)


def _cut_rows(head: bytes, encoding: str, first_line: int, most: int) -> _Cut:
    """The rows from a line on, cut by the separator that suits them best."""
    best = _Cut(-1, -1, ",", [], [])
    for separator in _SEPARATORS:
        cells = read_cells([head], encoding=encoding, separator=separator, quote='"', first_line=first_line)
        found = [row for row in islice(cells, most) if row.refused is None and _is_row(row)]
        rows = [row.cells for row in found]
        widths = Counter(map(len, rows))
        width, count = widths.most_common(1)[0] if widths else (0, 0)
        # The right separator cuts most rows alike, into more than one; of those, the one that cuts most.
        share = round(100 * count / max(1, len(rows))) if width > 1 else 0
        if (share, width) > (best.share, best.width):
            best = _Cut(share, width, separator, rows, [row.line for row in found])
    return best


def _begins_table(cut: _Cut) -> bool:
    """Whether the first row is one of a table, or its header: no title, which fills one cell or a few."""
    names = name_cells(cut.rows[0], has_header=True)
    filled = sum(1 for name in names if name)
    widest = max(sum(1 for cell in row if cell.strip()) for row in cut.rows[:TITLE_LINES])
    alike = [row for row in cut.rows if len(row) == cut.width]
    return 2 * filled >= widest and all(len(row) <= len(names) or is_blank(row, len(names)) for row in alike)


def _find_header_line(head: bytes, encoding: str) -> int | None:
    """The first line, below titles, that names the columns of the rows that follow; None where none does."""
    for line in range(2, TITLE_LINES + 1):
        cut = _cut_rows(head, encoding, line, TITLE_LINES)
        if len(cut.rows) < 2 or cut.share < _MOST or not _begins_table(cut) or not _guess_header(cut.rows)[0]:
            continue
        rows = read_cells([head], encoding=encoding, separator=cut.separator, quote='"', first_line=line)
        return next(row.line for row in rows if _is_row(row))
    return None


def _is_row(row: Cells) -> bool:
    return any(map(str.strip, row.cells)) and not (row.line == 1 and is_directive(row.cells, row.raw))


def _is_utf16(head: bytes) -> bool:
    return head[:2] in (b"\xff\xfe", b"\xfe\xff")


def _is_unmarked_utf16(head: bytes) -> bool:
    """Of a text of our alphabets in UTF-16 nearly each second byte is zero, and no other."""
    return any(head[at::2].count(0) >= 0.4 * len(head) and 0 not in head[1 - at :: 2] for at in (0, 1))


def _guess_encoding(head: bytes) -> tuple[str, Remark]:
    for mark, encoding in _BOMS:
        if head.startswith(mark):
            return encoding, remark("byte_order_mark", encoding=encoding.upper())
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        # The head may be cut in the middle of a character; any other fault says that it is another encoding.
        if error.end < len(head) - 3:
            return "cp1252", remark("cp1252")
    if head.isascii():
        return "utf-8", remark("ascii")
    return "utf-8", remark("utf8")


def _guess_header(rows: list[list[str]]) -> tuple[bool, Remark]:
    """A header holds names, and no digits where the rows below have them; each once and none blank, or it is told by
    the rows below."""
    first, rest = rows[0], rows[1:50]
    names = name_cells(first, has_header=True)
    measured = [
        place
        for place in range(len(names))
        if rest and all(any(c.isdigit() for c in row[place]) for row in rest if place < len(row) and row[place].strip())
    ]
    if any(not name for name in names) or len(set(names)) != len(names):
        # A header all the same, where it has words above columns that hold digits in each row.
        if len(set(names)) > 2 and measured and not any(any(map(str.isdigit, first[place])) for place in measured):
            return True, remark("header")
        twice = next((name for at, name in enumerate(names) if name and name in names[:at]), None)
        return False, remark("header_blank") if twice is None else remark("header_twice", name=twice)
    if measured and all(any(c.isdigit() for c in first[place]) for place in measured):
        return False, remark("header_values")
    return True, remark("header")
