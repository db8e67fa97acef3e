"""The rubrics of a French registration document, from the names that a file gives them to vehicle.identity/1.

A zero, "NON DEFINI" and their like say that the register does not know: nothing is written for them. A masked VIN never
becomes a VIN. It refuses to know where in a file the rubrics stand.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from carnet.errors import Reason, Refused
from carnet.formats.histovec_days import read_moment, read_slashed_day
from carnet.types import show

_SAYS_NOTHING = frozenset({"", "NON DEFINI", "INCONNU", "INCONNUE", "SANS OBJET", "NEANT"})


class Rubric(NamedTuple):
    """One rubric: the file's column, the field, how it is read, and by what a quantity is multiplied."""

    column: str
    field: str
    form: str = "text"
    factor: int = 1


REGISTRY = (
    Rubric("marque", "make"),
    Rubric("nom_commercial", "model"),
    Rubric("tvv", "type_variant_version"),
    Rubric("num_cnit", "cnit"),
    Rubric("couleur", "colour"),
    Rubric("cveh_num_reception", "type_approval"),
    Rubric("CTEC_RLIB_CATEGORIE", "category"),
    Rubric("CTEC_RLIB_ENERGIE", "energy"),
    Rubric("CTEC_RLIB_POLLUTION", "euro_class"),
    Rubric("pt_tech_adm_f1", "mass_f1_kg", "quantity"),
    Rubric("ptac_f2", "mass_f2_kg", "quantity"),
    Rubric("ptra_f3", "mass_f3_kg", "quantity"),
    Rubric("pt_service_g", "mass_g_kg", "quantity"),
    Rubric("ptav_g1", "mass_g1_kg", "quantity"),
    Rubric("CTEC_CYLINDREE", "displacement_mm3", "quantity", 1_000),
    Rubric("CTEC_PUISSANCE_NETTE", "power_w", "quantity", 1_000),
    Rubric("CTEC_PLACES_ASSISES", "seats", "quantity"),
    Rubric("CTEC_CO2", "co2_g_per_km", "quantity"),
    Rubric("date_premiere_immat", "first_registration", "slashed day"),
)
"""The columns of the register's file; cubic centimetres become cubic millimetres, kilowatts become watts."""

REPORT = (
    Rubric("marque", "make"),
    Rubric("nom_commercial", "model"),
    Rubric("tvv", "type_variant_version"),
    Rubric("numero_cnit", "cnit"),
    Rubric("couleur", "colour"),
    Rubric("numero_de_reception", "type_approval"),
    Rubric("categorie_ue", "category"),
    Rubric("energie", "energy"),
    Rubric("classe_environnementale_ue", "euro_class"),
    Rubric("ptta", "mass_f1_kg", "quantity"),
    Rubric("ptac", "mass_f2_kg", "quantity"),
    Rubric("ptra", "mass_f3_kg", "quantity"),
    Rubric("ptes", "mass_g_kg", "quantity"),
    Rubric("ptav", "mass_g1_kg", "quantity"),
    Rubric("cylindree", "displacement_mm3", "quantity", 1_000),
    Rubric("puissance_nette", "power_w", "quantity", 1_000),
    Rubric("places_assises", "seats", "quantity"),
    Rubric("emission_co2", "co2_g_per_km", "quantity"),
    Rubric("date_premiere_immatriculation", "first_registration", "day"),
)
"""The same in a report's JSON."""


def read_identity(rubrics: tuple[Rubric, ...], given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of vehicle.identity/1 that the rubrics tell; Refused WRONG_TYPE, INVALID_TIME, VALUE_OUT_OF_RANGE
    with the column as `field`."""
    fields: dict[str, Any] = {"country": "FR"}
    for rubric in rubrics:
        value = given.get(rubric.column)
        if value is None:
            continue
        try:
            fields[rubric.field] = _read(rubric, value)
        except Refused as refused:
            refused.facts["field"] = rubric.column
            raise
    return fields


def read_text(value: object) -> str | None:
    """Words as written; None for those that say nothing."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise Refused(Reason.WRONG_TYPE, f"{show(value)} is not a text")
    text = value.strip()
    return None if text in _SAYS_NOTHING else text


def _read(rubric: Rubric, value: object) -> Any:
    if rubric.form == "quantity":
        return _read_quantity(value, rubric.factor)
    text = read_text(value)
    if text is None or rubric.form == "text":
        return text
    if rubric.form == "slashed day":
        return read_slashed_day(text)
    at = read_moment(text).at
    return None if at is None else at[:10]


def _read_quantity(value: object, factor: int) -> int | None:
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        raise Refused(Reason.WRONG_TYPE, f"{show(value)} is not a number")
    scaled = Decimal(value) * factor
    if scaled != scaled.to_integral_value():
        raise Refused(Reason.VALUE_OUT_OF_RANGE, f"{value} has more decimals than the entry's unit can hold")
    return int(scaled) or None
