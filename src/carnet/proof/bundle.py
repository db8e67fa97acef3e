"""A proof bundle as it is read: its bytes become typed parts, or are refused as *not canonical* or *malformed*.

Knows shapes, sizes and orders (clauses 4.x and 5.3); refuses to know whether anything in them is true. Bytes are read
as the types of `wire` and written again: what comes back the same was canonical, in base64 too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from operator import ge
from typing import Any, NoReturn, TypeVar

import msgspec
from msgspec import UnsetType

from carnet.encoding import check_decoded, check_keys, check_text_of, decode, encode_trusted
from carnet.errors import Refused, Unverified
from carnet.ledger.batch import parse_batch
from carnet.ledger.network import frame_genesis
from carnet.ledger.records import frame_record
from carnet.ledger.rules.document import compute_line_leaf
from carnet.ledger.rules.members import frame_member
from carnet.passport.fields import hash_shown
from carnet.passport.statement import NO_TARGET, parse_statement
from carnet.proof import wire
from carnet.proof.memory import Memory
from carnet.proof.parts import (
    Bundle,
    CensusPart,
    EntryPart,
    Ground,
    GroupPart,
    Item,
    KeyPart,
    LeafPart,
    LinePart,
    SealPart,
    SectionPart,
)
from carnet.signing import ALG_ED25519, key_digest_of
from carnet.tlog.tree import HASH_BYTES, leaf_hash

MAX_BUNDLE_BYTES = 32 * 1024 * 1024
MAX_BUNDLE_VALUES = 2_000_000
VERSION = "proof/1"

_VALUE_DEPTH = 6
"""Of a field's value: bundle, links, entry, fields, field."""

T = TypeVar("T")


class UnknownVersion(Unverified):
    """The bundle is of a version that this verifier does not know: it cannot tell. Spec: 5.3.3."""


def read_bundle(data: bytes, memory: Memory | None = None) -> Bundle:
    """The parts of a bundle. Raises Unverified: `too_large`, `not_canonical`, `malformed`, or UnknownVersion. Spec:
    5.3. `memory` knows parts of earlier ones again."""
    excess = find_excess(data)
    if excess is not None:
        raise Unverified("too_large", excess)
    try:
        return _read(data, memory)
    except (msgspec.DecodeError, UnicodeError, RecursionError, Refused, Unverified) as error:
        why = str(error)
    # Something is wrong with it. The order of 5.3 says what comes first.
    document = decode(data)
    version = document.get("carnet") if isinstance(document, dict) else None
    if isinstance(version, str) and version.startswith("proof/") and version != VERSION:
        raise UnknownVersion("unknown_version", f"this verifier knows {VERSION}, not {version!a}")
    raise Unverified("malformed", why)


def find_excess(data: bytes) -> str | None:
    """In what a bundle is larger than a verifier reads, if it is. Spec: 5.3.1."""
    if len(data) > MAX_BUNDLE_BYTES:
        return f"a bundle has at most {MAX_BUNDLE_BYTES:,} bytes, this one has {len(data):,}"
    # Each value begins the document or follows one of these, so their number bounds the memory that decoding takes.
    # They are bytes themselves: a small bundle cannot hold so many.
    if len(data) > MAX_BUNDLE_VALUES and sum(data.count(mark) for mark in (b",", b"[", b"{")) > MAX_BUNDLE_VALUES:
        return f"a bundle has at most {MAX_BUNDLE_VALUES:,} values"
    return None


def _reader(record: type[T]) -> Callable[[bytes], T]:
    """Reads one record from its canonical bytes, in which the texts are known to be good."""
    decode_record = msgspec.json.Decoder(record).decode

    def read(data: bytes) -> T:
        value = decode_record(data)
        if encode_trusted(value) != data:
            raise Unverified("not_canonical", "these bytes are not the canonical spelling of their own value")
        return value

    return read


_read_wire = _reader(wire.BundleWire)
_read_genesis_wire = _reader(wire.GenesisWire)
_read_seal_wire = _reader(wire.SealWire)
_read_census_wire = _reader(wire.CensusRecordWire)
_read_records_wire = _reader(wire.RecordsWire)
_read_groups_wire = _reader(list[wire.GroupWire])
_read_member_wire = _reader(wire.MemberWire)
_read_sections_wire = _reader(list[wire.SectionWire])
_read_kind_wire = _reader(wire.KindLineWire)
_read_class_wire = _reader(wire.ClassLineWire)
_read_writer_wire = _reader(wire.WriterLineWire)


