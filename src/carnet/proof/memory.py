"""What a verifier keeps from one bundle to the next: signatures, and the parts that bundles of one network share.

A part is known again by its bytes, and a check by all that goes into it; only what held is kept. A bundle is judged as
if nothing were: what is new in it, or does not hold, takes the long way. It refuses to outlive whoever made it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec

from carnet.encoding import MAX_DEPTH, decode
from carnet.signing import SignatureCache

T = TypeVar("T")

MAX_PARTS: Final = 1024
"""Parts and checks that are kept; a few kilobytes each."""

MAX_BYTES: Final = 128 * 1024
"""Larger bundles share little, and are judged without a memory: what strangers send must not fill it."""


class RawBundle(msgspec.Struct, forbid_unknown_fields=True):
    """The members of a bundle, each as its bytes. Spec: 4.1."""

    carnet: msgspec.Raw
    census: msgspec.Raw
    checkpoint: msgspec.Raw
    genesis: msgspec.Raw
    links: msgspec.Raw
    members: msgspec.Raw
    records: msgspec.Raw
    rules: msgspec.Raw
    since: msgspec.Raw


_NAMES: Final = RawBundle.__struct_fields__
_raw_reader = msgspec.json.Decoder(RawBundle)
_list_reader = msgspec.json.Decoder(list[msgspec.Raw])


class Memory(SignatureCache):
    """A cache of signatures that also knows parts of bundles again. For one thread."""

    def __init__(self, capacity: int = 4096) -> None:
        super().__init__(capacity)
        self._kept: OrderedDict[tuple[object, ...], tuple[object, Any]] = OrderedDict()

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

    def read_part(self, name: str, raw: bytes, read: Callable[[object], T]) -> T:
        """What `read` makes of a part with these bytes, which stand within an object; raises as `decode` and `read`
        do."""
        return self.once((name, raw), None, lambda: read(decode_inside(raw, 1)))


def split_bundle(data: bytes) -> dict[str, bytes] | None:
    """The bytes of each member of a bundle whose outermost object is canonical; None for any other bytes."""
    try:
        raw = _raw_reader.decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    parts = {name: bytes(getattr(raw, name)) for name in _NAMES}
    spelled = b",".join([b'"%b":%b' % (name.encode(), part) for name, part in parts.items()])
    return parts if b"{" + spelled + b"}" == data else None


def split_list(raw: bytes) -> list[bytes] | None:
    """The items of a list without spaces between them; None for any other bytes."""
    try:
        items = [bytes(item) for item in _list_reader.decode(raw)]
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    return items if b"[" + b",".join(items) + b"]" == raw else None


def decode_inside(raw: bytes, depth: int) -> object:
    """As `decode`, of a value that stands so deep in its document."""
    return decode(raw, max_depth=MAX_DEPTH - depth)
