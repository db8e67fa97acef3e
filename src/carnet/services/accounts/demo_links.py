"""Links that sign in without a passkey, in a home that `carnet demo` made and nowhere else: as a holder, as an
insurer's developer, as the operator, as a garage's clerk.

A link's secret follows from the key of the store, so that nothing of it is kept. Each use is an action of its own in
the audit trail, and the session says that it is a demonstration's. It refuses every address but this machine's own.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final, NamedTuple
from urllib.parse import urlencode

from carnet.errors import Reason, Refused
from carnet.services.accounts.auditing import Action, record
from carnet.services.accounts.clients import add_client, issue_key
from carnet.services.accounts.office import Office, Visit, read_id
from carnet.services.accounts.recovery import SignedIn
from carnet.services.accounts.registry import HOLDER, OPERATOR, Account, Post, find_account, insert_account
from carnet.services.accounts.sessions import begin_session
from carnet.services.accounts.throttling import Attempt, count_attempt
from carnet.services.holdings import begin_holding
from carnet.services.principals import Principal, Role, Scope, Standing
from carnet.types import ChainId, MemberId

PATH: Final = "/demo/sign-in"
DEVELOPER_SCOPES: Final = frozenset({Scope.PASSPORTS_READ, Scope.ENTRIES_APPEND, Scope.FILES})


class DemoLinks(NamedTuple):
    """A link for each of the five, and the developer's key (`ck_test_…`)."""

    holder: str
    developer: str
    operator: str
    clerk: str
    second_operator: str
    api_key: str


def make_demo_links(
    office: Office, origin: str, held: Sequence[tuple[ChainId, int]], insurer: MemberId, garage: MemberId
) -> DemoLinks:
    """Make the five accounts, let the holder hold these passports (each with its number of changes of holder), and
    give the insurer's developer a key. Raises Refused(NOT_PERMITTED) in any other home."""
    _check_is_demo(office)
    posts = {
        "Camille Durand": HOLDER,
        "Dev Eloper": Post(Standing.STAFF, insurer, Role.ADMIN),
        "Operator": OPERATOR,
        "Samir Keller": Post(Standing.STAFF, garage, Role.CLERK),
        "Second operator": OPERATOR,
    }
    made = []
    with office.people.write() as connection:
        for name, post in posts.items():
            account = insert_account(connection, office, post, name, office.random_bytes(32))
            about = account.public_id
            record(connection, office, Action.ACCOUNT_CREATED, "operator", about=about, member=post.member, why="demo")
            made.append(account)
        for chain, epoch in held:
            begin_holding(connection, office, chain, epoch, made[0].id, "demo")
    operator = Principal(Standing.OPERATOR)
    client = add_client(office, operator, insurer, "Demonstration", DEVELOPER_SCOPES)
    key = issue_key(office, operator, client.public_id).secret
    holder, developer, operator_link, clerk, second = (_make_link(office, origin, account) for account in made)
    return DemoLinks(holder, developer, operator_link, clerk, second, key)


def find_demo_account(office: Office, account: str, secret: str) -> Account:
    """The account of a link. Raises Refused(SIGN_IN_FAILED), and NOT_PERMITTED in any other home."""
    _check_is_demo(office)
    try:
        wanted = read_id("acc", account, Reason.SIGN_IN_FAILED)
    except Refused:
        raise _failed() from None
    with office.people.look_up() as connection:
        found = find_account(connection, wanted)
    if found is None or not found.is_demo or not hmac.compare_digest(_make_secret(office, wanted), secret.encode()):
        raise _failed()
    return found


def sign_in_to_demo(office: Office, visit: Visit, account: str, secret: str, replaced: str | None = None) -> SignedIn:
    """Sign in by a link, on this machine. Raises as `find_demo_account`; NOT_PERMITTED from elsewhere;
    TOO_MANY_REQUESTS."""
    if not is_loopback(visit.address):
        raise Refused(Reason.NOT_PERMITTED, "links of a demonstration work on its own machine only")
    count_attempt(office, Attempt.DEMO_BY_ADDRESS, visit.address)
    found = find_demo_account(office, account, secret)
    with office.people.write() as connection:
        token = begin_session(connection, office, found, visit, "demo", replaced)
        record(connection, office, Action.DEMO_SIGNED_IN, found.public_id, member=found.member, why="demo")
    return SignedIn(found, token)


def is_loopback(address: str) -> bool:
    """Whether an address is this machine's own."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def _make_link(office: Office, origin: str, account: Account) -> str:
    query = urlencode({"account": account.public_id, "secret": _make_secret(office, account.id).decode()})
    return f"{origin}{PATH}?{query}"


def _make_secret(office: Office, account: bytes) -> bytes:
    return office.digest("demo link", account).hex().encode()


def _check_is_demo(office: Office) -> None:
    if not office.is_demo or not office.is_test:
        raise Refused(Reason.NOT_PERMITTED, "there are such links in a demonstration only")


def _failed() -> Refused:
    return Refused(Reason.SIGN_IN_FAILED, "that is no link of this demonstration")
