"""`/v1/webhooks`: a member's addresses that are told what happened, what they were told, and trying them.

A member's programs with the scope `webhooks` do all of it here; its admins look here, and act in the page, which asks
for their passkey.
"""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from litestar import Response, delete, get, post
from litestar.params import FromPath, FromQuery, JSONBody

from carnet.errors import Reason, Refused
from carnet.outbound.posting import Poster
from carnet.services.accounts.office import Office
from carnet.services.names import Prefix, pattern
from carnet.services.principals import Principal, Role, Scope, Standing
from carnet.services.timelines import DEFAULT_LIMIT, Shape, check_limit, format_time
from carnet.services.webhooks.endpoints import (
    Check,
    Endpoint,
    add_endpoint,
    end,
    get_endpoint,
    list_endpoints,
    rotate,
    start_again,
)
from carnet.services.webhooks.keys import list_public_keys
from carnet.services.webhooks.messages import Message, Try, get_message, list_messages, replay
from carnet.services.webhooks.reaching import make_reach
from carnet.services.webhooks.sending import send_test
from carnet.web.api.answers import AnyRequest, answer, answer_fresh, answer_once, make_tag
from carnet.web.api.contract import Contract, ListOf, promise
from carnet.web.desk import TheDesk, ThePrincipal
from carnet.web.inputs import Input
from carnet.web.matching import find_wanted
from carnet.web.people import get_office
from carnet.web.policy import Policy, machine

TAG: Final = "Webhooks"
READERS: Final = machine(Scope.WEBHOOKS, Role.ADMIN)
PROGRAMS: Final = Policy(frozenset({Standing.MACHINE}), scope=Scope.WEBHOOKS)
UNKNOWN: Final = (Reason.UNKNOWN_WEBHOOK,)
State = Literal["waiting", "delivered", "dead"]


class WebhookIn(Input, frozen=True, kw_only=True):
    """An address to tell: https, of the open network; the events it wants (left out: all), and a note for people."""

    url: Annotated[str, msgspec.Meta(min_length=1, max_length=400)]
    events: Annotated[list[str], msgspec.Meta(max_length=20)] | None = None
    note: Annotated[str, msgspec.Meta(max_length=80)] = ""


class WebhookShown(Shape, frozen=True, kw_only=True):
    """An address of your member. `keys` are the public keys that sign now, the newest first. `failing`: nothing has
    succeeded since `failing_since`; `stopped`: nothing is sent until it is started again."""

    id: str
    url: str
    events: list[str]
    note: str
    state: Literal["active", "failing", "stopped", "ended"]
    keys: list[str]
    created: str
    failing_since: str | None
    stopped: str | None
    stopped_why: Literal["failing", "gone"] | None
    object: Literal["webhook"] = "webhook"


class TryShown(Shape, frozen=True, kw_only=True):
    """One try: when, the status that was answered, what went wrong (in a word), and how long it took."""

    at: str
    status: int | None
    trouble: str | None
    took_ms: int


class MessageShown(Shape, frozen=True, kw_only=True):
    """What an address was told, or is to be told, and how each try went, oldest first. `id` is its `webhook-id`."""

    id: str
    webhook: str
    type: str
    state: State
    created: str
    next_try: str | None
    trouble: str | None
    tries: list[TryShown]
    payload: dict[str, Any]
    object: Literal["webhook_message"] = "webhook_message"


class WebhookTestShown(Shape, frozen=True, kw_only=True):
    """A test: what was sent, with its headers, and the beginning of what was answered: `body`, or `body_base64` where
    it is no text."""

    message: MessageShown
    headers: dict[str, str]
    status: int | None
    trouble: str | None
    took_ms: int
    body: str | None
    body_base64: str | None
    object: Literal["webhook_test"] = "webhook_test"


class ReplayIn(Input, frozen=True, kw_only=True):
    """What to send again: one message, or all dead ones since a moment (RFC 3339, with its zone)."""

    message: Annotated[str, msgspec.Meta(pattern=pattern(Prefix.MESSAGE))] | None = None
    since: Annotated[str, msgspec.Meta(max_length=40)] | None = None


class Replayed(Shape, frozen=True, kw_only=True):
    """How many messages are sent again."""

    count: int
    object: Literal["replay"] = "replay"


@get("/webhooks", opt=promise(READERS, Contract(TAG, answer=ListOf[WebhookShown])), sync_to_thread=True)
def list_webhooks(desk: TheDesk, principal: ThePrincipal, request: AnyRequest) -> Response[bytes]:
    """The addresses of your member that are told what happens, oldest first."""
    office = get_office(desk)
    found = [show_webhook(office, one) for one in list_endpoints(office, principal)]
    return answer_fresh(request, ListOf(data=found, has_more=False))


