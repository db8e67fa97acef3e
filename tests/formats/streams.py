"""What the tests of importers share: a stream cut anywhere, its rows and faults apart, and a now."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from carnet.formats.faults import Fault
from carnet.formats.rows import Item, Row
from carnet.passport.kinds import get_schema

NOW = 1_795_543_071_000  # 2026-11-24T18:57:51Z


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def split(items: Iterable[Item]) -> tuple[list[Row], list[Fault]]:
    """(rows, faults); each row is complete and normal under its schema, and the rows are numbered without a gap."""
    listed = list(items)
    assert [item.row for item in listed] == list(range(1, len(listed) + 1))
    rows = [item for item in listed if isinstance(item, Row)]
    for row in rows:
        assert get_schema(row.kind).validate_by_document(row.fields) == row.fields
        assert list(row.fields) == sorted(row.fields)
        assert row.fields["subject"] == row.subject.to_json()
    return rows, [item for item in listed if isinstance(item, Fault)]


def told(row: Row) -> dict[str, Any]:
    """The fields that say something, without those that every entry has."""
    skipped = ("kind", "subject", "occurred")
    return {name: value for name, value in row.fields.items() if value is not None and name not in skipped}
