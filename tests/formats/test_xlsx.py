"""XLSX read against openpyxl, which wrote the files: values, days by their style, titles above a header; bombs."""

from __future__ import annotations

import io
import zipfile
from collections import deque
from collections.abc import Callable
from datetime import date, datetime, time
from typing import Any

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carnet.errors import Reason, Refused
from carnet.formats.guess import guess_rows
from carnet.formats.mapping_document import Given
from carnet.formats.table import TableRow, name_columns, write_letters
from carnet.formats.xlsx import FREE_BYTES, MAX_CELL_CHARACTERS, NoValue, Texts, compute_moment, read_sheet
from carnet.formats.xlsx_styles import is_date_format
from tests.formats.streams import NOW

Sheet = list[list[Any]]


def write_xlsx(sheet: Sheet, *, change: Callable[[Any, Any], None] | None = None) -> bytes:
    book = openpyxl.Workbook()
    active: Any = book.active
    active.title = "Relevés"
    for row in sheet:
        active.append(row)
    if change is not None:
        change(book, active)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def read(data: bytes, sheet: str | None = None) -> list[tuple[int, dict[int, Any]]]:
    return [(row.line, row.cells) for row in read_sheet(io.BytesIO(data), sheet)]


def read_named(data: bytes, header: int | None = None) -> list[TableRow]:
    return list(name_columns(read_sheet(io.BytesIO(data)), header))


def make_parts(sheet: str, *, texts: str | None = None, workbook: str | None = None) -> dict[str, str]:
    """A workbook by hand, with one sheet."""
    parts = {
        "xl/workbook.xml": workbook
        or '<workbook xmlns:r="r"><sheets><sheet name="A" sheetId="1" r:id="rId1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": '<Rels><Relationship Id="rId1" Target="worksheets/a.xml"/></Rels>',
        "xl/worksheets/a.xml": f"<worksheet><sheetData>{sheet}</sheetData></worksheet>",
    }
    if texts is not None:
        parts["xl/sharedStrings.xml"] = f"<sst>{texts}</sst>"
    return parts


