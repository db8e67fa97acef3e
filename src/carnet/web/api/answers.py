"""Answers of the API: JSON as its types say, tagged so that nobody fetches the same twice, and given once for one key.

It refuses to know what is answered.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import msgspec
from litestar import Request, Response

from carnet.errors import CarnetError, Reason, Refused
from carnet.node.jobs import Prepared
from carnet.node.reader import Reader
from carnet.services.access import Holdings, NoHoldings, View, get_view
from carnet.services.accounts.office import Office
from carnet.services.idempotency import Answered, Finished, Idempotency, Started, make_finished
from carnet.services.journaling import Access, find_access, is_sealed_soon, prepare_look, record_access
from carnet.services.principals import Principal
from carnet.services.together import Together
from carnet.types import Millis
from carnet.web.api.contract import JSON
from carnet.web.api.inputs import get_passport_id
from carnet.web.desk import Desk
from carnet.web.headers import find_text, get_request_id
from carnet.web.kept import Answer, get_kept, make_answer
from carnet.web.made import Made
from carnet.web.problems import make_problem
from carnet.web.waiting import in_thread

AnyRequest = Request[Any, Any, Any]
KEY_HEADER: Final = b"idempotency-key"


def get_holdings(desk: Desk) -> Holdings:
    """Who holds what, as the accounts of this node know."""
    found: Holdings = desk.shelf.get("holdings") or NoHoldings()
    return found


def get_records(desk: Desk) -> Idempotency:
    """What idempotency keys have answered, in the office's store of people. Raises Refused(SERVICE_FAULT) for a service
    without one."""
    known: Idempotency | None = desk.shelf.get("idempotency")
    office: Office | None = desk.shelf.get("office")
    if known is not None:
        return known
    if office is None:
        raise Refused(Reason.SERVICE_FAULT, "this service keeps no accounts, and so no idempotency keys")
    return Idempotency(office.people, office.key)


def answer(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response[bytes]:
    """A JSON answer."""
    return Made(msgspec.json.encode(value), status, JSON, headers)


def answer_fresh(request: AnyRequest, value: object) -> Response[bytes]:
    """A JSON answer with its tag; 304 for whoever has the very same."""
    return answer_tagged(request, make_answer(msgspec.json.encode(value)))


def make_tag(value: object) -> str:
    """The tag of a JSON answer that says this."""
    return make_answer(msgspec.json.encode(value)).tag


def answer_tagged(request: AnyRequest, made: Answer) -> Response[bytes]:
    """An answer that is made already; 304 for whoever has the very same."""
    headers = {"ETag": made.tag, "Cache-Control": "private, no-cache", "Vary": "Authorization, Cookie"}
    wanted = request.headers.get("if-none-match", "")
    if not {"*", made.tag}.isdisjoint(one.strip().removeprefix("W/") for one in wanted.split(",")):
        return Made(b"", 304, JSON, headers)
    return Made(made.body, 200, JSON, headers)


def answer_kept(
    desk: Desk,
    request: AnyRequest,
    reader: Reader,
    view: View,
    make: Callable[[], tuple[object, Iterable[str]]],
) -> Answer:
    """What was answered to this view at this address before, if it still holds; else what `make` gives: the answer, and
    the kinds of entry that it shows."""
    address = f"{request.scope['path']}?{request.scope['query_string'].decode('latin-1')}"

    def make_now() -> Answer:
        value, kinds = make()
        return make_answer(msgspec.json.encode(value), tuple(kinds))

    return get_kept(desk).get(
        view, address, reader.find_fingerprint(view.passport), make_now, lambda seq: view.has_news(reader, seq)
    )


def answer_once(
    desk: Desk,
    principal: Principal,
    request: AnyRequest,
    asked: object,
    work: Callable[[bytes | None, Millis], object],
    status: int = 201,
) -> Response[bytes]:
    """The answer to a write. With an `Idempotency-Key` the work is done once, and its answer, a refusal too, is given
    again for the same key and request. `work(seed, now)` does it."""
    key, now = find_text(request.scope, KEY_HEADER), desk.clock()
    if key is None:
        return answer(work(None, now), status)
    records = get_records(desk)
    begun = records.start(principal, key, _tell(request, asked), now)
    if isinstance(begun, Answered):
        return _replay(begun)
    try:
        body = msgspec.json.encode(work(begun.seed, begun.since))
    except CarnetError as error:
        records.write([_end_badly(begun, request, error, desk)])
        raise
    records.finish(begun, status, body, desk.clock())
    return Made(body, status, JSON)


async def answer_once_soon(
    desk: Desk,
    principal: Principal,
    request: AnyRequest,
    asked: object,
    work: Callable[[bytes | None, Millis], Awaitable[object]],
    status: int = 201,
) -> Response[bytes]:
    """As `answer_once`, for work that an event loop does."""
    key, now = find_text(request.scope, KEY_HEADER), desk.clock()
    if key is None:
        return answer(await work(None, now), status)
    together = _get_together(desk)
    begun = await together.start(get_records(desk).ask(principal, key, _tell(request, asked), now))
    if isinstance(begun, Answered):
        return _replay(begun)
    try:
        body = msgspec.json.encode(await work(begun.seed, begun.since))
    except CarnetError as error:
        await together.finish(_end_badly(begun, request, error, desk))
        raise
    await together.finish(make_finished(begun, status, body, desk.clock()))
    return Made(body, status, JSON)


def _get_together(desk: Desk) -> Together:
    found: Together | None = desk.shelf.get("together")
    if found is None:
        found = desk.shelf["together"] = Together(get_records(desk))
    return found


def _tell(request: AnyRequest, asked: object) -> bytes:
    """All that a request asks."""
    return msgspec.json.encode([request.method, request.url.path, asked], order="sorted")


def _replay(answered: Answered) -> Response[bytes]:
    media = JSON if answered.status < 400 else "application/problem+json"
    headers = {"Idempotent-Replayed": "true"}
    return Made(answered.body, answered.status, media, headers)


def _end_badly(begun: Started, request: AnyRequest, error: CarnetError, desk: Desk) -> Finished:
    problem = make_problem(error, get_request_id(request.scope))
    if problem.status >= 500 or problem.could_retry or not isinstance(error, Refused):
        # Nothing was decided: the same key may be tried again at once.
        return Finished(begun.digest, None)
    return make_finished(begun, problem.status, msgspec.json.encode(problem.to_document()), desk.clock())


@contextmanager
def viewing(desk: Desk, principal: Principal, passport: str) -> Iterator[tuple[Reader, View]]:
    """A reader, and the caller's view of the passport that an address names. Raises Refused(UNKNOWN_PASSPORT)."""
    wanted = get_passport_id(passport)
    with desk.reading() as reader:
        yield reader, get_view(reader, get_holdings(desk), principal, wanted)


