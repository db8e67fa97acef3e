"""The messages of pages: what templates and pages say, and what the French catalogue makes of it.

`python -m tests.web.messages` adds new messages to the catalogue, empty, and drops those that nobody says any more;
a person translates them. It refuses to translate.
"""

from __future__ import annotations

from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.pofile import read_po, write_po

from carnet.web.language import CATALOGUES
from carnet.web.pages.telling import list_told

WEB = CATALOGUES.parent
KEYWORDS = DEFAULT_KEYWORDS | {"say": None}
FRENCH = CATALOGUES / "fr" / "LC_MESSAGES" / "carnet.po"


def extract_messages() -> Catalog:
    """Every message of the templates, of the pages' code, and of the tables that pages tell from."""
    catalog = Catalog(project="carnet", fuzzy=False)
    methods = [("pages/**.py", "python"), ("templates/**.html", "jinja2.ext:babel_extract")]
    options = {"templates/**.html": {"extensions": "jinja2.ext.do", "trimmed": "true", "silent": "false"}}
    for name, line, message, comments, context in extract_from_dir(str(WEB), methods, options, KEYWORDS):
        catalog.add(message, locations=[(Path(name).as_posix(), line)], auto_comments=comments, context=context)
    # What tables say is no message that the tool finds.
    for text in list_told():
        catalog.add(text)
    return catalog


def read_french() -> Catalog:
    """The catalogue as it stands."""
    with FRENCH.open("rb") as file:
        return read_po(file, locale="fr")


def main() -> None:
    """Bring the catalogue up to what is said now. A message that got a plural is marked as fuzzy, and told: nobody sees
    its translation before that mark is taken away."""
    catalog = read_french()
    catalog.update(extract_messages(), no_fuzzy_matching=True)
    catalog.obsolete.clear()
    catalog.project, catalog.version = "carnet", "0"
    catalog.last_translator, catalog.language_team, catalog.msgid_bugs_address = "the maintainers", "French", ""
    catalog.revision_date = catalog.creation_date
    catalog.fuzzy = False
    with FRENCH.open("wb") as file:
        write_po(file, catalog, width=120, no_location=True, omit_header=False, sort_output=True)
    print(sum(1 for message in catalog if message.id and not message.string), "messages to translate")
    print(sum(1 for message in catalog if message.id and message.fuzzy), "to look at again (fuzzy)")


if __name__ == "__main__":
    main()
