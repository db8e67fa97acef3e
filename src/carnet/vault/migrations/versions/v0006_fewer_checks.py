"""On a server, a new passport costs less: the rows that go with it are not looked up, and those that change have room.

PostgreSQL looks each reference to `chain` up by a question of its own and locks the row that it finds: twice for each
passport, a third of all its time for new ones. One transaction of one writer writes all three rows, and `fsck` looks.
A chain's row changes with its head: where its page has room, no index learns of it. A file has neither cost, and stays.
"""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change what the server checks and keeps free; no row is touched."""
    if op.get_bind().dialect.name != "postgresql":
        return
    for table in ("census_changed", "passport_key"):
        op.drop_constraint(f"{table}_chain_fkey", table, type_="foreignkey")
    op.execute("ALTER TABLE chain SET (fillfactor = 50)")
