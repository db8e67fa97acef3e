"""The locked packages as a graph: who pulls whom in, and which of them reach a user.

Reads `requirements.lock` and `pyproject.toml`, and nothing else: it refuses to ask a registry, or to look at what
happens to be installed here. The graph is the one that uv writes into the lock as "via" comments.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK, PROJECT = ROOT / "requirements.lock", ROOT / "pyproject.toml"

_PIN = re.compile(r"(?P<name>[a-z0-9][a-z0-9._-]*)==(?P<version>[^\s;]+)(?: ; (?P<marker>.+?))?(?: \\)?")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Package:
    """One pinned package."""

    name: str
    version: str
    marker: str
    """On which machines it is wanted; empty for all."""
    hashes: tuple[str, ...]
    """SHA-256 of each file that may be installed, in hex."""
    parents: tuple[str, ...]
    """The packages that pull it in; the project itself is not among them."""
    text: str
    """Its lines in the lock, as they stand."""


def normalise(name: str) -> str:
    """A package's name in the one spelling of the lock (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_lock(path: Path = LOCK) -> dict[str, Package]:
    """Each package of the lock by its name. Raises `ValueError` on a line that it does not understand."""
    packages: dict[str, Package] = {}
    for block in re.split(r"(?m)^(?=[^#\s])", path.read_text(encoding="utf-8"))[1:]:
        first, *rest = block.splitlines()
        pin = _PIN.fullmatch(first)
        if pin is None:
            raise ValueError(f"{path.name}: not a pinned package: {first!a}")
        hashes = tuple(re.findall(r"--hash=sha256:([0-9a-f]{64})\b", block))
        comments = [line.split("#", 1)[1].strip().removeprefix("via").strip() for line in rest if "#" in line]
        parents = tuple(normalise(by) for by in comments if by and " " not in by)
        packages[pin["name"]] = Package(pin["name"], pin["version"], pin["marker"] or "", hashes, parents, block)
    orphans = {parent for package in packages.values() for parent in package.parents} - packages.keys()
    if orphans:
        raise ValueError(f"{path.name}: pulled in by packages that it does not hold: {', '.join(sorted(orphans))}")
    return packages


def read_wanted(path: Path = PROJECT) -> dict[str, frozenset[str]]:
    """The names that the project itself asks for: under `core`, then under the name of each extra."""
    project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
    groups = {"core": project["dependencies"], **project.get("optional-dependencies", {})}
    return {group: frozenset(_get_name(line) for line in lines) for group, lines in groups.items()}


def find_reach(packages: dict[str, Package], roots: frozenset[str]) -> frozenset[str]:
    """These packages, and all that they pull in."""
    reached, waiting = set[str](), sorted(roots)
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += [package.name for package in packages.values() if name in package.parents]
    return frozenset(reached)


def find_groups(packages: dict[str, Package], wanted: dict[str, frozenset[str]]) -> dict[str, tuple[str, ...]]:
    """Every package that reaches a user, with the groups it comes by: `core` alone where the core pulls it in, since
    every extra stands on it.
    """
    reach = {group: find_reach(packages, roots) for group, roots in wanted.items()}
    names = sorted(frozenset().union(*reach.values()))
    return {
        name: ("core",) if name in reach["core"] else tuple(group for group in reach if name in reach[group])
        for name in names
    }


def _get_name(requirement: str) -> str:
    found = _NAME.match(requirement)
    if found is None:
        raise ValueError(f"not a requirement: {requirement!a}")
    return normalise(found[0])
