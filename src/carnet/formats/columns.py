"""What each column of a file means, in one word for each: how a person changes a mapping with select boxes.

    vin   legacy   plate   day   time   odometer_km   odometer_mi   unit   or a field of the kind

`legacy` is a VIN, or the shorter chassis number of a vehicle from before 1981.

How days, numbers and plates are written is taken from what the cells look like. It refuses to guess a meaning.
"""

from __future__ import annotations

from collections.abc import Mapping as Object
from collections.abc import Sequence
from typing import Any, Final

from carnet.errors import Reason, Refused
from carnet.formats.dates import SERIAL
from carnet.formats.guess_columns import Column
from carnet.formats.guess_plan import UNITS, is_serial, make_reading
from carnet.formats.mapping_document import (
    About,
    Constant,
    Mapping,
    Number,
    Odometer,
    Plate,
    Reader,
    Reading,
    When,
    check_mapping,
)
from carnet.passport.kinds import get_schema
from carnet.passport.kinds.language import Choice, Clock, Code, Day, Flag, Integer, Text
from carnet.passport.vin import check_not_short, check_vin

VEHICLE: Final = ("vin", "legacy", "plate")
COMMON: Final = ("vin", "legacy", "plate", "day", "time", "odometer_km", "odometer_mi")
FORM: Final = "dd/mm/yyyy"
COUNTRY: Final = "FR"
_READABLE: Final = (Text, Integer, Choice, Day, Clock, Code, Flag)
_ODOMETER: Final = ("odometer_km", "odometer_mi", "odometer_state")


def list_meanings(kind: str) -> list[str]:
    """What a column of a file of this kind may mean. Raises Refused(UNKNOWN_KIND)."""
    schema = get_schema(kind)
    common = [name for name in COMMON if not name.startswith("odometer") or name in schema.names]
    fields = [spec.name for spec in schema.fields if isinstance(spec, _READABLE) and spec.name not in _ODOMETER]
    return [*common, *fields]


def find_meanings(mapping: Mapping) -> dict[str, str]:
    """What each column means that a mapping names."""
    found: dict[str, str] = {}
    if mapping.subject.column is not None:
        found[mapping.subject.column] = "legacy" if mapping.subject.legacy else mapping.subject.scheme
    if mapping.plate is not None:
        found[mapping.plate.column] = "plate"
    if mapping.occurred.column is not None:
        found[mapping.occurred.column] = "day"
    if mapping.occurred.time_column is not None:
        found[mapping.occurred.time_column] = "time"
    if mapping.odometer is not None:
        found[mapping.odometer.column] = f"odometer_{mapping.odometer.unit or 'km'}"
        if mapping.odometer.unit_column is not None:
            found[mapping.odometer.unit_column] = "unit"
    found |= {one.column: one.field for one in mapping.fields if not isinstance(one, Constant)}
    return found


def make_column_mapping(
    reader: Reader, columns: Sequence[Column], kind: str, meanings: Object[str, str], vin: str = ""
) -> Mapping:
    """The mapping in which each of these columns means what is said of it; the others are not read. `vin` is that of
    the one vehicle that all rows are about, where no column says it.

    Raises Refused UNKNOWN_KIND, UNKNOWN_FIELD (no such column or meaning), FIELDS_CONFLICT (two columns mean the same,
    or a column and `vin`), MISSING_FIELD (no vehicle, or what the kind requires), WRONG_TYPE (the cells cannot be read
    so), INVALID_VIN.
    """
    by_name = {column.name: column for column in columns}
    allowed = list_meanings(kind)
    of: dict[str, Column] = {}
    for name, meaning in meanings.items():
        if name not in by_name or meaning not in allowed:
            saying = f"there is no column {name[:60]!a} that could mean {meaning[:60]!a}"
            raise Refused(Reason.UNKNOWN_FIELD, saying, field=name)
        if meaning in of:
            raise Refused(Reason.FIELDS_CONFLICT, f"two columns mean {meaning}: choose one", field=name)
        of[meaning] = by_name[name]
    if of.keys() >= {"vin", "legacy"}:
        raise Refused(Reason.FIELDS_CONFLICT, "two columns are the VIN: choose one", field=of["legacy"].name)
    if vin and of.keys() & set(VEHICLE):
        saying = "the vehicle is said by a column, and for the whole file: choose one of the two"
        raise Refused(Reason.FIELDS_CONFLICT, saying, field="subject")
    if not vin and not of.keys() & set(VEHICLE):
        saying = "no column says which vehicle a row is about: choose the one of the VIN, or of the plate"
        raise Refused(Reason.MISSING_FIELD, saying, field="vin")
    fields = [_make_field(kind, meaning, column) for meaning, column in of.items() if meaning not in COMMON]
    odometer = _make_odometer(of)
    if odometer is None and "odometer_state" in get_schema(kind).names:
        fields.append(Constant(field="odometer_state", value="not_stated"))
    mapping = Mapping(
        reader=reader,
        kind=kind,
        subject=_make_one_vehicle(vin) if vin else _make_subject(of),
        plate=_make_plate(of),
        occurred=_make_when(of),
        odometer=odometer,
        fields=tuple(fields),
    )
    check_mapping(mapping)
    return mapping


def _make_subject(of: Object[str, Column]) -> About:
    for meaning in ("vin", "legacy"):
        if meaning in of:
            return About(scheme="vin", column=of[meaning].name, legacy=meaning == "legacy")
    plate = of["plate"]
    return About(scheme="plate", column=plate.name, country=plate.country or COUNTRY)


def _make_one_vehicle(vin: str) -> About:
    number = check_vin(vin)
    check_not_short(number.value, "Where it is right, the file needs a column that is said to be an old chassis number")
    return About(scheme="vin", value=number.value)


def _make_plate(of: Object[str, Column]) -> Plate | None:
    plate = of.get("plate")
    if plate is None or not of.keys() & {"vin", "legacy"}:
        return None
    return Plate(column=plate.name, country=plate.country or COUNTRY, empty=plate.empty)


def _make_when(of: Object[str, Column]) -> When:
    day = of.get("day")
    if day is None:
        return When()
    time = of.get("time")
    return When(
        column=day.name,
        form=day.form or (SERIAL if is_serial(day) else FORM),
        time_column=None if time is None else time.name,
    )


def _make_odometer(of: Object[str, Column]) -> Odometer | None:
    units: list[Any] = [unit for unit in ("km", "mi") if f"odometer_{unit}" in of]
    if len(units) > 1:
        raise Refused(Reason.FIELDS_CONFLICT, "the odometer is in kilometres or in miles: choose one column")
    if not units:
        return None
    column = of[f"odometer_{units[0]}"]
    number = column.number or Number(decimal=",", group=" ")
    if UNITS.get(number.suffix or "", units[0]) != units[0]:
        # What is said to be kilometres is never read from cells that say miles: such rows are faulty.
        number = Number(decimal=number.decimal, group=number.group, suffix=units[0])
    return Odometer(column=column.name, unit=units[0], number=number, empty=column.empty)


def _make_field(kind: str, field: str, column: Column) -> Reading:
    spec = next(spec for spec in get_schema(kind).fields if spec.name == field)
    found = make_reading(field, column, spec)
    if found is None:
        raise Refused(Reason.WRONG_TYPE, f"what stands in {column.name[:60]} cannot be read as {field}", field=field)
    return found
