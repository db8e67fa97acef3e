"""Values that were met lately, at hand for who meets them again.

Whole generations are let go of: to note of each value when it was used last took longer than to look it up again. It
refuses to know what the values are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """Values by their keys: `size` of them at least, and about twice as many at most."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._young, self._old = dict[K, V](), dict[K, V]()

    def keep(self, values: Mapping[K, V]) -> None:
        """Have these at hand, and let go of those that were kept longest ago if there are too many."""
        self._young |= values
        if len(self._young) >= self._size:
            self._young, self._old = {}, self._young

    def find(self, key: K) -> V | None:
        """The value of a key, if it is at hand."""
        return self._young.get(key) or self._old.get(key)

    def find_all(self, keys: Iterable[K]) -> dict[K, V]:
        """Those of these keys that are at hand."""
        return {key: values[key] for values in (self._old, self._young) for key in values.keys() & keys}

    def __iter__(self) -> Iterator[V]:
        yield from self._old.values()
        yield from self._young.values()

    def clear(self) -> None:
        """Forget all of them."""
        self._young, self._old = {}, {}
