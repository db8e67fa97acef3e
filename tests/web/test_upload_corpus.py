"""Uploads that are bombs or lies: each ends with its own clear refusal, or is read for what it is; none stops a node.

Design: security 17, 19.
"""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from openpyxl import Workbook

from carnet.services.filing.records import Files
from carnet.services.filing.taking import take
from carnet.web.api.files import get_files
from tests.web.town import VIN, WebTown, serving_town

PART = "application/offset+octet-stream"
HEADER = b"vin,day,km,work\n"
ROW = f"{VIN},2023-05-04,41000,brakes\n".encode()
MB = 1024 * 1024


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebTown]:
    with serving_town(tmp_path_factory.mktemp("town")) as town:
        town.open()
        yield town


def look(town: WebTown, name: str, data: bytes) -> Any:
    """Send a file to be found out; what the API says of it once it was read."""
    body = {"name": name, "format": "guess", "size": len(data)}
    job = town.call("garage", "POST", "/v1/files", body).json()["id"]
    headers = {"Content-Type": PART}
    for at in range(0, len(data), 8 * MB):
        part = data[at : at + 8 * MB]
        path = f"/v1/files/{job}/content"
        sent = town.call("garage", "PATCH", path, content=part, headers=headers | {"Upload-Offset": str(at)})
        assert sent.status_code == 200, sent.text
    files: Files = get_files(town.service.desk)
    found = files.find(job)
    assert found is not None
    running = msgspec.structs.replace(found, state="running")
    files.save(running)
    take(files, town.service.node.writers[0], running, worker_count=0)
    shown = town.call("garage", "GET", f"/v1/files/{job}").json()
    town.call("garage", "DELETE", f"/v1/files/{job}")
    return shown


