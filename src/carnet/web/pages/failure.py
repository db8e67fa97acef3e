"""The page that a person sees when something was refused: what it was, and what to do next."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from litestar import Request

from carnet.web.static_files import find_address

if TYPE_CHECKING:
    from carnet.web.problems import Problem

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} – Carnet</title><link rel="stylesheet" href="{tokens}"><link rel="stylesheet" href="{components}">
</head><body><main><h1>{title}</h1><p>{detail}</p><p>{advice}</p><p><a href="/">Go to the first page</a></p>
<p><small>{code} · {request_id}</small></p></main></body></html>
"""


def render_failure(request: Request[Any, Any, Any], problem: Problem) -> bytes:
    """The page as UTF-8. It must not fail: it looks nothing up but the addresses of the stylesheets."""
    return _PAGE.format(
        title=escape(problem.title),
        detail=escape(_close(problem.detail)),
        advice=escape(_close(problem.advice)),
        code=escape(problem.code),
        request_id=escape(problem.request_id),
        tokens=find_address("tokens.css"),
        components=find_address("components.css"),
    ).encode()


def _close(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if not text or text.endswith((".", "!", "?")) else text + "."
