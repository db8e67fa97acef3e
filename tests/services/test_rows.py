"""People's rows with the application's filter off: a service that is told that an operator asks, or that is handed
another's name, gives out all that it finds; the database finds no more than whoever really asks may see."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import psycopg
import pytest

from carnet.errors import Reason, Refused
from carnet.node.home import Home
from carnet.outbound.addresses import Reach
from carnet.services.accounts.auditing import Action, list_events, record_alone
from carnet.services.accounts.clients import add_client, end_client, issue_key, list_clients
from carnet.services.accounts.office import OPERATOR_HERE, Office, Visit, name_id, open_office
from carnet.services.accounts.registry import Post, insert_account, list_accounts, list_last_seen, list_names
from carnet.services.accounts.sessions import begin_session, list_sessions
from carnet.services.asking import asking_as
from carnet.services.claims import list_codes, list_contests, revoke_code
from carnet.services.filing.mappings import list_saved, remove, rename
from carnet.services.holdings import Holdings, begin_holding
from carnet.services.principals import Principal, Role, Scope, Standing
from carnet.services.quotas import list_quotas, set_quota
from carnet.services.upkeep.jobs import list_jobs, queue_check
from carnet.services.upkeep.telling import list_telling
from carnet.services.webhooks.endpoints import add_endpoint, end, list_endpoints, rotate
from carnet.services.webhooks.messages import replay
from carnet.vault.guarding import NAME, POLICIES
from tests.node.home import make_node
from tests.postgres import Cluster

MINE, OTHERS = b"m" * 16, b"o" * 16
OPERATOR = Principal(Standing.OPERATOR, account=f"acc_{9:032x}")


@dataclass
class Rows:
    """Two holders and two members, each with everything that there is of them once; `office` is a worker's."""

    url: str
    office: Office
    holders: list[str]
    staff: list[str]
    clients: list[str]
    webhooks: list[str]

    def holder(self) -> Principal:
        return Principal(Standing.HOLDER, account=self.holders[0])

    def clerk(self, place: int = 0) -> Principal:
        return Principal(Standing.STAFF, account=self.staff[place], member=(MINE, OTHERS)[place], role=Role.ADMIN)


@pytest.fixture(scope="module")
def rows(postgres: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rows]:
    url = postgres.make_url()
    node = make_node(tmp_path_factory.mktemp("node"), store_url=url)
    inside = node.open_people()
    office = replace(open_office(Home(node.path), "test.example"), clock=node.clock)
    made = {name: _make_account(office, Post(Standing.HOLDER, None, None)) for name in ("mine", "other")}
    staff = [_make_account(office, Post(Standing.STAFF, member, Role.ADMIN)) for member in (MINE, OTHERS)]
    clients, webhooks = list[str](), list[str]()
    for member, account in zip((MINE, OTHERS), made.values(), strict=True):
        client = add_client(office, OPERATOR_HERE, member, "x", frozenset({Scope.FILES}))
        issue_key(office, OPERATOR_HERE, client.public_id)
        clients.append(client.public_id)
        set_quota(office, OPERATOR_HERE, member, 9)
        webhook = add_endpoint(office, OPERATOR_HERE, member, "https://93.184.216.34/x", reach=Reach())
        webhooks.append(webhook.public_id)
        record_alone(office, Action.DENIED, Principal(Standing.STAFF, account=account, member=member))
        id_ = bytes.fromhex(account[4:])
        with office.people.write() as connection:
            begin_holding(connection, office, member, 0, id_, "claim")
            connection.execute(
                "INSERT INTO contest (id, chain, epoch, claimant, holder, member, state, created_ms)"
                " VALUES (?, ?, 0, ?, ?, ?, 'open', 1)",
                (id_, member, id_, id_, member),
            )
            connection.execute(
                "INSERT INTO claim_code (digest, id, chain, epoch, member, made_by, created_ms, until_ms)"
                " VALUES (?, ?, ?, 0, ?, 'operator', 1, ?)",
                (id_, id_, member, member, 2**60),
            )
            connection.execute(
                "INSERT INTO saved_mapping (id, member, name, columns, document, made_by, created_ms)"
                """ VALUES (?, ?, 'x', '{"names": [], "type": "csv"}', '{}', 'x', 1)""",
                (id_, member),
            )
    queue_check(office, 1)
    yield Rows(url, replace(office, people=inside), [*made.values()], staff, clients, webhooks)
    inside.close()
    office.people.close()


def _make_account(office: Office, post: Post) -> str:
    with office.people.write() as connection:
        account = insert_account(connection, office, post, "A name", office.random_bytes(16))
        begin_session(connection, office, account, Visit("x"), "passkey")
    return name_id("acc", account.id)


