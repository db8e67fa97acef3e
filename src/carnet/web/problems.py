"""How a refusal looks over HTTP: one table from reasons to statuses, one shape (RFC 9457), and a page for people.

Nothing of ours leaks through an error: no stack, no value that was sent, no query. What is unexpected is logged under
the request's id and answered as `service_fault`. It refuses to decide what is refused. Design: security 25, 42.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from litestar import Request, Response
from litestar.exceptions import HTTPException, InternalServerException, SerializationException, ValidationException
from litestar.types import ExceptionHandlersMap

from carnet.encoding import encode_trusted
from carnet.errors import Reason, Refused, Unverified
from carnet.web.headers import get_request_id, name_methods
from carnet.web.observing import note_failure

MEDIA_TYPE: Final = "application/problem+json"
HERE = Path(__file__).resolve().parent
AnyRequest = Request[Any, Any, Any]

# Who may not see a passport is told that there is none (404): so UNKNOWN_PASSPORT is both.
STATUSES: Final[Mapping[Reason, int]] = {
    **dict.fromkeys(
        (
            Reason.UNREADABLE_FILE, Reason.WRONG_ENCODING, Reason.LINE_TOO_LONG, Reason.NOT_JSON, Reason.DUPLICATE_KEY,
            Reason.NUMBER_OUT_OF_RANGE, Reason.TEXT_NOT_ALLOWED, Reason.NESTED_TOO_DEEP, Reason.WRONG_HOST,
            Reason.MALFORMED_REQUEST,
        ),
        400,
    ),
    **dict.fromkeys((Reason.NOT_SIGNED_IN, Reason.SIGN_IN_FAILED), 401),
    **dict.fromkeys(
        (
            Reason.UNKNOWN_MEMBER, Reason.MEMBER_RETIRED, Reason.UNKNOWN_KEY, Reason.KEY_REVOKED, Reason.WRONG_CUSTODY,
            Reason.MAY_NOT_WRITE, Reason.NOT_ACCREDITED, Reason.NOT_PERMITTED, Reason.CONFIRMATION_NEEDED,
            Reason.FORM_EXPIRED, Reason.NOT_PRIVATE, Reason.SECOND_OPERATOR_NEEDED,
        ),
        403,
    ),
    **dict.fromkeys(
        (
            Reason.UNKNOWN_PASSPORT, Reason.NOT_FOUND, Reason.UNKNOWN_ACCOUNT, Reason.UNKNOWN_CLIENT,
            Reason.UNKNOWN_CONTEST, Reason.UNKNOWN_WEBHOOK, Reason.UNKNOWN_APPROVAL,
        ),
        404,
    ),
    **dict.fromkeys((Reason.WRONG_METHOD,), 405),
    **dict.fromkeys(
        (
            Reason.KEY_IN_USE, Reason.SUBJECT_TAKEN, Reason.PASSPORT_CLOSED, Reason.STATEMENT_LINKED,
            Reason.ALREADY_SEALED, Reason.CENSUS_NOT_AFTER, Reason.CENSUS_COUNT_FELL, Reason.MEMBER_EXISTS,
            Reason.KEY_EXISTS, Reason.NODE_EXISTS, Reason.FILE_EXISTS, Reason.NOTHING_SEALED, Reason.OTHER_HISTORY,
            Reason.BATCH_EXPIRED, Reason.RULES_NOT_IN_FORCE, Reason.REQUEST_AT_WORK, Reason.LAST_PASSKEY,
            Reason.UPLOAD_OFFSET, Reason.FILE_NOT_WAITING,
            Reason.TOO_MANY_KEYS, Reason.CONTEST_DECIDED, Reason.TOO_MANY_WEBHOOKS, Reason.APPROVAL_DECIDED,
            Reason.APPROVAL_OUTDATED,
        ),
        409,
    ),
    **dict.fromkeys((Reason.ERASED,), 410),
    **dict.fromkeys((Reason.CHANGED_SINCE,), 412),
    **dict.fromkeys((Reason.REQUEST_TOO_LARGE,), 413),
    **dict.fromkeys((Reason.WRONG_MEDIA_TYPE,), 415),
    **dict.fromkeys(
        (
            Reason.UNKNOWN_KIND, Reason.UNKNOWN_FIELD, Reason.MISSING_FIELD, Reason.WRONG_TYPE, Reason.NOT_IN_LIST,
            Reason.VALUE_OUT_OF_RANGE, Reason.TEXT_TOO_LONG, Reason.FIELDS_CONFLICT, Reason.INVALID_VIN,
            Reason.INVALID_PLATE, Reason.INVALID_TIME, Reason.TIME_IN_FUTURE, Reason.ENDS_BEFORE_START,
            Reason.WRONG_NETWORK, Reason.SUBJECT_MISMATCH, Reason.WRONG_CHAIN, Reason.UNKNOWN_TARGET,
            Reason.TARGET_IS_OPENING, Reason.WRONG_MARK, Reason.NOT_ALIAS, Reason.ELSEWHERE_NOT_ALLOWED,
            Reason.BAD_SIGNATURE, Reason.FIELDS_MISMATCH, Reason.UNKNOWN_CLASS, Reason.NOT_ENOUGH_ENDORSEMENTS,
            Reason.RECORD_TOO_LARGE, Reason.BACKUP_ALTERED, Reason.IDEMPOTENCY_KEY_REUSED, Reason.CODE_NOT_VALID,
            Reason.URL_NOT_ALLOWED, Reason.CONTRAST_TOO_LOW, Reason.PROOF_TOO_LARGE,
        ),
        422,
    ),
    **dict.fromkeys((Reason.TOO_MANY_REQUESTS,), 429),
    **dict.fromkeys((Reason.SERVICE_FAULT,), 500),
    **dict.fromkeys(
        (
            Reason.TIME_WENT_BACK, Reason.NO_NODE, Reason.STORE_UNREACHABLE, Reason.STORE_MOVED, Reason.WRITER_BUSY,
            Reason.WRITER_REPLACED, Reason.WRONG_PASSPHRASE, Reason.NODE_DAMAGED, Reason.DISK_FAILED,
            Reason.RESTORED_COPY, Reason.STALE_COPY, Reason.WRITER_AWAY, Reason.STORE_BUSY,
        ),
        503,
    ),
    **dict.fromkeys((Reason.DISK_FULL, Reason.NO_ROOM), 507),
}  # fmt: skip
"""The status of every reason."""

UNVERIFIED_STATUS: Final = 422
# So Litestar says that whoever sent a body hung up amid it, which is no fault of ours, and anybody can do.
_CUT_OFF: Final = "client disconnected prematurely"
_SECRET_FREE: Final = frozenset({503, 507})
_LITESTAR: Final = {
    401: Reason.NOT_SIGNED_IN,
    403: Reason.NOT_PERMITTED,
    404: Reason.NOT_FOUND,
    405: Reason.WRONG_METHOD,
    413: Reason.REQUEST_TOO_LARGE,
    415: Reason.WRONG_MEDIA_TYPE,
    429: Reason.TOO_MANY_REQUESTS,
}
_SAYINGS: Final = {
    Reason.NOT_FOUND: "there is nothing at this address, or nothing that you may see",
    Reason.WRONG_METHOD: "this address does not take this method; `Allow` names those that it takes",
    Reason.REQUEST_TOO_LARGE: "the body is larger than this address takes",
    Reason.WRONG_MEDIA_TYPE: "this address does not take a body of this type",
    Reason.TOO_MANY_REQUESTS: "too many requests: wait as long as `Retry-After` says",
    Reason.SERVICE_FAULT: "something failed here, and was logged under this request's id",
    Reason.MALFORMED_REQUEST: "this request cannot be read",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a body: where (a JSON pointer, RFC 6901, or `#name` of a query parameter), and a
    stable code."""

    pointer: str
    code: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """A refusal as it is told: `code` is the reason's, `advice` what to do next."""

    status: int
    code: str
    title: str
    detail: str
    request_id: str
    advice: str = ""
    could_retry: bool = False
    errors: tuple[Fault, ...] = ()

    def to_document(self) -> dict[str, object]:
        """RFC 9457, with `errors` and `request_id`."""
        document: dict[str, object] = {
            "code": self.code,
            "detail": self.detail,
            "errors": [{"code": one.code, "detail": one.detail, "pointer": one.pointer} for one in self.errors],
            "request_id": self.request_id,
            "status": self.status,
            "title": self.title,
            "type": f"/problems/{self.code}",
        }
        return document


