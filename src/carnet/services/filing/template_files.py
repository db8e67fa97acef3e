"""The table that a member fills in, as an XLSX file: headings, columns that are typed, and a page of explanations.

Its headings are known again by `formats.templates`. It refuses to put an example among the rows: it would be sealed.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any, Final

from carnet.formats.templates import Heading, Language, Template

MEDIA_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

_WIDTHS: Final = {"vin": 21, "plate": 16, "day": 22, "invoice_text": 46, "establishment": 28}
_TEXTS: Final[dict[Language, dict[str, str]]] = {
    "en": {
        "help": "Help",
        "column": "Column",
        "example": "Example",
        "how": "How to fill it in",
        "vehicle": "The VIN, or else the plate: one of the two is enough. A plate finds a vehicle that is known by it.",
        "day": "A day. It is never in the future.",
        "number": "A whole number, as the counter shows it.",
        "text": "As you would write it. It may stay empty.",
        "keep": "Keep the headings as they are; columns that you do not need may be removed. One row is one entry.",
    },
    "fr": {
        "help": "Aide",
        "column": "Colonne",
        "example": "Exemple",
        "how": "Comment la remplir",
        "vehicle": "Le VIN, sinon la plaque : l'un des deux suffit. La plaque trouve un véhicule déjà connu.",
        "day": "Un jour, jamais dans l'avenir.",
        "number": "Un nombre entier, comme le compteur le montre.",
        "text": "Comme vous l'écririez. La cellule peut rester vide.",
        "keep": "Gardez les en-têtes tels quels ; retirez les colonnes inutiles. Une ligne est une écriture.",
    },
}


def write_template(template: Template, language: Language, title: str) -> bytes:
    """The file. `title` is what a person calls the kind; it names the sheet."""
    # Here, since few ask for a table and every worker starts.
    from xlsxwriter import Workbook

    out = BytesIO()
    book = Workbook(out, {"in_memory": True})
    sheet = book.add_worksheet(_name_sheet(title))
    head = book.add_format({"bold": True, "bottom": 2, "valign": "top", "text_wrap": True})
    forms = {
        "day": book.add_format({"num_format": "dd/mm/yyyy"}),
        "odometer_km": book.add_format({"num_format": "0"}),
        "labour_minutes": book.add_format({"num_format": "0"}),
        "valid_until": book.add_format({"num_format": "dd/mm/yyyy"}),
    }
    # As text: a spreadsheet makes a number of what looks like one.
    plain = book.add_format({"num_format": "@"})
    for at, heading in enumerate(template.headings):
        width = _WIDTHS.get(heading.meaning, 18)
        sheet.set_column(at, at, width, forms.get(heading.meaning, plain))
        sheet.write_string(0, at, heading.get(language), head)
    sheet.freeze_panes(1, 0)
    sheet.set_row(0, 32)
    _write_help(book, template, language, head)
    book.close()
    return out.getvalue()


def _write_help(book: Any, template: Template, language: Language, head: Any) -> None:
    texts = _TEXTS[language]
    sheet = book.add_worksheet(texts["help"])
    wrap = book.add_format({"text_wrap": True, "valign": "top"})
    sheet.set_column(0, 0, 26)
    sheet.set_column(1, 1, 28)
    sheet.set_column(2, 2, 70)
    for at, name in enumerate(("column", "example", "how")):
        sheet.write_string(0, at, texts[name], head)
    for row, heading in enumerate(template.headings, 1):
        sheet.write_string(row, 0, heading.get(language), wrap)
        sheet.write_string(row, 1, heading.example, wrap)
        sheet.write_string(row, 2, texts[_explain(heading)], wrap)
    sheet.write_string(len(template.headings) + 2, 0, texts["keep"])


def _explain(heading: Heading) -> str:
    if heading.meaning in ("vin", "plate"):
        return "vehicle"
    if heading.meaning in ("day", "valid_until"):
        return "day"
    return "number" if heading.meaning in ("odometer_km", "labour_minutes") else "text"


def _name_sheet(title: str) -> str:
    """A name that a sheet may have: 31 characters, none of them of a path."""
    return "".join(character for character in title if character not in "[]:*?/\\")[:31] or "Carnet"
