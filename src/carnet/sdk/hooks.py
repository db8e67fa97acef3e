"""Managing a member's webhooks: `client.webhooks`. What comes in is checked by `carnet.sdk.webhooks`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from carnet.sdk import shapes
from carnet.sdk.pages import Page, walk
from carnet.sdk.transport import Transport


class Webhooks:
    """The addresses of your member that are told what happens. Your key needs the scope `webhooks`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def add(
        self, url: str, events: Iterable[str] = (), *, note: str = "", idempotency_key: str | None = None
    ) -> shapes.Webhook:
        """Tell this https address what happens from now on: these events, or all. Keep `keys[0]` of the answer."""
        body = {"url": url, "events": list(events) or None, "note": note}
        return self._transport.post("/v1/webhooks", shapes.Webhook, body, idempotency_key=idempotency_key)

    def list(self) -> list[shapes.Webhook]:
        """All of them, oldest first."""
        return self._transport.get("/v1/webhooks", Page[shapes.Webhook]).data

    def get(self, webhook: str) -> shapes.Webhook:
        """One of them, with its state and keys. Raises NotFound."""
        answered = self._transport.send("GET", f"/v1/webhooks/{webhook}")
        found = msgspec.json.decode(answered.content, type=shapes.Webhook)
        return msgspec.structs.replace(found, tag=answered.headers.get("etag", ""))

    def rotate(self, webhook: str, *, seen: shapes.Webhook | None = None) -> shapes.Webhook:
        """A new key, `keys[0]`; for a day the one before it signs too. With what you have `seen`, a `get`, nothing is
        changed if it is different by now: Conflict (`changed_since`). So it can be asked again after no answer came."""
        return self._transport.act(f"/v1/webhooks/{webhook}/rotate", shapes.Webhook, _match(seen))

    def start(self, webhook: str, *, seen: shapes.Webhook | None = None) -> shapes.Webhook:
        """Tell an address again that was stopped. `seen` as in `rotate`."""
        return self._transport.act(f"/v1/webhooks/{webhook}/start", shapes.Webhook, _match(seen))

    def end(self, webhook: str, *, seen: shapes.Webhook | None = None) -> None:
        """Tell it nothing more. `seen` as in `rotate`."""
        self._transport.send("DELETE", f"/v1/webhooks/{webhook}", headers=_match(seen))

    def test(self, webhook: str) -> shapes.WebhookTest:
        """Send a test now, once: what was sent, and what came back."""
        return self._transport.act(f"/v1/webhooks/{webhook}/test", shapes.WebhookTest)

    def messages(self, webhook: str, *, in_state: str | None = None) -> Iterator[shapes.WebhookMessage]:
        """What it was told in the last thirty days, newest first: `waiting`, `delivered`, `dead`, or all."""
        path = f"/v1/webhooks/{webhook}/messages"
        return walk(self._transport, path, shapes.WebhookMessage, {"in_state": in_state})

    def replay(self, webhook: str, *, message: str | None = None, since: str | None = None) -> int:
        """Send one message again, or every dead one since a moment (RFC 3339); how many."""
        body = {"message": message, "since": since}
        return self._transport.post(f"/v1/webhooks/{webhook}/replay", shapes.Replayed, body).count


def _match(seen: shapes.Webhook | None) -> dict[str, str]:
    if seen is not None and not seen.tag:
        raise ValueError("only what `get` gave says what was seen")
    return {} if seen is None else {"If-Match": seen.tag}
