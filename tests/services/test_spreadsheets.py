"""CSV that no spreadsheet computes: read back it says the same, and no cell begins as a formula."""

from __future__ import annotations

import csv
import io

from hypothesis import example, given
from hypothesis import strategies as st

from carnet.services.spreadsheets import BOM, make_cell, write_csv

CELLS = st.one_of(st.none(), st.integers(), st.text(st.characters(exclude_categories=("Cs",)), max_size=30))


@given(st.lists(st.lists(CELLS, min_size=3, max_size=3), max_size=6))
@example([["=1+1", "+33 1", "-5"], ["@SUM(A1)", "\t=1", " =cmd|' /C calc'!A0"]])
@example([["'=1", "＝1", "\r\n=1"]])
def test_write_csv__no_cell_begins_as_a_formula(rows: list[list[object]]) -> None:
    data = b"".join(write_csv(("a", "b", "c"), rows)).decode()
    assert data.startswith(BOM)
    read = list(csv.reader(io.StringIO(data.removeprefix(BOM), newline="")))
    assert len(read) == len(rows) + 1
    for row, cells in zip(rows, read[1:], strict=True):
        for value, cell in zip(row, cells, strict=True):
            if isinstance(value, int):
                assert cell == str(value)
            else:
                assert cell.lstrip(" \u00a0")[:1] not in {"=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"}
                text = "" if value is None else str(value).replace("\x00", "")
                assert cell in (text, f"'{text}")


def test_make_cell__says_what_it_held() -> None:
    assert [make_cell(value) for value in (None, 5, -5, True, "x", "=x")] == ["", "5", "-5", "True", "x", "'=x"]
