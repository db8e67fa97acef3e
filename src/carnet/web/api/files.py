"""`/v1/files`: a member's files as jobs. Announce one, send it in parts that can be resumed, watch it being taken in,
read what became of each row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.concurrency import sync_to_thread
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody
from litestar.response import Stream

from carnet.errors import Reason, Refused
from carnet.services.access import get_member
from carnet.services.filing.desk import announce
from carnet.services.filing.reading import FAULTS
from carnet.services.filing.records import (
    MAX_FILE_BYTES,
    MAX_PART_BYTES,
    Counts,
    Files,
    Format,
    Job,
    Wish,
    iterate_lines,
    read_lines,
)
from carnet.services.names import Prefix, format_name
from carnet.services.principals import Principal, Role, Scope
from carnet.services.spreadsheets import write_csv
from carnet.services.timelines import DEFAULT_LIMIT, Shape, check_limit, format_time
from carnet.types import MemberId, is_plain_text, parse_hex_id
from carnet.web.api.answers import AnyRequest, answer, answer_fresh, answer_once
from carnet.web.api.contract import Contract, ListOf, promise
from carnet.web.desk import Desk, TheDesk, ThePrincipal
from carnet.web.inputs import Input
from carnet.web.policy import machine

SENDERS = machine(Scope.FILES, Role.ADMIN, Role.CLERK)
TAG = "Files"
PART = "application/offset+octet-stream"
CSV = "text/csv"
GONE = (Reason.NOT_FOUND,)
FormatIn = Annotated[
    Format, msgspec.Meta(description="mapping: any table, as the mapping document says. guess: find out, and wait.")
]


class FileIn(Input, frozen=True, kw_only=True):
    """A file to be sent: what you call it, its format, its size in bytes. `mapping` is a mapping document
    (docs/importing.md); `subject` the vehicle of a report whose VIN is masked. With `validate_only` nothing is
    sealed. With `review`, and with the format guess, the file is read and then waits: look at its reading, mend what is
    faulty, and certify it."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    format: FormatIn
    size: Annotated[int, msgspec.Meta(ge=1, le=MAX_FILE_BYTES)]
    mapping: dict[str, Any] | None = None
    subject: Annotated[str, msgspec.Meta(max_length=100)] | None = None
    validate_only: bool = False
    review: bool = False


class FailureShown(Shape, frozen=True, kw_only=True):
    """Why all of a file failed."""

    code: str
    detail: str


class CountsShown(Shape, frozen=True, kw_only=True):
    """What became of the rows so far: `rows_read` = ready + sealed + duplicate + faulty. When only looking, `sealed`
    stays 0; afterwards `ready` is 0."""

    rows_read: int
    ready: int
    sealed: int
    duplicate: int
    faulty: int
    passports: int
    bytes_read: int


class FileShown(Shape, frozen=True, kw_only=True):
    """A file job. `received` of `size` bytes are on the disk; send the next part from there."""

    id: str
    name: str
    format: Format
    size: int
    received: int
    validate_only: bool
    review: bool
    state: Literal["uploading", "queued", "running", "waiting", "done", "failed", "cancelled"]
    stage: Literal["look", "prepare", "seal"]
    counts: CountsShown
    created_at: str
    ended_at: str | None
    failure: FailureShown | None
    content: str
    faults: str
    outcomes: str
    reading: str
    object: Literal["file"] = "file"


class CellShown(Shape, frozen=True, kw_only=True):
    """A cell that cannot be read: what stands there, which rule it breaks, and what it must have meant, where that is
    certain."""

    column: str
    value: str
    code: str
    detail: str
    proposal: str | None


class FaultShown(Shape, frozen=True, kw_only=True):
    """A faulty row: where it stands, which rule it breaks, the row itself, and its cells that cannot be read, where it
    was cut into cells."""

    id: str
    row: int
    line: int
    column: str | None
    code: str
    detail: str
    raw: str
    cells: list[CellShown]


def get_files(desk: Desk) -> Files:
    """The file jobs of this home."""
    found: Files = desk.shelf.setdefault("files", Files(desk.home, desk.clock, desk.random_bytes))
    return found


def get_sender(desk: Desk, principal: Principal) -> MemberId:
    """The member whose files a caller may send and see. Raises Refused(MEMBER_RETIRED)."""
    with desk.reading() as reader:
        return get_member(reader.state, principal).id


