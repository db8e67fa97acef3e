"""Finding chains and opening what is stored about them, for the reader and the writer alike.

Knows the store and the key ring; refuses to know who asks. Nothing here writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeVar

from carnet.encoding import encode_trusted
from carnet.errors import Reason, Refused
from carnet.node.jobs import ChainRef
from carnet.node.keyring import KeyRing
from carnet.passport.fields import SECRET_BYTES, expand_stream, split_stream
from carnet.passport.subject import encode_subject
from carnet.types import Subject, make_tuple
from carnet.vault.names import NAME_BYTES, Name, list_candidate_queries, where_named
from carnet.vault.sealing import (
    Packing,
    compute_blind,
    compute_blinds,
    decrypt_content,
    decrypt_subject,
    unpack_encoded,
    unwrap,
    unwrap_all,
)
from carnet.vault.statements import frame_names
from carnet.vault.store import Blob, Connection

Document = dict[str, Any]
V = TypeVar("V")

MANY: Final = 512
"""Values that one question asks for: enough that its own cost disappears."""

FEW: Final = 4
"""Source rows of a chain up to which each is looked for by itself."""

HIDDEN: Final = "there is no such passport here, or you may not see it"
"""What a caller is told of a passport that does not exist and of one that is hidden."""

_CHAIN = (
    "SELECT chain.id, chain16, type, subject, wrapped FROM chain"
    " LEFT JOIN passport_key ON passport_key.chain = chain.id"
)
_CHAINS = "SELECT blind, chain.id, chain16, type, wrapped FROM chain JOIN passport_key ON passport_key.chain = chain.id"
_ASK_SOURCES = (
    "WITH asked (chain, source) AS (VALUES ?) SELECT chain, source FROM asked WHERE EXISTS"
    " (SELECT 1 FROM entry WHERE entry.chain = asked.chain AND entry.source = asked.source)"
)


class Kinds:
    """The kinds by the small number that entries carry, and back."""

    def __init__(self, schemas: Mapping[int, tuple[str, Document]]) -> None:
        self.documents: dict[str, Document] = dict(schemas.values())
        self.names_of: dict[int, tuple[str, tuple[str, ...]]] = {
            id_: (kind, tuple(sorted(["kind", "occurred", "subject", *(f["name"] for f in document["fields"])])))
            for id_, (kind, document) in schemas.items()
        }
        self.id_of: dict[str, int] = {kind: id_ for id_, (kind, _) in schemas.items()}
        # The same for `vault.statements`, in bytes.
        self.framed_of: dict[int, tuple[bytes, tuple[bytes, ...]]] = {
            id_: (encode_trusted(kind), frame_names(names)) for id_, (kind, names) in self.names_of.items()
        }


get_packing = lru_cache(maxsize=256)(Packing.of)


class Opened(NamedTuple):
    """An entry's contents: complete fields, and for each, in ascending name order, a salt and its value's `cj`."""

    fields: dict[str, object]
    salts: Sequence[bytes]
    encoded: Sequence[bytes]


def find_chain_by_subject(connection: Connection, ring: KeyRing, subject: Subject) -> ChainRef | None:
    """The passport of a subject, by its blind index; raises Refused(ERASED) for one whose key is gone."""
    encoded = encode_subject(subject)
    blind = compute_blind(ring.index, encoded)
    row = connection.execute(f"{_CHAIN} WHERE {where_named(connection, 'blind')}", {"name": blind}).fetchone()
    # The stored subject is not opened: its blind index is a keyed digest of the very subject that was asked for.
    return None if _is_hidden(connection, row) else _open_chain(ring, row, encoded)


def find_id_by_subject(connection: Connection, ring: KeyRing, subject: Subject) -> bytes | None:
    """The 16-byte id of the passport of a subject; nothing is opened for the answer."""
    blind = compute_blind(ring.index, encode_subject(subject))
    query = f"SELECT chain16 FROM chain WHERE {where_named(connection, 'blind')}"  # noqa: S608 - our own words
    row = connection.execute(query, {"name": blind}).fetchone()
    return None if row is None else bytes(row[0])


def find_chain_by_id(connection: Connection, ring: KeyRing, chain16: bytes) -> ChainRef | None:
    """The chain with this 16-byte id."""
    row = connection.execute(f"{_CHAIN} WHERE {where_named(connection, 'chain16')}", {"name": chain16}).fetchone()
    return None if _is_hidden(connection, row) else _open_chain(ring, row)


def get_chain_by_number(connection: Connection, ring: KeyRing, number: int) -> ChainRef:
    """The chain with this number in the store; raises Refused(UNKNOWN_PASSPORT)."""
    row = connection.execute(f"{_CHAIN} WHERE chain.id = ?", (number,)).fetchone()
    found = None if _is_hidden(connection, row) else _open_chain(ring, row)
    if found is None:
        raise Refused(Reason.UNKNOWN_PASSPORT, f"there is no chain number {number}")
    return found


def find_chains_by_subjects(
    connection: Connection, ring: KeyRing, subjects: Iterable[Subject]
) -> dict[Subject, ChainRef]:
    """The passports that these subjects have, with few questions. An erased one is left out, as if it were not there.

    The stored subject is not read: its blind index is a keyed digest of the very subject that was asked for.
    """
    asked = list(subjects)
    encoded_subjects = [encode_subject(subject) for subject in asked]
    blinds = compute_blinds(ring.index, encoded_subjects)
    by_blind = dict(zip(blinds, zip(asked, encoded_subjects, strict=True), strict=True))
    found: dict[Subject, ChainRef] = {}
    rows = list(ask_named(connection, _CHAINS, "blind", by_blind))
    keys = unwrap_all(ring.kek, [row[4] for row in rows])
    for (blind, number, chain16, type_, _), key in zip(rows, keys, strict=True):
        subject, encoded = by_blind[blind]
        found[subject] = ChainRef(number, chain16, type_, key, encoded)
    return found


def find_numbers(connection: Connection, ring: KeyRing, subjects: Sequence[bytes]) -> list[int | None]:
    """The number in the store of the passport that each of these subjects (their `cj`) has, if any, as far as an index
    tells, which alone is read: `find_chains_by_numbers` looks closer."""
    blinds = compute_blinds(ring.index, subjects)
    found = dict(ask_numbers(connection, "blind", blinds))
    if connection.is_file:
        blinds = [blind[:NAME_BYTES] for blind in blinds]
    return list(map(found.get, blinds))


def find_chains_by_numbers(
    connection: Connection, ring: KeyRing, numbers: Sequence[int], subjects: Sequence[bytes]
) -> dict[bytes, ChainRef]:
    """By their subjects (`cj`) the passports with these numbers, which were found before by these. A number that is
    none of theirs is left out, and so is an erased one."""
    by_blind = dict(zip(compute_blinds(ring.index, subjects), subjects, strict=True))
    asked = ask_many(connection, f"{_CHAINS} WHERE chain.id IN (?)", sorted(numbers))
    rows = [row for row in asked if row[0] in by_blind]
    # Step by step for all of them: what opens a key would push out of the processor what reads a row, and back.
    keys = unwrap_all(ring.kek, [row[4] for row in rows])
    found = [by_blind[row[0]] for row in rows]
    return {
        subject: make_tuple(ChainRef, (number, chain16, type_, key, subject))
        for subject, (_, number, chain16, type_, _), key in zip(found, rows, keys, strict=True)
    }


def find_sources(connection: Connection, sources: Mapping[int, Sequence[bytes]]) -> dict[int, set[bytes]]:
    """Which of the source rows, by their keyed digests under the number of their chain, that chain holds already."""
    found: dict[int, set[bytes]] = {chain: set() for chain in sources}
    for chain, source in ask_sources(connection, sources):
        found[chain].add(source)
    return found


def ask_sources(connection: Connection, sources: Mapping[int, Sequence[bytes]]) -> Iterator[tuple[int, bytes]]:
    """The number of a chain and the digest of a row that it holds, for each of these that it does; some twice."""
    if not connection.is_file:
        pairs = [(chain, one) for chain, own in sources.items() for one in own]
        if not pairs:
            return
        query = (
            "SELECT entry.chain, entry.source FROM unnest(?::bigint[], ?::bytea[]) AS asked (chain, source)"
            " JOIN entry ON entry.chain = asked.chain AND entry.source = asked.source"
        )
        yield from connection.execute(query, ([chain for chain, _ in pairs], [one for _, one in pairs]))
        return
    # Most rows are new: what the database leaves out by itself need not become an object here. Where a chain has few of
    # them, all its entries are compared with each; where it has many, its entries are looked at once.
    few, many = list[object](), list[int]()
    for chain in sorted(sources):
        own = sources[chain]
        if len(own) > FEW:
            many.append(chain)
        else:
            for one in own:
                few += chain, Blob(one)
    for at in range(0, len(few), 2 * MANY):
        part = few[at : at + 2 * MANY]
        # Filled up as `_fill` does.
        part += part[-2:] * ((1 << (len(part) // 2 - 1).bit_length()) - len(part) // 2)
        yield from connection.execute(_ASK_SOURCES.replace("?", ",".join(["(?,?)"] * (len(part) // 2))), part)
    for at in range(0, len(many), MANY):
        chunk = many[at : at + MANY]
        wanted = _fill([Blob(one) for chain in chunk for one in sources[chain]])
        chunk = _fill(chunk)
        query = f"SELECT chain, source FROM entry WHERE chain IN ({_mark(chunk)}) AND source IN ({_mark(wanted)})"  # noqa: S608
        yield from connection.execute(query, [*chunk, *wanted])


def find_linked(connection: Connection, sids: Mapping[int, Sequence[bytes]]) -> dict[int, set[bytes]]:
    """Which of these statements, by their ids under the number of their chain, stand in that chain already."""
    found: dict[int, set[bytes]] = {chain: set() for chain in sids}
    pairs = [(chain, sid) for chain, own in sids.items() for sid in own]
    if pairs and not connection.is_file:
        query = (
            "SELECT entry.chain, entry.sid FROM unnest(?::bigint[], ?::bytea[]) AS asked (chain, sid)"
            " JOIN entry ON entry.chain = asked.chain AND entry.sid = asked.sid"
        )
        rows = connection.execute(query, ([chain for chain, _ in pairs], [sid for _, sid in pairs]))
        for chain, sid in rows:
            found[chain].add(bytes(sid))
        return found
    for at in range(0, len(pairs), MANY):
        part = pairs[at : at + MANY]
        chains, wanted = _fill(sorted({chain for chain, _ in part})), _fill([Blob(sid) for _, sid in part])
        query = f"SELECT chain, sid FROM entry WHERE chain IN ({_mark(chains)}) AND sid IN ({_mark(wanted)})"  # noqa: S608
        for chain, sid in connection.execute(query, [*chains, *wanted]):
            found[chain].add(sid)
    return found


def ask_many(connection: Connection, query: str, values: Sequence[object]) -> Iterator[Any]:
    """The rows of a query that has `IN (?)`, asked for many values a few hundred at a time."""
    if values and not connection.is_file:
        # A server takes them as one array, and has one plan for any number of them.
        yield from connection.execute(query.replace("IN (?)", "= ANY (?)"), (list(values),))
        return
    for at in range(0, len(values), MANY):
        chunk = _fill(values[at : at + MANY])
        # All of them at once: asked for one by one, each would go through whoever asks for it.
        yield from connection.execute(query.replace("?", _mark(chunk)), chunk).fetchall()


def ask_named(connection: Connection, query: str, column: Name, names: Iterable[bytes]) -> Iterator[Any]:
    """The rows of a query of `chain` without a condition, for the chains that have one of these names; its first value
    is that name."""
    wanted = set(names)
    if not connection.is_file:
        yield from ask_many(connection, f"{query} WHERE chain.{column} IN (?)", list(map(Blob, wanted)))
        return
    numbers = sorted({number for _, number in ask_numbers(connection, column, wanted)})
    yield from (row for row in ask_many(connection, f"{query} WHERE chain.id IN (?)", numbers) if row[0] in wanted)


def ask_numbers(connection: Connection, column: Name, names: Iterable[bytes]) -> Iterator[tuple[bytes, int]]:
    """(the name or its first NAME_BYTES, number) of the chains that have one of these names, as far as an index tells;
    of a file others may be among them."""
    if not connection.is_file:
        query = f"SELECT {column}, id FROM chain WHERE {column} IN (?)"  # noqa: S608 - our own words
        yield from ask_many(connection, query, list(map(Blob, names)))
        return
    # In the order of the index: neighbours share a page.
    beginnings = [Blob(name[:NAME_BYTES]) for name in sorted(names)]
    for query in list_candidate_queries(column):
        yield from ask_many(connection, query, beginnings)


def _fill(values: Sequence[V]) -> list[V]:
    """The values, the last one repeated up to a power of two: each other number would be another statement to keep."""
    missing = (1 << (len(values) - 1).bit_length()) - len(values)
    return [*values, *(values[-1] for _ in range(missing))]


def _mark(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))


def _is_hidden(connection: Connection, row: Any) -> bool:
    """Whether the database keeps the key of this chain from whoever asks: to them there is no such passport."""
    return connection.is_guarded and row is not None and row[-1] is None


def _open_chain(ring: KeyRing, row: Any, known: bytes | None = None) -> ChainRef | None:
    if row is None:
        return None
    number, chain16, type_, subject, wrapped = row
    if wrapped is None or subject is None:
        raise Refused(Reason.ERASED, "this passport was erased", passport=chain16.hex())
    key = unwrap(ring.kek, wrapped)
    if known is None:
        known = decrypt_subject(key, chain16, subject)
    return ChainRef(number, chain16, type_, key, known)


def open_content(
    ref: ChainRef, kind: str, names: tuple[str, ...], sid: bytes, secret: bytes | None, content: bytes | None
) -> Opened:
    """Decrypt an entry; raises Refused(ERASED) when secret or contents are gone, Unverified when they do not open."""
    stream, packed = decrypt_entry(ref, len(names), sid, secret, content)
    fields, encoded = unpack_encoded(packed, get_packing(names), kind, ref.encoded_subject)
    return Opened(fields, split_stream(stream, len(names))[1], encoded)


def decrypt_entry(
    ref: ChainRef, field_count: int, sid: bytes, secret: bytes | None, content: bytes | None
) -> tuple[bytes, bytes]:
    """What an entry's secret expands to, and its contents as they were packed; raises as `open_content`, but for what
    the contents are."""
    if secret is None or content is None:
        raise Refused(Reason.ERASED, "the contents of this entry are not here any more", passport=ref.chain16.hex())
    stream = expand_stream(unwrap(ref.key, secret), field_count)
    return stream, decrypt_content(stream[:SECRET_BYTES], ref.chain16, sid, content)
