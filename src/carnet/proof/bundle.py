"""A proof bundle as it is read: its bytes become typed parts, or are refused as *not canonical* or *malformed*.

Knows shapes, sizes and orders (clauses 4.x and 5.3); refuses to know whether anything in them is true. Bytes are read
as the types of `wire` and written again: what comes back the same was canonical, in base64 too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import ge
from typing import Any, NoReturn, TypeVar

import msgspec

from carnet.encoding import check_decoded, check_text_of, decode, encode_trusted, hash_documents
from carnet.errors import Refused, Unverified
from carnet.kernel import kernel
from carnet.ledger.batch import parse_batch
from carnet.ledger.network import frame_genesis
from carnet.ledger.records import frame_record
from carnet.ledger.rules.document import compute_line_leaf
from carnet.ledger.rules.members import frame_member
from carnet.passport.fields import hash_shown
from carnet.passport.statement import NO_TARGET, read_statement
from carnet.proof import wire
from carnet.proof.memory import Memory
from carnet.proof.parts import (
    WRITER,
    Bundle,
    CensusPart,
    EntryPart,
    Ground,
    GroupPart,
    Item,
    Line,
    SealPart,
    SectionPart,
)
from carnet.proof.wire import ClassLineWire, KindLineWire
from carnet.signing import ALG_ED25519
from carnet.tlog.tree import HASH_BYTES

MAX_BUNDLE_BYTES = 32 * 1024 * 1024
MAX_BUNDLE_VALUES = 2_000_000
VERSION = "proof/1"

_RECORD, _MEMBER, _LINE = frame_record(b""), frame_member(b""), compute_line_leaf(b"")
"""What stands before the canonical bytes of each in its leaf."""

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


_read_whole = _reader(wire.WholeWire)
_read_raw = _reader(wire.RawWire)
_read_genesis_wire = _reader(wire.GenesisWire)
_read_records_wire = _reader(wire.RecordsWire)
_read_groups_wire = _reader(list[wire.GroupWire])
_read_sections_wire = _reader(list[wire.SectionWire])
_read_own = msgspec.json.Decoder(wire.OwnWire).decode
_read_accreditations = _reader(list[tuple[str, wire.U8, wire.U8]])


def _read(data: bytes, memory: Memory | None) -> Bundle:
    found: wire.WholeWire | wire.RawWire | wire.OwnWire
    again = None if memory is None else _read_on_last_ground(data, memory)
    if again is not None:
        found, ground = again
    elif memory is not None:
        check_text_of(data)
        found = raw = _read_raw(data)
        ground = _read_ground(raw, memory)
        memory.last_ground = (*_spell_ground(raw), ground)
    else:
        check_text_of(data)
        found = whole = _read_whole(data)
        genesis, groups, sections = (
            _make_genesis(whole.genesis),
            _make_groups(whole.members),
            _make_sections(whole.rules),
        )
        ground = _make_ground(whole.checkpoint, genesis, groups, whole.records, sections)
    if len(found.batches) != ground.seal_count:
        _malformed("one path for the batch of each seal")
    _check_path(found.census.path)
    for path in found.batches:
        _check_path(path)
    if found.since is not None:
        _check_path(found.since.path)
    census, items = found.census, _read_items(found.links, found.submissions, found.tip)
    return Bundle(found.batches, census.path, census.record, ground, items, found.since, found.submissions)


def _spell_ground(found: wire.RawWire) -> tuple[bytes, bytes]:
    """The two pieces of a bundle that are its ground, before its links and behind them."""
    genesis, members, records, rules = found.genesis, found.members, found.records, found.rules
    return (
        b'"checkpoint":%b,"genesis":%b,' % (encode_trusted(found.checkpoint), genesis),
        b'"members":%b,"records":%b,"rules":%b,' % (members, records, rules),
    )


def _read_on_last_ground(data: bytes, memory: Memory) -> tuple[wire.OwnWire, Ground] | None:
    """What a bundle holds beside its ground, if that is the same as the last one's: then its bytes need not be read.
    None where this is not so, or something is wrong."""
    if memory.last_ground is None:
        return None
    first, second, ground = memory.last_ground
    at = data.find(b'"checkpoint":')
    behind = at + len(first)
    until = data.find(b'"members":', behind)
    if not data.startswith(first, at) or not data.startswith(second, until):
        return None
    rest = data[:at] + data[behind:until] + data[until + len(second) :]
    try:
        check_text_of(rest)
        own = _read_own(rest)
    except (msgspec.DecodeError, UnicodeError, RecursionError, Unverified):
        return None
    # Wherever the pieces were found: these are the bytes of the whole that they stand in at their places. Each text of
    # them was looked at before.
    spelled = (
        b'{"batches":', encode_trusted(own.batches), b',"carnet":"proof/1","census":', encode_trusted(own.census), b",",
        first, b'"links":', encode_trusted(own.links), b",",
        second, b'"since":', encode_trusted(own.since), b',"submissions":', encode_trusted(own.submissions),
        b',"tip":', encode_trusted(own.tip), b"}",
    )  # fmt: skip
    return (own, ground) if b"".join(spelled) == data else None


def _read_ground(found: wire.RawWire, memory: Memory) -> Ground:
    """Known again as a whole if all of its bytes are, else part by part."""
    checkpoint, genesis, members = found.checkpoint, bytes(found.genesis), bytes(found.members)
    records, rules = bytes(found.records), bytes(found.rules)

    def read() -> Ground:
        return _make_ground(
            checkpoint,
            memory.once(("genesis", genesis), None, lambda: _make_genesis(_read_genesis_wire(genesis))),
            memory.once(("members", members), None, lambda: _make_groups(_read_groups_wire(members))),
            _read_records_wire(records),
            memory.once(("rules", rules), None, lambda: _make_sections(_read_sections_wire(rules))),
        )

    return memory.once(("ground", checkpoint, genesis, members, records, rules), None, read)


def _make_ground(
    checkpoint: bytes,
    genesis: tuple[bytes, wire.GenesisWire],
    groups: dict[int, GroupPart],
    records: wire.RecordsWire,
    sections: dict[int, SectionPart],
) -> Ground:
    indices: list[int] = []
    documents: list[wire.SealWire | wire.CensusRecordWire] = []
    logged: list[SealPart | CensusPart] = []
    seal_count = 0
    for placed in records.logged:
        index, record = placed.index, placed.record
        indices.append(index)
        documents.append(record)
        if isinstance(record, wire.SealWire):
            logged.append(_read_seal(index, record))
            seal_count += 1
        else:
            logged.append(_read_census(index, record))
    _check_ascending(indices)
    _check_path(records.path)
    # The whole was canonical, so that what stands in it is what this encodes.
    hashes, (framed, founded) = hash_documents(_RECORD, documents), genesis
    return Ground(checkpoint, framed, founded, groups, logged, indices, hashes, records.path, sections, seal_count)


def _make_genesis(genesis: wire.GenesisWire) -> tuple[bytes, wire.GenesisWire]:
    return frame_genesis(encode_trusted(genesis)), genesis


def _read_seal(index: int, seal: wire.SealWire) -> SealPart:
    endorsements, batch = seal.endorsements, parse_batch(seal.batch)
    if endorsements:
        _check_ascending([endorsement.member for endorsement in endorsements])
    if batch.count < 1:
        _malformed("a batch holds at least one link")
    return SealPart(index, seal.at, seal.height, endorsements, seal.members, seal.rules, seal.sig, batch, seal.batch)


def _read_census(index: int, record: wire.CensusRecordWire) -> CensusPart:
    endorsements, census = record.endorsements, record.census
    if endorsements:
        _check_ascending([endorsement.member for endorsement in endorsements])
    return CensusPart(
        index, record.at, record.height, endorsements, record.members, record.rules, record.sig,
        encode_trusted(census), census.home, census.covers, census.root, record.key,
    )  # fmt: skip


def _make_groups(groups: Sequence[wire.GroupWire]) -> dict[int, GroupPart]:
    if len(groups) > 1:
        _check_ascending([group.index for group in groups])
    return {group.index: _read_group(group) for group in groups}


def _read_group(group: wire.GroupWire) -> GroupPart:
    leaves: dict[bytes, wire.MemberWire] = {}
    indices: list[int] = []
    documents: list[wire.MemberWire] = []
    for placed in group.leaves:
        member = placed.leaf
        _check_member(member)
        leaves[member.id] = member
        indices.append(placed.index)
        documents.append(member)
    _check_ascending(indices)
    _check_path(group.path)
    return GroupPart(leaves, indices, hash_documents(_MEMBER, documents), group.path)


def _check_member(member: wire.MemberWire) -> None:
    accreditations = bytes(member.accreditations)
    if kernel is None or not kernel.do_accreditations_ascend(accreditations):
        _check_ascending(_read_accreditations(accreditations))
    for key in member.keys:
        # Another algorithm is "cannot tell" later (1.7): its sizes are not ours to judge.
        if (len(key.key) != 32 or len(key.sig) != 64) and key.alg == ALG_ED25519:
            _malformed("an Ed25519 key has 32 bytes, and a signature 64")


def _make_sections(sections: Sequence[wire.SectionWire]) -> dict[int, SectionPart]:
    if len(sections) > 1:
        _check_ascending([section.index for section in sections])
    return {section.index: _read_section(section) for section in sections}


def _read_section(section: wire.SectionWire) -> SectionPart:
    lines: dict[tuple[object, ...], Line] = {}
    indices: list[int] = []
    documents: list[Line] = []
    writer_count = 0
    for placed in section.lines:
        line = placed.line
        indices.append(placed.index)
        documents.append(line)
        if isinstance(line, KindLineWire):
            lines["kind", line.kind] = line
        elif isinstance(line, ClassLineWire):
            lines["class", line.class_] = line
        else:
            lines[WRITER] = line
            writer_count += 1
    _check_ascending(indices)
    _check_path(section.path)
    # Writer lines have one subject, however many they are.
    is_twice = len(lines) - (WRITER in lines) != len(documents) - writer_count
    return SectionPart(lines, is_twice, indices, hash_documents(_LINE, documents), section.path)


def _read_items(
    links: Sequence[bytes | wire.EntryWire],
    submissions: Sequence[wire.SubmissionWire],
    tip: wire.PlacementWire | None,
) -> list[Item]:
    """Spec: 4.5. The numbers of submissions stand in the order of their first use, and none is left out."""
    items: list[Item] = []
    used, count = 0, len(submissions)
    for link in links:
        if isinstance(link, bytes):
            items.append(_read_hidden(link, None))
            continue
        number = link.submission.number
        if number >= used:
            if number > used or number >= count:
                _malformed("submissions stand in the order of their first use")
            used = number + 1
        items.append(_read_entry(link, submissions[number]))
    if used != count:
        _malformed("a submission that no entry names")
    for submission in submissions:
        _check_path(submission.path)
    if tip is not None:
        last = links[-1]
        if not isinstance(last, bytes):
            _malformed("the last link is an entry, and has its own placement")
        items[-1] = _read_hidden(last, tip)
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
    data, place, placement = entry.statement, entry.submission, entry.placement
    statement, sid, leaf = read_statement(data)
    part = EntryPart(fields, root, statement, leaf, submission, place.number, place.index, placement.record, kind)
    return Item(sid, None, statement.mark, statement.target, placement, part)


def _read_fields(fields: dict[str, bytes | tuple[bytes, Any]]) -> bytes:
    if not fields:
        _malformed("fields are an object, and not empty")
    try:
        # `cj` writes names in ascending order, so the bundle's order is theirs.
        root, inside = hash_shown(fields, _VALUE_DEPTH)
    except ValueError:
        _malformed("a field's digest has 32 bytes")
    for value in inside:
        # The others are good as they were read, by their types and the text of the document.
        check_decoded(value, _VALUE_DEPTH)
    return root


def _check_path(path: bytes) -> None:
    if len(path) % HASH_BYTES:
        _malformed("a path is made of 32-byte hashes")


def _check_ascending(values: Sequence[Any]) -> None:
    if any(map(ge, values, values[1:])):
        _malformed("not in strictly ascending order")


def _malformed(why: str) -> NoReturn:
    raise Unverified("malformed", why)
