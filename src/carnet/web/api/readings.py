"""`/v1/files/…/reading` and `/v1/mappings`: how a file was understood, its columns and cells put right, and the word
that seals the rows which are ready."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, delete, get, patch, post, put
from litestar.params import FromPath, FromQuery, JSONBody

from carnet.errors import Reason
from carnet.formats.columns import find_meanings
from carnet.formats.mapping_document import Mapping
from carnet.services.access import get_member
from carnet.services.appending import ReceiptShown
from carnet.services.filing.acting import (
    Check,
    choose_columns,
    choose_mapping,
    describe_reading,
    get_reading,
    mend,
)
from carnet.services.filing.desk import certify_file
from carnet.services.filing.mappings import Saved, list_saved, remove, rename
from carnet.services.filing.reading import Reading
from carnet.services.filing.records import MAX_CELL_CHARACTERS, MAX_MENDED_CELLS, Files, Job
from carnet.services.receipts import make_receipts, read_receipt
from carnet.services.timelines import DEFAULT_LIMIT, Shape, format_time
from carnet.web.api.answers import AnyRequest, answer, answer_fresh, answer_tagged
from carnet.web.api.contract import Contract, ListOf, promise
from carnet.web.api.files import (
    GONE,
    SENDERS,
    TAG,
    CountsShown,
    FileShown,
    get_files,
    get_sender,
    read_rows,
    show_file,
)
from carnet.web.desk import TheDesk, ThePrincipal
from carnet.web.inputs import Input
from carnet.web.kept import Answer, make_answer
from carnet.web.matching import find_wanted
from carnet.web.people import get_office

WAITING = (*GONE, Reason.FILE_NOT_WAITING)


class ColumnShown(Shape, frozen=True, kw_only=True):
    """A column of the file: what its cells look like, and what it means (`vin`, `legacy`, which is a VIN or the shorter
    number of a vehicle from before 1981, `plate`, `day`, `time`, `odometer_km`, `odometer_mi` or a field of the kind;
    null: it is not read)."""

    name: str
    looks_like: str
    meaning: str | None


class RowShown(Shape, frozen=True, kw_only=True):
    """One of the first rows: its number, its line in the file, its cells, and what would become of it."""

    row: int
    line: int
    state: Literal["ready", "duplicate", "faulty"]
    cells: dict[str, str]


class ProblemShown(Shape, frozen=True, kw_only=True):
    """Why no row can be read in this way."""

    code: str
    detail: str


class ReadingShown(Shape, frozen=True, kw_only=True):
    """How a file was understood. `origin` says whose the mapping is: given with the file, chosen afterwards, saved by
    the member for such columns, that of a template, or guessed, with `confidence` (0 to 100) and `doubts`."""

    file: str
    format: str
    origin: str
    saved: str | None
    kind: str | None
    confidence: int
    doubts: list[str]
    reasons: list[str]
    columns: list[ColumnShown]
    mapping: dict[str, Any] | None
    rows: list[RowShown]
    counts: CountsShown
    faulty_cells: int
    mended_cells: int
    problem: ProblemShown | None
    object: Literal["reading"] = "reading"


class ColumnsIn(Input, frozen=True, kw_only=True):
    """Either a whole mapping document, or the kind of entry with what each column means; a column that is not named is
    not read."""

    mapping: dict[str, Any] | None = None
    kind: Annotated[str, msgspec.Meta(max_length=80)] | None = None
    columns: dict[str, str] | None = None


class RowIn(Input, frozen=True, kw_only=True):
    """A faulty row by its number, and what its cells should be, by column."""

    row: Annotated[int, msgspec.Meta(ge=1)]
    cells: dict[str, Annotated[str, msgspec.Meta(max_length=MAX_CELL_CHARACTERS)]]


class MendsIn(Input, frozen=True, kw_only=True):
    """Rows that are put right."""

    rows: Annotated[list[RowIn], msgspec.Meta(min_length=1, max_length=MAX_MENDED_CELLS)]


class MappingShown(Shape, frozen=True, kw_only=True):
    """How the member's files with these columns are read."""

    id: str
    name: str
    columns: list[str]
    kind: str
    mapping: dict[str, Any]
    created_at: str
    used_at: str | None
    object: Literal["mapping"] = "mapping"


class RowReceiptShown(Shape, frozen=True, kw_only=True):
    """The node's signed word that a row of the file stands in its passport; `id` goes on from it."""

    id: str
    row: int
    receipt: ReceiptShown