def _read(data: bytes, memory: Memory | None) -> Bundle:
    check_text_of(data)
    found = _read_wire(data)
    ground = _read_ground(found, memory)
    if len(found.batches) != ground.seal_count:
        _malformed("one path for the batch of each seal")
    _check_paths(found.census.path, *found.batches)
    if found.since is not None:
        _check_paths(found.since.path)
    census, items = found.census, _read_items(found)
    return Bundle(found.batches, census.path, census.record, ground, items, found.since, found.submissions)


def _read_ground(found: wire.BundleWire, memory: Memory | None) -> Ground:
    """Known again as a whole if all of its bytes are, else part by part."""
    parts = found.checkpoint, bytes(found.genesis), bytes(found.members), bytes(found.records), bytes(found.rules)
    make = partial(_make_ground, memory, *parts)
    return make() if memory is None else memory.once(("ground", *parts), None, make)


def _make_ground(
    memory: Memory | None, checkpoint: bytes, genesis: bytes, members: bytes, records: bytes, rules: bytes
) -> Ground:
    framed, name, log_key, forked_from = _once(memory, "genesis", genesis, _read_genesis)
    found = _read_records_wire(records)
    logged = [_read_logged(memory, one) for one in found.logged]
    _check_ascending([record.index for record in logged])
    _check_paths(found.path)
    return Ground(
        checkpoint=checkpoint,
        genesis=framed,
        name=name,
        log_key=log_key,
        forked_from=forked_from,
        groups=_once(memory, "members", members, _read_groups),
        records=logged,
        records_path=found.path,
        sections=_once(memory, "rules", rules, _read_sections),
        seal_count=sum(isinstance(record, SealPart) for record in logged),
    )


def _once(memory: Memory | None, name: str, part: bytes, read: Callable[[bytes], T]) -> T:
    return read(part) if memory is None else memory.once((name, part), None, partial(read, part))


def _read_genesis(data: bytes) -> tuple[bytes, str, bytes, wire.ForkWire | None]:
    genesis = _read_genesis_wire(data)
    cited = None if isinstance(genesis.forked_from, UnsetType) else genesis.forked_from
    return frame_genesis(data), genesis.name, genesis.log_key, cited


def _read_logged(memory: Memory | None, logged: wire.LoggedWire) -> SealPart | CensusPart:
    data, index = bytes(logged.record), logged.index
    if memory is None:
        return _read_record(index, data)
    return memory.once(("record", index, data), None, partial(_read_record, index, data))


def _read_record(index: int, data: bytes) -> SealPart | CensusPart:
    leaf = leaf_hash(frame_record(data))
    # A record's type stands last in it.
    if data.endswith(b'"type":"seal"}'):
        seal = _read_seal_wire(data)
        batch = parse_batch(seal.batch)
        if batch.count < 1:
            _malformed("a batch holds at least one link")
        return SealPart(index, leaf, *_record_parts(seal), batch=batch, batch_bytes=seal.batch)
    record = _read_census_wire(data)
    census = record.census
    return CensusPart(
        index,
        leaf,
        *_record_parts(record),
        census=encode_trusted(census),
        home=census.home,
        covers=census.covers,
        root=census.root,
        key=record.key,
    )


def _record_parts(
    record: wire.SealWire | wire.CensusRecordWire,
) -> tuple[int, int, Sequence[wire.EndorsementWire], wire.RefWire, wire.RefWire, bytes]:
    _check_ascending([endorsement.member for endorsement in record.endorsements])
    return record.at, record.height, record.endorsements, record.members, record.rules, record.sig


def _read_groups(data: bytes) -> dict[int, GroupPart]:
    groups = _read_groups_wire(data)
    _check_ascending([group.index for group in groups])
    return {group.index: _read_group(group) for group in groups}


def _read_group(group: wire.GroupWire) -> GroupPart:
    leaves = [_read_leaf(placed.index, bytes(placed.leaf)) for placed in group.leaves]
    _check_ascending([leaf.index for leaf in leaves])
    _check_paths(group.path)
    return GroupPart(leaves, group.path)


def _read_leaf(index: int, data: bytes) -> LeafPart:
    member = _read_member_wire(data)
    _check_ascending(member.accreditations)
    return LeafPart(
        index=index,
        leaf=leaf_hash(frame_member(data)),
        id=member.id,
        kind=member.kind,
        name=member.name,
        accreditations=member.accreditations,
        keys=[_read_key(key) for key in member.keys],
        retired=member.retired,
    )


