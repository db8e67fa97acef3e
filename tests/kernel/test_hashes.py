"""SHA-256, SHAKE-256 and BLAKE2b in C, with the instructions of this processor and without, beside what is known."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import ModuleType

import pytest

from tests.kernel.built import get_kernel, load
from tests.kernel.cases import BLOCK_BORDERS

SHA256 = {
    # FIPS 180-2, appendix B, and the empty message.
    b"": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    b"abc": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq": (
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    ),
    b"a" * 1_000_000: "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
}
BLAKE2B_OF_ABC = (
    "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1"
    "7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923"
)
"""RFC 7693, appendix A."""
SHAKE256_OF_NOTHING = "46b9dd2b0ba88d13233b3feb743eeb243fcd52ea62b81b82b50c27646ed5762f"


def test_instructions__are_left_out_of_the_plain_one(plain: Path) -> None:
    assert load(plain).HAS_INSTRUCTIONS == 0
    cpu = Path("/proc/cpuinfo")
    flags = set(cpu.read_text(encoding="utf-8").split()) if cpu.exists() else set()
    assert ({"sha_ni", "sse4_1", "ssse3"} <= flags) == get_kernel().HAS_INSTRUCTIONS


@pytest.mark.parametrize("message", SHA256, ids=lambda message: f"{len(message)} bytes")
def test_sha256__of_published_messages(kernel: ModuleType, message: bytes) -> None:
    assert kernel.sha256(message).hex() == SHA256[message]


def test_sha256__of_each_length_around_each_border(kernel: ModuleType) -> None:
    for byte in (0x00, 0x61, 0xFF):
        for size in (*range(513), *(64 * blocks + by for blocks in (15, 16, 63, 1_024) for by in range(-12, 3))):
            message = bytes([byte]) * size
            assert kernel.sha256(message) == hashlib.sha256(message).digest(), size


def test_sha256__taken_in_parts_of_each_length(kernel: ModuleType) -> None:
    # `hash_fields` hands over a tag, a number, then a name and a digest of each field: borders fall everywhere.
    for size in range(200):
        names = ((size).to_bytes(4, "big") + b"n" * size, b"\0\0\0\1z")
        message = b"carnet/1/fields\n\0\0\0\2" + names[0] + bytes(32) + names[1] + bytes(range(32))
        assert kernel.hash_fields(names, (bytes(32), bytes(range(32)))) == hashlib.sha256(message).digest(), size


def test_sha256__of_many_megabytes(kernel: ModuleType) -> None:
    message = bytes(range(256)) * 65_536
    assert kernel.sha256(message) == hashlib.sha256(message).digest()


def test_compute_digests__is_what_is_published(kernel: ModuleType) -> None:
    assert [digest.hex() for digest in kernel.compute_digests(b"", b"", 64, [b"abc"])] == [BLAKE2B_OF_ABC]


def test_shake256__of_nothing(kernel: ModuleType) -> None:
    assert kernel.shake256(b"", 32).hex() == SHAKE256_OF_NOTHING


def test_shake256__of_each_length_around_each_border(kernel: ModuleType) -> None:
    for size in (*range(280), *BLOCK_BORDERS):
        message = bytes(at * 7 & 255 for at in range(size))
        for wanted in (0, 1, 48, 135, 136, 137, 272, 1_000):
            assert kernel.shake256(message, wanted) == hashlib.shake_256(message).digest(wanted), (size, wanted)
