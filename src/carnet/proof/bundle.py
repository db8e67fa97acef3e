"""The shape of a proof bundle: its bytes become typed parts, or are refused as *not canonical* or *malformed*.

Knows shapes, sizes and orders (clauses 4.x and 5.3); refuses to know whether anything in them is true.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import NoReturn

from msgspec import Struct

from carnet.encoding import MAX_INTEGER, decode, unb64
from carnet.errors import Unverified
from carnet.ledger.batch import Batch, parse_batch
from carnet.ledger.network import NETWORK_NAME
from carnet.ledger.records import Ref
from carnet.passport.statement import NO_TARGET, Statement, parse_statement
from carnet.proof.memory import Memory, decode_inside, split_bundle, split_list
from carnet.signing import ALG_ED25519

MAX_BUNDLE_BYTES = 32 * 1024 * 1024
MAX_BUNDLE_VALUES = 2_000_000
VERSION = "proof/1"
_VERSION = b'"proof/1"'
MAX_PATH = 64
MAX_CONSISTENCY_PATH = 128

_U8, _U32 = 255, 2**32 - 1


class UnknownVersion(Unverified):
    """The bundle is of a version that this verifier does not know: it cannot tell. Spec: 5.3.3."""


@dataclass(frozen=True, slots=True)
class EndorsementPart:
    """One endorsement of a seal or census. Spec: 3.6."""

    member: bytes
    key: bytes
    sig: bytes


@dataclass(frozen=True, slots=True)
class LoggedPart:
    """A log record of type seal or census with its path. `document` is the record as it stands. Spec: 4.2."""

    index: int
    path: tuple[bytes, ...]
    document: dict[str, object]
    at: int
    height: int
    endorsements: tuple[EndorsementPart, ...]
    members: Ref
    rules: Ref
    sig: bytes


@dataclass(frozen=True, slots=True)
class SealPart(LoggedPart):
    """A seal: its batch header, parsed and as bytes."""

    batch: Batch
    batch_bytes: bytes


@dataclass(frozen=True, slots=True)
class CensusPart(LoggedPart):
    """A census record. `census` is the census object as it stands."""

    census: dict[str, object]
    home: bytes
    covers: int
    root: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class KeyPart:
    """One key of a member leaf. Spec: 3.3."""

    alg: int
    custody: int
    disputed_since: int | None
    key: bytes
    revoked: int | None
    role: int
    sig: bytes


@dataclass(frozen=True, slots=True)
class LeafPart:
    """A member leaf with its path. Spec: 4.3."""

    index: int
    path: tuple[bytes, ...]
    document: dict[str, object]
    id: bytes
    kind: str
    name: str
    accreditations: tuple[tuple[str, int, int], ...]
    keys: tuple[KeyPart, ...]
    retired: int | None


@dataclass(frozen=True, slots=True)
class LinePart:
    """A rules line with its path; `subject` is ("kind", kind), ("class", class) or ("writer",). Spec: 4.4."""

    index: int
    path: tuple[bytes, ...]
    document: dict[str, object]
    subject: tuple[object, ...]


class Placement(Struct, frozen=True, gc=False):
    """Where a link stands: the seal's log index, its place in the batch, its path there. Spec: 4.5."""

    record: int
    index: int
    path: tuple[bytes, ...]


class Item(Struct, frozen=True, gc=False):
    """One link of the chain. Spec: 4.5.

    Hidden items have `entry` None; a hidden tip has a placement all the same.
    """

    sid: bytes | None
    signed: bytes | None
    mark: int
    target: bytes
    placement: Placement | None
    entry: EntryPart | None


class EntryPart(Struct, frozen=True, gc=False):
    """A shown entry (`fields` maps names to a digest, or to (salt, value)) or a judged one (`fields` None)."""

    fields: dict[str, bytes | tuple[bytes, object]] | None
    signature: bytes
    statement: Statement
    statement_bytes: bytes
    created_ms: int
    count: int
    index: int
    path: tuple[bytes, ...]

    @property
    def is_shown(self) -> bool:
        """Whether the entry's fields stand in the bundle."""
        return self.fields is not None

    def get_shown(self, name: str) -> object:
        """The value of a shown field; None if it is absent or withheld."""
        found = None if self.fields is None else self.fields.get(name)
        return found[1] if isinstance(found, tuple) else None


