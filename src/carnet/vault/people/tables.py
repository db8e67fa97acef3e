"""The tables of people. Secrets are kept as keyed digests only; times are ms since 1970.

Every column stands in `vault.people.catalogue` too, which says whether it holds personal data, why, and for how long.
Columns have the order in which the migrations made them: a move copies rows by their places.
"""

from __future__ import annotations

from sqlalchemy import BLOB, CheckConstraint, Column, Index, Integer, MetaData, PrimaryKeyConstraint, Table, Text

people = MetaData()


def _bytes(name: str, *, may_miss: bool = False, is_key: bool = False) -> Column[bytes]:
    return Column(name, BLOB, nullable=may_miss, primary_key=is_key)


def _text(name: str, *, may_miss: bool = False, is_key: bool = False) -> Column[str]:
    return Column(name, Text, nullable=may_miss, primary_key=is_key)


def _number(name: str, *, may_miss: bool = False) -> Column[int]:
    return Column(name, Integer, nullable=may_miss)


account = Table(
    "account",
    people,
    _bytes("id", is_key=True),
    _text("standing"),
    _bytes("member", may_miss=True),
    _text("role", may_miss=True),
    _text("name"),
    _bytes("handle"),
    _number("is_demo"),
    _number("created_ms"),
    _number("ended_ms", may_miss=True),
    CheckConstraint("standing IN ('holder', 'staff', 'operator')"),
    CheckConstraint("is_demo IN (0, 1)"),
)
"""One office of one person. `handle` is what passkeys call it (WebAuthn's user handle), which is never shown."""

passkey = Table(
    "passkey",
    people,
    _bytes("id", is_key=True),
    _bytes("account"),
    _bytes("credential"),
    _number("sign_count"),
    _text("name"),
    _number("created_ms"),
    _number("used_ms", may_miss=True),
)
"""A public key that an authenticator made. `id` is its credential id, `credential` what it attested."""

Index("passkey_by_account", passkey.c.account)

recovery_code = Table(
    "recovery_code",
    people,
    _bytes("digest", is_key=True),
    _bytes("account"),
    _number("created_ms"),
    _number("used_ms", may_miss=True),
)
"""A code that was shown once, at enrolment; it opens its account one time."""

Index("recovery_code_by_account", recovery_code.c.account)

session = Table(
    "session",
    people,
    _bytes("digest", is_key=True),
    _bytes("account"),
    _text("how"),
    _text("device"),
    _number("created_ms"),
    _number("seen_ms"),
    _number("confirmed_ms", may_miss=True),
    _number("until_ms"),
)
"""Somebody who is signed in. `how`: passkey, recovery or demo; `until_ms` is its absolute end."""

Index("session_by_account", session.c.account)

ceremony = Table(
    "ceremony",
    people,
    _bytes("digest", is_key=True),
    _text("purpose"),
    _bytes("account", may_miss=True),
    _bytes("invitation", may_miss=True),
    _text("name"),
    _number("until_ms"),
)
"""A challenge that an authenticator was asked to sign, under its digest; gone once it was answered."""

invitation = Table(
    "invitation",
    people,
    _bytes("digest", is_key=True),
    _bytes("id"),
    _text("standing"),
    _bytes("member", may_miss=True),
    _text("role", may_miss=True),
    _text("made_by"),
    _number("created_ms"),
    _number("until_ms"),
    _number("used_ms", may_miss=True),
)
"""A link that lets one person make one account of this standing."""

client = Table(
    "client",
    people,
    _bytes("id", is_key=True),
    _text("kind"),
    _bytes("member"),
    _text("name"),
    _text("scopes"),
    _text("made_by"),
    _number("created_ms"),
    _number("ended_ms", may_miss=True),
    CheckConstraint("kind IN ('key', 'oauth')"),
)
"""A program of a member, with the scopes that it was given, in ascending order with spaces between."""

Index("client_by_member", client.c.member)

api_key = Table(
    "api_key",
    people,
    _bytes("digest", is_key=True),
    _bytes("client"),
    _text("hint"),
    _number("created_ms"),
    _number("until_ms", may_miss=True),
    _number("used_ms", may_miss=True),
    _number("revoked_ms", may_miss=True),
)
"""A secret of a client; `hint` is its public beginning, by which people name it."""

Index("api_key_by_client", api_key.c.client)

oauth_key = Table(
    "oauth_key",
    people,
    _bytes("client"),
    _text("kid"),
    _text("jwk"),
    _number("created_ms"),
    _number("revoked_ms", may_miss=True),
    PrimaryKeyConstraint("client", "kid"),
)
"""A public key with which a client signs that it is itself (RFC 7523)."""

