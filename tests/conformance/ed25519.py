"""Which public Ed25519 vectors this verifier accepts, in a form that another verifier can compare itself with.

`python -m tests.conformance.ed25519 SHARED` prints the accepted set as JSON, always the same bytes. The ids are
`cctv:number` and `wycheproof:tcId`. The set is kept beside this file, so that a change of rule shows up as a change of
file.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from carnet.signing import verify

KEPT = Path(__file__).with_name("ed25519_accepted.json")


@dataclass(frozen=True)
class Vector:
    """One vector; `flags` say which edge it tries, `is_valid` is the source's own verdict where it gives one."""

    id: str
    public: bytes
    message: bytes
    signature: bytes
    flags: frozenset[str]
    is_valid: bool | None


def read_vectors(cctv: Path, wycheproof: Path) -> Iterator[Vector]:
    """All vectors of the two files."""
    for item in json.loads(cctv.read_text()):
        yield Vector(
            f"cctv:{item['number']}",
            bytes.fromhex(item["key"]),
            item["msg"].encode(),
            bytes.fromhex(item["sig"]),
            frozenset(item["flags"] or ()),
            None,
        )
    for group in json.loads(wycheproof.read_text())["testGroups"]:
        for item in group["tests"]:
            yield Vector(
                f"wycheproof:{item['tcId']}",
                bytes.fromhex(group["publicKey"]["pk"]),
                bytes.fromhex(item["msg"]),
                bytes.fromhex(item["sig"]),
                frozenset(item["flags"]),
                item["result"] == "valid",
            )


def accepted_set(cctv: Path, wycheproof: Path) -> str:
    """The ids that `carnet.signing.verify` accepts, as JSON with one id a line, in the order of the files."""
    accepted = [
        vector.id
        for vector in read_vectors(cctv, wycheproof)
        if verify(vector.public, vector.message, vector.signature)
    ]
    return json.dumps(accepted, indent=0) + "\n"


if __name__ == "__main__":
    base = Path(sys.argv[1]) / "data" / "conformance"
    print(
        accepted_set(
            base / "cctv_ed25519" / "ed25519" / "ed25519vectors.json", base / "wycheproof" / "ed25519_test.json"
        ),
        end="",
    )
