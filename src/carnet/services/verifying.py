"""Verifying: a proof in a file, judged under the policy that the reader named or keeps.

It needs no node, no database and no network; the light install has all of it. It never reads more of a file than a
proof may have, and takes no key from it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from carnet.node.home import Home
from carnet.proof.bundle import MAX_BUNDLE_BYTES
from carnet.proof.memory import Memory
from carnet.proof.verify import Asked, Verdict, verify_bundle
from carnet.services.trusting import find_trust
from carnet.signing import SignatureCache
from carnet.tlog.policy import Policy
from carnet.types import Millis


@dataclass(frozen=True, slots=True)
class Verification:
    """The verifier's answer, and the name of the policy under which it was given (None: there was none)."""

    verdict: Verdict
    policy_name: str | None


def read_proof(path: Path | None) -> bytes:
    """The bytes of a proof, or of standard input for None: at most one more than the largest proof, however large the
    file. Raises OSError."""
    # One byte more is enough for the verifier to answer `too_large`; a file of a gigabyte is not read for that.
    if path is None:
        return sys.stdin.buffer.read(MAX_BUNDLE_BYTES + 1)
    with path.open("rb") as file:
        return file.read(MAX_BUNDLE_BYTES + 1)


def verify_proofs(
    proofs: Iterable[tuple[Path, bytes]],
    now: Millis,
    *,
    asked: Asked,
    policy: tuple[str, Policy] | None = None,
    home: Home | None = None,
) -> Iterator[tuple[Path, Verification]]:
    """Judge many proofs, one after the other. What proofs of one network share is checked once (`proof.memory`), and
    each is judged as if it stood alone."""
    memory = Memory()
    for path, data in proofs:
        yield path, verify_proof(data, now, asked=asked, policy=policy, home=home, cache=memory)


def verify_proof(
    data: bytes,
    now: Millis,
    *,
    asked: Asked,
    policy: tuple[str, Policy] | None = None,
    home: Home | None = None,
    cache: SignatureCache | None = None,
) -> Verification:
    """Judge a proof under the given (name, policy), or else under the one that `home` keeps for the proof's network."""
    cache = SignatureCache(1024) if cache is None else cache
    if policy is not None:
        return Verification(verify_bundle(data, policy[1], now, asked, cache), policy[0])
    verdict = verify_bundle(data, None, now, asked, cache)
    if verdict.evidence is None or home is None:
        return Verification(verdict, None)
    trust = find_trust(home, verdict.evidence.origin)
    if trust is None:
        return Verification(verdict, None)
    # The signatures are in the cache: the second judgement costs a few hashes.
    return Verification(verify_bundle(data, trust.policy, now, asked, cache), trust.name)
