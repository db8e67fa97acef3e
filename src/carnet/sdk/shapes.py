"""What the service answers, as records. Members that a newer service adds are left aside.

A test holds them to the published contract.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """The base of every answer."""


class Passport(Record, frozen=True, kw_only=True):
    """A passport as far as the caller sees it. Times are RFC 3339 in UTC."""

    id: str
    subject: dict[str, Any]
    entry_count: int
    sees: str
    closed: bool
    epoch: int
    sealed_at: str
    as_of: str | None
    proof: str


class Found(Record, frozen=True, kw_only=True):
    """A passport by its name."""

    id: str
    url: str


class OwnEntry(Record, frozen=True, kw_only=True):
    """A line of your member's own book: which entry, in whose passport, sealed when. It holds no value."""

    id: str
    kind: str
    passport: str
    subject: dict[str, Any]
    seq: int
    sealed_at: str
    cursor: str
    entry: str
    proof: str


class Use(Record, frozen=True, kw_only=True):
    """A day (UTC): how many entries were sealed on it, in all and of each kind."""

    day: str
    sealed: int
    kinds: dict[str, int]


class IssuedCode(Record, frozen=True, kw_only=True):
    """A new code for paper: shown this once."""

    id: str
    code: str
    passport: str
    valid_until: str


class Invited(Record, frozen=True, kw_only=True):
    """A customer's vehicle: its code and link, shown this once, or `refused` with the code of a refusal."""

    vehicle: str
    passport: str | None
    code: str | None
    link: str | None
    valid_until: str | None
    refused: str | None


class InvitedList(Record, frozen=True, kw_only=True):
    """One for each vehicle, in the order given, and for how many there is a code."""

    data: list[Invited]
    made: int


class PrintedCode(Record, frozen=True, kw_only=True):
    """A code that your member printed, without its secret. `state`: in_force, used, revoked or over."""

    id: str
    passport: str
    made_by: str
    created_at: str
    valid_until: str
    used_at: str | None
    state: str


class Occurred(Record, frozen=True, kw_only=True):
    """When it happened, as it was written."""

    at: str | None
    precision: str
    zone: str | None


class Author(Record, frozen=True, kw_only=True):
    """The member in whose name an entry was signed."""

    id: str
    kind: str
    name: str


class Metadata(Record, frozen=True, kw_only=True):
    """An entry without its values."""

    id: str
    passport: str
    seq: int
    kind: str
    occurred: Occurred
    author: Author
    basis: str
    state: str
    mark: str
    target: str | None
    superseded_by: str | None
    contested_by: list[str]
    certified: bool
    record: int
    sealed_at: str
    submitted_at: str
    key: str
    key_disputed: bool
    erased: bool
    proof: str


class Entry(Metadata, frozen=True, kw_only=True):
    """An entry with its own fields. `bundle` is its proof, where it was asked for."""

    fields: dict[str, Any] | None
    subject: dict[str, Any]
    bundle: str | None = None


class Receipt(Record, frozen=True, kw_only=True):
    """The node's signed word that a statement stands where it says (docs/spec 3.11)."""

    accepted_ms: int
    deadline_ms: int
    key: str
    passport: str
    record: int
    seq: int
    sig: str
    signed: str
    statement: str


class Sealed(Record, frozen=True, kw_only=True):
    """What became of a write. Only `state` sealed is certified."""

    entry: str
    passport: str
    seq: int
    receipt: Receipt
    proof: str
    state: str
    bundle: str | None = None


class TurnedAway(Record, frozen=True, kw_only=True):
    """A statement of a submission that was not taken, and why."""

    place: int
    statement: str
    code: str
    detail: str


class Submitted(Record, frozen=True, kw_only=True):
    """What became of a submission; `sealed` of its receipts are new."""

    member: str
    sealed: int
    receipts: list[Receipt]
    turned_away: list[TurnedAway]


class Finding(Record, frozen=True, kw_only=True):
    """One of the verifier's four findings."""

    state: str
    code: str | None
    saying: str | None


