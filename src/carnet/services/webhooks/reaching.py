"""How far the webhooks of a service reach: as the operator has set it, and this machine where it serves nobody else."""

from __future__ import annotations

from carnet.outbound.addresses import Reach, parse_networks
from carnet.services.accounts.office import Office
from carnet.services.settings import Settings


def make_reach(settings: Settings, office: Office) -> Reach:
    """The open network, the private networks that are allowed; and this machine, over plain http too, in a network for
    trying things that is served to this machine alone."""
    is_local = office.is_test and settings.is_loopback and not settings.behind_proxy
    return Reach(parse_networks(settings.webhook_networks), is_local)
