"""Every column that is stored about anything, and which of them hold personal data: of what class, why, for how long.

A column that stands in neither list fails the tests. Source: GDPR 5(1)(b), (c), (e) and 30; security.md, line 32. It
refuses to delete anything: `services.accounts.purging` does, and follows `KEPT_MS` here.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

DAY_MS: Final = 86_400_000


class DataClass(StrEnum):
    """How near a value is to a person."""

    IDENTITY = "identity"
    """Says who somebody is."""
    CREDENTIAL = "credential"
    """Lets somebody in, or shows that somebody was let in."""
    ACTIVITY = "activity"
    """Says what somebody did, and when."""
    VEHICLE = "vehicle"
    """Says which vehicle is somebody's, or what happened to it."""


class PersonalField(NamedTuple):
    """What a column holds, for what it is kept, and until when."""

    data_class: DataClass
    purpose: str
    retention: str


KEPT_MS: Final = {
    "account": 30 * DAY_MS,
    "api_calls": 400 * DAY_MS,
    "api_key": 90 * DAY_MS,
    "app_view": 30 * DAY_MS,
    "approval": 365 * DAY_MS,
    "claim_code": 90 * DAY_MS,
    "client": 90 * DAY_MS,
    "contest": 365 * DAY_MS,
    "event": 365 * DAY_MS,
    "holding": 365 * DAY_MS,
    "invitation": 30 * DAY_MS,
    "recovery_code": 30 * DAY_MS,
    "upkeep_job": 365 * DAY_MS,
    "webhook": 90 * DAY_MS,
    "webhook_message": 30 * DAY_MS,
}
"""How long a row stays after its own end: an account after it was ended, a code after it was used or ran out, a holding
after it was given up, an event after it happened. What is not named goes at its own end."""

_ACCOUNT = "until 30 days after the account was ended"
_SESSION = "until the session ends"
_LINK = "until 30 days after it was used or ran out"
_EVENT = "365 days"
_HOLDING = "until 365 days after it was given up"
_CONTEST = "until 365 days after it was decided"
_CODE = "until 90 days after it was used or ran out"
_CLIENT = "until 90 days after it was ended"
_VIEW = "until 30 days after it was ended or ran out"
_DESK = "until it is changed or removed"
_APPROVAL = "until 365 days after it was decided"
_CHAIN = "until the entry or the passport is erased"

_I, _C, _A, _V = DataClass.IDENTITY, DataClass.CREDENTIAL, DataClass.ACTIVITY, DataClass.VEHICLE


def _fields(table: str, data_class: DataClass, purpose: str, retention: str, names: str) -> dict[str, PersonalField]:
    return {f"{table}.{name}": PersonalField(data_class, purpose, retention) for name in names.split()}


PERSONAL: Final[dict[str, PersonalField]] = {
    **_fields("account", _I, "to know an account again and to address its person", _ACCOUNT, "id name handle"),
    **_fields("account", _I, "to decide what the account may do", _ACCOUNT, "standing member role"),
    **_fields("account", _A, "to end what depends on the account", _ACCOUNT, "created_ms ended_ms"),
    **_fields("passkey", _C, "to sign in without a password", _ACCOUNT, "id account credential sign_count"),
    **_fields("passkey", _A, "to tell one's passkeys apart", _ACCOUNT, "name created_ms used_ms"),
    **_fields("recovery_code", _C, "to get in without a passkey", _ACCOUNT, "digest account created_ms used_ms"),
    **_fields("session", _C, "to stay signed in", _SESSION, "digest account how until_ms"),
    **_fields("session", _A, "to show where one is signed in", _SESSION, "device created_ms seen_ms confirmed_ms"),
    **_fields("ceremony", _C, "to check one answer of an authenticator", "ten minutes", "account invitation name"),
    **_fields("invitation", _A, "to say who let somebody in", _LINK, "id made_by created_ms used_ms"),
    **_fields("client", _A, "to say who made a client", _CLIENT, "made_by"),
    **_fields("holding", _V, "to let the holder, and nobody else, see the vehicle", _HOLDING, "chain account epoch"),
    **_fields("holding", _A, "to say since when and how", _HOLDING, "id how since_ms until_ms"),
    **_fields("claim_code", _V, "to let one person claim the vehicle", _CODE, "digest id chain epoch account"),
    **_fields(
        "claim_code", _A, "to say who printed a code and who used it", _CODE, "made_by created_ms used_ms revoked_ms"
    ),
    **_fields("contest", _V, "to decide who holds a vehicle", _CONTEST, "id chain epoch claimant holder"),
    **_fields("contest", _A, "to say who decided", _CONTEST, "state created_ms decided_by decided_ms"),
    **_fields("throttle", _C, "to slow down guessing", "until its window ends", "digest count"),
    **_fields("event", _A, "to account for every access and act", _EVENT, "id at_ms action who about member why"),
    **_fields("idempotency", _V, "to answer a repeated request as the first", "two days", "digest body answer"),
    **_fields("attachment", _V, "to keep what the holder added to the vehicle", _CHAIN, "id chain content created_ms"),
    **_fields("saved_mapping", _A, "to say who saved how a file is read", _DESK, "made_by created_ms used_ms"),
    **_fields("webhook", _A, "to say who let an address be told", _CLIENT, "made_by"),
    **_fields("webhook_message", _V, "to tell a member what happened", "30 days", "payload"),
    **_fields("appearance", _A, "to say who changed it", _DESK, "changed_by changed_ms"),
    **_fields("app_view", _C, "to show the holder a vehicle in a member's app", _VIEW, "digest account"),
    **_fields("app_view", _V, "to show the holder this vehicle, and no other", _VIEW, "chain epoch"),
    **_fields("app_view", _A, "to let the holder see and end it", _VIEW, "id created_ms used_ms ended_ms"),
    **_fields("approval", _A, "to say who asked and who decided", _APPROVAL, "asked_by asked_ms decided_by decided_ms"),
    **_fields("upkeep_job", _A, "to say who asked", "until 365 days after it ended", "asked_by asked_ms"),
    **_fields("member_quota", _A, "to say who set it", _DESK, "changed_by changed_ms"),
    # The node's own store. Contents are encrypted, each passport under its own key.
    **_fields("chain", _V, "to find a vehicle's passport", _CHAIN, "chain16 blind subject"),
    **_fields("passport_key", _V, "to open a passport's contents", _CHAIN, "wrapped"),
    **_fields("entry", _V, "the vehicle's history", _CHAIN, "secret content sid"),
    **_fields("entry", _V, "to know an imported row again", _CHAIN, "source"),
    **_fields("tombstone", _V, "to keep what was erased from coming back", "for ever, as a keyed digest", "digest"),
    **_fields("erasure", _A, "to show that an erasure was meant", "for ever, without what was erased", "document sig"),
}
"""By `table.column`."""