access_token = Table(
    "access_token",
    people,
    _bytes("digest", is_key=True),
    _bytes("client"),
    _text("scopes"),
    _number("created_ms"),
    _number("until_ms"),
)

Index("access_token_by_client", access_token.c.client)

seen_once = Table("seen_once", people, _bytes("digest", is_key=True), _number("until_ms"))
"""Names that may come once only, as the `jti` of a client's assertion."""

holding = Table(
    "holding",
    people,
    _bytes("id", is_key=True),
    _bytes("chain"),
    _number("epoch"),
    _bytes("account"),
    _text("how"),
    _number("since_ms"),
    _number("until_ms", may_miss=True),
)
"""Who holds a passport, since when, in which epoch of it; without an end it is the present holder."""

Index(
    "holding_one_at_a_time",
    holding.c.chain,
    unique=True,
    sqlite_where=holding.c.until_ms.is_(None),
    postgresql_where=holding.c.until_ms.is_(None),
)
Index("holding_by_account", holding.c.account)

claim_code = Table(
    "claim_code",
    people,
    _bytes("digest", is_key=True),
    _bytes("id"),
    _bytes("chain"),
    _number("epoch"),
    _bytes("member"),
    _text("made_by"),
    _number("created_ms"),
    _number("until_ms"),
    _number("used_ms", may_miss=True),
    _bytes("account", may_miss=True),
    _number("revoked_ms", may_miss=True),
)
"""A code that a member printed, with which a holder claims the passport once."""

Index("claim_code_by_chain", claim_code.c.chain)
Index("claim_code_by_member", claim_code.c.member, claim_code.c.created_ms)

contest = Table(
    "contest",
    people,
    _bytes("id", is_key=True),
    _bytes("chain"),
    _number("epoch"),
    _bytes("claimant"),
    _bytes("holder"),
    _bytes("member"),
    _text("state"),
    _number("created_ms"),
    _text("decided_by", may_miss=True),
    _number("decided_ms", may_miss=True),
    CheckConstraint("state IN ('open', 'objected', 'granted', 'dismissed')"),
)
"""A claim of a passport that has a holder. Nothing changes until an operator has decided."""

Index("contest_by_chain", contest.c.chain)

throttle = Table(
    "throttle",
    people,
    _bytes("digest", is_key=True),
    _number("count"),
    _number("until_ms"),
)
"""Attempts of one kind by one address or account within a window that ends at `until_ms`."""

event = Table(
    "event",
    people,
    _bytes("id", is_key=True),
    _number("at_ms"),
    _text("action"),
    _text("who"),
    _text("about"),
    _text("member"),
    _text("why"),
)
"""The audit trail: who did what about whom, and on which ground. Names of our own only, and never a value."""

Index("event_by_time", event.c.at_ms)
Index("event_by_who", event.c.who, event.c.at_ms)
Index("event_by_about", event.c.about, event.c.at_ms)

idempotency = Table(
    "idempotency",
    people,
    _bytes("digest", is_key=True),
    _bytes("body"),
    _number("status", may_miss=True),
    _bytes("answer", may_miss=True),
    _number("created_ms"),
    _number("until_ms"),
)
"""What a request with this key answered. `digest` is of client and key, `body` of what was asked; without a status it
is still at work."""

Index("idempotency_by_end", idempotency.c.until_ms)

attachment = Table(
    "attachment",
    people,
    _bytes("id", is_key=True),
    _bytes("chain"),
    _bytes("salt"),
    _bytes("content"),
    _number("size"),
    _number("created_ms"),
)
"""A file that a holder added to a passport, whose digest stands in an entry. `id` is that digest keyed by the passport,
`content` the file under a key that passport and salt give: without the passport's key neither says anything."""

Index("attachment_by_chain", attachment.c.chain)

saved_mapping = Table(
    "saved_mapping",
    people,
    _bytes("id", is_key=True),
    _bytes("member"),
    _text("name"),
    _text("columns"),
    _text("document"),
    _text("made_by"),
    _number("created_ms"),
    _number("used_ms", may_miss=True),
)
"""How a member's files are read: a mapping document, and the columns by which such a file is known again."""

Index("saved_mapping_by_member", saved_mapping.c.member)

