"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make every table."""
    op.create_table(
        "author_key",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("member", sa.BLOB(), nullable=False),
        sa.Column("digest", sa.BLOB(), nullable=False),
        sa.Column("public", sa.BLOB(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("digest"),
    )
    op.create_table(
        "chain",
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
        sa.UniqueConstraint("blind"),
        sa.UniqueConstraint("chain16"),
    )
    op.create_table(
        "checkpoint",
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("note", sa.BLOB(), nullable=False),
        sa.PrimaryKeyConstraint("size"),
    )
    op.create_table(
        "entry",
        sa.Column("chain", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Integer(), nullable=False),
        sa.Column("basis", sa.Integer(), nullable=False),
        sa.Column("class", sa.Integer(), nullable=False),
        sa.Column("mark", sa.Integer(), nullable=False),
        sa.Column("target", sa.BLOB(), nullable=True),
        sa.Column("sid", sa.BLOB(), nullable=False),
        sa.Column("submission", sa.Integer(), nullable=False),
        sa.Column("sub_index", sa.Integer(), nullable=False),
        sa.Column("seal", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("location", sa.Integer(), nullable=False),
        sa.Column("secret", sa.BLOB(), nullable=True),
        sa.Column("content", sa.BLOB(), nullable=True),
        sa.CheckConstraint("location = 0 OR (location = 1 AND content IS NULL)"),
        sa.PrimaryKeyConstraint("chain", "seq"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "log_node",
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("idx", sa.Integer(), nullable=False),
        sa.Column("hash", sa.BLOB(), nullable=False),
        sa.PrimaryKeyConstraint("level", "idx"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "log_record",
        sa.Column("idx", sa.Integer(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("leaf", sa.BLOB(), nullable=False),
        sa.PrimaryKeyConstraint("idx"),
    )
    op.create_index(
        "log_record_by_type", "log_record", ["type", "idx"], unique=False, sqlite_where=sa.text("type != 'seal'")
    )
    op.create_table(
        "meta",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_table(
        "schema",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("document", sa.BLOB(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("kind"),
    )
    op.create_table(
        "source_row",
        sa.Column("chain", sa.Integer(), nullable=False),
        sa.Column("digest", sa.BLOB(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("chain", "digest"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "member_leaf",
        sa.Column("member", sa.Integer(), nullable=False),
        sa.Column("since", sa.Integer(), nullable=False),
        sa.Column("leaf", sa.BLOB(), nullable=False),
        sa.ForeignKeyConstraint(
            ["since"],
            ["log_record.idx"],
        ),
        sa.PrimaryKeyConstraint("member", "since"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "passport_key",
        sa.Column("chain", sa.Integer(), nullable=False),
        sa.Column("wrapped", sa.BLOB(), nullable=False),
        sa.ForeignKeyConstraint(
            ["chain"],
            ["chain.id"],
        ),
        sa.PrimaryKeyConstraint("chain"),
    )
    op.create_table(
        "rules_line",
        sa.Column("record", sa.Integer(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.BLOB(), nullable=False),
        sa.ForeignKeyConstraint(
            ["record"],
            ["log_record.idx"],
        ),
        sa.PrimaryKeyConstraint("record", "line"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "seal",
        sa.Column("idx", sa.Integer(), nullable=False),
        sa.Column("class", sa.Integer(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("leaves", sa.BLOB(), nullable=False),
        sa.ForeignKeyConstraint(
            ["idx"],
            ["log_record.idx"],
        ),
        sa.PrimaryKeyConstraint("idx"),
    )
    op.create_table(
        "submission",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("author_key", sa.Integer(), nullable=False),
        sa.Column("created_ms", sa.Integer(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("root", sa.BLOB(), nullable=False),
        sa.Column("sig", sa.BLOB(), nullable=False),
        sa.Column("leaves", sa.BLOB(), nullable=True),
        sa.ForeignKeyConstraint(
            ["author_key"],
            ["author_key.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    _make_erasures()


def _make_erasures() -> None:
    op.create_table(
        "erasure",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("chain16", sa.BLOB(), nullable=False),
        sa.Column("document", sa.BLOB(), nullable=False),
        sa.Column("sig", sa.BLOB(), nullable=False),
        sa.Column("cleared", sa.Integer(), nullable=False),
        sa.CheckConstraint("cleared IN (0, 1)"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("erasure_by_chain", "erasure", ["chain16"], unique=False)
    op.create_table(
        "erased_entry",
        sa.Column("chain", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("erasure", sa.Integer(), nullable=False),
        sa.Column("fields_root", sa.BLOB(), nullable=False),
        sa.ForeignKeyConstraint(["erasure"], ["erasure.id"]),
        sa.PrimaryKeyConstraint("chain", "seq"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "erased_link",
        sa.Column("seal", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("erasure", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["erasure"], ["erasure.id"]),
        sa.PrimaryKeyConstraint("seal", "position"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "tombstone",
        sa.Column("digest", sa.BLOB(), nullable=False),
        sa.Column("erasure", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["erasure"], ["erasure.id"]),
        sa.PrimaryKeyConstraint("digest"),
        sqlite_with_rowid=False,
    )
