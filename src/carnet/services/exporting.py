"""Exporting: a proof of a passport, whole or in part, against a census that is as fresh as it can be.

It refuses to show what was not selected, and to leave out what a verifier needs to judge the selection.
"""

from __future__ import annotations

from dataclasses import dataclass

from carnet.encoding import b64
from carnet.errors import Reason, Refused, Unverified
from carnet.node.home import Home
from carnet.node.reader import Reader
from carnet.proof.assemble import Selection, assemble_bundle
from carnet.proof.bundle import read_bundle
from carnet.proof.integrity import check_integrity
from carnet.services.describing import find_kind
from carnet.services.founding import open_writer_at
from carnet.services.importing import take_census_if_due
from carnet.services.reading import get_passport, open_reader
from carnet.signing import verify
from carnet.types import Millis


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to show: kinds and fields (None: all), and the bytes of an older proof to continue."""

    kinds: frozenset[str] | None = None
    fields: frozenset[str] | None = None
    since: bytes | None = None


@dataclass(frozen=True, slots=True)
class Exported:
    """A proof and what is in it. `is_behind` says that entries were sealed after the census it proves against."""

    data: bytes
    passport: str
    as_of: Millis
    link_count: int
    shown_count: int
    is_behind: bool


def export_proof(home: Home, which: str, wanted: Wanted, passphrase: str | None = None) -> Exported:
    """The proof of the passport that a person names. Takes a census first if there is something newer than the last
    one and nobody else is writing.

    Raises Refused(UNKNOWN_PASSPORT, NOTHING_SEALED, ERASED), and Unverified for an older proof that is none of this
    chain.
    """
    with open_reader(home, passphrase) as reader:
        chain = get_passport(reader, which)
        if is_census_due(reader) and _take_census(home, passphrase):
            reader.refresh()
        since = None if wanted.since is None else _read_since(reader, wanted.since)
        selection = Selection(
            is_shown=lambda seq, kind: wanted.kinds is None or kind in wanted.kinds,
            fields=wanted.fields,
            since=since,
        )
        links = reader.get_links(chain)
        data = assemble_bundle(reader, chain, selection, reader.shared)
        evidence = check_integrity(read_bundle(data), None, verify)
        shown = sum(entry.is_shown for _, _, entry in evidence.entries)
        return Exported(data, chain.hex(), evidence.get_census().at, len(links), shown, is_census_due(reader))


def is_census_due(reader: Reader) -> bool:
    """Whether anything was logged after the latest census, or its checkpoint is missing."""
    try:
        index, (size, _) = reader.get_census_index(), reader.get_checkpoint()
    except Refused as refused:
        if refused.reason is not Reason.NOTHING_SEALED:
            raise
        return True
    return size != reader.state.size or index != reader.state.size - 1


def resolve_kinds(reader: Reader, names: list[str]) -> frozenset[str]:
    """Kinds as a person writes them, short or full. Raises Refused(UNKNOWN_KIND) with what there is."""
    kinds = tuple(sorted(reader.kinds))
    found = set()
    for name in names:
        kind = find_kind(name, kinds)
        if kind is None:
            short = ", ".join(kind.partition("/")[0].rpartition(".")[2] for kind in kinds)
            raise Refused(Reason.UNKNOWN_KIND, f"there is no kind {name[:60]!a}; there are {short}", value=name[:60])
        found.add(kind)
    return frozenset(found)


def check_fields(reader: Reader, names: frozenset[str], kinds: frozenset[str] | None) -> None:
    """Raise Refused(UNKNOWN_FIELD) for a field that no chosen kind has: a slip would otherwise hide what was meant."""
    known = {"kind", "occurred", "subject"}
    for kind, document in reader.kinds.items():
        if kinds is None or kind in kinds:
            fields: object = document["fields"]
            known |= {str(field["name"]) for field in fields} if isinstance(fields, list) else set()
    for name in sorted(names - known):
        raise Refused(Reason.UNKNOWN_FIELD, f"no chosen kind has a field {name[:60]!a}", field=name[:60])


def _take_census(home: Home, passphrase: str | None) -> bool:
    """Whether one was taken: not while another process writes. It will take its own."""
    try:
        with open_writer_at(home, passphrase, "export (taking a census)") as writer:
            return take_census_if_due(writer) or True
    except Refused as refused:
        if refused.reason is not Reason.WRITER_BUSY:
            raise
        return False


def _read_since(reader: Reader, data: bytes) -> tuple[int, bytes]:
    """Size and root of an older proof's checkpoint, which must be one of this log's."""
    try:
        evidence = check_integrity(read_bundle(data), None, verify)
    except Unverified as error:
        raise Unverified(error.code, f"the older proof does not hold: {error}") from None
    if b64(evidence.net) != b64(reader.state.net):
        raise Refused(Reason.WRONG_NETWORK, "the older proof is of another network", network=evidence.origin)
    return evidence.checkpoint.size, evidence.checkpoint.root