@dataclass(frozen=True, slots=True)
class Since:
    """A consistency proof from an older checkpoint. Spec: 4.8."""

    path: tuple[bytes, ...]
    root: bytes
    size: int


@dataclass(frozen=True, slots=True)
class Bundle:
    """All parts of a bundle, in their order. `groups` and `sections` are keyed by log index."""

    census_path: tuple[bytes, ...]
    census_record: int
    checkpoint: bytes
    genesis: dict[str, object]
    name: str
    log_key: bytes
    items: tuple[Item, ...]
    groups: dict[int, tuple[LeafPart, ...]]
    records: tuple[SealPart | CensusPart, ...]
    sections: dict[int, tuple[LinePart, ...]]
    since: Since | None


def read_bundle(data: bytes, memory: Memory | None = None) -> Bundle:
    """The parts of a bundle. Raises Unverified: `too_large`, `not_canonical`, `malformed`, or UnknownVersion. Spec:
    5.3. `memory` knows parts of earlier ones again."""
    if len(data) > MAX_BUNDLE_BYTES:
        raise Unverified("too_large", f"a bundle has at most {MAX_BUNDLE_BYTES:,} bytes, this file has {len(data):,}")
    # Each value begins the document or follows one of these, so their number bounds the memory that decoding takes.
    # They are bytes themselves: a small bundle cannot hold so many.
    if len(data) > MAX_BUNDLE_VALUES and sum(data.count(mark) for mark in (b",", b"[", b"{")) > MAX_BUNDLE_VALUES:
        raise Unverified("too_large", f"a bundle has at most {MAX_BUNDLE_VALUES:,} values")
    bundle = None if memory is None else _find_known(data, memory)
    if bundle is not None:
        return bundle
    document = decode(data)
    if isinstance(document, dict):
        version = document.get("carnet")
        if isinstance(version, str) and version.startswith("proof/") and version != VERSION:
            raise UnknownVersion("unknown_version", f"this verifier knows {VERSION}, not {version!a}")
    try:
        return _read_document(document)
    except Unverified as error:
        raise Unverified("malformed", str(error)) from None


def _find_known(data: bytes, memory: Memory) -> Bundle | None:
    """The bundle, put together from its parts; None where anything is wrong with it, for the long way to say what."""
    parts = split_bundle(data)
    if parts is None or parts["carnet"] != _VERSION or parts["since"] != b"null":
        return None
    records = split_list(parts["records"])
    if records is None:
        return None
    try:
        census = _object(decode_inside(parts["census"], 1), ("path", "record"))
        genesis, name, log_key = memory.read_part("genesis", parts["genesis"], _genesis)
        logged = tuple(memory.once(("record", one), None, partial(_read_logged, one)) for one in records)
        _check_ascending([record.index for record in logged])
        links = _list(decode_inside(parts["links"], 1))
        if not links:
            return None
        return Bundle(
            census_path=_path(census["path"], None),
            census_record=_integer(census["record"]),
            checkpoint=memory.read_part("checkpoint", parts["checkpoint"], _bytes),
            genesis=genesis,
            name=name,
            log_key=log_key,
            items=tuple(_item(link, seq == len(links) - 1) for seq, link in enumerate(links)),
            groups=memory.read_part("members", parts["members"], _groups),
            records=logged,
            sections=memory.read_part("rules", parts["rules"], _sections),
            since=None,
        )
    except Unverified:
        return None


