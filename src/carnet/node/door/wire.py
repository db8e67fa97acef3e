"""What crosses the door: frames of a length (4 bytes, the highest first) and MessagePack, each of a known shape.

Several requests may be under way on one connection; each answer bears its request's number. Nothing is ever unpickled:
a frame is decoded into these records, or the connection ends.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, Final, cast

import msgspec

from carnet.errors import Reason, Refused
from carnet.node.acts import Act, Done
from carnet.node.jobs import Prepared, Refusal
from carnet.node.made import Made
from carnet.node.placing import Outcome, Receipt, Tally

MAX_FRAME: Final = 256 * 1024 * 1024
"""Larger than any submission: 4,000 rows of the largest contents."""

SIGNED_RECEIPTS: Final = 4
"""Outcomes with at most as many receipts bring the node's signatures with them."""

_LENGTH: Final = struct.Struct(">I")


class Commit(msgspec.Struct, array_like=True, tag="commit"):
    """Seal these submissions. Their refusals stay with the sender. Whoever is patient has more to come, and nobody
    waits for it as others wait for an answer. Whoever is quiet wants no receipts; they may be left out. What is handed
    in again, since its answer was lost, may be sealed already: each of its statements is looked for."""

    prepared: list[Made]
    is_patient: bool = False
    is_quiet: bool = False
    is_again: bool = False


def ask_to_seal(prepared: Sequence[Prepared], *, is_patient: bool = False) -> Commit:
    """The request for these submissions; what was refused beforehand stays here."""
    return Commit(cast("list[Made]", [one._replace(refusals=[]) for one in prepared]), is_patient)


class SignReceipt(msgspec.Struct, array_like=True, tag="sign"):
    """Sign a receipt (3.11)."""

    receipt: Receipt
    deadline_ms: int


class SignReceipts(msgspec.Struct, array_like=True, tag="signs"):
    """Sign these receipts (3.11), each with its acceptance as its deadline."""

    receipts: list[Receipt]


class TakeCensus(msgspec.Struct, array_like=True, tag="census"):
    """Seal the heads of all chains."""


class KeepCheckpoint(msgspec.Struct, array_like=True, tag="checkpoint"):
    """Sign and store the head of the log."""


class KeepsKey(msgspec.Struct, array_like=True, tag="keeps"):
    """Whether the node has the secret of an author key."""

    digest: bytes


class Perform(msgspec.Struct, array_like=True, tag="perform"):
    """Carry out an act of whoever runs the node."""

    act: Act


class AskHealth(msgspec.Struct, array_like=True, tag="health"):
    """Whether the writer still writes, and how it fares."""


Ask = Commit | SignReceipt | SignReceipts | TakeCensus | KeepCheckpoint | KeepsKey | Perform | AskHealth


class Said(msgspec.Struct, array_like=True, omit_defaults=True):
    """A refusal as it crosses."""

    reason: str
    message: str
    could_retry: bool
    facts: dict[str, Any]

    def to_error(self) -> Refused:
        """The same as an exception."""
        error = Refused(Reason(self.reason), self.message)
        error.could_retry, error.facts = self.could_retry, dict(self.facts)
        return error


class Became(msgspec.Struct, array_like=True):
    """What became of one submission. `sigs` are signatures on the receipts, where these are few."""

    receipts: list[Receipt]
    refusals: list[Refusal]
    refused: Said | None
    sigs: list[bytes]
    tally: Tally


class Sealed(msgspec.Struct, array_like=True, tag="sealed"):
    """The outcomes of a commit, and the log index of the rules and the members in force after it. `is_shared`: others,
    who are not patient, have asked for the writer lately."""

    outcomes: list[Became]
    rules: int
    members: int
    is_shared: bool = False


class Given(msgspec.Struct, array_like=True, tag="given"):
    """Bytes, a number, or yes and no."""

    value: bytes | int | bool | None


class Signed(msgspec.Struct, array_like=True, tag="signed"):
    """Signatures, in the order in which they were asked for."""

    sigs: list[bytes]


class Health(msgspec.Struct, array_like=True, tag="health"):
    """How the writer fares; `failure` says why it stopped, if it did, and `cause` by which reason. Counts are since it
    was opened. `is_shared` as in `Sealed`."""

    failure: str | None
    log_size: int
    commits: int
    submissions: int
    entries: int
    waiting: int
    commit_seconds: float
    largest_group: int
    is_shared: bool = False
    cause: str = ""


class Refusing(msgspec.Struct, array_like=True, tag="refused"):
    """The whole request was refused."""

    said: Said


class Failed(msgspec.Struct, array_like=True, tag="failed"):
    """The request failed through us: the kind of error, without its words."""

    kind: str


Answer = Sealed | Given | Signed | Done | Health | Refusing | Failed


class Request(msgspec.Struct, array_like=True):
    """A request and its number."""

    number: int
    ask: Ask


class Reply(msgspec.Struct, array_like=True):
    """The answer to the request of this number."""

    number: int
    answer: Answer


def say(refused: Refused) -> Said:
    """A refusal for the wire. Facts that are no plain values are described."""
    facts = {name: fact if _is_plain(fact) else str(fact) for name, fact in refused.facts.items()}
    return Said(refused.reason.value, refused.message, refused.could_retry, facts)


def describe(outcome: Outcome, sigs: list[bytes]) -> Became:
    """An outcome for the wire."""
    refusals = [
        one._replace(facts={name: fact if _is_plain(fact) else str(fact) for name, fact in one.facts.items()})
        for one in outcome.refusals
    ]
    refused = None if outcome.refused is None else say(outcome.refused)
    return Became(outcome.receipts, refusals, refused, sigs, outcome.tally)


def _is_plain(fact: object) -> bool:
    if isinstance(fact, int):
        return abs(fact) < 2**63
    return fact is None or isinstance(fact, (str, bytes))


_encoder = msgspec.msgpack.Encoder()
_request_decoder = msgspec.msgpack.Decoder(Request)
_reply_decoder = msgspec.msgpack.Decoder(Reply)


def frame(message: Request | Reply) -> bytes:
    """A message as it crosses."""
    data = _encoder.encode(message)
    return _LENGTH.pack(len(data)) + data


class Frames:
    """The frames of a stream, as its bytes come in."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The frames that are whole now. Raises ValueError for one that is longer than any of ours."""
        buffer = self._buffer
        buffer += data
        found = []
        at = 0
        while len(buffer) - at >= _LENGTH.size:
            (size,) = _LENGTH.unpack_from(buffer, at)
            if size > MAX_FRAME:
                raise ValueError("a frame is longer than any of ours")
            end = at + _LENGTH.size + size
            if len(buffer) < end:
                break
            found.append(bytes(memoryview(buffer)[at + _LENGTH.size : end]))
            at = end
        del buffer[:at]
        return found


def read_request(data: bytes) -> Request:
    """Raises msgspec.DecodeError or ValidationError for what is no request."""
    return _request_decoder.decode(data)


def read_reply(data: bytes) -> Reply:
    """Raises msgspec.DecodeError or ValidationError for what is no reply."""
    return _reply_decoder.decode(data)
