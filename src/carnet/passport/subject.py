"""The subject of a statement: a value under a scheme, checked as far as its scheme is known.

It refuses to know which passport a subject has, and whether an alias holds: those are questions of a chain.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from carnet.encoding import encode_trusted
from carnet.errors import Reason, Refused
from carnet.passport.plate import check_plate
from carnet.passport.vin import check_vin
from carnet.types import SCHEME, SUBJECT_VALUE_MAX_LENGTH, Subject, brief, is_plain_text, show

# The anonymised files of HistoVec: HV (inspections) or HR (register), then a hexadecimal digest.
_HISTOVEC = re.compile(r"H[VR][0-9a-f]{4,62}")


def check_subject(value: object, *, field: str = "subject") -> Subject:
    """Read `{scheme, value}`, or `{scheme, country, value}` for a plate, in its normal writing.

    Raises Refused WRONG_TYPE, UNKNOWN_FIELD, MISSING_FIELD, TEXT_NOT_ALLOWED, TEXT_TOO_LONG, VALUE_OUT_OF_RANGE,
    INVALID_VIN, INVALID_PLATE.
    """
    if not isinstance(value, Mapping):
        raise Refused(
            Reason.WRONG_TYPE, f"{field} must be an object with scheme and value", field=field, value=brief(value)
        )
    for name in value:
        if name not in ("scheme", "value", "country"):
            raise Refused(Reason.UNKNOWN_FIELD, f"{field} has no field {show(name)}", field=field, value=brief(name))
    parts: dict[str, str | None] = {}
    for name in ("scheme", "value", "country"):
        part = value.get(name)
        if part is None and name != "country":
            raise Refused(Reason.MISSING_FIELD, f"{field} lacks its {name}", field=f"{field}.{name}")
        if part is not None and not isinstance(part, str):
            raise Refused(
                Reason.WRONG_TYPE, f"{field}.{name} must be a text", field=f"{field}.{name}", value=brief(part)
            )
        parts[name] = None if part is None else str.__str__(part)
    try:
        return _check_parts(parts["scheme"] or "", parts["value"] or "", parts["country"])
    except Refused as refused:
        # The rule is the same wherever the subject stands; only here is it known under which name.
        refused.facts["field"] = field
        raise


def parse_subject(text: str) -> Subject:
    """Read what a person types: `vin:VF1…`, `plate:FR:AB-123-CD`, `histovec:HV…`, or a bare VIN. Raises as
    `check_subject` does."""
    scheme, colon, rest = text.strip().partition(":")
    if not colon:
        return _check_parts("vin", scheme, None)
    if scheme == "plate":
        country, colon, rest = rest.partition(":")
        return _check_parts("plate", rest if colon else country, country.upper() if colon else None)
    return _check_parts(scheme, rest, None)


def find_subject(scheme: str, value: str, country: str | None) -> Subject | None:
    """The subject in its normal writing, or None where `check_subject` would refuse it."""
    try:
        return _check_parts(scheme, value, country)
    except Refused:
        return None


def encode_subject(subject: Subject) -> bytes:
    """The `cj` of a checked subject's signed form, by which subjects are compared (clause 2.14)."""
    return encode_trusted(subject.to_json())


def is_histovec(value: str) -> bool:
    """Whether a value is a subject of the scheme `histovec`, for those who ask for each row of a file: whatever the
    pattern takes is plain, short and normal."""
    return _HISTOVEC.fullmatch(value) is not None


@lru_cache(maxsize=4096)
def _check_parts(scheme: str, value: str, country: str | None) -> Subject:
    """The checks of each scheme; remembered, since a file says many things in a row about one vehicle."""
    for part in (scheme, value, country or ""):
        if not is_plain_text(part):
            raise Refused(
                Reason.TEXT_NOT_ALLOWED,
                f"the subject holds a hidden or control character: {show(part)}",
                value=brief(part),
            )
    if SCHEME.fullmatch(scheme) is None:
        raise Refused(
            Reason.VALUE_OUT_OF_RANGE,
            f"{show(scheme)} is not a scheme: small letters, digits and _, 32 at most",
            value=brief(scheme),
        )
    if country is not None and scheme != "plate":
        raise Refused(
            Reason.UNKNOWN_FIELD, f"a subject of scheme {scheme} has no country; only a plate has", value=country
        )
    if len(value) > SUBJECT_VALUE_MAX_LENGTH:
        raise Refused(
            Reason.TEXT_TOO_LONG, f"the subject's value has {len(value)} characters, 64 at most", value=brief(value)
        )
    if scheme == "vin":
        return Subject("vin", check_vin(value).value)
    if scheme == "plate":
        if country is None:
            raise Refused(Reason.MISSING_FIELD, "a plate needs the country that issued it, such as FR")
        return Subject("plate", check_plate(country, value), country)
    if not value:
        raise Refused(Reason.VALUE_OUT_OF_RANGE, "the subject's value is empty", value=value)
    if scheme == "histovec" and _HISTOVEC.fullmatch(value) is None:
        raise Refused(
            Reason.VALUE_OUT_OF_RANGE,
            f"{show(value)} is not an id of the HistoVec files: HV or HR, then digits and a-f",
            value=brief(value),
        )
    return Subject(scheme, value)
