"""Checking a webhook that came in: who sent it, that nothing in it was changed, and that it is not an old one.

    from carnet.sdk import webhooks

    event = webhooks.verify(body, headers, "whpk_…")
    print(event.type, event.data)

By Standard Webhooks 1.0.0 with Ed25519 (`v1a`). A message may come twice, under one `event.id`: whoever has seen the id
does nothing. It refuses to know what is told, and to trust a body that was parsed before it was checked.
"""

from __future__ import annotations

import binascii
import time
from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from carnet.errors import CarnetError
from carnet.signing import PUBLIC_KEY_BYTES
from carnet.signing import verify as is_signed_by

TOLERANCE_S: Final = 300
"""How far the clock of the sender may be from ours: what is older may have been caught and sent again."""

KEY_PREFIX: Final = "whpk_"
_VERSION: Final = "v1a"


class WebhookError(CarnetError):
    """What came in is not to be believed: answer 400, and do nothing."""


class HeaderMissing(WebhookError):
    """One of `webhook-id`, `webhook-timestamp` and `webhook-signature` is absent or is none."""


class TooOld(WebhookError):
    """It was signed too long ago, or in the future: look at the clock of this machine."""


class NotSigned(WebhookError):
    """No signature is by this key over this body: another key, or a body that was changed."""


class BadBody(WebhookError):
    """It is signed, and is no event."""


class BadKey(ValueError):
    """The key that was given is no public key of a webhook."""


class Event(msgspec.Struct, frozen=True):
    """What happened: `id` is the same whenever the same is told again; `data` has ids and kinds."""

    id: str
    type: str
    timestamp: str
    data: dict[str, Any]


class _Body(msgspec.Struct, frozen=True):
    type: str
    timestamp: str
    data: dict[str, Any]


def verify(
    payload: bytes,
    headers: Mapping[str, str],
    key: str | Sequence[str],
    *,
    now: float | None = None,
    tolerance_s: int = TOLERANCE_S,
) -> Event:
    """The event in a request: its body as it came in, its headers (in any case), and the address's public key, or
    several of which one suffices. `now` in seconds since 1970; left out, this machine's clock.

    Raises HeaderMissing, TooOld, NotSigned or BadBody, all of them WebhookError; BadKey for a key that is none.
    """
    keys = [_read_key(one) for one in ([key] if isinstance(key, str) else key)]
    found = {name.lower(): value for name, value in headers.items()}
    id_, at, signatures = (_get(found, f"webhook-{name}") for name in ("id", "timestamp", "signature"))
    if not (at.isascii() and at.isdigit() and len(at) <= 12):
        raise HeaderMissing("webhook-timestamp is a number of seconds")
    clock = time.time() if now is None else now
    if abs(clock - int(at)) > tolerance_s:
        raise TooOld(f"it was signed {round(clock - int(at))} seconds ago; {tolerance_s} are allowed")
    signed = f"{id_}.{at}.".encode("utf-8", "surrogateescape") + payload
    if not any(is_signed_by(one, signed, signature) for signature in _list(signatures) for one in keys):
        raise NotSigned("no signature of this request is by this key: is it the key of this address?")
    try:
        body = msgspec.json.decode(payload, type=_Body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadBody("the body is no event") from error
    return Event(id_, body.type, body.timestamp, body.data)


def _get(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name, "")
    if not value:
        raise HeaderMissing(f"the header {name} is missing")
    return value


def _list(text: str) -> list[bytes]:
    """The signatures of our kind; others are for others."""
    found = []
    for one in text.split(" "):
        version, _, encoded = one.partition(",")
        if version == _VERSION:
            try:
                found.append(b64decode(encoded, validate=True))
            except (binascii.Error, ValueError):
                continue
    return found


def _read_key(text: str) -> bytes:
    try:
        public = b64decode(text.removeprefix(KEY_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        public = b""
    if len(public) != PUBLIC_KEY_BYTES:
        raise BadKey(f"a public key is {KEY_PREFIX} and the Base64 of 32 bytes")
    return public
