"""Openings: the first entry of each chain, which says on what occasion it was opened (rules.md §4)."""

from __future__ import annotations

from carnet.passport.kinds.common import choice
from carnet.passport.kinds.language import Code, Flag, Integer, Text
from carnet.passport.kinds.schema import declare
from carnet.types import INT_MAX, Mark

PASSPORT_OPENED = declare(
    "passport.opened/1",
    "passport opened",
    choice(
        "occasion",
        "why it was opened now",
        "first_registration import inspection service sale file other",
        optional=False,
    ),
    Text(name="source", label="the file or register it was opened from", max_length=120),
    # format.md, Completeness: history is complete "for this passport", and an opening after an erasure says so.
    Flag(name="after_erasure", label="an earlier passport of this subject was erased"),
    marks=(Mark.NONE,),
)

JOURNAL_OPENED = declare(
    "journal.opened/1",
    "journal opened",
    Integer(name="epoch", label="the holder's epoch", minimum=0, maximum=INT_MAX, optional=False),
    Code(name="passport", label="the passport whose journal it is", form="id"),
    chain="journal",
    marks=(Mark.NONE,),
)

KINDS = (PASSPORT_OPENED, JOURNAL_OPENED)
