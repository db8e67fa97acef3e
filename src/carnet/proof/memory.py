"""What a verifier keeps from one bundle to the next: signatures, and the parts that bundles of one network share.

A part is known again by all of its bytes, and a check by all that goes into it; only what held is kept. Most of what
bundles of one moment share is their *ground* (checkpoint, genesis, records, members, rules): it is known again as a
whole, and what clauses 5.4.1 to 5.4.5 ask of it was then asked before. A bundle is judged as if nothing were kept: what
is new in it, or does not hold, takes the long way. `carnet verify` of many files is such a verifier, and so is a
program that judges many bundles by `verify_bundle`; a node judges what strangers send it without one, since it says
that it keeps nothing of them. It refuses to outlive whoever made it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final, TypeVar

from carnet.proof.parts import Ground
from carnet.signing import SignatureCache

T = TypeVar("T")

MAX_PARTS: Final = 1024
"""Parts and checks that are kept: a few kilobytes each, and never larger than the bundle that they came from."""

MAX_BYTES: Final = 64 * 1024
"""Larger bundles share little, and are judged without a memory: what strangers send must not fill it."""


class Memory(SignatureCache):
    """A cache of signatures that also knows parts of bundles again. For one thread."""

    def __init__(self, capacity: int = 4096) -> None:
        super().__init__(capacity)
        self._kept: OrderedDict[tuple[object, ...], tuple[object, Any]] = OrderedDict()
        self.last_ground: tuple[bytes, bytes, Ground] | None = None
        """How the ground of the last bundle was spelled, in two pieces, and what was read."""

    def once(self, key: tuple[object, ...], part: object, make: Callable[[], T]) -> T:
        """What `make` gives, made once for a key. `part` is kept with it, so that a key may hold its `id`."""
        found = self._kept.get(key)
        if found is None:
            found = self._kept[key] = (part, make())
            if len(self._kept) > MAX_PARTS:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(key)
        made: T = found[1]
        return made
