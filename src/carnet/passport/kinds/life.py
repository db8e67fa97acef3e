"""The first and the last day of a vehicle: how it left the plant, and who destroyed it (rules.md §2, domain.md §2).

They refuse to know the register: a first registration and an end of registration are titles.
"""

from __future__ import annotations

from carnet.passport.kinds.common import COUNTRY, KM, MI, NOTE, ONE_UNIT, REFERENCE, choice
from carnet.passport.kinds.language import Day, Integer, Items, Text
from carnet.passport.kinds.schema import declare

# The day of manufacture is `occurred`.
MANUFACTURE = declare(
    "vehicle.manufacture/1",
    "manufacture",
    COUNTRY,
    Integer(name="model_year", label="model year", minimum=1886, maximum=2999),
    NOTE,
    KM,
    MI,
    Items(
        name="options",
        label="options fitted at the plant",
        max_items=300,
        fields=(
            Text(name="code", label="maker's code", max_length=32),
            Text(name="text", label="what it is, as the maker says", max_length=200, optional=False),
        ),
    ),
    Text(name="plant", label="plant, as written", max_length=120),
    REFERENCE,
    rules=(ONE_UNIT,),
)

# Directive 2000/53/EC, article 5, and Decision 2002/151/EC: the certificate names its issuer, the issuer's permit and
# the day of issue (`occurred`). The last holder, whom it names too, stays out of the passport.
END_OF_LIFE = declare(
    "vehicle.end_of_life/1",
    "certificate of destruction",
    Text(name="approval_number", label="permit of the dismantler", max_length=64),
    Text(name="authority", label="authority that gave the permit", max_length=120),
    choice("battery", "what became of the traction battery", "none left_in removed_for_reuse removed_for_recycling"),
    Text(name="certificate", label="number of the certificate", max_length=64, optional=False),
    COUNTRY,
    Text(name="dismantler", label="dismantler, as written", max_length=120),
    Day(name="handed_over", label="day on which the vehicle was handed over"),
    NOTE,
    KM,
    MI,
    choice("reason", "why", "worn_out damaged abandoned seized holder_request other"),
    rules=(ONE_UNIT,),
)

KINDS = (MANUFACTURE, END_OF_LIFE)