def _read_document(document: object) -> Bundle:
    names = ("carnet", "census", "checkpoint", "genesis", "links", "members", "records", "rules", "since")
    parts = _object(document, names)
    if parts["carnet"] != VERSION:
        _malformed("no known version")
    census = _object(parts["census"], ("path", "record"))
    genesis, name, log_key = _genesis(parts["genesis"])
    links = _list(parts["links"])
    if not links:
        _malformed("no links")
    groups, sections = _groups(parts["members"]), _sections(parts["rules"])
    records = tuple(_logged(part) for part in _list(parts["records"]))
    _check_ascending([record.index for record in records])
    since = None
    if parts["since"] is not None:
        part = _object(parts["since"], ("path", "root", "size"))
        since = Since(
            _path(part["path"], MAX_CONSISTENCY_PATH), _bytes(part["root"], 32), _integer(part["size"], low=1)
        )
    return Bundle(
        census_path=_path(census["path"], None),
        census_record=_integer(census["record"]),
        checkpoint=_bytes(parts["checkpoint"]),
        genesis=genesis,
        name=name,
        log_key=log_key,
        items=tuple(_item(link, seq == len(links) - 1) for seq, link in enumerate(links)),
        groups=groups,
        records=records,
        sections=sections,
        since=since,
    )


def _genesis(value: object) -> tuple[dict[str, object], str, bytes]:
    parts = _object(value, ("founders", "log_key", "name", "nonce", "rules_root"))
    founders = _list(parts["founders"])
    if not founders:
        _malformed("no founder")
    for founder in founders:
        found = _object(founder, ("key", "member"))
        _bytes(found["key"], 32), _bytes(found["member"], 16)
    name = _text(parts["name"])
    if NETWORK_NAME.fullmatch(name) is None:
        _malformed("a network's name has small letters, digits, dots and hyphens")
    _bytes(parts["nonce"], 32), _bytes(parts["rules_root"], 32)
    return parts, name, _bytes(parts["log_key"], 32)


def _logged(value: object) -> SealPart | CensusPart:
    part = _object(value, ("index", "path", "record"))
    index, path = _integer(part["index"]), _path(part["path"], MAX_PATH)
    record = part["record"]
    kind = record.get("type") if isinstance(record, dict) else None
    if kind == "seal":
        found = _object(record, ("at", "batch", "endorsements", "height", "members", "rules", "sig", "type"))
        batch_bytes = _bytes(found["batch"], 148)
        batch = parse_batch(batch_bytes)
        if batch.count < 1:
            _malformed("a batch holds at least one link")
        return SealPart(index, path, found, *_record_parts(found), batch=batch, batch_bytes=batch_bytes)
    if kind != "census":
        _malformed("a record is a seal or a census")
    names = ("at", "census", "endorsements", "height", "key", "members", "rules", "sig", "type")
    found = _object(record, names)
    census = _object(found["census"], ("count", "covers", "erased", "home", "previous", "root"))
    _integer(census["count"]), _integer(census["erased"]), _optional_integer(census["previous"])
    return CensusPart(
        index,
        path,
        found,
        *_record_parts(found),
        census=census,
        home=_bytes(census["home"], 16),
        covers=_integer(census["covers"]),
        root=_bytes(census["root"], 32),
        key=_bytes(found["key"], 32),
    )


def _read_logged(raw: bytes) -> SealPart | CensusPart:
    return _logged(decode_inside(raw, 2))


def _record_parts(
    found: dict[str, object],
) -> tuple[int, int, tuple[EndorsementPart, ...], Ref, Ref, bytes]:
    endorsements = []
    for value in _list(found["endorsements"]):
        part = _object(value, ("key", "member", "sig"))
        endorsements.append(
            EndorsementPart(_bytes(part["member"], 16), _bytes(part["key"], 32), _bytes(part["sig"], 64))
        )
    _check_ascending([endorsement.member for endorsement in endorsements])
    return (
        _integer(found["at"]),
        _integer(found["height"]),
        tuple(endorsements),
        _ref(found["members"]),
        _ref(found["rules"]),
        _bytes(found["sig"], 64),
    )


def _ref(value: object) -> Ref:
    part = _object(value, ("count", "index", "root"))
    return Ref(_integer(part["index"]), _bytes(part["root"], 32), _integer(part["count"], low=1, high=_U32))


