"""The fixed addresses: health, readiness, the trust policy, the verification page, and what each refusal means."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any

from litestar import Request, Response, get
from litestar.params import FromPath

from carnet.errors import Reason, Refused
from carnet.services.publishing import make_page
from carnet.web.desk import Desk, TheDesk
from carnet.web.headers import get_request_id
from carnet.web.pages.failure import render_failure
from carnet.web.policy import OPEN
from carnet.web.problems import REASONS, STATUSES, Problem, is_for_a_person

# The page by itself, from a disk, has no server to fall back on; served by one, it has.
_WITHOUT_SCRIPT = (
    '<br><p><a class="button" lang="en" href="/verify/here?lang=en">Let this server verify it</a>'
    ' <a class="button button--quiet" lang="fr" href="/verify/here?lang=fr">Laisser ce serveur vérifier</a></p>'
).encode()
_META_CSP = re.compile(r'http-equiv="Content-Security-Policy" content="([^"]*)"')


_TODO = {
    Reason.NODE_DAMAGED.value: "the writer has stopped: look at the disk (`carnet doctor`), then start the service"
    " again; it checks the store before it writes",
    Reason.TIME_WENT_BACK.value: "compare this machine's clock with another (`carnet doctor` says how far it is behind"
    " the log). If it is behind, set it: sealing goes on by itself. If it is right, it was ahead while something was"
    " sealed: do not set it ahead again, and read 'After a wrong clock' in docs/operating.md",
    Reason.WRITER_AWAY.value: "the writer's process does not answer: if it stays so, start the service again",
    Reason.STORE_UNREACHABLE.value: "see that the store's server, or its disk, can be reached",
    Reason.STORE_BUSY.value: "all connections to the database are at work: allow more (`--database-requests`); or"
    " another process keeps a file of the home locked: end it",
}
"""What to do next, by what is wrong."""


@get("/healthz", opt={"policy": OPEN}, sync_to_thread=False, include_in_schema=False)
def get_health() -> dict[str, str]:
    """This worker runs and answers. It says nothing of the node: see `/readyz`."""
    return {"status": "ok"}


@get("/readyz", opt={"policy": OPEN}, sync_to_thread=True, include_in_schema=False)
def get_readiness(desk: TheDesk) -> Response[dict[str, str]]:
    """Whether requests can be served now: the store can be read, and the writer answers. 503 if not, with which."""
    parts = {"store": "ok", "writer": "ok"}
    checks: dict[str, Callable[[], None]] = {"store": lambda: _read(desk), "writer": desk.door.check_alive}
    for name, check in checks.items():
        try:
            check()
        except Refused as refused:
            parts[name] = refused.reason.value
        except OSError:
            parts[name] = Reason.STORE_UNREACHABLE.value
    if set(parts.values()) == {"ok"}:
        return Response({"status": "ok", **parts})
    todo = next((_TODO[code] for code in parts.values() if code in _TODO), "look at the service's log")
    return Response({"status": "not_ready", **parts, "todo": todo}, status_code=503)


def _read(desk: Desk) -> None:
    with desk.reading():
        pass


@get("/.well-known/carnet-policy", opt={"policy": OPEN}, sync_to_thread=True, include_in_schema=False)
def get_trust_policy(desk: TheDesk) -> Response[bytes]:
    """The node's trust policy, for those who will verify its proofs: choosing it is their decision."""
    with desk.reading() as reader:
        policy = reader.get_policy()
    headers = {"Cache-Control": "public, max-age=300", "Cross-Origin-Resource-Policy": "cross-origin"}
    return Response(policy, media_type="text/plain", headers=headers)


@get("/verify", opt={"policy": OPEN}, sync_to_thread=True, include_in_schema=False)
def get_verification_page(desk: TheDesk) -> Response[bytes]:
    """The page that judges proofs in the browser, with this node's policy in it. It can be kept, and works from a disk;
    only its own script may run, which its hash says."""
    with desk.reading() as reader:
        policy = reader.get_policy()
    page, csp = _make_page(policy)
    headers = {"Cache-Control": "no-cache", "Content-Security-Policy": f"{csp}; frame-ancestors 'none'"}
    return Response(page, media_type="text/html", headers=headers)


@cache
def _make_page(policy: bytes) -> tuple[bytes, str]:
    page = make_page([policy])
    found = _META_CSP.search(page.decode())
    if found is None:
        raise ValueError("the packaged page says nothing of what it may do")
    return page.replace(b"</noscript>", _WITHOUT_SCRIPT + b"</noscript>", 1), found[1]


@get("/problems/{code:str}", opt={"policy": OPEN}, sync_to_thread=False, include_in_schema=False)
def get_problem(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[Any]:
    """What a refusal means and what to do next: the address that is its `type`."""
    if code not in REASONS:
        raise Refused(Reason.NOT_FOUND, "there is no such reason")
    meaning, advice = REASONS[code]
    status = STATUSES[Reason(code)]
    headers = {"Cache-Control": "public, max-age=3600"}
    if is_for_a_person(request):
        title = code.replace("_", " ").capitalize()
        problem = Problem(status, code, title, _plain(meaning), get_request_id(request.scope), _plain(advice))
        return Response(render_failure(request, problem), media_type="text/html", headers=headers)
    document = {"code": code, "meaning": meaning, "next": advice, "status": status}
    return Response(document, headers=headers)


@get("/problems", opt={"policy": OPEN}, sync_to_thread=False, include_in_schema=False)
def list_problems() -> dict[str, Any]:
    """Every reason for which a request can be refused."""
    return {"problems": [{"code": one.value, "meaning": REASONS[one.value][0]} for one in Reason]}


def _plain(markdown: str) -> str:
    """A cell of the document without its marks."""
    return markdown.replace("`", "")


ROUTES = [get_health, get_readiness, get_trust_policy, get_verification_page, get_problem, list_problems]
