"""What a person had written in a form that was refused before it was read: their session had ended, or they signed in
anew in another tab. The page that says so gives it back, to be sent again.

Only what a page of ours sent is given back, and only to who sent it. It refuses to keep a file, or anything at all
after the answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import UploadFile

from carnet.web.cookies import FORM_FIELD
from carnet.web.desk import Desk

MAX_BYTES: Final = 200_000
"""A longer form is not read for somebody who has not signed in."""

_MAX_INPUTS: Final = 400
_KEY: Final = "written"
_FORMS: Final = ("application/x-www-form-urlencoded", "multipart/form-data")


@dataclass(frozen=True, slots=True)
class Written:
    """The inputs of a form in their order, and the files that went with it: their inputs' names, and their own."""

    inputs: tuple[tuple[str, str], ...]
    files: tuple[tuple[str, str], ...]
    media_type: str


async def keep_written(connection: ASGIConnection[Any, Any, Any, Any], desk: Desk) -> None:
    """Read the form of a request that is about to be refused, if one of our own pages sent it."""
    if not isinstance(connection, Request) or connection.method != "POST" or not _is_ours(connection, desk):
        return
    media_type = connection.headers.get("content-type", "").partition(";")[0].strip().lower()
    length = connection.headers.get("content-length", "")
    if media_type not in _FORMS or not length.isdecimal() or int(length) > MAX_BYTES:
        return
    form = await connection.form()
    sent = [(name, value) for name, value in form.multi_items() if name != FORM_FIELD]
    # Of a file its name is all that is kept.
    await form.close()
    if len(sent) > _MAX_INPUTS:
        return
    inputs = tuple((name, value) for name, value in sent if isinstance(value, str))
    files = tuple((name, value.filename) for name, value in sent if isinstance(value, UploadFile) and value.filename)
    connection.scope["state"][_KEY] = Written(inputs, files, media_type)


def find_written(request: Request[Any, Any, Any]) -> Written | None:
    """What was kept of this request's form."""
    found = request.scope.get("state", {}).get(_KEY)
    return found if isinstance(found, Written) else None


def _is_ours(connection: ASGIConnection[Any, Any, Any, Any], desk: Desk) -> bool:
    """Whether the browser says that a page of ours sent this. One that says nothing is given nothing back."""
    site, origin = connection.headers.get("sec-fetch-site"), connection.headers.get("origin")
    return site == "same-origin" or (site is None and origin == desk.origin)
