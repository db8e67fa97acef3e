"""Inviting a member's customers from a list of theirs: for each vehicle that the member opened or serviced, a code with
which its owner claims the passport, and the link of the page to claim it on.

The list is read and given back; nothing of it is kept but the codes, each for a passport. Who the customers are stands
in it for the member alone: names and numbers of customers are neither stored nor logged. It refuses to know whether a
passport has a holder already, and so cannot tell the member. Source: rules.md §4; design: ADR 17.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, NamedTuple
from urllib.parse import urlencode

from carnet.errors import Reason, Refused
from carnet.formats.delimited import read_cells
from carnet.formats.guess import guess
from carnet.formats.guess_columns import Column, compute_column
from carnet.formats.mapping import write_cell
from carnet.formats.mapping_document import Delimited
from carnet.formats.table import name_columns
from carnet.formats.xlsx import read_sheet
from carnet.node.reader import Reader
from carnet.services.accounts.auditing import Action, record
from carnet.services.accounts.invitations import invite
from carnet.services.accounts.office import Office, name_caller
from carnet.services.accounts.registry import HOLDER
from carnet.services.appearance.looks import Look
from carnet.services.claims import VALID_MS, IssuedCode, issue_code
from carnet.services.console.writing import KnownPlates
from carnet.services.principals import Principal, Standing
from carnet.services.spreadsheets import write_csv
from carnet.types import ChainId, MemberId, Millis

MAX_BYTES: Final = 1_000_000
MAX_ROWS: Final = 300
"""What one page can show and print, and a member's daily codes allow several times."""

MAX_COLUMNS: Final = 50
_ADDED: Final = ("code", "link", "until", "outcome")
_UNKNOWN: Final = frozenset({Reason.UNKNOWN_PASSPORT, Reason.ERASED, Reason.NOT_ALIAS, Reason.SUBJECT_MISMATCH})


class Customers(NamedTuple):
    """A list as it was read: its columns, its rows of cells, and the place of the column that names the vehicle."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    vehicle: int

    @property
    def vehicles(self) -> list[str]:
        """The VINs or plates, row by row."""
        return [row[self.vehicle].strip() for row in self.rows]

    def label(self, row: int) -> str:
        """By which the member's people know a row again: its first other cell that says anything."""
        return next((cell for at, cell in enumerate(self.rows[row]) if at != self.vehicle and cell.strip()), "")


class Invited(NamedTuple):
    """What became of one vehicle: a code and the link to claim it with, or why there is none."""

    vehicle: str
    issued: IssuedCode | None
    link: str | None
    refused: Refused | None


def read_customers(data: bytes, now: Millis) -> Customers:
    """The list in a CSV of any encoding, or the first sheet of an XLSX. Only the column that holds VINs or plates is
    looked at.

    Raises Refused REQUEST_TOO_LARGE (more than 1 MB, 300 rows or 50 columns), UNREADABLE_FILE, MISSING_FIELD where no
    column names vehicles.
    """
    if len(data) > MAX_BYTES:
        raise Refused(Reason.REQUEST_TOO_LARGE, f"a list has at most {MAX_BYTES:,} bytes", field="file")
    columns, rows = _read_sheet(data) if data.startswith(b"PK") else _read_text(data, now)
    if len(rows) > MAX_ROWS or len(columns) > MAX_COLUMNS:
        saying = f"a list has at most {MAX_ROWS} rows and {MAX_COLUMNS} columns: send the rest in another one"
        raise Refused(Reason.REQUEST_TOO_LARGE, saying, field="file")
    looked = [compute_column(name, [row[at] for row in rows]) for at, name in enumerate(columns)]
    return Customers(tuple(columns), tuple(map(tuple, rows)), _find_vehicle(looked))


def invite_customers(
    office: Office,
    reader: Reader,
    principal: Principal,
    vehicles: Sequence[str],
    find: Callable[[str], ChainId],
    *,
    origin: str,
    look: Look | None = None,
    member: MemberId | None = None,
    valid_ms: Millis = VALID_MS,
) -> list[Invited]:
    """A code for each vehicle, in the caller's member's name (an operator names one); `find` finds a passport by VIN or
    plate. A vehicle that stands twice gets one code.

    Where the service makes accounts by invitation only, each link carries one, if the caller may invite. A row that is
    refused stops no other; of codes made before a limit was reached none is lost. Raises Refused NOT_PERMITTED and
    MEMBER_RETIRED alone.
    """
    done: dict[str, Invited] = {}
    for vehicle in vehicles:
        if vehicle not in done:
            done[vehicle] = _invite(office, reader, principal, vehicle, find, origin, look, member, valid_ms)
    made = sum(one.issued is not None for one in done.values())
    with office.people.note() as connection:
        why, whose = f"{made} of {len(done)}", member or principal.member
        record(connection, office, Action.CUSTOMERS_INVITED, name_caller(principal), member=whose, why=why)
    return [done[vehicle] for vehicle in vehicles]