class NameIn(Input, frozen=True, kw_only=True):
    """A new name."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=80)]


@get(
    "/files/{job:str}/reading",
    opt=promise(SENDERS, Contract(TAG, answer=ReadingShown, refusals=WAITING)),
    sync_to_thread=True,
)
def get_file_reading(
    desk: TheDesk, principal: ThePrincipal, request: AnyRequest, job: FromPath[str]
) -> Response[bytes]:
    """How a file was understood: its columns, the first rows, and how many are ready. There from the state waiting
    on. Its `ETag` is for the `If-Match` of what you decide: then nothing is sealed but what you saw."""
    files = get_files(desk)
    found = files.get(get_sender(desk, principal), job)
    tag = _make_tag(files, found)
    body = msgspec.json.encode(_show_reading(found.id, get_reading(files, found)))
    return answer_tagged(request, Answer(body, tag, ()))


@put(
    "/files/{job:str}/reading",
    opt=promise(
        SENDERS,
        Contract(
            TAG,
            answer=FileShown,
            body=ColumnsIn,
            is_matched=True,
            refusals=(*WAITING, Reason.MISSING_FIELD, Reason.UNKNOWN_FIELD, Reason.FIELDS_CONFLICT, Reason.WRONG_TYPE),
            example={
                "kind": "vehicle.service/1",
                "columns": {"Immat.": "plate", "Date fact.": "day", "Km cpt": "odometer_km", "Libellé": "invoice_text"},
            },
        ),
    ),
    status_code=200,
    sync_to_thread=True,
)
def choose_file_columns(
    desk: TheDesk, principal: ThePrincipal, request: AnyRequest, job: FromPath[str], data: JSONBody[ColumnsIn]
) -> Response[bytes]:
    """Say what the columns of a waiting file mean; it is read again so."""
    files, member = get_files(desk), get_sender(desk, principal)
    check = _make_check(files, request)
    if data.mapping is not None:
        return answer(show_file(files, choose_mapping(files, member, job, data.mapping, check)))
    kind, columns = data.kind or "", data.columns or {}
    return answer(show_file(files, choose_columns(files, member, job, kind, columns, check)))


@post(
    "/files/{job:str}/mends",
    opt=promise(
        SENDERS,
        Contract(
            TAG,
            answer=FileShown,
            body=MendsIn,
            is_matched=True,
            refusals=(*WAITING, Reason.VALUE_OUT_OF_RANGE, Reason.UNKNOWN_FIELD, Reason.TEXT_TOO_LONG),
            example={"rows": [{"row": 12, "cells": {"Km cpt": "332760"}}]},
        ),
    ),
    status_code=200,
    sync_to_thread=True,
)
def mend_file(
    desk: TheDesk, principal: ThePrincipal, request: AnyRequest, job: FromPath[str], data: JSONBody[MendsIn]
) -> Response[bytes]:
    """Put cells of faulty rows right; the file is read again with them, and stays as it was sent."""
    files = get_files(desk)
    mends = {one.row: one.cells for one in data.rows}
    mended = mend(files, get_sender(desk, principal), job, mends, _make_check(files, request))
    return answer(show_file(files, mended))


@post(
    "/files/{job:str}/certify",
    opt=promise(SENDERS, Contract(TAG, answer=FileShown, refusals=(*WAITING, Reason.WRONG_CUSTODY), is_matched=True)),
    status_code=200,
    sync_to_thread=True,
)
def certify_file_job(
    desk: TheDesk, principal: ThePrincipal, request: AnyRequest, job: FromPath[str]
) -> Response[bytes]:
    """Seal the rows of a waiting file that are ready, in your member's name, and leave the others. Asked again, it is
    done once."""
    files = get_files(desk)
    with desk.reading() as reader:
        member = get_member(reader.state, principal)
    office, check = desk.shelf.get("office"), _make_check(files, request)
    return answer(show_file(files, certify_file(files, office, member, principal, job, check=check)))


@get(
    "/files/{job:str}/receipts",
    opt=promise(SENDERS, Contract(TAG, answer=ListOf[RowReceiptShown], refusals=(*GONE, Reason.VALUE_OUT_OF_RANGE))),
    sync_to_thread=True,
)
def list_receipts(
    desk: TheDesk,
    principal: ThePrincipal,
    request: AnyRequest,
    job: FromPath[str],
    limit: FromQuery[int] = DEFAULT_LIMIT,
    starting_after: FromQuery[str | None] = None,
) -> Response[bytes]:
    """The receipts of the rows that are sealed, in the order in which they were; each is signed as it is asked for."""
    rows = read_rows(desk, principal, job, "receipts.ndjson", limit, starting_after)
    receipts = make_receipts(desk.door, [read_receipt(one) for _, one in rows.named])
    data = [
        RowReceiptShown(id=name, row=one["row"], receipt=msgspec.convert(receipt, ReceiptShown))
        for (name, one), receipt in zip(rows.named, receipts, strict=True)
    ]
    return answer_fresh(request, ListOf(data=data, has_more=rows.has_more))


@get("/mappings", opt=promise(SENDERS, Contract(TAG, answer=ListOf[MappingShown])), sync_to_thread=True)
def list_mappings(desk: TheDesk, principal: ThePrincipal, request: AnyRequest) -> Response[bytes]:
    """How your member's files are read without asking, the mapping that was used last first; at most a hundred."""
    found = list_saved(get_office(desk), get_sender(desk, principal))
    return answer_fresh(request, ListOf(data=[_show_saved(one) for one in found], has_more=False))


