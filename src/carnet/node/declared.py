"""All the aliases of a store, looked for through the whole of it: there is no index of plates, which would say whose
they were."""

from __future__ import annotations

from carnet.ledger.state import State
from carnet.node.aliases import Declaration
from carnet.node.jobs import IDENTITY
from carnet.node.keyring import KeyRing
from carnet.node.lookup import Kinds, get_chain_by_number
from carnet.node.placing import Placing
from carnet.types import Subject
from carnet.vault.store import Connection

_QUERY = "SELECT DISTINCT chain FROM entry WHERE kind = ? AND basis IN (1, 2) AND content IS NOT NULL"


def read_aliases(
    connection: Connection, ring: KeyRing, kinds: Kinds, state: State, node: bytes
) -> list[tuple[Subject, Declaration]]:
    """Every alias that an author signed for, with the subject of its passport."""
    found: list[tuple[Subject, Declaration]] = []
    placing = Placing(connection, ring, kinds, state, node, state.at, 0, 0, {})
    for (number,) in connection.execute(_QUERY, (kinds.id_of.get(IDENTITY, 0),)).fetchall():
        chain = get_chain_by_number(connection, ring, number)
        # A passport's own subject has no country: it is never a plate.
        subject = Subject(str(chain.subject["scheme"]), str(chain.subject["value"]))
        found += [(subject, each) for each in placing.read_declarations(number) if each.alias is not None]
    return found