def _groups(value: object) -> dict[int, tuple[LeafPart, ...]]:
    groups: dict[int, tuple[LeafPart, ...]] = {}
    for entry in _list(value):
        part = _object(entry, ("index", "leaves"))
        leaves = tuple(_leaf(leaf) for leaf in _list(part["leaves"]))
        if not leaves:
            _malformed("an empty group")
        _check_ascending([leaf.index for leaf in leaves])
        index = _integer(part["index"])
        if groups and index <= next(reversed(groups)):
            _malformed("groups are not in ascending order")
        groups[index] = leaves
    return groups


def _leaf(value: object) -> LeafPart:
    part = _object(value, ("index", "leaf", "path"))
    leaf = _object(part["leaf"], ("accreditations", "host", "id", "keys", "kind", "name", "retired"))
    _bytes(leaf["host"], 16)
    accreditations = [_accreditation(accreditation) for accreditation in _list(leaf["accreditations"])]
    _check_ascending(accreditations)
    return LeafPart(
        index=_integer(part["index"], high=_U32),
        path=_path(part["path"], MAX_PATH),
        document=leaf,
        id=_bytes(leaf["id"], 16),
        kind=_text(leaf["kind"]),
        name=_text(leaf["name"]),
        accreditations=tuple(accreditations),
        keys=tuple(_key(key) for key in _list(leaf["keys"])),
        retired=_optional_integer(leaf["retired"]),
    )


def _accreditation(value: object) -> tuple[str, int, int]:
    cells = _list(value)
    if len(cells) != 3:
        _malformed("an accreditation has a kind, a basis and a class")
    kind, basis, class_ = cells
    # A member has dozens of them: the common case without a call for each cell.
    if type(kind) is str and type(basis) is int and type(class_) is int and 0 <= basis <= _U8 and 0 <= class_ <= _U8:
        return kind, basis, class_
    return _text(kind), _integer(basis, high=_U8), _integer(class_, high=_U8)


def _key(value: object) -> KeyPart:
    part = _object(value, ("alg", "custody", "disputed_since", "key", "revoked", "role", "sig"))
    alg = _integer(part["alg"], high=_U8)
    is_known = alg == ALG_ED25519
    return KeyPart(
        alg=alg,
        custody=_integer(part["custody"], high=_U8),
        disputed_since=_optional_integer(part["disputed_since"]),
        key=_bytes(part["key"], 32 if is_known else None),
        revoked=_optional_integer(part["revoked"]),
        role=_integer(part["role"], high=_U8),
        sig=_bytes(part["sig"], 64 if is_known else None),
    )


def _sections(value: object) -> dict[int, tuple[LinePart, ...]]:
    sections: dict[int, tuple[LinePart, ...]] = {}
    for entry in _list(value):
        part = _object(entry, ("index", "lines"))
        lines = tuple(_line(line) for line in _list(part["lines"]))
        if not lines:
            _malformed("an empty section")
        _check_ascending([line.index for line in lines])
        index = _integer(part["index"])
        if sections and index <= next(reversed(sections)):
            _malformed("sections are not in ascending order")
        sections[index] = lines
    return sections


def _line(value: object) -> LinePart:
    part = _object(value, ("index", "line", "path"))
    line = part["line"]
    subject: tuple[object, ...]
    match line.get("line") if isinstance(line, dict) else None:
        case "kind":
            found = _object(line, ("chain", "class", "kind", "line", "location", "schema"))
            if found["chain"] not in ("history", "journal") or found["location"] not in ("vault", "source"):
                _malformed("a kind line names an unknown chain or location")
            _integer(found["class"], high=_U8), _bytes(found["schema"], 32)
            subject = ("kind", _text(found["kind"]))
        case "class":
            found = _object(line, ("class", "endorsements", "line"))
            _integer(found["endorsements"], high=_U8)
            subject = ("class", _integer(found["class"], high=_U8))
        case "writer":
            found = _object(line, ("bases", "kind", "line", "member"))
            for basis in _list(found["bases"]):
                _integer(basis, high=_U8)
            _text(found["kind"]), _text(found["member"])
            subject = ("writer",)
        case _:
            _malformed("a rules line is about a kind, a class or a writer")
    return LinePart(_integer(part["index"], high=_U32), _path(part["path"], MAX_PATH), found, subject)


