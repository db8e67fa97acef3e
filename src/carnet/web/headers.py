"""The headers of every answer, which keep a browser safe, and the id of every request. Design: security 6, 33."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Any, Final

from carnet.services.settings import Settings

_PAGE_RULES: Final = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data: blob:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "manifest-src": "'self'",
    "worker-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
    "require-trusted-types-for": "'script'",
}
PAGE_CSP: Final = "; ".join(f"{name} {value}" for name, value in _PAGE_RULES.items())
"""What a page of ours may do: use our own files, and no script or style that stands in the page."""


def make_framed_csp(origin: str) -> str:
    """What a page of ours may do that pages of one other origin may frame."""
    return "; ".join(f"{name} {value}" for name, value in {**_PAGE_RULES, "frame-ancestors": origin}.items())


_ALWAYS: Final = (
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(self), geolocation=(), microphone=(), payment=(), usb=()"),
    ("content-security-policy", PAGE_CSP),
    ("cache-control", "no-store"),
)
_HSTS: Final = ("strict-transport-security", "max-age=63072000; includeSubDomains")
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._-]{8,64}")
_STATE: Final = "carnet_request_id"
_ID_BYTES: Final = 12
_IDS_AT_ONCE: Final = 256
_spare: Final = list[bytes]()


def make_headers(settings: Settings) -> list[tuple[bytes, bytes]]:
    """What every answer wears, unless its route has set another value."""
    pairs = (*_ALWAYS, _HSTS) if settings.is_secure else _ALWAYS
    return [(name.encode(), value.encode()) for name, value in pairs]


def get_request_id(scope: Any) -> str:
    """The id of a request: its sender's, if it is well-formed, else a random one."""
    state = scope.setdefault("state", {})
    found = state.get(_STATE)
    if found is None:
        given = find_header(scope, (b"x-request-id", b"request-id"))
        found = given.decode() if given and _REQUEST_ID.fullmatch(given) else f"req_{_take_random().hex()}"
        state[_STATE] = found
    return str(found)


def _take_random() -> bytes:
    """Twelve random bytes: no secret, so that many are asked for at once."""
    try:
        return _spare.pop()
    except IndexError:
        drawn = os.urandom(_ID_BYTES * _IDS_AT_ONCE)
        _spare.extend(drawn[at : at + _ID_BYTES] for at in range(_ID_BYTES, len(drawn), _ID_BYTES))
        return drawn[:_ID_BYTES]


def name_methods(methods: Iterable[str]) -> str:
    """What `Allow` says of an address with these methods: whatever is read can be asked for its head alone (`Edge`)."""
    named = set(methods)
    return ", ".join(sorted(named | {"HEAD"} if "GET" in named else named))


def find_text(scope: Any, name: bytes) -> str | None:
    """A header as text. Litestar's mapping of all of them takes longer to make than most requests look into it."""
    found = find_header(scope, (name,))
    return None if found is None else found.decode("latin-1")


def find_header(scope: Any, names: Iterable[bytes]) -> bytes | None:
    """The first of these headers (in small letters) that a request has."""
    headers = scope["headers"]
    return next((value for wanted in names for name, value in headers if name == wanted), None)
