"""Chance that is none: numbers drawn from a seed and a label, the same on every machine and under every hash seed.

A pure room may not import chance. Only for invented data: never for a key, a nonce or a secret.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import TypeVar

T = TypeVar("T")


class Draws:
    """A stream of draws: the n-th is SHA-256 of seed, label and n."""

    def __init__(self, seed: int, label: str) -> None:
        self._start = sha256(f"carnet fleet {seed} {label}".encode())
        self._count = 0

    def take_bytes(self) -> bytes:
        """The next 32 bytes."""
        state = self._start.copy()
        state.update(self._count.to_bytes(8, "big"))
        self._count += 1
        return state.digest()

    def below(self, limit: int) -> int:
        """A whole number from 0 to limit - 1; the bias of the remainder is below 2^-40 for any limit used here."""
        return int.from_bytes(self.take_bytes()[:8], "big") % limit

    def between(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return low + self.below(high - low + 1)

    def chance(self, per_mille: int) -> bool:
        """True so many times in a thousand."""
        return self.below(1000) < per_mille

    def choose(self, choices: Sequence[T]) -> T:
        """One of the choices, each as often."""
        return choices[self.below(len(choices))]

    def sample(self, choices: Sequence[T], count: int) -> list[T]:
        """`count` different choices (all of them if there are fewer), in the order drawn."""
        left = list(choices)
        return [left.pop(self.below(len(left))) for _ in range(min(count, len(left)))]
