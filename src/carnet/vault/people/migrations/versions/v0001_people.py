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
        "access_token",
        sa.Column("digest", sa.BLOB(), nullable=False),
        sa.Column("client", sa.BLOB(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.Integer(), nullable=False),
        sa.Column("until_ms", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index("access_token_by_client", "access_token", ["client"])
    op.create_table(
        "account",
        sa.Column("id", sa.BLOB(), nullable=False),
        sa.Column("standing", sa.Text(), nullable=False),
        sa.Column("member", sa.BLOB(), nullable=True),
        sa.Column("role", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("handle", sa.BLOB(), nullable=False),
        sa.Column("is_demo", sa.Integer(), nullable=False),
        sa.Column("created_ms", sa.Integer(), nullable=False),
        sa.Column("ended_ms", sa.Integer(), nullable=True),
        sa.CheckConstraint("is_demo IN (0, 1)"),
        sa.CheckConstraint("standing IN ('holder', 'staff', 'operator')"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "api_key",
        sa.Column("digest", sa.BLOB(), nullable=False),
        sa.Column("client", sa.BLOB(), nullable=False),
        sa.Column("hint", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.Integer(), nullable=False),
        sa.Column("until_ms", sa.Integer(), nullable=True),
        sa.Column("used_ms", sa.Integer(), nullable=True),
        sa.Column("revoked_ms", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index("api_key_by_client", "api_key", ["client"])
    op.create_table(
        "ceremony",
        sa.Column("digest", sa.BLOB(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("account", sa.BLOB(), nullable=True),
        sa.Column("invitation", sa.BLOB(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("until_ms", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_table(
        "claim_code",
        sa.Column("digest", sa.BLOB(), nullable=False),
        sa.Column("id", sa.BLOB(), nullable=False),
        sa.Column("chain", sa.BLOB(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("member", sa.BLOB(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.Integer(), nullable=False),
        sa.Column("until_ms", sa.Integer(), nullable=False),
        sa.Column("used_ms", sa.Integer(), nullable=True),
        sa.Column("account", sa.BLOB(), nullable=True),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index("claim_code_by_chain", "claim_code", ["chain"])
    op.create_table(
        "client",
        sa.Column("id", sa.BLOB(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("member", sa.BLOB(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.Integer(), nullable=False),
        sa.Column("ended_ms", sa.Integer(), nullable=True),
        sa.CheckConstraint("kind IN ('key', 'oauth')"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("client_by_member", "client", ["member"])
    op.create_table(
        "contest",
        sa.Column("id", sa.BLOB(), nullable=False),
        sa.Column("chain", sa.BLOB(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("claimant", sa.BLOB(), nullable=False),
        sa.Column("holder", sa.BLOB(), nullable=False),
        sa.Column("member", sa.BLOB(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.Integer(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decided_ms", sa.Integer(), nullable=True),
        sa.CheckConstraint("state IN ('open', 'objected', 'granted', 'dismissed')"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("contest_by_chain", "contest", ["chain"])
    op.create_table(
        "event",
        sa.Column("id", sa.BLOB(), nullable=False),
        sa.Column("at_ms", sa.Integer(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("member", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("event_by_about", "event", ["about", "at_ms"])
    op.create_index("event_by_time", "event", ["at_ms"])
    op.create_index("event_by_who", "event", ["who", "at_ms"])
    op.create_table(
        "holding",
        sa.Column("id", sa.BLOB(), nullable=False),
        sa.Column("chain", sa.BLOB(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("account", sa.BLOB(), nullable=False),
        sa.Column("how", sa.Text(), nullable=False),
        sa.Column("since_ms", sa.Integer(), nullable=False),
        sa.Column("until_ms", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("holding_by_account", "holding", ["account"])
    op.create_index(
        "holding_one_at_a_time",
        "holding",
        ["chain"],
        unique=True,
        sqlite_where=sa.text("until_ms IS NULL"),
        postgresql_where=sa.text("until_ms IS NULL"),
    )
    op.create_table(
        "idempotency",
        sa.Column("digest", sa.BLOB(), nullable=False),
        sa.Column("body", sa.BLOB(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("answer", sa.BLOB(), nullable=True),
        sa.Column("created_ms", sa.Integer(), nullable=False),
        sa.Column("until_ms", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index("idempotency_by_end", "idempotency", ["until_ms"])
    op.create_table(
        "invitation",
        sa.Column("digest", sa.BLOB(), nullable=False),
        sa.Column("id", sa.BLOB(), nullable=False),
        sa.Column("standing", sa.Text(), nullable=False),
        sa.Column("member", sa.BLOB(), nullable=True),
        sa.Column("role", sa.Text(), nullable=True),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.Integer(), nullable=False),
        sa.Column("until_ms", sa.Integer(), nullable=False),
        sa.Column("used_ms", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_table(
        "oauth_key",
        sa.Column("client", sa.BLOB(), nullable=False),
        sa.Column("kid", sa.Text(), nullable=False),
        sa.Column("jwk", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.Integer(), nullable=False),
        sa.Column("revoked_ms", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("client", "kid"),
    )
    op.create_table(
        "passkey",
        sa.Column("id", sa.BLOB(), nullable=False),
        sa.Column("account", sa.BLOB(), nullable=False),
        sa.Column("credential", sa.BLOB(), nullable=False),
        sa.Column("sign_count", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.Integer(), nullable=False),
        sa.Column("used_ms", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("passkey_by_account", "passkey", ["account"])
    op.create_table(
        "recovery_code",
        sa.Column("digest", sa.BLOB(), nullable=False),
        sa.Column("account", sa.BLOB(), nullable=False),
        sa.Column("created_ms", sa.Integer(), nullable=False),
        sa.Column("used_ms", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index("recovery_code_by_account", "recovery_code", ["account"])
    op.create_table(
        "seen_once",
        sa.Column("digest", sa.BLOB(), nullable=False),
        sa.Column("until_ms", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_table(
        "session",
        sa.Column("digest", sa.BLOB(), nullable=False),
        sa.Column("account", sa.BLOB(), nullable=False),
        sa.Column("how", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.Integer(), nullable=False),
        sa.Column("seen_ms", sa.Integer(), nullable=False),
        sa.Column("confirmed_ms", sa.Integer(), nullable=True),
        sa.Column("until_ms", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index("session_by_account", "session", ["account"])
    op.create_table(
        "throttle",
        sa.Column("digest", sa.BLOB(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("until_ms", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
