"""What insurers state and experts find: claims over a period, and the damage seen on a vehicle on one day.

An insurance policy itself is a contract; the procedure that follows a grave damage belongs to the accident. It refuses
to know the policyholder.
"""

from __future__ import annotations

from carnet.passport.kinds.common import CENTS_MAX, COUNTRY, CURRENCY, KM, MI, NOTE, ONE_UNIT, REFERENCE, choice
from carnet.passport.kinds.language import Code, Day, InOrder, Integer, Items, Text, Together
from carnet.passport.kinds.schema import declare

# Implementing Regulation (EU) 2024/1855: the template of the claims-history statement of Directive 2009/103/EC, article
# 16. An empty list of claims is the statement that there were none.
INSURANCE_CLAIMS = declare(
    "vehicle.insurance_claims/1",
    "claims statement",
    # France writes 0.50 to 3.50; other countries a class of their own.
    Integer(name="bonus_malus_hundredths", label="bonus-malus coefficient, hundredths", minimum=0, maximum=10_000),
    Text(name="bonus_malus_class", label="bonus-malus class, as the country writes it", max_length=32),
    Items(
        name="claims",
        label="claims in the period",
        max_items=200,
        fields=(
            Integer(name="amount_cents", label="paid, in cents", minimum=0, maximum=CENTS_MAX),
            Day(name="date", label="day of the loss", optional=False),
            choice("fault", "share of the fault", "full partial none not_settled"),
            choice("state", "state", "open settled refused withdrawn"),
            choice(
                "type",
                "type",
                "liability_injury liability_damage own_damage glass theft fire nature assistance other",
                optional=False,
            ),
        ),
    ),
    COUNTRY,
    CURRENCY,
    Text(name="insurer", label="insurer, as written", max_length=120),
    NOTE,
    Day(name="period_end", label="last day of the period", optional=False),
    Day(name="period_start", label="first day of the period", optional=False),
    REFERENCE,
    rules=(InOrder("period_start", "period_end"),),
)

DAMAGE = declare(
    "vehicle.damage/1",
    "damage seen",
    CURRENCY,
    Items(
        name="damage",
        label="what is damaged; an empty list says that nothing is",
        max_items=100,
        fields=(
            Text(name="part", label="part of the vehicle", max_length=120, optional=False),
            Code(name="photo_sha256", label="digest of a photo", form="sha256"),
            choice("severity", "how badly", "light medium heavy"),
            Text(name="text", label="the damage, as written", max_length=400),
        ),
    ),
    Integer(name="estimate_cents", label="estimate of the repair, in cents", minimum=0, maximum=CENTS_MAX),
    NOTE,
    choice("occasion", "on what occasion", "contract_start contract_end claim expertise sale other", optional=False),
    KM,
    MI,
    REFERENCE,
    rules=(ONE_UNIT, Together(("currency", "estimate_cents"))),
)

KINDS = (INSURANCE_CLAIMS, DAMAGE)
