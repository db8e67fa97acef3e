"""An entry in words: what it is, when it happened, what the odometer showed, and its few telling details.

The words come from the kind's own schema, so that a kind which a vote adds is described as well as a built-in one. It
refuses to judge what it describes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from carnet.errors import Refused
from carnet.passport.kinds import Schema, get_schema
from carnet.types import brief

Fields = Mapping[str, Any]

TELLING: Final[dict[str, tuple[str, ...]]] = {
    "passport.opened/1": ("occasion",),
    "passport.transferred/1": ("reason", "note"),
    "passport.corrected/1": ("reason", "note"),
    "passport.rectified/1": ("reason", "note", "reference"),
    "passport.contested/1": ("reason", "note"),
    "passport.closed/1": ("reason", "note"),
    "vehicle.identity/1": ("make", "model", "alias", "energy", "first_registration"),
    "vehicle.odometer/1": ("purpose", "method"),
    "vehicle.odometer_replacement/1": ("reason", "workshop"),
    "vehicle.inspection/1": ("result", "nature", "defects", "centre", "valid_until"),
    "vehicle.service/1": ("activities", "invoice_text", "parts", "next_due"),
    "vehicle.repair/1": ("cause", "activities", "invoice_text", "parts"),
    "vehicle.assistance/1": ("symptom", "cause", "outcome", "towed_to"),
    "vehicle.accident/1": ("severity", "damage", "procedure", "place"),
    "vehicle.contract/1": ("type", "state", "cover", "price_cents"),
    "vehicle.declared/1": ("type", "title", "activities", "parts", "establishment", "price_cents", "note"),
    "vehicle.title/1": ("type", "price_cents", "country", "note"),
}
"""The fields of each kind that tell its story at a glance, in the order in which one would say them."""

RESULTS: Final[dict[str, str]] = {
    "A": "passed",
    "S": "major defects, re-test needed",
    "R": "critical defects, may not be driven",
    "X": "refused",
    "PASSED": "passed",
    "FAILED": "failed",
}
"""What the results of an inspection mean; those with a P beside the letter are shown as they stand."""

NATURES: Final[dict[str, str]] = {
    "VTP": "periodic",
    "VTC": "complementary",
    "CV": "re-visit",
    "CVC": "complementary re-visit",
}
"""The French natures of an inspection."""

_READING = ("odometer_km", "odometer_mi", "odometer_state", "new_odometer_km", "new_odometer_mi", "old_odometer_km")
_COMMON = ("kind", "occurred", "subject")


@dataclass(frozen=True, slots=True)
class Description:
    """`label` says what it is, `when` the date at its precision, `odometer` the reading or "", `details` the rest."""

    label: str
    when: str
    odometer: str
    details: tuple[str, ...]


def describe_entry(fields: Fields) -> Description:
    """An entry's shown fields in words. Fields that are withheld are not mentioned: they are counted elsewhere."""
    kind = str(fields.get("kind"))
    schema = find_schema(kind)
    return Description(
        label=kind if schema is None else schema.label,
        when=format_when(fields.get("occurred")),
        odometer=format_odometer(fields),
        details=tuple(_list_details(kind, schema, fields)),
    )


def find_schema(kind: str) -> Schema | None:
    """The schema of a kind that this program knows."""
    try:
        return get_schema(kind)
    except Refused:
        return None


def find_kind(text: str, kinds: tuple[str, ...]) -> str | None:
    """The kind that a person means by its full name, its name without version or family, or its label."""
    wanted = text.strip().lower()
    for kind in kinds:
        bare = kind.partition("/")[0]
        schema = find_schema(kind)
        if wanted in (kind, bare, bare.rpartition(".")[2], schema.label if schema else kind):
            return kind
    return None


def format_when(occurred: object) -> str:
    """`at` as it was written, a space between day and time; "date unknown" where the source does not tell."""
    if not isinstance(occurred, dict) or occurred.get("precision") == "unknown" or not occurred.get("at"):
        return "date unknown"
    return str(occurred["at"]).replace("T", " ")


