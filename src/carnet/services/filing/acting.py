"""What a person, or a program, decides about a file that has been read: what its columns mean, what a cell should say,
and that the rows which are ready are to be sealed.

Each answer is read again by a process of its own. It refuses to decide for a file that is at work, and to certify what
nobody has read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import msgspec

from carnet.errors import Reason, Refused
from carnet.formats.columns import make_column_mapping
from carnet.formats.mapping_document import Reader, read_mapping
from carnet.ledger.rules.members import Member
from carnet.services.console.signing import get_own_key
from carnet.services.filing.reading import (
    FAULTS,
    MAPPING,
    MENDED,
    MENDS,
    READING,
    SIGNATURES,
    SIGNING,
    Mends,
    Reading,
    Signing,
)
from carnet.services.filing.records import (
    MAX_CELL_CHARACTERS,
    MAX_MAPPING_BYTES,
    MAX_MENDED_CELLS,
    Files,
    Job,
    iterate_lines,
)
from carnet.types import Custody, KeyRole, MemberId

LOOKS_EVERY_S: Final = 0.05
MAX_SIGNATURE: Final = 200

Check: TypeAlias = Callable[[Job], None]
"""Asked for a file that waits, while nobody else decides about it; it raises to leave the file as it is."""


def as_it_is(job: Job) -> None:
    """However it was read, it may be decided about."""


def find_reading(files: Files, job: Job) -> Reading | None:
    """What a file was read as; None as long as it was not."""
    return files.read(job, READING, Reading)


def get_reading(files: Files, job: Job) -> Reading:
    """The same. Raises Refused(FILE_NOT_WAITING) as long as it was not read."""
    reading = find_reading(files, job)
    if reading is None:
        raise _not_waiting(job, "this file was not read yet: it is being looked at, or was sent to be sealed at once")
    return reading


def describe_reading(files: Files, job: Job) -> bytes:
    """All that what would be sealed follows from: what the file was read as, and the cells that were mended since. Two
    that are alike are the same bytes."""
    mends = files.read(job, MENDS, Mends) or {}
    told = sorted((row, sorted(cells.items())) for row, cells in mends.items())
    return msgspec.json.encode([get_reading(files, job), told])


def choose_mapping(
    files: Files, member: MemberId, id_: str, document: Mapping[str, Any], check: Check = as_it_is
) -> Job:
    """Have the file read as this mapping document says. What was mended before is kept.

    Raises what `check` raises, and Refused NOT_FOUND, FILE_NOT_WAITING, REQUEST_TOO_LARGE, and as `read_mapping`.
    """
    read_mapping(document)
    if len(msgspec.json.encode(document)) > MAX_MAPPING_BYTES:
        raise Refused(Reason.REQUEST_TOO_LARGE, f"a mapping document has at most {MAX_MAPPING_BYTES:,} bytes")
    with files.changing(member, id_) as job:
        _check_waiting(job)
        check(job)
        if get_reading(files, job).format != "mapping":
            saying = "this file has a format of its own, which no mapping changes"
            raise Refused(Reason.FIELDS_CONFLICT, saying, field="mapping")
        files.write(job, MAPPING, document)
        return files.queue(job, "look")


def choose_columns(
    files: Files,
    member: MemberId,
    id_: str,
    kind: str,
    meanings: Mapping[str, str],
    check: Check = as_it_is,
    vin: str = "",
) -> Job:
    """Have the file read so that each of these columns means what is said of it, in entries of this kind; all of the
    vehicle `vin`, if it is given.

    Raises Refused as `choose_mapping`, and as `make_column_mapping`.
    """
    reading = get_reading(files, files.get(member, id_))
    if reading.reader is None:
        raise Refused(Reason.FIELDS_CONFLICT, "this file has no columns that could be chosen", field="columns")
    reader: Reader = msgspec.convert(reading.reader, Reader)
    mapping = make_column_mapping(reader, reading.columns, kind, meanings, vin)
    return choose_mapping(files, member, id_, mapping.to_json(), check)


def mend(
    files: Files, member: MemberId, id_: str, mends: Mapping[int, Mapping[str, str]], check: Check = as_it_is
) -> Job:
    """Say what cells of faulty rows should be, by row number and column; the file is read again with them. A cell that
    is None-like blank is blank; one that was mended before takes the new word.

    Raises what `check` raises, and Refused NOT_FOUND, FILE_NOT_WAITING, VALUE_OUT_OF_RANGE (no such row, or too many),
    UNKNOWN_FIELD (no such column), TEXT_TOO_LONG.
    """
    with files.changing(member, id_) as job:
        _check_waiting(job)
        check(job)
        reading = get_reading(files, job)
        _check_cells(reading, mends)
        kept: Mends = files.read(job, MENDS, Mends) or {}
        missing = mends.keys() - kept.keys() - _list_faulty_rows(files, job)
        if missing:
            raise Refused(Reason.VALUE_OUT_OF_RANGE, f"row {min(missing)} is not a faulty one", field="rows")
        for row, cells in mends.items():
            kept[row] = kept.get(row, {}) | dict(cells)
        if sum(map(len, kept.values())) > MAX_MENDED_CELLS:
            saying = f"at most {MAX_MENDED_CELLS:,} cells are mended here: mend the file itself, and send it again"
            raise Refused(Reason.VALUE_OUT_OF_RANGE, saying, field="rows")
        files.write(job, MENDS, kept)
        return files.queue(job, "look")


def _check_cells(reading: Reading, mends: Mapping[int, Mapping[str, str]]) -> None:
    names = {column.name for column in reading.columns}
    for row, cells in mends.items():
        for column, cell in cells.items():
            if column not in names:
                saying = f"the file has no column {column[:60]!a}"
                raise Refused(Reason.UNKNOWN_FIELD, saying, field=f"rows.{row}.{column[:60]}")
            if len(cell) > MAX_CELL_CHARACTERS:
                saying = f"a cell has at most {MAX_CELL_CHARACTERS:,} characters"
                raise Refused(Reason.TEXT_TOO_LONG, saying, field=f"rows.{row}.{column[:60]}")


def _list_faulty_rows(files: Files, job: Job) -> set[int]:
    return {int(one["row"]) for name in (FAULTS, MENDED) for one in iterate_lines(files.path(job, name))}


def keeps_its_key(member: Member) -> bool:
    """Whether a member signs by itself: none of its keys in force is kept by this node."""
    keys = [key for key in member.keys if key.revoked is None and key.role == KeyRole.AUTHOR]
    return bool(keys) and not any(key.custody == Custody.NODE for key in keys)


def check_may_certify(member: Member) -> None:
    """Raise Refused(WRONG_CUSTODY) for a member whose key this node does not keep: it signs by itself."""
    if keeps_its_key(member):
        raise Refused(
            Reason.WRONG_CUSTODY,
            f"{member.name} keeps its own key, so that this node cannot sign for it: certify the file in the console of"
            " the browser that has the key, or sign its entries with `carnet draft`, `carnet sign` and `carnet submit`",
        )


def certify(
    files: Files,
    member: Member,
    id_: str,
    certified_by: str,
    own_key: str | None = None,
    check: Check = as_it_is,
) -> Job:
    """Have the rows that are ready sealed, in the member's name; the others are left. Said twice, it is done once. With
    an own key (its digest, hexadecimal) what that key is to sign is prepared, and the file waits for its signatures.

    Raises what `check` raises, and Refused NOT_FOUND, FILE_NOT_WAITING, WRONG_CUSTODY, UNKNOWN_KEY.
    """
    with files.changing(member.id, id_) as job:
        if job.certified_by is not None and job.stage == "seal":
            return job
        _check_waiting(job)
        check(job)
        reading = get_reading(files, job)
        if reading.problem is not None or not reading.counts.ready:
            raise _not_waiting(job, "no row of this file is ready: choose its columns or mend its rows first")
        if own_key is not None and keeps_its_key(member):
            return files.queue(job, "prepare", certified_by, get_own_key(member, own_key).digest.hex())
        check_may_certify(member)
        return files.queue(job, "seal", certified_by)


def hand_in_signatures(files: Files, member: MemberId, id_: str, signatures: Sequence[str]) -> Job:
    """Have what was prepared sealed, with these signatures (Base64, in the order of the messages); they are checked
    then.

    Raises Refused NOT_FOUND, FILE_NOT_WAITING, BAD_SIGNATURE for another number of them.
    """
    with files.changing(member, id_) as job:
        _check_waiting(job)
        signing = files.read(job, SIGNING, Signing) if job.stage == "prepare" else None
        if signing is None:
            raise _not_waiting(job, "nothing of this file waits for a signature: certify it first")
        if len(signatures) != len(signing.messages) or any(len(one) > MAX_SIGNATURE for one in signatures):
            raise Refused(Reason.BAD_SIGNATURE, f"{len(signing.messages)} signatures are needed, one for each message")
        files.write(job, SIGNATURES, list(signatures))
        return files.queue(job, "seal", job.certified_by, job.own_key)


def wait_a_moment(files: Files, job: Job, seconds: float) -> Job:
    """The job once it is no more waiting for its turn nor at work, or after so long."""
    until = time.monotonic() + seconds
    while job.state in ("queued", "running") and time.monotonic() < until:
        time.sleep(LOOKS_EVERY_S)
        job = files.find(job.id) or job
    return job


def _check_waiting(job: Job) -> None:
    if job.state in ("queued", "running"):
        saying = "this file is being read or sealed just now: ask again in a moment"
        raise Refused(Reason.FILE_NOT_WAITING, saying, could_retry=True, state=job.state)
    if job.state != "waiting":
        raise _not_waiting(job, f"this file is not waiting for anybody's word: it is {job.state}")


def _not_waiting(job: Job, saying: str) -> Refused:
    return Refused(Reason.FILE_NOT_WAITING, saying, state=job.state)