CASES: dict[str, tuple[str, Callable[[Rows], Principal], Callable[[Office, Rows], Any], int, int]] = {
    "accounts": ("account", Rows.clerk, lambda office, rows: list_accounts(office, OPERATOR), 1, 4),
    "names": ("account", Rows.clerk, lambda office, rows: list_names(office, rows.clerk(1)), 0, 1),
    "last seen": ("session", Rows.clerk, lambda office, rows: list_last_seen(office, OPERATOR), 1, 1),
    "sessions": (
        "session",
        Rows.holder,
        lambda office, rows: list_sessions(office, Principal(Standing.HOLDER, account=rows.holders[1]), ""),
        0,
        1,
    ),
    "clients": ("client", Rows.clerk, lambda office, rows: list_clients(office, OPERATOR), 1, 2),
    "held": ("holding", Rows.holder, lambda office, rows: Holdings(office).list_held(rows.holders[1]), 0, 1),
    "codes": ("claim_code", Rows.clerk, lambda office, rows: list_codes(office, OPERATOR, member=OTHERS), 0, 1),
    "contests": ("contest", Rows.holder, lambda office, rows: list_contests(office, OPERATOR), 1, 2),
    "mappings": ("saved_mapping", Rows.clerk, lambda office, rows: list_saved(office, OTHERS), 0, 1),
    "webhooks": ("webhook", Rows.clerk, lambda office, rows: list_endpoints(office, OPERATOR), 1, 2),
    "jobs": ("upkeep_job", Rows.clerk, lambda office, rows: list_jobs(office, OPERATOR), 0, 1),
    "quotas": ("member_quota", Rows.clerk, lambda office, rows: list_quotas(office, OPERATOR), 1, 2),
}
"""What is asked: on which table, by whom, how, and how much is found with the policy and without it."""


@contextmanager
def without_policy(rows: Rows, table: str) -> Iterator[None]:
    with psycopg.connect(rows.url, autocommit=True) as owner:
        owner.execute(f"ALTER POLICY {NAME} ON {table} USING (true)".encode())
        try:
            yield
        finally:
            owner.execute(f"ALTER POLICY {NAME} ON {table} USING ({POLICIES[table]})".encode())


@pytest.mark.parametrize("case", CASES)
def test_list__gives_nothing_of_another_though_the_application_lets_it(rows: Rows, case: str) -> None:
    table, who, ask, seen, without = CASES[case]
    with asking_as(who(rows)):
        assert len(ask(rows.office, rows)) == seen
        with without_policy(rows, table):
            assert len(ask(rows.office, rows)) == without


def test_trail__of_another_is_not_found(rows: Rows) -> None:
    with asking_as(rows.clerk()):
        found = list_events(rows.office, OPERATOR, limit=200)
        assert found
        assert {event.member for event in found} == {name_id("mem", MINE)}
    with asking_as(rows.holder()):
        found = list_events(rows.office, OPERATOR, limit=200)
        assert {event.who for event in found} == {rows.holders[0]}


@pytest.mark.parametrize("ask", [list_accounts, list_clients, list_contests, list_endpoints, list_jobs, list_quotas,
                                 list_telling, list_events])  # fmt: skip
def test_operator__is_given_what_the_service_is_run_with(rows: Rows, ask: Callable[..., Sequence[Any]]) -> None:
    with asking_as(OPERATOR):
        assert ask(rows.office, OPERATOR)
    assert not ask(rows.office, OPERATOR), "nobody asks: nothing is seen"


ACTS: dict[str, tuple[Reason, Callable[[Office, Rows], object]]] = {
    "rename a mapping": (
        Reason.NOT_FOUND,
        lambda office, rows: rename(office, rows.clerk(1), OTHERS, f"map_{rows.holders[1][4:]}", "y"),
    ),
    "remove a mapping": (
        Reason.NOT_FOUND,
        lambda office, rows: remove(office, rows.clerk(1), OTHERS, f"map_{rows.holders[1][4:]}"),
    ),
    "revoke a code": (
        Reason.NOT_FOUND,
        lambda office, rows: revoke_code(office, OPERATOR_HERE, f"cod_{rows.holders[1][4:]}", member=OTHERS),
    ),
    "issue a key": (Reason.UNKNOWN_CLIENT, lambda office, rows: issue_key(office, rows.clerk(1), rows.clients[1])),
    "end a client": (Reason.UNKNOWN_CLIENT, lambda office, rows: end_client(office, rows.clerk(1), rows.clients[1])),
    "rotate a webhook": (Reason.UNKNOWN_WEBHOOK, lambda office, rows: rotate(office, OPERATOR_HERE, rows.webhooks[1])),
    "end a webhook": (Reason.UNKNOWN_WEBHOOK, lambda office, rows: end(office, OPERATOR_HERE, rows.webhooks[1])),
    "replay": (
        Reason.UNKNOWN_WEBHOOK,
        lambda office, rows: replay(office, OPERATOR_HERE, rows.webhooks[1], since=0),
    ),
}


@pytest.mark.parametrize("act", ACTS)
def test_act__does_nothing_to_anothers_though_the_application_lets_it(rows: Rows, act: str) -> None:
    """The clerk of one member acts, and the service takes them for an operator or for the other member's."""
    reason, do = ACTS[act]
    with asking_as(rows.clerk()):
        with pytest.raises(Refused) as caught:
            do(rows.office, rows)
        assert caught.value.reason is reason


def test_act__of_whose_it_is_is_done(rows: Rows) -> None:
    """The same acts, asked for by the other member's own clerk: so it is the asker who makes the difference."""
    with asking_as(rows.clerk(1)):
        for act in ACTS:
            if act not in ("end a client", "end a webhook", "remove a mapping"):
                ACTS[act][1](rows.office, rows)
        for act in ("end a client", "end a webhook", "remove a mapping"):
            ACTS[act][1](rows.office, rows)
