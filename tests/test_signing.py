"""Signatures: the rule at its edges, derived here from the curve itself."""

from __future__ import annotations

import hashlib
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carnet.signing import SignatureCache, Signer, is_strict_point, key_digest, verify, verify_cached

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
SEED = bytes(range(32))


def compute_small_order_ordinates() -> set[int]:
    """The y of every point whose order divides 8, by doubling: 8·Q = 0 iff y(4·Q) is 1 or -1."""
    # Orders 1, 2 and 4 have y = 1, -1, 0. Order 8 doubles to y = 0: y² + x² = 0 with x² = (y² - 1) / (d·y² + 1).
    found = {0, 1, P - 1}
    # d·y⁴ + 2·y² - 1 = 0, so y² = (-1 ± √(1 + d)) / d.
    root = pow((1 + D) % P, (P + 3) // 8, P)
    if root * root % P != (1 + D) % P:
        root = root * pow(2, (P - 1) // 4, P) % P
    for sign in (1, -1):
        square = (-1 + sign * root) * pow(D, -1, P) % P
        y = pow(square, (P + 3) // 8, P)
        if y * y % P != square:
            y = y * pow(2, (P - 1) // 4, P) % P
        if y * y % P == square:
            found |= {y, P - y}
    return found


def test_is_strict_point__refuses_exactly_the_small_orders_and_the_second_spellings() -> None:
    ordinates = compute_small_order_ordinates()
    assert len(ordinates) == 5
    for y in ordinates:
        for sign in (0, 1 << 255):
            assert not is_strict_point((y | sign).to_bytes(32, "little"))
    for y in range(P, 2**255):
        for sign in (0, 1 << 255):
            assert not is_strict_point((y | sign).to_bytes(32, "little"))
    for y in (2, 3, P - 2, 2**254):
        assert is_strict_point(y.to_bytes(32, "little"))
    assert not is_strict_point(bytes(31))
    assert not is_strict_point(b"\x02" + bytes(32))


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=200))
def test_sign__verifies(seed: bytes, message: bytes) -> None:
    signer = Signer(seed)
    signature = signer.sign(message)
    assert len(signature) == 64
    assert verify(signer.public, message, signature)
    assert not verify(signer.public, message + b"x", signature)


@given(st.integers(0, 64 * 8 - 1), st.integers(0, 32 * 8 - 1))
def test_verify__refused_one_flipped_bit(signature_bit: int, key_bit: int) -> None:
    signer = Signer(SEED)
    signature = signer.sign(b"message")
    assert not verify(signer.public, b"message", _flipped(signature, signature_bit))
    assert not verify(_flipped(signer.public, key_bit), b"message", signature)


def test_verify__refused_the_same_s_plus_the_order() -> None:
    signer = Signer(SEED)
    signature = signer.sign(b"message")
    s = int.from_bytes(signature[32:], "little")
    assert s + L < 2**256
    assert not verify(signer.public, b"message", signature[:32] + (s + L).to_bytes(32, "little"))


@pytest.mark.parametrize("size", [0, 63, 65, 128])
def test_verify__refused_other_sizes(size: int) -> None:
    signer = Signer(SEED)
    assert not verify(signer.public, b"message", (signer.sign(b"message") * 3)[:size])
    assert not verify((signer.public * 3)[: size or 31], b"message", signer.sign(b"message"))


def test_key_digest__is_that_of_the_format() -> None:
    signer = Signer(SEED)
    expected = hashlib.sha256(b"carnet/1/key\n\x01" + signer.public).digest()
    assert key_digest(signer.public) == signer.digest == expected
    with pytest.raises(ValueError, match="32 bytes"):
        key_digest(b"short")


def test_signer__never_shows_its_secret() -> None:
    signer = Signer(SEED)
    assert SEED.hex() not in repr(signer) + str(signer)
    assert repr(signer) == f"Signer({signer.digest.hex()[:16]}…)"
    with pytest.raises(TypeError, match="not serialised"):
        pickle.dumps(signer)
    with pytest.raises(ValueError, match="32 bytes"):
        Signer(b"short")


def test_verify_cached__says_what_verify_says_and_stays_small() -> None:
    cache = SignatureCache(capacity=8)
    signer = Signer(SEED)
    for number in range(20):
        message = b"%d" % number
        signature = signer.sign(message)
        for _ in range(2):
            assert verify_cached(cache, signer.public, message, signature)
            assert not verify_cached(cache, signer.public, message + b"x", signature)
        assert len(cache) <= 8
    # Bytes moved from one part to its neighbour are another question, not the same one.
    signature = signer.sign(b"ab")
    assert cache.verify(signer.public, b"ab", signature)
    assert not cache.verify(signer.public, b"b", signature + b"a")
    with pytest.raises(ValueError, match="at least one"):
        SignatureCache(0)


def _flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)
