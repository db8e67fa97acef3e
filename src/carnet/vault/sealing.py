"""How contents are kept: each passport under its own key, each entry under the key that its own secret gives.

    key-encryption key ─wraps─▶ passport key ─wraps─▶ statement secret ─expands to─▶ content key, salts   (clause 2.1)

Every key encrypts one message only, so the nonce is fixed. What is destroyed on one line makes all to its right
unreadable: that is how a passport, or an entry, is erased. It refuses to know where any of it is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from itertools import repeat
from typing import Final, NamedTuple

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from carnet.encoding import encode_trusted, sha256
from carnet.errors import Unverified
from carnet.kernel import kernel

KEY_BYTES: Final = 32
BLIND_BYTES: Final = 16
SOURCE_BYTES: Final = 16

_NONCE: Final = bytes(12)
_SUBJECT_KEY: Final = b"carnet/vault/subject\n"
_reader = msgspec.json.Decoder(list[object])
_read = msgspec.json.Decoder().decode


def wrap(key: bytes, secret: bytes) -> bytes:
    """`secret` (32 bytes) under `key`, by RFC 3394: 40 bytes."""
    return aes_key_wrap(key, secret)


def wrap_all(keys: Iterable[bytes], secrets: Iterable[bytes]) -> list[bytes]:
    """Each secret under the key beside it, as `wrap` does."""
    return list(map(aes_key_wrap, keys, secrets))


def unwrap(key: bytes, wrapped: bytes) -> bytes:
    """The secret that `wrap` took; raises Unverified("unwrap_failed") for any other key or bytes."""
    try:
        secret = aes_key_unwrap(key, wrapped)
    except (InvalidUnwrap, ValueError):
        raise Unverified("unwrap_failed", "a wrapped key does not open") from None
    if len(secret) != KEY_BYTES:
        raise Unverified("unwrap_failed", "a wrapped key has another size")
    return secret


def unwrap_all(key: bytes, wrapped: Sequence[bytes]) -> list[bytes]:
    """The same for many, all under one key."""
    try:
        secrets = list(map(aes_key_unwrap, repeat(key), wrapped))
    except (InvalidUnwrap, ValueError):
        raise Unverified("unwrap_failed", "a wrapped key does not open") from None
    if not {KEY_BYTES}.issuperset(map(len, secrets)):
        raise Unverified("unwrap_failed", "a wrapped key has another size")
    return secrets


def compute_blind(index_key: bytes, subject: bytes) -> bytes:
    """The blind index of a subject, from its `cj` bytes: 16 bytes that say nothing without the node's index key."""
    keyed = _begin_digest(index_key, b"carnet/blind", BLIND_BYTES).copy()
    keyed.update(subject)
    return keyed.digest()


def compute_blinds(index_key: bytes, subjects: Iterable[bytes]) -> list[bytes]:
    """The same for many subjects."""
    return compute_digests(index_key, b"carnet/blind", BLIND_BYTES, subjects)


def compute_journal_name(index_key: bytes, passport: bytes, epoch: int) -> str:
    """The value of the subject of a holder's journal, 32 hexadecimal digits: found again by who has the index key, and
    by nobody else tied to its passport or to the journal of another epoch."""
    told = passport + epoch.to_bytes(8, "big")
    return blake2b(told, digest_size=BLIND_BYTES, key=index_key, person=b"carnet/journal").hexdigest()


def compute_source_digest(index_key: bytes, row: bytes) -> bytes:
    """The keyed digest (16 bytes) by which a source row is known again; of the row's bytes as they were read."""
    keyed = _begin_digest(index_key, b"carnet/source", SOURCE_BYTES).copy()
    keyed.update(row)
    return keyed.digest()


def compute_source_digests(index_key: bytes, rows: Iterable[bytes]) -> list[bytes]:
    """The same for many rows."""
    return compute_digests(index_key, b"carnet/source", SOURCE_BYTES, rows)


def _compute_digests(key: bytes, person: bytes, size: int, messages: Iterable[bytes]) -> list[bytes]:
    begin, digests = _begin_digest(key, person, size).copy, list[bytes]()
    for one in messages:
        keyed = begin()
        keyed.update(one)
        digests.append(keyed.digest())
    return digests


@lru_cache(maxsize=16)
def _begin_digest(key: bytes, person: bytes, size: int) -> blake2b:
    """A keyed digest of nothing yet, to be copied: the key is a block of its own, and half of a short row's time."""
    return blake2b(digest_size=size, key=key, person=person)


compute_digests: Final[Callable[[bytes, bytes, int, Iterable[bytes]], list[bytes]]] = (
    _compute_digests if kernel is None else kernel.compute_digests
)
"""The keyed digest of each message: key, personalisation and size are those of BLAKE2b (RFC 7693)."""


