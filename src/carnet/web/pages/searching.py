"""What both pages of the audit trail share, the operators' and a member's: a search as it was asked for, what it found,
and the file of it. It refuses to know who may search: their policies say it, and `accounts.trail` what each may see.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from litestar.response import Stream

from carnet.services.accounts.auditing import PAGE
from carnet.services.accounts.office import Office
from carnet.services.accounts.trail import Search, export, make_search, search
from carnet.services.principals import Principal
from carnet.web.language import Language
from carnet.web.pages.acts import say_action
from carnet.web.pages.grounds import name_standings, say_ground

MEDIA_TYPES: Final = {"csv": "text/csv; charset=utf-8", "json": "application/x-ndjson"}
MAX_WORD: Final = 80


def read_search(given: Mapping[str, Any], fields: tuple[str, ...]) -> dict[str, str]:
    """What was asked for, of these fields; what is absent is empty."""
    return {name: str(given.get(name, ""))[:MAX_WORD] for name in fields}


def list_found(
    office: Office, principal: Principal, language: Language, asked: dict[str, str], wanted: Search | None, before: str
) -> dict[str, Any]:
    """A page of events, newest first, with the words for each and for its ground; and the query of the older ones,
    where there are any."""
    found = [] if wanted is None else search(office, principal, wanted, before=before or None)
    older = None
    if len(found) == PAGE:
        older = urlencode({**{name: value for name, value in asked.items() if value}, "before": found[-1].id})
    events = [(event, say_action(language, event.action), say_ground(language, event)) for event in found]
    return {"asked": asked, "events": events, "older": older, "standings": name_standings(language)}


def give_file(office: Office, principal: Principal, asked: dict[str, str], format_: str) -> Stream:
    """All that was searched for, as a file. Raises Refused as `export` and `make_search`."""
    pieces = export(office, principal, make_search(**asked), format_)
    name = f"audit-trail.{'csv' if format_ == 'csv' else 'jsonl'}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Stream(pieces, media_type=MEDIA_TYPES[format_], headers=headers)
