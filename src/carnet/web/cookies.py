"""Cookies, and the token that tells our own forms from forged ones.

Over https every cookie has the prefix `__Host-`, so that no other host or path can have set it. A browser refuses that
prefix over plain http, which is for loopback alone (`services.settings`): there the same names are used without it.
Design: security 5.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from hashlib import sha256

from litestar.datastructures import Cookie

from carnet.node.keyring import RandomBytes

SESSION = "carnet_session"
FORM = "carnet_form"
FORM_FIELD = "form_token"
FORM_HEADER = "x-form-token"
TOKEN_BYTES = 32


class Cookies:
    """How this service names and sets its cookies."""

    def __init__(self, is_secure: bool) -> None:
        self._is_secure = is_secure
        self.session, self.form = self.name(SESSION), self.name(FORM)

    def name(self, name: str) -> str:
        """A cookie's name as the browser keeps it."""
        return f"__Host-{name}" if self._is_secure else name

    def make(self, name: str, value: str, max_age_s: int | None = None) -> Cookie:
        """A cookie that scripts cannot read and other sites do not send. `name` as in `name()`; without `max_age_s` it
        ends with the browser's session."""
        return Cookie(
            key=self.name(name),
            value=value,
            path="/",
            max_age=max_age_s,
            httponly=True,
            secure=self._is_secure,
            samesite="lax",
        )

    def end(self, name: str) -> Cookie:
        """The cookie that makes the browser forget."""
        return self.make(name, "", 0)


def make_secret(random_bytes: RandomBytes) -> str:
    """A new value of the cookie `FORM`: 256 bits."""
    return urlsafe_b64encode(random_bytes(TOKEN_BYTES)).decode().rstrip("=")


def compute_form_token(secret: str, session: str | None) -> str:
    """What a form must bring back: bound to the cookie `FORM` of its browser and to the session, so that a form from
    before a sign-in is of no use after it."""
    message = b"carnet form\0" + (session or "").encode("utf-8", "replace")
    return hmac.new(secret.encode("utf-8", "replace"), message, sha256).hexdigest()


def is_form_token(token: str, secret: str | None, session: str | None) -> bool:
    """Whether a form brought back what its page was given."""
    if not secret:
        return False
    wanted = compute_form_token(secret, session)
    return hmac.compare_digest(wanted.encode(), token.encode("utf-8", "replace"))