def encrypt_subject(passport_key: bytes, chain: bytes, subject: bytes) -> bytes:
    """The subject's `cj` under a key of its own, derived from the passport's; bound to the chain's id."""
    return AESGCM(sha256(_SUBJECT_KEY + passport_key)).encrypt(_NONCE, subject, chain)


def decrypt_subject(passport_key: bytes, chain: bytes, data: bytes) -> bytes:
    """The subject's `cj`; raises Unverified("decrypt_failed")."""
    return _decrypt(sha256(_SUBJECT_KEY + passport_key), data, chain)


class Packing(NamedTuple):
    """Where the fields of a kind stand that are packed in a way of their own."""

    names: tuple[str, ...]
    kind_at: int
    occurred_at: int
    subject_at: int

    @classmethod
    def of(cls, names: Sequence[str]) -> Packing:
        """For a kind with these names, in ascending order."""
        return cls(tuple(names), names.index("kind"), names.index("occurred"), names.index("subject"))


def pack_values(
    values: Sequence[bytes], packing: Packing, occurred: Mapping[str, object], is_own_subject: bool
) -> bytes:
    """Canonical values in ascending name order, one a line: canonical JSON has no raw line end.

    Left out are the kind (its row has it), nulls, the names within `occurred`, and the passport's own subject.
    """
    kept = [b"" if value == b"null" else value for value in values]
    kept[packing.occurred_at] = encode_trusted([occurred["at"], occurred["precision"], occurred["zone"]])
    if is_own_subject:
        kept[packing.subject_at] = b""
    del kept[packing.kind_at]
    return b"\n".join(kept)


def unpack_values(data: bytes, packing: Packing, kind: str, subject: bytes) -> dict[str, object]:
    """The complete fields of an entry of this kind, and of the passport whose subject has this `cj`; raises
    Unverified("content_malformed")."""
    return unpack_encoded(data, packing, kind, subject)[0]


def unpack_encoded(
    data: bytes, packing: Packing, kind: str, subject: bytes
) -> tuple[dict[str, object], Sequence[bytes]]:
    """As `unpack_values`, and with the `cj` of each value, in the same order."""
    lines = data.split(b"\n")
    filled = [line or b"null" for line in lines]
    try:
        values = _reader.decode(b"[" + b",".join(filled) + b"]")
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise Unverified("content_malformed", "the contents are no values") from None
    # A null is left out, never written.
    if len(values) != len(packing.names) - 1 or b"null" in lines or list(map(encode_trusted, values)) != filled:
        raise Unverified("content_malformed", "the contents are not those of this kind")
    values.insert(packing.kind_at, kind)
    filled.insert(packing.kind_at, encode_trusted(kind))
    occurred = values[packing.occurred_at]
    if not isinstance(occurred, list) or len(occurred) != 3:
        raise Unverified("content_malformed", "the contents do not say when")
    when = values[packing.occurred_at] = dict(zip(("at", "precision", "zone"), occurred, strict=True))
    filled[packing.occurred_at] = encode_trusted(when)
    if values[packing.subject_at] is None:
        values[packing.subject_at] = _read(subject)
        filled[packing.subject_at] = subject
    return dict(zip(packing.names, values, strict=True)), filled


def encrypt_content(content_key: bytes, chain: bytes, sid: bytes, content: bytes) -> bytes:
    """The packed values under the statement's content key, bound to chain and statement."""
    return AESGCM(content_key).encrypt(_NONCE, content, chain + sid)


def encrypt_contents(
    content_keys: Iterable[bytes], chains: Iterable[bytes], sids: Iterable[bytes], contents: Iterable[bytes]
) -> list[bytes]:
    """The same for many statements, of which the parts stand side by side."""
    return [
        AESGCM(key).encrypt(_NONCE, content, chain + sid)
        for key, chain, sid, content in zip(content_keys, chains, sids, contents, strict=True)
    ]


def decrypt_content(content_key: bytes, chain: bytes, sid: bytes, data: bytes) -> bytes:
    """The packed values; raises Unverified("decrypt_failed")."""
    return _decrypt(content_key, data, chain + sid)


def encrypt_answer(key: bytes, answer: bytes) -> bytes:
    """What was answered to a request, under a key (64 bytes) of that request alone. Of two answers under one key nobody
    learns more than whether they are the same: a request may be taken over, and answered twice."""
    return AESSIV(key).encrypt(answer, None)


def decrypt_answer(key: bytes, data: bytes) -> bytes:
    """The answer; raises Unverified("decrypt_failed")."""
    try:
        return AESSIV(key).decrypt(data, None)
    except (InvalidTag, ValueError):
        raise Unverified("decrypt_failed", "a kept answer does not open") from None


def _decrypt(key: bytes, data: bytes, context: bytes) -> bytes:
    try:
        return AESGCM(key).decrypt(_NONCE, data, context)
    except (InvalidTag, ValueError):
        raise Unverified("decrypt_failed", "encrypted contents do not open") from None
