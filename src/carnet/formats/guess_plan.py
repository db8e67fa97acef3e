"""From what columns look like, and what they are called, to a mapping document with reasons.

The words are those that French, English, German, Dutch, Spanish, Italian and Polish files use. It refuses to hide a
doubt: each is a remark.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal, NamedTuple

from carnet.errors import Refused
from carnet.formats.dates import SERIAL
from carnet.formats.guess_columns import Column
from carnet.formats.mapping_document import (
    About,
    Choice,
    Constant,
    Date,
    Mapping,
    Number,
    Odometer,
    Plate,
    Quantity,
    Reader,
    Reading,
    When,
    Words,
    YesNo,
    check_mapping,
)
from carnet.formats.remarks import Remark, remark, repeat_refusal
from carnet.passport.kinds import get_schema
from carnet.passport.kinds.language import Choice as ChoiceSpec
from carnet.passport.kinds.language import Clock as ClockSpec
from carnet.passport.kinds.language import Day as DaySpec
from carnet.passport.kinds.language import Flag as FlagSpec
from carnet.passport.kinds.language import Integer as IntegerSpec

_DAY_NAMES = "date jour day datum tag datetime timestamp fecha data giorno dzien"
_DAY_WORDS = f"{_DAY_NAMES} when le"
_NOT_THE_DAY = "fin end used created"
# A day of these is another than that of the row: when the car was new, or what is to come.
_NEVER_THE_DAY = (
    "first premiere ere mise mec dmec circulation immat immatriculation registration registered regn erstzulassung ez "
    "toelating naissance birth expiry valid valable validite echeance until due next prochain prochaine "
    "matriculacion vencimiento proxima immatricolazione scadenza prossima nastepny nastepna nastepne waznosci"
)
_ODOMETER_WORDS = (
    "km kms kilometrage compteur kilometres kilometers mileage miles odometer odo tachostand kilometerstand "
    "kilometros kilometraje cuentakilometros chilometri chilometraggio contachilometri przebieg tellerstand "
    "laufleistung"
)
# Numbers of these are kilometres too, and none that an odometer showed that day.
_NEVER_THE_ODOMETER = (
    "next prochain prochaine due an year annual annuel annuelle yearly interval intervalle max limit limite forfait "
    "proximo proxima prossimo prossima anual annuale garantie warranty conso consumption co g kg l h vitesse speed "
    "price prix per par cout cost distance trip trajet"
)
UNITS: dict[str, Literal["km", "mi"]] = {
    **dict.fromkeys(
        "km kms kilometrage kilometre kilometres kilometer kilometers kilometerstand kilometros chilometri".split(),
        "km",
    ),
    **dict.fromkeys("mi mile miles millas miglia".split(), "mi"),
}
"""Words that say in which unit an odometer counts, in headings and behind numbers."""
_VIN_WORDS = "vin chassis fin bastidor telaio nadwozia fahrgestellnummer chassisnummer"
OWN: Final = "file"
"""The scheme of ids of the file's own, until somebody names a better one."""

