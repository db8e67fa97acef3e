"""The webhooks of the node in a home, as the client of a service gives them: one set of verbs for both."""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

import msgspec

from carnet.node.reader import Reader
from carnet.outbound.posting import Poster
from carnet.sdk import shapes
from carnet.services.accounts.office import Office
from carnet.services.founding import find_present_member
from carnet.services.principals import Principal, Standing
from carnet.services.settings import find_settings
from carnet.services.timelines import format_time
from carnet.services.webhooks import endpoints, messages
from carnet.services.webhooks.endpoints import Endpoint
from carnet.services.webhooks.keys import list_public_keys
from carnet.services.webhooks.messages import MAX_PAGE, Message
from carnet.services.webhooks.reaching import make_reach
from carnet.services.webhooks.sending import send_test

OPERATOR: Final = Principal(Standing.OPERATOR)


class Here:
    """As `carnet.sdk.hooks.Webhooks`, for whoever sits at the node's own terminal: all members' addresses, and new ones
    of the member that is named."""

    def __init__(self, office: Office, reader: Reader, member: str | None) -> None:
        self._office, self._reader, self._member = office, reader, member
        self._reach = make_reach(find_settings({}, os.environ), office)

    def add(self, url: str, events: Iterable[str] = (), *, note: str = "") -> shapes.Webhook:
        """An address of the member. Raises Refused as `add_endpoint`."""
        member = find_present_member(self._reader.state.members.all, self._member or "")
        made = endpoints.add_endpoint(
            self._office, OPERATOR, member.id, url, kinds=events, note=note, reach=self._reach
        )
        return self._show(made)

    def list(self) -> list[shapes.Webhook]:
        """Those of all members."""
        return [self._show(one) for one in endpoints.list_endpoints(self._office, OPERATOR)]

    def rotate(self, webhook: str) -> shapes.Webhook:
        """A new key."""
        return self._show(endpoints.rotate(self._office, OPERATOR, webhook))

    def start(self, webhook: str) -> shapes.Webhook:
        """Told again."""
        return self._show(endpoints.start_again(self._office, OPERATOR, webhook))

    def end(self, webhook: str) -> None:
        """Told no more."""
        endpoints.end(self._office, OPERATOR, webhook)

    def test(self, webhook: str) -> shapes.WebhookTest:
        """A test, sent from this terminal."""
        tested = send_test(self._office, OPERATOR, webhook, Poster(self._reach))
        outcome = tested.outcome
        try:
            text, coded = outcome.body.decode(), None
        except UnicodeDecodeError:
            text, coded = None, b64encode(outcome.body).decode()
        return shapes.WebhookTest(
            message=_show_message(tested.message),
            headers=tested.headers,
            status=outcome.status,
            trouble=None if outcome.trouble is None else outcome.trouble.value,
            took_ms=outcome.took_ms,
            body=text,
            body_base64=coded,
        )

    def messages(self, webhook: str, *, in_state: str | None = None) -> Iterator[shapes.WebhookMessage]:
        """What it was told, newest first."""
        last: str | None = None
        has_more = True
        while has_more:
            found, has_more = messages.list_messages(
                self._office, OPERATOR, webhook, state=in_state, starting_after=last, limit=MAX_PAGE
            )
            for one in found:
                last = one.public_id
                yield _show_message(one)

    def replay(self, webhook: str, *, message: str | None = None, since: str | None = None) -> int:
        """Sent again by the node that is served, or the next time that it is."""
        at = None if since is None else int(datetime.fromisoformat(since).timestamp() * 1000)
        return messages.replay(self._office, OPERATOR, webhook, message=message, since=at)

    def _show(self, endpoint: Endpoint) -> shapes.Webhook:
        return shapes.Webhook(
            id=endpoint.public_id,
            url=endpoint.url,
            events=[*endpoint.kinds],
            note=endpoint.note,
            state=endpoint.state,
            keys=list_public_keys(self._office, endpoint, self._office.clock()),
            created=format_time(endpoint.created_at),
            failing_since=_show_time(endpoint.failing_since),
            stopped=_show_time(endpoint.stopped_at),
            stopped_why=endpoint.stopped_why,
        )


def _show_message(message: Message) -> shapes.WebhookMessage:
    return shapes.WebhookMessage(
        id=message.public_id,
        webhook=f"whk_{message.webhook.hex()}",
        type=message.type,
        state=message.state,
        created=format_time(message.created_at),
        next_try=_show_time(message.next_at),
        trouble=message.trouble,
        tries=[
            shapes.WebhookTry(at=format_time(one.at), status=one.status, trouble=one.trouble, took_ms=one.took_ms)
            for one in message.history
        ],
        payload=msgspec.json.decode(message.payload),
    )


def _show_time(at: int | None) -> str | None:
    return None if at is None else format_time(at)
