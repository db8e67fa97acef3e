"""How a member looks to its customers, for its own programs of administration: `/v1/appearance`."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from litestar import Response, delete, get, put
from litestar.concurrency import sync_to_thread
from litestar.params import JSONBody

from carnet.errors import Reason, Refused
from carnet.services.access import get_member
from carnet.services.appearance.looks import Check, Look, find_kept_look, remove_look, set_logo, set_look
from carnet.services.names import Prefix, format_name
from carnet.services.principals import Principal, Role
from carnet.services.timelines import Shape, format_time
from carnet.web.api.answers import AnyRequest, answer, answer_fresh, make_tag
from carnet.web.api.contract import Contract, promise
from carnet.web.desk import Desk, TheDesk, ThePrincipal
from carnet.web.inputs import Input
from carnet.web.matching import find_wanted
from carnet.web.people import get_office
from carnet.web.policy import staff

TAG = "Appearance"
ADMINS = staff(Role.ADMIN)
FRESH_ADMINS = staff(Role.ADMIN, fresh=True)
"""Who may frame the passport decides who sees it move: it is set by somebody who is there now. Design: security 7."""

PICTURES = ("image/png", "image/jpeg", "image/webp")
_MEMBER = (Reason.UNKNOWN_MEMBER, Reason.MEMBER_RETIRED)


class AppearanceIn(Input, frozen=True, kw_only=True):
    """The name that customers know, ink and paper (`#rrggbb`; their contrast is checked by day and by night), and the
    exact https origins whose pages may frame the passport."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=60)]
    ink: Annotated[str, msgspec.Meta(min_length=4, max_length=7)]
    paper: Annotated[str, msgspec.Meta(min_length=4, max_length=7)]
    origins: Annotated[list[Annotated[str, msgspec.Meta(min_length=1, max_length=255)]], msgspec.Meta(max_length=20)]


class AppearanceShown(Shape, frozen=True, kw_only=True):
    """The look of your member. `page` is where its customers come in."""

    member: str
    name: str
    ink: str
    paper: str
    origins: list[str]
    has_logo: bool
    page: str
    changed: str
    object: Literal["appearance"] = "appearance"


class AppearanceRemoved(Shape, frozen=True, kw_only=True):
    """Your member looks like Carnet again."""

    member: str
    object: Literal["appearance.removed"] = "appearance.removed"


@get(
    "/appearance",
    opt=promise(ADMINS, Contract(TAG, answer=AppearanceShown, refusals=(*_MEMBER, Reason.NOT_FOUND))),
    sync_to_thread=True,
)
def get_look(desk: TheDesk, principal: ThePrincipal, request: AnyRequest) -> Response[bytes]:
    """The look of your member; 404 while none is set. Its `ETag` is for the `If-Match` of a change."""
    look = find_kept_look(get_office(desk).people, _get_member(desk, principal))
    if look is None:
        raise Refused(Reason.NOT_FOUND, "your member has no look of its own: set one with PUT")
    return answer_fresh(request, _show(desk, look))


@put(
    "/appearance",
    opt=promise(
        FRESH_ADMINS,
        Contract(
            TAG,
            answer=AppearanceShown,
            body=AppearanceIn,
            is_matched=True,
            refusals=(
                *_MEMBER, Reason.CONTRAST_TOO_LOW, Reason.WRONG_TYPE, Reason.VALUE_OUT_OF_RANGE, Reason.MISSING_FIELD,
                Reason.TEXT_TOO_LONG, Reason.TEXT_NOT_ALLOWED,
            ),
            example={
                "name": "Garage des Tilleuls",
                "ink": "#0b3d91",
                "paper": "#ffffff",
                "origins": ["https://app.tilleuls.example"],
            },
        ),
    ),
    sync_to_thread=True,
)  # fmt: skip
def put_look(
    desk: TheDesk, principal: ThePrincipal, request: AnyRequest, data: JSONBody[AppearanceIn]
) -> Response[bytes]:
    """Set name, colours and origins; the logo stays. Colours that not everybody can read are refused with the nearest
    that would do."""
    member = _get_member(desk, principal)
    look = set_look(
        get_office(desk),
        principal,
        member,
        name=data.name,
        ink=data.ink,
        paper=data.paper,
        origins=data.origins,
        is_secure=desk.settings.is_secure,
        check=_make_check(desk, request),
    )
    return answer(_show(desk, look))


@put(
    "/appearance/logo",
    opt=promise(
        FRESH_ADMINS,
        Contract(
            TAG,
            answer=AppearanceShown,
            takes=PICTURES,
            is_matched=True,
            refusals=(*_MEMBER, Reason.MISSING_FIELD, Reason.VALUE_OUT_OF_RANGE, Reason.UNREADABLE_FILE),
        ),
    ),
)
async def put_logo(desk: TheDesk, principal: ThePrincipal, request: AnyRequest) -> Response[bytes]:
    """Set the logo: PNG, JPEG or WebP, at most 64,000 bytes, 16 to 1024 pixels a side. What stands beside the picture
    in the file is left out."""
    return await sync_to_thread(_put_logo, desk, principal, request, await request.body())


def _put_logo(desk: Desk, principal: Principal, request: AnyRequest, data: bytes) -> Response[bytes]:
    member, check = _get_member(desk, principal), _make_check(desk, request)
    return answer(_show(desk, set_logo(get_office(desk), principal, member, data, check)))


@delete(
    "/appearance",
    opt=promise(FRESH_ADMINS, Contract(TAG, answer=AppearanceRemoved, refusals=_MEMBER, is_matched=True)),
    status_code=200,
    sync_to_thread=True,
)
def delete_look(desk: TheDesk, principal: ThePrincipal, request: AnyRequest) -> Response[bytes]:
    """Look like Carnet again: frames of your pages show nothing any more, and your customers lose nothing."""
    member = _get_member(desk, principal)
    remove_look(get_office(desk), principal, member, _make_check(desk, request))
    return answer(AppearanceRemoved(member=format_name(Prefix.MEMBER, member)))


def _get_member(desk: Desk, principal: Principal) -> bytes:
    with desk.reading() as reader:
        return get_member(reader.state, principal).id


def _make_check(desk: Desk, request: AnyRequest) -> Check:
    """Whether the look is still the one that the request's `If-Match` names."""
    wanted = find_wanted(request.scope)
    return lambda look: wanted.check(None if look is None else make_tag(_show(desk, look)))


def _show(desk: Desk, look: Look) -> AppearanceShown:
    return AppearanceShown(
        member=look.public_id,
        name=look.name,
        ink=look.colours.ink,
        paper=look.colours.paper,
        origins=list(look.origins),
        has_logo=look.logo_size is not None,
        page=f"{desk.origin}/with/{look.public_id}",
        changed=format_time(look.changed_at),
    )


ROUTES = [get_look, put_look, put_logo, delete_look]
