"""Sending requests: again where that may help, never twice where it would do twice.

A write carries an idempotency key, so a reply that was lost is asked for again; one without is not sent again where it
may have been done. Between tries it waits as long as `Retry-After` says, or longer each time with some chance in it. It
refuses to know what is asked.
"""

from __future__ import annotations

import math
import random
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import httpx2
import msgspec

from carnet.sdk.errors import ApiError, Unreachable, make_error

T = TypeVar("T")

MAX_TRIES: Final = 6
FIRST_PAUSE_S: Final = 0.2
MAX_PAUSE_S: Final = 20.0
PROBLEM: Final = "application/problem+json"
RETRIED_CODES: Final = frozenset({"request_at_work", "nothing_sealed", "rules_not_in_force"})
"""Refusals that a later try may not meet."""


class Transport:
    """One service and one key. For one thread at a time; close it."""

    def __init__(
        self,
        address: str,
        key: str | None,
        *,
        timeout_s: float = 30.0,
        max_tries: int = MAX_TRIES,
        transport: httpx2.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        headers = {"User-Agent": "carnet-sdk", "Accept": f"application/json, {PROBLEM}"}
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        self._http = httpx2.Client(
            base_url=address.rstrip("/"),
            headers=headers,
            timeout=timeout_s,
            transport=transport,
            follow_redirects=False,
        )
        self._max_tries, self._sleep = max_tries, sleep

    def close(self) -> None:
        """End the connections; idempotent."""
        self._http.close()

    def get(self, path: str, answer: type[T], params: Mapping[str, Any] | None = None) -> T:
        """A JSON answer. Raises ApiError."""
        return msgspec.json.decode(self.send("GET", path, params=_clean(params)).content, type=answer)

    def get_bytes(self, path: str) -> bytes:
        """An answer as it is."""
        return self.send("GET", path).content

    def post(
        self,
        path: str,
        answer: type[T],
        body: object,
        *,
        params: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> T:
        """A write of a JSON body, under this idempotency key or a random one."""
        headers = {"Content-Type": "application/json", "Idempotency-Key": idempotency_key or str(uuid.uuid4())}
        answered = self.send("POST", path, content=msgspec.json.encode(body), headers=headers, params=_clean(params))
        return msgspec.json.decode(answered.content, type=answer)

    def act(self, path: str, answer: type[T], headers: Mapping[str, str] | None = None) -> T:
        """A write without a body. Where no answer came it may have been done, so it is not sent again by itself."""
        answered = self.send("POST", path, is_told_apart=False, headers=headers)
        return msgspec.json.decode(answered.content, type=answer)

    def send(self, method: str, path: str, *, is_told_apart: bool = True, **request: Any) -> httpx2.Response:
        """Send it, again where that may help. Raises ApiError for every answer that is no success. `is_told_apart`: the
        service knows it again, or it changes nothing, so that sent twice is as good as sent once."""
        for tried in range(1, self._max_tries + 1):
            try:
                answered = self._http.request(method, path, **request)
            except httpx2.TransportError as error:
                failed: ApiError = Unreachable(0, "unreachable", f"no answer: {error}")
            else:
                if answered.status_code < 400:
                    return answered
                failed = _read_problem(answered)
            is_known_undone = failed.status in (429, 503) or failed.code in RETRIED_CODES
            if tried == self._max_tries or not (_may_help(failed) and (is_told_apart or is_known_undone)):
                raise failed
            self._sleep(_find_pause_s(failed, tried))
        raise AssertionError("unreachable")


def _clean(params: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What is not asked for is left out; truth is written as the service reads it."""
    if params is None:
        return None
    written = {True: "true", False: "false"}
    return {
        name: written[value] if isinstance(value, bool) else value
        for name, value in params.items()
        if value is not None
    }


def _read_problem(answered: httpx2.Response) -> ApiError:
    document: object = None
    if answered.headers.get("content-type", "").startswith((PROBLEM, "application/json")):
        try:
            document = msgspec.json.decode(answered.content)
        except msgspec.DecodeError:
            document = None
    try:
        pause = float(answered.headers["retry-after"])
    except (KeyError, ValueError):
        pause = -1.0
    # A date, or no number of seconds at all, is not waited for.
    return make_error(answered.status_code, document, pause if 0 <= pause < math.inf else None)


def _may_help(failed: ApiError) -> bool:
    return isinstance(failed, Unreachable) or failed.status in (429, 502, 503, 504) or failed.code in RETRIED_CODES


def _find_pause_s(failed: ApiError, tried: int) -> float:
    if failed.retry_after_s is not None:
        return min(failed.retry_after_s, 10 * MAX_PAUSE_S)
    pause: float = min(FIRST_PAUSE_S * 2 ** (tried - 1), MAX_PAUSE_S)
    return pause * (0.5 + random.random())  # noqa: S311 - it spreads clients, it hides nothing
