"""Whether a statement may bear another subject than its passport's: an alias, declared earlier, in its interval.

Knows clause 2.14; the entries that declare aliases come in opened. The order of tries and of refusals is the verifier's
(5.5.5), so that nothing is sealed here that a verifier would fail.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from carnet.encoding import encode
from carnet.errors import Reason, Refused
from carnet.types import Basis


class Declaration(NamedTuple):
    """The alias field of an identity entry that stands: its basis and whether it is superseded."""

    alias: object
    basis: int
    is_superseded: bool


def check_alias(subject: bytes, date: str | None, declarations: Iterable[Declaration]) -> None:
    """Raise Refused(SUBJECT_MISMATCH) if no declaration names this subject (its `cj`), Refused(NOT_ALIAS) if none
    that does holds on the written date. Declarations come from the highest seq down."""
    first: Refused | None = None
    for declared in declarations:
        alias = declared.alias
        if not isinstance(alias, dict) or encode(alias["subject"]) != subject:
            continue
        why = _find_fault(declared, alias, date)
        if why is None:
            return
        first = first or Refused(Reason.NOT_ALIAS, why)
    raise first or Refused(
        Reason.SUBJECT_MISMATCH,
        "the subject is neither the passport's nor declared as an alias by an identity entry before",
    )


def _find_fault(declared: Declaration, alias: dict[str, object], date: str | None) -> str | None:
    if declared.basis not in (Basis.OWN_KEY, Basis.HOSTED):
        return "the alias was only reported: its author did not sign for it"
    if declared.is_superseded:
        return "the entry that declared this alias was superseded"
    since, until = alias["from"], alias["until"]
    if date is None or not isinstance(since, str) or not (until is None or isinstance(until, str)):
        return "an alias needs a date of the event, to the day"
    if date < since or (until is not None and date >= until):
        return f"on {date} this subject was not the vehicle's: it was from {since} until {until or 'now'}"
    return None
