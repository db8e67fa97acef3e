"""How the organisation looks to its customers: name, two colours, logo, and the origins that may frame the passport.

By day and by night the saved look is shown on the page; script shows it while it is chosen. It refuses to know who is
a customer.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from litestar import Response, get, post
from litestar.datastructures import UploadFile
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath
from litestar.response import Redirect

from carnet.errors import Reason, Refused
from carnet.services.appearance.colours import Colours, list_pairs
from carnet.services.appearance.logos import MAX_BYTES
from carnet.services.appearance.looks import find_kept_look, find_logo, remove_look, set_logo, set_look
from carnet.services.names import Prefix, find_id
from carnet.services.principals import Principal, Role
from carnet.web.desk import Desk, TheDesk, ThePrincipal
from carnet.web.language import Language, load_translations
from carnet.web.pages.front import FormData
from carnet.web.pages.sayings import say_refusal
from carnet.web.pages.showing import AnyRequest, find_look_of_member, find_reader_language, go, show
from carnet.web.pages.signing_in import is_fresh
from carnet.web.people import get_office
from carnet.web.policy import FRESH_MS, OPEN, staff

HERE: Final = "/organisation/appearance"
ADMINS, FRESH_ADMINS = staff(Role.ADMIN), staff(Role.ADMIN, fresh=True)
FIRST: Final = Colours("#0b3d91", "#ffffff")
"""What the form begins with."""

Upload = Annotated[dict[str, Any], Body(media_type=RequestEncodingType.MULTI_PART)]
_FOR_EVER: Final = {"Cache-Control": "public, max-age=31536000, immutable"}


@get(HERE, opt={"policy": ADMINS}, sync_to_thread=True, include_in_schema=False)
def get_appearance(request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Response[str]:
    """The form, and how it looks now."""
    return _show(request, desk, principal)


@post(HERE, opt={"policy": FRESH_ADMINS}, sync_to_thread=True, include_in_schema=False)
def save_appearance(
    data: FormData, request: AnyRequest, desk: TheDesk, principal: ThePrincipal
) -> Response[str] | Redirect:
    """Keep name, colours and origins; or the form again with what was wrong, and what would do."""
    values = {name: str(data.get(name, "")) for name in ("name", "ink", "paper", "origins")}
    try:
        set_look(
            get_office(desk),
            principal,
            principal.member or b"",
            name=values["name"],
            ink=values["ink"],
            paper=values["paper"],
            origins=values["origins"].split(),
            is_secure=desk.settings.is_secure,
        )
    except Refused as refused:
        if refused.reason is Reason.NOT_PERMITTED:
            raise
        return _show(request, desk, principal, values=values, refused=refused)
    return go(f"{HERE}?saved")


@post(f"{HERE}/logo", opt={"policy": FRESH_ADMINS}, sync_to_thread=True, include_in_schema=False)
def save_logo(data: Upload, request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Response[str] | Redirect:
    """Keep a picture, or take it away."""
    upload = data.get("logo")
    content = upload.file.read(MAX_BYTES + 1) if isinstance(upload, UploadFile) else b""
    is_removed = data.get("act") == "remove"
    try:
        if not content and not is_removed:
            raise Refused(Reason.MISSING_FIELD, "choose a picture", field="logo")
        set_logo(get_office(desk), principal, principal.member or b"", None if is_removed else content)
    except Refused as refused:
        if refused.reason is Reason.NOT_PERMITTED:
            raise
        return _show(request, desk, principal, refused=refused)
    return go(f"{HERE}?saved")


@post(f"{HERE}/remove", opt={"policy": FRESH_ADMINS}, sync_to_thread=True, include_in_schema=False)
def remove_appearance(data: FormData, desk: TheDesk, principal: ThePrincipal) -> Redirect:
    """Look like Carnet again."""
    remove_look(get_office(desk), principal, principal.member or b"")
    return go(HERE)


@get("/with/{member:str}/{version:int}/look.css", opt={"policy": OPEN}, sync_to_thread=True, include_in_schema=False)
def get_look_style(member: FromPath[str], version: FromPath[int], desk: TheDesk) -> Response[bytes]:
    """The two colours of a member, for our own stylesheet to use. Another state of them has another address."""
    look = find_look_of_member(desk, find_id(Prefix.MEMBER, member))
    if look is None or look.changed_at != version:
        raise Refused(Reason.NOT_FOUND, "there is no such look; the page that names it is older than the look is")
    body = f".look,.look--day,.look--night{{--look-ink:{look.colours.ink};--look-paper:{look.colours.paper}}}\n"
    return Response(body.encode(), media_type="text/css", headers=_FOR_EVER)


@get("/with/{member:str}/{version:int}/logo", opt={"policy": OPEN}, sync_to_thread=True, include_in_schema=False)
def get_look_logo(member: FromPath[str], version: FromPath[int], desk: TheDesk) -> Response[bytes]:
    """The logo of a member, for our own pages to show."""
    look = find_look_of_member(desk, find_id(Prefix.MEMBER, member))
    found = None if look is None else find_logo(get_office(desk).people, look.member)
    if look is None or found is None or look.changed_at != version:
        raise Refused(Reason.NOT_FOUND, "there is no such logo; the page that names it is older than the look is")
    return Response(found[0], media_type=found[1], headers={**_FOR_EVER, "Content-Security-Policy": "sandbox"})


def _show(
    request: AnyRequest,
    desk: Desk,
    principal: Principal,
    *,
    values: dict[str, str] | None = None,
    refused: Refused | None = None,
) -> Response[str]:
    member = principal.member or b""
    look = find_kept_look(get_office(desk).people, member)
    with desk.reading() as reader:
        name = reader.state.members.get(member).name
    colours = FIRST if look is None else look.colours
    kept = {
        "name": name if look is None else look.name,
        "ink": colours.ink,
        "paper": colours.paper,
        "origins": "" if look is None else "\n".join(look.origins),
    }
    language = find_reader_language(request, desk)
    facts: dict[str, Any] = {
        "kept": look,
        "member": name,
        "values": values or kept,
        "errors": dict.fromkeys((*kept, "logo"), "") | _find_error(language, refused),
        "nearest": _find_nearest(refused),
        "pairs": [(say_pair(language, pair.what), pair) for pair in list_pairs(colours)],
        "is_fresh": is_fresh(principal, desk, FRESH_MS),
        "is_saved": "saved" in request.query_params,
    }
    return show(request, desk, principal, "appearance.html", 200 if refused is None else 422, **facts)


def _find_error(language: Language, refused: Refused | None) -> dict[str, str]:
    """What is wrong, by the field that is to be mended."""
    return {} if refused is None else {str(refused.facts.get("field", "name")): _say(language, refused)}


def _find_nearest(refused: Refused | None) -> Colours | None:
    if refused is None or refused.reason is not Reason.CONTRAST_TOO_LOW:
        return None
    return Colours(str(refused.facts["ink"]), str(refused.facts["paper"]))


def _say(language: Language, refused: Refused) -> str:
    """What is wrong, in the reader's words."""
    _ = load_translations(language).gettext
    if refused.reason is Reason.CONTRAST_TOO_LOW:
        text = _("%(pair)s: contrast %(ratio)s to 1, and it must be %(needed)s to 1.")
        return text % {**refused.facts, "pair": say_pair(language, str(refused.facts["pair"]))}
    sentences = {
        (Reason.WRONG_TYPE, "origins"): _(
            "One line is no origin. Write each as https://app.example, without a path and without a star."
        ),
        (Reason.VALUE_OUT_OF_RANGE, "origins"): _("At most 20 origins."),
        (Reason.WRONG_TYPE, "ink"): _("A colour is written #rrggbb, such as #0b3d91."),
        (Reason.WRONG_TYPE, "paper"): _("A colour is written #rrggbb, such as #0b3d91."),
        (Reason.MISSING_FIELD, "name"): _("Give the name that your customers know, and save it first."),
        (Reason.MISSING_FIELD, "logo"): _("Choose a picture first."),
        (Reason.WRONG_MEDIA_TYPE, "logo"): _("A logo is a PNG, JPEG or WebP picture that does not move. No SVG."),
        (Reason.REQUEST_TOO_LARGE, "logo"): _("A logo has at most 64 kB: save it smaller."),
        (Reason.VALUE_OUT_OF_RANGE, "logo"): _("A logo is 16 to 1024 pixels wide and high."),
        (Reason.UNREADABLE_FILE, "logo"): _("This picture is cut off or altered: save it again."),
    }
    return sentences.get((refused.reason, str(refused.facts.get("field")))) or say_refusal(language, refused)


def say_pair(language: Language, what: str) -> str:
    """A pair of colours in the reader's words."""
    _ = load_translations(language).gettext
    words = {
        "text: ink on paper": _("Text: ink on paper"),
        "controls: ink on the page by day": _("Buttons by day: ink on the page"),
        "controls: ink on a sheet by day": _("Buttons by day: ink on a sheet"),
        "controls: paper on the page by night": _("Buttons by night: paper on the page"),
        "controls: paper on a sheet by night": _("Buttons by night: paper on a sheet"),
    }
    return words[what]


ROUTES = [get_appearance, save_appearance, save_logo, remove_appearance, get_look_style, get_look_logo]