@post(
    "/files",
    opt=promise(
        SENDERS,
        Contract(
            TAG,
            answer=FileShown,
            body=FileIn,
            status=201,
            is_idempotent=True,
            refusals=(
                Reason.MISSING_FIELD, Reason.VALUE_OUT_OF_RANGE, Reason.NOT_IN_LIST, Reason.MEMBER_RETIRED,
                Reason.TEXT_NOT_ALLOWED, Reason.UNKNOWN_KIND, Reason.FIELDS_CONFLICT, Reason.INVALID_TIME,
            ),
            example={"name": "inspections-2026-11.jsonl", "format": "histovec", "size": 5275, "validate_only": True},
        ),
    ),
    sync_to_thread=True,
)  # fmt: skip
def announce_file(
    desk: TheDesk, principal: ThePrincipal, request: AnyRequest, data: JSONBody[FileIn]
) -> Response[bytes]:
    """Announce a file. Then send its bytes to `content`, in parts of at most 8 MiB."""
    member = get_sender(desk, principal)

    if not is_plain_text(data.name):
        raise Refused(Reason.TEXT_NOT_ALLOWED, "a file's name has no control characters", field="name")

    def work(seed: bytes | None, now: int) -> FileShown:
        wish = Wish(**{name: getattr(data, name) for name in Wish.__struct_fields__})
        files = get_files(desk)
        return show_file(files, announce(files, desk.shelf.get("office"), member, principal, wish, seed))

    return answer_once(desk, principal, request, data, work)


@get(
    "/files",
    opt=promise(SENDERS, Contract(TAG, answer=ListOf[FileShown], refusals=(Reason.VALUE_OUT_OF_RANGE,))),
    sync_to_thread=True,
)
def list_files(
    desk: TheDesk,
    principal: ThePrincipal,
    request: AnyRequest,
    limit: FromQuery[int] = DEFAULT_LIMIT,
    starting_after: FromQuery[str | None] = None,
) -> Response[bytes]:
    """Your member's files, the newest first; those that ended are kept for a week."""
    check_limit(limit)
    files, member = get_files(desk), get_sender(desk, principal)
    found = files.list(member)[::-1]
    if starting_after is not None:
        names = [job.id for job in found]
        if starting_after not in names:
            raise Refused(Reason.VALUE_OUT_OF_RANGE, "starting_after is no file of this list", field="starting_after")
        found = found[names.index(starting_after) + 1 :]
    shown = [show_file(files, job) for job in found[:limit]]
    return answer_fresh(request, ListOf(data=shown, has_more=len(found) > limit))


@get("/files/{job:str}", opt=promise(SENDERS, Contract(TAG, answer=FileShown, refusals=GONE)), sync_to_thread=True)
def get_file_job(desk: TheDesk, principal: ThePrincipal, request: AnyRequest, job: FromPath[str]) -> Response[bytes]:
    """How far a file is."""
    files = get_files(desk)
    return answer_fresh(request, show_file(files, files.get(get_sender(desk, principal), job)))


@patch(
    "/files/{job:str}/content",
    opt=promise(
        SENDERS,
        Contract(TAG, answer=FileShown, takes=(PART,), refusals=(*GONE, Reason.UPLOAD_OFFSET)),
    ),
    request_max_body_size=MAX_PART_BYTES,
)
async def send_part(
    desk: TheDesk,
    principal: ThePrincipal,
    request: AnyRequest,
    job: FromPath[str],
    upload_offset: Annotated[int, HeaderParameter(name="Upload-Offset", ge=0)],
) -> Response[bytes]:
    """Send the next part of a file; `Upload-Offset` says where it begins. What was answered is on the disk: after a
    lost connection ask how much was received, and go on from there. With the last part the file waits its turn."""
    part = await request.body()
    return await sync_to_thread(_send_part, desk, principal, job, upload_offset, part)


def _send_part(desk: Desk, principal: Principal, job: str, offset: int, part: bytes) -> Response[bytes]:
    files = get_files(desk)
    return answer(show_file(files, files.add_part(get_sender(desk, principal), job, offset, part)))


@delete(
    "/files/{job:str}",
    opt=promise(SENDERS, Contract(TAG, answer=FileShown, refusals=GONE)),
    status_code=200,
    sync_to_thread=True,
)
def cancel_file(desk: TheDesk, principal: ThePrincipal, job: FromPath[str]) -> Response[bytes]:
    """Cancel a file that has not ended; its bytes go. What is sealed stays."""
    files = get_files(desk)
    return answer(show_file(files, files.cancel(get_sender(desk, principal), job)))


@get(
    "/files/{job:str}/faults",
    opt=promise(SENDERS, Contract(TAG, answer=ListOf[FaultShown], refusals=(*GONE, Reason.VALUE_OUT_OF_RANGE))),
    sync_to_thread=True,
)
def list_faults(
    desk: TheDesk,
    principal: ThePrincipal,
    request: AnyRequest,
    job: FromPath[str],
    limit: FromQuery[int] = DEFAULT_LIMIT,
    starting_after: FromQuery[str | None] = None,
) -> Response[bytes]:
    """The faulty rows alone, in their order, each with its rule and what to do."""
    rows = read_rows(desk, principal, job, FAULTS, limit, starting_after)
    data = [
        FaultShown(
            id=name,
            row=one["row"],
            line=one["line"],
            column=one["column"],
            code=one["rule"],
            detail=one["message"],
            raw=one["raw"],
            cells=_show_cells(one),
        )
        for name, one in rows.named
    ]
    return answer_fresh(request, ListOf(data=data, has_more=rows.has_more))


