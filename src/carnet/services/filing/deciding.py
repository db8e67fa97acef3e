"""How the file of a job is to be read: as its sender says, as the member said before for such columns, as its headings
say, or as it looks.

It refuses to read more than the beginning of the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple, cast

import msgspec

from carnet.errors import Reason, Refused
from carnet.formats.guess import Guess
from carnet.formats.mapping_document import About, Mapping, Reader, read_mapping
from carnet.formats.remarks import refuse_for, remark
from carnet.formats.templates import drop_error_heading, find_template
from carnet.passport.subject import parse_subject
from carnet.services.filing.mappings import is_of_one_vehicle
from carnet.services.filing.reading import KNOWN, MAPPING, MENDS, Mends, Origin, Reading
from carnet.services.filing.records import Files, Format, Job, Known
from carnet.services.guessing import guess_file
from carnet.services.importers import REGISTRY, make_dvsa, make_mapped, make_rdw, make_report, make_vpic
from carnet.services.importing import HISTOVEC
from carnet.services.importing import Format as Importer
from carnet.services.sources import Source
from carnet.services.tables import Table, open_mapped
from carnet.types import Millis


class Opened(NamedTuple):
    """A file that is open: how its rows are read, where they come from, and the mapping, if it is read by one."""

    importer: Importer
    source: Source | Table
    mapping: Mapping | None
    mends: Mends


def decide(files: Files, job: Job, now: Millis) -> Reading:
    """How the file is to be read, without its rows. Raises Refused(UNREADABLE_FILE) for what holds no table."""
    wish = job.wish
    chosen = files.read(job, MAPPING, dict[str, Any])
    if wish.format not in ("mapping", "guess"):
        return Reading(format=wish.format, origin="format")
    guess = guess_file(files.path(job, "content"), now, wish.name)
    seen = {
        "columns": guess.columns,
        "reader": None if guess.reader is None else _to_document(guess.reader),
    }
    if chosen is not None:
        return Reading(format="mapping", origin="chosen", mapping=chosen, **cast("Any", seen))
    if wish.mapping is not None:
        return Reading(format="mapping", origin="given", mapping=wish.mapping, **cast("Any", seen))
    if guess.importer is not None:
        return Reading(format=cast("Format", guess.importer), origin="format", reasons=guess.doubts[:1])
    if not guess.columns:
        why = guess.reasons[0] if guess.reasons else remark("no_table")
        raise refuse_for(why)
    known = _find_known(files.read(job, KNOWN, list[Known]) or [], guess)
    if known is not None:
        document = known.document | {"reader": seen["reader"]}
        return Reading(format="mapping", origin="saved", saved=known.id, mapping=document, **cast("Any", seen))
    guess = _forget_own_id(guess)
    origin: Origin = "template" if find_template([column.name for column in guess.columns]) else "guessed"
    return Reading(
        format="mapping",
        origin=origin,
        mapping=None if guess.mapping is None else guess.mapping.to_json(),
        draft=None if guess.draft is None else guess.draft.to_json(),
        head=() if guess.mapping is not None else guess.head,
        confidence=guess.confidence,
        doubts=guess.doubts,
        reasons=guess.grounds,
        **cast("Any", seen),
    )


def _forget_own_id(guess: Guess) -> Guess:
    """The same where a file numbers its vehicles in its own way: the numbers of one member say nothing to another, and
    those of two would meet in one passport. Who has such a file imports it under a scheme that names it."""
    mapping = guess.mapping
    if mapping is None or mapping.subject.scheme in ("vin", "plate"):
        return guess
    draft = msgspec.structs.replace(mapping, subject=About(scheme="vin"))
    reasons = (remark("no_vehicle"), *guess.reasons)
    return guess._replace(mapping=None, draft=draft, confidence=0, reasons=reasons, doubt_count=guess.doubt_count + 1)


def open_job(files: Files, job: Job, reading: Reading, stack: ExitStack) -> Opened:
    """Open the file as it is to be read. Raises Refused as `read_mapping`, and MISSING_FIELD where nobody said yet
    what its columns mean."""
    path = files.path(job, "content")
    mends: Mends = files.read(job, MENDS, Mends) or {}
    if reading.format == "mapping":
        if reading.mapping is None:
            raise Refused(Reason.MISSING_FIELD, str(remark("unclear")), field="mapping", cause="unclear")
        mapping = read_mapping(reading.mapping)
        opened = open_mapped(path, mapping)
        stack.callback(opened.close)
        table = opened if isinstance(opened, Table) else None
        return Opened(make_mapped(mapping, None, table, mends), opened, mapping, mends)
    source = Source(path)
    stack.callback(source.close)
    return Opened(_find_importer(reading.format, job), source, None, {})


def _find_importer(format_: Format, job: Job) -> Importer:
    subject = None if job.wish.subject is None else parse_subject(job.wish.subject)
    return {
        "histovec": HISTOVEC,
        "registry": REGISTRY,
        "report": make_report(subject),
        "dvsa": make_dvsa(subject, None),
        "rdw": make_rdw(subject, "rdw"),
        "vpic": make_vpic(None),
    }[format_]


def _find_known(known: Sequence[Known], guess: Guess) -> Known | None:
    """The mapping that the member saved for a file with the very same columns, written in the same way."""
    if guess.reader is None:
        return None
    type_ = _to_document(guess.reader)["type"]
    names = tuple(drop_error_heading([column.name for column in guess.columns]))
    fitting = (one for one in known if (one.type, one.columns) == (type_, names))
    return next((one for one in fitting if not is_of_one_vehicle(one.document)), None)


def _to_document(reader: Reader) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(reader))
    return document
