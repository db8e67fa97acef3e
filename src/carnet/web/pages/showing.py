"""From a template to an answer: the frame of the reader who asks, the token of its forms, and the cookies of its
choices.

It refuses to know what a page shows.
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple, TypeAlias
from urllib.parse import urlencode

from litestar import Request, Response
from litestar.datastructures import Cookie
from litestar.response import Redirect

from carnet.services.accounts.office import Office
from carnet.services.appearance.looks import Look, find_look
from carnet.services.names import Prefix, find_id
from carnet.services.principals import Principal
from carnet.web.cookies import FORM, compute_form_token, make_secret
from carnet.web.desk import Desk
from carnet.web.language import Language, choose_language, find_language
from carnet.web.rendering import THEMES, Frame, Theme, render

AnyRequest: TypeAlias = Request[Any, Any, Any]

WITH: Final = "/with/"
"""What stands before a member's id in the address of a page that wears its look."""

_BESIDE: Final = re.compile(r"/with/mem_[0-9a-f]{32}/vehicles/pas_[0-9a-f]{32}/open(?:\Z|\?|%3F)")
_KEEPS_OPENER: Final = {"Cross-Origin-Opener-Policy": "unsafe-none"}

LANGUAGE_COOKIE: Final = "carnet_language"
THEME_COOKIE: Final = "carnet_theme"
MAX_QUERY: Final = 300
CHOICE_AGE_S: Final = 365 * 86_400


class Part(NamedTuple):
    """What a page shows of a longer list: from which place on, how many there are in all, and where the next part
    begins (None on the last)."""

    begin: int
    end: int
    total: int

    @property
    def older(self) -> int | None:
        """Where the next part begins."""
        return self.end if self.end < self.total else None


def find_part(request: AnyRequest, total: int, size: int, name: str = "after") -> Part:
    """The part of a list that `?after=`, or a parameter of another name, asks for; the first where it asks for none."""
    after = request.query_params.get(name, "")
    begin = int(after) if after.isascii() and after.isdigit() and len(after) < 7 else 0
    return Part(begin, min(total, begin + size), total)


def show(
    request: AnyRequest,
    desk: Desk,
    principal: Principal,
    template: str,
    status_code: int = 200,
    *,
    begins: str | None = None,
    look: Look | None = None,
    onward: str = "",
    **facts: Any,
) -> Response[str]:
    """The page of a template. Whoever asks for `?lang=` is answered in it from now on. `begins` is the token of a
    session that begins with this page, to which its forms belong. It wears `look`, or that of its own address, or of
    the one that the reader goes on to after signing in, `onward`."""
    frame, cookies = make_frame(request, desk, principal, begins, look=look, onward=onward)
    page = render(template, frame, **facts)
    headers = _KEEPS_OPENER if is_beside_frame(frame.path) or is_beside_frame(frame.back) else {}
    return Response(page, status_code=status_code, media_type="text/html", cookies=cookies, headers=headers)


def is_beside_frame(path: str) -> bool:
    """Whether an address is that of the window that a frame of ours opens (`pages.embedding`), and which must know that
    frame again, also after signing in. A window of any other page of ours knows nobody."""
    return _BESIDE.match(path) is not None


def make_frame(
    request: AnyRequest,
    desk: Desk,
    principal: Principal,
    begins: str | None = None,
    *,
    look: Look | None = None,
    onward: str = "",
) -> tuple[Frame, list[Cookie]]:
    """What the page must know of its reader, and the cookies that the answer sets."""
    cookies = []
    language = find_reader_language(request, desk)
    if find_language(request.query_params.get("lang")) is not None:
        cookies.append(desk.cookies.make(LANGUAGE_COOKIE, language, CHOICE_AGE_S))
    secret = request.cookies.get(desk.cookies.form)
    if not secret:
        secret = make_secret(desk.random_bytes)
        cookies.append(desk.cookies.make(FORM, secret))
    kept = request.cookies.get(desk.cookies.name(THEME_COOKIE))
    onward = onward or find_back(request.query_params.get("back"), "")
    frame = Frame(
        language=language,
        theme=find_theme(kept),
        path=request.scope["path"],
        page=_find_page(request),
        query=_read_query(request),
        standing=principal.standing.value,
        role="" if principal.role is None else principal.role.value,
        form_token=compute_form_token(secret, begins or request.cookies.get(desk.cookies.session)),
        is_demo=desk.is_demo,
        look=look or find_look_of(desk, request.scope["path"]) or find_look_of(desk, onward),
        back=onward,
    )
    return frame, cookies


def _find_page(request: AnyRequest) -> str:
    """The page nearest to an address that has none, where an answer to a form was shown; "" where there is one."""
    handler: Any = request.scope.get("route_handler")
    below = 0 if handler is None else int(handler.opt.get("parts_below_page", 0))
    return "/".join(request.scope["path"].split("/")[:-below]) or "/" if below else ""


def _read_query(request: AnyRequest) -> str:
    """The query of a page, to stand in a link back to it: the language is chosen anew there."""
    kept = [(name, value) for name, value in request.query_params.multi_items() if name not in ("lang", "back")]
    text = urlencode(kept)
    return text if len(text) < MAX_QUERY else ""


def find_look_of(desk: Desk, path: str) -> Look | None:
    """The look of the member in an address of `/with/mem_…`; None for any other address, and where none is worn."""
    if not path.startswith(WITH):
        return None
    member = find_id(Prefix.MEMBER, path.removeprefix(WITH).partition("/")[0])
    return None if member is None else find_look_of_member(desk, member)


def find_look_of_member(desk: Desk, member: bytes | None) -> Look | None:
    """The look of a member, to be given to `show`; None where it has none, or has left the network."""
    office = desk.shelf.get("office")
    if member is None or not isinstance(office, Office):
        return None
    with desk.reading() as reader:
        return find_look(office.people, reader.state, member)


def find_reader_language(request: AnyRequest, desk: Desk) -> Language:
    """The language to answer in."""
    kept = request.cookies.get(desk.cookies.name(LANGUAGE_COOKIE))
    return choose_language(request.query_params.get("lang"), kept, request.headers.get("accept-language"))


def find_theme(text: str | None) -> Theme:
    """The theme that a code names; the device's own for none."""
    return next((theme for theme in THEMES if theme == text), "auto")


def go(path: str, cookies: list[Cookie] | None = None) -> Redirect:
    """On to another page of ours, to be asked for with GET."""
    headers = _KEEPS_OPENER if is_beside_frame(path.replace("%2F", "/").removeprefix("/sign-in?back=")) else {}
    return Redirect(path, status_code=303, cookies=cookies or [], headers=headers)


def find_back(text: object, otherwise: str = "/") -> str:
    """A path of ours that a form brought back; never another site's address."""
    is_ours = isinstance(text, str) and text.startswith("/") and not text.startswith(("//", "/\\")) and len(text) < 500
    return str(text) if is_ours and str(text).isprintable() and str(text).isascii() else otherwise
