"""The mapping document: how the columns of a file become the fields of one kind of entry.

It is data, written by a person or proposed by `guess`, and checked whole before the first row is read: each field
exists, each column is named once, what the kind requires is there. It refuses to know the file itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from carnet.errors import Reason, Refused
from carnet.formats.dates import check_form
from carnet.passport.kinds import Schema, get_schema
from carnet.passport.kinds.language import Choice as ChoiceSpec
from carnet.passport.kinds.language import Clock as ClockSpec
from carnet.passport.kinds.language import Code, Day, FieldSpec, Flag, Integer, Items, Record, SubjectField, Text
from carnet.passport.occurred import check_zone
from carnet.passport.plate import COUNTRY
from carnet.types import SCHEME, show

MAX_COLUMNS = 1_000
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A part of the document: what it does not know, it refuses."""


class Delimited(_Part, frozen=True, tag_field="type", tag="delimited"):
    """Text with a separator. `header` is true where the first row names the columns, or the number of the line that
    does where titles stand above it, which are passed over; without one the columns are called 1, 2, 3 and so on."""

    encoding: Literal["utf-8", "cp1252", "utf-16"] = "utf-8"
    separator: Annotated[str, msgspec.Meta(min_length=1, max_length=1)] = ","
    quote: Annotated[str, msgspec.Meta(min_length=1, max_length=1)] = '"'
    header: bool | Annotated[int, msgspec.Meta(ge=2, le=1_000)] = True

    @property
    def first_line(self) -> int:
        """The line, from 1, with which the table begins."""
        return 1 if isinstance(self.header, bool) else self.header


class Json(_Part, frozen=True, tag_field="type", tag="json"):
    """Objects, one a line or in one array; a column inside another is written with a dot."""


class Given(_Part, frozen=True, tag_field="type", tag="rows"):
    """Rows that another reader hands over as objects (Parquet, XLSX): days and numbers in their ISO writing. `sheet` is
    that of an XLSX file; without it, the first that is shown. `header` is the number of its row that names the columns;
    without it, the first that looks so."""

    sheet: Name | None = None
    header: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | None = None


Reader: TypeAlias = Delimited | Json | Given


class Number(_Part, frozen=True):
    """How a file writes numbers: `123 456,5 km` has the decimal `,`, the group ` ` and the suffix `km`."""

    decimal: Literal[".", ","] = "."
    group: Literal[" ", ".", ",", "'"] | None = None
    suffix: Annotated[str, msgspec.Meta(min_length=1, max_length=16)] | None = None


class About(_Part, frozen=True):
    """What a row is about: the value of a column, or one for the whole file, under a scheme. `legacy` says that VINs of
    fewer than 17 characters are chassis numbers of old vehicles; without it they are faulty, since a VIN that lost a
    character would be another vehicle."""

    scheme: str
    column: Name | None = None
    value: Name | None = None
    country: str | None = None
    legacy: bool = False


class Plate(_Part, frozen=True):
    """A plate that the rows give beside another subject: it is compared with those that the passport knows."""

    column: Name
    country: str
    empty: tuple[str, ...] = ()


class When(_Part, frozen=True):
    """When it happened: a column in a form (see `dates`), and perhaps the time of day in another; or unknown."""

    column: Name | None = None
    form: str = "iso"
    time_column: Name | None = None
    zone: str | None = None


class Odometer(_Part, frozen=True):
    """The reading: its unit is one for the file, or told in a column whose words are `units`; never converted."""

    column: Name
    unit: Literal["km", "mi"] | None = None
    unit_column: Name | None = None
    units: dict[str, Literal["km", "mi"]] = {}
    number: Number = Number()
    empty: tuple[str, ...] = ()


class Words(_Part, frozen=True, tag_field="read", tag="text"):
    """Words as written; those of `empty` say nothing."""

    field: Name
    column: Name
    empty: tuple[str, ...] = ()


class Quantity(_Part, frozen=True, tag_field="read", tag="integer"):
    """A number times `factor`, which must come out whole: kilowatts by 1000 are watts."""

    field: Name
    column: Name
    number: Number = Number()
    factor: Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)] = 1
    empty: tuple[str, ...] = ()