@post(
    "/webhooks",
    opt=promise(
        PROGRAMS,
        Contract(
            TAG,
            answer=WebhookShown,
            body=WebhookIn,
            status=201,
            refusals=(
                Reason.URL_NOT_ALLOWED, Reason.NOT_IN_LIST, Reason.TOO_MANY_WEBHOOKS, Reason.TEXT_NOT_ALLOWED,
                Reason.TEXT_TOO_LONG,
            ),
            is_idempotent=True,
            example={"url": "https://hooks.example.org/carnet", "events": ["entry.sealed", "file.done"], "note": "ERP"},
        ),
    ),
    sync_to_thread=True,
)  # fmt: skip
def add_webhook(
    desk: TheDesk, principal: ThePrincipal, request: AnyRequest, data: JSONBody[WebhookIn]
) -> Response[bytes]:
    """Tell an address what happens from now on. Keep the public key of the answer: it checks what comes in."""
    office = get_office(desk)

    def work(seed: bytes | None, now: int) -> WebhookShown:
        made = add_endpoint(
            office,
            principal,
            _get_member(principal),
            data.url,
            kinds=data.events or (),
            note=data.note,
            reach=make_reach(desk.settings, office),
            seed=seed,
        )
        return show_webhook(office, made)

    return answer_once(desk, principal, request, data, work)


@get(
    "/webhooks/{webhook:str}",
    opt=promise(READERS, Contract(TAG, answer=WebhookShown, refusals=UNKNOWN)),
    sync_to_thread=True,
)
def get_webhook(desk: TheDesk, principal: ThePrincipal, request: AnyRequest, webhook: FromPath[str]) -> Response[bytes]:
    """One address, its state, and the keys that sign for it. Its `ETag` is for the `If-Match` of a change."""
    office = get_office(desk)
    with office.people.read() as connection:
        found = get_endpoint(connection, principal, webhook)
    return answer_fresh(request, show_webhook(office, found))


@delete(
    "/webhooks/{webhook:str}",
    opt=promise(PROGRAMS, Contract(TAG, status=204, refusals=UNKNOWN, is_matched=True)),
    status_code=204,
    sync_to_thread=True,
)
def end_webhook(desk: TheDesk, principal: ThePrincipal, request: AnyRequest, webhook: FromPath[str]) -> None:
    """End an address: it is told nothing more."""
    office = get_office(desk)
    end(office, principal, webhook, _make_check(office, request))


@post(
    "/webhooks/{webhook:str}/rotate",
    opt=promise(PROGRAMS, Contract(TAG, answer=WebhookShown, refusals=UNKNOWN, is_matched=True)),
    status_code=200,
    sync_to_thread=True,
)
def rotate_webhook(
    desk: TheDesk, principal: ThePrincipal, request: AnyRequest, webhook: FromPath[str]
) -> Response[bytes]:
    """A new key. For a day both sign: take the new one meanwhile. Once more would end at once the key that you know:
    with the `ETag` of what you saw in `If-Match` it is done once."""
    office = get_office(desk)
    changed = rotate(office, principal, webhook, check=_make_check(office, request))
    return answer(show_webhook(office, changed))


@post(
    "/webhooks/{webhook:str}/start",
    opt=promise(PROGRAMS, Contract(TAG, answer=WebhookShown, refusals=UNKNOWN, is_matched=True)),
    status_code=200,
    sync_to_thread=True,
)
def start_webhook(
    desk: TheDesk, principal: ThePrincipal, request: AnyRequest, webhook: FromPath[str]
) -> Response[bytes]:
    """Tell an address again that was stopped: what happens from now on."""
    office = get_office(desk)
    changed = start_again(office, principal, webhook, check=_make_check(office, request))
    return answer(show_webhook(office, changed))


@post(
    "/webhooks/{webhook:str}/test",
    opt=promise(PROGRAMS, Contract(TAG, answer=WebhookTestShown, refusals=UNKNOWN)),
    status_code=200,
    sync_to_thread=True,
)
def test_webhook(desk: TheDesk, principal: ThePrincipal, webhook: FromPath[str]) -> Response[bytes]:
    """Send a test to an address now, once; the answer shows what was sent and what came back."""
    office = get_office(desk)
    tested = send_test(office, principal, webhook, Poster(make_reach(desk.settings, office)))
    outcome, text = tested.outcome, find_text(tested.outcome.body)
    shown = WebhookTestShown(
        message=show_message(tested.message),
        headers=tested.headers,
        status=outcome.status,
        trouble=None if outcome.trouble is None else outcome.trouble.value,
        took_ms=outcome.took_ms,
        body=text,
        body_base64=b64encode(outcome.body).decode() if text is None else None,
    )
    return answer(shown)