def _item(value: object, is_last: bool) -> Item:
    if isinstance(value, str):
        return Item(*_hidden(value), placement=None, entry=None)
    if isinstance(value, dict) and "link" in value:
        part = _object(value, ("link", "placement"))
        if not is_last:
            _malformed("only the last link can be a tip")
        return Item(*_hidden(_text(part["link"])), placement=_placement(part["placement"]), entry=None)
    part = _object(value, ("fields", "placement", "signature", "statement", "submission"))
    submission = _object(part["submission"], ("at", "count", "index", "path"))
    statement_bytes = _bytes(part["statement"], None)
    statement = parse_statement(statement_bytes)
    entry = EntryPart(
        fields=None if part["fields"] is None else _fields(part["fields"]),
        signature=_bytes(part["signature"], 64),
        statement=statement,
        statement_bytes=statement_bytes,
        created_ms=_integer(submission["at"]),
        count=_integer(submission["count"], low=1, high=_U32),
        index=_integer(submission["index"], high=_U32),
        path=_path(submission["path"], MAX_PATH),
    )
    return Item(None, None, statement.mark, statement.target, placement=_placement(part["placement"]), entry=entry)


def _hidden(text: str) -> tuple[bytes, bytes, int, bytes]:
    data = _bytes(text)
    if len(data) == 64:
        return data[:32], data[32:], 0, NO_TARGET
    if len(data) != 97 or not 1 <= data[64] <= 4:
        _malformed("a hidden link has 64 bytes, or 97 with a mark")
    return data[:32], data[32:64], data[64], data[65:]


def _placement(value: object) -> Placement:
    part = _object(value, ("index", "path", "record"))
    return Placement(_integer(part["record"]), _integer(part["index"], high=_U32), _path(part["path"], MAX_PATH))


def _fields(value: object) -> dict[str, bytes | tuple[bytes, object]]:
    if not isinstance(value, dict) or not value:
        _malformed("fields are an object")
    fields: dict[str, bytes | tuple[bytes, object]] = {}
    for name, field in value.items():
        if isinstance(field, str):
            fields[name] = _bytes(field, 32)
        elif isinstance(field, list) and len(field) == 2:
            salt, value_shown = field
            fields[name] = (unb64(_text(salt), 16), value_shown)
        else:
            _malformed("a field is a digest, or a salt and a value")
    return fields


def _object(value: object, names: tuple[str, ...]) -> dict[str, object]:
    # As a canonical document spells it: the names in their order.
    if type(value) is dict and tuple(value) == names:
        return value
    if not isinstance(value, dict) or len(value) != len(names) or any(name not in value for name in names):
        _malformed(f"expected exactly {', '.join(names)}")
    return value


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        _malformed("expected a list")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        _malformed("expected text")
    return value


def _integer(value: object, *, low: int = 0, high: int = MAX_INTEGER) -> int:
    if type(value) is not int or not low <= value <= high:
        _malformed(f"expected a whole number from {low} to {high}")
    return value


def _optional_integer(value: object) -> int | None:
    return None if value is None else _integer(value)


def _bytes(value: object, size: int | None = None) -> bytes:
    return unb64(_text(value), size)


def _path(value: object, most: int | None) -> tuple[bytes, ...]:
    data = _bytes(value)
    if len(data) % 32 or (most is not None and len(data) > 32 * most):
        _malformed("a path is made of 32-byte hashes, and is no longer than its tree is high")
    return tuple(data[at : at + 32] for at in range(0, len(data), 32))


def _check_ascending(values: list[int] | list[bytes] | list[tuple[str, int, int]]) -> None:
    if len(set(values)) != len(values) or sorted(values) != values:
        _malformed("not in strictly ascending order")


def _malformed(why: str) -> NoReturn:
    raise Unverified("malformed", why)
