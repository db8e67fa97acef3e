"""Webhooks of my organisation: which addresses are told, what they were told and how that went; tried, sent again,
given a new key, ended. It works without script.

Whoever adds, ends or gives a new key confirms with a passkey first. It refuses to show more of an answer than its
beginning.
"""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect

from carnet.errors import Reason, Refused
from carnet.outbound.posting import Poster, Trouble
from carnet.services.accounts.office import DAY_MS, Office
from carnet.services.principals import Principal, Role
from carnet.services.webhooks import events
from carnet.services.webhooks.endpoints import (
    Endpoint,
    add_endpoint,
    end,
    get_endpoint,
    list_endpoints,
    rotate,
    start_again,
)
from carnet.services.webhooks.keys import list_public_keys
from carnet.services.webhooks.messages import list_messages, replay
from carnet.services.webhooks.reaching import make_reach
from carnet.services.webhooks.sending import Tested, send_test
from carnet.web.api.webhooks import find_text
from carnet.web.desk import Desk, TheDesk, ThePrincipal
from carnet.web.language import Language, load_translations
from carnet.web.pages.front import FormData
from carnet.web.pages.once import compute_seed, make_once
from carnet.web.pages.sayings import say_refusal
from carnet.web.pages.showing import AnyRequest, find_reader_language, go, show
from carnet.web.pages.signing_in import is_fresh
from carnet.web.people import get_office
from carnet.web.policy import FRESH_MS, staff

HERE: Final = "/organisation/webhooks"
ADMINS, FRESH_ADMINS = staff(Role.ADMIN), staff(Role.ADMIN, fresh=True)
SHOWN: Final = 20
DAYS: Final = (1, 3, 30)
ONE: Final = f"{HERE}/{{webhook:str}}"


