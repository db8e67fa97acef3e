"""A clerk's reading that goes against one that the member itself sealed before: told once, before it is sealed.

A warning and no refusal: who sends the form again seals it. That the earlier entry was read stands in the holder's
journal, as any look does. It refuses to know what others wrote.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from carnet.errors import Reason, Refused
from carnet.node.own_readings import read_own_readings
from carnet.services.access import get_view
from carnet.services.own_readings import Doubt, find_doubt, find_reading
from carnet.services.principals import Principal
from carnet.types import MemberId, Subject
from carnet.web.desk import Desk
from carnet.web.language import Language, load_translations
from carnet.web.pages.holding import get_holdings, note_look
from carnet.web.wording import get_wording


def find_own_doubt(
    desk: Desk,
    principal: Principal,
    member: MemberId,
    subject: Subject,
    day: str,
    fields: Mapping[str, Any],
    besides: int | None = None,
) -> Doubt | None:
    """What the member's own entries say against a reading; `besides` is the place of the one that is being corrected.
    Whatever else would be refused is left to the sealing."""
    reading = find_reading(fields)
    if reading is None:
        return None
    with desk.reading() as reader:
        try:
            chain = reader.find_chain(subject)
            if chain is None:
                return None
            before = read_own_readings(reader, member, [chain], besides=besides)
            doubt = find_doubt(before.get(chain.id, []), day, *reading)
            if doubt is not None:
                view = get_view(reader, get_holdings(desk), principal, chain.chain16)
                note_look(desk, principal, reader, view, [doubt.before.kind])
        except Refused as refused:
            if refused.reason not in (Reason.ERASED, Reason.UNKNOWN_PASSPORT):
                raise
            return None
    return doubt


def name_doubt(doubt: Doubt, subject: Subject, day: str, fields: Mapping[str, Any]) -> str:
    """What a clerk has seen and is sure about: with another reading, day or vehicle it is another doubt."""
    said = (doubt.code, doubt.before.seq, str(subject), day, find_reading(fields))
    return hashlib.sha256(repr(said).encode()).hexdigest()[:32]


def say_doubt(language: Language, doubt: Doubt) -> str:
    """What the member certified before, and what to do."""
    _ = load_translations(language).gettext
    wording, before = get_wording(language), doubt.before
    told = {"reading": wording.reading(before.value, before.unit), "day": wording.day(before.day, "long")}
    sentences = {
        "lower": _("You certified %(reading)s on %(day)s; this reading is lower."),
        "higher": _("You certified %(reading)s on %(day)s, which is later; this reading is higher."),
        "earlier": _("You certified %(reading)s on %(day)s; this reading is of an earlier day."),
    }
    return sentences[doubt.code] % told


def say_row_doubt(language: Language, code: str) -> str:
    """The same for a row of a file. It tells no value: the vehicle's page does, and notes the look."""
    _ = load_translations(language).gettext
    sentences = {
        "lower": _("Lower than a reading that you certified before."),
        "higher": _("Higher than a reading that you certified for a later day."),
        "earlier": _("Of an earlier day than a reading that you certified before."),
    }
    return sentences.get(code, "")
