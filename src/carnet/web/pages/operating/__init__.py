"""What an operator does beside looking (`pages.operator`): members and approvals, the audit trail, upkeep.

Every page works without script, and every act asks for a fresh confirmation.
"""

from __future__ import annotations

from typing import Any

from carnet.web.pages.operating import approvals, audit, keys, members, upkeep

ROUTES: list[Any] = [*members.ROUTES, *approvals.ROUTES, *audit.ROUTES, *upkeep.ROUTES, *keys.ROUTES]