@post(
    "/webhooks/{webhook:str}/replay",
    opt=promise(
        PROGRAMS,
        Contract(
            TAG,
            answer=Replayed,
            body=ReplayIn,
            refusals=(*UNKNOWN, Reason.MISSING_FIELD, Reason.FIELDS_CONFLICT, Reason.INVALID_TIME),
            example={"since": "2026-11-25T00:00:00Z"},
        ),
    ),
    status_code=200,
    sync_to_thread=True,
)
def replay_webhook(
    desk: TheDesk, principal: ThePrincipal, webhook: FromPath[str], data: JSONBody[ReplayIn]
) -> Response[bytes]:
    """Send one message again, delivered or dead, or every dead one since a moment. The ids stay the same."""
    since = None if data.since is None else read_time(data.since)
    count = replay(get_office(desk), principal, webhook, message=data.message, since=since)
    return answer(Replayed(count=count))


@get(
    "/webhooks/{webhook:str}/messages",
    opt=promise(READERS, Contract(TAG, answer=ListOf[MessageShown], refusals=(*UNKNOWN, Reason.VALUE_OUT_OF_RANGE))),
    sync_to_thread=True,
)
def list_webhook_messages(
    desk: TheDesk,
    principal: ThePrincipal,
    request: AnyRequest,
    webhook: FromPath[str],
    in_state: FromQuery[State | None] = None,
    limit: FromQuery[int] = DEFAULT_LIMIT,
    starting_after: FromQuery[str | None] = None,
) -> Response[bytes]:
    """What an address was told in the last thirty days, newest first, with every try."""
    check_limit(limit)
    found, has_more = list_messages(
        get_office(desk), principal, webhook, state=in_state, limit=limit, starting_after=starting_after
    )
    return answer_fresh(request, ListOf(data=[show_message(one) for one in found], has_more=has_more))


@get(
    "/webhooks/{webhook:str}/messages/{message:str}",
    opt=promise(READERS, Contract(TAG, answer=MessageShown, refusals=UNKNOWN)),
    sync_to_thread=True,
)
def get_webhook_message(
    desk: TheDesk, principal: ThePrincipal, request: AnyRequest, webhook: FromPath[str], message: FromPath[str]
) -> Response[bytes]:
    """One message, what it says, and how each try went."""
    return answer_fresh(request, show_message(get_message(get_office(desk), principal, webhook, message)))


def show_webhook(office: Office, endpoint: Endpoint) -> WebhookShown:
    """An address as the API gives it."""
    return WebhookShown(
        id=endpoint.public_id,
        url=endpoint.url,
        events=list(endpoint.kinds),
        note=endpoint.note,
        state=endpoint.state,  # type: ignore[arg-type]
        keys=list_public_keys(office, endpoint, office.clock()),
        created=format_time(endpoint.created_at),
        failing_since=None if endpoint.failing_since is None else format_time(endpoint.failing_since),
        stopped=None if endpoint.stopped_at is None else format_time(endpoint.stopped_at),
        stopped_why=endpoint.stopped_why,  # type: ignore[arg-type]
    )


def show_message(message: Message) -> MessageShown:
    """A message as the API gives it."""
    return MessageShown(
        id=message.public_id,
        webhook=f"{Prefix.WEBHOOK}_{message.webhook.hex()}",
        type=message.type,
        state=message.state,  # type: ignore[arg-type]
        created=format_time(message.created_at),
        next_try=None if message.next_at is None else format_time(message.next_at),
        trouble=message.trouble,
        tries=[_show_try(one) for one in message.history],
        payload=msgspec.json.decode(message.payload),
    )


def find_text(body: bytes) -> str | None:
    """The beginning of an answer as text; None where it is none."""
    try:
        return body.decode("utf-8", "strict")
    except UnicodeDecodeError as error:
        # Cut amid a character, it is text all the same.
        whole = body[: error.start]
        return whole.decode() if error.start >= len(body) - 3 and whole else None


def read_time(text: str) -> int:
    """A moment in ms. Raises Refused(INVALID_TIME)."""
    try:
        given = datetime.fromisoformat(text)
        # At either end of the calendar another zone has no such day.
        found = None if given.tzinfo is None else given.astimezone(UTC)
    except (ValueError, OverflowError):
        found = None
    if found is None or not 1970 <= found.year <= 9998:
        saying = "a moment is written 2026-11-25T08:30:00Z, with its zone"
        raise Refused(Reason.INVALID_TIME, saying, field="since")
    return int(found.timestamp() * 1000)


def _show_try(one: Try) -> TryShown:
    return TryShown(at=format_time(one.at), status=one.status, trouble=one.trouble, took_ms=one.took_ms)


def _make_check(office: Office, request: AnyRequest) -> Check:
    """Whether an address is still as the request's `If-Match` says."""
    wanted = find_wanted(request.scope)
    return lambda endpoint: wanted.check(make_tag(show_webhook(office, endpoint)))


def _get_member(principal: Principal) -> bytes:
    if principal.member is None:
        raise Refused(Reason.NOT_PERMITTED, "a webhook belongs to a member")
    return principal.member


ROUTES = [
    list_webhooks,
    add_webhook,
    get_webhook,
    end_webhook,
    rotate_webhook,
    start_webhook,
    test_webhook,
    replay_webhook,
    list_webhook_messages,
    get_webhook_message,
]