def find_passport(plates: KnownPlates, reader: Reader, vehicle: str, day: str) -> ChainId:
    """The passport of a VIN, or of a plate that a vehicle has on this day (`yyyy-mm-dd`). Raises Refused
    UNKNOWN_PASSPORT, and as `KnownPlates.find_vehicle`."""
    found = reader.find_subject(plates.find_vehicle(reader, vehicle, day))
    if found is None:
        raise Refused(Reason.UNKNOWN_PASSPORT, "there is no such passport here")
    return found


def make_claim_link(origin: str, look: Look | None, vehicle: str, code: str, invitation: str | None = None) -> str:
    """The page to claim a vehicle on, under the member's look if it has one. What to type there stands in the fragment,
    which no server sees."""
    base = "" if look is None else f"/with/{look.public_id}"
    told = {"code": code, "vehicle": vehicle} | ({} if invitation is None else {"invitation": invitation})
    return f"{origin}{base}/vehicles/add#{urlencode(told)}"


def write_invited(
    customers: Customers, invited: Sequence[Invited], say: Callable[[Refused], str], tell: Callable[[Millis], str]
) -> Iterator[bytes]:
    """The member's own list with what became of each row, for its own mailing; no cell is a formula. `say` tells a
    refusal, `tell` a time."""

    def list_rows() -> Iterator[list[object]]:
        for row, one in zip(customers.rows, invited, strict=True):
            code = None if one.issued is None else one.issued.code
            until = None if one.issued is None else tell(one.issued.until)
            yield [*row, code, one.link, until, "made" if one.refused is None else say(one.refused)]

    return write_csv([*customers.columns, *_ADDED], list_rows())


def _invite(
    office: Office,
    reader: Reader,
    principal: Principal,
    vehicle: str,
    find: Callable[[str], ChainId],
    origin: str,
    look: Look | None,
    member: MemberId | None,
    valid_ms: Millis,
) -> Invited:
    try:
        if not vehicle:
            raise Refused(Reason.MISSING_FIELD, "this row names no vehicle")
        issued = issue_code(office, reader, principal, _find(find, vehicle), member=member, valid_ms=valid_ms)
    except Refused as refused:
        if refused.reason in (Reason.NOT_PERMITTED, Reason.MEMBER_RETIRED):
            raise
        return Invited(vehicle, None, None, refused)
    invitation = None
    if not office.is_open and principal.standing is not Standing.MACHINE:
        invitation = invite(office, principal, HOLDER, valid_ms=valid_ms).code
    return Invited(vehicle, issued, make_claim_link(origin, look, vehicle, issued.code, invitation), None)


def _find(find: Callable[[str], ChainId], vehicle: str) -> ChainId:
    """The passport; of none an id that no passport has, so that what exists and what does not are refused alike, and
    counted alike."""
    try:
        return find(vehicle)
    except Refused as refused:
        if refused.reason not in _UNKNOWN:
            raise
        return bytes(16)


def _find_vehicle(columns: Iterable[Column]) -> int:
    """The column that names the vehicle: VINs before plates, the surest first."""
    found = [(one.sort != "vin", -one.confidence, at) for at, one in enumerate(columns) if one.sort in ("vin", "plate")]
    if not found:
        saying = "no column of this list holds VINs or plates: it needs one"
        raise Refused(Reason.MISSING_FIELD, saying, field="file")
    return min(found)[2]


def _read_text(data: bytes, now: Millis) -> tuple[list[str], list[list[str]]]:
    looked = guess(data, "", now)
    if not isinstance(looked.reader, Delimited):
        raise Refused(Reason.UNREADABLE_FILE, f"this is no CSV and no XLSX: {looked.reasons[0]}", field="file")
    reader = looked.reader
    found = read_cells([data], encoding=reader.encoding, separator=reader.separator, quote=reader.quote)
    rows = []
    for row in islice(found, MAX_ROWS + 2):
        if row.refused is not None:
            raise Refused(
                Reason.UNREADABLE_FILE, f"line {row.line}: {row.refused.message}", field="file", line=row.line
            )
        rows.append(row.cells)
    columns = [column.name for column in looked.columns]
    body = rows[1:] if reader.header else rows
    width = len(columns)
    return columns, [(cells + [""] * width)[:width] for cells in body]


def _read_sheet(data: bytes) -> tuple[list[str], list[list[str]]]:
    rows = list(islice(name_columns(read_sheet(io.BytesIO(data))), MAX_ROWS + 1))
    if not rows:
        raise Refused(Reason.MISSING_FIELD, "there is no row in this sheet", field="file")
    columns = list(rows[0].values)
    return columns, [[str(write_cell(row.values[name]) or "") for name in columns] for row in rows]
