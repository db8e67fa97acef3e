"""What `compute_digests` is called with: keyed digests of messages of each length around each border of a block."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from carnet.vault import sealing
from tests.kernel.case import Arguments, Case

KEY, PERSON = bytes(range(32)), b"carnet/source"
SIZES = [*range(300), *(128 * blocks + by for blocks in (3, 4, 8, 512) for by in (-1, 0, 1))]
"""Sizes of messages; a block of BLAKE2b has 128 bytes."""


def _odd(random: Random) -> Iterator[Arguments]:
    yield KEY, PERSON, 16, [random.randbytes(size) for size in SIZES]
    for key_size in (0, 1, 31, 32, 33, 63, 64):
        for person_size in (0, 1, 13, 16):
            for size in (1, 7, 8, 16, 33, 64):
                messages = [random.randbytes(random.choice(SIZES)) for _ in range(random.randrange(5))]
                yield random.randbytes(key_size), random.randbytes(person_size), size, [*messages, b""]
    yield KEY, PERSON, 16, tuple(random.randbytes(3) for _ in range(1_000))
    yield KEY, PERSON, 16, {b"a": 1, b"b": 2}


DIGESTS = {
    "compute_digests": Case(
        sealing._compute_digests,
        [(KEY, PERSON, 16, [b"abc", b"", bytes(200)]), (b"", b"", 64, [b"abc"]), (KEY, PERSON, 16, [])],
        _odd,
        [
            (bytes(65), PERSON, 16, [b"abc"]),
            (KEY, bytes(17), 16, [b"abc"]),
            (KEY, PERSON, 0, [b"abc"]),
            (KEY, PERSON, 65, [b"abc"]),
            (KEY, PERSON, -1, [b"abc"]),
            (KEY, PERSON, 2**80, [b"abc"]),
            (KEY, PERSON, "16", [b"abc"]),
            ("key", PERSON, 16, [b"abc"]),
            (KEY, "person", 16, [b"abc"]),
            (KEY, PERSON, 16, [b"abc", "text"]),
            (KEY, PERSON, 16, [None]),
            (KEY, PERSON, 16, 7),
            (KEY, PERSON, 16),
        ],
    )
}
