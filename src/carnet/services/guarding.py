"""The second filter of a store in PostgreSQL, as the node sets it up and tells about it.

It refuses to know what the policies say (`vault.guarding`).
"""

from __future__ import annotations

from contextlib import closing

from carnet.errors import Reason, Refused
from carnet.node.home import Home
from carnet.node.people import get_people_address
from carnet.services.findings import Found, find
from carnet.vault.guarding import Guard, find_guard, set_guard
from carnet.vault.people.store import open_people_store
from carnet.vault.store import PostgresError, open_address


def set_up_guard(home: Home) -> Guard | None:
    """Set the second filter up as far as the database lets this node, and say how far that is; None for a file, which
    has none. Raises Refused as `open_people_store`, and STORE_BUSY where others keep a table from being changed."""
    address = home.address
    if not isinstance(address, str):
        return None
    from carnet.vault.postgres import connect

    # The policies speak of tables of both stores.
    open_people_store(get_people_address(home)).close()
    with closing(connect(address, is_read_only=False)) as connection:
        try:
            return set_guard(connection)
        except PostgresError as error:
            raise Refused(
                Reason.STORE_BUSY,
                f"the database's policies on rows could not be brought up to date ({error}): end what else uses its"
                " tables, and start again",
                could_retry=True,
            ) from error


def check_guard(home: Home) -> Found | None:
    """Whether the database keeps rows from callers by itself; None for a file."""
    if not isinstance(home.address, str):
        return None
    with closing(open_address(home.address)) as store:
        guard = find_guard(store.connection)
    if guard.is_on:
        return find("rows.ok", role=guard.role)
    statements = guard.list_statements()
    if statements and not guard.may_make_roles:
        return find("rows.no_role", "warning", statements=" ".join(statements))
    return find("rows.off", "warning")
