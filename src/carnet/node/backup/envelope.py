"""The sealed file of a backup: a header in clear, then a stream in chunks that can be neither changed, cut, swapped nor
joined from two files.

    magic ‖ u32 n ‖ header (n bytes of cj) ‖ check (16) ‖ (u32 length, top bit: the last one ‖ ciphertext)…

The key of the chunks comes from a passphrase or from an X25519 exchange, and from every byte of the header. The nonce
of a chunk is its number and whether it is the last. Memory holds one chunk. It refuses to know what is in the stream.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Any, Final, cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from carnet.encoding import b64, decode, encode, u32, unb64
from carnet.errors import Reason, Refused, Unverified
from carnet.node.keyring import ARGON2, RandomBytes, derive_key

MAGIC: Final = b"carnet backup 1\n"
CHUNK_BYTES: Final = 1024 * 1024
MAX_HEADER_BYTES: Final = 16 * 1024
TAG_BYTES: Final = 16
RECIPIENT_PREFIX: Final = "carnet-backup:"

_CHECK_BYTES: Final = 16
_LAST: Final = 1 << 31

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Passphrase:
    """What a person remembers, or a file holds: it seals and it opens."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Recipient:
    """The public half of a backup key: it seals, and opens nothing."""

    public: bytes

    def format(self) -> str:
        """The text that `parse` reads."""
        return RECIPIENT_PREFIX + b64(self.public)

    @classmethod
    def parse(cls, text: str) -> Recipient:
        """Read a recipient; raises Refused(WRONG_TYPE)."""
        try:
            if not text.startswith(RECIPIENT_PREFIX):
                raise Unverified("malformed")
            return cls(unb64(text.removeprefix(RECIPIENT_PREFIX), 32))
        except Unverified:
            saying = f"a recipient is written {RECIPIENT_PREFIX}… (`carnet backup --new-key FILE` makes one)"
            raise Refused(Reason.WRONG_TYPE, saying) from None


@dataclass(frozen=True, slots=True)
class SecretKey:
    """The secret half, 32 bytes: it opens what was sealed for its recipient."""

    seed: bytes = field(repr=False)

    @property
    def recipient(self) -> Recipient:
        """Its public half."""
        return Recipient(X25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw())


Sealer = Passphrase | Recipient
Opener = Passphrase | SecretKey


class SealingWriter:
    """Writes bytes of any length to `file`, sealed. Only `finish` makes it whole."""

    def __init__(self, file: IO[bytes], about: Document, sealer: Sealer, random_bytes: RandomBytes) -> None:
        """Write the header. `about` is what everybody may read of the backup."""
        salt = random_bytes(32)
        key, secret = _make_secret(sealer, salt, random_bytes)
        header = encode({**about, "carnet": "backup/1", "chunk_bytes": CHUNK_BYTES, "key": key, "salt": b64(salt)})
        chunk_key, check = _derive(secret, salt, header)
        self._cipher = AESGCM(chunk_key)
        self._file, self._number, self._waiting = file, 0, bytearray()
        file.write(MAGIC + u32(len(header)) + header + check)

    def write(self, data: bytes | memoryview) -> None:
        """Take some bytes; a chunk goes out whenever one is full and more comes after it."""
        self._waiting += data
        while len(self._waiting) > CHUNK_BYTES:
            self._seal(bytes(self._waiting[:CHUNK_BYTES]), is_last=False)
            del self._waiting[:CHUNK_BYTES]

    def finish(self) -> None:
        """Write the last chunk, marked as such."""
        self._seal(bytes(self._waiting), is_last=True)
        self._waiting.clear()

    def _seal(self, data: bytes, *, is_last: bool) -> None:
        sealed = self._cipher.encrypt(_make_nonce(self._number, is_last), data, None)
        self._file.write(u32(len(sealed) | (_LAST if is_last else 0)))
        self._file.write(sealed)
        self._number += 1


@dataclass(frozen=True, slots=True)
class Header:
    """What stands in clear at the beginning of a backup, not verified before a chunk has opened."""

    document: Document
    data: bytes = field(repr=False)
    check: bytes = field(repr=False)

    @property
    def is_for_key(self) -> bool:
        """Whether a key file opens it, and no passphrase."""
        return "x25519" in self.document["key"]


