"""The page that a person sees when something was refused: what it was, and what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Request

from carnet.errors import Reason
from carnet.services.principals import VISITOR, Principal
from carnet.web.language import Language, load_translations
from carnet.web.pages.showing import make_frame
from carnet.web.pages.telling import say_reason
from carnet.web.rendering import Frame, render
from carnet.web.written import find_written

if TYPE_CHECKING:
    from carnet.web.problems import Problem


def render_failure(request: Request[Any, Any, Any], problem: Problem) -> bytes:
    """The page as UTF-8, in the reader's language."""
    principal = request.scope.get("state", {}).get("principal", VISITOR)
    frame, _ = make_frame(request, request.app.state.desk, principal if isinstance(principal, Principal) else VISITOR)
    say = load_translations(frame.language).gettext
    titles = {
        401: say("Sign in first"),
        403: say("Not with this account"),
        404: say("Nothing here"),
        410: say("Erased"),
        413: say("Too large"),
        429: say("Too many attempts"),
        503: say("Not just now"),
        507: say("Not just now"),
    }
    if problem.code == Reason.CONFIRMATION_NEEDED:
        titles[403] = say("Is it still you?")
    elif problem.code == Reason.FORM_EXPIRED:
        titles[403] = say("Send it once more")
    title = titles.get(problem.status) or (
        say("Something failed here") if problem.status >= 500 else say("Not like this")
    )
    is_told = problem.status not in (401, 403, 404, 429) and problem.status < 500
    page = render(
        "error.html",
        frame,
        status=problem.status,
        title=title,
        detail=_say_detail(frame.language, problem) if is_told else None,
        advice=_close(problem.advice) if is_told and frame.language == "en" else None,
        code=problem.code,
        request_id=problem.request_id,
        written=find_written(request),
        address=frame.address,
        onward=_find_onward(request, frame),
    )
    return page.encode()


def _find_onward(request: Request[Any, Any, Any], frame: Frame) -> str:
    """Where one goes on after signing in or confirming: back to this page, if what was refused has one."""
    handler: Any = request.scope.get("route_handler")
    is_page = request.method in ("GET", "HEAD") or bool(handler is not None and handler.opt.get("has_page"))
    return frame.address if is_page else frame.home


def _say_detail(language: Language, problem: Problem) -> str:
    """What was refused: in English as it was said, which tells the most; else what its reason means."""
    known = next((reason for reason in Reason if reason.value == problem.code), None)
    return _close(problem.detail) if language == "en" or known is None else say_reason(language, known)


def _close(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if not text or text.endswith((".", "!", "?")) else text + "."