def zip_of(**parts: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return out.getvalue()


def book(*rows: list[Any], **more: bytes) -> bytes:
    """An XLSX file with these rows, and perhaps with other parts beside or instead."""
    made, out = Workbook(), io.BytesIO()
    for row in rows:
        made.active.append(row)
    made.save(out)
    with zipfile.ZipFile(out) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    return zip_of(**(parts | more))


def sheet(body: str, head: str = "") -> dict[str, bytes]:
    text = f"{head}<worksheet xmlns='x'><sheetData>{body}</sheetData></worksheet>"
    return {"xl/worksheets/sheet1.xml": text.encode()}


def wide_sheet(count: int) -> dict[str, bytes]:
    cells = "".join("<c t='str'><v>h</v></c>" for _ in range(count))
    return sheet(f"<row r='1'>{cells}</row><row r='2'>{cells}</row>")


ENTITIES = "<!DOCTYPE x [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;'>]>"
BOMBS: dict[str, tuple[str, Callable[[], bytes], str, str]] = {
    "gzip that unpacks a thousandfold": (
        "x.csv", lambda: gzip.compress(HEADER + ROW + b" " * (80 * MB), 9), "failed", "unpacks to more than",
    ),
    "zip ratio": ("x.xlsx", lambda: book(["vin"], **sheet(" " * (100 * MB))), "failed", "unpacks to more than"),
    "zip of ten thousand parts": (
        "x.xlsx", lambda: zip_of(**{f"p{n}": b"" for n in range(10_001)}), "failed", "more than 10,000 parts",
    ),
    "entities of XML": ("x.xlsx", lambda: book(["vin"], **sheet("&b;", ENTITIES)), "failed", "document type"),
    "a million columns of CSV": ("x.csv", lambda: b",".join([b"c"] * 1_000_000) + b"\n", "failed", "columns"),
    "sixteen thousand columns of XLSX": ("x.xlsx", lambda: book(["a"], **wide_sheet(16_000)), "failed", "columns"),
    "a million columns of XLSX": ("x.xlsx", lambda: book(["a"], **wide_sheet(1_000_000)), "failed", "columns"),
    "one line without an end": ("x.csv", lambda: HEADER + b"x" * (3 * MB), "waiting", ""),
    "a PDF that is called CSV": ("facture.csv", lambda: b"%PDF-1.7\n%\xe2\xe3", "failed", "PDF"),
    "an old Excel": ("travaux.xls", lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "failed", "old Excel"),
    "a program": ("x.xlsx", lambda: b"MZ\x90\x00\x03" + bytes(range(256)) * 4, "failed", ""),
    "a picture": ("x.csv", lambda: b"\x89PNG\r\n\x1a\n" + bytes(2_000), "failed", ""),
    "a zip that is no XLSX": ("x.xlsx", lambda: zip_of(readme=b"hello"), "failed", "unpack it"),
    "a zip that is cut": ("x.xlsx", lambda: book(["vin"])[:-40], "failed", "no XLSX file"),
    "blanks": ("x.csv", lambda: b" \n" * 50, "failed", "empty"),
    "a database": ("x.csv", lambda: b"SQLite format 3\x00" + bytes(100), "failed", "SQLite"),
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_upload__a_bomb_or_a_lie_is_told_what_it_is(town: WebTown, name: str) -> None:
    called, make, state, said = BOMBS[name]
    found = look(town, called, make())
    assert found["state"] == state, found
    assert found["counts"]["ready"] == found["counts"]["sealed"] == 0
    if state == "failed":
        assert found["failure"]["code"] in ("unreadable_file", "request_too_large")
        assert said in found["failure"]["detail"], found["failure"]
        assert len(found["failure"]["detail"]) < 500


def test_upload__is_read_by_what_it_is_and_not_by_its_name(town: WebTown) -> None:
    rows = [["vin", "day", "km"], [VIN, "2023-05-04", 41000]]
    assert look(town, "really.csv", book(*rows))["counts"]["ready"] == 1
    assert look(town, "really.xlsx", HEADER + ROW)["counts"]["ready"] == 1
    assert look(town, "../../../etc/passwd", gzip.compress(HEADER + ROW))["counts"]["ready"] == 1


def test_upload__with_macros_is_read_as_the_table_that_it_holds(town: WebTown) -> None:
    macros = {"xl/vbaProject.bin": b"\xd0\xcf\x11\xe0" + bytes(500)}
    found = look(town, "travaux.xlsm", book(["vin", "day", "km"], [VIN, "2023-05-04", 41001], **macros))
    assert (found["state"], found["counts"]["ready"]) == ("waiting", 1)


def test_upload__formulas_are_words_and_never_come_back_as_formulas(town: WebTown, tmp_path: Path) -> None:
    """The value that was stored with a formula is taken; one in a text stays a text, and is harmless in the errors."""
    evil = '=cmd|" /C calc"!A0'
    good = b"".join(ROW.replace(b"41000", b"%d" % (41_100 + at)) for at in range(12))
    data = HEADER + good + f'{VIN},2023-05-04,many,"{evil.replace(chr(34), chr(34) * 2)}"\n'.encode()
    body = {"name": "x.csv", "format": "guess", "size": len(data)}
    job = town.call("garage", "POST", "/v1/files", body).json()["id"]
    headers = {"Content-Type": PART, "Upload-Offset": "0"}
    town.call("garage", "PATCH", f"/v1/files/{job}/content", content=data, headers=headers)
    files: Files = get_files(town.service.desk)
    running = msgspec.structs.replace(files.get(town.members["garage"], job), state="running")
    files.save(running)
    take(files, town.service.node.writers[0], running, worker_count=0)
    path = f"/console/files/{job}/errors.csv"
    table = town.call("garage's clerk", "GET", path, headers={"Accept-Language": "en"})
    assert table.status_code == 200, table.text
    lines = table.text.removeprefix("\ufeff").splitlines()
    assert len(lines) == 2
    assert "'=cmd" in lines[1]
    computed = book(["vin", "day", "km"], [VIN, "2023-05-04", 41002], [VIN, "2023-05-05", "=40000+2"])
    # A formula without a stored value is a faulty cell: nothing is computed here, and a blank would be another word.
    counts = look(town, "x.xlsx", computed)["counts"]
    assert (counts["ready"], counts["faulty"]) == (1, 1)
