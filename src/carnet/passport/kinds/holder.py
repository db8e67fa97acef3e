"""What the holder adds, and the administrative steps that the holder has to take (rules.md §2).

A declared entry says so by its kind and by its basis, whatever the value is worth. It refuses to judge that.
"""

from __future__ import annotations

from carnet.passport.kinds.common import (
    ACTIVITIES,
    COUNTRY,
    CURRENCY,
    ESTABLISHMENT,
    KM,
    MI,
    NOTE,
    ONE_UNIT,
    PARTS,
    PRICE,
    PRICED,
    REFERENCE,
    choice,
)
from carnet.passport.kinds.language import Code, Day, Items, Text
from carnet.passport.kinds.schema import declare

DECLARED = declare(
    "vehicle.declared/1",
    "declared by the holder",
    ACTIVITIES,
    CURRENCY,
    Code(name="document_sha256", label="digest of the document or invoice", form="sha256"),
    ESTABLISHMENT,
    NOTE,
    KM,
    MI,
    PARTS,
    Code(name="photo_sha256", label="digest of the photo", form="sha256"),
    PRICE,
    Text(name="title", label="title of the document", max_length=120),
    choice("type", "what it is", "reading own_work invoice document note", optional=False),
    rules=(ONE_UNIT, PRICED),
)

PROCEDURE = declare(
    "vehicle.procedure/1",
    "administrative step",
    COUNTRY,
    Day(name="due", label="to be done by this day"),
    NOTE,
    Items(
        name="papers",
        label="papers that it asks for",
        max_items=50,
        fields=(
            Text(name="name", label="paper", max_length=200, optional=False),
            Code(name="sha256", label="digest of the paper given", form="sha256"),
            choice("state", "state", "asked given accepted refused"),
        ),
    ),
    # The entry that proves the step, by its statement's digest (docs/spec 2.6).
    Code(name="proved_by", label="entry that proves it", form="sha256"),
    REFERENCE,
    choice("state", "state", "open submitted done refused abandoned", optional=False),
    choice(
        "type",
        "what has to be done",
        "registration sale purchase address_change inspection import export scrapping duplicate_title other",
        optional=False,
    ),
)

KINDS = (DECLARED, PROCEDURE)
