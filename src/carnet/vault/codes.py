"""The small numbers that stand for words in the tables, for whoever needs no table: a worker that prepares statements
must not load a database.

It refuses to know which tables there are (`tables`).
"""

from __future__ import annotations

from typing import Final

HISTORY: Final = 1
"""`chain.type` of a vehicle's history, which is the passport."""

JOURNAL: Final = 2
"""`chain.type` of a holder's journal."""

IN_VAULT: Final = 0
"""`entry.location`: the contents are in the row itself (or were erased)."""

ELSEWHERE: Final = 1
"""`entry.location`: the contents stay at their source; the row keeps the secret that opens their digests."""
