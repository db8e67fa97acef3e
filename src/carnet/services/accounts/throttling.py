"""Slowing down whoever guesses: attempts are counted in the store, so that several workers, and a restart, forget none.

Counted are addresses and accounts as keyed digests, within windows that begin with the first attempt. Design: security
3; OWASP ASVS 6.3.1. It refuses to know what is attempted.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

from carnet.errors import Reason, Refused
from carnet.services.accounts.auditing import Action, record
from carnet.services.accounts.office import DAY_MS, HOUR_MS, MINUTE_MS, Office
from carnet.types import Millis


class Limit(NamedTuple):
    """So many attempts within so many ms."""

    attempts: int
    window_ms: Millis


class Attempt(StrEnum):
    """What is attempted, and by whom it is counted."""

    SIGN_IN_BY_ADDRESS = "sign_in_by_address"
    SIGN_IN_BY_PASSKEY = "sign_in_by_passkey"
    SIGN_UP_BY_ADDRESS = "sign_up_by_address"
    CEREMONY_BY_ADDRESS = "ceremony_by_address"
    RECOVERY_BY_ADDRESS = "recovery_by_address"
    CONFIRM_BY_ACCOUNT = "confirm_by_account"
    TOKEN_BY_ADDRESS = "token_by_address"
    ASSERTION_BY_ADDRESS = "assertion_by_address"
    ASSERTION_BY_CLIENT = "assertion_by_client"
    CLAIM_BY_ADDRESS = "claim_by_address"
    CLAIM_BY_ACCOUNT = "claim_by_account"
    CODES_BY_CALLER = "codes_by_caller"
    WEBHOOK_TESTS_BY_CALLER = "webhook_tests_by_caller"
    VIEW_BY_ADDRESS = "view_by_address"
    DEMO_BY_ADDRESS = "demo_by_address"


LIMITS: Final = {
    Attempt.SIGN_IN_BY_ADDRESS: Limit(60, 10 * MINUTE_MS),
    Attempt.SIGN_IN_BY_PASSKEY: Limit(10, 10 * MINUTE_MS),
    Attempt.SIGN_UP_BY_ADDRESS: Limit(20, HOUR_MS),
    Attempt.CEREMONY_BY_ADDRESS: Limit(120, 10 * MINUTE_MS),
    Attempt.RECOVERY_BY_ADDRESS: Limit(10, HOUR_MS),
    Attempt.CONFIRM_BY_ACCOUNT: Limit(20, 10 * MINUTE_MS),
    Attempt.TOKEN_BY_ADDRESS: Limit(60, 10 * MINUTE_MS),
    Attempt.ASSERTION_BY_ADDRESS: Limit(60, 10 * MINUTE_MS),
    Attempt.ASSERTION_BY_CLIENT: Limit(30, 10 * MINUTE_MS),
    Attempt.CLAIM_BY_ADDRESS: Limit(30, HOUR_MS),
    Attempt.CLAIM_BY_ACCOUNT: Limit(10, HOUR_MS),
    # One list of customers of the largest size (`customer_lists`), and a day of single ones.
    Attempt.CODES_BY_CALLER: Limit(12_000, DAY_MS),
    Attempt.WEBHOOK_TESTS_BY_CALLER: Limit(30, 10 * MINUTE_MS),
    Attempt.VIEW_BY_ADDRESS: Limit(120, 10 * MINUTE_MS),
    Attempt.DEMO_BY_ADDRESS: Limit(60, 10 * MINUTE_MS),
}

_COUNT: Final = """
INSERT INTO throttle (digest, count, until_ms) VALUES (:digest, 1, :until)
ON CONFLICT (digest) DO UPDATE SET
count = CASE WHEN throttle.until_ms <= :now THEN 1 ELSE throttle.count + 1 END,
until_ms = CASE WHEN throttle.until_ms <= :now THEN :until ELSE throttle.until_ms END
RETURNING count, until_ms
"""


def count_attempt(office: Office, attempt: Attempt, by: bytes | str) -> None:
    """Count one attempt, before it is looked at. Raises Refused(TOO_MANY_REQUESTS) with the fact `retry_after_s` if
    there were too many; the first of those leaves an entry in the audit trail."""
    now = office.clock()
    limit = LIMITS[attempt]
    # What a caller wrote may hold half a character, which no encoding knows.
    name = by.encode("utf-8", "surrogatepass") if isinstance(by, str) else by
    digest = office.digest("throttle", attempt.value.encode(), name)
    with office.people.note() as connection:
        values = {"digest": digest, "until": now + limit.window_ms, "now": now}
        count, until = connection.execute(_COUNT, values).fetchone()
        if count == limit.attempts + 1:
            record(connection, office, Action.THROTTLED, "visitor", why=attempt.value)
    if count > limit.attempts:
        wait_s = max(1, -(-(until - now) // 1000))
        raise Refused(
            Reason.TOO_MANY_REQUESTS,
            f"too many attempts: wait {wait_s} seconds, then try again",
            could_retry=True,
            retry_after_s=wait_s,
        )


def forget_attempts(office: Office, attempt: Attempt, by: bytes) -> None:
    """Begin to count anew: whoever it was has shown that it was them."""
    with office.people.note() as connection:
        digest = office.digest("throttle", attempt.value.encode(), by)
        connection.execute("DELETE FROM throttle WHERE digest = ?", (digest,))
