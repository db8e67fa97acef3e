"""Files that go with entries: each under a key of its own, which the passport's key gives.

passport key ─with a salt─▶ file key passport key ─keyed digest─▶ the file's id

An entry seals the SHA-256 of a file; the file is kept here. When the passport's key is destroyed, what is left of a
file, in any copy, says nothing, not even which digest it had. Source: security.md, 28. It refuses to know who may
read a file.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b, sha256
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from carnet.errors import Unverified
from carnet.types import ChainId, Millis
from carnet.vault.store import Connection

SALT_BYTES: Final = 16
_NONCE: Final = bytes(12)


def keep_file(
    connection: Connection, chain: ChainId, passport_key: bytes, data: bytes, *, salt: bytes, now: Millis
) -> str:
    """Keep a file, once for each passport; returns its SHA-256 in hexadecimal. `salt` is random (16 bytes)."""
    digest = sha256(data).hexdigest()
    own = compute_file_id(passport_key, digest)
    if connection.execute("SELECT 1 FROM attachment WHERE id = ?", (own,)).fetchone() is None:
        content = AESGCM(_derive(passport_key, salt)).encrypt(_NONCE, data, chain + own)
        connection.execute(
            "INSERT INTO attachment (id, chain, salt, content, size, created_ms) VALUES (?, ?, ?, ?, ?, ?)",
            (own, chain, salt, content, len(data), now),
        )
    return digest


def read_file(connection: Connection, chain: ChainId, passport_key: bytes, digest: str) -> bytes | None:
    """The file with this digest (hexadecimal), None where it is not kept. Raises Unverified("decrypt_failed") for
    one that was altered."""
    own = compute_file_id(passport_key, digest)
    row = connection.execute("SELECT salt, content FROM attachment WHERE id = ? AND chain = ?", (own, chain)).fetchone()
    if row is None:
        return None
    try:
        data = AESGCM(_derive(passport_key, bytes(row[0]))).decrypt(_NONCE, bytes(row[1]), chain + own)
    except InvalidTag:
        raise Unverified("decrypt_failed", "a kept file does not open") from None
    if sha256(data).hexdigest() != digest:
        raise Unverified("decrypt_failed", "a kept file is another one")
    return data


def find_kept(connection: Connection, chain: ChainId, passport_key: bytes, digests: Iterable[str]) -> set[str]:
    """Which of these digests (hexadecimal) are kept with a passport."""
    rows = connection.execute("SELECT id FROM attachment WHERE chain = ?", (chain,)).fetchall()
    kept = {bytes(row[0]) for row in rows}
    return {digest for digest in digests if compute_file_id(passport_key, digest) in kept} if kept else set()


def measure_files(connection: Connection, chain: ChainId) -> int:
    """Bytes kept with a passport."""
    row = connection.execute("SELECT coalesce(sum(size), 0) FROM attachment WHERE chain = ?", (chain,)).fetchone()
    return int(row[0])


def list_chains(connection: Connection) -> list[ChainId]:
    """The passports that keep files."""
    return [bytes(row[0]) for row in connection.execute("SELECT DISTINCT chain FROM attachment").fetchall()]


def list_ids(connection: Connection, chain: ChainId) -> list[bytes]:
    """The ids of the files of a passport."""
    return [
        bytes(row[0]) for row in connection.execute("SELECT id FROM attachment WHERE chain = ?", (chain,)).fetchall()
    ]


def drop_files(connection: Connection, chain: ChainId, ids: Iterable[bytes] | None = None) -> int:
    """Delete files of a passport: those with these ids (`compute_file_id`), or all. Returns how many there were."""
    if ids is None:
        return int(connection.execute("DELETE FROM attachment WHERE chain = ?", (chain,)).rowcount)
    query = "DELETE FROM attachment WHERE chain = ? AND id = ?"
    return sum(int(connection.execute(query, (chain, own)).rowcount) for own in ids)


def compute_file_id(passport_key: bytes, digest: str) -> bytes:
    """The id under which a passport keeps a file, 32 bytes; without the passport's key nobody ties it to the digest."""
    return blake2b(digest.encode(), digest_size=32, key=passport_key, person=b"carnet/file-id").digest()


def _derive(passport_key: bytes, salt: bytes) -> bytes:
    return blake2b(b"", digest_size=32, key=passport_key, salt=salt, person=b"carnet/file-key").digest()
