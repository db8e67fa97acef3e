"""What the proofs of one moment have in common, read and encoded once. Spec: docs/spec/4-bundle.md.

It refuses to outlive the moment of its source.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from operator import itemgetter
from typing import NamedTuple, cast

from msgspec import Raw

from carnet.encoding import encode_trusted, unb64
from carnet.ledger.batch import parse_batch
from carnet.ledger.rules.document import CENSUS_CLASS
from carnet.proof.source import Document, ProofSource


class SealFacts(NamedTuple):
    """What every link in the batch of one seal needs, or every proof under one census: home, class, the records of
    members and rules, endorsers."""

    home: bytes
    class_: int
    members: int
    rules: int
    endorsers: tuple[bytes, ...]


class Shared:
    """What the proofs of one moment have in common, encoded once: records, leaves and lines with their paths, genesis
    and checkpoint. It belongs to a source that does not change, and is thrown away when that does."""

    def __init__(self, source: ProofSource) -> None:
        self._source = source
        self.checkpoint = lru_cache(1)(self._read_checkpoint)
        self.genesis = lru_cache(1)(lambda: Raw(encode_trusted(source.get_genesis())))
        self.seal = lru_cache(8192)(self._read_seal)
        self.census = lru_cache(4)(self._read_census)
        self.record = lru_cache(8192)(self._encode_record)
        self.records_path = lru_cache(8192)(self._read_records_path)
        self.group = lru_cache(1024)(self._encode_group)
        self.section = lru_cache(1024)(self._encode_section)

    def _read_checkpoint(self) -> tuple[int, bytes]:
        size, note = self._source.get_checkpoint()
        return size, note

    def _read_seal(self, index: int) -> SealFacts:
        record = self._source.get_record(index)
        batch = parse_batch(unb64(str(record["batch"])))
        endorsers = tuple(list_endorsers(record))
        return SealFacts(batch.home, batch.class_, _index_of(record, "members"), _index_of(record, "rules"), endorsers)

    def _read_census(self, index: int) -> SealFacts:
        record = self._source.get_record(index)
        home = unb64(str(cast("Document", record["census"])["home"]))
        endorsers = tuple(list_endorsers(record))
        return SealFacts(home, CENSUS_CLASS, _index_of(record, "members"), _index_of(record, "rules"), endorsers)

    def _encode_record(self, index: int) -> Raw:
        """Spec: 4.2."""
        return Raw(encode_trusted({"index": index, "record": self._source.get_record(index)}))

    def _read_records_path(self, indices: tuple[int, ...]) -> bytes:
        """Spec: 4.2."""
        return self._source.get_records_path(indices, self.checkpoint()[0])

    def _encode_group(self, index: int, members: frozenset[bytes]) -> Raw:
        """Spec: 4.3."""
        found = sorted((self._source.get_member(index, member) for member in members), key=itemgetter(0))
        path = self._source.get_members_path(index, [at for at, _ in found])
        leaves = [{"index": at, "leaf": leaf} for at, leaf in found]
        return Raw(encode_trusted({"index": index, "leaves": leaves, "path": path}))

    def _encode_section(self, index: int, subjects: frozenset[tuple[object, ...]]) -> Raw:
        """Spec: 4.4."""
        found = sorted((self._source.get_line(index, *subject) for subject in subjects), key=itemgetter(0))
        path = self._source.get_lines_path(index, [at for at, _ in found])
        lines = [{"index": at, "line": line} for at, line in found]
        return Raw(encode_trusted({"index": index, "lines": lines, "path": path}))


def list_endorsers(record: Document) -> list[bytes]:
    """The members that endorsed a seal or census."""
    endorsements = cast("Sequence[Document]", record["endorsements"])
    return [unb64(str(endorsement["member"])) for endorsement in endorsements]


def _index_of(record: Document, name: str) -> int:
    return cast("int", cast("Document", record[name])["index"])
