"""Trusting: the policies that a person keeps, so that a proof of a known network needs no option.

One policy for each network: two that disagree about one origin would make the answer depend on their order. It needs no
node, only a folder; and it refuses to take a policy from a proof.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from carnet.errors import Reason, Refused, Unverified
from carnet.node.home import Home, write_private
from carnet.tlog.policy import MAX_POLICY_BYTES, Policy, parse_policy

_SUFFIX = ".policy"
_NOT_IN_NAME = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Trust:
    """A kept policy: its name, its file, and what it says."""

    name: str
    path: Path
    policy: Policy

    @property
    def origins(self) -> tuple[str, ...]:
        """The networks that it is about."""
        return tuple(key.name for key in self.policy.logs)


def read_policy(path: Path) -> Policy:
    """The policy in a file. Raises OSError, and Unverified("policy_malformed") naming file and line."""
    with path.open("rb") as file:
        data = file.read(MAX_POLICY_BYTES + 1)
    try:
        return parse_policy(data)
    except Unverified as error:
        raise Unverified(error.code, f"{path} is not a trust policy: {error}") from None


def list_trusts(home: Home) -> Iterator[Trust]:
    """The kept policies, by name. A file that is no policy stops the list: a trust that is silently ignored would turn
    "refused" into "cannot tell"."""
    if not home.trust.is_dir():
        return
    for path in sorted(home.trust.glob(f"*{_SUFFIX}")):
        yield Trust(path.stem, path, read_policy(path))


def find_trust(home: Home, origin: str) -> Trust | None:
    """The kept policy about this network."""
    return next((trust for trust in list_trusts(home) if origin in trust.origins), None)


def add_trust(home: Home, data: bytes, *, name: str | None = None, is_replacing: bool = False) -> Trust:
    """Keep a policy, under a name made from its first network unless one is given.

    Raises Unverified("policy_malformed"), and Refused(KEY_EXISTS) where a network has a policy already, unless
    `is_replacing`.
    """
    policy = parse_policy(data)
    if not policy.logs:
        raise Unverified("policy_malformed", "the policy names no log, so nothing could ever be trusted by it")
    chosen = _NOT_IN_NAME.sub("-", name if name is not None else make_name(policy.logs[0].name)).strip("-.")[:80]
    if not chosen:
        raise Refused(Reason.TEXT_NOT_ALLOWED, "a trust's name has letters, digits, dots and dashes", value=name)
    wanted = {key.name for key in policy.logs}
    others = [trust for trust in list_trusts(home) if wanted & set(trust.origins) or trust.name == chosen]
    if others and not is_replacing:
        other = others[0]
        if other.policy == policy:
            return other
        raise Refused(
            Reason.KEY_EXISTS,
            f"the trust {other.name} is about the same network and says something else; compare the keys, then "
            "add it with --replace",
            trust=other.name,
            kept=[key.format() for key in other.policy.logs],
            given=[key.format() for key in policy.logs],
        )
    home.make()
    path = home.trust / (chosen + _SUFFIX)
    write_private(path, data)
    for other in others:
        if other.path != path:
            other.path.unlink()
    return Trust(chosen, path, policy)


def make_name(origin: str) -> str:
    """A short name for a network: its own, and as many digits of its id as tell two of one name apart."""
    name, _, net = origin.partition("/")
    return f"{name}-{net[:8]}"


def remove_trust(home: Home, name: str) -> None:
    """Forget a kept policy; raises Refused(UNKNOWN_KEY) if there is none of this name."""
    path = home.trust / (name + _SUFFIX)
    # Compared by name with what is there: the name given may hold anything, even a path.
    if path not in set(home.trust.glob(f"*{_SUFFIX}")):
        raise Refused(Reason.UNKNOWN_KEY, f"no trust is called {name!a}; `carnet trust list` shows them", name=name)
    path.unlink()
