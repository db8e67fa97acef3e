"""A member that leaves: everything by which its people and programs got in ends with it. Design: security 12."""

from __future__ import annotations

from carnet.services.accounts.clients import end_client
from carnet.services.accounts.office import Office, name_id
from carnet.services.accounts.registry import end_accounts_of
from carnet.services.appearance.looks import remove_look
from carnet.services.principals import Principal
from carnet.services.webhooks.endpoints import end_all_of
from carnet.types import MemberId


def end_staff_of(office: Office, principal: Principal, member: MemberId) -> int:
    """End every invitation, account, client and webhook of a member that has left, and its look; how many accounts
    there were."""
    ended = end_accounts_of(office, principal, member)
    with office.people.read() as connection:
        query = "SELECT id FROM client WHERE member = ? AND ended_ms IS NULL"
        clients = [bytes(row[0]) for row in connection.execute(query, (member,)).fetchall()]
    for client in clients:
        end_client(office, principal, name_id("cli", client))
    end_all_of(office, principal, member)
    remove_look(office, principal, member)
    return ended
