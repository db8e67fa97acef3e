"""The bill of materials: every package that the lock brings to a user, in CycloneDX 1.6 JSON.

`python .ci/sbom.py` prints it. It is made of the lock, the licence list and the commit's date alone, so that the same
commit gives the same bytes; it asks no network, and says nothing of the tools of development, which reach no user.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import uuid
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from licences import Terms, find_faults, read_terms
from locked import LOCK, ROOT, Package, find_groups, read_lock, read_wanted

# The namespace of the serial numbers, drawn once.
NAMESPACE = uuid.UUID("ccfebe4a-1d58-428b-ba02-42f5bcc9177d")


def main() -> int:
    """Print the bill; 1 when a package has no terms that the policy allows."""
    packages, wanted, terms = read_lock(), read_wanted(), read_terms()
    groups = find_groups(packages, wanted)
    faults = find_faults(terms, groups)
    if faults:
        print("sbom: the licence policy objects:", *faults, sep="\n  ", file=sys.stderr)
        return 1
    bill = build_bill(packages, wanted, groups, terms, read_version(), _get_date())
    print(json.dumps(bill, indent=1, ensure_ascii=False))
    return 0


def build_bill(
    packages: dict[str, Package],
    wanted: dict[str, frozenset[str]],
    groups: dict[str, tuple[str, ...]],
    terms: Terms,
    version: str,
    date: str | None,
) -> dict[str, Any]:
    """The document. `date` is ISO 8601 in UTC; without one the bill has no timestamp."""
    own = f"pkg:pypi/carnet@{version}"
    urls = {name: f"pkg:pypi/{name}@{packages[name].version}" for name in groups}
    direct = frozenset().union(*wanted.values())
    serial = uuid.uuid5(NAMESPACE, sha256(LOCK.read_bytes()).hexdigest() + version)
    metadata: dict[str, Any] = {} if date is None else {"timestamp": date}
    metadata["component"] = {
        "type": "application",
        "bom-ref": own,
        "name": "carnet",
        "version": version,
        "licenses": [{"license": {"id": "Apache-2.0"}}],
        "purl": own,
    }
    edges = {own: sorted(urls[name] for name in direct)}
    for name in groups:
        edges[urls[name]] = sorted(urls[child] for child in groups if name in packages[child].parents)
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": metadata,
        "components": [_describe(packages[name], urls[name], by, terms) for name, by in groups.items()],
        "dependencies": [{"ref": ref, "dependsOn": children} for ref, children in edges.items()],
    }


def read_version() -> str:
    """The project's version, from the one place where it stands."""
    found = re.search(r'^__version__ = "(.+)"$', (ROOT / "src/carnet/__init__.py").read_text(encoding="utf-8"), re.M)
    if found is None:
        raise SystemExit("sbom: src/carnet/__init__.py states no version")
    return found[1]


def _describe(package: Package, url: str, by: tuple[str, ...], terms: Terms) -> dict[str, Any]:
    """One component. The hashes are of the files that may be installed, of which each machine takes one: CycloneDX's
    own `hashes` would say that all of them are of the same file.
    """
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": url,
        "name": package.name,
        "version": package.version,
        "scope": "required" if "core" in by else "optional",
        "licenses": [_licence(terms.packages[package.name])],
        "purl": url,
        "properties": [{"name": "carnet:group", "value": group} for group in by]
        + ([{"name": "carnet:marker", "value": package.marker}] if package.marker else [])
        + [{"name": "carnet:file:sha256", "value": digest} for digest in package.hashes],
    }
    bundled = terms.bundled.get(package.name, {})
    if bundled:
        component["components"] = [
            {"type": "library", "bom-ref": f"{url}#{name.lower()}", "name": name, "licenses": [_licence(its)]}
            for name, its in sorted(bundled.items())
        ]
    return component


def _licence(expression: str) -> dict[str, Any]:
    return {"license": {"id": expression}} if " " not in expression else {"expression": expression}


def _get_date() -> str | None:
    """The date of SOURCE_DATE_EPOCH, else of the last commit."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH") or _find_commit_epoch()
    return datetime.fromtimestamp(int(epoch), UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if epoch else None


def _find_commit_epoch() -> str:
    if not Path(ROOT, ".git").exists():
        return ""
    return subprocess.run(
        ["git", "log", "-1", "--format=%ct"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