class Look(NamedTuple):
    """A look at a passport that may have to be sealed before its answer goes: ready for the writer, if anybody may keep
    journals."""

    access: Access
    prepared: Prepared | None


def find_look(
    desk: Desk, principal: Principal, reader: Reader, view: View, kinds: list[str], *, purpose: str
) -> Look | None:
    """The look of whoever reads entries of these kinds, for `seal_look`; None for the holder's own."""
    access = find_access(principal, view, kinds, len(kinds), purpose=purpose)
    return None if access is None else Look(access, prepare_look(desk.door, reader, access, desk.clock()))


async def seal_look(desk: Desk, look: Look | None) -> None:
    """As `note_access`, from the event loop: when it returns, the answer may go."""
    if look is None or look.prepared is None or await is_sealed_soon(desk.door, look.prepared):
        return
    # The rules have changed, another look has opened the journal, or it was erased.
    await in_thread(_look_again, desk, look.access)


def _look_again(desk: Desk, access: Access) -> None:
    with desk.reading() as reader:
        record_access(desk.door, reader, access, desk.clock())


def note_access(
    desk: Desk,
    principal: Principal,
    reader: Reader,
    view: View,
    kinds: list[str],
    *,
    action: str = "read",
    purpose: str = "own entries",
) -> None:
    """Seal in the holder's journal that the caller looks at entries of these kinds; when it returns, the answer may
    go."""
    access = find_access(principal, view, kinds, len(kinds), action=action, purpose=purpose)
    if access is not None:
        record_access(desk.door, reader, access, desk.clock())