def read_header(file: IO[bytes]) -> Header:
    """Read the header; raises Refused(UNREADABLE_FILE) for what is no backup, BACKUP_ALTERED for one that is cut."""
    if file.read(len(MAGIC)) != MAGIC:
        raise Refused(Reason.UNREADABLE_FILE, "this is not a backup of this program")
    size = int.from_bytes(_read(file, 4), "big")
    if size > MAX_HEADER_BYTES:
        raise _altered("its header cannot be that long")
    data = _read(file, size)
    try:
        document = cast("Document", decode(data))
        unb64(document["salt"], 32)
        key = document["key"]
        known = set(key) == {"argon2id"} and key["argon2id"] == ARGON2
        if not known:
            known = set(key) == {"x25519"} and len(unb64(key["x25519"], 32)) == 32
        known = known and document["carnet"] == "backup/1" and document["chunk_bytes"] == CHUNK_BYTES
    except (Unverified, Refused, KeyError, TypeError, AttributeError):
        raise _altered("its header cannot be read") from None
    if not known:
        raise _altered("its header asks for something that this version does not write")
    return Header(document, data, _read(file, _CHECK_BYTES))


def open_chunks(file: IO[bytes], header: Header, opener: Opener) -> Iterator[bytes]:
    """The bytes that were sealed, chunk by chunk; each is authentic when it comes, and only the end of the iteration
    says that it was all.

    Raises Refused(WRONG_PASSPHRASE) before the first, BACKUP_ALTERED at the first that is not what was written.
    """
    secret = _find_secret(header, opener)
    chunk_key, check = _derive(secret, unb64(header.document["salt"], 32), header.data)
    if not hmac.compare_digest(check, header.check):
        raise Refused(
            Reason.WRONG_PASSPHRASE,
            "the backup does not open with this secret (or its first bytes were altered)",
            of="backup",
        )
    return _open_chunks(file, AESGCM(chunk_key))


def _open_chunks(file: IO[bytes], cipher: AESGCM) -> Iterator[bytes]:
    number, is_last = 0, False
    while not is_last:
        length = int.from_bytes(_read(file, 4), "big")
        is_last, length = bool(length & _LAST), length & ~_LAST
        if not TAG_BYTES <= length <= CHUNK_BYTES + TAG_BYTES:
            raise _altered(f"chunk {number} cannot have {length} bytes")
        try:
            yield cipher.decrypt(_make_nonce(number, is_last), _read(file, length), None)
        except InvalidTag:
            raise _altered(f"chunk {number} is not the one that was written there") from None
        number += 1
    if file.read(1):
        raise _altered("something stands behind its end")


def _make_nonce(number: int, is_last: bool) -> bytes:
    # The key belongs to this file alone, so counting is enough; 2^32 chunks are four pebibytes.
    return bytes(7) + u32(number) + bytes((is_last,))


def _derive(secret: bytes, salt: bytes, header: bytes) -> tuple[bytes, bytes]:
    """(key of the chunks, check): both depend on every byte of the header."""
    info = b"carnet/backup/1\n" + header
    made = HKDF(algorithm=SHA256(), length=32 + _CHECK_BYTES, salt=salt, info=info).derive(secret)
    return made[:32], made[32:]


def _make_secret(sealer: Sealer, salt: bytes, random_bytes: RandomBytes) -> tuple[Document, bytes]:
    if isinstance(sealer, Passphrase):
        return {"argon2id": dict(ARGON2)}, derive_key(sealer.text, salt)
    ours = X25519PrivateKey.from_private_bytes(random_bytes(32))
    public = ours.public_key().public_bytes_raw()
    shared = _exchange(ours, sealer.public)
    return {"x25519": b64(public)}, shared + public + sealer.public


def _find_secret(header: Header, opener: Opener) -> bytes:
    salt = unb64(header.document["salt"], 32)
    if isinstance(opener, Passphrase) == header.is_for_key:
        wanted = "a key file: --key-file FILE" if header.is_for_key else "a passphrase: --passphrase-file FILE"
        raise Refused(Reason.WRONG_PASSPHRASE, f"this backup opens with {wanted}", of="backup")
    if isinstance(opener, Passphrase):
        return derive_key(opener.text, salt)
    public = unb64(header.document["key"]["x25519"], 32)
    shared = _exchange(X25519PrivateKey.from_private_bytes(opener.seed), public)
    return shared + public + opener.recipient.public


def _exchange(ours: X25519PrivateKey, theirs: bytes) -> bytes:
    try:
        return ours.exchange(X25519PublicKey.from_public_bytes(theirs))
    except ValueError:
        raise Refused(Reason.WRONG_TYPE, "that public key can hold no secret") from None


def _read(file: IO[bytes], count: int) -> bytes:
    data = file.read(count)
    if len(data) != count:
        raise _altered("it is cut")
    return data


def _altered(why: str) -> Refused:
    return Refused(Reason.BACKUP_ALTERED, f"this backup is not what was written: {why}", what=why)
