"""Checking a whole node again from storage, and what to do about what is found.

It refuses to mend: whoever could mend a signed store could forge one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from carnet.node.fsck import Finding, check_home
from carnet.node.fsck.findings import MAX_FINDINGS, Progress
from carnet.node.home import Home

ADVICE: Final[dict[str, str]] = {
    "store": "The file itself is damaged: restore a backup, and check the disk.",
    "log_record": "The log was changed: what was proved before still verifies elsewhere. Restore a backup.",
    "log_node": "The log's tree was changed: restore a backup.",
    "checkpoint": "A signed head of the log was changed, or the store is an old copy: restore the newest backup.",
    "keys.json": "The keys are another node's: put the right keys.json back.",
}
OTHERWISE: Final = "Restore a backup of this table's rows; do not import until fsck is clean."


@dataclass(frozen=True, slots=True)
class Checked:
    """The findings, and whether there may be more than were kept."""

    findings: list[Finding]

    @property
    def is_cut(self) -> bool:
        """Whether more was found than is listed."""
        return len(self.findings) >= MAX_FINDINGS

    def list_advice(self) -> list[str]:
        """What to do, once for each kind of finding."""
        return list(dict.fromkeys(ADVICE.get(finding.table, OTHERWISE) for finding in self.findings))


def check(home: Home, passphrase: str | None, progress: Callable[[Progress], None] | None = None) -> Checked:
    """Verify everything again. Raises Refused(NO_NODE, WRONG_PASSPHRASE, NODE_DAMAGED)."""
    home.check_founded()
    return Checked(check_home(home.path, passphrase=passphrase, progress=progress))
