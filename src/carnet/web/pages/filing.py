"""A member's files: dropped, understood, mended and sealed. It works without script, which only betters it.

A page never reads a file: a process of its own does, and the page shows what that wrote down.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import sha256
from typing import Annotated, Any, Final

from litestar import Response, get, post
from litestar.datastructures import UploadFile
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath
from litestar.response import Redirect, Stream

from carnet.errors import Reason, Refused
from carnet.formats.templates import TEMPLATES
from carnet.services.access import get_member
from carnet.services.console.signing import name_own_keys
from carnet.services.filing.acting import (
    choose_columns,
    describe_reading,
    find_reading,
    hand_in_signatures,
    keeps_its_key,
    mend,
    wait_a_moment,
)
from carnet.services.filing.desk import announce, certify_file
from carnet.services.filing.errors_file import list_error_rows, name_error_columns
from carnet.services.filing.reading import FAULTS
from carnet.services.filing.records import MAX_PART_BYTES, Files, Job, Wish, iterate_lines
from carnet.services.principals import Principal, Role
from carnet.services.spreadsheets import write_csv
from carnet.web.api.files import get_files, get_sender
from carnet.web.desk import Desk, TheDesk, ThePrincipal
from carnet.web.pages.filing_shown import PAGE, Choice, find_current, show_job
from carnet.web.pages.filing_words import say_state
from carnet.web.pages.front import FormData
from carnet.web.pages.sayings import say_refusal
from carnet.web.pages.showing import AnyRequest, find_reader_language, go, show
from carnet.web.policy import staff

CLERKS = staff(Role.ADMIN, Role.CLERK)
HERE: Final = "/console/files"
MAX_FORM_BYTES: Final = 32 * 1024 * 1024
"""Of a file that comes with a form; script sends larger ones in parts."""

PATIENCE_S: Final = 2.0
"""How long an answer waits for a file to be read: most are read by then, and nobody sees that it takes time."""

MAX_NAME: Final = 200
SHOWN_FILES: Final = 50

Upload = Annotated[dict[str, Any], Body(media_type=RequestEncodingType.MULTI_PART)]


@get(HERE, opt={"policy": CLERKS}, sync_to_thread=True, include_in_schema=False)
def get_console_files(request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Response[str]:
    """The files of the last days, and the place for another one."""
    return _show_list(request, desk, principal)


@post(
    HERE,
    opt={"policy": CLERKS},
    sync_to_thread=True,
    include_in_schema=False,
    request_max_body_size=MAX_FORM_BYTES,
)
def send_console_file(
    data: Upload, request: AnyRequest, desk: TheDesk, principal: ThePrincipal
) -> Response[str] | Redirect:
    """Take a file that comes with a form, and go to its page; or say what was wrong with it."""
    language, upload = find_reader_language(request, desk), data.get("file")
    files, member = get_files(desk), get_sender(desk, principal)
    try:
        if not isinstance(upload, UploadFile) or not upload.filename:
            raise Refused(Reason.MISSING_FIELD, "no file was chosen", field="file")
        upload.file.seek(0, 2)
        size = upload.file.tell()
        upload.file.seek(0)
        wish = Wish(name=_name(upload.filename), format="guess", size=size, review=True)
        job = announce(files, desk.shelf.get("office"), member, principal, wish)
        at = 0
        while part := upload.file.read(MAX_PART_BYTES):
            job = files.add_part(member, job.id, at, part)
            at += len(part)
    except Refused as refused:
        problem = _say_upload(refused, language)
        return _show_list(request, desk, principal, problem)
    wait_a_moment(files, job, PATIENCE_S)
    return go(f"{HERE}/{job.id}")


@get(f"{HERE}/{{job:str}}", opt={"policy": CLERKS}, sync_to_thread=True, include_in_schema=False)
def get_console_file(job: FromPath[str], request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Response[str]:
    """One file: how it was understood, what is to be mended, what became of it."""
    return _show_job(request, desk, principal, job)


@post(f"{HERE}/{{job:str}}/columns", opt={"policy": CLERKS}, sync_to_thread=True, include_in_schema=False)
def choose_console_columns(
    job: FromPath[str], data: FormData, request: AnyRequest, desk: TheDesk, principal: ThePrincipal
) -> Response[str] | Redirect:
    """Read the file again, with other meanings of its columns."""
    files, member = get_files(desk), get_sender(desk, principal)
    found = files.get(member, job)
    reading = find_reading(files, found)
    names = [] if reading is None else [column.name for column in reading.columns]
    meanings = {name: str(data.get(f"m{at}", "")) for at, name in enumerate(names)}
    chosen = {name: meaning for name, meaning in meanings.items() if meaning}
    vin = str(data.get("vehicle", "")).strip()
    try:
        waiting = choose_columns(files, member, job, str(data.get("kind", "")), chosen, vin=vin)
    except Refused as refused:
        choice = Choice(str(data.get("kind", "")), chosen, vin)
        return _show_job(request, desk, principal, job, refused, choice)
    wait_a_moment(files, waiting, PATIENCE_S)
    return go(f"{HERE}/{job}")


@post(f"{HERE}/{{job:str}}/mend", opt={"policy": CLERKS}, sync_to_thread=True, include_in_schema=False)
def mend_console_file(
    job: FromPath[str], data: FormData, request: AnyRequest, desk: TheDesk, principal: ThePrincipal
) -> Response[str] | Redirect:
    """Read the file again, with the cells that were put right."""
    files, member = get_files(desk), get_sender(desk, principal)
    found = files.get(member, job)
    mends = _read_mends(files, found, data)
    page = str(data.get("page", ""))[:6]
    to = f"{HERE}/{job}" + (f"?page={page}" if _is_number(page) and page != "1" else "") + "#mend"
    if not mends:
        return go(to)
    try:
        waiting = mend(files, member, job, mends)
    except Refused as refused:
        return _show_job(request, desk, principal, job, refused)
    wait_a_moment(files, waiting, PATIENCE_S)
    return go(to)


@post(f"{HERE}/{{job:str}}/certify", opt={"policy": CLERKS}, sync_to_thread=True, include_in_schema=False)
def certify_console_file(
    job: FromPath[str], request: AnyRequest, desk: TheDesk, principal: ThePrincipal, data: FormData
) -> Response[str] | Redirect:
    """Seal the rows that are ready, and leave the others; nothing where a colleague has changed since what is ready."""
    files, seen = get_files(desk), str(data.get("seen", ""))

    def check(job: Job) -> None:
        if seen and seen != _name_reading(files, job):
            raise Refused(Reason.CHANGED_SINCE, "this file was mended, or its columns were chosen, since it was shown")

    with desk.reading() as reader:
        member = get_member(reader.state, principal)
    try:
        own_key = str(data.get("key", ""))[:64] if keeps_its_key(member) else None
        sealing = certify_file(files, desk.shelf.get("office"), member, principal, job, own_key, check)
    except Refused as refused:
        if refused.reason is Reason.NOT_FOUND:
            raise
        return _show_job(request, desk, principal, job, refused)
    wait_a_moment(files, sealing, PATIENCE_S)
    return go(f"{HERE}/{job}")


@post(f"{HERE}/{{job:str}}/signatures", opt={"policy": CLERKS}, sync_to_thread=True, include_in_schema=False)
def take_console_signatures(
    job: FromPath[str], request: AnyRequest, desk: TheDesk, principal: ThePrincipal, data: FormData
) -> Response[str] | Redirect:
    """Seal what the member's own key has signed in the browser."""
    files, member = get_files(desk), get_sender(desk, principal)
    try:
        sealing = hand_in_signatures(files, member, job, str(data.get("signatures", "")).split())
    except Refused as refused:
        if refused.reason is Reason.NOT_FOUND:
            raise
        return _show_job(request, desk, principal, job, refused)
    wait_a_moment(files, sealing, PATIENCE_S)
    return go(f"{HERE}/{job}")


