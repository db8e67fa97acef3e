"""The life of a passport itself: transferred, moved, corrected, contested, closed. Their marks do what their words
say."""

from __future__ import annotations

from carnet.passport.kinds.common import NOTE, choice
from carnet.passport.kinds.language import Code, Text
from carnet.passport.kinds.schema import declare
from carnet.types import Mark

TRANSFERRED = declare(
    "passport.transferred/1",
    "passport transferred",
    NOTE,
    choice("reason", "why", "sale gift inheritance company_change lease_end undone other", optional=False),
    marks=(Mark.TRANSFER,),
)

MOVED = declare(
    "passport.moved/1",
    "passport moved to another home",
    # The statement's target says the same, zero-padded; whoever appends it checks that they agree.
    Code(name="new_home", label="member id of the new home", form="id", optional=False),
    NOTE,
    marks=(Mark.MOVE,),
)

_WHAT_WAS_WRONG = choice(
    "reason",
    "what was wrong",
    "typing_error wrong_vehicle wrong_unit wrong_date duplicate did_not_happen other",
    optional=False,
)

# An author withdraws its own entry; only a member accredited for it withdraws another's (docs/spec 2.8, 2.9).
CORRECTED = declare(
    "passport.corrected/1", "entry withdrawn by its author", NOTE, _WHAT_WAS_WRONG, marks=(Mark.SUPERSEDES,)
)

RECTIFIED = declare(
    "passport.rectified/1",
    "entry withdrawn by a corrector",
    NOTE,
    _WHAT_WAS_WRONG,
    Text(name="reference", label="reference of the decision", max_length=64),
    marks=(Mark.SUPERSEDES,),
)

CONTESTED = declare(
    "passport.contested/1",
    "entry contested",
    NOTE,
    choice(
        "reason",
        "what is contested",
        "wrong_value wrong_vehicle wrong_date did_not_happen incomplete fraud_suspected other",
        optional=False,
    ),
    marks=(Mark.CONTESTS,),
)

CLOSED = declare(
    "passport.closed/1",
    "passport closed",
    Text(name="certificate", label="number of the certificate of destruction", max_length=64),
    NOTE,
    choice("reason", "why", "destroyed exported merged holder_request other", optional=False),
)

KINDS = (TRANSFERRED, MOVED, CORRECTED, RECTIFIED, CONTESTED, CLOSED)