def _columns(table: str, names: str) -> set[str]:
    return {f"{table}.{name}" for name in names.split()}


NOT_PERSONAL: Final[frozenset[str]] = frozenset(
    _columns("account", "is_demo")
    | _columns("ceremony", "digest purpose until_ms")
    | _columns("invitation", "digest standing member role until_ms")
    | _columns("client", "id kind member name scopes created_ms ended_ms")
    | _columns("api_key", "digest client hint created_ms until_ms used_ms revoked_ms")
    | _columns("oauth_key", "client kid jwk created_ms revoked_ms")
    | _columns("access_token", "digest client scopes created_ms until_ms")
    | _columns("seen_once", "digest until_ms")
    | _columns("claim_code", "member until_ms")
    | _columns("contest", "member")
    | _columns("throttle", "until_ms")
    | _columns("idempotency", "status created_ms until_ms")
    | _columns("attachment", "salt size")
    | _columns("saved_mapping", "id member name columns document")
    | _columns("webhook", "id member url kinds note generation created_ms since_ms rotated_ms failing_ms stopped_ms")
    | _columns("webhook", "stopped_why ended_ms")
    | _columns("webhook_message", "id webhook type state created_ms tries next_ms tried_ms status trouble history")
    | _columns("webhook_cursor", "name position")
    | _columns("app_view", "member origin until_ms")
    | _columns("appearance", "member name ink paper origins logo logo_type logo_width logo_height")
    | _columns("approval", "id act document state until_ms outcome")
    | _columns("member_quota", "member requests_per_minute")
    | _columns("api_calls", "member day_ms calls")
    | _columns("upkeep_job", "id act state started_ms ended_ms outcome")
    # The node's own store: the log and what proves it name organisations, never persons or vehicles.
    | _columns("meta", "key value")
    | _columns("log_record", "idx type leaf")
    | _columns("log_node", "level idx hash")
    | _columns("checkpoint", "size note")
    | _columns("rules_line", "record line bytes")
    | _columns("member_leaf", "member since leaf")
    | _columns("schema", "id kind document")
    | _columns("author_key", "id member digest public")
    | _columns("submission", "id author_key created_ms count root sig leaves seal places kinds")
    | _columns("chain", "id type home closed head_seq head_epoch head_id head_seal")
    | _columns("chain", "census_seq census_epoch census_id")
    | _columns("census_piece", "id content")
    | _columns("census_changed", "chain")
    | _columns("passport_key", "chain")
    | _columns("entry", "chain seq kind basis class mark target submission sub_index seal position location")
    | _columns("seal", "idx class count leaves")
    | _columns("erasure", "id chain16 cleared")
    | _columns("erased_entry", "chain seq erasure fields_root")
    | _columns("erased_link", "seal position erasure")
    | _columns("tombstone", "erasure")
    | _columns("writer", "id term holder state")
)
"""Columns that say nothing about a person."""
