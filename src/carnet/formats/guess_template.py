"""A file that was made from a template: its headings say what each column is, and nothing of that is guessed.

How days and numbers are written in it is told by the cells. It refuses every other file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from carnet.formats.columns import FORM, make_column_mapping
from carnet.formats.guess_columns import Column
from carnet.formats.guess_plan import Plan, make_reading
from carnet.formats.mapping_document import Number, Reader
from carnet.formats.remarks import remark
from carnet.formats.templates import find_template
from carnet.passport.kinds import get_schema


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
    specs = {spec.name: spec for spec in get_schema(template.kind).fields}
    readable = [_make_readable(column, chosen.get(column.name, ""), specs) for column in columns]
    mapping = make_column_mapping(reader, readable, template.kind, chosen)
    return Plan(mapping, 100, (), (remark("template", template=template.name, kind=template.kind),))


def _make_readable(column: Column, meaning: str, specs: Mapping[str, object]) -> Column:
    """The column as its heading says, where its cells say otherwise: then it is they that are faulty, row by row."""
    if meaning not in specs or make_reading(meaning, column, specs[meaning]) is not None:
        return column
    number = column.number or Number(decimal=",", group=" ")
    return column._replace(sort="text", form=column.form or FORM, number=number)