def _read_key(key: wire.KeyWire) -> KeyPart:
    # Another algorithm is "cannot tell" later (1.7): its sizes are not ours to judge.
    if key.alg == ALG_ED25519 and (len(key.key) != 32 or len(key.sig) != 64):
        _malformed("an Ed25519 key has 32 bytes, and a signature 64")
    return KeyPart(
        key.alg,
        key.custody,
        key_digest_of(key.alg, key.key),
        key.disputed_since,
        key.key,
        key.revoked,
        key.role,
        key.sig,
    )


def _read_sections(data: bytes) -> dict[int, SectionPart]:
    sections = _read_sections_wire(data)
    _check_ascending([section.index for section in sections])
    return {section.index: _read_section(section) for section in sections}


def _read_section(section: wire.SectionWire) -> SectionPart:
    lines = [_read_line(placed.index, bytes(placed.line)) for placed in section.lines]
    _check_ascending([line.index for line in lines])
    _check_paths(section.path)
    return SectionPart(lines, section.path)


def _read_line(index: int, data: bytes) -> LinePart:
    leaf = leaf_hash(compute_line_leaf(data))
    # The first member tells which of the three it is.
    if data.startswith(b'{"chain"'):
        kind_line = _read_kind_wire(data)
        return LinePart(index, leaf, kind_line, ("kind", kind_line.kind))
    if data.startswith(b'{"class"'):
        class_line = _read_class_wire(data)
        return LinePart(index, leaf, class_line, ("class", class_line.class_))
    return LinePart(index, leaf, _read_writer_wire(data), ("writer",))


def _read_items(found: wire.BundleWire) -> list[Item]:
    """Spec: 4.5. The numbers of submissions stand in the order of their first use, and none is left out."""
    items: list[Item] = []
    used = 0
    for link in found.links:
        if isinstance(link, bytes):
            items.append(_read_hidden(link, None))
            continue
        number = link.submission.number
        if number > used or number >= len(found.submissions):
            _malformed("submissions stand in the order of their first use")
        used = max(used, number + 1)
        items.append(_read_entry(link, found.submissions[number]))
    if used != len(found.submissions):
        _malformed("a submission that no entry names")
    _check_paths(*(submission.path for submission in found.submissions))
    if found.tip is not None:
        last = found.links[-1]
        if not isinstance(last, bytes):
            _malformed("the last link is an entry, and has its own placement")
        items[-1] = _read_hidden(last, found.tip)
    return items


def _read_hidden(data: bytes, placement: wire.PlacementWire | None) -> Item:
    if len(data) == 64:
        return Item(data[:32], data[32:], 0, NO_TARGET, placement, None)
    if len(data) != 97 or not 1 <= data[64] <= 4:
        _malformed("a hidden link has 64 bytes, or 97 with a mark")
    return Item(data[:32], data[32:64], data[64], data[65:], placement, None)


def _read_entry(entry: wire.EntryWire, submission: wire.SubmissionWire) -> Item:
    fields, kind, root = entry.fields, None, b""
    if fields is not None:
        root = _read_fields(fields)
        named = fields.get("kind")
        kind = named[1] if isinstance(named, tuple) else None
    statement, place = parse_statement(entry.statement), entry.submission
    seal = entry.placement.record
    part = EntryPart(fields, root, statement, entry.statement, submission, place.number, place.index, seal, kind)
    return Item(None, None, statement.mark, statement.target, entry.placement, part)


def _read_fields(fields: dict[str, bytes | tuple[bytes, Any]]) -> bytes:
    if not fields:
        _malformed("fields are an object, and not empty")
    check_keys(fields)
    try:
        # `cj` writes names in ascending order, so the bundle's order is theirs.
        root, inside = hash_shown(fields, _VALUE_DEPTH)
    except ValueError:
        _malformed("a field's digest has 32 bytes")
    for value in inside:
        # The others are good as they were read, by their types and the text of the document.
        check_decoded(value, _VALUE_DEPTH)
    return root


def _check_paths(*paths: bytes) -> None:
    for path in paths:
        if len(path) % HASH_BYTES:
            _malformed("a path is made of 32-byte hashes")


def _check_ascending(values: Sequence[Any]) -> None:
    if len(values) > 1 and any(map(ge, values, values[1:])):
        _malformed("not in strictly ascending order")


def _malformed(why: str) -> NoReturn:
    raise Unverified("malformed", why)
