"""Founding: a node with defaults that are good enough to start with, and the writer that other services write through.

It refuses to touch a home that holds a node already.
"""

from __future__ import annotations

import os
import re
import socket
import time
from pathlib import Path
from typing import NamedTuple

from carnet.errors import Reason, Refused
from carnet.ledger.network import Fork
from carnet.ledger.rules.members import Member
from carnet.node.door import RemoteWriter, connect
from carnet.node.found import found_node
from carnet.node.home import Home
from carnet.node.keyring import load_key_ring
from carnet.node.writer import Writer, open_writer
from carnet.node.writing import Writing
from carnet.types import MemberKind

DEFAULT_OPERATOR = "Operator of this node"
DEFAULT_KIND = MemberKind.DATA_SERVICE

_NOT_IN_NAME = re.compile(r"[^a-z0-9.-]+")


class Founded(NamedTuple):
    """A new node: the network's origin, the operator, and where it lives."""

    network: str
    operator: Member
    home: Path


def now_ms() -> int:
    """The clock of services: ms since 1970."""
    return time.time_ns() // 1_000_000


def make_network_name() -> str:
    """A name for a network that nobody named: this machine's. Two of one name are still two networks: keys tell."""
    return _NOT_IN_NAME.sub("-", socket.gethostname().lower()).strip("-.")[:63] or "carnet"


def found(
    home: Home,
    *,
    name: str | None = None,
    operator_name: str | None = None,
    operator_kind: str | None = None,
    passphrase: str | None = None,
    store_url: str | None = None,
    forked_from: Fork | None = None,
) -> Founded:
    """Make a node: its network is named after this machine, its operator is a data service and its store a SQLite file,
    unless said otherwise. `forked_from` is the log that the network cites as the one that it goes on from.

    Raises Refused(NODE_EXISTS, VALUE_OUT_OF_RANGE, NOT_IN_LIST, STORE_UNREACHABLE).
    """
    name = name or make_network_name()
    operator = found_node(
        home.path,
        name=name,
        operator_name=operator_name or DEFAULT_OPERATOR,
        operator_kind=operator_kind or DEFAULT_KIND,
        now=now_ms(),
        random_bytes=os.urandom,
        passphrase=passphrase,
        store_url=store_url,
        forked_from=forked_from,
    )
    with open_writer_at(home, passphrase, "found") as writer:
        return Founded(writer.state.genesis.origin, operator, home.path)


def check_store_url(text: str) -> str:
    """The URL of a PostgreSQL database, as it was given; raises Refused(VALUE_OUT_OF_RANGE) for another text."""
    url = text.strip()
    if not url.startswith(("postgresql://", "postgres://")) or "\n" in url:
        raise Refused(
            Reason.VALUE_OUT_OF_RANGE, "a store's URL begins with postgresql:// and names a host and a database"
        )
    return url


def open_writer_at(home: Home, passphrase: str | None, command: str) -> Writer:
    """The writer of this home, with the machine's clock and randomness. Raises as `open_writer` does."""
    return open_writer(home.path, clock=now_ms, random_bytes=os.urandom, passphrase=passphrase, command=command)


def reach_writer_at(home: Home, passphrase: str | None, command: str) -> Writer | RemoteWriter:
    """The writer of this home: its own, or where a node is running, that one behind its door.

    Raises as `open_writer` does; WRITER_BUSY only for a writer that lets nobody in (an import, a backup).
    """
    try:
        return open_writer_at(home, passphrase, command)
    except Refused as busy:
        if busy.reason is not Reason.WRITER_BUSY:
            raise
        return reach_running_writer(home, passphrase, busy)


def reach_running_writer(home: Home, passphrase: str | None, busy: Refused) -> RemoteWriter:
    """The writer behind the door of a home that was found busy; raises that where it lets nobody in."""
    try:
        return connect(home, load_key_ring(home.keys, passphrase), clock=now_ms, random_bytes=os.urandom)
    except Refused as away:
        raise (busy if away.reason is Reason.WRITER_AWAY else away) from None


def get_operator(writer: Writing, chosen: str | None = None) -> Member:
    """The member in whose name this node writes: the chosen one (an id, its beginning, or a name), or else the first
    that the node itself signs for. Raises Refused(UNKNOWN_MEMBER)."""
    members = writer.state.members.all
    if chosen is not None:
        return find_member(members, chosen)
    for member in members:
        is_ours = any(key.revoked is None and writer.keeps_key(key.digest) for key in member.keys)
        if is_ours and member.retired is None:
            return member
    raise Refused(Reason.UNKNOWN_MEMBER, "this node keeps no member's key: enrol one with `carnet member add`")


def find_present_member(members: tuple[Member, ...], text: str) -> Member:
    """As `find_member`, of those that have not left: nobody gets in any more in the name of another. Raises
    Refused(UNKNOWN_MEMBER, MEMBER_RETIRED)."""
    found = find_member(members, text)
    if found.retired is not None:
        saying = f"{found.name} has left the network: nobody and nothing acts for it any more"
        raise Refused(Reason.MEMBER_RETIRED, saying, member=found.name)
    return found


def find_member(members: tuple[Member, ...], text: str) -> Member:
    """The one member with this id, beginning of an id (at least 6 digits) or name, in whichever capitals unless several
    differ by these alone. Raises Refused(UNKNOWN_MEMBER)."""
    wanted = text.strip().casefold()
    exact = [member for member in members if member.name == text]
    if len(exact) == 1:
        return exact[0]
    found = [m for m in members if m.name.casefold() == wanted or (len(wanted) >= 6 and m.id.hex().startswith(wanted))]
    if len(found) == 1:
        return found[0]
    why = f"no member is called {text!a}" if not found else f"{len(found)} members are called {text!a}: give the id"
    raise Refused(Reason.UNKNOWN_MEMBER, why, member=text)
