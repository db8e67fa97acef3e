"""Signed notes (C2SP signed-note): a text, an empty line, and lines of signatures by named keys.

Keys come from the reader, never from the note: a signature by an unknown key or of an unknown type is ignored, and one
bad signature by a known key refuses the whole note. This module does not know what the text says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from carnet.encoding import b64, sha256, unb64
from carnet.errors import Unverified
from carnet.signing import Signer, is_strict_point, verify
from carnet.tlog.cosignature import find_cosigned_time, sign_cosignature

TYPE_ED25519: Final = 0x01
TYPE_COSIGNATURE: Final = 0x04
MAX_SIGNATURES: Final = 100

_DASH: Final = "— "
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_SURROGATE = re.compile("[\ud800-\udfff]")
# The characters with the Unicode property White_Space, spelled out: "\s" means other sets in other languages and
# versions.
_NOT_IN_NAME = re.compile("[+\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")
_PLAIN = re.compile("((?:[ -~]+\n)+)\n\u2014 ([!-*,-~]+) ([!-~]+)\n")
"""Most notes: ASCII, of lines that are not empty, with one signature. What is asked of any other holds of these."""
_VKEY_ID = re.compile(r"[0-9a-f]{8}")


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key with the name and the type under which it signs notes."""

    name: str
    type: int
    public: bytes

    def __post_init__(self) -> None:
        if not is_key_name(self.name):
            raise Unverified("key_malformed", f"{self.name!a} cannot be the name of a key")
        if self.type not in (TYPE_ED25519, TYPE_COSIGNATURE):
            raise Unverified("key_type_unknown", f"keys of type 0x{self.type:02x} are not known")
        if not is_strict_point(self.public):
            raise Unverified("key_malformed", "not an Ed25519 public key that could verify anything")

    @property
    def key_id(self) -> bytes:
        """The four bytes that, with the name, say in a note which key signed."""
        return sha256(self.name.encode() + b"\n" + bytes((self.type,)) + self.public)[:4]

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """Read `name+hex key id+base64(type ‖ key)`; raises `Unverified` "key_malformed" or "key_type_unknown"."""
        name, _, rest = text.partition("+")
        key_id, _, material = rest.partition("+")
        if not _VKEY_ID.fullmatch(key_id):
            raise Unverified(
                "key_malformed", "a key is written name+key id+key, the id in eight small hexadecimal digits"
            )
        try:
            raw = unb64(material)
        except Unverified:
            raise Unverified("key_malformed", "the key is not canonical Base64") from None
        if not raw:
            raise Unverified("key_malformed", "the key is empty")
        key = cls(name, raw[0], raw[1:])
        if key.key_id.hex() != key_id:
            raise Unverified("key_malformed", "the key id is not that of this name and key")
        return key

    def format(self) -> str:
        """The text that `parse` reads."""
        return f"{self.name}+{self.key_id.hex()}+{b64(bytes((self.type,)) + self.public)}"


class NoteSignature(NamedTuple):
    """One signature line as it stands, not verified."""

    name: str
    key_id: bytes
    signature: bytes

    def is_by(self, key: VerifierKey) -> bool:
        """Whether this line claims to be by `key`: the name and the key id, together, name the key."""
        return self.name == key.name and self.key_id == key.key_id

    def format(self) -> str:
        """The line, with its newline."""
        return f"{_DASH}{self.name} {b64(self.key_id + self.signature)}\n"


class Note(NamedTuple):
    """A note taken apart, not verified. `text` ends in a newline."""

    text: str
    signatures: tuple[NoteSignature, ...]

    def format(self) -> bytes:
        """The bytes of the note."""
        return (self.text + "\n" + "".join(line.format() for line in self.signatures)).encode()


@dataclass(frozen=True, slots=True)
class VerifiedSignature:
    """A signature of the note by a known key; `time_s` (seconds since 1970) for cosignatures only."""

    key: VerifierKey
    time_s: int | None


def is_key_name(name: str) -> bool:
    """Whether `name` can stand in a signature line: not empty, no Unicode space, no plus, no control, well-formed."""
    if name.isascii() and name.isprintable():
        return name != "" and "+" not in name and " " not in name
    if not name or _NOT_IN_NAME.search(name) or _CONTROL.search(name):
        return False
    return _SURROGATE.search(name) is None


