"""What one author has sealed is found without reading all entries: each submission says where its entries stand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import groupby
from typing import Any, Final

import sqlalchemy as sa
from alembic import op

from carnet.vault.places import encode_kinds, encode_places

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

AT_ONCE: Final = 50
"""Submissions that are looked at together, so that memory does not grow with the store."""


def upgrade() -> None:
    """Add what it says, and say it of those that are there."""
    # Null until it is filled in, just below; a submission that an erasure left behind keeps its nulls out of sight.
    number = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
    for name, type_ in (("seal", number), ("places", sa.LargeBinary()), ("kinds", sa.LargeBinary())):
        op.add_column("submission", sa.Column(name, type_, nullable=True))
    # For this once: entries in the order of submissions.
    op.create_index("entry_by_submission", "entry", ["submission", "chain", "seq", "kind", "seal"])
    connection = op.get_bind()
    last = connection.exec_driver_sql("SELECT coalesce(max(id), 0) FROM submission").scalar() or 0
    query = sa.text(
        "SELECT submission, chain, seq, kind, seal FROM entry WHERE submission BETWEEN :first AND :last"
        " ORDER BY submission, chain, seq"
    )
    write = sa.text("UPDATE submission SET seal = :seal, places = :places, kinds = :kinds WHERE id = :id")
    for first in range(1, last + 1, AT_ONCE):
        rows = connection.execute(query, {"first": first, "last": first + AT_ONCE - 1}).fetchall()
        found = [_describe(number, list(its)) for number, its in groupby(rows, key=lambda row: row[0])]
        if found:
            connection.execute(write, found)
    op.drop_index("entry_by_submission", "entry")
    op.create_index("submission_by_author", "submission", ["author_key"])


def _describe(number: int, rows: list[Any]) -> dict[str, Any]:
    kinds = Counter(row[3] for row in rows)
    seal = max(row[4] for row in rows)
    return {"id": number, "seal": seal, "places": encode_places(_find_runs(rows)), "kinds": encode_kinds(kinds)}


def _find_runs(rows: Iterable[Any]) -> list[tuple[int, int, int]]:
    runs = list[tuple[int, int, int]]()
    for _, chain, seq, *_rest in rows:
        if runs and runs[-1][0] == chain and runs[-1][1] + runs[-1][2] == seq:
            runs[-1] = (chain, runs[-1][1], runs[-1][2] + 1)
        else:
            runs.append((chain, seq, 1))
    return runs