class Verification(Record, frozen=True, kw_only=True):
    """What the service's verifier says. To be sure, verify without it: `carnet verify`."""

    verdict: str
    exit: int
    saying: str
    authority: Finding
    completeness: Finding
    freshness: Finding
    integrity: Finding
    asked: list[str]
    report: dict[str, Any] | None


class Counts(Record, frozen=True, kw_only=True):
    """What became of a file's rows so far: `rows_read` = ready + sealed + duplicate + faulty."""

    rows_read: int
    ready: int
    sealed: int
    duplicate: int
    faulty: int
    passports: int
    bytes_read: int


class Failure(Record, frozen=True, kw_only=True):
    """Why all of a file failed."""

    code: str
    detail: str


class File(Record, frozen=True, kw_only=True):
    """A file that was sent: `received` of `size` bytes are at the service; `state` uploading, queued, running, waiting
    (for somebody's word), and then done, failed or cancelled."""

    id: str
    name: str
    format: str
    size: int
    received: int
    validate_only: bool
    review: bool
    state: str
    stage: str
    counts: Counts
    created_at: str
    ended_at: str | None
    failure: Failure | None
    content: str
    faults: str
    outcomes: str
    reading: str

    @property
    def is_waiting(self) -> bool:
        """Whether it has been read, and waits to be mended or certified."""
        return self.state == "waiting"

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will become of it."""
        return self.state in ("done", "failed", "cancelled")


class FaultyCell(Record, frozen=True, kw_only=True):
    """A cell that cannot be read, and what it must have meant, where that is certain."""

    column: str
    value: str
    code: str
    detail: str
    proposal: str | None


class Reading(Record, frozen=True, kw_only=True):
    """How a file was understood: whose the mapping is (`origin`), how sure it is (0 to 100), and what is ready. `tag`
    tells this reading from every other one of the file."""

    file: str
    format: str
    origin: str
    saved: str | None
    kind: str | None
    confidence: int
    doubts: list[str]
    reasons: list[str]
    columns: list[dict[str, Any]]
    mapping: dict[str, Any] | None
    rows: list[dict[str, Any]]
    counts: Counts
    faulty_cells: int
    mended_cells: int
    problem: Failure | None
    tag: str = ""


class Faulty(Record, frozen=True, kw_only=True):
    """A faulty row: where it stands, which rule it breaks, the row itself, and its cells that cannot be read."""

    id: str
    row: int
    line: int
    column: str | None
    code: str
    detail: str
    raw: str
    cells: list[FaultyCell]


class Webhook(Record, frozen=True, kw_only=True):
    """An address that is told what happens; `keys` check what comes in (`carnet.sdk.webhooks.verify`). `tag` is that of
    what a `get` read, for `seen`."""

    id: str
    url: str
    events: list[str]
    note: str
    state: str
    keys: list[str]
    created: str
    failing_since: str | None
    stopped: str | None
    stopped_why: str | None
    tag: str = ""


class WebhookTry(Record, frozen=True, kw_only=True):
    """One try of a message."""

    at: str
    status: int | None
    trouble: str | None
    took_ms: int


class WebhookMessage(Record, frozen=True, kw_only=True):
    """What an address was told, or is to be told, and how each try went."""

    id: str
    webhook: str
    type: str
    state: str
    created: str
    next_try: str | None
    trouble: str | None
    tries: list[WebhookTry]
    payload: dict[str, Any]


class WebhookTest(Record, frozen=True, kw_only=True):
    """A test: what was sent, and the beginning of what was answered."""

    message: WebhookMessage
    headers: dict[str, str]
    status: int | None
    trouble: str | None
    took_ms: int
    body: str | None
    body_base64: str | None


class Replayed(Record, frozen=True, kw_only=True):
    """How many messages are sent again."""

    count: int


def to_document(answer: object) -> Any:
    """An answer as plain JSON values; None stays None."""
    return msgspec.to_builtins(answer)
