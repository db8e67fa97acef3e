"""The formats of the field that `carnet import` knows, each by the name of its verb.

A new format is a pure parser and one line here. It refuses to know how rows are sealed.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from carnet.errors import Reason, Refused
from carnet.formats.documents import read_json
from carnet.formats.dvsa import read_tests
from carnet.formats.faults import Fault
from carnet.formats.histovec_registry import read_registry
from carnet.formats.histovec_report import read_reports
from carnet.formats.mapping import UNMENDED, Mends, read_mapped, read_table
from carnet.formats.mapping_document import Mapping, read_mapping
from carnet.formats.rdw import read_vehicles
from carnet.formats.vpic import read_answers
from carnet.formats.wmi import Manufacturers, read_manufacturers
from carnet.services.importing import INSPECTION, Format
from carnet.services.tables import Table
from carnet.types import Subject
from carnet.vault.partial import write_whole

IDENTITY, TITLE = "vehicle.identity/1", "vehicle.title/1"
ACCIDENT, JUDGEMENT = "vehicle.accident/1", "vehicle.odometer_judgement/1"

MAX_SMALL_FILE_BYTES = 16 * 1024 * 1024
"""A mapping document or a list of manufacturers is read whole; none is as large as this."""

REGISTRY = Format(read_registry, (IDENTITY, TITLE, ACCIDENT))
"""Vehicles of the French register with their operations, anonymised."""


def make_report(subject: Subject | None) -> Format:
    """The report that HistoVec hands to a holder; `subject` says which vehicle it is where its VIN is masked."""
    return Format(partial(read_reports, subject=subject), (IDENTITY, TITLE, ACCIDENT, INSPECTION))


def make_dvsa(subject: Subject | None, opens_as: str | None) -> Format:
    """Test records and MOT histories of the DVSA."""
    return Format(partial(read_tests, subject=subject), (IDENTITY, INSPECTION), opens_as)


def make_rdw(subject: Subject | None, opens_as: str | None) -> Format:
    """Open data of the RDW: vehicles, fuels, recalls."""
    kinds = (IDENTITY, JUDGEMENT, TITLE, "vehicle.procedure/1", "vehicle.recall/1")
    return Format(partial(read_vehicles, subject=subject), kinds, opens_as)


def make_vpic(manufacturers: Manufacturers | None) -> Format:
    """Answers of vPIC on VINs, and the manufacturer that a list names for them."""
    return Format(partial(read_answers, manufacturers=manufacturers), (IDENTITY, "vehicle.manufacture/1"))


def make_mapped(mapping: Mapping, opens_as: str | None, table: Table | None = None, mends: Mends = UNMENDED) -> Format:
    """A text or JSON file, or a table that is open already, by a mapping document, with the cells that were mended."""
    if table is not None:
        return Format(lambda chunks, now: read_table(table.rows(), mapping, now, mends), (mapping.kind,), opens_as)
    return Format(lambda chunks, now: read_mapped(chunks, mapping, now, mends), (mapping.kind,), opens_as)


def load_mapping(path: Path) -> Mapping:
    """Read a mapping document. Raises OSError, and Refused as `read_json` and `read_mapping` do, naming the file."""
    try:
        return read_mapping(read_json(_read_small(path)))
    except Refused as refused:
        refused.message = f"{path.name}: {refused.message}"
        refused.facts["file"] = str(path)
        raise


def write_mapping(mapping: Mapping, path: Path, *, is_forced: bool) -> None:
    """Write a mapping document to be edited. Raises OSError, and Refused(FILE_EXISTS) unless it is forced."""
    data = (json.dumps(mapping.to_json(), ensure_ascii=False, indent=2) + "\n").encode()
    if is_forced:
        write_whole(path, data)
        return
    try:
        with path.open("xb") as out:
            out.write(data)
    except FileExistsError:
        saying = f"{path} exists, and may have been edited: name another file, or say --force"
        raise Refused(Reason.FILE_EXISTS, saying, file=str(path)) from None


def load_manufacturers(path: Path) -> tuple[Manufacturers, list[Fault]]:
    """Read a list of manufacturers by the first characters of a VIN, and what of it could not be read. Raises OSError,
    Refused as `read_manufacturers`."""
    return read_manufacturers(_read_small(path))


def _read_small(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(MAX_SMALL_FILE_BYTES + 1)
    if len(data) > MAX_SMALL_FILE_BYTES:
        saying = f"{path.name} has more than {MAX_SMALL_FILE_BYTES:,} bytes: it cannot be what is asked for"
        raise Refused(Reason.UNREADABLE_FILE, saying, file=str(path))
    return data
