"""In a file, chains are found by an index of their own, of which a new chain changes fewer pages (`vault.names`).

The table of chains is written anew without its two unique indexes: this takes as much room as it has, once more. A
server keeps them, and this step leaves it as it is.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make both tables of names, and fill the large one."""
    if op.get_bind().dialect.name != "sqlite":
        return
    op.create_table(
        "unindexed_chain",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("chain16", sa.BLOB(), nullable=False),
        sa.Column("type", sa.Integer(), nullable=False),
        sa.Column("home", sa.BLOB(), nullable=True),
        sa.Column("blind", sa.BLOB(), nullable=True),
        sa.Column("subject", sa.BLOB(), nullable=True),
        sa.Column("closed", sa.Integer(), nullable=False),
        sa.Column("head_seq", sa.Integer(), nullable=False),
        sa.Column("head_epoch", sa.Integer(), nullable=False),
        sa.Column("head_id", sa.BLOB(), nullable=False),
        sa.Column("head_seal", sa.Integer(), nullable=False),
        sa.Column("census_seq", sa.Integer(), nullable=True),
        sa.Column("census_epoch", sa.Integer(), nullable=True),
        sa.Column("census_id", sa.BLOB(), nullable=True),
        sa.CheckConstraint("type IN (1, 2)"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.execute("INSERT INTO unindexed_chain SELECT * FROM chain ORDER BY id")
    for table in ("chain_name", "new_chain_name"):
        op.create_table(
            table,
            sa.Column("is_blind", sa.Integer(), nullable=False),
            sa.Column("name", sa.BLOB(), nullable=False),
            sa.Column("chain", sa.Integer(), nullable=False),
            sa.PrimaryKeyConstraint("is_blind", "name", "chain"),
            sqlite_with_rowid=False,
        )
    # From one index into the other: nothing is sorted, and so nothing held in memory.
    op.execute("INSERT INTO chain_name SELECT 0, substr(chain16, 1, 8), id FROM chain ORDER BY chain16")
    op.execute(
        "INSERT INTO chain_name SELECT 1, substr(blind, 1, 8), id FROM chain WHERE blind IS NOT NULL ORDER BY blind"
    )
    # References to it are not checked meanwhile (`env`), and mean the new one as soon as it has the name.
    op.drop_table("chain")
    op.rename_table("unindexed_chain", "chain")
