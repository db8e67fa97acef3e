"""The one canonical encoding, and the small byte constructors that every hashed or signed message is made of.

A value has exactly one spelling in bytes: `cj`, RFC 8785 (JSON Canonicalization Scheme) restricted to what two
languages cannot read differently. What the encoder would not write, the decoder refuses. This module knows nothing of
statements, links or fields, and holds no table that is indexed by names from outside.
"""

from __future__ import annotations

import binascii
import hashlib
import json
import re
import struct
from collections.abc import Callable, Iterable, Sequence
from types import NoneType
from typing import Annotated, Final, NoReturn, TypeVar

import msgspec

from carnet.errors import Reason, Refused, Unverified
from carnet.kernel import kernel

MAX_INTEGER: Final = 2**53 - 1
"""The largest integer that every JSON reader keeps exactly (RFC 8785 §3.2.2.3, I-JSON)."""

MAX_DEPTH: Final = 16
"""The deepest container; the outermost has depth 1 and a scalar adds none."""

MAX_DOCUMENT_BYTES: Final = 32 * 1024 * 1024

SafeInteger = Annotated[int, msgspec.Meta(ge=-MAX_INTEGER, le=MAX_INTEGER)]
"""The type of an integer field of a wire record, so that typed decoding keeps the range of `cj`."""

Count = Annotated[int, msgspec.Meta(ge=1, le=MAX_INTEGER)]
"""The type of a count: never zero (format, "Bytes")."""

T = TypeVar("T")

MAX_SEEN_KEYS: Final = 4_096
_SEEN_KEYS: Final[set[str]] = set()
"""Good keys that were met before, so that the same few names are not matched again in every document; bounded."""

_NEEDS_NO_LOOK = frozenset({str, NoneType, bool})
"""Types of values that lie within `cj` where the texts of their document are known to be good."""

_KEY = re.compile(r"[a-z][a-z0-9_]{0,39}")
# C0, DEL and C1, bidirectional controls, and surrogates, which are no characters at all.
_FORBIDDEN_CLASS = "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_FORBIDDEN = re.compile(f"[{_FORBIDDEN_CLASS}]")
# In canonical bytes a backslash only ever escapes a quote or a backslash: the other escapes spell characters that are
# not allowed.
_WRONG_ESCAPE = re.compile(rb'(?<!\\)(?:\\\\)*\\(?!["\\])')
_WRONG_SURROGATE = re.compile("[\ud800-\udfff]")

_canonical = msgspec.json.Encoder(order="sorted")
_reader = msgspec.json.Decoder()

encode_trusted = _canonical.encode
"""Encode, unchecked and ten times faster, a value that a typed schema has already restricted to `cj`."""


# ---- the canonical encoding


def encode(value: object) -> bytes:
    """The canonical bytes of `value`: sorted keys, no spaces, UTF-8 (RFC 8785 restricted).

    Accepts exactly `dict`, `list`, `tuple`, `str`, `int`, `bool` and `None`. Raises `Refused` with WRONG_TYPE,
    TEXT_NOT_ALLOWED, NUMBER_OUT_OF_RANGE or NESTED_TOO_DEEP when the value lies outside the restriction.
    """
    check_value(value)
    return encode_trusted(value)


def decode(data: bytes, *, max_bytes: int = MAX_DOCUMENT_BYTES, max_depth: int = MAX_DEPTH) -> object:
    """The value whose canonical bytes are exactly `data`; raises `Unverified("not_canonical")` for any other bytes.

    Memory is bounded by about thirty times `len(data)` in the worst case (a document of empty lists); `decode_as` is
    leaner and stops at the first unknown member.
    """
    _check_size(data, max_bytes)
    try:
        value = _reader.decode(data)
        # What may be less deep begins deeper.
        depth = 1 + MAX_DEPTH - max_depth
        if is_plain_json(data):
            check_decoded(value, depth)
        else:
            _check_any(value, depth)
    except (msgspec.DecodeError, UnicodeError, RecursionError, Refused) as error:
        raise _not_canonical(error) from None
    if encode_trusted(value) != data:
        # Spaces, unsorted or duplicate keys, another spelling of a number or of a character.
        raise Unverified("not_canonical", "these bytes are not the canonical spelling of their own value")
    return value


