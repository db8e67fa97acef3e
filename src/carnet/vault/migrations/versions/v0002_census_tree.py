"""The census tree in pieces, and the chains that changed since it was made.

Until the next census of an upgraded store there are no pieces, and every chain counts as changed.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make both tables."""
    op.create_table(
        "census_piece",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("content", sa.BLOB(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "census_changed",
        sa.Column("chain", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["chain"], ["chain.id"]),
        sa.PrimaryKeyConstraint("chain"),
    )
    op.execute("INSERT INTO census_changed SELECT id FROM chain")
