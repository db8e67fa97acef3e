"""A member's customers invited from a list, at the node or through a service; with a bar while it goes on.

It refuses to know what is in the list beside the vehicles.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from carnet.cli.session import Session
from carnet.errors import Reason, Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from carnet.node.reader import Reader
    from carnet.services.customer_lists import Customers, Given

REMOTE_PART = 100
"""Vehicles that the API takes at once."""


def invite_here(
    session: Session, customers: Customers, which: str, valid_ms: int, origin: str | None, passphrase_file: str | None
) -> Iterator[Given]:
    """What each row is given, made at the node by whoever runs it."""
    from carnet.services.accounts.office import office_at
    from carnet.services.appearance.looks import find_look
    from carnet.services.customers import give, iterate_invited
    from carnet.services.founding import find_member
    from carnet.services.principals import Principal, Standing
    from carnet.services.reading import get_passport
    from carnet.services.settings import find_settings
    from carnet.services.timelines import format_time

    settings = find_settings({} if origin is None else {"origin": origin}, os.environ)
    with office_at(session.home, session.find_passphrase(passphrase_file)) as (office, reader):
        member = find_member(reader.state.members.all, which)

        @contextmanager
        def reading() -> Iterator[Reader]:
            reader.refresh_if_changed()
            yield reader

        invited = iterate_invited(
            office,
            reading,
            Principal(Standing.OPERATOR),
            customers.vehicles,
            get_passport,
            origin=settings.public_address,
            look=find_look(office.people, reader.state, member.id),
            member=member.id,
            valid_ms=valid_ms,
        )
        yield from map(partial(give, say=lambda refused: refused.message, tell=format_time), invited)


def invite_there(session: Session, customers: Customers) -> Iterator[Given]:
    """The same through a service, a hundred at a time, in the name of the member whose key it is."""
    from carnet.cli.remote import reaching
    from carnet.services.customer_lists import Given

    vehicles = customers.vehicles
    with reaching(session, None) as client:
        for at in range(0, len(vehicles), REMOTE_PART):
            part = vehicles[at : at + REMOTE_PART]
            named = [vehicle for vehicle in part if vehicle]
            told = iter(client.desk.invite(named) if named else [])
            for vehicle in part:
                if not vehicle:
                    yield Given(None, None, None, "missing_field")
                    continue
                one = next(told)
                yield Given(one.code, one.link, one.valid_until, one.refused or "made")


class Begun:
    """What each row is given, of which the first may be asked for ahead."""

    def __init__(self, making: Iterator[Given]) -> None:
        self._making = making
        self._ahead: list[Given] = []

    def begin(self) -> None:
        """Make the first, if there is any: whatever refuses the whole list is raised here."""
        self._ahead += islice(self._making, 1)

    def __iter__(self) -> Begun:
        return self

    def __next__(self) -> Given:
        return self._ahead.pop() if self._ahead else next(self._making)


@contextmanager
def open_codes(output: Path, source: Path, making: Begun, *, force: bool) -> Iterator[IO[bytes]]:
    """The file for the list with its codes, for its owner alone, since each code makes a holder; emptied only once the
    first is made. Raises OSError, and Refused(FILE_EXISTS) for the list itself, and for any other without `force`: it
    may hold codes that are shown nowhere else."""
    if output.exists() and output.samefile(source):
        raise Refused(Reason.FILE_EXISTS, f"{output} is the list itself: name another file", file=str(output))
    is_new = not output.exists()
    if output.is_file() and not force:
        saying = f"{output} exists already, with codes in it maybe: choose another name, or say --force"
        raise Refused(Reason.FILE_EXISTS, saying, file=str(output))
    with os.fdopen(os.open(output, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as out:
        try:
            making.begin()
        except BaseException:
            if is_new:
                output.unlink()
            raise
        if output.is_file():
            out.truncate()
        yield out


@contextmanager
def counting(total: int, *, is_quiet: bool) -> Iterator[Callable[[], None]]:
    """A bar that goes on by one at each call, on a terminal; nothing where nobody looks."""
    import sys

    if is_quiet or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("codes"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("codes", total=total)
        yield lambda: bar.advance(task)


def check_sides(session: Session, which: str | None, origin: str | None) -> None:
    """Raise UsageError where a member is named to a service, whose key says it, or none at the node."""
    if session.server is not None and (which is not None or origin is not None):
        raise click.UsageError(
            "With --server the key says whose customers they are, and the service names its address."
        )
    if session.server is None and which is None:
        raise click.UsageError("Say --member: whose customers they are.")
