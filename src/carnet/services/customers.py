"""Inviting a member's customers from a list of theirs: for each vehicle that the member opened or serviced, a code with
which its owner claims the passport, and the link of the page to claim it on.

The list is read and given back; nothing of it is kept but the codes, each for a passport. Who the customers are stands
in it for the member alone: names and numbers of customers are neither stored nor logged. It refuses to know whether a
passport has a holder already, and so cannot tell the member. Source: rules.md §4; design: ADR 17.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Final, NamedTuple
from urllib.parse import urlencode

from carnet.errors import Reason, Refused
from carnet.node.reader import Reader
from carnet.services.accounts.auditing import Action, record
from carnet.services.accounts.invitations import invite
from carnet.services.accounts.office import Office, name_caller
from carnet.services.accounts.registry import HOLDER
from carnet.services.appearance.looks import Look
from carnet.services.claims import VALID_MS, IssuedCode, compute_code_seed, issue_code
from carnet.services.console.writing import KnownPlates
from carnet.services.customer_lists import Customers, Given, write_list
from carnet.services.principals import Principal, Standing
from carnet.types import ChainId, MemberId, Millis

PART: Final = 100
"""Codes that are made at one moment of the store."""

_UNKNOWN: Final = frozenset({Reason.UNKNOWN_PASSPORT, Reason.ERASED, Reason.NOT_ALIAS, Reason.SUBJECT_MISMATCH})


class Invited(NamedTuple):
    """What became of one vehicle: a code and the link to claim it with, or why there is none."""

    vehicle: str
    issued: IssuedCode | None
    link: str | None
    refused: Refused | None


def invite_customers(
    office: Office,
    reader: Reader,
    principal: Principal,
    vehicles: Sequence[str],
    find: Callable[[str], ChainId],
    *,
    origin: str,
    look: Look | None = None,
    member: MemberId | None = None,
    valid_ms: Millis = VALID_MS,
) -> list[Invited]:
    """A code for each vehicle, at one moment of the store; `find` finds a passport by VIN or plate. Otherwise as
    `iterate_invited`."""
    return list(
        iterate_invited(
            office,
            lambda: nullcontext(reader),
            principal,
            vehicles,
            lambda _, vehicle: find(vehicle),
            origin=origin,
            look=look,
            member=member,
            valid_ms=valid_ms,
        )
    )


def iterate_invited(
    office: Office,
    reading: Callable[[], AbstractContextManager[Reader]],
    principal: Principal,
    vehicles: Sequence[str],
    find: Callable[[Reader, str], ChainId],
    *,
    origin: str,
    look: Look | None = None,
    member: MemberId | None = None,
    valid_ms: Millis = VALID_MS,
    once: str | None = None,
) -> Iterator[Invited]:
    """A code for each vehicle, in the caller's member's name (an operator names one), made as they are asked for and
    part by part, so that nothing is held open in between. A vehicle that stands twice gets one code; with `once`
    (a form's own number) also a list that is sent twice, as long as its codes are unused.

    Where the service makes accounts by invitation only, each link carries one, if the caller may invite. A row that is
    refused stops no other; of codes made before a limit was reached none is lost. The first part is made at once: it
    raises Refused NOT_PERMITTED and MEMBER_RETIRED, and nothing else is raised.
    """
    done: dict[str, Invited] = {}

    def make(part: Sequence[str]) -> list[Invited]:
        with reading() as reader:
            for vehicle in part:
                if vehicle not in done:
                    found = partial(find, reader)
                    done[vehicle] = _invite(
                        office, reader, principal, vehicle, found, origin, look, member, valid_ms, once
                    )
        return [done[vehicle] for vehicle in part]

    def note() -> None:
        made = sum(one.issued is not None for one in done.values())
        with office.people.note() as connection:
            why, whose = f"{made} of {len(done)}", member or principal.member
            record(connection, office, Action.CUSTOMERS_INVITED, name_caller(principal), member=whose, why=why)

    first = make(vehicles[:PART])

    def go_on() -> Iterator[Invited]:
        try:
            yield from first
            for at in range(PART, len(vehicles), PART):
                yield from make(vehicles[at : at + PART])
        finally:
            # Also of a list whose sending broke off: its codes are made.
            note()

    return go_on()


def find_passport(plates: KnownPlates, reader: Reader, vehicle: str, day: str) -> ChainId:
    """The passport of a VIN, or of a plate that a vehicle has on this day (`yyyy-mm-dd`). Raises Refused
    UNKNOWN_PASSPORT, and as `KnownPlates.find_vehicle`."""
    found = reader.find_subject(plates.find_vehicle(reader, vehicle, day))
    if found is None:
        raise Refused(Reason.UNKNOWN_PASSPORT, "there is no such passport here")
    return found


def make_claim_link(origin: str, look: Look | None, vehicle: str, code: str, invitation: str | None = None) -> str:
    """The page to claim a vehicle on, under the member's look if it has one. What to type there stands in the fragment,
    which no server sees."""
    base = "" if look is None else f"/with/{look.public_id}"
    told = {"code": code, "vehicle": vehicle} | ({} if invitation is None else {"invitation": invitation})
    return f"{origin}{base}/vehicles/add#{urlencode(told)}"


def write_invited(
    customers: Customers, invited: Iterable[Invited], say: Callable[[Refused], str], tell: Callable[[Millis], str]
) -> Iterator[bytes]:
    """The member's own list with what became of each row, as `give` says it."""
    return write_list(customers, map(partial(give, say=say, tell=tell), invited))


def give(one: Invited, say: Callable[[Refused], str], tell: Callable[[Millis], str]) -> Given:
    """What a row is given back with. `say` tells a refusal, `tell` a time."""
    if one.issued is None:
        return Given(None, None, None, "made" if one.refused is None else say(one.refused))
    return Given(one.issued.code, one.link, tell(one.issued.until), "made")


def _invite(
    office: Office,
    reader: Reader,
    principal: Principal,
    vehicle: str,
    find: Callable[[str], ChainId],
    origin: str,
    look: Look | None,
    member: MemberId | None,
    valid_ms: Millis,
    once: str | None,
) -> Invited:
    try:
        if not vehicle:
            raise Refused(Reason.MISSING_FIELD, "this row names no vehicle")
        chain = _find(find, vehicle)
        seed = None if once is None else compute_code_seed(office, principal, chain, once)
        issued = issue_code(office, reader, principal, chain, member=member, valid_ms=valid_ms, seed=seed)
    except Refused as refused:
        if refused.reason in (Reason.NOT_PERMITTED, Reason.MEMBER_RETIRED):
            raise
        return Invited(vehicle, None, None, refused)
    invitation = None
    if not office.is_open and principal.standing is not Standing.MACHINE:
        invitation = invite(office, principal, HOLDER, valid_ms=valid_ms).code
    return Invited(vehicle, issued, make_claim_link(origin, look, vehicle, issued.code, invitation), None)


def _find(find: Callable[[str], ChainId], vehicle: str) -> ChainId:
    """The passport; of none an id that no passport has, so that what exists and what does not are refused alike, and
    counted alike."""
    try:
        return find(vehicle)
    except Refused as refused:
        if refused.reason not in _UNKNOWN:
            raise
        return bytes(16)