_VEHICLE_WORDS, _ID_WORDS = "vehicle vehicule chassis fahrzeug", "id ref reference"
_OF_A_NUMBER = "n no nr num number numero nummer code key cle identifier identifiant de du des of the le la"
"""What may stand beside a word for a vehicle in the name of its id: a type or a speed is that of many."""
_KINDS = (
    ("vehicle.inspection/1", "inspection controle technique ct mot apk tuv hu pv test itv revisione badanie"),
    ("vehicle.repair/1", "repair reparation panne reparatur reparatie reparacion averia riparazione guasto naprawa"),
    (
        "vehicle.service/1",
        (
            "service entretien revision invoice facture fact travaux garage workshop atelier maintenance prestation "
            "onderhoud werkzaamheden factuur werkplaats wartung arbeiten rechnung werkstatt mantenimiento taller "
            "trabajo trabajos factura tagliando manutenzione officina lavori fattura serwis przeglad warsztat faktura"
        ),
    ),
)
# Words that inspections use, and much else: several of them together are one.
_OF_INSPECTIONS = "nature result resultat resultaat centre"
# Field of the entry → words in the column's name that mean it.
_MEANINGS: dict[str, str] = {
    "centre": "centre center station",
    "result": "result resultat resultaat",
    "nature": "nature",
    "report_number": "pv report rapport certificate certificat",
    "end_time": "end fin",
    "valid_until": "valid valable expiry echeance validite until",
    "establishment": "garage workshop atelier etablissement establishment werkplaats werkstatt taller officina "
    "warsztat",
    "invoice_text": "invoice facture libelle prestation travaux designation description omschrijving werkzaamheden "
    "arbeiten beschreibung trabajo trabajos descripcion lavori descrizione opis",
    "labour_minutes": "minutes min mn",
}
# The last word of a field's name → what may stand behind its numbers.
_SIGNS: dict[str, tuple[str, ...]] = {
    "minutes": ("min", "mn", "mins", "minute", "minutes"),
    "km": ("km", "kms"),
    "mi": ("mi", "mile", "miles"),
    **{unit: (unit,) for unit in ("kg", "w", "wh", "mv", "ppm", "ml", "mah", "pa", "rpm", "s", "m", "c")},
}
# The same → how papers write it: kilowatts, cubic centimetres, euros, lambda; and how many of the field's make one.
_PAPERS: dict[str, tuple[tuple[str, ...], int]] = {
    "w": (("kw",), 1000),
    "mm3": (("cm³", "ccm", "cc"), 1000),
    "cents": (("eur", "chf", "gbp"), 100),
    "permille": ((), 1000),
}
_RESULT_WORDS = {
    **dict.fromkeys(("pass", "passed", "p"), "PASSED"),
    **dict.fromkeys(("fail", "failed", "f"), "FAILED"),
    "prs": "GB:PRS",
}
_YES = frozenset("oui yes o y x 1 vrai true ja".split())
_NO = frozenset("non no n 0 faux false nein nee".split())


class Plan(NamedTuple):
    """A proposed mapping, or none; how sure it is (0 to 100); what is doubtful; what it rests on. Where a vehicle or a
    reading is missing, `draft` is what was understood all the same: no file can be read by it before that is said."""

    mapping: Mapping | None
    confidence: int
    doubts: tuple[Remark, ...]
    reasons: tuple[Remark, ...]
    draft: Mapping | None = None


def compute_plan(reader: Reader, columns: Sequence[Column], file_name: str) -> Plan:
    """The mapping that fits the columns best; a draft alone where nothing says which vehicle a row is about, or what
    was read.
    """
    doubts: list[Remark] = []
    reasons: list[Remark] = []
    about = _find_subject(columns, doubts, reasons)
    columns = [_find_serial_days(column) for column in columns]
    day = _find_day(columns, doubts)
    odometer = _find_odometer(columns, doubts, reasons)
    told = _find_kind(columns, file_name)
    if odometer is None and day is None and about is not None and about[0].scheme == OWN:
        # A word in some heading makes no event of rows that have neither day nor reading, and may be of no vehicles.
        told = None
    missing = _list_missing(columns, about, has_kind=odometer is not None or told is not None)
    confidence = 0 if about is None else about[1]
    if odometer is not None:
        confidence = min(confidence, odometer[1])
    elif told is not None:
        doubts.append(remark("no_odometer"))
        confidence = min(confidence, 60)
    when = When()
    if day is not None:
        when = _make_when(day, columns)
        _tell_doubt(day, doubts)
        confidence = min(confidence, day.confidence)
        reasons.append(remark("days", column=day.name, form=day.form or "iso"))
    elif not missing:
        doubts += _tell_no_day(columns)
        confidence = min(confidence, 40)
    kind = told or "vehicle.odometer/1"
    if told is not None or odometer is not None:
        reasons.append(remark("kind", kind=kind))
    subject = About(scheme="vin") if about is None else about[0]
    used = {subject.column, when.column, when.time_column}
    reading = None if odometer is None else odometer[0]
    if reading is not None:
        used |= {reading.column, reading.unit_column}
    fields = _find_fields(kind, [column for column in columns if column.name not in used], doubts, reasons)
    # A reading that is missing is not one that was not stated: of a draft, nothing could be read.
    if reading is None and told is not None and "odometer_state" in get_schema(kind).names:
        fields += (Constant(field="odometer_state", value="not_stated"),)
    mapping = Mapping(
        reader=reader,
        kind=kind,
        subject=subject,
        plate=_find_plate(subject, columns, reasons),
        occurred=when,
        odometer=reading,
        fields=fields,
    )
    if missing:
        return Plan(None, 0, (*missing, *doubts), tuple(reasons), mapping if mapping.columns() else None)
    try:
        check_mapping(mapping)
    except Refused as refused:
        return Plan(None, 0, (repeat_refusal(refused), *doubts), tuple(reasons))
    return Plan(mapping, confidence, tuple(doubts), tuple(reasons))


