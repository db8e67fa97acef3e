"""What can go wrong between a program and a service.

ApiError
├── NotSignedIn 401   NotPermitted 403   NotFound 404   Conflict 409, 412   Gone 410
├── Invalid 400, 413, 415, 422       something in the request is wrong: `errors` says where
├── TooManyRequests 429              after all retries
├── ServiceFailed 5xx                after all retries
└── Unreachable                      no answer at all
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from carnet.errors import CarnetError


class Fault(NamedTuple):
    """One thing that is wrong with a request: where (a JSON pointer, or `#name` of a parameter), a stable code, and a
    sentence."""

    pointer: str
    code: str
    detail: str


class ApiError(CarnetError):
    """A refusal of the service. `code` is one of docs/reasons.md, `request_id` names the request in its log."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: tuple[Fault, ...] = (),
        request_id: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(f"{detail} ({code})")
        self.status, self.code, self.detail = status, code, detail
        self.errors, self.request_id, self.retry_after_s = errors, request_id, retry_after_s


class NotSignedIn(ApiError):
    """The key is missing, unknown, revoked or has expired."""


class NotPermitted(ApiError):
    """The key's member, role or scope does not reach this far."""


class NotFound(ApiError):
    """It does not exist, or you may not see it: which of both is not told."""


class Conflict(ApiError):
    """What is asked contradicts what is there."""


class Gone(ApiError):
    """It was erased."""


class Invalid(ApiError):
    """The request is wrong; `errors` says where."""


class TooManyRequests(ApiError):
    """More than the service allows in this time."""


class ServiceFailed(ApiError):
    """The service could not; nothing was decided."""


class Unreachable(ApiError):
    """No answer: what was asked may or may not have been done. Asking again with the same idempotency key tells."""


_KINDS: dict[int, type[ApiError]] = {
    401: NotSignedIn,
    403: NotPermitted,
    404: NotFound,
    409: Conflict,
    412: Conflict,
    410: Gone,
    429: TooManyRequests,
}


def make_error(status: int, document: object, retry_after_s: float | None) -> ApiError:
    """The error that a problem document (RFC 9457) tells. Anything else is told by its status alone."""
    told: Mapping[str, Any] = document if isinstance(document, dict) else {}
    kind = _KINDS.get(status) or (ServiceFailed if status >= 500 else Invalid)
    errors = tuple(
        Fault(str(one.get("pointer", "")), str(one.get("code", "")), str(one.get("detail", "")))
        for one in told.get("errors", ())
        if isinstance(one, dict)
    )
    return kind(
        status,
        str(told.get("code", f"http_{status}")),
        str(told.get("detail", f"the service answered {status}")),
        errors=errors,
        request_id=told.get("request_id"),
        retry_after_s=retry_after_s,
    )
