"""Files that go with entries: encrypted under the passport's key, found by its holder alone, erased with an entry."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from carnet.errors import Reason, Refused, Unverified
from carnet.node.home import Home
from carnet.node.jobs import ChainRef, Group, Item
from carnet.node.people import open_people
from carnet.node.reader import open_reader
from carnet.services import attachments
from carnet.services.erasing import erase, plan_erasure
from carnet.types import Basis
from carnet.vault.people.store import FILE, PeopleStore
from tests.node.home import TestNode, make_node, occurred

PHOTO, OTHER, PDF = b"\xff\xd8\xff a photo of a dashboard", b"\x89PNG\r\n\x1a\n another photo", b"%PDF-1.7 an invoice"
CHAIN = ChainRef(1, b"c" * 16, 1, b"k" * 32, b'{"scheme":"vin","value":"X"}')
ANOTHER = ChainRef(2, b"d" * 16, 1, b"l" * 32, b'{"scheme":"vin","value":"Y"}')


def keep(people: PeopleStore, data: bytes, chain: ChainRef = CHAIN) -> str:
    return attachments.keep(people, chain, data, salt=sha256(data).digest()[:16], now=5)


def make_serviced(path: Path) -> tuple[TestNode, ChainRef, list[str]]:
    """A passport with three services: the first names PHOTO, the other two OTHER."""
    node = make_node(path)
    common = {"occurred": occurred("2023-01-01"), "subject": {"scheme": "histovec", "value": "HV0001"}}
    digests = [sha256(data).hexdigest() for data in (PHOTO, OTHER, OTHER)]
    items = [Item("passport.opened/1", {"kind": "passport.opened/1", "occasion": "file", **common})]
    for place, digest in enumerate(digests):
        fields = {"odometer_km": 10 + place, "invoice_sha256": digest, "kind": "vehicle.service/1", **common}
        items.append(Item("vehicle.service/1", fields))
    node.open().append(node.operator.id, Basis.REPORTED, [Group(items)])
    with node.read() as reader:
        chain = reader.get_chain(next(iter(reader.list_passports())).chain16)
    node.writers[0].close()
    return node, chain, digests


@pytest.fixture
def people(tmp_path: Path) -> PeopleStore:
    return open_people(Home(make_node(tmp_path / "home").path)).store


def test_file__is_given_back_to_its_passport_alone(people: PeopleStore) -> None:
    digest = keep(people, PHOTO)
    assert digest == sha256(PHOTO).hexdigest()
    assert attachments.find(people, CHAIN, digest) == (PHOTO, "image/jpeg")
    assert attachments.find(people, ANOTHER, digest) is None
    assert attachments.find(people, CHAIN, "0" * 64) is None
    assert attachments.list_kept(people, CHAIN, [digest, "0" * 64]) == {digest}


def test_file__given_twice_is_kept_once(people: PeopleStore) -> None:
    assert keep(people, PDF) == keep(people, PDF)
    with people.read() as connection:
        assert connection.execute("SELECT count(*) FROM attachment").fetchone()[0] == 1


@pytest.mark.parametrize("data", [b"", b"MZ\x90", b"<svg onload=alert(1)>", b"GIF89a", b"RIFF1234WAVE"])
def test_file__refused_wrong_media_type(people: PeopleStore, data: bytes) -> None:
    with pytest.raises(Refused) as refused:
        keep(people, data)
    assert refused.value.reason is Reason.WRONG_MEDIA_TYPE


def test_file__refused_request_too_large(people: PeopleStore) -> None:
    with pytest.raises(Refused) as refused:
        keep(people, PHOTO + bytes(attachments.MAX_FILE_BYTES))
    assert refused.value.reason is Reason.REQUEST_TOO_LARGE


def test_file__altered_does_not_open(people: PeopleStore) -> None:
    digest = keep(people, PHOTO)
    with people.write() as connection:
        content = bytearray(connection.execute("SELECT content FROM attachment").fetchone()[0])
        content[3] ^= 1
        connection.execute("UPDATE attachment SET content = ?", (bytes(content),))
    with pytest.raises(Unverified):
        attachments.find(people, CHAIN, digest)


def test_file__is_in_the_store_neither_by_its_bytes_nor_by_its_digest(people: PeopleStore, tmp_path: Path) -> None:
    digest = keep(people, PHOTO)
    people.close()
    stored = b"".join(path.read_bytes() for path in (tmp_path / "home").glob(f"{FILE}*"))
    assert b"dashboard" not in stored
    assert bytes.fromhex(digest) not in stored
    assert digest.encode() not in stored


def test_erasure__takes_the_files_of_its_entries_and_no_others(tmp_path: Path) -> None:
    node, chain, _ = make_serviced(tmp_path / "home")
    home = Home(node.path)
    with open_people(home).store as people:
        kept = [keep(people, data, chain) for data in (PHOTO, OTHER)]
        ciphertexts = _read_contents(people)
    node.close()
    # The first service goes with its photo; the second too, but the third names its photo as well.
    for seqs, left in (((1, 2), 1), ((), 0)):
        with open_reader(home.path) as reader:
            plan = plan_erasure(reader, chain.chain16.hex(), seqs)
        erase(home, plan, "holder_request", None, "a test")
        with open_people(home).store as people:
            found = _read_contents(people)
            assert len(found) == left
            if left:
                assert attachments.find(people, chain, kept[1]) == (OTHER, "image/png")
        stored = b"".join(path.read_bytes() for path in node.path.glob(f"{FILE}*"))
        gone = [content for content in ciphertexts if content not in found]
        assert len(gone) == 2 - left
        assert not any(content in stored for content in gone)


def test_erasure__killed_before_its_files_went_is_finished_by_the_next(tmp_path: Path) -> None:
    node, chain, _ = make_serviced(tmp_path / "home")
    home = Home(node.path)
    with open_people(home).store as people:
        for data in (PHOTO, OTHER):
            keep(people, data, chain)
    ids = [attachments.compute_file_id(chain.key, sha256(data).hexdigest()) for data in (PHOTO, OTHER)]
    # Refused, or killed before: everything stays.
    attachments.begin_erasing(home, chain.chain16, ids)
    attachments.begin_erasing(home, chain.chain16, None)
    assert attachments.finish_erasing(home, None) == 0
    # Carried out: what the erased entries named goes, unless another names it.
    attachments.begin_erasing(home, chain.chain16, ids)
    with node.open() as writer:
        writer.erase(chain.chain16, (1, 2), "holder_request")
    assert attachments.finish_erasing(home, None) == 1
    with open_people(home).store as people:
        assert attachments.find(people, chain, sha256(OTHER).hexdigest()) == (OTHER, "image/png")
    attachments.begin_erasing(home, chain.chain16, None)
    with node.open() as writer:
        writer.erase(chain.chain16, None, "holder_request")
    assert attachments.finish_erasing(home, None) == 1
    assert list(node.path.glob("files-to-erase-*")) == []
    node.close()


def test_erase__killed_between_the_entries_and_their_files_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked for again it is refused, since the entry is gone: the next erasure, or the service, must end it."""
    node, chain, _ = make_serviced(tmp_path / "home")
    home = Home(node.path)
    with open_people(home).store as people:
        keep(people, PHOTO, chain)
        keep(people, OTHER, chain)
    node.close()

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    for seq in (1, 2):
        with open_reader(home.path) as reader:
            plan = plan_erasure(reader, chain.chain16.hex(), [seq])
        with monkeypatch.context() as patching:
            if seq == 1:
                patching.setattr(attachments, "finish_erasing", die)
                with pytest.raises(KeyboardInterrupt):
                    erase(home, plan, "holder_request", None, "a test")
            else:
                erase(home, plan, "holder_request", None, "a test")
    with open_people(home).store as people:
        assert attachments.find(people, chain, sha256(PHOTO).hexdigest()) is None
        assert attachments.find(people, chain, sha256(OTHER).hexdigest()) == (OTHER, "image/png")


def test_sweep__deletes_what_no_entry_names_any_more(tmp_path: Path) -> None:
    node, chain, _ = make_serviced(tmp_path / "home")
    home = Home(node.path)
    with open_people(home).store as people:
        keep(people, PHOTO, chain)
        keep(people, OTHER, chain)
        keep(people, PDF, chain)  # its entry was refused
        keep(people, PHOTO, ANOTHER)  # its passport is not here any more
    # As a restored copy does: erased in the node's store alone.
    node.open().erase(chain.chain16, (1,), "holder_request")
    node.close()
    assert attachments.sweep(home, None) == 3
    with open_people(home).store as people:
        assert attachments.find(people, chain, sha256(OTHER).hexdigest()) == (OTHER, "image/png")
    assert attachments.sweep(home, None) == 0


def _read_contents(people: PeopleStore) -> list[bytes]:
    with people.read() as connection:
        return [bytes(row[0]) for row in connection.execute("SELECT content FROM attachment").fetchall()]