def _list_missing(columns: Sequence[Column], about: object, *, has_kind: bool) -> list[Remark]:
    """What no column says, and without which no entry can be made."""
    missing = []
    if about is None:
        named = _find_named(columns, _VIN_WORDS)
        missing += [remark("no_vehicle"), *([remark("no_vins", column=named)] if named else [])]
    if not has_kind:
        missing.append(remark("no_kind"))
    return missing


def _tell_no_day(columns: Sequence[Column]) -> Iterator[Remark]:
    yield remark("no_day")
    others = _NEVER_THE_DAY.split()
    named = _find_named([c for c in columns if c.sort != "day" and not _words(c.name) & {*others}], _DAY_NAMES)
    if named is not None:
        yield remark("unread_day", column=named)


def _find_subject(columns: Sequence[Column], doubts: list[Remark], reasons: list[Remark]) -> tuple[About, int] | None:
    for column in columns:
        if column.sort == "vin":
            reasons.append(remark("vins", column=column.name))
            return About(scheme="vin", column=column.name), column.confidence
    for column in columns:
        if column.sort == "plate" and column.country is not None:
            _tell_doubt(column, doubts)
            doubts.append(remark("plates_only", column=column.name))
            return About(scheme="plate", column=column.name, country=column.country), min(60, column.confidence)
    for told in (_VEHICLE_WORDS, _ID_WORDS):
        for column in columns:
            words = _words(column.name)
            if column.sort not in ("text", "word", "number") or not words & {*told.split()}:
                continue
            if told is _VEHICLE_WORDS and words - {*told.split(), *_ID_WORDS.split(), *_OF_A_NUMBER.split()}:
                continue
            doubts.append(remark("own_id", column=column.name))
            return About(scheme=OWN, column=column.name), 40
    return None


def _find_named(columns: Sequence[Column], told: str) -> str | None:
    """The first column that is called so, and whose cells were of no use for it."""
    return next((c.name for c in columns if c.sort != "blank" and _words(c.name) & {*told.split()}), None)


def _find_plate(about: About, columns: Sequence[Column], reasons: list[Remark]) -> Plate | None:
    """A plate beside another subject, where its country is beyond doubt."""
    for column in columns:
        if column.sort == "plate" and column.country and column.doubt is None and about.scheme != "plate":
            reasons.append(remark("plates_beside", column=column.name))
            return Plate(column=column.name, country=column.country, empty=column.empty)
    return None


def _tell_doubt(column: Column, doubts: list[Remark]) -> None:
    if column.doubt is not None:
        doubts.append(column.doubt)


def _find_day(columns: Sequence[Column], doubts: list[Remark]) -> Column | None:
    days = [c for c in columns if c.sort == "day" and not _words(c.name) & {*_NEVER_THE_DAY.split()}]

    def rank(column: Column) -> int:
        words = _words(column.name)
        return bool(words & {*_DAY_WORDS.split()}) - 2 * bool(words & {*_NOT_THE_DAY.split()})

    best = [column for column in days if rank(column) == max(map(rank, days))]
    if not best:
        return None
    day = max(best, key=lambda column: column.confidence)
    others = [column.name for column in best if column is not day]
    if others:
        doubts.append(remark("several_days", column=day.name, other=others[0]))
    return day