@get(
    "/files/{job:str}/faulty",
    opt=promise(SENDERS, Contract(TAG, media="application/octet-stream", refusals=GONE)),
    sync_to_thread=True,
)
def get_faulty_rows(desk: TheDesk, principal: ThePrincipal, job: FromPath[str]) -> Response[bytes]:
    """The faulty rows as they stood, in a file of the same form: mend it, and send it alone."""
    files = get_files(desk)
    found = files.get(get_sender(desk, principal), job)
    path = files.path(found, "faulty")
    data = path.read_bytes() if path.exists() else b""
    headers = {"Content-Disposition": f'attachment; filename="{found.id}-faulty"'}
    return Response(data, media_type="application/octet-stream", headers=headers)


@get(
    "/files/{job:str}/outcomes",
    opt=promise(SENDERS, Contract(TAG, media=CSV, refusals=GONE)),
    sync_to_thread=True,
)
def get_outcomes(desk: TheDesk, principal: ThePrincipal, job: FromPath[str]) -> Stream:
    """What became of each row, as CSV that is safe to open in a spreadsheet: sealed, with entry and passport, or
    faulty, with its rule; first the ones, then the others. Rows that were sealed before are not in it."""
    files = get_files(desk)
    found = files.get(get_sender(desk, principal), job)
    header = ("row", "outcome", "passport", "entry", "code", "detail")
    headers = {"Content-Disposition": f'attachment; filename="{found.id}-outcomes.csv"'}
    table = write_csv(header, _list_outcomes(files, found))
    return Stream(table, media_type=f"{CSV}; charset=utf-8", headers=headers)


class Rows(NamedTuple):
    """A page of what became of a file's rows, each with its id, and whether there are more."""

    named: list[tuple[str, dict[str, Any]]]
    has_more: bool


def read_rows(desk: Desk, principal: Principal, job: str, name: str, limit: int, starting_after: str | None) -> Rows:
    """A page of one of the lists of a file of the caller's. Raises Refused(NOT_FOUND, VALUE_OUT_OF_RANGE)."""
    check_limit(limit)
    files = get_files(desk)
    found = files.get(get_sender(desk, principal), job)
    start = _find_start(starting_after)
    lines, has_more = read_lines(files.path(found, name), start, limit)
    return Rows([(str(start + at), one) for at, one in enumerate(lines)], has_more)


def _find_start(starting_after: str | None) -> int:
    if starting_after is None:
        return 0
    if not (starting_after.isascii() and starting_after.isdigit()):
        raise Refused(Reason.VALUE_OUT_OF_RANGE, "starting_after is the id of a row in it", field="starting_after")
    return int(starting_after[:12]) + 1


def _show_cells(fault: dict[str, Any]) -> list[CellShown]:
    cells = dict(fault.get("cells", ()))
    return [
        CellShown(
            column=one["column"],
            value=cells.get(one["column"], ""),
            code=one["rule"],
            detail=one["message"],
            proposal=one["proposal"],
        )
        for one in fault.get("faulty", ())
    ]


def _list_outcomes(files: Files, job: Job) -> Iterator[tuple[Any, ...]]:
    for one in iterate_lines(files.path(job, "receipts.ndjson")):
        passport = format_name(Prefix.PASSPORT, parse_hex_id(one["passport"]))
        yield one["row"], "sealed", passport, f"{Prefix.ENTRY}_{one['statement']}", None, None
    for one in iterate_lines(files.path(job, "faults.ndjson")):
        yield one["row"], "faulty", None, None, one["rule"], one["message"]


def show_file(files: Files, job: Job) -> FileShown:
    """A job as the API shows it."""
    counts: Counts = job.counts
    url = f"/v1/files/{job.id}"
    return FileShown(
        id=job.id,
        name=job.wish.name,
        format=job.wish.format,
        size=job.wish.size,
        received=files.count_received(job),
        validate_only=job.wish.validate_only,
        review=job.wish.is_looked_at and not job.wish.validate_only,
        state=job.state,
        stage=job.stage,
        counts=CountsShown(**msgspec.structs.asdict(counts)),
        created_at=format_time(job.created_ms),
        ended_at=None if job.ended_ms is None else format_time(job.ended_ms),
        failure=None if job.failure is None else FailureShown(code=job.failure[0], detail=job.failure[1]),
        content=f"{url}/content",
        faults=f"{url}/faults",
        outcomes=f"{url}/outcomes",
        reading=f"{url}/reading",
    )


ROUTES = [
    announce_file,
    list_files,
    get_file_job,
    send_part,
    cancel_file,
    list_faults,
    get_faulty_rows,
    get_outcomes,
]
