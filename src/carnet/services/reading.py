"""Opening a home for reading, and naming what is in it as a person does: by id or its beginning, VIN, plate or subject.

It refuses to know who may read: whoever can open the key ring holds the keys.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from carnet.encoding import encode_trusted
from carnet.errors import Reason, Refused
from carnet.node.home import Home
from carnet.node.reader import Passport, Reader
from carnet.node.reader import open_reader as open_node_reader
from carnet.passport.subject import encode_subject, parse_subject
from carnet.types import Subject, brief

IDENTITY = "vehicle.identity/1"

_ID_PART = re.compile(r"[0-9a-f]{4,32}")
_VIN_LENGTH = 17


@dataclass(frozen=True, slots=True)
class Found:
    """A passport that answers to a text, and why: "id", "subject", or the interval of an alias."""

    passport: Passport
    why: str


def open_reader(home: Home, passphrase: str | None = None) -> Reader:
    """A reader of this home, as it is now. Raises Refused(NO_NODE, WRONG_PASSPHRASE, NODE_DAMAGED)."""
    home.check_founded()
    return open_node_reader(home.path, passphrase=passphrase)


def get_passport(reader: Reader, text: str) -> bytes:
    """The one passport that a person names by id, beginning of an id, VIN, `scheme:value` or plate.

    Raises Refused(UNKNOWN_PASSPORT) for none or several, and as `parse_subject` does for what can be nothing of these.
    """
    wanted = text.strip()
    if len(wanted) == 32 and _ID_PART.fullmatch(wanted.lower()):
        return reader.get(wanted.lower())
    if not wanted.startswith("plate:") and not _looks_like_id(wanted):
        return reader.get(wanted)
    found = list(find_passports(reader, wanted))
    if len(found) == 1:
        return found[0].passport.chain16
    if not found:
        raise Refused(Reason.UNKNOWN_PASSPORT, f"no passport here answers to {brief(wanted)!a}", passport=brief(wanted))
    ids = [one.passport.chain16.hex() for one in found[:5]]
    raise Refused(
        Reason.UNKNOWN_PASSPORT, f"{len(found)} passports answer to {brief(wanted)!a}: give the id", passports=ids
    )


def find_passports(reader: Reader, text: str) -> Iterator[Found]:
    """Every passport that answers to a text. Plates are looked for in all passports, one by one.

    Raises as `parse_subject` does for a text that can be no id and no subject.
    """
    wanted = text.strip()
    is_part = _looks_like_id(wanted)
    subject = _find_subject(wanted) if is_part else parse_subject(wanted)
    exact = reader.find_subject(subject) if subject is not None and subject.scheme != "plate" else None
    if exact is not None:
        yield Found(get_line(reader, exact), "subject")
    if subject is not None and subject.scheme == "plate":
        yield from _find_by_alias(reader, subject)
    if is_part:
        for passport in reader.find_by_beginning(wanted.lower()):
            yield Found(passport, "id")


def get_line(reader: Reader, chain: bytes) -> Passport:
    """A passport as a list shows it."""
    entries = list(reader.read_entries(chain))
    is_closed = any(entry.kind == "passport.closed/1" for entry in entries)
    return Passport(chain, reader.get_subject(chain), len(entries), is_closed)


def format_subject(subject: dict[str, object] | None) -> str:
    """A subject as a person writes it; "erased" where it is gone."""
    if subject is None:
        return "erased"
    return ":".join(str(subject[part]) for part in ("scheme", "country", "value") if subject.get(part))


def _looks_like_id(text: str) -> bool:
    """Hexadecimal digits, but not as many as a VIN has: a VIN of digits alone is a VIN."""
    return _ID_PART.fullmatch(text.lower()) is not None and len(text) != _VIN_LENGTH


def _find_subject(text: str) -> Subject | None:
    try:
        return parse_subject(text)
    except Refused:
        return None


def _find_by_alias(reader: Reader, subject: Subject) -> Iterator[Found]:
    # No index of plates: one would say which vehicles changed them. A plate is looked up rarely.
    wanted = encode_subject(subject)
    for passport in reader.list_passports():
        if passport.subject is None:
            continue
        for entry in reader.read_entries(passport.chain16):
            alias = entry.fields.get("alias") if entry.kind == IDENTITY and entry.fields is not None else None
            if isinstance(alias, dict) and encode_trusted(alias["subject"]) == wanted:
                until = f" until {alias['until']}" if alias["until"] else ""
                yield Found(passport, f"plate since {alias['from']}{until}")
                break