def _find_serial_days(column: Column) -> Column:
    """A column of numbers that by its name and their size are days as spreadsheets count them: no reading of that day,
    and no English data."""
    words = _words(column.name)
    is_day = words & {*_DAY_NAMES.split()} - {"data"} and not words & {*_ODOMETER_WORDS.split()}
    if not is_day or not is_serial(column):
        return column
    doubt = remark("serial_days", column=column.name)
    return column._replace(sort="day", confidence=60, form=SERIAL, number=None, doubt=doubt)


def is_serial(column: Column) -> bool:
    """Whether the numbers of a column could be days as spreadsheets count them: 20000 is in 1954, 60000 in 2064."""
    number = column.number
    is_plain = column.sort == "number" and number is not None and number.group is None and number.suffix is None
    return is_plain and column.smallest >= 20_000 and column.largest <= 60_000


def _make_when(day: Column, columns: Sequence[Column]) -> When:
    clocks = [column for column in columns if column.sort == "clock" and not _words(column.name) & {"end", "fin"}]
    has_clock = day.form is not None and ("HH" in day.form or day.form in ("iso", SERIAL))
    clock = None if has_clock or not clocks else clocks[0].name
    return When(column=day.name, form=day.form or "iso", time_column=clock)


def _find_odometer(
    columns: Sequence[Column], doubts: list[Remark], reasons: list[Remark]
) -> tuple[Odometer, int] | None:
    numbers = [c for c in columns if c.number is not None and not _words(c.name) & {*_NEVER_THE_ODOMETER.split()}]
    named = [column for column in numbers if _words(column.name) & {*_ODOMETER_WORDS.split()}]
    suffixed = [column for column in numbers if column.number and column.number.suffix in UNITS]
    found = named or suffixed
    column = next(iter(found), None)
    if column is None or column.number is None:
        return None
    confidence = column.confidence
    _tell_doubt(column, doubts)
    if len(found) > 1:
        doubts.append(remark("several_odometers", column=column.name, other=found[1].name))
        confidence = min(confidence, 60)
    units = next(
        (c for c in columns if c.sort == "word" and _words(c.name) & {"unit", "unite", "units", "einheit"}), None
    )
    known = {"km": "km", "kilometres": "km", "kilometers": "km", "k": "km", "mi": "mi", "miles": "mi", "m": "mi"}
    if units is not None and all(word.lower() in known for word in units.words):
        words: Any = {word: known[word.lower()] for word in units.words}
        reasons.append(remark("odometer_unit", column=column.name, units=units.name))
        reading = Odometer(
            column=column.name, unit_column=units.name, units=words, number=column.number, empty=column.empty
        )
        return reading, confidence
    unit, doubt = _tell_unit(column)
    if doubt is not None:
        doubts.append(doubt)
        confidence = min(confidence, 50)
    reasons.append(remark("odometer", column=column.name, unit=unit))
    return Odometer(column=column.name, unit=unit, number=column.number, empty=column.empty), confidence


def _tell_unit(column: Column) -> tuple[Literal["km", "mi"], Remark | None]:
    """The unit that the cells say, or else the heading; and the doubt where they say none, or both."""
    words = _words(column.name)
    suffix = None if column.number is None else column.number.suffix
    units = {UNITS[word] for word in (*words, suffix) if word in UNITS}
    if len(units) == 1 and (suffix is None or suffix in UNITS):
        return units.pop(), None
    if len(units) > 1:
        return UNITS.get(suffix or "", "km"), remark("two_units", column=column.name)
    if suffix is None and "mileage" in words:
        return "mi", remark("mileage_unit", column=column.name)
    return "km", remark("either_unit", column=column.name)


