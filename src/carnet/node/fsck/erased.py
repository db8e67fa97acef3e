"""What was erased on purpose: each erasure signed by the node, in the journal, and carried out; and nothing else gone.

It explains to the other checks which contents, places and statements are missing; what it does not explain is damage.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from carnet.encoding import decode, unb64
from carnet.errors import CarnetError, Unverified
from carnet.ledger.rules.members import Member
from carnet.node.erasing import ErasureJournal, find_missing, find_older_stores, find_unwritten, parse_erasure
from carnet.node.fsck.findings import Findings
from carnet.node.fsck.replay import History
from carnet.node.home import Home
from carnet.vault.erasing import SignedErasure, read_erasures
from carnet.vault.names import find_number
from carnet.vault.store import Connection, Error, open_store

WAIT_FOR_WRITER_S = 2.0


@dataclass
class Erasures:
    """What the erasures explain: fields roots of erased entries by (chain, seq), places of erased links by seal,
    submissions of which nothing may be left, and how many chains are gone."""

    roots: dict[tuple[int, int], bytes] = field(default_factory=dict)
    places: Counter[int] = field(default_factory=Counter)
    submissions: set[int] = field(default_factory=set)
    chain_count: int = 0


def check_erasures(connection: Connection, history: History, found: Findings) -> Erasures:
    """Each erasure and its rows; to be asked before the chains."""
    explained = Erasures()
    node = history.members[max(history.members)].get(history.home)
    documents: dict[int, dict[str, Any]] = {}
    for number, chain16, signed in read_erasures(connection):
        document = _read_document(number, chain16, signed, history, node, found)
        if document is not None:
            documents[number] = document
    for number, cleared in connection.execute("SELECT id, cleared FROM erasure WHERE cleared NOT IN (0, 1)"):
        found.add("erasure", number, "cleared", f"{cleared}, where it is 0 or 1")
    _check_tombstones(connection, documents, found)
    _check_entries(connection, documents, explained, found)
    _check_links(connection, documents, explained, found)
    for number, document in documents.items():
        _check_carried_out(connection, number, document, explained, found)
    return explained


def check_journal(connection: Connection, home: Home, found: Findings) -> None:
    """The journal and the store tell of the same erasures. Reads the store anew: to be asked last, outside a
    transaction."""
    name = home.erasures.name
    try:
        journal = ErasureJournal(home.erasures).read()
    except CarnetError as error:
        found.add(name, None, None, str(error))
        return
    deadline = time.monotonic() + WAIT_FOR_WRITER_S
    # A line stands in the journal a moment before the store has it.
    while (missing := find_missing(connection, journal)) and time.monotonic() < deadline:
        time.sleep(0.05)
    for _ in missing:
        found.add("erasure", None, None, f"{name} tells of an erasure that is not carried out here")
    written = ErasureJournal(home.erasures).read()
    for signed in find_unwritten(connection, written):
        found.add(name, None, None, f"an erasure of the store is missing ({len(signed.document)} bytes)")


def check_cleared(connection: Connection, home: Home, found: Findings) -> None:
    """An erasure that is said to be gone from every file is in no older store of the home either. To be asked outside a
    transaction; what the store itself keeps is compared elsewhere, row by row."""
    query = "SELECT id, chain16, document FROM erasure WHERE cleared = 1"
    cleared = [
        (number, bytes(chain16), decode(bytes(document), max_bytes=len(document)))
        for number, chain16, document in connection.execute(query).fetchall()
    ]
    for file in find_older_stores(home) if cleared else ():
        try:
            with open_store(file, is_read_only=True) as older:
                for number, chain16, document in cleared:
                    if _keeps(older.connection, chain16, document):
                        found.add("erasure", number, "cleared", f"{file.name} still keeps what was erased: remove it")
        except (CarnetError, *Error):
            # A copy that was not finished, or of another schema: nothing can be said of it.
            continue


def _keeps(older: Connection, chain16: bytes, document: Any) -> bool:
    chain = find_number(older, "chain16", chain16)
    if chain is None or document["entries"] is None:
        return chain is not None
    query = "SELECT 1 FROM entry WHERE chain = ? AND seq = ? AND sid = ? AND content IS NOT NULL"
    return any(
        older.execute(query, (chain, entry["seq"], unb64(entry["sid"]))).fetchone() for entry in document["entries"]
    )


def _read_document(
    number: int, chain16: bytes, signed: SignedErasure, history: History, node: Member, found: Findings
) -> dict[str, Any] | None:
    try:
        document = parse_erasure(signed, history.net, node)
    except (Unverified, ValueError, TypeError) as error:
        found.add("erasure", number, "sig", str(error))
        return None
    if document["passport"] != chain16.hex():
        found.add("erasure", number, "chain16", "not the passport of its document")
    return document


def _check_tombstones(connection: Connection, documents: dict[int, dict[str, Any]], found: Findings) -> None:
    said = {number: {unb64(one) for one in document["tombstones"]} for number, document in documents.items()}
    here = set()
    for digest, number in connection.execute("SELECT digest, erasure FROM tombstone"):
        here.add(digest)
        if digest not in said.get(number, ()):
            found.add("tombstone", digest.hex(), "erasure", "its erasure names no such tombstone")
    for number, wanted in said.items():
        if not wanted <= here:
            found.add("tombstone", number, "digest", "a tombstone of this erasure is missing")


def _check_entries(
    connection: Connection, documents: dict[int, dict[str, Any]], explained: Erasures, found: Findings
) -> None:
    kinds = dict(connection.execute("SELECT id, kind FROM schema").fetchall())
    query = (
        "SELECT erased_entry.chain, erased_entry.seq, erasure, fields_root, sid, secret, content, chain16, kind"
        " FROM erased_entry LEFT JOIN entry ON entry.chain = erased_entry.chain AND entry.seq = erased_entry.seq"
        " LEFT JOIN chain ON chain.id = erased_entry.chain"
    )
    for chain, seq, number, fields_root, sid, secret, content, chain16, kind in connection.execute(query):
        key = (chain, seq)
        document = documents.get(number)
        entries = (document["entries"] or ()) if document is not None else ()
        if sid is None or chain16 is None:
            found.add("erased_entry", key, "seq", "there is no such entry")
        elif document is None or document["passport"] != chain16.hex():
            found.add("erased_entry", key, "erasure", "no erasure in this passport has this number")
        elif not (named := [entry for entry in entries if entry["seq"] == seq and unb64(entry["sid"]) == sid]):
            found.add("erased_entry", key, "seq", "its erasure does not name this entry")
        elif kinds.get(kind) != named[0]["kind"]:
            found.add("entry", key, "kind", f"was erased as {named[0]['kind']}")
        elif secret is not None or content is not None:
            found.add("erased_entry", key, None, "the entry was erased, and its contents are here")
        else:
            explained.roots[key] = fields_root


def _check_links(
    connection: Connection, documents: dict[int, dict[str, Any]], explained: Erasures, found: Findings
) -> None:
    said = {number: {tuple(link) for link in document["links"] or ()} for number, document in documents.items()}
    chains = set()
    for seal, position, number in connection.execute("SELECT seal, position, erasure FROM erased_link"):
        if (seal, position) in said.get(number, ()):
            explained.places[seal] += 1
            chains.add(number)
        else:
            found.add("erased_link", (seal, position), "erasure", "its erasure names no such place")
    explained.chain_count = len(chains)


def _check_carried_out(
    connection: Connection, number: int, document: dict[str, Any], explained: Erasures, found: Findings
) -> None:
    chain = find_number(connection, "chain16", bytes.fromhex(document["passport"]))
    if document["entries"] is None:
        explained.submissions.update(document["submissions"])
        if chain is not None:
            found.add("erasure", number, None, f"chain {chain} was erased, and is here")
        return
    for entry in document["entries"]:
        query = "SELECT 1 FROM entry WHERE chain = ? AND seq = ? AND sid = ?"
        is_here = chain is not None and connection.execute(query, (chain, entry["seq"], unb64(entry["sid"]))).fetchone()
        if is_here and (chain, entry["seq"]) not in explained.roots:
            found.add("erased_entry", (chain, entry["seq"]), None, "named by an erasure, and not erased")
