"""Papers about a vehicle: contracts, and what happens to its title (rules.md §2; HistoVec's operation types)."""

from __future__ import annotations

from carnet.passport.kinds.common import (
    COUNTRY,
    CURRENCY,
    KM,
    MI,
    NOTE,
    ONE_UNIT,
    PRICE,
    PRICED,
    REFERENCE,
    choice,
)
from carnet.passport.kinds.language import Day, InOrder, Text
from carnet.passport.kinds.schema import declare

CONTRACT = declare(
    "vehicle.contract/1",
    "contract",
    Text(name="cover", label="what it covers", max_length=400),
    CURRENCY,
    Day(name="end_date", label="last day"),
    PRICE,
    Text(name="provider", label="provider, as written", max_length=120),
    REFERENCE,
    Day(name="start_date", label="first day"),
    choice("state", "state", "opened in_force suspended changed closed", optional=False),
    choice(
        "type",
        "type",
        "insurance assistance maintenance_plan warranty lease rental finance other_service",
        optional=False,
    ),
    rules=(PRICED, InOrder("start_date", "end_date")),
)

TITLE_TYPES = (
    "first_registration change_of_holder sale_declared purchase_declared address_changed plate_changed usage_changed "
    "lien_registered lien_transferred lien_extended lien_lifted opposition_registered opposition_lifted "
    "seizure_registered seizure_lifted immobilised immobilisation_lifted suspended suspension_lifted "
    "stolen found title_lost title_stolen duplicate_title title_cancelled imported exported re_registered "
    "registered_abroad withdrawn returned_to_traffic destruction_declared destroyed corrected other"
)

TITLE = declare(
    "vehicle.title/1",
    "title",
    COUNTRY,
    CURRENCY,
    NOTE,
    KM,
    MI,
    PRICE,
    REFERENCE,
    Text(name="source_code", label="the register's own code of the operation", max_length=64),
    choice("type", "what happened to the title", TITLE_TYPES, optional=False),
    rules=(ONE_UNIT, PRICED),
)

KINDS = (CONTRACT, TITLE)
