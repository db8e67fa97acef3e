"""Trust policies (C2SP tlog-policy): which logs a reader accepts, and which witnesses must have cosigned.

A policy is chosen by the reader and never found in a proof. It is a file of octets: names are opaque, whatever their
encoding.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from carnet.errors import Unverified
from carnet.tlog.note import TYPE_COSIGNATURE, TYPE_ED25519, VerifierKey

MAX_POLICY_BYTES: Final = 64 * 1024
MAX_POLICY_LINES: Final = 1_000
NONE: Final = b"none"

_CONTROL = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
_THRESHOLD = re.compile(rb"[1-9][0-9]{0,3}")


@dataclass(frozen=True, slots=True)
class Witness:
    """A witness under the name that this policy gives it."""

    name: bytes
    key: VerifierKey
    url: bytes | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Met when at least `threshold` of its members (witnesses, or groups defined before it) are."""

    name: bytes
    threshold: int
    members: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """A whole policy. `quorum` names a witness or a group, or is `none`."""

    logs: tuple[VerifierKey, ...]
    witnesses: tuple[Witness, ...]
    groups: tuple[Group, ...]
    quorum: bytes

    def find_log(self, origin: str, public: bytes | None = None) -> VerifierKey | None:
        """The key of the log with this origin (and this public key, when given), or `None`."""
        for key in self.logs:
            if key.name == origin and public in (None, key.public):
                return key
        return None

    def get_witness_keys(self, log: VerifierKey) -> tuple[VerifierKey, ...]:
        """The keys whose cosignatures count for this log: of all witnesses but one with the log's own key."""
        # Spec 5.4.2: cosignatures are by a distinct key; else a log would witness itself.
        return tuple(witness.key for witness in self.witnesses if witness.key.public != log.public)

    def get_names(self, keys: Iterable[VerifierKey]) -> frozenset[bytes]:
        """The policy's names of the witnesses with these keys; keys that it does not hold are left out."""
        wanted = set(keys)
        return frozenset(witness.name for witness in self.witnesses if witness.key in wanted)

    def is_quorum_met(self, cosigned_names: Collection[bytes]) -> bool:
        """Whether cosignatures by the witnesses of these names satisfy the quorum."""
        if self.quorum == NONE:
            return True
        met = {witness.name for witness in self.witnesses if witness.name in cosigned_names}
        # A group only names what stands above it, so one pass in order settles them all.
        for group in self.groups:
            if sum(member in met for member in group.members) >= group.threshold:
                met.add(group.name)
        return self.quorum in met


def parse_policy(data: bytes) -> Policy:
    """Read a policy file; raises `Unverified("policy_malformed")` naming the line.

    Limits: 1,000 lines, 64 KiB. Keys of logs are of type 0x01, keys of witnesses of type 0x04.
    """
    if len(data) > MAX_POLICY_BYTES:
        raise Unverified(
            "policy_malformed", f"the policy has {len(data):,} bytes, where at most {MAX_POLICY_BYTES:,} are read"
        )
    lines = data.split(b"\n")
    if lines.pop() != b"":
        raise _malformed(len(lines) + 1, "the last line does not end in a newline: the file may be cut")
    if len(lines) > MAX_POLICY_LINES:
        raise _malformed(MAX_POLICY_LINES + 1, f"at most {MAX_POLICY_LINES:,} lines are read")
    draft = _Draft()
    for number, line in enumerate(lines, 1):
        if _CONTROL.search(line):
            raise _malformed(number, "a control character other than tab and newline")
        words = line.replace(b"\t", b" ").split(b" ")
        words = [word for word in words if word]
        if not words or words[0].startswith(b"#"):
            continue
        try:
            draft.add(words)
        except Unverified as error:
            raise _malformed(number, str(error)) from None
    if draft.quorum is None:
        raise Unverified("policy_malformed", "the policy has no quorum line")
    return Policy(tuple(draft.logs), tuple(draft.witnesses), tuple(draft.groups), draft.quorum)


def format_policy(policy: Policy) -> bytes:
    """The file of a policy: logs, witnesses, groups, quorum. `parse_policy` reads the same policy from it."""
    lines = [b"log " + key.format().encode() for key in policy.logs]
    for witness in policy.witnesses:
        words = [b"witness", witness.name, witness.key.format().encode()]
        lines.append(b" ".join(words if witness.url is None else [*words, witness.url]))
    lines += [b" ".join((b"group", group.name, b"%d" % group.threshold, *group.members)) for group in policy.groups]
    lines.append(b"quorum " + policy.quorum)
    return b"\n".join(lines) + b"\n"


class _Draft:
    """A policy while its lines are read."""

    def __init__(self) -> None:
        self.logs: list[VerifierKey] = []
        self.witnesses: list[Witness] = []
        self.groups: list[Group] = []
        self.quorum: bytes | None = None
        self._names: set[bytes] = set()
        self._members: set[bytes] = set()
        self._publics: set[tuple[int, bytes]] = set()

    def add(self, words: list[bytes]) -> None:
        match words:
            case [b"log", key] | [b"log", key, _]:
                self.logs.append(self._take_key(key, TYPE_ED25519))
            case [b"witness", name, key, *rest] if len(rest) <= 1:
                self._define(name)
                self.witnesses.append(Witness(name, self._take_key(key, TYPE_COSIGNATURE), rest[0] if rest else None))
            case [b"group", name, threshold, *members] if members:
                # Members first: a group cannot be its own member.
                for member in members:
                    self._take_member(member)
                self._define(name)
                self.groups.append(Group(name, _parse_threshold(threshold, len(members)), tuple(members)))
            case [b"quorum", name]:
                if self.quorum is not None:
                    raise _wrong("a second quorum line")
                if name != NONE and name not in self._names:
                    raise _wrong(f"the quorum names {name!a}, which is not defined above")
                self.quorum = name
            case _:
                raise _wrong(f"not a line of a policy: {words[0]!a} with {len(words) - 1} words after it")

    def _define(self, name: bytes) -> None:
        if name == NONE:
            raise _wrong("the name none is taken")
        if name in self._names:
            raise _wrong(f"the name {name!a} is defined twice")
        self._names.add(name)

    def _take_member(self, member: bytes) -> None:
        if member not in self._names:
            raise _wrong(f"{member!a} is not defined above")
        # C2SP: a name is a member once at most, so that no witness counts in two ways.
        if member in self._members:
            raise _wrong(f"{member!a} is a group's member already")
        self._members.add(member)

    def _take_key(self, text: bytes, wanted_type: int) -> VerifierKey:
        try:
            key = VerifierKey.parse(text.decode("utf-8"))
        except UnicodeDecodeError:
            raise _wrong("a key's name is not UTF-8") from None
        if key.type != wanted_type:
            raise _wrong(f"a key of type 0x{key.type:02x} where 0x{wanted_type:02x} is needed")
        if (key.type, key.public) in self._publics:
            raise _wrong("this public key stands twice")
        self._publics.add((key.type, key.public))
        return key


def _parse_threshold(word: bytes, count: int) -> int:
    if word == b"any":
        return 1
    if word == b"all":
        return count
    if not _THRESHOLD.fullmatch(word) or int(word) > count:
        raise _wrong(f"a group needs any, all, or a number from 1 to {count}")
    return int(word)


def _wrong(message: str) -> Unverified:
    return Unverified("policy_malformed", message)


def _malformed(line: int, message: str) -> Unverified:
    return Unverified("policy_malformed", f"line {line}: {message}")
