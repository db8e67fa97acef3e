"""A file that was made from a template: its headings say what each column is, and nothing of that is guessed.

How days and numbers are written in it is told by the cells. It refuses every other file.
"""

from __future__ import annotations

from collections.abc import Sequence

from carnet.formats.columns import make_column_mapping
from carnet.formats.guess_columns import Column
from carnet.formats.guess_plan import Plan
from carnet.formats.mapping_document import Reader
from carnet.formats.remarks import remark
from carnet.formats.templates import find_template


def compute_template_plan(reader: Reader, columns: Sequence[Column]) -> Plan | None:
    """The mapping of a file whose columns are those of a template; None for any other file."""
    found = find_template([column.name for column in columns])
    if found is None:
        return None
    template, meanings = found
    # A column that nobody filled in says nothing of how it is written.
    filled = {column.name: column for column in columns}
    chosen = {name: meaning for name, meaning in meanings.items() if filled[name].sort != "blank"}
    chosen |= {name: meaning for name, meaning in meanings.items() if meaning in ("vin", "plate", "day")}
    mapping = make_column_mapping(reader, columns, template.kind, chosen)
    return Plan(mapping, 100, (), (remark("template", template=template.name, kind=template.kind),))
