"""`carnet import`: a file of the field, certified; one verb for each format, all with the same options and summary.

It refuses to know how a format is read.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from carnet.cli.group import TeachingGroup
from carnet.cli.importing_guess import guess
from carnet.cli.importing_run import EXIT_CODES, Order, run_import, with_order
from carnet.cli.remote import Sent, import_remote
from carnet.cli.session import Session

if TYPE_CHECKING:
    from carnet.types import Subject

_about = click.option("--subject", metavar="SUBJECT", help="Which vehicle all of it is about: a VIN, or scheme:value.")


@click.group(
    "import",
    cls=TeachingGroup,
    examples=(
        ("Certify the inspections of a HistoVec file", "carnet import histovec odometer_histories.jsonl"),
        ("Look for faulty rows first", "carnet import histovec FILE --validate-only --faults faults.ndjson"),
        ("Have an unknown file looked at, and its columns explained", "carnet import guess FILE -o mapping.json"),
        ("Certify it as the mapping says", "carnet import file FILE --map mapping.json"),
    ),
)
def import_() -> None:
    """Certify a file of the field, row by row.

    A row that is sealed already is a duplicate, so an import that was interrupted goes on when it is run again. A bad
    row never loses a good one: --faulty FILE copies the bad ones into a file that can be mended and imported alone.
    """


import_.add_command(guess)


@import_.command(
    epilog=EXIT_CODES,
    examples=(
        (
            "Certify a file; run it again whenever you like, nothing is sealed twice",
            "carnet import histovec odometer_histories.jsonl",
        ),
        (
            "Look for faulty rows and write nothing else",
            "carnet import histovec FILE --validate-only --faults faults.ndjson",
        ),
        ("Have the faulty rows in a file, mend it, import it alone", "carnet import histovec FILE --faulty mend.jsonl"),
        ("From a packed stream, for a program", "cat FILE.gz | carnet import histovec - --json"),
        ("Keep a receipt of each row", "carnet import histovec FILE --receipts receipts.ndjson"),
    ),
)
@with_order
@click.pass_obj
def histovec(session: Session, /, **given: Any) -> int:
    """Certify the roadworthiness inspections of a HistoVec file (NDJSON, plain or packed with gzip; - is standard
    input).

    One inspection is one row and one entry, reported (basis 3) by the node's operator. A row that is sealed already
    is a duplicate: an import that was interrupted goes on when it is run again. On an empty home the node is made
    first.
    """
    if session.server is not None:
        return import_remote(session, Order(**given), Sent("histovec"))
    from carnet.services.importing import HISTOVEC

    return run_import(session, Order(**given), HISTOVEC)


@import_.command(
    epilog=EXIT_CODES,
    examples=(
        ("Certify vehicles of the French register with all their operations", "carnet import registry registry.jsonl"),
        ("Look for faulty rows and seal nothing", "carnet import registry registry.jsonl --validate-only"),
    ),
)
@with_order
@click.pass_obj
def registry(session: Session, /, **given: Any) -> int:
    """Certify vehicles of the French register, anonymised by HistoVec, with their operations (NDJSON).

    Each vehicle is several rows: its identity, each operation (sale, lien, opposition, plate …), each damage procedure,
    and what its situation tells that no operation has told.
    """
    if session.server is not None:
        return import_remote(session, Order(**given), Sent("registry"))
    from carnet.services.importers import REGISTRY

    return run_import(session, Order(**given), REGISTRY)


@import_.command(
    epilog=EXIT_CODES,
    examples=(
        (
            "A report whose VIN is masked: say whose it is",
            "carnet import report report.json --subject VF1BB05CF26010203",
        ),
        ("A report that shows its VIN", "carnet import report report.json"),
    ),
)
@_about
@with_order
@click.pass_obj
def report(session: Session, /, subject: str | None, **given: Any) -> int:
    """Certify the report that HistoVec hands to a holder, as JSON: identity, operations, inspections.

    A report that is passed on has its VIN masked: then --subject says which vehicle it is. Name and address of the
    holder are not read.
    """
    if session.server is not None:
        return import_remote(session, Order(**given), Sent("report", subject=subject))
    from carnet.services.importers import make_report

    format_ = make_report(_find_subject(subject))
    return run_import(session, Order(**given), format_)


@import_.command(
    epilog=EXIT_CODES,
    examples=(
        ("Certify test records of lorries and buses", "carnet import dvsa test-results.json"),
        ("The MOT history of one car whose VIN you know", "carnet import dvsa mot.json --subject VF1BB05CF26010203"),
        ("MOT histories under a scheme of the file's own", "carnet import dvsa mot.json --open-as mot"),
    ),
)
@_about
@click.option(
    "--open-as", metavar="SCHEME", help="Open a passport under this scheme for a mark that no passport knows."
)
@with_order
@click.pass_obj
def dvsa(session: Session, /, subject: str | None, open_as: str | None, **given: Any) -> int:
    """Certify tests of the DVSA (Great Britain), with defects and readings in miles or kilometres as read (JSON).

    Reads records of lorries, buses and trailers, and MOT histories of cars. A car that shows only its mark goes to the
    passport that has the mark on the day of the test; a mark opens none, unless --open-as names a scheme for it. A
    record whose VIN and mark contradict what the passport knows is faulty.
    """
    if session.server is not None:
        return import_remote(session, Order(**given), Sent("dvsa", subject=subject), is_whole=open_as is not None)
    from carnet.services.importers import make_dvsa

    format_ = make_dvsa(_find_subject(subject), _check_scheme(open_as))
    return run_import(session, Order(**given), format_)


@import_.command(
    epilog=EXIT_CODES,
    examples=(
        ("Certify records of the Dutch register", "carnet import rdw vehicles.json"),
        ("Those of one vehicle whose VIN you know", "carnet import rdw 11ZKZ3.json --subject VF1BB05CF26010203"),
    ),
)
@_about
@click.option(
    "--open-as",
    metavar="SCHEME",
    default="rdw",
    show_default=True,
    help="The scheme under which a Dutch number that no passport knows opens one.",
)
@with_order
@click.pass_obj
def rdw(session: Session, /, subject: str | None, open_as: str, **given: Any) -> int:
    """Certify open data of the RDW (Netherlands): vehicles with the judgement of their odometer, fuels, recalls (JSON).

    A Dutch number belongs to the vehicle: one that no passport here knows opens a passport of its own, rdw:11-ZKZ-3.
    The register publishes no reading, so none is written.
    """
    if session.server is not None:
        return import_remote(session, Order(**given), Sent("rdw", subject=subject), is_whole=open_as != "rdw")
    from carnet.services.importers import make_rdw

    format_ = make_rdw(_find_subject(subject), _check_scheme(open_as))
    return run_import(session, Order(**given), format_)


@import_.command(
    epilog=EXIT_CODES,
    examples=(
        ("Certify what vPIC answered for a VIN", "carnet import vpic answer.json"),
        ("Name the manufacturer too, by a list of identifiers", "carnet import vpic answers.ndjson --wmi wmi.json"),
    ),
)
@click.option(
    "--wmi",
    type=click.Path(path_type=Path),
    metavar="LIST",
    help="Manufacturers by the first characters of a VIN: a JSON object, or lines ABC,name.",
)
@with_order
@click.pass_obj
def vpic(session: Session, /, wmi: Path | None, **given: Any) -> int:
    """Certify decoded VINs as the vPIC interface of the NHTSA answers them: identity, plant, model year (JSON).

    An answer that vPIC does not vouch for (an error code other than 0) is a faulty row. With --wmi the manufacturer
    that the list names for the VIN stands beside, as a note.
    """
    if session.server is not None:
        return import_remote(session, Order(**given), Sent("vpic"), is_whole=wmi is not None)
    from carnet.services.importers import load_manufacturers, make_vpic

    manufacturers = None
    if wmi is not None:
        manufacturers, faults = load_manufacturers(wmi)
        for fault in faults[:3]:
            click.echo(f"Not read in {wmi}, line {fault.line}: {fault.message}", err=True)
        if len(faults) > 3:
            click.echo(f"… and {len(faults) - 3:,} more of that list.", err=True)
    return run_import(session, Order(**given), make_vpic(manufacturers))


@import_.command(
    epilog=EXIT_CODES,
    examples=(
        ("Have a mapping proposed, read it, mend it", "carnet import guess workshop.csv -o mapping.json"),
        (
            "Look at every row as it would be understood",
            "carnet import file workshop.csv --map mapping.json --validate-only",
        ),
        ("Certify the file", "carnet import file workshop.csv --map mapping.json"),
        ("Mend what was faulty, and import that alone", "carnet import file mend.csv --map mapping.json"),
    ),
)
@click.option(
    "--map", "mapping", type=click.Path(path_type=Path), metavar="MAPPING", help="The mapping document (required)."
)
@click.option(
    "--open-as", metavar="SCHEME", help="Open a passport under this scheme for a plate that no passport knows."
)
@with_order
@click.pass_obj
def file(session: Session, /, mapping: Path | None, open_as: str | None, **given: Any) -> int:
    """Certify any table, as a mapping document says: CSV, NDJSON, a JSON array (plain or packed with gzip), Parquet,
    XLSX.

    The mapping says which column becomes which field of which kind of entry; `carnet import guess` proposes one.
    Each row is one entry.
    """
    if mapping is None:
        saying = f"carnet import guess {shlex.quote(str(given['file']))} -o mapping.json"
        raise click.UsageError(f"Missing option '--map'. To have a mapping proposed: {saying}")
    if session.server is not None:
        from carnet.formats.documents import read_json
        from carnet.formats.mapping_document import read_mapping

        read = read_mapping(read_json(mapping.read_bytes()))
        sent = Sent("mapping", mapping=read.to_json())
        return import_remote(session, Order(**given), sent, is_whole=open_as is not None)
    from carnet.services.importers import load_mapping, make_mapped
    from carnet.services.tables import Table, open_mapped

    order, document, scheme = Order(**given), load_mapping(mapping), _check_scheme(open_as)
    opened = open_mapped(order.path, document)
    table = opened if isinstance(opened, Table) else None
    return run_import(session, order, make_mapped(document, scheme, table), opened)


def _find_subject(text: str | None) -> Subject | None:
    from carnet.passport.subject import parse_subject

    return None if text is None else parse_subject(text)


def _check_scheme(name: str | None) -> str | None:
    from carnet.errors import Reason, Refused
    from carnet.types import SCHEME, show

    if name is not None and (SCHEME.fullmatch(name) is None or name in ("vin", "plate", "histovec")):
        saying = f"{show(name)} is no scheme of a file's own: small letters, digits and _, and none that is taken"
        raise Refused(Reason.VALUE_OUT_OF_RANGE, saying, field="open-as")
    return name


VERBS: dict[str, click.Command] = {"import": import_}