def format_odometer(fields: Fields) -> str:
    """The reading with its unit, thousands apart; old and new of a replacement; why there is none, where it is said."""
    for old, new, unit in (("old_odometer_km", "new_odometer_km", "km"), ("old_odometer_mi", "new_odometer_mi", "mi")):
        pair = [fields.get(old), fields.get(new)]
        if any(isinstance(value, int) for value in pair):
            return " → ".join("?" if value is None else f"{value:,}" for value in pair) + f" {unit}"
    for name, unit in (("odometer_km", "km"), ("odometer_mi", "mi")):
        if isinstance(fields.get(name), int):
            return f"{fields[name]:,} {unit}"
    state = fields.get("odometer_state")
    return _words(str(state)) if state not in (None, "read") else ""


def _list_details(kind: str, schema: Schema | None, fields: Fields) -> list[str]:
    names = TELLING.get(kind, tuple(name for name in sorted(fields) if name not in _COMMON))
    # Asked for a few fields only, a reader wants to see those, telling or not.
    names += tuple(name for name in sorted(fields) if name not in names and _is_extra(name, kind))
    found = []
    for name in names:
        text = _format(kind, name, fields.get(name), fields)
        if text and name in TELLING.get(kind, ()):
            found.append(text)
        elif text:
            found.append(f"{schema.labels.get(name, name) if schema else name}: {text}")
    return found


def _is_extra(name: str, kind: str) -> bool:
    return kind not in TELLING and name not in _COMMON and name not in _READING


def _format(kind: str, name: str, value: object, fields: Fields) -> str:
    if value is None or value == [] or name in _READING:
        return ""
    if name == "price_cents" and isinstance(value, int):
        return f"{value // 100:,}.{value % 100:02d} {fields.get('currency') or ''}".strip().replace(".00 ", " ")
    if name == "alias" and isinstance(value, dict):
        return _format_alias(cast("dict[str, Any]", value))
    if name == "result" and isinstance(value, str):
        return (
            f"{RESULTS[value]} ({value})" if value in RESULTS and value not in ("PASSED", "FAILED") else value.lower()
        )
    if name == "nature" and value in NATURES:
        return f"{NATURES[str(value)]} ({value})"
    if name == "centre":
        return f"centre {value}"
    if name == "next_due" and isinstance(value, dict):
        parts = [str(value[part]) for part in ("date",) if value.get(part)]
        parts += [f"{value[f'odometer_{unit}']:,} {unit}" for unit in ("km", "mi") if value.get(f"odometer_{unit}")]
        return f"next due {' or '.join(parts)}" if parts else ""
    if name == "valid_until":
        return f"valid until {value}"
    if name == "first_registration":
        return f"first registered {value}"
    if isinstance(value, list):
        return "; ".join(_format_item(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{_words(key)} {brief(part)}" for key, part in sorted(value.items()) if part is not None)
    if isinstance(value, str):
        return _words(value) if value.islower() and " " not in value else value
    return brief(value)


def _format_alias(alias: dict[str, Any]) -> str:
    subject = alias.get("subject")
    if not isinstance(subject, dict):
        return "alias"
    until = f" until {alias['until']}" if alias.get("until") else ""
    return f"{subject.get('scheme')} {subject.get('value')} since {alias.get('from')}{until}"


def _format_item(item: object) -> str:
    """One of a list: a defect, a part, a piece of work."""
    if not isinstance(item, dict):
        return brief(item)
    named = next((item[name] for name in ("text", "label", "part", "code") if item.get(name)), None)
    severity = item.get("severity")
    quantity = item.get("quantity")
    text = brief(named, 120) if named is not None else ", ".join(brief(value) for value in item.values() if value)
    text = f"{text} ×{quantity}" if isinstance(quantity, int) and quantity > 1 else text
    return f"{_words(str(severity))}: {text}" if severity else text


def _words(code: str) -> str:
    return code.replace("_", " ")
