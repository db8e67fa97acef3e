"""A holder's own passport in a member's own app: a token that opens one vehicle, in frames of one origin, for a while.

The holder grants it on a page of ours; it is handed from there to the frame, which is a page of ours too, and the
member's page around the frame never has it. What it opens is what the holder may see when it is used, asked through the
one reading door: it dies with a sale, with the account, with the member's look. It opens nothing for writing. It
refuses to know cookies. Design: ADR 17; security 9, 12, 31.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Final, NamedTuple

from carnet.errors import Reason, Refused
from carnet.node.reader import Reader
from carnet.services.access import Holdings, View, get_view, refuse_unknown
from carnet.services.accounts.auditing import Action, record
from carnet.services.accounts.office import HOUR_MS, Office, get_account, is_token, name_id, read_id
from carnet.services.accounts.registry import find_account
from carnet.services.appearance.looks import Look
from carnet.services.asking import asking_as
from carnet.services.journaling import Access
from carnet.services.names import Prefix, format_name
from carnet.services.principals import Principal, Standing
from carnet.types import ChainId, MemberId, Millis

VALID_MS: Final = 12 * HOUR_MS
MAX_VIEWS: Final = 10
"""How many one holder has of one vehicle at a time; the oldest goes first."""

PREFIX: Final = "cv_"
_COLUMNS: Final = "id, chain, member, origin, created_ms, until_ms, used_ms"


class AppView(NamedTuple):
    """A vehicle that its holder lets be shown in frames of an origin; times are ms."""

    id: str
    passport: ChainId
    member: MemberId
    origin: str
    created_at: Millis
    until: Millis
    used_at: Millis | None


class Granted(NamedTuple):
    """A new view and its token, which is shown to the frame and to nobody else."""

    token: str
    view: AppView


class Used(NamedTuple):
    """A view in use: what it opens, for which origin and until when, and whether this is its first use."""

    view: View
    origin: str
    until: Millis
    is_first: bool

    def asking(self) -> AbstractContextManager[None]:
        """Within the block the database is asked for the holder, who has granted the view."""
        return asking_as(Principal(Standing.HOLDER, account=self.view.holder))

    def make_access(self, member: MemberId, entry_count: int) -> Access:
        """What the holder's journal says of it: in whose app the passport was shown."""
        purpose = f"shown to you in its app, {self.origin}"[:120]
        return Access(self.view.passport, self.view.epoch, member, "read", purpose, entry_count, ())


def grant_view(
    office: Office, reader: Reader, holdings: Holdings, principal: Principal, passport: ChainId, look: Look, origin: str
) -> Granted:
    """Let a vehicle that the caller holds be shown in frames of this origin of a member's, for twelve hours.

    Raises Refused UNKNOWN_PASSPORT for one that the caller does not hold, NOT_PERMITTED for an origin that the member
    has not registered.
    """
    view = get_view(reader, holdings, principal, passport)
    if principal.standing is not Standing.HOLDER or not view.is_whole:
        raise refuse_unknown(passport)
    if not look.may_frame(origin):
        raise Refused(Reason.NOT_PERMITTED, f"{look.name} has not registered this origin", origin=origin[:255])
    account, token = get_account(principal), office.make_token(PREFIX)
    id_, now = office.random_bytes(16), office.clock()
    with office.people.change() as connection:
        query = (
            "SELECT id FROM app_view WHERE account = ? AND chain = ? AND ended_ms IS NULL AND until_ms > ?"
            " ORDER BY created_ms DESC, id"
        )
        for (old,) in connection.execute(query, (account, passport, now)).fetchall()[MAX_VIEWS - 1 :]:
            connection.execute("UPDATE app_view SET ended_ms = ? WHERE id = ?", (now, bytes(old)))
        connection.execute(
            "INSERT INTO app_view (id, digest, account, chain, epoch, member, origin, created_ms, until_ms)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                id_, _digest(office, token), account, passport, view.epoch, look.member, origin, now, now + VALID_MS,
            ),
        )  # fmt: skip
        about = format_name(Prefix.PASSPORT, passport)
        who, why = name_id("acc", account), name_id("vie", id_)
        record(connection, office, Action.VIEW_GRANTED, who, about=about, member=look.member, why=why)
    shown = AppView(name_id("vie", id_), passport, look.member, origin, now, now + VALID_MS, None)
    return Granted(token, shown)


def use_view(
    office: Office, reader: Reader, holdings: Holdings, look: Look, passport: ChainId, token: str
) -> Used | None:
    """What a token opens now; None, alike, for one that never was, has run out or was ended, is of another vehicle or
    another member, whose origin the member has withdrawn, whose holder has sold the vehicle or ended the account."""
    if not is_token(token, PREFIX):
        return None
    query = (
        "SELECT id, account, chain, epoch, member, origin, until_ms, used_ms FROM app_view"
        " WHERE digest = ? AND ended_ms IS NULL AND until_ms > ?"
    )
    now = office.clock()
    with office.people.look_up() as connection:
        row = connection.execute(query, (_digest(office, token), now)).fetchone()
        if row is None or find_account(connection, bytes(row[1])) is None:
            return None
    id_, account, chain, epoch, member, origin, until, used = row
    if bytes(chain) != passport or bytes(member) != look.member or not look.may_frame(origin):
        return None
    try:
        holder = Principal(Standing.HOLDER, account=name_id("acc", bytes(account)))
        view = get_view(reader, holdings, holder, passport)
    except Refused:
        # Sold, given up, erased: the same as if it had never been granted.
        return None
    if not view.is_whole or view.epoch != epoch:
        return None
    with office.people.note() as connection:
        connection.execute("UPDATE app_view SET used_ms = ? WHERE id = ?", (now, bytes(id_)))
    return Used(view, origin, until, used is None)


def list_views(office: Office, principal: Principal, passport: ChainId) -> Sequence[AppView]:
    """The views of a vehicle that the caller has granted and that are in force, newest first."""
    query = (
        f"SELECT {_COLUMNS} FROM app_view WHERE account = ? AND chain = ? AND ended_ms IS NULL AND until_ms > ?"  # noqa: S608 - our own words
        " ORDER BY created_ms DESC, id"
    )
    with office.people.read() as connection:
        rows = connection.execute(query, (get_account(principal), passport, office.clock())).fetchall()
    return [AppView(name_id("vie", bytes(row[0])), bytes(row[1]), bytes(row[2]), *row[3:]) for row in rows]


def end_view(office: Office, principal: Principal, view: str) -> None:
    """End a view that the caller has granted, at once. Raises Refused(NOT_FOUND) if it is none of theirs."""
    account, wanted = get_account(principal), read_id("vie", view, Reason.NOT_FOUND)
    with office.people.change() as connection:
        query = "SELECT chain, member FROM app_view WHERE id = ? AND account = ? AND ended_ms IS NULL"
        row = connection.execute(query, (wanted, account)).fetchone()
        if row is None:
            raise Refused(Reason.NOT_FOUND, "there is no such view, or it has ended already")
        connection.execute("UPDATE app_view SET ended_ms = ? WHERE id = ?", (office.clock(), wanted))
        about = format_name(Prefix.PASSPORT, bytes(row[0]))
        who = name_id("acc", account)
        record(connection, office, Action.VIEW_ENDED, who, about=about, member=bytes(row[1]), why=view)


def _digest(office: Office, token: str) -> bytes:
    return office.digest("app view", token.encode("ascii", "replace"))
