"""Deleting what has served its purpose, as `vault.people.catalogue` says. The node calls it now and then."""

from __future__ import annotations

from carnet.types import Millis
from carnet.vault.people.catalogue import DAY_MS, KEPT_MS
from carnet.vault.people.store import PeopleStore

ENDS = {
    "account": "ended_ms",
    "api_calls": "day_ms",
    "app_view": "coalesce(ended_ms, until_ms)",
    "approval": "coalesce(decided_ms, until_ms)",
    "api_key": "coalesce(revoked_ms, until_ms)",
    "access_token": "until_ms",
    "ceremony": "until_ms",
    "claim_code": "coalesce(used_ms, until_ms)",
    "client": "ended_ms",
    "contest": "decided_ms",
    "event": "at_ms",
    "holding": "until_ms",
    # One that was never answered is how a repeated request finds what a worker did before it died.
    "idempotency": f"CASE WHEN status IS NULL THEN created_ms + {2 * DAY_MS} ELSE until_ms END",
    "invitation": "coalesce(used_ms, until_ms)",
    "recovery_code": "used_ms",
    "seen_once": "until_ms",
    "session": "until_ms",
    "throttle": "until_ms",
    "upkeep_job": "ended_ms",
    "webhook": "ended_ms",
    "webhook_message": "created_ms",
}
"""When a row of each table ends; null for one that goes on. Passkeys go with their account, public keys with their
client; what a member has set for itself stays until it is changed."""


def purge(people: PeopleStore, now: Millis) -> dict[str, int]:
    """Delete every row that is past its end and its retention; how many of each table, where there were any."""
    deleted = dict[str, int]()
    with people.write() as connection:
        for table, end in ENDS.items():
            query = f"DELETE FROM {table} WHERE {end} IS NOT NULL AND {end} <= ?"  # noqa: S608 - our own words
            count = int(connection.execute(query, (now - KEPT_MS.get(table, 0),)).rowcount)
            if count:
                deleted[table] = count
        connection.execute("DELETE FROM oauth_key WHERE client NOT IN (SELECT id FROM client)")
    return deleted
