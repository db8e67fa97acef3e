"""How Alembic meets the store: over the connection it is given, in one transaction, and never by a URL of its own."""

from __future__ import annotations

from contextlib import suppress

from alembic import context
from sqlalchemy.exc import SQLAlchemyError

from carnet.vault.tables import metadata

UPGRADE_LOCK = 0x636172_6E6574
"""An advisory lock of PostgreSQL; the letters of our name."""


def run() -> None:
    """Apply the steps that are missing; killed midway, none of them has happened."""
    connection = context.config.attributes["connection"]
    # The driver is in autocommit, so that DDL is transactional only if the transaction is said.
    is_file = connection.dialect.name == "sqlite"
    if is_file:
        # A table that others refer to is written anew only so; within a transaction it cannot be said.
        connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.exec_driver_sql("BEGIN")
        # One upgrade at a time; whoever waited finds it done.
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({UPGRADE_LOCK})")
    context.configure(connection=connection, target_metadata=metadata, transactional_ddl=False)
    try:
        context.run_migrations()
    except BaseException:
        # The first error tells what went wrong: a connection that was lost has nothing to roll back.
        with suppress(SQLAlchemyError):
            connection.exec_driver_sql("ROLLBACK")
        raise
    connection.exec_driver_sql("COMMIT")
    if is_file:
        connection.exec_driver_sql("PRAGMA foreign_keys = ON")


run()
