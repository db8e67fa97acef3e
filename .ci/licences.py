"""Under which terms each package comes that reaches a user, and whether the house may use it.

The terms stand in `licences.toml`, written by people; this module judges them. It refuses to guess: a package without a
line, an expression with brackets, and a licence in no list are each an error of their own.
"""

from __future__ import annotations

import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from locked import find_groups, read_lock, read_wanted

TERMS = Path(__file__).resolve().with_name("licences.toml")


@dataclass(frozen=True)
class Terms:
    """What `licences.toml` says."""

    permissive: frozenset[str]
    weak_copyleft: frozenset[str]
    packages: dict[str, str]
    bundled: dict[str, dict[str, str]] = field(default_factory=dict)
    exceptions: dict[str, str] = field(default_factory=dict)


def read_terms(path: Path = TERMS) -> Terms:
    """The terms and the policy, from the file."""
    told = tomllib.loads(path.read_text(encoding="utf-8"))
    policy = told["policy"]
    return Terms(
        permissive=frozenset(policy["permissive"]),
        weak_copyleft=frozenset(policy["weak_copyleft"]),
        packages=told["packages"],
        bundled=told.get("bundled", {}),
        exceptions=told.get("exceptions", {}),
    )


def is_met(expression: str, allowed: frozenset[str]) -> bool:
    """Whether one may comply by allowed licences alone: with one side of each OR, and with both sides of each AND.

    An expression with brackets or WITH is never met: a person reads it, and writes down what follows from it.
    """
    return any(all(part.strip() in allowed for part in way.split(" AND ")) for way in expression.split(" OR "))


def find_faults(terms: Terms, groups: dict[str, tuple[str, ...]]) -> list[str]:
    """What the policy objects to, one sentence each; empty when all is well.

    `groups` says by which of `core` and the extras each package comes (`locked.find_groups`).
    """
    faults = [f"{name}: no terms in licences.toml" for name in groups if name not in terms.packages]
    for kind, names in (("packages", terms.packages), ("bundled", terms.bundled), ("exceptions", terms.exceptions)):
        faults += [f"{name}: under [{kind}], but the lock brings it to no user" for name in names if name not in groups]
    for name, by in groups.items():
        claims = [
            (name, terms.packages.get(name)),
            *((f"{what} in {name}", its) for what, its in _list_bundled(terms, name)),
        ]
        for what, expression in claims:
            if expression is None or is_met(expression, terms.permissive):
                continue
            if not is_met(expression, terms.permissive | terms.weak_copyleft):
                faults.append(f"{what}: {expression} is refused by the policy")
            elif "core" in by:
                faults.append(f"{what}: {expression} is refused in the core")
            elif not terms.exceptions.get(name):
                faults.append(f"{what}: {expression} needs a reason under [exceptions]")
    return faults


def write_list(terms: Terms, groups: dict[str, tuple[str, ...]]) -> str:
    """The list for readers, in Markdown. Without versions, so that it changes only when a package comes or goes."""
    lines = [
        "# Licences",
        "",
        "What `pip install carnet` brings (*core*), and what each extra adds, under which terms. `make sbom` writes",
        "this list from `requirements.lock` and `.ci/licences.toml`, where the policy stands: permissive terms",
        "everywhere; weak copyleft in an extra only, with a written reason; nothing else. Carnet itself is Apache-2.0.",
        "",
        "| package | terms | comes by | inside its ready-made files |",
        "|---|---|---|---|",
    ]
    for name, by in groups.items():
        inside = ", ".join(f"{what}: {its}" for what, its in _list_bundled(terms, name))
        why = f" ({terms.exceptions[name]})" if name in terms.exceptions else ""
        lines.append(f"| {name} | {terms.packages[name]}{why} | {', '.join(by)} | {inside} |")
    return "\n".join(lines) + "\n"


def _list_bundled(terms: Terms, name: str) -> list[tuple[str, str]]:
    return sorted(terms.bundled.get(name, {}).items())


def main() -> int:
    """Print the list; 1 and the faults when the policy objects."""
    terms, groups = read_terms(), find_groups(read_lock(), read_wanted())
    faults = find_faults(terms, groups)
    if faults:
        print("licences:", *faults, sep="\n  ", file=sys.stderr)
        return 1
    print(write_list(terms, groups), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
