"""The vault by itself: what is wrapped opens only with its own key, and the schema is what the migrations make."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine

from carnet.encoding import encode
from carnet.errors import Reason, Refused, Unverified
from carnet.vault import sealing
from carnet.vault.store import PAGE_BYTES, create_store, open_store
from carnet.vault.tables import metadata, names

KEY, OTHER = b"\x01" * 32, b"\x02" * 32
CHAIN, SID = b"\x03" * 16, b"\x04" * 32
PACKING = sealing.Packing.of(("a", "kind", "occurred", "subject"))


def test_unwrap__is_the_inverse_of_wrap() -> None:
    wrapped = sealing.wrap(KEY, OTHER)
    assert len(wrapped) == 40
    assert sealing.unwrap(KEY, wrapped) == OTHER
    for key, data in (
        (OTHER, wrapped),
        (KEY, wrapped[:-1] + bytes((wrapped[-1] ^ 1,))),
        (KEY, b""),
        (KEY, wrapped[:39]),
    ):
        with pytest.raises(Unverified) as caught:
            sealing.unwrap(key, data)
        assert caught.value.code == "unwrap_failed"


def test_unwrap_all__gives_what_unwrap_gives_and_refuses_all_where_one_does_not_open() -> None:
    secrets = [bytes([number]) * 32 for number in range(70)]
    wrapped = [sealing.wrap(KEY, secret) for secret in secrets]
    assert sealing.unwrap_all(KEY, []) == []
    assert sealing.unwrap_all(KEY, wrapped) == secrets
    short = sealing.aes_key_wrap(KEY, bytes(24))
    for wrong in (wrapped[3][:-1], b"", bytes(40), sealing.wrap(OTHER, bytes(32)), short):
        with pytest.raises(Unverified) as caught:
            sealing.unwrap_all(KEY, [*wrapped[:3], wrong, *wrapped[4:]])
        assert caught.value.code == "unwrap_failed"


@given(st.text(alphabet="abcé ", max_size=20) | st.integers(-1000, 1000) | st.none(), st.booleans())
def test_unpack_values__is_the_inverse_of_pack_values(value: object, is_own: bool) -> None:
    subject = {"scheme": "vin", "value": "X"}
    occurred = {"at": "2026-11-25", "precision": "day", "zone": None}
    fields: dict[str, object] = {"a": value, "kind": "k/1", "occurred": occurred, "subject": subject}
    packed = sealing.pack_values([encode(v) for v in fields.values()], PACKING, occurred, is_own)
    assert sealing.unpack_values(packed, PACKING, "k/1", encode(subject)) == fields
    encoded = sealing.unpack_encoded(packed, PACKING, "k/1", encode(subject))
    assert encoded == (fields, [encode(v) for v in fields.values()])
    assert (b"scheme" in packed) is not is_own
    assert b"precision" not in packed


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"[]",
        b'1\n["2026",1,2]',
        b'1\n["2026",1,2]\n\n',
        b'1\n{"at":1}\n',
        b'1\n["2026",1]\n',
        b'1, 2\n["2026",1,2]',
        b'1,2\n["2026",1,2]\n',
        b'null\n["2026",1,2]\n',
        b'1\n["2026", 1,2]\n',
        b'1\n["2026",1,2]\n3]x',
    ],
)
def test_unpack_values__refused_malformed(data: bytes) -> None:
    assert sealing.unpack_values(b'1\n["2026",1,2]\n', PACKING, "k/1", b"null")["a"] == 1
    with pytest.raises(Unverified) as caught:
        sealing.unpack_values(data, PACKING, "k/1", b"null")
    assert caught.value.code == "content_malformed"


def test_decrypt_content__refused_in_another_place() -> None:
    sealed = sealing.encrypt_content(KEY, CHAIN, SID, b"[1]")
    assert sealing.decrypt_content(KEY, CHAIN, SID, sealed) == b"[1]"
    for key, chain, sid in ((OTHER, CHAIN, SID), (KEY, SID[:16], SID), (KEY, CHAIN, bytes(32))):
        with pytest.raises(Unverified) as caught:
            sealing.decrypt_content(key, chain, sid, sealed)
        assert caught.value.code == "decrypt_failed"


def test_compute_blind__depends_on_key_and_subject() -> None:
    one = sealing.compute_blind(KEY, b"x")
    assert len(one) == 16
    assert len({one, sealing.compute_blind(OTHER, b"x"), sealing.compute_blind(KEY, b"y")}) == 3
    assert len({sealing.compute_source_digest(KEY, b"x"), sealing.compute_source_digest(OTHER, b"x")}) == 2


def test_compute_source_digests__as_one_by_one() -> None:
    rows = [b"", b"x", b"y" * 300]
    assert sealing.compute_source_digests(KEY, rows) == [sealing.compute_source_digest(KEY, row) for row in rows]
    assert sealing.compute_source_digests(KEY, []) == []


def normal(kind: str, name: str, sql: str) -> tuple[str, str, list[str]]:
    """An object of the schema without quotes, spaces, and the order of its parts."""
    return kind, name, sorted("".join(sql.replace('"', "").split()).replace("(", ",").replace(")", ",").split(","))


def test_create_store__migrations_make_the_tables_as_described(tmp_path: Path) -> None:
    query = (
        "SELECT type, name, sql FROM sqlite_master"
        " WHERE name NOT LIKE 'sqlite_%' AND name != 'alembic_version' ORDER BY 1, 2"
    )
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        metadata.create_all(connection)
        names.create_all(connection)
        wanted = [tuple(row) for row in connection.exec_driver_sql(query)]
    with create_store(tmp_path / "a.db") as store:
        made = [tuple(row) for row in store.connection.execute(query)]
        pragmas = {
            name: store.connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "secure_delete", "page_size", "foreign_keys")
        }
    assert [normal(*row) for row in made] == [normal(*row) for row in wanted]
    assert pragmas == {
        "journal_mode": "wal",
        "synchronous": 2,
        "secure_delete": 1,
        "page_size": PAGE_BYTES,
        "foreign_keys": 1,
    }


def test_create_store__refused_node_exists(tmp_path: Path) -> None:
    create_store(tmp_path / "a.db").close()
    with pytest.raises(Refused) as caught:
        create_store(tmp_path / "a.db")
    assert caught.value.reason is Reason.NODE_EXISTS


@pytest.mark.parametrize("data", [b"", b"no database at all" * 100])
def test_open_store__refused_node_damaged(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.db").write_bytes(data)
    with pytest.raises(Refused) as caught:
        open_store(tmp_path / "a.db", is_read_only=True)
    assert caught.value.reason is Reason.NODE_DAMAGED


def test_open_store__refused_newer_schema(people_address: Path | str) -> None:
    with create_store(people_address) as store:
        store.connection.execute("UPDATE alembic_version SET version_num = '9999'")
    for is_read_only in (True, False):
        with pytest.raises(Refused, match=r"schema 9999, .*: use a newer program") as caught:
            open_store(people_address, is_read_only=is_read_only)
        assert caught.value.reason is Reason.NODE_DAMAGED


def test_open_store__read_only_cannot_write(tmp_path: Path) -> None:
    create_store(tmp_path / "a.db").close()
    with open_store(tmp_path / "a.db", is_read_only=True) as store, pytest.raises(Exception, match="readonly"):
        store.connection.execute("INSERT INTO meta VALUES ('a', 'b')")
