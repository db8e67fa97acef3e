"""What is said of a file that was looked at: codes with facts, and the sentence that each makes in English.

A page says the same in the reader's language, from code and facts, through its catalogue. It refuses to know who asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from carnet.errors import Reason, Refused
from carnet.types import Fact, fill_in

ERROR: Final = "error"
"""The fact that holds what a library said in its own words: a terminal shows it after the sentence, no page does."""


class Remark(NamedTuple):
    """A code of `SENTENCES` with the facts that its sentence is filled in with."""

    code: str
    facts: dict[str, Fact]

    def __str__(self) -> str:
        """The sentence in English, without its full stop, and what a library said of it."""
        said = fill_in(SENTENCES[self.code], self.facts)
        return f"{said}: {self.facts[ERROR]}" if ERROR in self.facts else said


def remark(code: str, **facts: Fact) -> Remark:
    """One remark."""
    return Remark(code, facts)


def refuse_file(code: str, *, file: str | None = None, **facts: Fact) -> Refused:
    """The refusal of a file that cannot be read, for this cause; `file` is its path."""
    refused = refuse_for(Remark(code, facts))
    if file is not None:
        refused.facts["file"] = file
    return refused


def refuse_for(cause: Remark) -> Refused:
    """The same for a remark that was made already."""
    refused = Refused(Reason.UNREADABLE_FILE, str(cause), cause=cause.code)
    refused.facts |= cause.facts
    return refused


def find_cause(refused: Refused) -> Remark | None:
    """Why a file was refused; None where the reason itself says it."""
    code = refused.facts.get("cause")
    if not isinstance(code, str) or code not in SENTENCES:
        return None
    facts = {name: fact for name, fact in refused.facts.items() if isinstance(fact, str | int)}
    return Remark(code, {name: fact for name, fact in facts.items() if name not in ("cause", "field", "file")})


def repeat_refusal(refused: Refused) -> Remark:
    """What a refusal says, as a remark."""
    found = find_cause(refused)
    return found or Remark("refused", {"message": refused.message, "reason": refused.reason.value})


_KNOWN: Final = "`carnet import %(importer)s` reads more of them than a mapping can"

SENTENCES: Final[Mapping[str, str]] = MappingProxyType(
    {
        # What is no table at all.
        "empty": "the file is empty",
        "binary": "this is no table: it holds bytes that no text has",
        "unmarked_utf16": "this looks like UTF-16 without its byte order mark: save it as UTF-8",
        "markup": "this is a web page, or XML: ask for the table itself, as CSV or XLSX",
        "parquet": "this is Parquet: hand its rows over as objects",
        "zip": "this is a zip archive, or XLSX: unpack it, or hand its rows over as objects",
        "pdf": "this is a PDF: ask for the table itself, as CSV or XLSX",
        "old_excel": "this is a file of an old Excel (XLS): save it as XLSX or CSV",
        "gzip": "this is packed with gzip: unpack it first",
        "sqlite": "this is a SQLite database: export a table as CSV",
        "no_table": "there is no table in it",
        "no_row": "there is no row in it",
        "bare_returns": "its lines end with a carriage return alone, as those of old Macs: save it with other line "
        "ends",
        "open_quote": "from line %(line)s on nothing can be read: a quotation mark is opened there, or not closed",
        "too_many_columns": "a table has at most %(most)s columns, and this one %(count)s or more",
        # A format that has an importer of its own.
        "known_histovec": f"these look like HistoVec's inspections: {_KNOWN}",
        "known_registry": f"this looks like HistoVec's register: {_KNOWN}",
        "known_report": f"this looks like a HistoVec report: {_KNOWN}",
        "known_dvsa_tests": f"these look like DVSA test records: {_KNOWN}",
        "known_dvsa_history": f"this looks like DVSA MOT history: {_KNOWN}",
        "known_rdw": f"these look like RDW records: {_KNOWN}",
        "known_vpic": f"this looks like an answer of vPIC: {_KNOWN}",
        # How it is written.
        "table": "a table with %(count)s columns",
        "objects": "JSON objects with %(count)s columns",
        "inner_list": "its rows seem to stand in the list %(name)s: hand in that list alone",
        "separated": "%(count)s columns separated by %(separator)s",
        "one_column": "a single column",
        "byte_order_mark": "%(encoding)s: it begins with its byte order mark",
        "cp1252": "Windows-1252: it is not UTF-8, and its accents are single bytes",
        "ascii": "plain ASCII, read as UTF-8",
        "utf8": "UTF-8: all of it can be read so",
        "sheet": "the table is in the sheet %(sheet)s",
        "header": "the first row names the columns",
        "header_line": "line %(line)s names the columns; what stands above it is passed over",
        "header_blank": "no header: its first row has a blank cell",
        "header_twice": "no header: its first row has %(name)s twice; give each column a name of its own",
        "header_values": "no header: its first row holds values like the others",
        # What its columns mean.
        "template": "the headings are those of the template %(template)s: each row is an entry %(kind)s",
        "kind": "each row is an entry %(kind)s",
        "vins": "%(column)s: VINs",
        "plates_beside": "%(column)s: plates, compared with those that the passport knows",
        "days": "%(column)s: days written %(form)s",
        "odometer": "%(column)s: odometer in %(unit)s",
        "odometer_unit": "%(column)s: odometer, its unit in %(units)s",
        "field": "%(column)s: %(field)s",
        # What is doubtful.
        "faulty": "%(count)s of %(all)s rows would be faulty, most often for %(rule)s",
        "faulty_in": "%(count)s of %(all)s rows would be faulty, most often for %(rule)s in %(column)s",
        "no_vehicle": "no column says which vehicle a row is about: neither a VIN, nor a plate, nor an id",
        "no_vins": "%(column)s seems by its name to hold VINs, and most of its cells are none: 17 characters, never "
        "I, O or Q",
        "no_kind": "no column is an odometer reading: say which kind of entry the rows are",
        "no_odometer": "no column is an odometer reading: the entries would have none",
        "no_day": "no column is the day on which it happened: it would be unknown",
        "unread_day": "%(column)s seems by its name to be the day, and is written in no form that is known here, such "
        "as 31/12/2020",
        "serial_days": "%(column)s: numbers, read as the days that spreadsheets count: 45292 is 1 January 2024",
        "mixed_days": "%(column)s: some cells are days, others texts. A spreadsheet that did so may have swapped day "
        "and month in the first: compare some with the paper",
        "other_sheets": "only the sheet %(sheet)s is read; %(other)s holds a table too",
        "plates_only": "%(column)s: plates only. A plate names a vehicle for a while: rows find a passport that knows "
        "the plate for that day, and open none",
        "own_id": "%(column)s: an id of the file's own; choose a scheme that names the file",
        "either_unit": "%(column)s: no word says whether it is kilometres or miles; kilometres are taken",
        "mileage_unit": "%(column)s: mileage is said of kilometres too; miles are taken",
        "two_units": "%(column)s: its heading and its cells speak of kilometres and of miles; say which it is",
        "several_odometers": "%(column)s is taken for the odometer; %(other)s could be it too",
        "several_days": "%(column)s is taken for the day on which it happened; %(other)s could be it too",
        "either_order": "%(column)s: no day in the sample is above 12, so dd/mm and mm/dd both fit; dd/mm is taken",
        "either_mark": "%(column)s: %(mark)s always stands before three digits; it is taken as the mark between "
        "thousands",
        "plate_country": "%(column)s: plates as in %(country)s; say so if they are of another country",
        "refused": "%(message)s",
        # Why a file cannot be read (to its end).
        "unclear": "it is not clear what the columns mean: choose for each one",
        "breaks_off": "the file breaks off here and the rest cannot be read",
        "not_to_its_end": "the file cannot be read to its end",
        "many_faulty": "more than %(most)s rows are faulty: is it a file of this format?",
        "named_gzip": "this file is packed with gzip; unpack it, or give it a name that ends in .gz",
        "packed_damaged": "the packed file is damaged, and cannot be unpacked",
        "packed_large": "the packed file unpacks to more than %(most)s bytes: unpack it yourself",
        "parquet_broken": "this Parquet file cannot be read",
        "parquet_name": "the name of a Parquet file may hold no *, ? or [: rename it",
        "xlsx_none": "this is no XLSX file",
        "xlsx_damaged": "this XLSX file is damaged",
        "zip_of_files": "this is a zip archive of other files: unpack it, and hand in the table that is in it",
        "open_document": "this is an OpenDocument file: save it as XLSX or CSV",
        "xlsb": "this is a binary Excel file (XLSB): save it as XLSX or CSV",
        "xlsx_part": "this XLSX file lacks its part %(part)s",
        "xlsx_parts": "this XLSX file has more than %(most)s parts",
        "xlsx_password": "this XLSX file is under a password: save it without one",
        "xlsx_large": "the part %(part)s unpacks to more than %(most)s bytes: this is no table",
        "xlsx_doctype": "this XLSX file declares a document type, which none may have",
        "xlsx_tag": "this XLSX file is damaged: one of its tags does not end",
        "xlsx_no_sheet": "this XLSX file shows no sheet",
        "xlsx_texts": "the texts of this XLSX file take more than %(most)s bytes: save it as CSV",
        "xlsx_columns": "row %(row)s has more than the %(most)s columns of a sheet: this is no table",
        "xlsx_no_text": "this XLSX file is damaged: a cell of row %(row)s names a text that is not there",
    }
)
"""Code → its sentence, without its full stop; `%(name)s` stands for a fact."""
