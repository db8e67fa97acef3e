"""Placing prepared statements: checked against the state in force, linked, put into batches."""

from carnet.node.placing.known import is_corrector
from carnet.node.placing.placing import AFTER_CLOSING, CLOSING, Placing
from carnet.node.placing.recent import RecentHeads
from carnet.node.placing.records import MAX_BATCH, Head, OpenBatch, Outcome, Receipt, Right, Tally, tally_receipts

__all__ = [
    "AFTER_CLOSING",
    "CLOSING",
    "MAX_BATCH",
    "Head",
    "OpenBatch",
    "Outcome",
    "Placing",
    "Receipt",
    "RecentHeads",
    "Right",
    "Tally",
    "is_corrector",
    "tally_receipts",
]
