"""The documents that entries seal by their digest: photos, invoices, papers of a procedure.

It refuses to know where a document's bytes are, and whether anybody still has them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from carnet.services.entries import Entry, sort_by_time

_FIELDS: Final = ("photo_sha256", "document_sha256", "invoice_sha256")


@dataclass(frozen=True, slots=True)
class Document:
    """A document: the field that seals its SHA-256 digest, the digest (hexadecimal), the entry, whether this node
    keeps the bytes."""

    name: str
    digest: str
    entry: Entry
    is_here: bool


def list_documents(entries: Sequence[Entry], kept: Collection[str] = ()) -> list[Document]:
    """Every document, the newest first; `kept` are the digests whose bytes are here."""
    found: dict[str, Document] = {}
    for entry in sort_by_time(entries, is_newest_first=True):
        for name, digest in _iter_digests(entry.fields):
            found.setdefault(digest, Document(name, digest, entry, digest in kept))
    return list(found.values())


def list_digests(fields: Mapping[str, Any]) -> list[str]:
    """The digests (hexadecimal) that an entry's fields name."""
    return [digest for _, digest in _iter_digests(fields)]


def _iter_digests(fields: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name in _FIELDS:
        digest = fields.get(name)
        if isinstance(digest, str):
            yield name, digest
    papers = fields.get("papers")
    for paper in papers if isinstance(papers, list) else []:
        if paper.get("sha256"):
            yield "papers", paper["sha256"]
