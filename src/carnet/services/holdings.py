"""Who holds which passport: asked by `services.access` before anything of it is shown.

A change of holder that is sealed in the passport ends every holding from before it, whatever the store of people says:
no right survives a sale. It refuses to know how somebody came to hold a passport (`claims`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from carnet.services.accounts.auditing import Action, record
from carnet.services.accounts.office import Office, name_id
from carnet.types import ChainId, Millis
from carnet.vault.store import Connection


class Holding(NamedTuple):
    """A passport in somebody's hand: since when (ms), and how many changes of holder it had then."""

    chain: ChainId
    epoch: int
    account: bytes
    since: Millis


class Holdings:
    """The present holders, as the store of people says. For any thread."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def find_holder(self, chain16: ChainId, epoch: int | None = None) -> str | None:
        """The account that holds a passport, None where nobody does. With the passport's `epoch` a holding from before
        the latest change of holder counts no more, and is ended."""
        with self._office.people.look_up() as connection:
            found = find_holding(connection, chain16)
        if found is not None and epoch is not None and found.epoch < epoch:
            end_outdated(self._office, chain16, epoch)
            return None
        return None if found is None else name_id("acc", found.account)

    def list_held(self, account: str) -> Sequence[ChainId]:
        """The passports that an account holds, in the order in which it got them."""
        query = "SELECT chain FROM holding WHERE account = ? AND until_ms IS NULL ORDER BY since_ms, id"
        with self._office.people.read() as connection:
            rows = connection.execute(query, (bytes.fromhex(account.removeprefix("acc_")),)).fetchall()
        return [bytes(row[0]) for row in rows]


def find_holding(connection: Connection, chain: ChainId) -> Holding | None:
    """Who holds a passport now."""
    query = "SELECT chain, epoch, account, since_ms FROM holding WHERE chain = ? AND until_ms IS NULL"
    row = connection.execute(query, (chain,)).fetchone()
    return None if row is None else Holding(bytes(row[0]), row[1], bytes(row[2]), row[3])


def begin_holding(
    connection: Connection, office: Office, chain: ChainId, epoch: int, account: bytes, how: str
) -> Holding:
    """Let an account hold a passport from now on; whoever held it before does no more."""
    now = office.clock()
    end_holding(connection, office, chain)
    connection.execute(
        "INSERT INTO holding (id, chain, epoch, account, how, since_ms, until_ms) VALUES (?, ?, ?, ?, ?, ?, NULL)",
        (office.random_bytes(16), chain, epoch, account, how, now),
    )
    return Holding(chain, epoch, account, now)


def end_holding(connection: Connection, office: Office, chain: ChainId) -> None:
    """Nobody holds a passport from now on, and no code or contest from before is good any more."""
    now = office.clock()
    connection.execute("UPDATE holding SET until_ms = ? WHERE chain = ? AND until_ms IS NULL", (now, chain))
    connection.execute(
        "UPDATE contest SET state = 'dismissed', decided_ms = ? WHERE chain = ? AND decided_ms IS NULL", (now, chain)
    )


def end_outdated(office: Office, chain: ChainId, epoch: int) -> bool:
    """End a holding from before the latest change of holder; whether there was one."""
    with office.people.write() as connection:
        found = find_holding(connection, chain)
        if found is None or found.epoch >= epoch:
            return False
        end_holding(connection, office, chain)
        about = name_id("pas", chain)
        record(connection, office, Action.HOLDING_ENDED, "node", about=about, why=f"epoch {epoch}")
    return True
