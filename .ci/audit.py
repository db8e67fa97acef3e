"""Ask a vulnerability database about every locked package, and say plainly when nobody could be asked.

`python .ci/audit.py [--database URL]` ends with 0: asked, and nothing is known; 1: something is known; 3: NOT CHECKED.
Silence is never green: the question includes a package that is publicly known to be vulnerable, and a database that has
nothing to say of that one is not believed about the others. It refuses to judge how grave a finding is.
"""

from __future__ import annotations

import argparse
import http.client
import json
import sys
import urllib.request
from typing import Any

from locked import Package, read_lock

# The batch question of the OSV interface; `--database` names a mirror.
DATABASE = "https://api.osv.dev/v1/querybatch"
# The example of OSV's own documentation: a release of 2010, whose flaws stay known.
CONTROL = ("jinja2", "2.4.1")
CLEAN, FOUND, NOT_CHECKED = 0, 1, 3
TIMEOUT_S = 20
# 1,000 questions may be asked at once.
BATCH = 1_000
BYTES_MAX = 32 << 20


class Unanswered(Exception):
    """The database could not be asked, or its answer cannot be relied on."""


def main(arguments: list[str] | None = None) -> int:
    """Ask, print, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="audit", description="Ask a vulnerability database about the locked packages."
    )
    parser.add_argument("--database", default=DATABASE, metavar="URL", help="where the OSV batch question is answered")
    url = parser.parse_args(arguments).database
    packages = sorted(read_lock().values(), key=lambda package: package.name)
    try:
        known = ask(url, packages)
    except Unanswered as error:
        print(f"audit: NOT CHECKED: {error}")
        print(f"audit: of the {len(packages)} locked packages nothing is known, neither good nor bad")
        return NOT_CHECKED
    for package in packages:
        if known[package.name]:
            print(f"audit: {package.name} {package.version}: {', '.join(known[package.name])}")
    count = sum(map(bool, known.values()))
    print(f"audit: {len(packages)} locked packages checked, {count or 'none'} known to be vulnerable")
    return FOUND if count else CLEAN


def ask(url: str, packages: list[Package]) -> dict[str, list[str]]:
    """The ids of the known vulnerabilities of each package. Raises `Unanswered`."""
    asked = [CONTROL, *((package.name, package.version) for package in packages)]
    if len(asked) > BATCH:
        raise Unanswered(f"{len(asked)} packages are more than one question may hold")
    queries = [{"package": {"ecosystem": "PyPI", "name": name}, "version": version} for name, version in asked]
    answer = _post(url, {"queries": queries})
    results = answer.get("results") if isinstance(answer, dict) else None
    if not isinstance(results, list) or len(results) != len(asked):
        raise Unanswered("the database's answer does not match the question")
    control, *found = [_get_ids(result) for result in results]
    if not control:
        raise Unanswered(f"the database knows nothing of {' '.join(CONTROL)}, which is publicly known to be vulnerable")
    return {package.name: ids for package, ids in zip(packages, found, strict=True)}


def _get_ids(result: object) -> list[str]:
    """The ids in one answer. An empty one says none; one without ids that says that more follow is no answer."""
    vulns = result.get("vulns", []) if isinstance(result, dict) else None
    if not isinstance(vulns, list) or not all(isinstance(v, dict) and isinstance(v.get("id"), str) for v in vulns):
        raise Unanswered("the database's answer has another form than OSV's")
    if isinstance(result, dict) and result.get("next_page_token") and not vulns:
        raise Unanswered("the database's answer is incomplete")
    # From outside: an id may hold anything, and goes to a terminal.
    return [ascii(vuln["id"])[1:-1][:80] for vuln in vulns]


def _post(url: str, question: dict[str, Any]) -> object:
    if not url.startswith(("https://", "http://127.0.0.1:")):
        raise Unanswered("the database's address must begin with https://")
    request = urllib.request.Request(url, json.dumps(question).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
            body = response.read(BYTES_MAX + 1)
        return json.loads(body) if len(body) <= BYTES_MAX else None
    except (OSError, http.client.HTTPException, ValueError, RecursionError) as error:
        raise Unanswered(f"no vulnerability database could be asked ({type(error).__name__}: {error})") from error


if __name__ == "__main__":
    sys.exit(main())