@post(f"{HERE}/{{job:str}}/cancel", opt={"policy": CLERKS}, sync_to_thread=True, include_in_schema=False)
def cancel_console_file(job: FromPath[str], desk: TheDesk, principal: ThePrincipal, data: FormData) -> Redirect:
    """Throw the file away; what is sealed stays."""
    get_files(desk).cancel(get_sender(desk, principal), job)
    return go(HERE)


@get(f"{HERE}/{{job:str}}/errors.csv", opt={"policy": CLERKS}, sync_to_thread=True, include_in_schema=False)
def get_console_errors(job: FromPath[str], request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Stream:
    """The faulty rows as a table for a spreadsheet, with what is wrong beside each: mend it, and drop it here."""
    files = get_files(desk)
    found = files.get(get_sender(desk, principal), job)
    language = find_reader_language(request, desk)
    table = write_csv(name_error_columns(files, found, language), list_error_rows(files, found))
    headers = {"Content-Disposition": f'attachment; filename="{_plain(found.wish.name)}-errors.csv"'}
    return Stream(table, media_type="text/csv; charset=utf-8", headers=headers)


def _read_mends(files: Files, job: Job, data: dict[str, Any]) -> dict[int, dict[str, str]]:
    """What a form says differently from what it showed: a cell of its own, or what was proposed for it. A cell that was
    left as it was shown says nothing, whatever a colleague has made of it since."""
    reading = find_reading(files, job)
    names = [] if reading is None else [column.name for column in reading.columns]
    current = find_current(files, job)
    mends: dict[int, dict[str, str]] = {}
    for key, value in data.items():
        where = re.fullmatch(r"c(\d{1,9})\.(\d{1,5})", key, re.ASCII)
        if where is None or int(where[2]) >= len(names) or int(where[1]) not in current:
            continue
        row, column = int(where[1]), names[int(where[2])]
        shown = str(data.get(f"was.{key}", current[row].get(column, "")))
        if _flatten(str(value)) != _flatten(shown):
            mends.setdefault(row, {})[column] = str(value).strip()
    for row, column, proposal in _list_accepted(files, job, names, str(data.get("fix", ""))):
        mends.setdefault(row, {})[column] = proposal
    return mends


def _flatten(cell: str) -> str:
    """A cell as a line to write in gives it back: a browser takes breaks of line out of it."""
    return re.sub(r"[\r\n]", "", cell).strip()


def _list_accepted(files: Files, job: Job, names: list[str], fix: str) -> Iterator[tuple[int, str, str]]:
    """The proposals that a button accepts: one (`row.column`), or all."""
    if not fix:
        return
    for fault in iterate_lines(files.path(job, FAULTS)):
        for cell in fault.get("faulty", ()):
            key = f"{fault['row']}.{names.index(cell['column'])}" if cell["column"] in names else ""
            if cell["proposal"] is not None and fix in ("all", key):
                yield fault["row"], cell["column"], cell["proposal"]


def _show_list(request: AnyRequest, desk: Desk, principal: Principal, problem: str | None = None) -> Response[str]:
    files, language = get_files(desk), find_reader_language(request, desk)
    found = files.list(get_sender(desk, principal))[::-1]
    jobs = [(job, say_state(language, job)) for job in found[:SHOWN_FILES]]
    facts: dict[str, Any] = {
        "jobs": jobs,
        "problem": problem,
        "templates": [template.name for template in TEMPLATES],
        "max_bytes": MAX_FORM_BYTES,
    }
    return show(request, desk, principal, "console/files.html", 200 if problem is None else 422, **facts)


def _show_job(
    request: AnyRequest,
    desk: Desk,
    principal: Principal,
    id_: str,
    refused: Refused | None = None,
    choice: Choice | None = None,
) -> Response[str]:
    files, language = get_files(desk), find_reader_language(request, desk)
    with desk.reading() as reader:
        member = get_member(reader.state, principal)
    job = files.get(member.id, id_)
    page = request.query_params.get("page", "1")
    facts = show_job(files, job, language, int(page) if _is_number(page) and len(page) < 6 else 1, choice)
    facts["problem"] = None if refused is None else _say_act(refused, language)
    facts["page_size"] = PAGE
    facts["seen"] = _name_reading(files, job) if find_reading(files, job) else ""
    facts["own_keys"] = name_own_keys(member) if keeps_its_key(member) else ""
    return show(request, desk, principal, "console/file.html", 200 if refused is None else 422, **facts)


def _name_reading(files: Files, job: Job) -> str:
    """What tells how a file is understood now from every other way."""
    return sha256(describe_reading(files, job)).hexdigest()


def _say_act(refused: Refused, language: Any) -> str:
    from carnet.web.language import load_translations

    _ = load_translations(language).gettext
    words = {
        Reason.FIELDS_CONFLICT: _("Two columns mean the same: choose one of them, and let the other be ignored."),
        Reason.MISSING_FIELD: _("Say which vehicle a row is about: by a column of VINs or plates, or one VIN for all."),
        Reason.WRONG_TYPE: _("What stands in that column cannot be read so: choose another meaning."),
        Reason.FILE_NOT_WAITING: _("This was not done: the file is at work just now, or no row of it is ready."),
        Reason.CHANGED_SINCE: _("Somebody has changed this since you looked: look again, then decide."),
        Reason.WRONG_CUSTODY: _(
            "Your organisation keeps its own key, so the node cannot sign for it: sign these entries where the key is."
        ),
    }
    if refused.reason is Reason.FIELDS_CONFLICT and refused.facts.get("field") == "subject":
        return _("A column says the vehicle, and you wrote one for the whole file: choose one of the two.")
    if refused.reason is Reason.MISSING_FIELD and str(refused.facts.get("field", "")).startswith("odometer"):
        return _("Choose the column that is the odometer, or say that each row is something else.")
    return words.get(refused.reason) or say_refusal(language, refused)


def _say_upload(refused: Refused, language: Any) -> str:
    from carnet.web.language import load_translations

    _ = load_translations(language).gettext
    words = {
        Reason.MISSING_FIELD: _("Choose a file first."),
        Reason.VALUE_OUT_OF_RANGE: _("This file is empty: look at it again."),
        Reason.TOO_MANY_REQUESTS: _("Too many files wait already: seal or cancel one of them first."),
        Reason.REQUEST_TOO_LARGE: _("This file is too large: divide it, and send the parts."),
    }
    return words.get(refused.reason) or say_refusal(language, refused)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _name(name: str) -> str:
    """A file's name as it is shown: without folders, and without what no name has."""
    bare = re.split(r"[/\\]", name)[-1]
    return "".join(character for character in bare if character.isprintable())[:MAX_NAME].strip() or "file"


def _plain(name: str) -> str:
    """A name that a header can hold."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name.rpartition(".")[0] or name)[:60].strip("-") or "file"


ROUTES: list[Any] = [
    get_console_files,
    send_console_file,
    get_console_file,
    choose_console_columns,
    mend_console_file,
    certify_console_file,
    take_console_signatures,
    cancel_console_file,
    get_console_errors,
]
