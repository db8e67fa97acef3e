"""A member that keeps its own key, without a browser: what pages hand over to be signed, and what they take back."""

from __future__ import annotations

import html
import re
from base64 import b64decode
from collections.abc import Iterator
from typing import Any

import pytest

from carnet.encoding import b64
from carnet.ledger.rules.members import Key, compute_enrolment
from carnet.signing import Signer
from carnet.types import Basis, Custody, KeyRole
from tests.web.test_console import object_to_entry
from tests.web.workshop import OTHER_VIN, VIN, Workshop, opening_workshop

SIGNER, OTHER = Signer(b"o" * 32), Signer(b"x" * 32)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with opening_workshop(tmp_path_factory.mktemp("workshop")) as made:
        writer, garage = made.lodge.node.writers[0], made.members["garage"]
        hosted = writer.state.members.get(garage).keys[0].digest
        message = compute_enrolment(writer.state.net, garage, KeyRole.AUTHOR, Custody.OWN)
        writer.add_key(garage, Key(SIGNER.public, KeyRole.AUTHOR, Custody.OWN, SIGNER.sign(message)))
        writer.revoke_key(garage, hosted)
        made.be("clerk")
        yield made


def sign(shop: Workshop, page: Any, signer: Signer = SIGNER, **changes: str) -> Any:
    """Do what the browser does on the page that asks for a signature."""
    assert page.status_code == 200, page.text
    message = re.search(r'data-sign="([^"]+)"', page.text)
    unsigned = re.search(r'<textarea name="unsigned" hidden>(.*?)</textarea>', page.text, re.DOTALL)
    assert message is not None
    assert unsigned is not None
    given = {"unsigned": html.unescape(unsigned[1]), "signature": b64(signer.sign(b64decode(message[1])))}
    return shop.send("/console/write/vehicle.odometer-1", "/console/sign", **{**given, **changes})


def find_basis(shop: Workshop) -> tuple[str, int]:
    with shop.lodge.node.read() as reader:
        last = list(reader.read_entries(bytes.fromhex(shop.passport[4:])))[-1]
    return last.kind, last.basis


def seal(shop: Workshop, km: int) -> str:
    done = sign(shop, shop.write(odometer=str(km)))
    assert done.status_code == 303, done.text
    return str(done.headers["location"]).partition("?")[0]


def test_own_key__signs_an_entry_a_correction_a_withdrawal_and_an_answer(shop: Workshop) -> None:
    page = seal(shop, 1_000)
    assert find_basis(shop) == ("vehicle.odometer/1", Basis.OWN_KEY)
    assert "your organisation" in shop.get(page)
    assert sign(shop, shop.send(f"{page}/correct", f"{page}/correct", odometer="1001")).status_code == 303
    assert "Another entry has taken its place" in shop.get(page)
    page = seal(shop, 1_002)
    object_to_entry(shop, bytes.fromhex(shop.passport[4:]), int(page.rpartition("/")[2]), "It was 900")
    assert sign(shop, shop.send(page, f"{page}/answer", note="Read twice")).status_code == 303
    assert "You have answered" in shop.get(page)
    assert sign(shop, shop.send(page, f"{page}/withdraw", reason="wrong_vehicle")).status_code == 303
    assert find_basis(shop) == ("passport.corrected/1", Basis.OWN_KEY)


def test_sign__sent_twice_is_sealed_once_and_leads_to_the_same_entry(shop: Workshop) -> None:
    asked = shop.write(odometer="1500")
    begun = len(shop.list_kinds())
    first, again = sign(shop, asked), sign(shop, asked)
    assert (first.status_code, again.status_code) == (303, 303)
    assert first.headers["location"] == again.headers["location"]
    assert len(shop.list_kinds()) == begun + 1


def test_sign__refused_for_what_was_not_signed_with_the_key(shop: Workshop) -> None:
    count = len(shop.list_kinds())
    asked = shop.write(odometer="2000")
    for refused in (
        sign(shop, asked, OTHER),
        sign(shop, asked, signature="none"),
        sign(shop, asked, signature=b64(bytes(64))),
        sign(shop, asked, unsigned="{}"),
    ):
        assert refused.status_code == 422, refused.text
        assert "It was not sealed" in refused.text
    forged = re.search(r'<textarea name="unsigned" hidden>(.*?)</textarea>', asked.text, re.DOTALL)
    assert forged is not None
    changed = html.unescape(forged[1]).replace('"odometer_km":2000', '"odometer_km":2001')
    assert sign(shop, asked, unsigned=changed).status_code == 422
    assert len(shop.list_kinds()) == count
    # Signed by the member, and handed in by somebody else's staff.
    shop.be("other")
    assert sign(shop, asked).status_code == 422
    shop.be("clerk")
    assert len(shop.list_kinds()) == count
    assert sign(shop, asked).status_code == 303


def test_own_key__says_what_it_cannot_do(shop: Workshop) -> None:
    assert "your organisation opens none" in shop.write(vehicle=OTHER_VIN, odometer="5000").text
    unknown = shop.write(vehicle=VIN, odometer="5000", key="0" * 64)
    assert (unknown.status_code, "no key that is in force" in unknown.text) == (422, True)
    future = shop.write(vehicle=VIN, odometer="5000", day="2999-01-01")
    assert future.status_code == 422


def test_sign__without_script_says_how_else(shop: Workshop) -> None:
    page = shop.write(odometer="6000").text
    assert "carnet draft, carnet sign, carnet submit" in page
    assert "6000" in page


def test_keys__says_which_are_listed(shop: Workshop) -> None:
    page = shop.get("/organisation/keys")
    assert "your organisation itself" in page
    assert "revoked" in page
