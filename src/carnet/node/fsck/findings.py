"""What `fsck` found, and how it says how far it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

MAX_FINDINGS = 1000


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it was signed: the table, the row's key, the column (None: the row), and what is
    wrong."""

    table: str
    key: object
    column: str | None
    what: str

    def __str__(self) -> str:
        where = self.table if self.key is None else f"{self.table} {self.key}"
        return f"{where}{'.' + self.column if self.column else ''}: {self.what}"


class Progress(NamedTuple):
    """`done` of `total` rows of `table` are checked."""

    table: str
    done: int
    total: int


class Findings:
    """Collects findings, up to a thousand: beyond that one more says nothing."""

    def __init__(self, progress: Callable[[Progress], None] | None) -> None:
        self.all: list[Finding] = []
        self._progress = progress

    def add(self, table: str, key: object, column: str | None, what: str) -> None:
        """Keep one finding."""
        if len(self.all) < MAX_FINDINGS:
            self.all.append(Finding(table, key, column, what))

    def tell(self, table: str, done: int, total: int) -> None:
        """Say how far the check of a table is."""
        if self._progress is not None:
            self._progress(Progress(table, done, total))