class InvalidInput(Refused):
    """A body of which several things are wrong; the reason is that of the first."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__(Reason(faults[0].code), faults[0].detail or "the body is not as it should be")
        self.faults = faults


def make_problem(error: Exception, request_id: str, wanted: str = "") -> Problem:
    """What is told of an error. It looks at the error's family; an unknown one is a fault of ours. `wanted` says what
    body the route takes (`bodies.describe_body`)."""
    if isinstance(error, Refused):
        status = STATUSES[error.reason]
        # What a node says of its own house (paths, other processes) is for its operator, who finds it in the log.
        detail = find_meaning(error.reason) if status in _SECRET_FREE else error.message
        faults = error.faults if isinstance(error, InvalidInput) else _find_fault(error)
        return _make(error.reason, status, detail, request_id, error.could_retry, faults)
    if isinstance(error, Unverified):
        title = error.code.replace("_", " ").capitalize()
        advice = "These bytes do not hold: ask whoever gave them to you."
        return Problem(UNVERIFIED_STATUS, error.code, title, str(error), request_id, advice)
    if isinstance(error, ValidationException):
        faults = read_faults(error, wanted)
        reason = Reason(faults[0].code) if faults else Reason.MALFORMED_REQUEST
        detail = faults[0].detail if faults else _SAYINGS[Reason.MALFORMED_REQUEST]
        return _make(reason, STATUSES[reason], detail, request_id, False, faults)
    if isinstance(error, RecursionError):
        reason = Reason.NESTED_TOO_DEEP
        return _make(reason, STATUSES[reason], "containers stand deeper in each other than is read", request_id)
    if isinstance(error, InternalServerException) and error.detail == _CUT_OFF:
        reason = Reason.MALFORMED_REQUEST
        return _make(reason, STATUSES[reason], "the connection ended before all of the body had come", request_id)
    status = error.status_code if isinstance(error, HTTPException) else 500
    reason = _LITESTAR.get(status, Reason.MALFORMED_REQUEST if status < 500 else Reason.SERVICE_FAULT)
    if isinstance(error.__cause__, SerializationException):
        reason = Reason.NOT_JSON
        detail = "the body is not JSON" + (f": {wanted}" if wanted else "")
        return _make(reason, STATUSES[reason], detail, request_id)
    return _make(reason, STATUSES[reason], _SAYINGS[reason], request_id)


def _make(
    reason: Reason,
    status: int,
    detail: str,
    request_id: str,
    could_retry: bool = False,
    faults: tuple[Fault, ...] = (),
) -> Problem:
    title = reason.value.replace("_", " ").capitalize()
    return Problem(status, reason.value, title, detail, request_id, find_advice(reason), could_retry, faults)


def _find_fault(refused: Refused) -> tuple[Fault, ...]:
    """The place that a refusal names, if it names one: `field` (dotted) or `pointer`."""
    pointer, place = refused.facts.get("pointer"), refused.facts.get("field")
    if pointer is None and isinstance(place, str):
        pointer = "/" + place.replace(".", "/")
    return () if pointer is None else (Fault(str(pointer), refused.reason.value, refused.message),)


_UNKNOWN = re.compile(r"Object contains unknown field `([^`]*)`")
_MISSING = re.compile(r"Object missing required field `([^`]*)`|Missing required (?:\w+ )?parameter '([^']*)'")
_PATH = re.compile(r" - at `([^`]*)`")
_LENGTH = re.compile(r"Expected `([^`]*)` of length ([<>]=) (\d+)")


def read_faults(error: ValidationException, wanted: str = "") -> tuple[Fault, ...]:
    """What Litestar and msgspec found wrong, as pointers and our codes. No value that was sent is repeated. `wanted` as
    in `make_problem`."""
    extra = error.extra if isinstance(error.extra, list) else []
    return tuple(_read_fault(item, wanted) for item in extra if isinstance(item, dict)) or _read_detail(error.detail)


def _read_detail(detail: str) -> tuple[Fault, ...]:
    found = _MISSING.search(detail)
    return (Fault(f"#{found[1] or found[2]}", Reason.MISSING_FIELD.value, "it must be there"),) if found else ()


def _read_fault(item: Mapping[str, Any], wanted: str) -> Fault:
    message, source = str(item.get("message", "")), item.get("source")
    path = _PATH.search(message)
    pointer = _to_pointer(path[1] if path else "", str(item.get("key", "")), source)
    if unknown := _UNKNOWN.search(message):
        return Fault(f"{pointer}/{_escape(unknown[1])}", Reason.UNKNOWN_FIELD.value, "this field is not known here")
    if missing := _MISSING.search(message):
        name = missing[1] or missing[2]
        pointer = pointer if pointer.endswith(f"/{name}") else f"{pointer}/{name}"
        return Fault(pointer, Reason.MISSING_FIELD.value, f"{name} must be there")
    if not pointer and source == "body" and wanted:
        # Of an empty body Litestar says no more than the name of the parameter that it looked for.
        what = "empty" if message == "'data'" else "no JSON object"
        return Fault(pointer, Reason.WRONG_TYPE.value, f"the body is {what}: {wanted}")
    saying = _PATH.sub("", message).split(", got ")[0]
    if saying.startswith("Invalid enum value"):
        return Fault(pointer, Reason.NOT_IN_LIST.value, "it is not one of the values that there are")
    if length := _LENGTH.match(saying):
        return _read_length(pointer, *length.groups())
    if re.search(r"[<>]=?|matching regex|multiple of", saying):
        return Fault(pointer, Reason.VALUE_OUT_OF_RANGE.value, saying)
    return Fault(pointer, Reason.WRONG_TYPE.value, saying if saying.startswith("Expected") else "it is of another type")


def _read_length(pointer: str, type_: str, sign: str, number: str) -> Fault:
    unit = "character" if "str" in type_ else "item"
    is_short = sign == ">="
    saying = f"write at {'least' if is_short else 'most'} {number} {unit}{'' if number == '1' else 's'}"
    return Fault(pointer, (Reason.VALUE_OUT_OF_RANGE if is_short else Reason.TEXT_TOO_LONG).value, saying)


def _to_pointer(path: str, key: str, source: object) -> str:
    if source not in (None, "body"):
        # Litestar knows a header by the name that it has in the code.
        return f"#{key.replace('_', '-').title() if source == 'header' else key}"
    # msgspec writes `$.a.b[0]`; Litestar cuts off the `$.` into `key` at times.
    plain = path.removeprefix("$") or (f".{key}" if key not in ("", "data") else "")
    # Of a mapping msgspec says no more than that it is one of its values.
    plain = re.sub(r"\[(\d+)\]", r".\1", plain.replace("[...]", ""))
    return plain.replace(".", "/")


def _escape(name: str) -> str:
    return name[:80].replace("~", "~0").replace("/", "~1")


# ---- as a response


def answer(request: AnyRequest, error: Exception) -> Response[bytes]:
    """The response to an error: a page for a browser that asks for one, a problem document for everyone else."""
    # An address that is none has no handler.
    opt: Mapping[str, Any] = getattr(request.scope.get("route_handler"), "opt", {})
    problem = make_problem(error, get_request_id(request.scope), opt.get("wants", ""))
    if not opt.get("is_record"):
        problem = _point_to_query(problem, opt.get("query", {}))
    if problem.status >= 500:
        note_failure(request.scope, error)
    headers = {}
    if isinstance(error, HTTPException) and error.headers:
        headers = {name: value for name, value in error.headers.items() if name.lower() == "retry-after"}
        if "allow" in error.headers:
            headers["Allow"] = name_methods(error.headers["allow"].split(", "))
    if problem.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="carnet"'
    if isinstance(error, Refused) and isinstance(error.facts.get("retry_after_s"), int):
        headers["Retry-After"] = str(error.facts["retry_after_s"])
    if is_for_a_person(request):
        from carnet.web.pages.failure import render_failure

        page = render_failure(request, problem)
        return Response(page, status_code=problem.status, media_type="text/html", headers=headers)
    body = encode_trusted(problem.to_document())
    return Response(body, status_code=problem.status, media_type=MEDIA_TYPE, headers=headers)


def _point_to_query(problem: Problem, known: Mapping[str, bool]) -> Problem:
    """A service names a field without knowing where it stands: without a body, a parameter is meant."""
    placed = tuple(
        Fault(f"#{one.pointer[1:]}", one.code, one.detail)
        if one.pointer[1:] in known and one.pointer[0] == "/"
        else one
        for one in problem.errors
    )
    return problem if placed == problem.errors else replace(problem, errors=placed)


def is_for_a_person(request: AnyRequest) -> bool:
    """Whether a browser asks for a page: never under `/v1`."""
    return "text/html" in request.headers.get("accept", "") and not request.scope["path"].startswith("/v1/")


HANDLERS: ExceptionHandlersMap = {Exception: answer, HTTPException: answer, Refused: answer, Unverified: answer}
"""For `Litestar(exception_handlers=…)`."""


# ---- what people read about a reason


def _read_reasons() -> dict[str, tuple[str, str]]:
    """Of each reason: its meaning, and what to do next, as docs/reasons.md says it."""
    # In the source tree a link to the document; in the wheel the document itself.
    text = (HERE / "reasons.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in text.splitlines() if line[:3] == "| `"]
    return {row[0].strip("`"): (row[1], row[3]) for row in rows}


REASONS: Final = _read_reasons()
"""Code → (meaning, what to do next)."""


def find_meaning(reason: Reason) -> str:
    """What a reason means, in one sentence without its full stop."""
    return REASONS[reason.value][0]


def find_advice(reason: Reason) -> str:
    """What to do next."""
    return REASONS[reason.value][1]
