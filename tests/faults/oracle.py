"""What was acknowledged, kept outside the process that is killed or whose disk fails, and what must be true of it
afterwards: nothing acknowledged is missing, nothing is half written, the log continues every earlier one.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from pysqlite3 import dbapi2 as sqlite

from carnet.node.fsck import check_home
from carnet.node.home import Home
from carnet.node.reader import Reader, open_reader
from carnet.proof.assemble import Selection, assemble_bundle
from carnet.proof.verify import verify_bundle
from carnet.services.founding import get_operator, now_ms, open_writer_at
from carnet.services.importing import HISTOVEC, Summary, import_file
from carnet.signing import SignatureCache
from carnet.tlog.checkpoint import open_checkpoint
from carnet.tlog.policy import parse_policy
from carnet.tlog.tree import check_consistency, root_from
from carnet.vault.store import SCHEMA_VERSION
from tests.cli.run import make_inspection, make_line


@dataclass
class Oracle:
    """Receipts and heads of the log, in the order in which they were acknowledged."""

    receipts: list[dict[str, Any]] = field(default_factory=list)
    checkpoints: list[tuple[int, bytes]] = field(default_factory=list)

    def hear(self, lines: Iterable[bytes]) -> None:
        """Keep receipts; a line that was cut was not acknowledged whole."""
        self.receipts += [json.loads(line) for line in lines if line.endswith(b"\n")]

    def check_log(self, reader: Reader) -> None:
        """The log is the continuation of every head that was seen; then this head is kept too."""
        size, root = reader.state.size, root_from(reader._read_node, reader.state.size)
        for old_size, old_root in self.checkpoints:
            check_consistency(old_size, old_root, size, root, reader.get_consistency_path(old_size, size))
        # Heads in between say no more than the first and the last: the log only grows.
        self.checkpoints = [*self.checkpoints[:8], (size, root)]

    def check_receipts(self, reader: Reader, start: int = 0, *, gone: frozenset[str] = frozenset()) -> None:
        """Each receipt from `start` on stands where it says, except in passports that are `gone` on purpose."""
        sids: dict[str, list[str]] = {}
        for receipt in self.receipts[start:]:
            passport = receipt["passport"]
            if passport in gone:
                continue
            if passport not in sids:
                sids[passport] = [entry.sid.hex() for entry in reader.read_entries(bytes.fromhex(passport))]
            assert sids[passport][receipt["seq"]] == receipt["statement"]

    def check_proofs(
        self, reader: Reader, chance: random.Random, share: float, *, gone: frozenset[str] = frozenset()
    ) -> int:
        """A share of the passports that have receipts is proved to a stranger, each receipt in its place; how many."""
        size, note = reader.get_checkpoint()
        root = open_checkpoint(note, reader.get_log_key()).checkpoint.root
        for old_size, old_root in self.checkpoints:
            if old_size <= size:
                check_consistency(old_size, old_root, size, root, reader.get_consistency_path(old_size, size))
        policy, cache = parse_policy(reader.get_policy()), SignatureCache(8192)
        wanted: dict[str, dict[int, str]] = {}
        for receipt in self.receipts:
            told = wanted.setdefault(receipt["passport"], {}).setdefault(receipt["seq"], receipt["statement"])
            # Two receipts for one place would be two answers about one thing.
            assert told == receipt["statement"]
        proved = 0
        for passport, statements in wanted.items():
            if passport in gone or chance.random() >= share:
                continue
            bundle = assemble_bundle(reader, bytes.fromhex(passport), Selection())
            verdict = verify_bundle(bundle, policy, int(time.time() * 1000), cache=cache)
            assert verdict.exit_code == 0
            assert verdict.evidence is not None
            for seq, sid in statements.items():
                assert verdict.evidence.sids[seq].hex() == sid
            proved += 1
        return proved


def make_source(path: Path, vehicles: int, rows_each: int, first: int = 0) -> Path:
    """A HistoVec file of `make_lines`."""
    path.write_bytes(b"".join(make_lines(vehicles, rows_each, first)))
    return path


def make_lines(vehicles: int, rows_each: int, first: int = 0) -> list[bytes]:
    """The lines of so many vehicles from a number on, each with so many inspections on different days."""
    lines = []
    for number in range(first, first + vehicles):
        rows = [
            make_inspection(date=f"{2000 + at // 300}-{1 + at // 25 % 12:02}-{1 + at % 25:02}", km=1_000 + 10 * at)
            for at in range(rows_each)
        ]
        lines.append(make_line(f"HV{number:010x}", *rows))
    return lines


def is_of_todays_schema(home: Path) -> bool:
    """Whether a reader may open it: an older one waits for its next writer."""
    address = Home(home).address
    if isinstance(address, str):
        with psycopg.connect(address) as asking:
            return asking.execute("SELECT version_num FROM alembic_version").fetchall() == [(SCHEMA_VERSION,)]
    # A cut between the last two steps of a founding leaves the store under its first name.
    store = next(path for path in (Home(home).store, Home(home).building) if path.exists())
    connection = sqlite.connect(f"file:{store}?mode=ro", uri=True)
    try:
        return bool(connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(SCHEMA_VERSION,)])
    finally:
        connection.close()


def import_again(home: Path, source: Path) -> Summary:
    """Import in this process, to the end."""
    with open_writer_at(Home(home), None, "the oracle") as writer, source.open("rb") as file:
        return import_file(writer, get_operator(writer), HISTOVEC, file, now_ms())


def check_resumed(home: Path, source: Path, oracle: Oracle, rows: int, vehicles: int) -> Summary:
    """Import the file again, undisturbed: the totals are those of an import that nothing ever befell, every receipt
    stands, and the store checks clean."""
    summary = import_again(home, source)
    assert summary.rows_read == rows == summary.sealed + summary.duplicate
    assert summary.faulty == 0
    assert summary.passports == vehicles
    assert check_home(home) == []
    with open_reader(home) as reader:
        assert reader.count_passports() == vehicles
        assert reader.count_entries() == rows + vehicles
        oracle.check_receipts(reader)
        oracle.check_log(reader)
    return summary
