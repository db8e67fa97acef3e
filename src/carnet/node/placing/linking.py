"""Linking statements of which nothing is special, one after the other: nearly all that an import brings.

One call links a run of them, in the kernel where there is one. It refuses to judge: what is special about a statement,
and whether its author may say it, `placing` looks at.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from carnet.encoding import sha256, tag
from carnet.kernel import kernel
from carnet.node.jobs import Row
from carnet.passport.statement import NO_TARGET
from carnet.vault.codes import ELSEWHERE, IN_VAULT
from carnet.vault.store import Blob

_LINK: Final = tag("link")
_SEQ_EPOCH: Final = struct.Struct(">QI").pack
_MARK_BYTES: Final = tuple(bytes((mark,)) for mark in range(5))
_ZERO_MARK: Final = bytes(1) + NO_TARGET


Frame: TypeAlias = tuple[int, int, int, int]
"""What is the same for all entries of a run: basis, number of the submission, the seal's log index, and the time of
acceptance (ms)."""

Place: TypeAlias = tuple[int, bytes, int, int, bytes]
"""Where a run goes on: the chain's number and id, and the seq, epoch and id of its newest link."""


Linked: TypeAlias = tuple[bytes, list[bytes], list[tuple[object, ...]], list[tuple[object, ...]], list[tuple[Any, ...]]]
"""A run: the id of its last link, the hashes of the leaves, the rows of `entry` that have a source and those that have
none, and the parts of the receipts."""

LinkPlain: TypeAlias = Callable[[Sequence[Row], int, dict[str, int], int, Place, Frame, bytes, int, int], Linked]


def hash_link(
    chain16: bytes, seq: int, epoch: int, prev: bytes, sid: bytes, mark: int, target: bytes, signed: bytes
) -> tuple[bytes, bytes]:
    """The id of a link, and the hash of its leaf in a batch. Spec: 2.11."""
    marks = _MARK_BYTES[mark] + target if mark else _ZERO_MARK
    link = b"".join((_LINK, chain16, _SEQ_EPOCH(seq, epoch), prev, sid, marks, signed))
    return sha256(link), sha256(b"\x00" + link)


def _link_plain(
    rows: Sequence[Row],
    first: int,
    kinds: dict[str, int],
    class_: int,
    place: Place,
    frame: Frame,
    signed: bytes,
    index: int,
    room: int,
) -> Linked:
    (number, chain16, seq, epoch, id_), (basis, submission, seal, accepted_ms) = place, frame
    leaves, receipts = list[bytes](), list[tuple[Any, ...]]()
    entries, bare_entries = list[tuple[object, ...]](), list[tuple[object, ...]]()
    for at, row in enumerate(rows[first : first + max(room, 0)], index):
        kind_id = kinds.get(row.kind)
        if kind_id is None or row.class_ != class_ or row.mark or row.alias is not None:
            break
        seq += 1
        own = signed[32 * row.sub_index : 32 * row.sub_index + 32]
        id_, leaf = hash_link(chain16, seq, epoch, id_, row.sid, 0, NO_TARGET, own)
        leaves.append(leaf)
        begins = number, seq, kind_id, basis, class_, 0, Blob(row.sid), submission, row.sub_index, seal, at
        where, content = (ELSEWHERE, None) if row.content is None else (IN_VAULT, Blob(row.content))
        if row.source is None:
            bare_entries.append((*begins, where, Blob(row.secret), content))
        else:
            entries.append((*begins, where, Blob(row.source), Blob(row.secret), content))
        receipts.append((row.place, chain16, seq, row.sid, seal, own, accepted_ms))
    return id_, leaves, entries, bare_entries, receipts


link_plain: Final[LinkPlain] = _link_plain if kernel is None else kernel.link_plain
"""Link the statements from the place `first` on, as a `Linked`: those of `kinds` (with their numbers) and this class,
without a mark or an alias, up to the first that is none, or until so many are linked as there is `room` for. They go
on from a `Place`, all with one `Frame`; `signed` has what clause 2.11 says of each statement of the submission, and
`index` is the first one's place in its batch. Spec: 2.11.
"""
