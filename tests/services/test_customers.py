"""Customers invited from a list of theirs: what is read of it, what comes back, and what is kept: nothing but codes."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carnet.errors import Reason, Refused
from carnet.node.reader import Reader
from carnet.services.accounts.auditing import Action, list_events
from carnet.services.accounts.registry import HOLDER, Post, insert_account
from carnet.services.accounts.throttling import LIMITS, Attempt, count_attempt
from carnet.services.claims import claim
from carnet.services.customer_lists import MAX_BYTES, MAX_ROWS, Customers, read_customers
from carnet.services.customers import PART, Invited, invite_customers, iterate_invited, write_invited
from carnet.services.principals import Principal, Role, Scope, Standing
from tests.formats.test_xlsx import write_xlsx
from tests.node.home import vin_subject
from tests.services.accounts.ground import OPERATOR, VISIT
from tests.web.lodge import Lodge, lodging
from tests.web.test_with_member import dress

NOW = 1_700_000_000_000
VINS = ["WVWZZZ1KZ7P123456", "VF1RFB00X56123456", "WVWZZZ1KZ7P123457"]
FRENCH = "Client;Immat;N° châssis\r\nMme Léa Durand;AB-123-CD;{}\r\n=cmd|' /C calc'!A0;EF-456-GH;{}\r\n".format(*VINS)
SECRETS = ("Léa", "Durand", "calc", "C-4711")


@pytest.fixture
def lodge(tmp_path: Path) -> Iterator[Lodge]:
    with lodging(tmp_path) as made:
        yield made


def staff(lodge: Lodge, role: Role = Role.CLERK, member: bytes | None = None) -> Principal:
    of = member or lodge.node.operator.id
    with lodge.office.people.write() as connection:
        post = Post(Standing.STAFF, of, role)
        account = insert_account(connection, lodge.office, post, "One of them", lodge.office.random_bytes(32))
    return Principal(Standing.STAFF, account=account.public_id, member=of, role=role)


def add_holder(lodge: Lodge) -> Principal:
    with lodge.office.people.write() as connection:
        account = insert_account(connection, lodge.office, HOLDER, "Somebody", lodge.office.random_bytes(32))
    return Principal(Standing.HOLDER, account.public_id)


def find_by(reader: Reader) -> Callable[[str], bytes]:
    return reader.get


def invite(lodge: Lodge, who: Principal, *vehicles: str, **more: object) -> list[Invited]:
    with lodge.node.read() as reader:
        return invite_customers(
            lodge.office,
            reader,
            who,
            vehicles,
            find_by(reader),
            origin="https://carnet.example",
            **more,  # type: ignore[arg-type]
        )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_read__a_list_of_any_encoding(encoding: str) -> None:
    customers = read_customers(FRENCH.encode(encoding), NOW)
    assert customers.columns == ("Client", "Immat", "N° châssis")
    assert customers.vehicles == VINS[:2], "VINs before plates"
    assert customers.label(0) == "Mme Léa Durand"


def test_read__a_list_of_plates_alone_and_one_without_a_header() -> None:
    plates = read_customers(b"name,plate\nA,AB-123-CD\nB,EF-456-GH\n", NOW)
    assert plates.vehicles == ["AB-123-CD", "EF-456-GH"]
    bare = read_customers(f"{VINS[0]},4711\n{VINS[1]},4712\n".encode(), NOW)
    assert (bare.vehicles, bare.label(0)) == (VINS[:2], "4711")


def test_read__a_sheet() -> None:
    customers = read_customers(
        write_xlsx([["Client", "VIN", "No"], ["Léa", VINS[0], 4711], ["Ida", VINS[1], None]]), NOW
    )
    assert customers.vehicles == VINS[:2]
    assert customers.rows[0] == ("Léa", VINS[0], "4711")


@pytest.mark.parametrize(
    "data, reason",
    [
        (b"name,phone\nA,1\n", Reason.MISSING_FIELD),
        (b"", Reason.UNREADABLE_FILE),
        (b"%PDF-1.7 \x00\x01", Reason.UNREADABLE_FILE),
        (b"PK\x03\x04 nothing", Reason.UNREADABLE_FILE),
        (b"x" * (MAX_BYTES + 1), Reason.REQUEST_TOO_LARGE),
        (b"vin\n" + f"{VINS[0]}\n".encode() * (MAX_ROWS + 1), Reason.REQUEST_TOO_LARGE),
        ((",".join(f"c{n}" for n in range(60)) + "\n" + f"{VINS[0]}," * 59 + "x\n").encode(), Reason.REQUEST_TOO_LARGE),
    ],
)  # fmt: skip
def test_read__refused(data: bytes, reason: Reason) -> None:
    with pytest.raises(Refused) as refused:
        read_customers(data, NOW)
    assert refused.value.reason is reason


@given(data=st.binary(max_size=400), start=st.sampled_from([b"", b"PK\x03\x04", FRENCH.encode(), b"\xff\xfe"]))
def test_read__any_bytes_are_a_list_or_refused(data: bytes, start: bytes) -> None:
    try:
        customers = read_customers(start + data, NOW)
    except Refused:
        return
    assert len(customers.vehicles) == len(customers.rows) <= MAX_ROWS
    assert all(len(row) == len(customers.columns) for row in customers.rows)


def test_invite__makes_codes_that_claim_and_keeps_nothing_of_the_list(lodge: Lodge, tmp_path: Path) -> None:
    look = dress(lodge)
    known = [str(vin_subject(n)) for n in range(2)]
    listed = (*known, known[0], "histovec:HV" + "f" * 40, "")
    rows = tuple((f"Mme Léa Durand {n}", "C-4711", vehicle) for n, vehicle in enumerate(listed))
    customers = Customers(("Client", "No", "Vehicle"), rows, 2)
    invited = invite(lodge, staff(lodge), *customers.vehicles, look=look)
    assert [one.refused and one.refused.reason for one in invited] == [
        None, None, None, Reason.UNKNOWN_PASSPORT, Reason.MISSING_FIELD,
    ]  # fmt: skip
    assert invited[0] == invited[2], "a vehicle that stands twice has one code"
    link = urlsplit(str(invited[1].link))
    assert (link.query, link.path) == ("", f"/with/{look.public_id}/vehicles/add")
    told = parse_qs(link.fragment)
    assert told == {"code": [invited[1].issued.code], "vehicle": [known[1]]}  # type: ignore[union-attr]
    (event,) = [one for one in list_events(lodge.office, OPERATOR) if one.action is Action.CUSTOMERS_INVITED]
    assert event.why == "2 of 4"
    with lodge.node.read() as reader:
        holder = add_holder(lodge)
        assert claim(lodge.office, reader, holder, VISIT, told["code"][0], known[1]).is_held
    with lodge.office.people.read() as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    stored = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert not [word for word in SECRETS if word.encode() in stored]
    assert str(invited[0].issued.code).encode() not in stored  # type: ignore[union-attr]


def test_invite__of_vehicles_of_others_is_as_if_they_did_not_exist(lodge: Lodge) -> None:
    other = lodge.node.writers[0].enrol_member("Another", "garage").id
    there, absent = invite(lodge, staff(lodge, member=other), str(vin_subject(0)), "histovec:HV" + "f" * 40)
    for one in (there, absent):
        assert one.refused is not None
        assert one.refused.reason is Reason.UNKNOWN_PASSPORT
    assert there.refused.message == absent.refused.message  # type: ignore[union-attr]


def test_invite__refused_not_permitted(lodge: Lodge) -> None:
    machine = Principal(
        Standing.MACHINE, client=f"cli_{1:032x}", member=lodge.node.operator.id, scopes=frozenset({Scope.FILES})
    )
    for who in (
        staff(lodge, Role.READER),
        staff(lodge, Role.AUDITOR),
        machine,
        Principal(Standing.HOLDER, account="acc_" + "0" * 32),
    ):
        with pytest.raises(Refused) as refused:
            invite(lodge, who, str(vin_subject(0)))
        assert refused.value.reason is Reason.NOT_PERMITTED


def test_invite__on_a_node_by_invitation_carries_one_for_people_alone(lodge: Lodge) -> None:
    closed = replace(lodge.office, is_open=False)
    with lodge.node.read() as reader:
        machine = Principal(
            Standing.MACHINE,
            client=f"cli_{1:032x}",
            member=lodge.node.operator.id,
            scopes=frozenset({Scope.CLAIMS_ISSUE}),
        )
        links = [
            str(
                invite_customers(
                    closed, reader, who, [str(vin_subject(0))], find_by(reader), origin="https://carnet.example"
                )[0].link
            )
            for who in (staff(lodge), machine)
        ]
    assert ["invitation" in parse_qs(urlsplit(link).fragment) for link in links] == [True, False]


def test_invite__a_long_list_is_made_part_by_part(lodge: Lodge) -> None:
    vehicles = [str(vin_subject(0))] * PART + ["histovec:HV" + "f" * 40] * PART + [str(vin_subject(1))]
    moments = 0

    @contextmanager
    def reading() -> Iterator[Reader]:
        nonlocal moments
        moments += 1
        with lodge.node.read() as reader:
            yield reader

    def count() -> int:
        return sum(one.action is Action.CODE_ISSUED for one in list_events(lodge.office, OPERATOR))

    making = iterate_invited(
        lodge.office, reading, staff(lodge), vehicles, lambda reader, one: reader.get(one), origin="https://x.example"
    )
    assert (moments, count()) == (1, 1), (
        "what is wrong with the caller is told at once, the rest is made when asked for"
    )
    first = [next(making) for _ in range(PART)]
    assert (len({one.issued for one in first}), count()) == (1, 1)
    rest = list(making)
    assert (len(rest), moments, count()) == (PART + 1, 3, 2)
    assert rest[-1].issued is not None
    (event,) = [one for one in list_events(lodge.office, OPERATOR) if one.action is Action.CUSTOMERS_INVITED]
    assert event.why == "2 of 3"


def test_invite__a_list_that_breaks_off_stands_in_the_audit_trail(lodge: Lodge) -> None:
    making = iterate_invited(
        lodge.office,
        lodge.node.read,
        staff(lodge),
        [str(vin_subject(0))] * (PART + 1),
        lambda reader, one: reader.get(one),
        origin="https://x.example",
    )
    next(making)
    making.close()  # type: ignore[attr-defined]
    (event,) = [one for one in list_events(lodge.office, OPERATOR) if one.action is Action.CUSTOMERS_INVITED]
    assert event.why == "1 of 1"


def test_invite__past_the_limit_loses_no_code(lodge: Lodge) -> None:
    who = staff(lodge)
    count_attempt(lodge.office, Attempt.CODES_BY_CALLER, str(who.account))
    with lodge.office.people.write() as connection:
        connection.execute("UPDATE throttle SET count = ?", (LIMITS[Attempt.CODES_BY_CALLER].attempts - 1,))
    first, second = invite(lodge, who, str(vin_subject(0)), str(vin_subject(1)))
    assert first.issued is not None
    assert second.refused is not None
    assert second.refused.reason is Reason.TOO_MANY_REQUESTS


@given(cells=st.lists(st.text(min_size=1, max_size=30), min_size=1, max_size=4))
def test_written__no_cell_is_a_formula(cells: list[str]) -> None:
    """Whatever a list holds comes back as text: design, security 19."""
    customers = Customers(tuple(f"c{n}" for n in range(len(cells))), (tuple(cells),), 0)
    refused = Refused(Reason.UNKNOWN_PASSPORT, "=none")
    written = b"".join(write_invited(customers, [Invited(cells[0], None, None, refused)], lambda one: one.message, str))
    for row in csv.reader(io.StringIO(written.decode("utf-8-sig"), newline="")):
        for cell in row:
            assert not re.match(r"[\s\u00a0]*[=+\-@\t\r\n＝＋－＠]", cell), cell