def decode_as(data: bytes, record: type[T], *, max_bytes: int = MAX_DOCUMENT_BYTES) -> T:
    """The typed record whose canonical bytes are exactly `data`; raises `Unverified("not_canonical")` otherwise.

    `record` is built of `msgspec.Struct(forbid_unknown_fields=True)` whose integers are `SafeInteger`, `Count` or
    narrower. Its own shape bounds depth and keys. A field that may be absent uses `omit_defaults=True` with an UNSET
    default.
    """
    _check_size(data, max_bytes)
    try:
        check_text_of(data)
        value = msgspec.json.decode(data, type=record)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise _not_canonical(error) from None
    if encode_trusted(value) != data:
        raise Unverified("not_canonical", "these bytes are not the canonical spelling of their own value")
    return value


def check_value(value: object) -> None:
    """Raise `Refused` unless `value` lies within the restriction of `cj`."""
    _check_any(value, 1)


def _check_any(value: object, depth: int) -> None:
    kind = type(value)
    if kind is dict or kind is list or kind is tuple:
        _check_container(value, depth)
    else:
        _check_scalar(value)


def check_text(text: str) -> None:
    """Raise `Refused(TEXT_NOT_ALLOWED)` if `text` holds a control, a bidirectional control or a lone surrogate."""
    if text.isascii() and text.isprintable():
        return
    found = _FORBIDDEN.search(text)
    if found:
        code = f"U+{ord(found.group()):04X}"
        raise Refused(
            Reason.TEXT_NOT_ALLOWED,
            f"character {found.start() + 1} is {code}: no controls, bidirectional controls or lone surrogates",
            character=code,
            position=found.start() + 1,
        )


def is_key(name: str) -> bool:
    """Whether `name` may be a key of `cj`: a small letter, then at most 39 small letters, digits or underscores."""
    return _KEY.fullmatch(name) is not None


def _check_scalar(value: object) -> None:
    # Exact types: a subclass could change how a value is written (an enum, a text that overrides its own methods).
    kind = type(value)
    if kind is str:
        check_text(value)  # type: ignore[arg-type]
    elif kind is int:
        if not -MAX_INTEGER <= value <= MAX_INTEGER:  # type: ignore[operator]
            raise Refused(Reason.NUMBER_OUT_OF_RANGE, "an integer must lie within ±(2^53-1)")
    elif kind is float:
        raise Refused(
            Reason.NUMBER_OUT_OF_RANGE, "a number must be a whole number: put the unit in the field's name instead"
        )
    elif kind is not bool and value is not None:
        raise Refused(Reason.WRONG_TYPE, f"a value of type {kind.__name__} cannot be encoded", type=kind.__name__)


def _nested_too_deep() -> Refused:
    return Refused(
        Reason.NESTED_TOO_DEEP, f"objects and lists may be nested {MAX_DEPTH} deep, not more", limit=MAX_DEPTH
    )


def _check_key(key: object) -> None:
    if type(key) is not str:
        raise Refused(Reason.WRONG_TYPE, f"a key must be a text, not {type(key).__name__}", type=type(key).__name__)
    if not is_key(key):
        shown = ascii(key[:60])
        raise Refused(Reason.TEXT_NOT_ALLOWED, f"the key {shown} is not of the form [a-z][a-z0-9_]{{0,39}}", key=shown)