@patch(
    "/mappings/{mapping:str}",
    opt=promise(
        SENDERS,
        Contract(
            TAG,
            answer=ListOf[MappingShown],
            body=NameIn,
            refusals=(*GONE, Reason.VALUE_OUT_OF_RANGE, Reason.TEXT_TOO_LONG, Reason.TEXT_NOT_ALLOWED),
            example={"name": "Friday's list"},
        ),
    ),
    sync_to_thread=True,
)
def rename_mapping(
    desk: TheDesk, principal: ThePrincipal, mapping: FromPath[str], data: JSONBody[NameIn]
) -> Response[bytes]:
    """Give a mapping another name; all of them."""
    rename(get_office(desk), principal, get_sender(desk, principal), mapping, data.name)
    found = list_saved(get_office(desk), get_sender(desk, principal))
    return answer(ListOf(data=[_show_saved(one) for one in found], has_more=False))


@delete(
    "/mappings/{mapping:str}",
    opt=promise(SENDERS, Contract(TAG, answer=ListOf[MappingShown], refusals=GONE)),
    status_code=200,
    sync_to_thread=True,
)
def remove_mapping(desk: TheDesk, principal: ThePrincipal, mapping: FromPath[str]) -> Response[bytes]:
    """Forget a mapping, so that the next such file is looked at anew; those that are left."""
    member = get_sender(desk, principal)
    remove(get_office(desk), principal, member, mapping)
    found = list_saved(get_office(desk), member)
    return answer(ListOf(data=[_show_saved(one) for one in found], has_more=False))


def _make_tag(files: Files, job: Job) -> str:
    """The tag of how a file was understood. It differs too where a cell was mended that is not shown."""
    return make_answer(describe_reading(files, job)).tag


def _make_check(files: Files, request: AnyRequest) -> Check:
    """Whether a file is still understood as the request's `If-Match` says."""
    wanted = find_wanted(request.scope)
    return lambda job: wanted.check(_make_tag(files, job))


def _show_reading(job: str, reading: Reading) -> ReadingShown:
    mapping = None if reading.mapping is None else msgspec.convert(reading.mapping, Mapping)
    meanings = {} if mapping is None else find_meanings(mapping)
    return ReadingShown(
        file=job,
        format=reading.format,
        origin=reading.origin,
        saved=reading.saved,
        kind=None if mapping is None else mapping.kind,
        confidence=reading.confidence,
        doubts=[str(one) for one in reading.doubts],
        reasons=[str(one) for one in reading.reasons],
        columns=[
            ColumnShown(name=one.name, looks_like=one.sort, meaning=meanings.get(one.name)) for one in reading.columns
        ],
        mapping=reading.mapping,
        rows=[RowShown(row=one.row, line=one.line, state=one.state, cells=one.cells) for one in reading.rows],
        counts=CountsShown(**msgspec.structs.asdict(reading.counts)),
        faulty_cells=reading.faulty_cells,
        mended_cells=reading.mended_cells,
        problem=None if reading.problem is None else ProblemShown(code=reading.problem[0], detail=reading.problem[1]),
    )


def _show_saved(one: Saved) -> MappingShown:
    return MappingShown(
        id=one.id,
        name=one.name,
        columns=list(one.columns),
        kind=str(one.document.get("kind", "")),
        mapping=one.document,
        created_at=format_time(one.created_ms),
        used_at=None if one.used_ms is None else format_time(one.used_ms),
    )


ROUTES = [
    get_file_reading,
    choose_file_columns,
    mend_file,
    certify_file_job,
    list_receipts,
    list_mappings,
    rename_mapping,
    remove_mapping,
]
