"""Founding a node: keys, rules, genesis, the node itself and its operator, as block 1 of a network of its own.

Knows the defaults of a first day; refuses to touch a home that holds anything already.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from unicodedata import category, normalize

from carnet.errors import Reason, Refused
from carnet.ledger.commands import FoundNetwork
from carnet.ledger.network import NETWORK_NAME, Fork, Founder, Genesis
from carnet.ledger.rules.default import CLASS_OF_KIND, default_accreditations, default_rules
from carnet.ledger.rules.document import Rules, compute_kind_line
from carnet.ledger.rules.members import NODE_KIND, Key, Member, compute_enrolment
from carnet.ledger.state import State
from carnet.node.home import Home, write_private
from carnet.node.keyring import KeyRing, RandomBytes, save_key_ring
from carnet.node.lock import WriterLock
from carnet.node.logbook import write_block, write_checkpoint
from carnet.passport.kinds import all_kinds, get_schema
from carnet.signing import Signer
from carnet.types import Custody, KeyRole, MemberKind
from carnet.vault.disk import explained_disk_errors
from carnet.vault.fence import FOUNDING
from carnet.vault.ledger import write_schemas
from carnet.vault.store import Store, create_store, remove_unfinished

NAME_MAX_LENGTH = 120


def found_node(
    path: Path,
    *,
    name: str,
    operator_name: str,
    operator_kind: str,
    now: int,
    random_bytes: RandomBytes,
    passphrase: str | None = None,
    store_url: str | None = None,
    forked_from: Fork | None = None,
) -> Member:
    """Make a node in the empty home `path`, at `now` (ms); returns its operator.

    Its store is a SQLite file in the home, or the PostgreSQL database at `store_url`, which must hold no node.

    `name` is the network's (`[a-z0-9.-]`, 63 at most). The operator is a member of kind `operator_kind`, hosted by
    the node, accredited for all that the writer table allows to it. `forked_from` is the log that the network goes on
    from (spec 1.9). Raises Refused(NODE_EXISTS),
    Refused(VALUE_OUT_OF_RANGE) for a name or a URL, Refused(NOT_IN_LIST) for a kind, and for a database what
    `vault.postgres.connect` raises.
    """
    home = Home(path)
    home.finish_founding()
    home.check_empty()
    check_network_name(name)
    check_member(operator_name, operator_kind)
    with explained_disk_errors(path):
        home.make()
    lock = WriterLock(home.lock, "found")
    try:
        home.check_empty()
        with explained_disk_errors(home.path):
            first = _First(name, operator_name, operator_kind, now, forked_from)
            return _found(home, first, random_bytes, passphrase, store_url)
    finally:
        lock.release()


def check_network_name(name: str) -> None:
    """Raise Refused(VALUE_OUT_OF_RANGE) unless a network can have this name."""
    if NETWORK_NAME.fullmatch(name) is None:
        raise Refused(
            Reason.VALUE_OUT_OF_RANGE, "a network's name is made of a-z, 0-9, dots and dashes, 63 at most", name=name
        )


def check_name_is_free(state: State, name: str) -> None:
    """Raise Refused(MEMBER_EXISTS) if a member that has not left has this name, or one that people cannot tell from it:
    with other blanks, capitals, or the same letters in another encoding."""
    wanted = _fold(name)
    for member in state.members.all:
        if member.retired is None and _fold(member.name) == wanted:
            how = "" if member.name == name else f", which differs from {name!a} by blanks or capitals alone"
            raise Refused(Reason.MEMBER_EXISTS, f"a member is called {member.name!a} already{how}", member=name)


def _fold(name: str) -> str:
    return " ".join(normalize("NFKC", name).casefold().split())


def check_member(name: str, kind: str) -> None:
    """Raise Refused unless an organisation can have this name and kind (VALUE_OUT_OF_RANGE, NOT_IN_LIST)."""
    if not 1 <= len(name) <= NAME_MAX_LENGTH:
        raise Refused(
            Reason.VALUE_OUT_OF_RANGE, f"a member's name has 1 to {NAME_MAX_LENGTH} characters", name=name[:60]
        )
    # Control characters, and those that are not seen: two names would look the same, or turn the line they stand in.
    if not name.strip() or any(category(letter).startswith("C") for letter in name):
        raise Refused(Reason.VALUE_OUT_OF_RANGE, "a member's name is one line of characters that are seen", name=name)
    kinds = sorted(set(MemberKind) - {MemberKind.NODE})
    if kind not in kinds:
        raise Refused(Reason.NOT_IN_LIST, f"{kind} is no kind of member; the kinds are {', '.join(kinds)}", kind=kind)


def make_default_rules() -> Rules:
    """The rules of a new network: every built-in kind, and the writer table as the design starts out with it."""
    return default_rules(
        compute_kind_line(kind, get_schema(kind).chain, CLASS_OF_KIND[kind], get_schema(kind).document())
        for kind in all_kinds()
        if kind in CLASS_OF_KIND
    )


def enrol_key(signer: Signer, net: bytes, member: bytes, role: int, custody: int) -> Key:
    """The key entry of a key that we hold, with its own signature on its enrolment. Spec: 3.3."""
    return Key(signer.public, role, custody, signer.sign(compute_enrolment(net, member, role, custody)))


class _First(NamedTuple):
    """What a founding is told of its first day."""

    name: str
    operator_name: str
    operator_kind: str
    now: int
    forked_from: Fork | None


def _found(
    home: Home,
    first: _First,
    random_bytes: Callable[[int], bytes],
    passphrase: str | None,
    store_url: str | None,
) -> Member:
    author = random_bytes(32)
    ring = KeyRing.of(random_bytes).with_author(author)
    node_id, operator_id, nonce = random_bytes(16), random_bytes(16), random_bytes(32)
    log, node = Signer(ring.log), Signer(ring.node)
    rules = make_default_rules()
    founders = (Founder(node_id, node.public),)
    genesis = Genesis(first.name, nonce, log.public, founders, rules.tree.root, first.forked_from)
    net = genesis.net
    members = (
        Member(
            id=node_id,
            name=first.name,
            kind=NODE_KIND,
            host=node_id,
            keys=(enrol_key(node, net, node_id, KeyRole.NODE, Custody.NODE),),
        ),
        Member(
            id=operator_id,
            name=first.operator_name,
            kind=first.operator_kind,
            host=node_id,
            accreditations=default_accreditations(rules, first.operator_kind),
            keys=(enrol_key(Signer(author), net, operator_id, KeyRole.AUTHOR, Custody.NODE),),
        ),
    )
    # First the store, whole, under another name; then the keys; then its name. Killed before the keys are there, a
    # founding has not happened; killed after, it is finished by whoever opens the home (`Home.finish_founding`).
    with _create_store(home, store_url) as store:
        connection = store.connection
        connection.begin_write()
        book, _ = write_block(connection, None, 1, first.now, [FoundNetwork(genesis, rules, members)])
        write_schemas(
            connection, [(kind, get_schema(kind).document()) for kind in all_kinds() if kind in CLASS_OF_KIND]
        )
        connection.executemany(
            "INSERT INTO meta (key, value) VALUES (?, ?)", [("home", node_id.hex()), ("net", net.hex())]
        )
        connection.execute("UPDATE writer SET state = ? WHERE id = 1", (FOUNDING,))
        connection.commit()
        connection.begin_write()
        write_checkpoint(connection, book.checkpoint, log)
        connection.commit()
        # Not on a server: counted while they are empty, its tables would be read from end to end when they are not.
        if connection.is_file:
            connection.settle()
    if store_url is None:
        _remove_store(home.building, only_side_files=True)
    save_key_ring(ring, home.keys, passphrase, random_bytes)
    home.finish_founding()
    return members[1]


def _create_store(home: Home, url: str | None) -> Store:
    """An empty store under its provisional name. What a killed founding of this same home has left goes first."""
    if url is None:
        _remove_store(home.building)
        home.building_url.unlink(missing_ok=True)
        return create_store(home.building)
    is_begun_here = home.building_url.exists() and home.building_url.read_text(encoding="utf-8").strip() == url
    if is_begun_here:
        remove_unfinished(url, FOUNDING)
    write_private(home.building_url, url.encode() + b"\n")
    return create_store(url)


def _remove_store(path: Path, *, only_side_files: bool = False) -> None:
    for suffix in ("-wal", "-shm") if only_side_files else ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
