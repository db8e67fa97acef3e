"""What a member's desk and the operator's keep: mappings, webhooks, appearance, approvals, quotas, use."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make their tables."""
    _make_mappings()
    _make_webhooks()
    _make_appearance()
    _make_approvals()
    _make_quotas()
    _change_codes()
    _make_upkeep()


def _make_mappings() -> None:
    _make(
        "saved_mapping",
        *_bytes("id", "member"),
        *_texts("name", "columns", "document", "made_by"),
        *_numbers("created_ms"),
        sa.Column("used_ms", sa.Integer(), nullable=True),
    )
    op.create_index("saved_mapping_by_member", "saved_mapping", ["member"])


def _make_webhooks() -> None:
    _make(
        "webhook",
        *_bytes("id", "member"),
        *_texts("url", "kinds", "note", "made_by"),
        *_numbers("generation", "created_ms", "since_ms"),
        sa.Column("rotated_ms", sa.Integer(), nullable=True),
        sa.Column("failing_ms", sa.Integer(), nullable=True),
        sa.Column("stopped_ms", sa.Integer(), nullable=True),
        sa.Column("stopped_why", sa.Text(), nullable=True),
        sa.Column("ended_ms", sa.Integer(), nullable=True),
    )
    op.create_index("webhook_by_member", "webhook", ["member"])
    _make(
        "webhook_message",
        *_bytes("id", "webhook"),
        *_texts("type"),
        sa.Column("payload", sa.BLOB(), nullable=False),
        *_texts("state"),
        *_numbers("created_ms", "tries"),
        sa.Column("next_ms", sa.Integer(), nullable=True),
        sa.Column("tried_ms", sa.Integer(), nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("trouble", sa.Text(), nullable=True),
        *_texts("history"),
        checks=("state IN ('waiting', 'delivered', 'dead')",),
    )
    op.create_index("webhook_message_by_webhook", "webhook_message", ["webhook", "created_ms"])
    op.create_index("webhook_message_by_next", "webhook_message", ["next_ms"])
    _make("webhook_cursor", *_texts("name"), *_numbers("position"), key="name")


def _make_appearance() -> None:
    _make(
        "appearance",
        *_bytes("member"),
        *_texts("name", "ink", "paper", "origins", "changed_by"),
        sa.Column("logo", sa.BLOB(), nullable=True),
        sa.Column("logo_type", sa.Text(), nullable=True),
        sa.Column("logo_width", sa.Integer(), nullable=True),
        sa.Column("logo_height", sa.Integer(), nullable=True),
        *_numbers("changed_ms"),
        key="member",
    )
    _make(
        "app_view",
        *_bytes("id", "digest", "account", "chain", "member"),
        *_texts("origin"),
        *_numbers("epoch", "created_ms", "until_ms"),
        sa.Column("used_ms", sa.Integer(), nullable=True),
        sa.Column("ended_ms", sa.Integer(), nullable=True),
    )
    op.create_index("app_view_by_digest", "app_view", ["digest"], unique=True)
    op.create_index("app_view_by_account", "app_view", ["account"])


def _make_approvals() -> None:
    _make(
        "approval",
        *_bytes("id"),
        *_texts("act", "document", "state", "asked_by"),
        *_numbers("asked_ms", "until_ms"),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decided_ms", sa.Integer(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        checks=("state IN ('open', 'granted', 'done', 'refused', 'withdrawn', 'failed')",),
    )
    op.create_index("approval_by_time", "approval", ["asked_ms"])


def _make_quotas() -> None:
    _make(
        "member_quota",
        *_bytes("member"),
        *_numbers("requests_per_minute", "changed_ms"),
        *_texts("changed_by"),
        key="member",
    )


def _change_codes() -> None:
    # An added column does not pass where the types of new tables are named for PostgreSQL.
    moment = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
    op.add_column("claim_code", sa.Column("revoked_ms", moment, nullable=True))
    op.create_index("claim_code_by_member", "claim_code", ["member", "created_ms"])


def _make_upkeep() -> None:
    _make(
        "upkeep_job",
        *_bytes("id"),
        *_texts("act", "state", "asked_by"),
        *_numbers("asked_ms"),
        sa.Column("started_ms", sa.Integer(), nullable=True),
        sa.Column("ended_ms", sa.Integer(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        checks=("act IN ('backup', 'drill', 'check')", "state IN ('waiting', 'running', 'done', 'failed')"),
    )


def _make(name: str, *columns: Any, key: str = "id", checks: tuple[str, ...] = ()) -> None:
    op.create_table(name, *columns, sa.PrimaryKeyConstraint(key), *map(sa.CheckConstraint, checks))


def _bytes(*names: str) -> list[Any]:
    return [sa.Column(name, sa.BLOB(), nullable=False) for name in names]


def _texts(*names: str) -> list[Any]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]


def _numbers(*names: str) -> list[Any]:
    return [sa.Column(name, sa.Integer(), nullable=False) for name in names]
