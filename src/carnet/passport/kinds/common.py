"""Fields that several kinds share, so that one thing has one name and one limit wherever it is written.

It refuses to know which kinds use them.
"""

from __future__ import annotations

from carnet.passport.kinds.language import AtMostOne, Choice, Code, Integer, Items, Text, Together

ODOMETER_MAX = 9_999_999
"""More than any road vehicle has done, and more digits than any counter shows."""

CENTS_MAX = 10**12

KM = Integer(name="odometer_km", label="odometer, kilometres as read", minimum=0, maximum=ODOMETER_MAX)
MI = Integer(name="odometer_mi", label="odometer, miles as read", minimum=0, maximum=ODOMETER_MAX)
ONE_UNIT = AtMostOne(("odometer_km", "odometer_mi"))
"""A reading is written in the unit in which it was read, never converted. Source: format.md, Bytes."""

PRICE = Integer(name="price_cents", label="price, hundredths of the currency", minimum=0, maximum=CENTS_MAX)
CURRENCY = Code(name="currency", label="currency of the price", form="currency")
PRICED = Together(("currency", "price_cents"))

NOTE = Text(name="note", label="note", max_length=1000)
COUNTRY = Code(name="country", label="country", form="country")
REFERENCE = Text(name="reference", label="reference of the file, as its issuer writes it", max_length=64)
ESTABLISHMENT = Text(name="establishment", label="where the work was done, as written", max_length=120)

ODOMETER_STATES = ("read", "unreadable", "no_odometer", "not_stated")
"""The DVSA's three results, and the case of a file that says nothing (domain.md §2)."""


def choice(name: str, label: str, choices: str, *, optional: bool = True, national: bool = False) -> Choice:
    """A choice from words separated by blanks."""
    return Choice(name=name, label=label, choices=tuple(choices.split()), optional=optional, national=national)


ACTIVITIES = Items(
    name="activities",
    label="work done",
    max_items=100,
    fields=(
        Text(name="code", label="standard activity code", max_length=32),
        Text(name="text", label="what was done, as the invoice says", max_length=400, optional=False),
    ),
)
PARTS = Items(
    name="parts",
    label="parts fitted",
    max_items=200,
    fields=(
        Text(name="label", label="what the part is", max_length=200, optional=False),
        Integer(name="quantity", label="how many", minimum=1, maximum=1000),
        Text(name="reference", label="maker's reference", max_length=64),
        Text(name="serial", label="serial number", max_length=64),
    ),
)
