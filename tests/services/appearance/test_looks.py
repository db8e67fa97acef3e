"""Who sets a member's look, which origins may frame it, and what is left in the audit trail."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carnet.errors import Reason, Refused
from carnet.services.accounts.auditing import Action
from carnet.services.accounts.registry import change_role, end_account
from carnet.services.appearance.looks import (
    Look,
    find_kept_look,
    find_logo,
    parse_origins,
    remove_look,
    set_logo,
    set_look,
)
from carnet.services.principals import Role
from tests.services.accounts.ground import GARAGE, INSURER, OPERATOR, Ground, open_ground
from tests.services.appearance.pictures import make_png

FINE: dict[str, Any] = {"name": "Les Tilleuls", "ink": "#0B3D91", "paper": "#fff", "origins": ["https://app.example"]}


@pytest.fixture(params=["sqlite", "postgres"])
def ground(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ground]:
    is_file = request.param == "sqlite"
    address = tmp_path / "people.sqlite" if is_file else request.getfixturevalue("postgres").make_url()
    with open_ground(address) as made:
        yield made


def set_fine(ground: Ground, **changed: Any) -> Look:
    return set_look(ground.office, OPERATOR, GARAGE, **FINE | changed)


def test_set__by_admin_or_operator_and_recorded(ground: Ground) -> None:
    admin = ground.join_staff(Role.ADMIN).principal
    first = set_look(ground.office, admin, GARAGE, **FINE)
    assert (first.name, first.colours, first.origins) == (
        "Les Tilleuls",
        ("#0b3d91", "#ffffff"),
        ("https://app.example",),
    )
    ground.wait(1000)
    logo = set_logo(ground.office, admin, GARAGE, make_png())
    assert logo.logo_size == (64, 32)
    changed = set_fine(ground, name="Tilleuls", origins=[])
    assert (changed.name, changed.origins, changed.logo_size) == ("Tilleuls", (), (64, 32)), "the logo stays"
    assert changed.changed_at > first.changed_at
    found = find_logo(ground.office.people, GARAGE)
    assert found is not None
    assert found[1] == "image/png"
    assert set_logo(ground.office, OPERATOR, GARAGE, None).logo_size is None
    events = ground.read_events(Action.APPEARANCE_CHANGED)
    assert len(events) == 4
    assert events[-1].why == "0b3d91 ffffff 1 origins"
    assert find_kept_look(ground.office.people, INSURER) is None
    remove_look(ground.office, admin, GARAGE)
    remove_look(ground.office, admin, GARAGE)
    assert find_kept_look(ground.office.people, GARAGE) is None
    assert len(ground.read_events(Action.APPEARANCE_REMOVED)) == 1


def test_set__refused_not_permitted(ground: Ground) -> None:
    others = [ground.join_staff(role) for role in (Role.CLERK, Role.READER, Role.AUDITOR)]
    for person in (*others, ground.join_staff(Role.ADMIN, INSURER), ground.join()):
        for act in (
            lambda who: set_look(ground.office, who, GARAGE, **FINE),
            lambda who: set_logo(ground.office, who, GARAGE, make_png()),
            lambda who: remove_look(ground.office, who, GARAGE),
        ):
            with pytest.raises(Refused) as refused:
                act(person.principal)
            assert refused.value.reason is Reason.NOT_PERMITTED
    assert find_kept_look(ground.office.people, GARAGE) is None


def test_set__refused_to_an_admin_who_is_none_any_more(ground: Ground) -> None:
    """The request was let in before: another one has ended the account, or given it another role, meanwhile."""
    gone, demoted = ground.join_staff(Role.ADMIN), ground.join_staff(Role.ADMIN)
    before, callers = set_fine(ground), (gone.principal, demoted.principal)
    end_account(ground.office, OPERATOR, gone.account)
    change_role(ground.office, OPERATOR, demoted.account, Role.CLERK)
    for caller, reason in zip(callers, (Reason.NOT_SIGNED_IN, Reason.NOT_PERMITTED), strict=True):
        for act in (
            lambda who: set_look(ground.office, who, GARAGE, **FINE | {"name": "Late"}),
            lambda who: set_logo(ground.office, who, GARAGE, make_png()),
            lambda who: remove_look(ground.office, who, GARAGE),
        ):
            with pytest.raises(Refused) as refused:
                act(caller)
            assert refused.value.reason is reason
    assert find_kept_look(ground.office.people, GARAGE) == before


@pytest.mark.parametrize(
    "changed, reason",
    [
        ({"name": "  "}, Reason.MISSING_FIELD),
        ({"name": "x" * 61}, Reason.TEXT_TOO_LONG),
        ({"name": "Garage\u202eegarag"}, Reason.TEXT_NOT_ALLOWED),
        ({"ink": "blue"}, Reason.WRONG_TYPE),
        ({"ink": "#4a90d9"}, Reason.CONTRAST_TOO_LOW),
        ({"paper": "#333333", "ink": "#eeeeee"}, Reason.CONTRAST_TOO_LOW),
        ({"origins": ["http://app.example"]}, Reason.WRONG_TYPE),
        ({"origins": [f"https://a{n}.example" for n in range(21)]}, Reason.VALUE_OUT_OF_RANGE),
    ],
)
def test_set__refused_and_nothing_changed(tmp_path: Path, changed: dict[str, Any], reason: Reason) -> None:
    with open_ground(tmp_path / "people.sqlite") as ground:
        before = set_fine(ground)
        with pytest.raises(Refused) as refused:
            set_fine(ground, **changed)
        assert refused.value.reason is reason
        assert find_kept_look(ground.office.people, GARAGE) == before


def test_set_logo__refused_missing_field__before_name_and_colours(ground: Ground) -> None:
    with pytest.raises(Refused) as refused:
        set_logo(ground.office, OPERATOR, GARAGE, make_png())
    assert refused.value.reason is Reason.MISSING_FIELD


@pytest.mark.parametrize(
    "text, kept",
    [
        ("https://app.example", "https://app.example"),
        ("HTTPS://App.Example:443", "https://app.example"),
        ("https://app.example:8443", "https://app.example:8443"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        ("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443"),
    ],
)
def test_origins__as_a_browser_writes_them(text: str, kept: str) -> None:
    assert parse_origins([text, text], is_secure=True) == (kept,)


@pytest.mark.parametrize(
    "text",
    [
        "https://*.example", "https://app.example/", "https://app.example/path", "https://app.example?x", "https://",
        "https://app.example#x", "https://user@app.example", "http://app.example", "app.example", "null", "*", "data:",
        "https://app.example;script-src", "https://app.example'", "https://app..example", "https://-app.example",
        "https://bücher.example", "https://app.example:0x50", "https://app.example:99999", "javascript:alert(1)",
        "http://localhost:8000", "https://[::1", "https://app.example:",
    ],
)  # fmt: skip
def test_origins__refused_wrong_type(text: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_origins([text], is_secure=True)
    assert refused.value.reason is Reason.WRONG_TYPE


def test_origins__of_this_machine_only_where_the_service_has_no_https() -> None:
    local = ["http://localhost:8000", "http://127.0.0.1:9000", "http://[::1]:9000"]
    assert parse_origins(local, is_secure=False) == tuple(local)
    for text in ("http://app.example", "http://127.0.0.2:80", "http://localhost.example"):
        with pytest.raises(Refused):
            parse_origins([text], is_secure=False)


@given(text=st.text(max_size=40), is_secure=st.booleans())
def test_origins__nothing_but_origins_gets_into_a_header(text: str, is_secure: bool) -> None:
    """Whatever is typed: no separator of a policy, no quote, no blank, no star is ever kept."""
    for tried in (text, f"https://{text}", f"https://app.example{text}"):
        try:
            found = parse_origins([tried], is_secure=is_secure)
        except Refused:
            continue
        for one in found:
            assert one.startswith(("https://", "http://"))
            assert not set(one) & set(" ;,'\"*\\\r\n\t<>")
            assert one.isascii()
