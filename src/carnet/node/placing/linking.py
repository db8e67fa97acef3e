"""Linking statements of which nothing is special, one after the other: nearly all that an import brings.

One call links the runs of many chains, in the kernel where there is one. It refuses to judge: what is special about a
statement, and whether its author may say it, `placing` looks at.
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
"""What is the same for all entries of a submission's part: basis, number of the submission, the seal's log index, and
the time of acceptance (ms)."""

Place: TypeAlias = tuple[int, bytes, int, int, bytes]
"""Where a chain goes on: its number and id, and the seq, epoch and id of its newest link."""


Linked: TypeAlias = tuple[
    list[Place],
    list[tuple[int, int, int]],
    dict[int, int],
    list[bytes],
    list[tuple[object, ...]],
    list[tuple[object, ...]],
    list[tuple[Any, ...]] | None,
]
"""What came of some runs: the place of each that was begun, as it is now; where its links stand (as
`vault.places.Run`); how many there are of each kind (its number); the hashes of the leaves; the rows of `entry` that
have a source and those that have none; and the parts of the receipts, if they were asked for."""

LinkPlain: TypeAlias = Callable[
    [Sequence[Sequence[Row]], Sequence[Place], dict[str, int], int, Frame, bytes, int, int, bool], Linked
]


def hash_link(
    chain16: bytes, seq: int, epoch: int, prev: bytes, sid: bytes, mark: int, target: bytes, signed: bytes
) -> tuple[bytes, bytes]:
    """The id of a link, and the hash of its leaf in a batch. Spec: 2.11."""
    marks = _MARK_BYTES[mark] + target if mark else _ZERO_MARK
    link = b"".join((_LINK, chain16, _SEQ_EPOCH(seq, epoch), prev, sid, marks, signed))
    return sha256(link), sha256(b"\x00" + link)


def _link_plain(
    runs: Sequence[Sequence[Row]],
    places: Sequence[Place],
    kinds: dict[str, int],
    class_: int,
    frame: Frame,
    signed: bytes,
    index: int,
    room: int,
    is_quiet: bool,
) -> Linked:
    basis, submission, seal, accepted_ms = frame
    ends, spots, counts, leaves = list[Place](), list[tuple[int, int, int]](), dict[int, int](), list[bytes]()
    entries, bare_entries, receipts = list[tuple[object, ...]](), list[tuple[object, ...]](), list[tuple[Any, ...]]()
    for rows, (number, chain16, before, epoch, id_) in zip(runs, places, strict=True):
        seq = before
        for row in rows[: max(room - len(leaves), 0)]:
            kind_id = kinds.get(row.kind)
            if kind_id is None or row.class_ != class_ or row.mark or row.alias is not None:
                break
            seq += 1
            own = signed[32 * row.sub_index : 32 * row.sub_index + 32]
            id_, leaf = hash_link(chain16, seq, epoch, id_, row.sid, 0, NO_TARGET, own)
            at = index + len(leaves)
            leaves.append(leaf)
            counts[kind_id] = counts.get(kind_id, 0) + 1
            begins = number, seq, kind_id, basis, class_, 0, Blob(row.sid), submission, row.sub_index, seal, at
            where, content = (ELSEWHERE, None) if row.content is None else (IN_VAULT, Blob(row.content))
            if row.source is None:
                bare_entries.append((*begins, where, Blob(row.secret), content))
            else:
                entries.append((*begins, where, Blob(row.source), Blob(row.secret), content))
            receipts.append((row.place, chain16, seq, row.sid, seal, own, accepted_ms))
        ends.append((number, chain16, seq, epoch, id_))
        if seq > before:
            spots.append((number, before + 1, seq - before))
        if seq - before < len(rows):
            break
    return ends, spots, counts, leaves, entries, bare_entries, None if is_quiet else receipts


link_plain: Final[LinkPlain] = _link_plain if kernel is None else kernel.link_plain
"""Link statements run by run, each behind the `Place` of its chain, as a `Linked`: those of `kinds` (with their
numbers) and this class, without a mark or an alias, up to the first that is none, or until so many are linked as
there is `room` for. No two runs are of one chain. All have one `Frame`; `signed` has what clause 2.11 says of each
statement of the submission, and `index` is the first one's place in its batch. Quiet, no receipts come of it. Spec:
2.11.
"""