webhook = Table(
    "webhook",
    people,
    _bytes("id", is_key=True),
    _bytes("member"),
    _text("url"),
    _text("kinds"),
    _text("note"),
    _text("made_by"),
    _number("generation"),
    _number("created_ms"),
    _number("since_ms"),
    _number("rotated_ms", may_miss=True),
    _number("failing_ms", may_miss=True),
    _number("stopped_ms", may_miss=True),
    _text("stopped_why", may_miss=True),
    _number("ended_ms", may_miss=True),
)
"""An address of a member that is told what happened. Its signing key follows from the key of this store and
`generation`, so that nothing of it is kept. `since_ms`: what happened before is not told; `failing_ms`: since when
every delivery has failed."""

Index("webhook_by_member", webhook.c.member)

webhook_message = Table(
    "webhook_message",
    people,
    _bytes("id", is_key=True),
    _bytes("webhook"),
    _text("type"),
    _bytes("payload"),
    _text("state"),
    _number("created_ms"),
    _number("tries"),
    _number("next_ms", may_miss=True),
    _number("tried_ms", may_miss=True),
    _number("status", may_miss=True),
    _text("trouble", may_miss=True),
    _text("history"),
    CheckConstraint("state IN ('waiting', 'delivered', 'dead')"),
)
"""What one address is to be told, and how that went: ids and kinds only. `created_ms` is when it happened, `next_ms`
when it is tried next, `history` a JSON list of the tries: [at, status, trouble, how long it took]."""

Index("webhook_message_by_webhook", webhook_message.c.webhook, webhook_message.c.created_ms)
Index("webhook_message_by_next", webhook_message.c.next_ms)

webhook_cursor = Table("webhook_cursor", people, _text("name", is_key=True), _number("position"))
"""How far what is told has followed what happened."""

appearance = Table(
    "appearance",
    people,
    _bytes("member", is_key=True),
    _text("name"),
    _text("ink"),
    _text("paper"),
    _text("origins"),
    _text("changed_by"),
    _bytes("logo", may_miss=True),
    _text("logo_type", may_miss=True),
    _number("logo_width", may_miss=True),
    _number("logo_height", may_miss=True),
    _number("changed_ms"),
)
"""How a member looks in pages that it shows to its customers, and which origins may frame them."""

app_view = Table(
    "app_view",
    people,
    _bytes("id", is_key=True),
    _bytes("digest"),
    _bytes("account"),
    _bytes("chain"),
    _bytes("member"),
    _text("origin"),
    _number("epoch"),
    _number("created_ms"),
    _number("until_ms"),
    _number("used_ms", may_miss=True),
    _number("ended_ms", may_miss=True),
)
"""A holder's own passport, shown to them for a while in a frame of one origin of a member's. `digest` is of the token
that the frame has."""

Index("app_view_by_digest", app_view.c.digest, unique=True)
Index("app_view_by_account", app_view.c.account)

approval = Table(
    "approval",
    people,
    _bytes("id", is_key=True),
    _text("act"),
    _text("document"),
    _text("state"),
    _text("asked_by"),
    _number("asked_ms"),
    _number("until_ms"),
    _text("decided_by", may_miss=True),
    _number("decided_ms", may_miss=True),
    _text("outcome", may_miss=True),
    CheckConstraint("state IN ('open', 'granted', 'done', 'refused', 'withdrawn', 'failed')"),
)
"""An act that one operator asks for and another one decides; `document` is the act itself."""

Index("approval_by_time", approval.c.asked_ms)

upkeep_job = Table(
    "upkeep_job",
    people,
    _bytes("id", is_key=True),
    _text("act"),
    _text("state"),
    _text("asked_by"),
    _number("asked_ms"),
    _number("started_ms", may_miss=True),
    _number("ended_ms", may_miss=True),
    _text("outcome", may_miss=True),
    CheckConstraint("act IN ('backup', 'drill', 'check')"),
    CheckConstraint("state IN ('waiting', 'running', 'done', 'failed')"),
)
"""A backup, a drill or a check that an operator, or the node itself, has asked for; `outcome` is what the verb told."""

member_quota = Table(
    "member_quota",
    people,
    _bytes("member", is_key=True),
    _number("requests_per_minute"),
    _number("changed_ms"),
    _text("changed_by"),
)
"""How much a member's programs may ask, where it is another limit than the node's own."""

api_calls = Table(
    "api_calls",
    people,
    _bytes("member"),
    _number("day_ms"),
    _number("calls"),
    PrimaryKeyConstraint("member", "day_ms"),
)
"""How many requests a member's programs sent on a day (UTC), which begins at `day_ms`."""
