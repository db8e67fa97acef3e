"""Erasing entries or a whole passport: what goes, what stays, who else has a copy, and the certificate of it.

It refuses to decide whether an erasure is due: whoever asks for it has decided, and gives the reason as a code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from carnet.encoding import b64, decode
from carnet.errors import InvariantBroken, Reason, Refused
from carnet.node.acts import Erase
from carnet.node.backup.take import keep_journal_with_backups
from carnet.node.erasing import MAX_JOURNAL_LINE, REASONS, Traces
from carnet.node.home import Home
from carnet.node.reader import Reader
from carnet.services import attachments
from carnet.services.accounts.office import OPERATOR_HERE
from carnet.services.describing import describe_entry, format_when
from carnet.services.governing import acting_at, carry_out
from carnet.services.reading import format_subject, get_passport, open_reader
from carnet.types import Mark
from carnet.vault.erasing import ERASED_FROM, SignedErasure

__all__ = ["COPIES", "REASONS", "Certificate", "Plan", "erase", "plan_erasure"]

STAYS_OF_ENTRY: Final = (
    "that there was an entry: its place, its kind, who signed it and when it was sealed",
    "hashes of it in the log's batches, which nobody can compare with anything: the salts are gone",
    "if it corrects or contests another entry: that it does",
)
STAYS_OF_PASSPORT: Final = (
    "hashes of its entries in the log's batches, which nobody can compare with anything: the salts are gone",
    "that one passport more was erased: the census counts it",
    "its id, in the record of this erasure",
)
STAYS_ALWAYS: Final = (
    "keyed digests under a key of their own, so that reading the same file again does not bring it back",
    "the record of this erasure: when, and a reason as a code",
)
COPIES: Final = (
    "backups: they hold it until they are deleted; a restore erases it again, if it finds the newest erasures.journal",
    "proofs that were given away: whoever has one has what it shows, and can still verify it",
    "the file it was imported from, and any export of it",
    "files that were uploaded to this node and wait (30 days at most), and faulty rows of others (7 days): files/ here",
    "snapshots of the disk or the file system",
)
"""Where else it may be, which no program of this node reaches."""

WRITE_OVER_LOG: Final = (
    "DO $$ BEGIN FOR at IN 0..(SELECT count(*) FROM pg_ls_waldir()) LOOP"
    " PERFORM pg_switch_wal(); CHECKPOINT; END LOOP; END $$"
)
"""What an administrator of a PostgreSQL server runs so that no segment of its write-ahead log holds older bytes: one
that was recycled keeps them until it is used again, and there may be many."""

SERVER_COPIES: Final = (
    f"the database server's own write-ahead log: until its administrator had it written over, with {WRITE_OVER_LOG}",
    "archived segments of that log, base backups and dumps of the server: until they are deleted; standbys",
    "a store that was moved away from and kept (carnet move): until it is removed",
)
"""The same of a store in PostgreSQL. Its operator reaches these, and nobody else does."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What an erasure would do. `entries` are those whose contents go, as (seq, what, when); `seqs` is None for a
    whole passport. `judging` counts those that correct or contest another entry, and go on doing so."""

    passport: str
    subject: str
    seqs: tuple[int, ...] | None
    entries: tuple[tuple[int, str, str], ...]
    judging: int

    @property
    def stays(self) -> tuple[str, ...]:
        """What is still there afterwards."""
        own = STAYS_OF_PASSPORT if self.seqs is None else STAYS_OF_ENTRY
        return (*own, *STAYS_ALWAYS)


@dataclass(frozen=True, slots=True)
class Certificate:
    """What was erased, signed by the node, and what the files and the log look like after it."""

    erasure: SignedErasure
    traces: Traces
    log_size: int
    census: dict[str, Any] | None
    stays: tuple[str, ...]
    backup_journal: Path | None
    """The journal beside the last backup, which has it too; None where there is none, or it could not be reached."""

    @property
    def copies(self) -> tuple[str, ...]:
        """Where else it may be."""
        return (*COPIES, *SERVER_COPIES) if self.traces.is_on_server else COPIES

    @property
    def document(self) -> dict[str, Any]:
        """The signed record, read."""
        read: Any = decode(self.erasure.document, max_bytes=MAX_JOURNAL_LINE)
        return dict(read)

    def to_document(self) -> dict[str, Any]:
        """The object of `erase --json`."""
        signed, traces = self.document, self.traces
        entries = signed["entries"]
        return {
            "at": signed["at"],
            "backup_journal": None if self.backup_journal is None else str(self.backup_journal),
            "by": signed["by"],
            "census": self.census,
            "copies": list(self.copies),
            "entries": None if entries is None else [entry["seq"] for entry in entries],
            "links": None if signed["links"] is None else len(signed["links"]),
            "log_size": self.log_size,
            "passport": signed["passport"],
            "reason": signed["reason"],
            "record": b64(self.erasure.document),
            "searched": {
                "bytes": traces.byte_count,
                "files": list(traces.files),
                "found_in": list(traces.found_in),
                "gone": traces.is_gone,
                "log_cut": traces.is_log_empty,
                "rewritten": traces.is_rewritten,
                "tables": list(ERASED_FROM) if traces.is_on_server and traces.is_rewritten else [],
            },
            "sig": b64(self.erasure.sig),
            "stays": list(self.stays),
        }


def plan_erasure(reader: Reader, which: str, seqs: Sequence[int]) -> Plan:
    """What erasing these entries of the passport that a person names (none: all of it) would do.

    Raises Refused UNKNOWN_PASSPORT, ERASED, UNKNOWN_TARGET for a number that no entry has, TARGET_IS_OPENING for the
    opening alone.
    """
    chain = get_passport(reader, which)
    entries = {entry.seq: entry for entry in reader.read_entries(chain)}
    for seq in seqs:
        if seq not in entries:
            raise Refused(Reason.UNKNOWN_TARGET, f"this passport has no entry #{seq}", seq=seq)
        if seq == 0:
            raise Refused(Reason.TARGET_IS_OPENING, "the opening is not erased alone: erase the whole passport", seq=0)
        if entries[seq].is_erased:
            raise Refused(Reason.ERASED, f"entry #{seq} is erased already", seq=seq)
    wanted = sorted(set(seqs)) or sorted(entries)
    shown = []
    for seq in wanted:
        fields = entries[seq].fields or {"kind": entries[seq].kind}
        shown.append((seq, describe_entry(fields).label, format_when(fields.get("occurred"))))
    return Plan(
        passport=chain.hex(),
        subject=format_subject(reader.get_subject(chain)),
        seqs=tuple(sorted(set(seqs))) or None,
        entries=tuple(shown),
        judging=sum(entries[seq].mark in (Mark.SUPERSEDES, Mark.CONTESTS) for seq in wanted),
    )


def erase(home: Home, plan: Plan, reason: str, passphrase: str | None, command: str) -> Certificate:
    """Carry out a plan, by the running node if there is one. Raises Refused WRITER_BUSY, NOT_IN_LIST for the reason,
    and what `plan_erasure` raises."""
    passport = bytes.fromhex(plan.passport)
    files = None if plan.seqs is None else _list_file_ids(home, passport, plan.seqs, passphrase)
    attachments.begin_erasing(home, passport, files)
    with acting_at(home, passphrase, command) as (writer, office):
        done = carry_out(writer, office, OPERATOR_HERE, Erase(passport, plan.seqs, reason))
        size = writer.state.size
    if done.erasure is None or done.traces is None:
        raise InvariantBroken("an erasure ended without its record")
    attachments.finish_erasing(home, passphrase)
    journal = keep_journal_with_backups(home)
    with open_reader(home, passphrase) as reader:
        return Certificate(done.erasure, done.traces, size, _find_census(reader), plan.stays, journal)


def _list_file_ids(home: Home, passport: bytes, seqs: Sequence[int], passphrase: str | None) -> list[bytes]:
    """The files that these entries name."""
    with open_reader(home, passphrase) as reader:
        fields = [dict(entry.fields or {}) for entry in reader.read_entries(passport) if entry.seq in seqs]
        return attachments.list_file_ids(reader.get_chain(passport), fields)


def _find_census(reader: Reader) -> dict[str, Any] | None:
    try:
        index = reader.get_census_index()
    except Refused as refused:
        if refused.reason is not Reason.NOTHING_SEALED:
            raise
        return None
    record: Any = reader.get_record(index)
    census = record["census"]
    return {"at": record["at"], "count": census["count"], "erased": census["erased"], "record": index}