def _find_kind(columns: Sequence[Column], file_name: str) -> str | None:
    """The kind that the names of the file and of its columns speak of, if they speak of any."""
    words = _words(file_name).union(*(_words(column.name) for column in columns))
    scores = [(len(words & {*told.split()}), -place, kind) for place, (kind, told) in enumerate(_KINDS)]
    vague = len(words & {*_OF_INSPECTIONS.split()})
    if vague > 1 or scores[0][0]:
        scores[0] = (scores[0][0] + vague, *scores[0][1:])
    score, _, kind = max(scores)
    return kind if score else None


def _find_fields(
    kind: str, columns: Sequence[Column], doubts: list[Remark], reasons: list[Remark]
) -> tuple[Reading, ...]:
    specs = {spec.name: spec for spec in get_schema(kind).fields}
    found: dict[str, Reading] = {}
    for column in columns:
        words = _words(column.name)
        for field, told in _MEANINGS.items():
            spec = specs.get(field)
            if spec is None or field in found or not words & {*told.split()}:
                continue
            reading = make_reading(field, column, spec)
            if reading is not None:
                found[field] = reading
                if not isinstance(reading, Words):
                    _tell_doubt(column, doubts)
                reasons.append(remark("field", column=column.name, field=field))
                break
    return tuple(found.values())


def make_reading(field: str, column: Column, spec: object) -> Reading | None:
    """How a column is read as a field of this type; None where its cells are of no use for it."""
    if isinstance(spec, ChoiceSpec):
        return _make_choice(field, column, spec)
    if isinstance(spec, DaySpec):
        return Date(field=field, column=column.name, form=column.form, empty=column.empty) if column.form else None
    if isinstance(spec, ClockSpec):
        return Words(field=field, column=column.name, empty=column.empty) if column.sort == "clock" else None
    if isinstance(spec, IntegerSpec):
        return _make_quantity(field, column)
    if isinstance(spec, FlagSpec):
        return _make_flag(field, column)
    return Words(field=field, column=column.name, empty=column.empty) if column.sort != "blank" else None


def _make_choice(field: str, column: Column, spec: ChoiceSpec) -> Reading | None:
    # A column with one value in each row may look like text, and be a choice all the same.
    if column.sort != "word":
        return Words(field=field, column=column.name, empty=column.empty) if column.sort == "text" else None
    if all(word in spec.choices for word in column.words):
        return Words(field=field, column=column.name, empty=column.empty)
    values = {word: _RESULT_WORDS.get(word.lower(), word) for word in column.words}
    is_known = all(value in spec.choices or (spec.national and ":" in value) for value in values.values())
    return Choice(field=field, column=column.name, values=values, empty=column.empty) if is_known else None


def _make_quantity(field: str, column: Column) -> Reading | None:
    """A whole number of the field's unit. What is written behind the numbers is that unit, or the one of papers, or the
    cells are faulty: hours are no minutes. Bare numbers are in the unit of papers."""
    number = column.number
    if number is None:
        return None
    last = next((word for word in ("permille", "cents", "mm3", "w") if word in field.split("_")), "")
    signs, factor = _PAPERS.get(last, ((), 1))
    if number.suffix is not None and number.suffix not in signs:
        if number.suffix in _SIGNS.get(field.rpartition("_")[2], ()):
            factor = 1
        else:
            number = Number(decimal=number.decimal, group=number.group)
    return Quantity(field=field, column=column.name, number=number, factor=factor, empty=column.empty)


def _make_flag(field: str, column: Column) -> Reading | None:
    yes = tuple(word for word in column.words if word.lower() in _YES)
    no = tuple(word for word in column.words if word.lower() in _NO)
    is_known = bool(column.words) and len(yes) + len(no) == len(column.words)
    return YesNo(field=field, column=column.name, yes=yes, no=no, empty=column.empty) if is_known else None


def _words(name: str) -> set[str]:
    """The words of a name, small, without accents: `Date_Contrôle` and `dateControle` give date and controle."""
    bare = unicodedata.normalize("NFD", re.sub(r"([a-z])([A-Z])", r"\1 \2", name))
    plain = "".join(character for character in bare if not unicodedata.combining(character)).lower()
    return {*re.findall(r"[a-z]+", plain)}
