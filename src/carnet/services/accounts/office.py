"""What the services of accounts are given: the store, the key of its digests, the clock, chance, and which network this
is; and how a secret looks, and is known again.
"""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b, shake_256
from typing import Final

from carnet.errors import Reason, Refused
from carnet.node.home import Home
from carnet.node.people import open_people
from carnet.node.reader import Reader
from carnet.services.founding import now_ms
from carnet.services.principals import Principal, Standing
from carnet.services.reading import open_reader
from carnet.types import Millis
from carnet.vault.people.store import PeopleStore

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS

_PAPER: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LETTERS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_MISREAD: Final = str.maketrans("OIL", "011", " -")
_TEST_NAMES: Final = frozenset({"demo", "test"})
_ID: Final = re.compile(r"([a-z]{3})_([0-9a-f]{32})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Office:
    """`key` is that of the digests (32 bytes), `network` the name in the genesis. `is_open`: anybody may make a
    holder's account; `is_demo`: this home was made by `carnet demo`."""

    people: PeopleStore
    key: bytes = field(repr=False)
    network: str
    clock: Callable[[], Millis] = now_ms
    random_bytes: Callable[[int], bytes] = os.urandom
    is_open: bool = True
    is_demo: bool = False

    @property
    def is_test(self) -> bool:
        """Whether this network is one for trying things: its name, which is in its genesis and in every proof, begins
        with `test.` or `demo.`."""
        return is_test_network(self.network)

    def digest(self, purpose: str, *parts: bytes) -> bytes:
        """The keyed digest (32 bytes) by which a secret, or a name of somebody, is known again."""
        hashed = blake2b(digest_size=32, key=self.key, person=purpose.encode()[:16])
        for part in parts:
            hashed.update(len(part).to_bytes(4, "big") + part)
        return hashed.digest()

    def make_paper_code(self, groups: int, size: int, seed: bytes | None = None) -> str:
        """A code for paper: groups of letters and digits, 5 bits each, without those that are misread; of chance, or
        of a secret seed of at least as many bytes as it has letters."""
        drawn = self.random_bytes(groups * size) if seed is None else seed[: groups * size]
        letters = "".join(_PAPER[byte & 31] for byte in drawn)
        return "-".join(letters[at : at + size] for at in range(0, len(letters), size))

    def make_token(self, prefix: str = "", seed: bytes | None = None) -> str:
        """A token for programs: 43 letters and digits (more than 250 bits), and six that tell a slip of the pen; of
        chance, or of a secret seed (32 bytes)."""
        body = "".join(_LETTERS[pick] for pick in self._pick(43, seed))
        return f"{prefix}{body}{_check_letters(prefix + body)}"

    def _pick(self, count: int, seed: bytes | None) -> list[int]:
        picks: list[int] = []
        while len(picks) < count:
            seed = None if seed is None else shake_256(seed).digest(32)
            drawn = self.random_bytes(2 * count) if seed is None else shake_256(b"token" + seed).digest(2 * count)
            picks += [byte & 63 for byte in drawn if byte & 63 < len(_LETTERS)]
        return picks[:count]


@dataclass(frozen=True, slots=True)
class Visit:
    """Where a request comes from: an address, and a device in a few words. Only the second is ever kept."""

    address: str
    device: str = ""


def shorten_address(host: str) -> str:
    """An address as attempts are counted by it: of IPv6 the network of 64 bits, since one person has all of it."""
    is_long = host.count(":") > 1 and not host.startswith("::")
    return ":".join(host.split(":")[:4]) if is_long else host


def open_office(
    home: Home, network: str, passphrase: str | None = None, *, is_open: bool = True, is_demo: bool = False
) -> Office:
    """The office of a home, whose store of people is made if it is absent. Close `people` at the end. Raises as
    `node.people.open_people`."""
    opened = open_people(home, passphrase)
    return Office(opened.store, opened.key, network, is_open=is_open, is_demo=is_demo)


@contextmanager
def office_at(home: Home, passphrase: str | None = None) -> Iterator[tuple[Office, Reader]]:
    """The office of a home and a reader of its store, for whoever sits at the node's own terminal. Raises as
    `open_reader` and `open_people`."""
    with open_reader(home, passphrase) as reader:
        office = open_office(home, reader.state.genesis.name, passphrase)
        try:
            yield office, reader
        finally:
            office.people.close()


def is_test_network(name: str) -> bool:
    """Whether a network of this name is one for trying things."""
    return name.split(".")[0] in _TEST_NAMES


def read_paper_code(text: str) -> bytes:
    """A code as it was meant: upper case, without separators, misread letters put right."""
    return text.upper().translate(_MISREAD).encode("utf-8", "replace")[:64]


def is_token(text: str, prefix: str = "") -> bool:
    """Whether a text can be a token with this prefix at all: found out without asking the store."""
    body, check = text[:-6], text[-6:]
    is_shaped = len(text) == len(prefix) + 49 and text.startswith(prefix) and text.isascii() and text.isprintable()
    return is_shaped and _check_letters(body) == check


def _check_letters(text: str) -> str:
    value, letters = zlib.crc32(text.encode()), ""
    for _ in range(6):
        value, digit = divmod(value, 62)
        letters = _LETTERS[digit] + letters
    return letters


def name_id(prefix: str, value: bytes) -> str:
    """An id as it is written outside: `acc_` and its hexadecimal digits."""
    return f"{prefix}_{value.hex()}"


def read_id(prefix: str, text: str, reason: Reason) -> bytes:
    """The 16 bytes of an id with this prefix; Refused with `reason` for anything else."""
    found = _ID.fullmatch(text)
    if found is None or found[1] != prefix:
        raise Refused(reason, f"there is no {prefix}_… of that name")
    return bytes.fromhex(found[2])


def get_account(principal: Principal) -> bytes:
    """The account of a caller; raises Refused(NOT_SIGNED_IN) for one without."""
    if principal.account is None:
        raise Refused(Reason.NOT_SIGNED_IN, "this needs an account: sign in first")
    return read_id("acc", principal.account, Reason.UNKNOWN_ACCOUNT)


OPERATOR_HERE: Final = Principal(Standing.OPERATOR)
"""Whoever sits at the node's own terminal: no account, and the rights of the files' owner."""


def name_caller(principal: Principal) -> str:
    """Who a caller is, for the audit trail: an account, a client, `operator` at the node's own terminal, `visitor`."""
    if principal.account or principal.client:
        return str(principal.account or principal.client)
    return "operator" if principal.standing is Standing.OPERATOR else "visitor"
