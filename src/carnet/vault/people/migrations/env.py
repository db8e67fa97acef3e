"""How Alembic meets the store of people: over the connection it is given, in one transaction, with a version of its
own, so that both stores may share a database.
"""

from __future__ import annotations

from contextlib import suppress

from alembic import context
from sqlalchemy.exc import SQLAlchemyError

from carnet.vault.people.tables import people

UPGRADE_LOCK = 0x70656F_706C65
"""An advisory lock of PostgreSQL; the letters of `people`."""


def run() -> None:
    """Apply the steps that are missing; killed midway, none of them has happened."""
    connection = context.config.attributes["connection"]
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.exec_driver_sql("BEGIN")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({UPGRADE_LOCK})")
    context.configure(
        connection=connection, target_metadata=people, transactional_ddl=False, version_table="people_version"
    )
    try:
        context.run_migrations()
    except BaseException:
        # The first error tells what went wrong: a connection that was lost has nothing to roll back.
        with suppress(SQLAlchemyError):
            connection.exec_driver_sql("ROLLBACK")
        raise
    connection.exec_driver_sql("COMMIT")


run()
