"""What a reader tells of the node, its keys and its passports, for people and for the services.

It refuses to know who may read what.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from typing import cast

from carnet.errors import Reason, Refused
from carnet.node.erased import check_id_not_erased, check_subject_not_erased
from carnet.node.heads import LAST_SEQ, count_linked
from carnet.node.jobs import ChainRef
from carnet.node.lookup import Kinds, find_chain_by_id, find_chain_by_subject, find_id_by_subject, open_content
from carnet.node.reader.moment import Moment
from carnet.node.reader.records import Fingerprint, Passport, ShownEntry
from carnet.passport.statement import NO_TARGET
from carnet.passport.subject import parse_subject
from carnet.signing import Signer
from carnet.tlog.checkpoint import log_key
from carnet.tlog.note import VerifierKey
from carnet.tlog.policy import Policy, format_policy
from carnet.types import Subject, parse_hex_id
from carnet.vault.codes import HISTORY
from carnet.vault.ledger import parse_member
from carnet.vault.names import where_between, where_named
from carnet.vault.sealing import compute_journal_name
from carnet.vault.store import Connection

_HEX_DIGITS = frozenset("0123456789abcdef")


class Passports(Moment):
    """The node and its passports at one moment."""

    # ---- the node at large

    @property
    def kinds(self) -> Mapping[str, Mapping[str, object]]:
        """The schema document of each kind."""
        return self._kinds.documents

    @property
    def stored_kinds(self) -> Kinds:
        """The kinds by the numbers under which entries are stored."""
        return self._kinds

    @property
    def connection(self) -> Connection:
        """The connection, within the moment that this reader sees; for the node's own modules."""
        return self._connection

    def get_log_key(self) -> VerifierKey:
        """The key that a trust policy names."""
        return log_key(self._state.genesis.origin, self._state.genesis.log_key)

    def get_policy(self) -> bytes:
        """The node's public trust policy: its log, and no witness yet."""
        return format_policy(Policy((self.get_log_key(),), (), (), b"none"))

    def count_entries(self) -> int:
        """How many entries this node keeps."""
        return count_linked(self._connection)

    def count_passports(self) -> int:
        """How many passports this node keeps."""
        return cast("int", self._connection.execute("SELECT count(*) FROM chain WHERE type = 1").fetchone()[0])

    # ---- keys

    def keeps_key(self, digest: bytes) -> bool:
        """Whether this node has the secret of a key with which it signs for a member, or for itself."""
        ring = self._ring
        return ring.find_seed(digest) is not None or digest in {
            Signer(seed).digest for seed in (ring.node, *ring.old_nodes) if seed
        }

    def read_key_origins(self) -> dict[bytes, int]:
        """The log index since which each key is listed, by its digest."""
        origins: dict[bytes, int] = {}
        for since, leaf in self._connection.execute("SELECT since, leaf FROM member_leaf ORDER BY since"):
            for key in parse_member(leaf).keys:
                origins.setdefault(key.digest, since)
        return origins

    def count_signed(self, digest: bytes, since: int = 0) -> int:
        """How many entries this author key has signed that were sealed at a log index or later. Reads all entries."""
        query = (
            "SELECT count(*) FROM entry JOIN submission ON submission.id = entry.submission"
            " JOIN author_key ON author_key.id = submission.author_key WHERE digest = ? AND entry.seal >= ?"
        )
        return cast("int", self._connection.execute(query, (digest, since)).fetchone()[0])

    def find_first_record(self, at: int) -> int:
        """The log index of the first record of this time (ms) or later; the log's size if there is none."""
        return bisect_left(range(self._state.size), at, key=self._record_at)

    # ---- passports

    def find(self, text: str) -> bytes | None:
        """The passport that a person names: its id in hexadecimal, a VIN, or `scheme:value`. Raises as
        `parse_subject` does."""
        if len(text) == 32 and set(text) <= _HEX_DIGITS:
            ref = find_chain_by_id(self._connection, self._ring, parse_hex_id(text))
            return None if ref is None else ref.chain16
        return self.find_subject(parse_subject(text))

    def get(self, text: str) -> bytes:
        """As `find`; raises Refused(UNKNOWN_PASSPORT), and Refused(ERASED) for one that was erased."""
        found = self.find(text)
        if found is None:
            if is_id(text):
                check_id_not_erased(self._connection, parse_hex_id(text))
            else:
                check_subject_not_erased(self._connection, self._ring, parse_subject(text))
            raise Refused(Reason.UNKNOWN_PASSPORT, f"there is no passport {text[:80]!a} here", passport=text[:80])
        return found

    def find_subject(self, subject: Subject) -> bytes | None:
        """The passport of a subject; nothing is opened for the answer."""
        return find_id_by_subject(self._connection, self._ring, subject)

    def find_chain(self, subject: Subject) -> ChainRef | None:
        """The passport of a subject, ready for a job."""
        return find_chain_by_subject(self._connection, self._ring, subject)

    def find_by_beginning(self, digits: str) -> Iterator[Passport]:
        """The passports whose id begins with these hexadecimal digits, in the order of their ids; none other is
        read."""
        low = bytes.fromhex(digits.ljust(32, "0"))
        high = bytes.fromhex(digits.ljust(32, "f"))
        where = f"{where_between(self._connection)} AND type = :type ORDER BY chain16"
        query = f"SELECT id, chain16, {LAST_SEQ}, closed FROM chain WHERE {where}"  # noqa: S608 - our own words
        for number, chain16, seq, closed in self._connection.execute(
            query, {"low": low, "high": high, "type": HISTORY}
        ):
            yield Passport(chain16, self._find_subject_of(number), seq + 1, bool(closed))

    def list_passports(self) -> Iterator[Passport]:
        """All passports in the order of their opening, read as they are asked for."""
        last = 0
        where = "id > ? AND type = ? ORDER BY id LIMIT 500"
        query = f"SELECT id, chain16, {LAST_SEQ}, closed FROM chain WHERE {where}"  # noqa: S608 - our own words
        while rows := self._connection.execute(query, (last, HISTORY)).fetchall():
            for number, chain16, seq, closed in rows:
                yield Passport(chain16, self._find_subject_of(number), seq + 1, bool(closed))
            last = rows[-1][0]

    def read_authors(self, chain: bytes) -> tuple[int, frozenset[tuple[bytes, str]]]:
        """(how many changes of holder there were, (member, kind) of the entries of a passport), nothing opened.

        Raises Refused(UNKNOWN_PASSPORT).
        """
        row = self._connection.execute(
            f"SELECT id, head_epoch FROM chain WHERE {where_named(self._connection, 'chain16')} AND type = :type",  # noqa: S608 - our own words
            {"name": chain, "type": HISTORY},
        ).fetchone()
        if row is None:
            raise Refused(Reason.UNKNOWN_PASSPORT, f"there is no passport {chain.hex()} here", passport=chain.hex())
        query = (
            "SELECT DISTINCT author_key.member, schema.kind FROM entry"
            " JOIN submission ON submission.id = entry.submission"
            " JOIN author_key ON author_key.id = submission.author_key JOIN schema ON schema.id = entry.kind"
            " WHERE entry.chain = ?"
        )
        rows = self._connection.execute(query, (row[0],)).fetchall()
        return row[1], frozenset((bytes(member), kind) for member, kind in rows)

    def get_subject(self, chain: bytes) -> dict[str, object]:
        """The subject of a passport, in its signed form."""
        return self._ref(chain).subject

    def get_chain(self, chain: bytes) -> ChainRef:
        """A chain by its id, ready for a job; raises Refused(UNKNOWN_PASSPORT, ERASED)."""
        return self._ref(chain)

    def find_journal(self, passport: bytes, epoch: int) -> ChainRef | None:
        """The journal of a passport's holder of this epoch, if one was opened."""
        return find_chain_by_subject(self._connection, self._ring, self.get_journal_subject(passport, epoch))

    def get_journal_subject(self, passport: bytes, epoch: int) -> Subject:
        """What the entries of that journal are about: a name that says nothing without this node's index key."""
        return Subject("journal", compute_journal_name(self._ring.index, passport, epoch))

    def find_head(self, chain: bytes) -> tuple[int, int, int] | None:
        """(type, epoch, seq) of a chain that is here; nothing is opened for the answer."""
        query = f"SELECT type, head_epoch, {LAST_SEQ} FROM chain WHERE {where_named(self._connection, 'chain16')}"  # noqa: S608 - our own words
        row = self._connection.execute(query, {"name": chain}).fetchone()
        return None if row is None else (row[0], row[1], row[2])

    def find_fingerprint(self, chain: bytes) -> Fingerprint | None:
        """What an answer about a passport depends on, at this moment; None where there is no such passport."""
        head, state = self.find_head(chain), self._state
        if head is None:
            return None
        (erasure,) = self._connection.execute("SELECT coalesce(max(id), 0) FROM erasure").fetchone()
        census = -1 if self._census is None else self._census[0]
        # Not the checkpoint, of which each commit signs another: an answer that names it is not to be kept.
        return Fingerprint(head[1], head[2], state.rules_ref.index, state.members_ref.index, census, erasure)

    def has_written(self, chain: bytes, member: bytes) -> bool:
        """Whether an entry of this history is a member's own word (any basis but the holder's). Nothing is opened for
        the answer."""
        query = (
            "SELECT 1 FROM chain JOIN entry ON entry.chain = chain.id"  # noqa: S608 - our own words
            " JOIN submission ON submission.id = entry.submission"
            " JOIN author_key ON author_key.id = submission.author_key"
            f" WHERE {where_named(self._connection, 'chain16')} AND type = 1 AND member = :member AND basis <> 4"
            " LIMIT 1"
        )
        values = {"name": chain, "member": member}
        return self._connection.execute(query, values).fetchone() is not None

    def has_written_since(self, chain: bytes, seq: int, member: bytes) -> bool:
        """Whether an entry after `seq` is a member's, or says something about another entry: it bears a mark."""
        query = (
            "SELECT 1 FROM chain JOIN entry ON entry.chain = chain.id"  # noqa: S608 - our own words
            " JOIN submission ON submission.id = entry.submission"
            " JOIN author_key ON author_key.id = submission.author_key"
            f" WHERE {where_named(self._connection, 'chain16')} AND seq > :seq"
            " AND (member = :member OR mark <> 0) LIMIT 1"
        )
        values = {"name": chain, "seq": seq, "member": member}
        return self._connection.execute(query, values).fetchone() is not None

    def read_entries(
        self, chain: bytes, is_open: Callable[[bytes, int], bool] = lambda member, basis: True
    ) -> Iterator[ShownEntry]:
        """The entries of a chain in order. Contents are opened where `is_open(member, basis)` says so; those of others
        are not touched."""
        ref = self._ref(chain)
        query = (
            "SELECT seq, kind, basis, mark, target, sid, submission, seal, secret, content FROM entry WHERE chain = ?"
            " ORDER BY seq"
        )
        for seq, kind_id, basis, mark, target, sid, number, seal, secret, content in self._connection.execute(
            query, (ref.id,)
        ).fetchall():
            kind, names = self._kinds.names_of[kind_id]
            submission = self._submission(number)
            fields = None
            if secret is not None and content is not None and is_open(submission.member, basis):
                fields = open_content(ref, kind, names, sid, secret, content).fields
            yield ShownEntry(
                seq,
                kind,
                submission.member,
                basis,
                mark,
                target or NO_TARGET,
                sid,
                self._record_at(seal),
                submission.created_ms,
                fields,
                secret is None,
                submission.key_digest,
                seal,
            )


def is_id(text: str) -> bool:
    """Whether a text is the id of a passport in hexadecimal."""
    return len(text) == 32 and set(text) <= _HEX_DIGITS
