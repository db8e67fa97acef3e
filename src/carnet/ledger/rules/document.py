"""The rules document: one sorted set of lines under a Merkle root, changed by decision and never by a release.

Knows lines and how to look one up; refuses to know what is written in a statement. Spec: 3.1, 3.2.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import msgspec

from carnet.encoding import b64, check_text, encode, sha256, tag, unb64
from carnet.errors import Reason, Refused, Unverified
from carnet.tlog.tree import MerkleTree, leaf_hash
from carnet.types import Basis

CENSUS_CLASS = 0
CHAINS = ("history", "journal")
LOCATIONS = ("vault", "source")
_U8_MAX = 255

_RULE = tag("rule")
_SCHEMA = tag("schema")


class KindLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="line", tag="kind"):
    """A kind of entry: its chain, its class, its schema's digest (base64), and where its contents may be."""

    chain: str
    class_: int = msgspec.field(name="class")
    kind: str
    location: str
    schema: str


class ClassLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="line", tag="class"):
    """A class of entry: how many other members must endorse a batch of it. Class 0 is the census."""

    class_: int = msgspec.field(name="class")
    endorsements: int


class WriterLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="line", tag="writer"):
    """One cell of the writer table: members of this kind may write entries of this kind, on these bases."""

    bases: tuple[int, ...]
    kind: str
    member: str


Line = KindLine | ClassLine | WriterLine


def compute_line_bytes(line: Line) -> bytes:
    """`cj(line)`: what lines are sorted by."""
    return encode(msgspec.to_builtins(line))


def compute_line_leaf(line_bytes: bytes) -> bytes:
    """The leaf of a line's `cj` in the rules tree."""
    return _RULE + line_bytes


def compute_schema_digest(document: object) -> bytes:
    """The digest by which a kind line names its schema document (32 bytes). Spec: 3.1."""
    return sha256(_SCHEMA + encode(document))


@dataclass(frozen=True)
class Rules:
    """A whole rules document. `lines` stand in ascending order of their bytes, without duplicates."""

    lines: tuple[Line, ...]

    @classmethod
    def of(cls, lines: Iterable[Line]) -> Rules:
        """Sort the lines; raises Refused(FIELDS_CONFLICT) if two say different things about the same kind, class or
        cell."""
        ordered = tuple(sorted(lines, key=compute_line_bytes))
        seen: set[tuple[object, ...]] = set()
        for line in ordered:
            subject = _subject_of(line)
            if subject in seen:
                raise Refused(Reason.FIELDS_CONFLICT, f"two rules lines about {subject}", line=str(subject))
            seen.add(subject)
        return cls(ordered)

    @cached_property
    def tree(self) -> MerkleTree:
        """The Merkle tree over the lines."""
        return MerkleTree([leaf_hash(compute_line_leaf(compute_line_bytes(line))) for line in self.lines])

    @cached_property
    def _positions(self) -> dict[tuple[object, ...], int]:
        return {_subject_of(line): position for position, line in enumerate(self.lines)}

    def find(self, *subject: object) -> tuple[int, Line] | None:
        """(position, line) of `("kind", kind)`, `("class", class)` or `("writer", member kind, kind)`; None if there
        is none."""
        position = self._positions.get(subject)
        return None if position is None else (position, self.lines[position])

    def get_kind(self, kind: str) -> KindLine:
        """The line of a kind; raises Refused(UNKNOWN_KIND)."""
        found = self.find("kind", kind)
        if found is None or not isinstance(found[1], KindLine):
            raise Refused(Reason.UNKNOWN_KIND, f"the rules name no kind {kind!r}", kind=kind)
        return found[1]

    def get_class(self, class_: int) -> ClassLine:
        """The line of a class; raises Refused(UNKNOWN_CLASS)."""
        found = self.find("class", class_)
        if found is None or not isinstance(found[1], ClassLine):
            raise Refused(Reason.UNKNOWN_CLASS, f"the rules name no class {class_}", class_=class_)
        return found[1]

    def check_may_write(self, member_kind: str, kind: str, basis: int) -> None:
        """Raise Refused(MAY_NOT_WRITE) unless the writer table has this cell and basis. Spec: 3.1."""
        self.get_kind(kind)
        found = self.find("writer", member_kind, kind)
        if found is None or not isinstance(found[1], WriterLine):
            raise Refused(
                Reason.MAY_NOT_WRITE, f"a {member_kind} may not write {kind}", member_kind=member_kind, kind=kind
            )
        if basis not in found[1].bases:
            raise Refused(
                Reason.MAY_NOT_WRITE,
                f"a {member_kind} may write {kind} only on basis {', '.join(map(str, found[1].bases))}, not {basis}",
                member_kind=member_kind,
                kind=kind,
                basis=basis,
            )


