"""Ed25519 signatures under one rule that every verifier of Carnet applies alike.

Libraries disagree about edge cases of Ed25519 (of the 914 CCTV vectors, most split some pair of them). So the edges are
refused here, before the library is asked: S not below the group order, a point that is not canonically encoded, a point
of small order. What is left is the plain cofactorless equation, on which all agree. This module knows no key's owner
and keeps no key: secrets come in, and only signatures go out.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache
from typing import Final

from nacl import bindings, exceptions

from carnet.encoding import sha256, tag

ALG_ED25519: Final = 1
"""The only signature algorithm of format version 1."""

SEED_BYTES: Final = 32
PUBLIC_KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64

MAX_KEPT_BYTES: Final = 512
"""What a cache remembers as it stands, of a key, a signature and a message together: most messages are shorter, and
need no hash. Of the others it keeps the digest, which cannot be taken for them: it is shorter than any."""

_P: Final = 2**255 - 19
_L: Final = 2**252 + 27742317777372353535851937790883648493
_SIGN_BIT: Final = 1 << 255

# The ordinates of the eight points whose order divides 8: order 1 (y = 1), 2 (y = -1), 4 (y = 0) and 8 (two values,
# each other's opposite). The abscissa's sign does not matter: both points of such an ordinate are of small order, so
# both are refused, and with them every encoding of "x = 0 with the sign bit set". A test derives these numbers from the
# curve.
_Y8: Final = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
_SMALL_ORDER_Y: Final = frozenset({0, 1, _P - 1, _Y8, _P - _Y8})
_SMALL_ORDER: Final = frozenset((y | sign).to_bytes(32, "little") for y in _SMALL_ORDER_Y for sign in (0, _SIGN_BIT))

_KEY_TAG: Final = tag("key")


@lru_cache(maxsize=1024)
def key_digest(public: bytes) -> bytes:
    """The 32 bytes that name an Ed25519 public key in every record: H(T(key) ‖ u8 alg ‖ public key)."""
    if len(public) != PUBLIC_KEY_BYTES:
        raise ValueError("an Ed25519 public key has 32 bytes")
    return key_digest_of(ALG_ED25519, public)


def key_digest_of(alg: int, public: bytes) -> bytes:
    """As `key_digest`, for a key of any algorithm and size."""
    return sha256(_KEY_TAG + bytes((alg,)) + public)


def is_strict_point(encoded: bytes) -> bool:
    """Whether 32 bytes are a canonical encoding (y < p) that is not of small order. It may still lie off the curve."""
    if len(encoded) != 32 or encoded in _SMALL_ORDER:
        return False
    # Few ordinates begin with all the bits that p begins with.
    return encoded[31] & 0x7F != 0x7F or int.from_bytes(encoded, "little") & ~_SIGN_BIT < _P


_is_strict_key = lru_cache(256)(is_strict_point)
"""Few keys sign much."""


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` (64 bytes) is `public`'s over `message`, by the format's rule. Never raises for bad bytes."""
    if len(signature) != SIGNATURE_BYTES or not _is_strict_key(public):
        return False
    # Few ordinates begin with all the bits that p begins with, and L is a little more than 2^252: few S come near it.
    point = signature[:32]
    if point in _SMALL_ORDER or (point[31] & 0x7F == 0x7F and not is_strict_point(point)):
        return False
    if signature[63] >= 0x10 and int.from_bytes(signature[32:], "little") >= _L:
        return False
    try:
        bindings.crypto_sign_open(signature + message, public)
    except exceptions.CryptoError:
        return False
    return True


class Signer:
    """One Ed25519 key pair that can sign; its seed never appears in a representation, an error or a pickle."""

    __slots__ = ("_secret", "digest", "public")

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise ValueError("an Ed25519 seed has 32 bytes")
        self.public, self._secret = bindings.crypto_sign_seed_keypair(seed)
        self.digest = key_digest(self.public)

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature of `message`; deterministic (RFC 8032 §5.1.6)."""
        return bindings.crypto_sign(message, self._secret)[:SIGNATURE_BYTES]

    def __repr__(self) -> str:
        return f"Signer({self.digest.hex()[:16]}…)"

    def __reduce__(self) -> str:
        raise TypeError("a signer is not serialised: its secret stays where it is")


class SignatureCache:
    """Verdicts of signature checks already made, at most `capacity` of them; the oldest used is forgotten first.

    Many statements of one file share one submission and one signature. The cache is an object that is passed in, so
    that a verdict never outlives the reader that asked for it. The key covers public key, message and signature: a
    verdict cannot be misapplied.
    """

    def __init__(self, capacity: int = 4096) -> None:
        if capacity < 1:
            raise ValueError("a cache holds at least one verdict")
        self._capacity = capacity
        self._verdicts: OrderedDict[bytes, bool] = OrderedDict()

    def __len__(self) -> int:
        return len(self._verdicts)

    def verify(self, public: bytes, message: bytes, signature: bytes) -> bool:
        """As `signing.verify`, asked only once for the same bytes."""
        if len(public) != PUBLIC_KEY_BYTES or len(signature) != SIGNATURE_BYTES:
            return False
        key = public + signature + message
        if len(key) > MAX_KEPT_BYTES:
            key = sha256(key)
        verdict = self._verdicts.get(key)
        if verdict is None:
            verdict = verify(public, message, signature)
            self._verdicts[key] = verdict
            if len(self._verdicts) > self._capacity:
                self._verdicts.popitem(last=False)
        else:
            self._verdicts.move_to_end(key)
        return verdict


def verify_cached(cache: SignatureCache, public: bytes, message: bytes, signature: bytes) -> bool:
    """As `verify`, remembering the verdict in `cache`."""
    return cache.verify(public, message, signature)
