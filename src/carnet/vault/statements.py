"""One statement sealed, from the canonical bytes of its fields: its id, its leaf, and its contents as they are kept.

The hot path of `prepare`: one call for an entry. It refuses to know who signs it, and where it will stand.
Spec: docs/spec/2-entries.md, clauses 2.1 to 2.6; the contents are those of `vault.sealing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, cast

import msgspec

from carnet.encoding import lp, sha256
from carnet.kernel import kernel
from carnet.passport.fields import get_sealer
from carnet.vault.sealing import Packing, pack_values

_split = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_join = msgspec.json.Encoder().encode


class Sealed(NamedTuple):
    """A statement that is ready to be signed. `content_key` and `content` are secret; `other_subject` is the `cj` of
    its subject where that is not the passport's own."""

    content_key: bytes
    sid: bytes
    leaf: bytes
    content: bytes
    other_subject: bytes | None


class StatementSealer:
    """Seals statements whose fields have these names, in ascending order."""

    __slots__ = ("_framed", "_names", "_packing")

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._framed = tuple([lp(name.encode()) for name in names])
        self._packing = Packing.of(names)

    def seal(self, fields: bytes, secret: bytes, head: bytes, target: bytes, subject: bytes) -> Sealed:
        """Seal `fields`, the `cj` of all of them. `head` is the statement up to its mark (118 bytes), `subject` the
        `cj` of the passport's own.

        Raises ValueError for the fields of another kind, which is a fault of ours.
        """
        if kernel is not None:
            # A plain tuple of the same five: naming them costs as much as a hash.
            return cast("Sealed", kernel.seal_statement(self._framed, fields, secret, head, target, subject))
        return self._seal(fields, secret, head, target, subject)

    def _seal(self, fields: bytes, secret: bytes, head: bytes, target: bytes, subject: bytes) -> Sealed:
        values = [bytes(value) for value in _take_apart(fields, self._names).values()]
        content_key, root = get_sealer(self._names).seal(values, secret)
        statement = head + target + root
        found = values[self._packing.subject_at]
        is_own = found == subject
        occurred = _take_apart(values[self._packing.occurred_at], ("at", "precision", "zone"))
        content = pack_values(values, self._packing, occurred, is_own)
        return Sealed(content_key, sha256(statement), sha256(b"\x00" + statement), content, None if is_own else found)


def _take_apart(fields: bytes, names: tuple[str, ...]) -> dict[str, msgspec.Raw]:
    """The canonical values of an object that has these names."""
    try:
        found = _split(fields)
    except (msgspec.DecodeError, UnicodeError):
        found = {}
    if tuple(found) != names or _join(found) != fields:
        raise ValueError("these fields are not those of their kind, in canonical JSON")
    return found


@lru_cache(maxsize=256)
def get_statement_sealer(names: tuple[str, ...]) -> StatementSealer:
    """The sealer of a kind's names, made once."""
    return StatementSealer(names)