def check_rules(rules: Rules) -> None:
    """Raise Refused unless the document is one that can be in force: each line of its shape, in order and without
    duplicates, and every kind and class that a line names there. Spec: 3.1, 3.2."""
    kinds = {line.kind for line in rules.lines if isinstance(line, KindLine)}
    for line in rules.lines:
        if not isinstance(line, ClassLine):
            check_text(line.kind)
        if isinstance(line, WriterLine) and line.kind not in kinds:
            raise Refused(Reason.UNKNOWN_KIND, f"a writer line names {line.kind}, and no line does", kind=line.kind)
    for check in (_check_digest, _check_words, _check_ranges):
        for line in rules.lines:
            check(line)
    encoded = [compute_line_bytes(line) for line in rules.lines]
    if any(left >= right for left, right in pairwise(encoded)):
        raise Refused(Reason.FIELDS_CONFLICT, "rules lines stand in strictly ascending order of their bytes")
    if len({_subject_of(line) for line in rules.lines}) != len(rules.lines):
        raise Refused(Reason.FIELDS_CONFLICT, "two rules lines about the same kind, class or cell")
    rules.get_class(CENSUS_CLASS)
    for line in rules.lines:
        if isinstance(line, KindLine):
            rules.get_class(line.class_)


def _check_digest(line: Line) -> None:
    if isinstance(line, KindLine):
        try:
            unb64(line.schema, 32)
        except Unverified:
            raise Refused(Reason.WRONG_TYPE, f"the schema of {line.kind} is no digest", kind=line.kind) from None


def _check_words(line: Line) -> None:
    if isinstance(line, KindLine) and (line.chain not in CHAINS or line.location not in LOCATIONS):
        raise Refused(
            Reason.NOT_IN_LIST,
            f"{line.kind} stands in a history or a journal, and its contents in the vault or at their source",
            kind=line.kind,
            chain=line.chain,
            location=line.location,
        )
    if isinstance(line, WriterLine) and not set(line.bases) <= set(Basis):
        raise Refused(Reason.NOT_IN_LIST, f"a basis is 1, 2, 3 or 4: {line.bases}", kind=line.kind, member=line.member)


def _check_ranges(line: Line) -> None:
    match line:
        case KindLine() if not CENSUS_CLASS < line.class_ <= _U8_MAX:
            raise Refused(Reason.VALUE_OUT_OF_RANGE, f"{line.kind} has a class from 1 to 255", class_=line.class_)
        case ClassLine() if not (0 <= line.class_ <= _U8_MAX and 0 <= line.endorsements <= _U8_MAX):
            raise Refused(Reason.VALUE_OUT_OF_RANGE, "class and endorsements lie within 0 to 255", class_=line.class_)
        case WriterLine() if not line.bases or any(left >= right for left, right in pairwise(line.bases)):
            raise Refused(
                Reason.VALUE_OUT_OF_RANGE,
                "a writer line has one basis or more, ascending",
                kind=line.kind,
                member=line.member,
            )
        case _:
            return


def _subject_of(line: Line) -> tuple[object, ...]:
    match line:
        case KindLine():
            return ("kind", line.kind)
        case ClassLine():
            return ("class", line.class_)
        case WriterLine():
            return ("writer", line.member, line.kind)


def compute_kind_line(kind: str, chain: str, class_: int, schema_document: object) -> KindLine:
    """The line that names a kind whose contents are kept in the home vault."""
    return KindLine(
        chain=chain, class_=class_, kind=kind, location="vault", schema=b64(compute_schema_digest(schema_document))
    )
