"""The file of a member that keeps its own key: what is to be signed is prepared here, signed where the key is, checked
and sealed here.

    certify → prepare: unsigned-0.json, unsigned-1.json …, signing.json with a message for each
            → the browser signs every message → signatures.json → seal

A row is known again by its source, like one that the node signs for. It refuses to hold a key, and to trust what comes
back: `submitting` checks every byte.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec

from carnet.encoding import b64, encode_trusted, unb64
from carnet.errors import Reason, Refused
from carnet.formats.faults import Fault
from carnet.formats.rows import Row
from carnet.ledger.rules.members import Member
from carnet.node.home import write_private
from carnet.node.jobs import ChainRef
from carnet.node.reader import Reader
from carnet.node.writing import Writing
from carnet.passport.submission import SIGNATURE_BYTES
from carnet.services.appending import NewEntry
from carnet.services.console.signing import (
    Wanted,
    get_own_key,
    make_unsigned,
    read_unsigned,
    seal_signed,
    write_unsigned,
)
from carnet.services.faulty import FaultyRows
from carnet.services.filing.looking import Looker
from carnet.services.filing.reading import SIGNATURES, SIGNING, Place, Signing
from carnet.services.filing.records import Counts, Files, Job
from carnet.services.receipts import describe_receipt
from carnet.types import Millis

BATCH_ROWS: Final = 1_000
MAX_ROWS: Final = 20_000
"""Of a file that is signed elsewhere: the unsigned statements lie on the disk until then."""

COMMON: Final = frozenset({"kind", "occurred", "subject"})


class _Ready(NamedTuple):
    place: Place
    wanted: Wanted


class ReadyRows(Looker):
    """A look that keeps the rows which are ready."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.ready: list[_Ready] = []

    def _note_ready(self, row: Row, chain: ChainRef | None, digest: bytes) -> None:
        super()._note_ready(row, chain, digest)
        if len(self.ready) >= MAX_ROWS or chain is None:
            saying = f"of a file that you sign yourself, {MAX_ROWS:,} rows are sealed at once: divide it"
            raise Refused(Reason.REQUEST_TOO_LARGE, saying)
        fields = {name: value for name, value in row.fields.items() if name not in COMMON}
        new = NewEntry(kind=row.kind, occurred=row.fields["occurred"], fields=fields)
        self.ready.append(_Ready(Place(row.row, row.line, digest.hex()), Wanted(chain.chain16, new)))


def prepare(
    files: Files,
    job: Job,
    reader: Reader,
    member: Member,
    rows: ReadyRows,
    now: Millis,
    random_bytes: Callable[[int], bytes],
) -> None:
    """Write down what is to be signed. Raises Refused as `make_unsigned`."""
    key = get_own_key(member, job.own_key or "")
    messages, places = [], []
    for number, at in enumerate(range(0, len(rows.ready), BATCH_ROWS)):
        batch = rows.ready[at : at + BATCH_ROWS]
        unsigned = make_unsigned(reader, member, key, [one.wanted for one in batch], now, random_bytes)
        write_private(files.path(job, f"unsigned-{number}.json"), write_unsigned(unsigned))
        messages.append(b64(unsigned.message))
        places.append(tuple(one.place for one in batch))
    files.path(job, SIGNATURES).unlink(missing_ok=True)
    files.write(job, SIGNING, Signing(key=key.digest.hex(), messages=tuple(messages), places=tuple(places)))


def seal_prepared(
    files: Files, job: Job, writer: Writing, member: Member, counts: Counts, faults: FaultyRows, receipts: Any
) -> Counts:
    """Seal what was signed; `counts` are those of the look. Done again after a kill, it gives the same receipts.

    Raises Refused as `seal_signed`, BAD_SIGNATURE above all; of several submissions those before it are sealed.
    """
    signing, signatures = files.read(job, SIGNING, Signing), files.read(job, SIGNATURES, list[str])
    if signing is None or signatures is None:
        raise Refused(Reason.BAD_SIGNATURE, "nothing of this file is signed")
    sealed = duplicate = faulty = 0
    for number, (places, signature) in enumerate(zip(signing.places, signatures, strict=True)):
        unsigned = read_unsigned(files.path(job, f"unsigned-{number}.json").read_bytes())
        sources = [bytes.fromhex(place.source) for place in places]
        done = seal_signed(writer, unsigned, unb64(signature, SIGNATURE_BYTES), member.id, sources)
        for receipt in done.receipts:
            line = {**describe_receipt(receipt), "row": places[receipt.place].row}
            receipts.write(encode_trusted(line) + b"\n")
        sealed += len(done.receipts)
        for turned in done.turned:
            if turned.refused.reason is Reason.ALREADY_SEALED:
                duplicate += 1
                continue
            faulty += 1
            place = places[turned.place]
            faults.add(Fault(place.line, place.row, None, turned.refused.reason, turned.refused.message, ""))
    return msgspec.structs.replace(
        counts,
        ready=0,
        sealed=sealed,
        duplicate=counts.duplicate + duplicate,
        faulty=counts.faulty + faulty,
    )