@get(HERE, opt={"policy": ADMINS}, sync_to_thread=True, include_in_schema=False)
def get_webhooks(request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Response[str]:
    """The addresses that are told, and the form to add one."""
    return _show_all(request, desk, principal)


@post(HERE, opt={"policy": FRESH_ADMINS}, sync_to_thread=True, include_in_schema=False)
def add_webhook_here(
    data: FormData, request: AnyRequest, desk: TheDesk, principal: ThePrincipal
) -> Response[str] | Redirect:
    """Tell an address from now on."""
    office, given = get_office(desk), data.get("event", [])
    kinds = [str(word) for word in (given if isinstance(given, list) else [given])]
    url, note = str(data.get("url", "")).strip(), str(data.get("note", ""))
    try:
        made = add_endpoint(
            office,
            principal,
            principal.member or b"",
            url,
            kinds=kinds,
            note=note,
            reach=make_reach(desk.settings, office),
            seed=compute_seed(desk, principal, f"webhook {sorted(kinds)} {url} {note}", data),
        )
    except Refused as refused:
        if refused.reason is Reason.NOT_PERMITTED:
            raise
        return _show_all(request, desk, principal, refused, typed=(url, note, kinds))
    return go(f"{HERE}/{made.public_id}")


@get(ONE, opt={"policy": ADMINS}, sync_to_thread=True, include_in_schema=False)
def get_webhook_here(
    request: AnyRequest,
    desk: TheDesk,
    principal: ThePrincipal,
    webhook: FromPath[str],
    after: FromQuery[str | None] = None,
) -> Response[str]:
    """One address: its state and its keys, and what it was told, with each try."""
    return _show_one(request, desk, principal, webhook, after=after)


@post(f"{ONE}/test", opt={"policy": ADMINS}, sync_to_thread=True, include_in_schema=False)
def test_webhook_here(
    request: AnyRequest, desk: TheDesk, principal: ThePrincipal, webhook: FromPath[str], data: FormData
) -> Response[str]:
    """Send a test; the page shows what was sent and what came back."""
    office = get_office(desk)
    try:
        tested = send_test(office, principal, webhook, Poster(make_reach(desk.settings, office)))
    except Refused as refused:
        if refused.reason is not Reason.TOO_MANY_REQUESTS:
            raise
        return _show_one(request, desk, principal, webhook, refused=refused)
    return _show_one(request, desk, principal, webhook, tested=tested)


@post(f"{ONE}/replay", opt={"policy": ADMINS}, sync_to_thread=True, include_in_schema=False)
def replay_webhook_here(
    request: AnyRequest, desk: TheDesk, principal: ThePrincipal, webhook: FromPath[str], data: FormData
) -> Response[str]:
    """Send one message again, or those that could not be delivered in so many days."""
    message, days = data.get("message"), str(data.get("days", ""))
    since = None
    if message is None and days in {str(one) for one in DAYS}:
        since = desk.clock() - int(days) * DAY_MS
    try:
        count = replay(
            get_office(desk), principal, webhook, message=None if message is None else str(message), since=since
        )
    except Refused as refused:
        if refused.reason not in (Reason.FIELDS_CONFLICT, Reason.MISSING_FIELD):
            raise
        return _show_one(request, desk, principal, webhook, refused=refused)
    return _show_one(request, desk, principal, webhook, replayed=count)


@post(f"{ONE}/start", opt={"policy": ADMINS}, sync_to_thread=True, include_in_schema=False)
def start_webhook_here(desk: TheDesk, principal: ThePrincipal, webhook: FromPath[str], data: FormData) -> Redirect:
    """Tell an address again that was stopped."""
    start_again(get_office(desk), principal, webhook)
    return go(f"{HERE}/{webhook}")


@post(f"{ONE}/rotate", opt={"policy": FRESH_ADMINS}, sync_to_thread=True, include_in_schema=False)
def rotate_webhook_here(desk: TheDesk, principal: ThePrincipal, webhook: FromPath[str], data: FormData) -> Redirect:
    """A new key; for a day the one before it signs too."""
    # Sent twice it would end at once the key that receivers know: only the one before signs beside the newest.
    rotate(get_office(desk), principal, webhook, seen=str(data.get("generation", "")))
    return go(f"{HERE}/{webhook}")


@post(f"{ONE}/end", opt={"policy": FRESH_ADMINS}, sync_to_thread=True, include_in_schema=False)
def end_webhook_here(desk: TheDesk, principal: ThePrincipal, webhook: FromPath[str], data: FormData) -> Redirect:
    """End an address."""
    end(get_office(desk), principal, webhook)
    return go(HERE)


def _show_all(
    request: AnyRequest,
    desk: Desk,
    principal: Principal,
    refused: Refused | None = None,
    typed: tuple[str, str, list[str]] = ("", "", []),
) -> Response[str]:
    office, language = get_office(desk), find_reader_language(request, desk)
    with desk.reading() as reader:
        member = reader.state.members.get(principal.member or b"")
    facts: dict[str, Any] = {
        "member": member.name,
        "once": make_once(desk),
        "webhooks": [(one, say_state(language, one)) for one in list_endpoints(office, principal)],
        "kinds": [(name, say_event(language, name)) for name in events.NAMES],
        "is_fresh": is_fresh(principal, desk, FRESH_MS),
        "problem": None if refused is None else _say(language, refused),
        "typed": typed,
    }
    return show(request, desk, principal, "webhooks.html", 200 if refused is None else 422, **facts)


def _show_one(
    request: AnyRequest,
    desk: Desk,
    principal: Principal,
    webhook: str,
    *,
    after: str | None = None,
    tested: Tested | None = None,
    replayed: int | None = None,
    refused: Refused | None = None,
) -> Response[str]:
    office, language = get_office(desk), find_reader_language(request, desk)
    with office.people.read() as connection:
        endpoint = get_endpoint(connection, principal, webhook)
    messages, has_more = list_messages(office, principal, webhook, starting_after=after, limit=SHOWN)
    facts: dict[str, Any] = {
        "webhook": endpoint,
        "state": say_state(language, endpoint),
        "keys": _list_keys(office, endpoint),
        "kinds": [say_event(language, name) for name in endpoint.kinds],
        "messages": messages,
        "after": messages[-1].public_id if messages and has_more else None,
        "is_first": after is None,
        "days": DAYS,
        "is_fresh": is_fresh(principal, desk, FRESH_MS),
        "tested": tested,
        "answer": None if tested is None else find_text(tested.outcome.body),
        "replayed": replayed,
        "problem": None if refused is None else _say(language, refused),
        "say_event": lambda name: say_event(language, name),
        "say_trouble": lambda code, status: say_trouble(language, code, status),
    }
    return show(request, desk, principal, "webhook.html", 200 if refused is None else 422, **facts)


def _list_keys(office: Office, endpoint: Endpoint) -> list[str]:
    return list_public_keys(office, endpoint, office.clock())


def say_state(language: Language, endpoint: Endpoint) -> str:
    """How an address is, in a sentence."""
    _ = load_translations(language).gettext
    if endpoint.stopped_at is not None:
        if endpoint.stopped_why == "gone":
            return _("Stopped: it answered that it is gone for good.")
        return _("Stopped: nothing was taken for five days.")
    if endpoint.failing_since is not None:
        return _("It does not take what it is told. What waits is tried again.")
    return _("It is told what happens.")


def say_event(language: Language, name: str) -> str:
    """What is told, in a few words."""
    _ = load_translations(language).gettext
    words = {
        events.ENTRY_SEALED: _("Entries of yours were sealed"),
        events.ENTRY_SUPERSEDED: _("An entry of yours was corrected by an authority"),
        events.ENTRY_CONTESTED: _("An entry of yours was contested"),
        events.FILE_DONE: _("A file has ended"),
        events.FILE_FAILED: _("A file could not be read"),
        events.CLAIM_CLAIMED: _("A customer used a code of yours"),
        events.CLAIM_CONTESTED: _("A code was used for a vehicle that somebody holds"),
        events.KEY_EXPIRING: _("A program's key ends soon"),
        events.TEST: _("Test"),
    }
    return words.get(name, name)


def say_trouble(language: Language, code: str | None, status: int | None) -> str:
    """What went wrong, in a sentence; the status where there was one."""
    _ = load_translations(language).gettext
    words = {
        Trouble.NAME_UNKNOWN: _("There is no host of this name."),
        Trouble.ADDRESS_REFUSED: _("The host is in a private network, which this node does not call."),
        Trouble.NOT_REACHED: _("Nobody answers at this address."),
        Trouble.NOT_TRUSTED: _("Its certificate is not to be trusted."),
        Trouble.TIMED_OUT: _("It took longer than 15 seconds."),
        Trouble.NO_ANSWER: _("What came back is no answer of a web server."),
        Trouble.REDIRECTED: _("It sends on to another address, which is not followed."),
        "restored": _("The node was restored from a backup before it was delivered."),
        "stopped": _("The address was stopped before."),
        "ended": _("The address was ended before."),
        "not_permitted": _("You may not see what it was about any more."),
    }
    if code is None:
        return "" if status is None else str(status)
    if code == Trouble.ANSWERED:
        return _("It answered %(status)s, which is no success.") % {"status": status}
    return words.get(code, code)


def _say(language: Language, refused: Refused) -> str:
    _ = load_translations(language).gettext
    words = {
        Reason.URL_NOT_ALLOWED: _("Give an https address that everybody could reach: no private network, no password."),
        Reason.TOO_MANY_WEBHOOKS: _("There are ten already: end one first."),
        Reason.FIELDS_CONFLICT: _("This address is stopped: start it again first."),
        Reason.MISSING_FIELD: _("Choose what is to be sent again."),
    }
    return words.get(refused.reason) or say_refusal(language, refused)


ROUTES = [
    get_webhooks,
    add_webhook_here,
    get_webhook_here,
    test_webhook_here,
    replay_webhook_here,
    start_webhook_here,
    rotate_webhook_here,
    end_webhook_here,
]
