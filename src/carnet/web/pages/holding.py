"""The passports of the one who asks: opened through the reading door, for today."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime

from carnet.errors import Reason, Refused
from carnet.node.reader import Reader
from carnet.services.access import Holdings, NoHoldings, get_view
from carnet.services.entries import Entry
from carnet.services.names import Prefix, find_id
from carnet.services.principals import Principal
from carnet.services.vehicles import KeptVehicles, Vehicle
from carnet.web.desk import Desk


def get_holdings(desk: Desk) -> Holdings:
    """Who holds what, as the service of accounts says; nobody anything where there is none."""
    found: Holdings = desk.shelf.get("holdings") or NoHoldings()
    return found


def get_today(desk: Desk) -> date:
    """Today, in UTC."""
    return datetime.fromtimestamp(desk.clock() / 1000, UTC).date()


def open_held(desk: Desk, reader: Reader, principal: Principal, passport: bytes) -> Vehicle:
    """A vehicle that the caller holds. Raises Refused(UNKNOWN_PASSPORT) for any other, as if it did not exist."""
    kept: KeptVehicles = desk.shelf.setdefault("vehicles", KeptVehicles())
    return kept.open(reader, get_view(reader, get_holdings(desk), principal, passport), get_today(desk))


@contextmanager
def opening(desk: Desk, principal: Principal, name: str) -> Iterator[tuple[Reader, Vehicle]]:
    """The vehicle that an address names, with the reader that sees it."""
    passport = find_id(Prefix.PASSPORT, name)
    if passport is None:
        raise Refused(Reason.NOT_FOUND, "there is nothing at this address, or nothing that you may see")
    with desk.reading() as reader:
        yield reader, open_held(desk, reader, principal, passport)


def get_entry(vehicle: Vehicle, seq: int) -> Entry:
    """The entry at a place. Raises Refused(NOT_FOUND)."""
    entry = vehicle.get_entry(seq)
    if entry is None:
        raise Refused(Reason.NOT_FOUND, "this passport has no such entry")
    return entry
