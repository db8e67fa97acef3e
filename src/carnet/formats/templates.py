"""The table that a member fills in, one for each kind of entry: its columns, in English and in French.

A file with these headings is known again with certainty, because the heading of the day names the kind. It refuses to
know how a table is written to a file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

Language: TypeAlias = Literal["en", "fr"]


ERROR_HEADINGS: Final[dict[Language, str]] = {"en": "Carnet: what to mend", "fr": "Carnet : à corriger"}
"""The heading of the column that says what is wrong with a row, in a table of faulty rows: it is no column of the
file."""


class Heading(NamedTuple):
    """A column: what it means (`vin`, `plate`, `day`, `odometer_km`, or a field of the kind), its heading in both
    languages, and what a cell of it looks like."""

    meaning: str
    en: str
    fr: str
    example: str

    def get(self, language: Language) -> str:
        """The heading in a language."""
        return self.fr if language == "fr" else self.en


class Template(NamedTuple):
    """The table of one kind; `name` is what its file is called."""

    kind: str
    name: str
    headings: tuple[Heading, ...]


_VIN = Heading("vin", "VIN", "VIN", "VF1BB05CF26010203")
_PLATE = Heading("plate", "Plate", "Immatriculation", "AB-123-CD")
_KM = Heading("odometer_km", "Odometer (km)", "Kilométrage (km)", "67204")
_WORK = Heading("invoice_text", "Work done", "Travaux effectués", "Vidange, filtre à huile")
_WHERE = Heading("establishment", "Workshop", "Atelier", "Garage des Tilleuls, Metz")
_LABOUR = Heading("labour_minutes", "Labour (minutes)", "Main-d'œuvre (minutes)", "45")


def _day(en: str, fr: str) -> Heading:
    return Heading("day", en, fr, "19/11/2026")


TEMPLATES: Final[tuple[Template, ...]] = (
    Template(
        "vehicle.service/1",
        "service",
        (_VIN, _PLATE, _day("Date of the service", "Date de l'entretien"), _KM, _WORK, _WHERE, _LABOUR),
    ),
    Template(
        "vehicle.repair/1",
        "repair",
        (_VIN, _PLATE, _day("Date of the repair", "Date de la réparation"), _KM, _WORK, _WHERE, _LABOUR),
    ),
    Template(
        "vehicle.inspection/1",
        "inspection",
        (
            _VIN,
            _PLATE,
            _day("Date of the inspection", "Date du contrôle"),
            _KM,
            Heading("result", "Result", "Résultat", "A"),
            Heading("nature", "Nature", "Nature", "VTP"),
            Heading("centre", "Centre", "Centre", "S026D878"),
            Heading("report_number", "Number of the report", "Numéro du procès-verbal", "26012345"),
            Heading("valid_until", "Valid until", "Valable jusqu'au", "19/11/2028"),
        ),
    ),
    Template(
        "vehicle.odometer/1", "odometer", (_VIN, _PLATE, _day("Date of the reading", "Date du relevé"), _KM, _WHERE)
    ),
)


def get_template(name: str) -> Template | None:
    """The template of this name."""
    return next((one for one in TEMPLATES if one.name == name), None)


def find_template(names: Sequence[str]) -> tuple[Template, dict[str, str]] | None:
    """The template that columns of these names are of, with the meaning of each; None where one of them is of no
    template, or the day or the vehicle is missing. Columns may be left out, and stand in any order."""
    names = drop_error_heading(names)
    for template in TEMPLATES:
        for language in ("en", "fr"):
            meanings = {_bare(heading.get(language)): heading.meaning for heading in template.headings}
            found = {name: meanings[_bare(name)] for name in names if _bare(name) in meanings}
            given = set(found.values())
            if len(found) == len(names) == len(given) and "day" in given and given & {"vin", "plate"}:
                return template, found
    return None


def drop_error_heading(names: Sequence[str]) -> list[str]:
    """The columns of a file, without the one that says what is wrong with its rows."""
    return [name for name in names if name not in ERROR_HEADINGS.values()]


def _bare(name: str) -> str:
    """A heading without what a spreadsheet may do to it: case, blanks, the kind of apostrophe."""
    return re.sub(r"\s+", " ", name.replace("\u2019", "'").strip()).casefold()
