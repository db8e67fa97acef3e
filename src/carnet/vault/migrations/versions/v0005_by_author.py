"""What one author has sealed is found without reading all entries: two indexes that grow at their end alone."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make them."""
    op.create_index("submission_by_author", "submission", ["author_key"])
    op.create_index("entry_by_submission", "entry", ["submission", "chain", "seq", "kind", "seal"])