class Date(_Part, frozen=True, tag_field="read", tag="day"):
    """A day in a form (see `dates`)."""

    field: Name
    column: Name
    form: str = "iso"
    empty: tuple[str, ...] = ()


class Choice(_Part, frozen=True, tag_field="read", tag="choice"):
    """A word of the file for each word of the entry; one that is not listed is a fault."""

    field: Name
    column: Name
    values: dict[str, str]
    empty: tuple[str, ...] = ()


class YesNo(_Part, frozen=True, tag_field="read", tag="flag"):
    """The words that mean yes, and those that mean no."""

    field: Name
    column: Name
    yes: tuple[str, ...]
    no: tuple[str, ...]
    empty: tuple[str, ...] = ()


class Constant(_Part, frozen=True, tag_field="read", tag="constant"):
    """One value for every row: what the file's own documentation says."""

    field: Name
    value: str | int | bool


Reading: TypeAlias = Words | Quantity | Date | Choice | YesNo | Constant


class Mapping(_Part, frozen=True, kw_only=True):
    """The whole document."""

    format: Literal[1] = 1
    reader: Reader
    kind: str
    subject: About
    plate: Plate | None = None
    occurred: When = When()
    odometer: Odometer | None = None
    fields: tuple[Reading, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The document as plain JSON, to be written, edited and read again; what has its usual value is there too."""
        document: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self))
        return document

    def columns(self) -> list[str]:
        """The columns of the file that the document names, each once, in the order of the document."""
        return list(dict.fromkeys(_columns_of(self)))


def read_mapping(document: object) -> Mapping:
    """Read and check a mapping document; every fault names its place.

    Raises Refused WRONG_TYPE (not such a document), UNKNOWN_KIND, UNKNOWN_FIELD, MISSING_FIELD (the kind requires it),
    FIELDS_CONFLICT (given twice, or a column and a constant), INVALID_TIME (a form or zone), NOT_IN_LIST,
    VALUE_OUT_OF_RANGE.
    """
    try:
        mapping = msgspec.convert(document, Mapping)
    except msgspec.ValidationError as error:
        raise Refused(Reason.WRONG_TYPE, f"this is no mapping document: {error}") from None
    check_mapping(mapping)
    return mapping


def check_mapping(mapping: Mapping) -> None:
    """Refuse a mapping that could read no row at all, with the reasons of `read_mapping`."""
    schema = get_schema(mapping.kind)
    if isinstance(mapping.reader, Delimited) and mapping.reader.separator == mapping.reader.quote:
        raise Refused(Reason.FIELDS_CONFLICT, "the separator and the quote are the same", field="reader.quote")
    _check_about(mapping.subject)
    _check_plate(mapping)
    check_form(mapping.occurred.form)
    if mapping.occurred.zone is not None:
        check_zone(mapping.occurred.zone)
    given = [reading.field for reading in mapping.fields]
    for reading in mapping.fields:
        _check_reading(schema, reading)
    if mapping.odometer is not None:
        given += _check_odometer(schema, mapping.odometer)
    for name in given:
        if given.count(name) > 1:
            raise Refused(Reason.FIELDS_CONFLICT, f"the field {name} is given twice", field=name)
    for spec in schema.fields:
        if not spec.optional and spec.name not in given:
            raise Refused(Reason.MISSING_FIELD, f"{mapping.kind} requires {spec.name}", field=spec.name)


def _check_about(about: About) -> None:
    if about.column is None and about.value is None:
        saying = "it does not say which vehicle a row is about: subject needs a column, or one value for the whole file"
        raise Refused(Reason.MISSING_FIELD, saying, field="subject")
    if about.column is not None and about.value is not None:
        saying = "the subject is a column or a value, and not both"
        raise Refused(Reason.FIELDS_CONFLICT, saying, field="subject")
    if SCHEME.fullmatch(about.scheme) is None:
        raise Refused(Reason.VALUE_OUT_OF_RANGE, f"{show(about.scheme)} is not a scheme", field="subject.scheme")
    if about.legacy and about.scheme != "vin":
        saying = "legacy is said of VINs alone: other numbers have no length"
        raise Refused(Reason.FIELDS_CONFLICT, saying, field="subject.legacy")
    if (about.scheme == "plate") != (about.country is not None):
        saying = "a plate, and nothing else, needs the country that issued it"
        raise Refused(Reason.FIELDS_CONFLICT, saying, field="subject.country")
    if about.country is not None:
        _check_country(about.country, "subject.country")


def _check_plate(mapping: Mapping) -> None:
    if mapping.plate is None:
        return
    if mapping.subject.scheme == "plate":
        saying = "the subject is a plate already; a plate beside it belongs to a VIN or an id"
        raise Refused(Reason.FIELDS_CONFLICT, saying, field="plate")
    _check_country(mapping.plate.country, "plate.country")


def _check_country(country: str, field: str) -> None:
    if COUNTRY.fullmatch(country) is None:
        raise Refused(
            Reason.VALUE_OUT_OF_RANGE, f"{show(country)} is not a country of two capital letters", field=field
        )


def _check_odometer(schema: Schema, odometer: Odometer) -> list[str]:
    """The fields that the reading gives."""
    if (odometer.unit is None) == (odometer.unit_column is None):
        saying = "the unit of the odometer is one for the file, or in a column, and not both"
        raise Refused(Reason.FIELDS_CONFLICT, saying, field="odometer.unit")
    if (odometer.unit_column is None) != (not odometer.units):
        saying = "units list the words of the unit column, and only with it"
        raise Refused(Reason.FIELDS_CONFLICT, saying, field="odometer.units")
    names: list[str] = [name for name in ("odometer_km", "odometer_mi", "odometer_state") if name in schema.names]
    if "odometer_km" not in names:
        raise Refused(Reason.UNKNOWN_FIELD, f"{schema.kind} has no odometer", field="odometer")
    return names


def _check_reading(schema: Schema, reading: Reading) -> None:
    spec = next((spec for spec in schema.fields if spec.name == reading.field), None)
    if spec is None:
        saying = f"{schema.kind} has no field {show(reading.field)}; it has {', '.join(s.name for s in schema.fields)}"
        raise Refused(Reason.UNKNOWN_FIELD, saying, field=reading.field)
    if isinstance(reading, Date):
        check_form(reading.form)
    if not _suits(spec, reading):
        saying = f"{reading.field} cannot be read as {type(reading).__struct_config__.tag}"
        raise Refused(Reason.WRONG_TYPE, saying, field=reading.field)
    if isinstance(reading, Choice) and isinstance(spec, ChoiceSpec) and not spec.national:
        for word in reading.values.values():
            if word not in spec.choices:
                saying = f"{reading.field} is one of {', '.join(spec.choices)}, not {show(word)}"
                raise Refused(Reason.NOT_IN_LIST, saying, field=reading.field)


def _suits(spec: FieldSpec, reading: Reading) -> bool:
    # Lists, records and subjects have no one column: files that hold them have a reader of their own.
    if isinstance(spec, (Items, Record, SubjectField)):
        return False
    if isinstance(reading, Constant):
        return isinstance(reading.value, _CONSTANTS.get(type(spec), str))
    return isinstance(spec, _SUITED[type(reading)])


_CONSTANTS: dict[type, type] = {Integer: int, Flag: bool}
_SUITED: dict[type, tuple[type, ...]] = {
    Words: (Text, ChoiceSpec, ClockSpec, Code),
    Quantity: (Integer,),
    Date: (Day,),
    Choice: (ChoiceSpec, Text),
    YesNo: (Flag,),
}


def _columns_of(mapping: Mapping) -> Iterator[str]:
    odometer = mapping.odometer
    named = [mapping.subject.column, mapping.occurred.column, mapping.occurred.time_column]
    if mapping.plate is not None:
        named.append(mapping.plate.column)
    if odometer is not None:
        named += [odometer.column, odometer.unit_column]
    named += [None if isinstance(reading, Constant) else reading.column for reading in mapping.fields]
    yield from (name for name in named if name is not None)