def pack(parts: dict[str, str]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return out.getvalue()


def test_read_sheet__a_formula_that_was_saved_without_its_value_is_not_blank() -> None:
    data = write_xlsx([["VIN", "Km", "Atelier"], ["X", "=40000+5", '=IF(1,"a")'], ["Y", 5, None]])
    assert read(data)[1:] == [(2, {0: "X", 1: NoValue("=40000+5"), 2: NoValue('=IF(1,"a")')}), (3, {0: "Y", 1: 5})]
    sheet = (
        '<row><c><f>A</f></c><c t="str"><f>B</f></c><c t="str"><f>C</f><v></v></c><c><f si="0" t="shared"/><v/></c>'
        f"<c><f>{'Z' * 900}</f></c></row>"
    )
    # An empty text is a value: what IF(...;"";...) gives.
    [(_, cells)] = read(pack(make_parts(sheet)))
    assert cells == {0: NoValue("=A"), 1: NoValue("=B"), 3: NoValue("="), 4: NoValue("=" + "Z" * 199)}


# ---- against openpyxl

texts = st.text(st.characters(codec="utf-8", min_codepoint=32, exclude_characters="\ufffe\uffff\u007f"), max_size=30)
values = st.one_of(
    st.none(),
    # A text that begins with = is a formula there, and one of blanks alone is kept.
    texts.filter(lambda text: not text.startswith("=") and text.strip() != ""),
    st.integers(-(10**14), 10**14),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.booleans(),
    st.dates(date(1900, 3, 1), date(9999, 12, 31)),
    st.datetimes(datetime(1900, 3, 1), datetime(9999, 12, 31)).map(lambda moment: moment.replace(microsecond=0)),
)


def expect(value: Any) -> Any:
    if isinstance(value, float):
        # openpyxl writes 16 digits, one less than some numbers need.
        value = float(f"{value:.16g}")
        return int(value) if value.is_integer() and abs(value) < 2**53 else value
    if isinstance(value, datetime) and value.time() == time.min:
        return value.date()
    return value


@settings(max_examples=80)
@given(st.lists(st.lists(values, max_size=6), max_size=6))
def test_read_sheet__gives_back_what_openpyxl_wrote(sheet: Sheet) -> None:
    found = read(write_xlsx(sheet))
    wanted = [
        (line, cells)
        for line, row in enumerate(sheet, 1)
        if (cells := {at: expect(value) for at, value in enumerate(row) if value is not None})
    ]
    assert found == wanted
    assert [{at: type(v) for at, v in cells.items()} for _, cells in found] == [
        {at: type(v) for at, v in cells.items()} for _, cells in wanted
    ]


def test_read_sheet__a_sheet_is_chosen_by_its_name_and_hidden_ones_are_passed_over() -> None:
    def change(book: Any, active: Any) -> None:
        active.sheet_state = "hidden"
        book.create_sheet("Deux").append(["second"])

    data = write_xlsx([["first"]], change=change)
    assert read(data) == [(1, {0: "second"})]
    assert read(data, "Relevés") == [(1, {0: "first"})]
    with pytest.raises(Refused) as refused:
        read(data, "Trois")
    assert refused.value.reason is Reason.MISSING_FIELD
    assert '"Relevés", "Deux"' in refused.value.message


def test_read_sheet__streamed_sheets_hold_their_texts_themselves() -> None:
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("A")
    sheet.append(["vin", date(2020, 2, 29), 12.5])
    out = io.BytesIO()
    book.save(out)
    assert read(out.getvalue()) == [(1, {0: "vin", 1: date(2020, 2, 29), 2: 12.5})]


# ---- what other writers do


def test_read_sheet__texts_in_pieces_without_their_reading_aids() -> None:
    pieces = "<r><t>AB</t></r><r><rPr><b/></rPr><t>-123</t></r>"
    shared = f"<si>{pieces}<rPh sb='0' eb='1'><t>aid</t></rPh></si><si><t>two</t></si>"
    row = '<row r="3"><c r="B3" t="s"><v>0</v></c><c r="A3" t="s"><v>1</v></c></row>'
    assert read(pack(make_parts(row, texts=shared))) == [(3, {0: "two", 1: "AB-123"})]


def test_read_sheet__prefixes_places_left_out_and_all_sorts_of_cells() -> None:
    row = (
        '<x:row xmlns:x="y"><x:c t="inlineStr"><x:is><x:t>in</x:t></x:is></x:c>'
        '<x:c t="str"><x:f>A1</x:f><x:v>calc</x:v></x:c>'
        '<x:c t="e"><x:v>#N/A</x:v></x:c><x:c t="b"><x:v>1</x:v></x:c><x:c t="d"><x:v>2020-02-29</x:v></x:c>'
        "<x:c/></x:row>"
    )
    parts = make_parts(row)
    # Nothing is computed: the value that was stored with a formula is taken, and an error stays visible.
    assert read(pack(parts)) == [(1, {0: "in", 1: "calc", 2: "#N/A", 3: True, 4: "2020-02-29"})]


def test_read_sheet__relations_may_be_absolute() -> None:
    parts = make_parts("<row><c><v>5</v></c></row>")
    parts["xl/_rels/workbook.xml.rels"] = parts["xl/_rels/workbook.xml.rels"].replace("worksheets", "/xl/worksheets")
    assert read(pack(parts)) == [(1, {0: 5})]


def test_read_sheet__texts_may_stand_in_a_part_of_any_name() -> None:
    parts = make_parts('<row><c t="s"><v>0</v></c></row>', texts="<si><t>elsewhere</t></si>")
    parts["xl/Words.xml"] = parts.pop("xl/sharedStrings.xml")
    relation = '<Relationship Id="rId2" Type="http://any/relationships/sharedStrings" Target="Words.xml"/></Rels>'
    parts["xl/_rels/workbook.xml.rels"] = parts["xl/_rels/workbook.xml.rels"].replace("</Rels>", relation)
    assert read(pack(parts)) == [(1, {0: "elsewhere"})]


@pytest.mark.parametrize(
    "number, is_1904, moment",
    [
        (1, False, date(1900, 1, 1)),
        (59, False, date(1900, 2, 28)),
        # A day that never was: Lotus believed that 1900 was a leap year, and Excel believed Lotus.
        (60, False, None),
        (61, False, date(1900, 3, 1)),
        (43_890, False, date(2020, 2, 29)),
        (43_890.5, False, datetime(2020, 2, 29, 12)),
        (42_428, True, date(2020, 2, 29)),
        (0, True, date(1904, 1, 1)),
        (0.25, False, time(6)),
        (0.999999999, False, None),
        (-1, False, None),
        (2_958_466, False, None),
        (float("nan"), False, None),
    ],
)
def test_compute_moment__counts_days(number: float, is_1904: bool, moment: object) -> None:
    assert compute_moment(number, is_1904=is_1904) == moment


@pytest.mark.parametrize(
    "code, is_date",
    [
        ("dd/mm/yyyy", True),
        ("[$-40C]d mmmm yyyy;@", True),
        ("h:mm", True),
        ("General", False),
        ("0.00", False),
        ('# ##0" days"', False),
        ("#,##0\\ \\d", False),
        ("[Red]0.00", False),
        # A duration: hours that go on counting are no time of day.
        ("[h]:mm:ss", False),
        ("0.00E+00", False),
    ],
)
def test_is_date_format__by_its_letters(code: str, is_date: bool) -> None:
    assert is_date_format(code) is is_date


# ---- the header


def test_name_columns__titles_merged_cells_and_empty_rows_above_and_between() -> None:
    def change(book: Any, active: Any) -> None:
        active.merge_cells("A1:D1")
        active.merge_cells("A3:B3")

    sheet = [
        ["Relevés de l'atelier 2020", None, None, None],
        [None] * 4,
        ["Véhicule", None, None, None],
        ["VIN", "Plaque", "km", "km"],
        ["V1", "AB-123-CD", 5, 6],
        [None] * 4,
        ["V2", None, 7, None],
    ]
    rows = read_named(write_xlsx(sheet, change=change))
    assert rows == [
        # The line is that of the sheet, so that a person finds it; a second column of one name bears its letter.
        TableRow(5, {"VIN": "V1", "Plaque": "AB-123-CD", "km": 5, "km (D)": 6}, 4),
        TableRow(7, {"VIN": "V2", "Plaque": None, "km": 7, "km (D)": None}, 4),
    ]


def test_name_columns__a_title_of_several_cells_is_no_header() -> None:
    sheet = [["Garage du Pont", "Metz"], [], ["VIN", "Km", "Atelier"], ["X", "12 km", "Nord"], ["Y", "13 km", "Sud"]]
    assert read_named(write_xlsx(sheet)) == [
        TableRow(4, {"VIN": "X", "Km": "12 km", "Atelier": "Nord"}, 3),
        TableRow(5, {"VIN": "Y", "Km": "13 km", "Atelier": "Sud"}, 3),
    ]


def test_guess__an_xlsx_mapping_carries_the_row_of_its_header() -> None:
    vin = "WVWZZZ1KZ7P100000"
    rows = read_named(write_xlsx([["Garage du Pont"], [], ["VIN", "Date", "Km"], [vin, date(2020, 2, 14), 45_003]]))
    found = guess_rows(rows, "list.xlsx", NOW)
    assert found.mapping is not None
    assert found.mapping.reader == Given(header=3)
    assert "line 3 names the columns" in " ".join(map(str, found.grounds))


def test_name_columns__the_row_that_is_said() -> None:
    data = write_xlsx([["a", "b"], ["c", "d"], [1, 2]])
    assert read_named(data, 2) == [TableRow(3, {"c": 1, "d": 2}, 2)]
    assert read_named(data)[0] == TableRow(2, {"a": "c", "b": "d"}, 1)
    with pytest.raises(Refused) as refused:
        read_named(write_xlsx([["a"], [None], ["b"]]), 2)
    assert (refused.value.reason, refused.value.facts["field"]) == (Reason.MISSING_FIELD, "reader.header")


def test_name_columns__refused_numbers_without_names() -> None:
    assert read_named(write_xlsx([])) == []
    with pytest.raises(Refused) as refused:
        read_named(write_xlsx([[1, 2], [3, 4]]))
    assert refused.value.reason is Reason.MISSING_FIELD


def test_write_letters__as_a_sheet_does() -> None:
    assert [write_letters(column) for column in (0, 25, 26, 701, 702, 16_383)] == ["A", "Z", "AA", "ZZ", "AAA", "XFD"]


# ---- damage, and what is no table


def refuse(data: bytes) -> str:
    with pytest.raises(Refused) as refused:
        read(data)
    assert refused.value.reason is Reason.UNREADABLE_FILE
    return refused.value.message


def test_read_sheet__refused_what_is_no_xlsx() -> None:
    assert "no XLSX" in refuse(b"PK\x03\x04 but nothing follows")
    whole = write_xlsx([["a"], ["b"]])
    assert "no XLSX" in refuse(whole[: len(whole) // 2])
    assert "lacks its part" in refuse(pack({"xl/a.xml": "a"}))
    assert "unpack it" in refuse(pack({"week/monday.csv": "vin;km"}))
    assert "OpenDocument" in refuse(pack({"mimetype": "application/vnd.oasis…", "content.xml": "<a/>"}))
    assert "XLSB" in refuse(pack({"xl/workbook.bin": "…"}))
    assert "damaged" in refuse(pack(make_parts("<row><c>")))
    assert "names a text that is not there" in refuse(pack(make_parts('<row><c t="s"><v>7</v></c></row>', texts="")))
    assert "shows no sheet" in refuse(pack(make_parts("", workbook="<workbook/>")))


def test_read_sheet__rows_before_a_damage_stand() -> None:
    whole = make_parts("".join(f"<row><c><v>{number}</v></c></row>" for number in range(50_000)) + "<row><c>")
    rows = read_sheet(io.BytesIO(pack(whole)))
    for wanted in range(50_000):
        assert next(rows).cells == {0: wanted}
    with pytest.raises(Refused):
        list(rows)


@pytest.mark.parametrize("end", ["<row><c>", "</oops>", '<row><c r="XFE9"><v>1</v></c></row>'])
def test_name_columns__rows_before_a_damage_stand_in_a_short_file_too(end: str) -> None:
    cells = "".join(f'<c t="inlineStr"><is><t>{name}</t></is></c>' for name in ("VIN", "Km"))
    body = "".join(f'<row><c t="str"><v>V{at}</v></c><c><v>{at}</v></c></row>' for at in range(3))
    rows = name_columns(read_sheet(io.BytesIO(pack(make_parts(f"<row>{cells}</row>{body}{end}")))))
    for at in range(3):
        assert next(rows).values == {"VIN": f"V{at}", "Km": at}
    with pytest.raises(Refused) as refused:
        next(rows)
    assert refused.value.reason is Reason.UNREADABLE_FILE


def test_read_sheet__refused_document_type() -> None:
    laughs = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>'
    parts = make_parts("<row><c><v>&b;</v></c></row>")
    parts["xl/worksheets/a.xml"] = laughs + parts["xl/worksheets/a.xml"]
    assert "document type" in refuse(pack(parts))


def test_read_sheet__refused_bomb() -> None:
    # Blanks between rows, a thousand times as large unpacked as packed.
    data = pack(make_parts("<row><c><v>5</v></c></row>" + " " * (FREE_BYTES + 10_000_000)))
    assert len(data) < 200_000
    rows = read_sheet(io.BytesIO(data))
    assert next(rows).cells == {0: 5}
    with pytest.raises(Refused) as refused:
        next(rows)
    assert "this is no table" in refused.value.message


def test_read_sheet__refused_tag_that_does_not_end() -> None:
    assert "does not end" in refuse(pack(make_parts(f'<row a="{"x" * 3_000_000}"/>')))


def test_read_sheet__refused_texts_beyond_what_is_held() -> None:
    texts = Texts()
    many = ("x" * 1_000_000 for _ in range(200))
    with pytest.raises(Refused) as refused:
        deque(map(texts.add, many), maxlen=0)
    assert "save it as CSV" in refused.value.message
    assert texts.get(0) == "x" * 1_000_000


def test_read_sheet__a_cell_beyond_the_limit_is_cut_so_that_it_shows() -> None:
    for cell, shared in (
        (f'<c t="inlineStr"><is><t>{"x" * 100_000}</t></is></c>', None),
        ('<c t="s"><v>0</v></c>', f"<si><t>{'x' * 100_000}</t></si>"),
    ):
        ((_, cells),) = read(pack(make_parts(f"<row>{cell}</row>", texts=shared)))
        assert len(cells[0]) == MAX_CELL_CHARACTERS + 1


def test_read_sheet__refused_password() -> None:
    data = bytearray(pack(make_parts("<row/>")))
    # The flag that says so, in the directory at the end and before each part.
    for sign, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        at = data.find(sign)
        while at >= 0:
            data[at + offset] |= 1
            at = data.find(sign, at + 4)
    assert "password" in refuse(bytes(data))
