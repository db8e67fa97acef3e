"""The first page, the reader's choices of language and theme, the look of everything, and the shell for a phone."""

from __future__ import annotations

import re
from functools import cache
from typing import Annotated, Any

from litestar import Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body

from carnet.web.desk import TheDesk, ThePrincipal
from carnet.web.language import find_language
from carnet.web.pages.showing import (
    CHOICE_AGE_S,
    LANGUAGE_COOKIE,
    THEME_COOKIE,
    AnyRequest,
    find_back,
    find_theme,
    go,
    make_frame,
    show,
)
from carnet.web.policy import OPEN
from carnet.web.static_files import find_address, read_assets

FormData = Annotated[dict[str, Any], Body(media_type=RequestEncodingType.URL_ENCODED)]


@get("/", opt={"policy": OPEN}, sync_to_thread=False, include_in_schema=False)
def get_front(request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Response[Any]:
    """What Carnet is, for who comes by; whoever has signed in goes on to work."""
    frame, _ = make_frame(request, desk, principal)
    if frame.is_signed_in:
        return go(frame.home)
    return show(request, desk, principal, "front.html")


@post("/preferences", opt={"policy": OPEN}, sync_to_thread=False, include_in_schema=False)
def set_preferences(data: FormData, desk: TheDesk) -> Response[Any]:
    """Keep language and theme in this browser, and go back."""
    cookies = []
    language = find_language(str(data.get("language")))
    if language is not None:
        cookies.append(desk.cookies.make(LANGUAGE_COOKIE, language, CHOICE_AGE_S))
    if "theme" in data:
        cookies.append(desk.cookies.make(THEME_COOKIE, find_theme(str(data["theme"])), CHOICE_AGE_S))
    return go(find_back(data.get("back")), cookies)


@get("/design", opt={"policy": OPEN}, sync_to_thread=False, include_in_schema=False)
def get_design(request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Response[str]:
    """Tokens and components, live."""
    return show(request, desk, principal, "design.html", icons=list_icons())


@get("/offline", opt={"policy": OPEN}, sync_to_thread=False, include_in_schema=False)
def get_offline(request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Response[str]:
    """What the shell shows without a network."""
    return show(request, desk, principal, "offline.html")


@get("/worker.js", opt={"policy": OPEN}, sync_to_thread=False, include_in_schema=False)
def get_worker() -> Response[bytes]:
    """The service worker, at the root so that it serves the whole site; it names the files that it may keep."""
    return Response(make_worker(), media_type="text/javascript", headers={"Cache-Control": "no-cache"})


@get("/carnet.webmanifest", opt={"policy": OPEN}, sync_to_thread=False, include_in_schema=False)
def get_manifest() -> Response[bytes]:
    """What a phone must know to install the application."""
    return Response(make_manifest(), media_type="application/manifest+json", headers={"Cache-Control": "no-cache"})


@cache
def make_worker() -> bytes:
    """The worker with the addresses of this version's files."""
    kept = [find_address(name) for name in ("carnet.css", "icons.svg", "logo.svg", "shell.js", "icon-192.png")]
    listed = ", ".join(f'"{address}"' for address in kept)
    return read_assets()["worker.js"].data.replace(b'"{{shell}}"', listed.encode())


@cache
def make_manifest() -> bytes:
    """The manifest with the addresses of this version's icons."""
    text = read_assets()["carnet.webmanifest"].data.decode()
    return re.sub(r"\{\{([a-z0-9.-]+)\}\}", lambda match: find_address(match[1]), text).encode()


@cache
def list_icons() -> list[str]:
    """The icons of the sprite, by name."""
    return re.findall(r'<symbol id="i-([a-z]+)"', read_assets()["icons.svg"].data.decode())


ROUTES = [get_front, set_preferences, get_design, get_offline, get_worker, get_manifest]