def parse_note(data: bytes) -> Note:
    """Take a note of 1 to 100 signature lines apart, unverified; raises `Unverified("note_malformed")`."""
    try:
        whole = data.decode("utf-8")
    except UnicodeDecodeError:
        raise _malformed("not UTF-8") from None
    plain = _PLAIN.fullmatch(whole)
    if plain is not None:
        text, name, blob = plain.groups()
        return Note(text, (_make_signature(name, blob),))
    # What can be printed holds no control character; not all that cannot is one.
    if not whole.replace("\n", "").isprintable() and _CONTROL.search(whole):
        raise _malformed("a control character other than a newline")
    text, gap, tail = whole.rpartition("\n\n")
    if not gap or not tail.endswith("\n"):
        raise _malformed("no signature lines after an empty line, or the last one is cut")
    lines = tail[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise _malformed(f"{len(lines)} signature lines, where at most {MAX_SIGNATURES} are read")
    return Note(text + "\n", tuple(_parse_signature(line) for line in lines))


def open_note(data: bytes, keys: Iterable[VerifierKey]) -> tuple[Note, tuple[VerifiedSignature, ...]]:
    """The note, with its verified signatures by `keys`, in the order of its lines.

    Raises `Unverified`: "note_malformed"; "note_signature_invalid" if a line names a known key and does not verify
    (every such line is checked, also a second one by the same key); "note_unsigned" if no line is by a known key.
    """
    known = {(key.name, key.key_id): key for key in keys}
    note = parse_note(data)
    verified = tuple(
        _verify_line(note.text.encode(), key, line)
        for line in note.signatures
        if (key := known.get((line.name, line.key_id))) is not None
    )
    if not verified:
        raise Unverified("note_unsigned", "no signature by a key that the reader knows")
    return note, verified


def sign_note(text: str, name: str, *signers: Signer) -> bytes:
    """A note over `text` (which ends in a newline), signed with type 0x01 under `name`."""
    if not text.endswith("\n") or _CONTROL.search(text):
        raise ValueError("the text of a note ends in a newline and holds no other control character")
    keys = [VerifierKey(name, TYPE_ED25519, signer.public) for signer in signers]
    body = text.encode()
    return Note(
        text,
        tuple(NoteSignature(name, key.key_id, signer.sign(body)) for key, signer in zip(keys, signers, strict=True)),
    ).format()


def with_cosignature(data: bytes, name: str, signer: Signer, time_s: int) -> bytes:
    """The note with one more line: `signer`'s cosignature (type 0x04) at `time_s`, in seconds since 1970."""
    note = parse_note(data)
    key = VerifierKey(name, TYPE_COSIGNATURE, signer.public)
    line = NoteSignature(name, key.key_id, sign_cosignature(note.text.encode(), time_s, signer))
    return Note(note.text, (*note.signatures, line)).format()


def with_signatures_of(data: bytes, keys: Iterable[VerifierKey]) -> bytes:
    """The note with only the lines of `keys`: a bundle carries no signature that its reader cannot know."""
    known = {(key.name, key.key_id) for key in keys}
    note = parse_note(data)
    return Note(note.text, tuple(line for line in note.signatures if (line.name, line.key_id) in known)).format()


def _verify_line(body: bytes, key: VerifierKey, line: NoteSignature) -> VerifiedSignature:
    if key.type == TYPE_COSIGNATURE:
        time_s = find_cosigned_time(body, key.public, line.signature)
        if time_s is not None:
            return VerifiedSignature(key, time_s)
    elif verify(key.public, body, line.signature):
        return VerifiedSignature(key, None)
    raise Unverified("note_signature_invalid", f"the signature of {key.name!a} is not valid")


def _parse_signature(line: str) -> NoteSignature:
    if not line.startswith(_DASH):
        raise _malformed("a signature line does not start with a dash and a space")
    name, gap, blob = line.removeprefix(_DASH).partition(" ")
    if not gap or not is_key_name(name):
        raise _malformed("a signature line has no name and signature")
    return _make_signature(name, blob)


def _make_signature(name: str, blob: str) -> NoteSignature:
    try:
        raw = unb64(blob)
    except Unverified:
        raise _malformed("a signature is not canonical Base64") from None
    if len(raw) < 5:
        raise _malformed("a signature is too short to hold a key id")
    return NoteSignature(name, raw[:4], raw[4:])


def _malformed(message: str) -> Unverified:
    return Unverified("note_malformed", message)