def _check_container(value: object, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise _nested_too_deep()
    if type(value) is dict:
        for key in value:
            _check_key(key)
        members = value.values()
    else:
        members = value  # type: ignore[assignment]
    for member in members:
        kind = type(member)
        if kind is dict or kind is list or kind is tuple:
            _check_container(member, depth + 1)
        else:
            _check_scalar(member)


def is_plain_json(data: bytes) -> bool:
    """Whether no text of a JSON document can hold a character that is not allowed; False only means *look closer*.

    A control character stands in JSON only as an escape, DEL as itself, all others that are refused beyond ASCII.
    """
    # Asked by their codes, which takes a fifth of the time: a backslash, and DEL.
    return data.isascii() and 0x5C not in data and 0x7F not in data


def check_keys(keys: Iterable[str]) -> None:
    """Raise `Refused` unless each may be a key of `cj`."""
    if not _SEEN_KEYS.issuperset(keys):
        for key in keys:
            _check_key(key)
            if len(_SEEN_KEYS) < MAX_SEEN_KEYS:
                _SEEN_KEYS.add(key)


def check_decoded(value: object, depth: int) -> None:
    """As `check_value`, for what the JSON reader returned from a document whose texts are known to be good: five
    times faster. `depth` is that of the value, if it is a container."""
    if kernel is None or not kernel.is_plain(value, depth):
        _check_decoded(value, depth)


def _check_decoded(value: object, depth: int) -> None:
    kind = type(value)
    if kind is dict:
        check_keys(value)  # type: ignore[arg-type]
        members = value.values()  # type: ignore[attr-defined]
    elif kind is list:
        members = value
    else:
        _check_scalar(value)
        return
    if depth > MAX_DEPTH:
        raise _nested_too_deep()
    if _NEEDS_NO_LOOK.issuperset(map(type, members)):
        return
    for member in members:
        kind = type(member)
        if kind is str:
            continue
        if kind is dict or kind is list:
            _check_decoded(member, depth + 1)
        elif kind is not int or not -MAX_INTEGER <= member <= MAX_INTEGER:
            _check_scalar(member)


def check_text_of(data: bytes) -> None:
    """The text rules, applied to a whole canonical document at once instead of string by string. Raises
    `Unverified("not_canonical")`."""
    if is_plain_json(data):
        return
    found = _FORBIDDEN.search(data.decode("utf-8"))
    if found or _WRONG_ESCAPE.search(data):
        raise Unverified(
            "not_canonical", "a text holds a character that is not allowed, or an escape that is not needed"
        )


def _check_size(data: bytes, max_bytes: int) -> None:
    if len(data) > max_bytes:
        raise Unverified("document_too_large", f"{len(data):,} bytes, where at most {max_bytes:,} are read")


def _not_canonical(error: Exception) -> Unverified:
    why = type(error).__name__
    if isinstance(error, Refused):
        why = error.message
    elif isinstance(error, msgspec.DecodeError):
        # It says at which byte, and repeats nothing of them.
        why = str(error)
    return Unverified("not_canonical", f"not a canonical document: {why}")


# ---- reading other people's JSON


def parse_json(data: bytes, *, max_depth: int = MAX_DEPTH) -> object:
    """Read one JSON document written by someone else, in any spelling, for a reader that checks its shape afterwards.

    Raises `Refused`, in this order of precedence: WRONG_ENCODING (not UTF-8), NOT_JSON (with `position`, in characters
    from 1), DUPLICATE_KEY (with `key`), NUMBER_OUT_OF_RANGE (a fraction, an exponent, NaN, or beyond ±(2^53-1)),
    NESTED_TOO_DEEP and TEXT_NOT_ALLOWED (a lone surrogate). Control characters inside texts are left to the reader's
    own rules.
    """
    try:
        value = _reader.decode(data)
    except RecursionError:
        raise _too_deep(max_depth) from None
    except (msgspec.DecodeError, UnicodeError):
        return _parse_slowly(data, max_depth)
    # Every parser keeps only one of two equal keys, silently. Each key that was written has one colon outside texts, so
    # when the colons of the bytes are as many as the keys and the colons inside the texts that were kept, no key was
    # dropped.
    if b"\\u003" in data:
        return _parse_slowly(data, max_depth)
    if _count_colons(value, max_depth) != data.count(b":"):
        return _parse_slowly(data, max_depth)
    return value


class _Duplicate(Exception):
    pass


class _NumberRefused(Exception):
    pass


def _parse_slowly(data: bytes, max_depth: int) -> object:
    """The same with the standard library, which can say what is wrong and where."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused(
            Reason.WRONG_ENCODING, f"not UTF-8: byte {error.start + 1} cannot be read", position=error.start + 1
        ) from None
    try:
        value = _strict_reader.decode(text)
    except json.JSONDecodeError as error:
        raise Refused(
            Reason.NOT_JSON, f"not JSON: {error.msg} at character {error.pos + 1}", position=error.pos + 1
        ) from None
    except _Duplicate as error:
        key = ascii(error.args[0][:60])
        raise Refused(Reason.DUPLICATE_KEY, f"the key {key} stands twice in one object", key=key) from None
    except _NumberRefused as error:
        number = error.args[0][:40]
        raise Refused(
            Reason.NUMBER_OUT_OF_RANGE, f"{number} is not a whole number within ±(2^53-1)", number=number
        ) from None
    except RecursionError:
        raise _too_deep(max_depth) from None
    _count_colons(value, max_depth)
    if _WRONG_SURROGATE.search(json.dumps(value, ensure_ascii=False)):
        raise Refused(Reason.TEXT_NOT_ALLOWED, "a text holds a lone surrogate, which is no character")
    return value


def _count_colons(value: object, levels: int) -> int:
    """Keys, and colons inside texts, of a decoded value; checks numbers, and depth by the `levels` still allowed."""
    kind = type(value)
    if kind is str:
        return value.count(":")  # type: ignore[attr-defined,no-any-return]
    if kind is dict:
        if levels == 0:
            raise _too_deep(None)
        total = len(value)  # type: ignore[arg-type]
        for key, member in value.items():  # type: ignore[attr-defined]
            total += key.count(":")
            # A row is mostly texts: they are counted here, without a call of our own.
            total += member.count(":") if type(member) is str else _count_colons(member, levels - 1)
        return total
    if kind is list:
        if levels == 0:
            raise _too_deep(None)
        total = 0
        for member in value:  # type: ignore[attr-defined]
            total += _count_colons(member, levels - 1)
        return total
    if kind is float or (kind is int and not -MAX_INTEGER <= value <= MAX_INTEGER):  # type: ignore[operator]
        raise Refused(
            Reason.NUMBER_OUT_OF_RANGE, f"{value!r} is not a whole number within ±(2^53-1)", number=repr(value)[:40]
        )
    return 0


def _too_deep(limit: int | None) -> Refused:
    shown = "" if limit is None else f" ({limit} levels)"
    return Refused(Reason.NESTED_TOO_DEEP, f"objects and lists are nested deeper than is read{shown}")


def _take_pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    taken = dict(pairs)
    if len(taken) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _Duplicate(key)
            seen.add(key)
    return taken


def _take_integer(digits: str) -> int:
    # Measured before it is converted: the conversion of a million digits takes minutes.
    if len(digits) > 17:
        raise _NumberRefused(digits)
    number = int(digits)
    if not -MAX_INTEGER <= number <= MAX_INTEGER:
        raise _NumberRefused(digits)
    return number


def _refuse_number(spelling: str) -> NoReturn:
    raise _NumberRefused(spelling)


_strict_reader = json.JSONDecoder(
    object_pairs_hook=_take_pairs, parse_int=_take_integer, parse_float=_refuse_number, parse_constant=_refuse_number
)


# ---- the bytes of hashed and signed messages

_U32 = struct.Struct(">I").pack
_U64 = struct.Struct(">Q").pack


def tag(name: str) -> bytes:
    """`T(name)` of the format: the start of every hashed or signed message, so that no kind is taken for another."""
    return b"carnet/1/" + name.encode("ascii") + b"\n"


def u8(number: int) -> bytes:
    """One byte; raises `ValueError` outside 0..255."""
    return bytes((number,))


def u32(number: int) -> bytes:
    """Four bytes, big-endian; raises `ValueError` outside 0..2^32-1."""
    try:
        return _U32(number)
    except struct.error:
        raise ValueError("not a u32") from None


def u64(number: int) -> bytes:
    """Eight bytes, big-endian; raises `ValueError` outside 0..2^53-1, the range that every reader keeps exactly."""
    if not 0 <= number <= MAX_INTEGER:
        raise ValueError("not a u64 within 2^53-1")
    try:
        return _U64(number)
    except struct.error:
        raise ValueError("not a u64: no whole number") from None


def lp(data: bytes) -> bytes:
    """`data` after its own length as a u32, so that two neighbours cannot share a byte differently."""
    return _U32(len(data)) + data


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


sha256: Final[Callable[[bytes], bytes]] = kernel.sha256 if kernel is not None and kernel.HAS_INSTRUCTIONS else _sha256
"""The SHA-256 digest, 32 bytes. Where the kernel knows no instructions of the processor for it, OpenSSL may."""


def hash_documents(prefix: bytes, documents: Sequence[object]) -> list[bytes]:
    """The hash of each document's leaf in a tree (RFC 9162 §2.1): of the prefix and its canonical bytes, which are made
    unchecked, as by `encode_trusted`."""
    if kernel is not None:
        return kernel.hash_documents(prefix, encode_trusted, documents)  # type: ignore[no-any-return]
    return _hash_documents(prefix, encode_trusted, documents)


def _hash_documents(prefix: bytes, encode: Callable[[object], bytes], documents: Sequence[object]) -> list[bytes]:
    return [sha256(b"\x00" + prefix + encode(document)) for document in documents]


def b64(data: bytes) -> str:
    """Standard Base64 with padding (RFC 4648 §4), on one line."""
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def unb64(text: str, size: int | None = None) -> bytes:
    """The bytes of a canonical Base64 text, of `size` bytes when it is given; raises `Unverified("bad_base64")`.

    A text that does not re-encode to itself is refused: spaces, missing padding, the URL alphabet, set bits after the
    last byte.
    """
    try:
        data = binascii.a2b_base64(text)
    except (binascii.Error, ValueError):
        raise Unverified("bad_base64", "not standard Base64") from None
    # The decoder is lenient; what it left out or made up does not come back.
    if binascii.b2a_base64(data, newline=False).decode("ascii") != text:
        raise Unverified("bad_base64", "this Base64 does not re-encode to itself")
    if size is not None and len(data) != size:
        raise Unverified("bad_base64", f"{len(data)} bytes where {size} are expected")
    return data
