"""Customers invited by a member's program: `POST /v1/customers`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
from litestar import Response, post
from litestar.params import JSONBody

from carnet.errors import Reason
from carnet.services.appearance.looks import find_look
from carnet.services.console.writing import KnownPlates
from carnet.services.customers import Invited, find_passport, invite_customers
from carnet.services.names import Prefix, format_name
from carnet.services.principals import Role, Scope
from carnet.services.timelines import Shape, format_time
from carnet.web.api.answers import answer
from carnet.web.api.contract import Contract, promise
from carnet.web.desk import TheDesk, ThePrincipal
from carnet.web.inputs import Input
from carnet.web.people import get_office
from carnet.web.policy import machine


class CustomersIn(Input, frozen=True, kw_only=True):
    """The vehicles of your customers, each a VIN, a plate or `scheme:value`. Say nothing of the customers."""

    vehicles: Annotated[
        list[Annotated[str, msgspec.Meta(min_length=1, max_length=100)]], msgspec.Meta(min_length=1, max_length=100)
    ]


class InvitedShown(Shape, frozen=True, kw_only=True):
    """What became of a vehicle: a code and a link, shown this once, or the code of a refusal."""

    vehicle: str
    passport: str | None
    code: str | None
    link: str | None
    valid_until: str | None
    refused: str | None


class CustomersShown(Shape, frozen=True, kw_only=True):
    """One for each vehicle, in the order given."""

    data: list[InvitedShown]
    made: int
    object: Literal["customers"] = "customers"


@post(
    "/customers",
    opt=promise(
        machine(Scope.CLAIMS_ISSUE, Role.ADMIN, Role.CLERK),
        Contract(
            "Claims",
            answer=CustomersShown,
            body=CustomersIn,
            status=201,
            refusals=(Reason.MEMBER_RETIRED, Reason.UNKNOWN_MEMBER, Reason.VALUE_OUT_OF_RANGE, Reason.TEXT_TOO_LONG),
            example={"vehicles": ["WVWZZZ1KZ7P123456", "AB-123-CD"]},
        ),
    ),
    sync_to_thread=True,
)
def invite_by_program(desk: TheDesk, principal: ThePrincipal, data: JSONBody[CustomersIn]) -> Response[bytes]:
    """For each vehicle that your member opened or serviced, a one-time code and the link with which its owner claims
    the passport, under your member's look. Whether it has a holder is not told. A refused one stops no other."""
    office, member = get_office(desk), principal.member or b""
    plates: KnownPlates = desk.shelf.setdefault("plates", KnownPlates(desk.door, desk.clock))
    today = datetime.fromtimestamp(desk.clock() / 1000, UTC).date().isoformat()
    with desk.reading() as reader:
        invited = invite_customers(
            office,
            reader,
            principal,
            data.vehicles,
            lambda vehicle: find_passport(plates, reader, vehicle, today),
            origin=desk.origin,
            look=find_look(office.people, reader.state, member),
        )
    made = sum(one.issued is not None for one in invited)
    return answer(CustomersShown(data=[_show(one) for one in invited], made=made), 201)


def _show(one: Invited) -> InvitedShown:
    issued = one.issued
    return InvitedShown(
        vehicle=one.vehicle,
        passport=None if issued is None else format_name(Prefix.PASSPORT, issued.passport),
        code=None if issued is None else issued.code,
        link=one.link,
        valid_until=None if issued is None else format_time(issued.until),
        refused=None if one.refused is None else one.refused.reason.value,
    )


ROUTES = [invite_by_program]
