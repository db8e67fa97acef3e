"""The byte vectors computed again from the clauses alone: hashlib, struct and the standard library's JSON.

Nothing of the product takes part, except in the one test that compares the file with what the product writes.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.bytes_vectors import FILE, render
from tests.ledger.clauses import cj, h, lp, mth, sparse, t, to64, u
from tests.proof.javascript import need_node
from tests.shared import ROOT

Doc = dict[str, Any]

VECTORS: list[Doc] = json.loads(FILE.read_text(encoding="utf-8"))["vectors"]


def sign(seed: bytes, message: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(seed).sign(message)


def public(seed: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def net(genesis: Doc) -> bytes:
    return h(t("genesis") + cj(genesis))


def body(i: Doc) -> bytes:
    return f"{i['origin']}\n{i['size']}\n{to64(i['root'])}\n".encode()


def key_id(origin: str, key: bytes) -> bytes:
    return h(origin.encode() + b"\n\x01" + key)[:4]


def note(i: Doc) -> bytes:
    line = key_id(i["origin"], public(i["seed"])) + sign(i["seed"], body(i))
    return body(i) + f"\n— {i['origin']} {to64(line)}\n".encode()


def head_leaf(i: Doc) -> bytes:
    tip = h(t("tip") + i["chain"] + u(4, i["epoch"]) + u(8, i["seq"]) + i["id"])
    return t("head") + h(t("slot") + i["chain"]) + tip


def statement(i: Doc) -> bytes:
    marks = u(1, i["basis"]) + u(1, i["class"]) + u(1, i["mark"])
    return (
        t("statement") + i["net"] + i["chain"] + i["member"] + i["key_digest"] + marks + i["target"] + i["fields_root"]
    )


def submission(i: Doc) -> bytes:
    statements = i["statements"]
    counts = u(8, i["created_ms"]) + u(4, len(statements))
    return t("submission") + i["net"] + i["key_digest"] + counts + mth(statements)


def link(i: Doc) -> bytes:
    place = u(8, i["seq"]) + u(4, i["epoch"])
    return t("link") + i["chain"] + place + i["prev"] + i["sid"] + u(1, i["mark"]) + i["target"] + i["signed"]


def batch(i: Doc) -> bytes:
    counts = u(1, i["class"]) + u(4, len(i["links"]))
    tail = mth(i["links"]) + u(8, i["rules"]) + u(8, i["expires"])
    return t("batch") + i["net"] + i["home"] + i["key_digest"] + counts + tail


def receipt(i: Doc) -> bytes:
    return t("receipt") + i["net"] + i["key_digest"] + i["signed"] + u(8, i["accepted_ms"]) + u(8, i["deadline_ms"])


COMPUTE: dict[str, Callable[[Doc], bytes]] = {
    "cj": lambda i: cj(i["value"]),
    "key_digest": lambda i: h(t("key") + u(1, i["alg"]) + i["key"]),
    "public_key": lambda i: public(i["seed"]),
    "signature": lambda i: sign(i["seed"], i["message"]),
    "net": lambda i: net(i["genesis"]),
    "origin": lambda i: f"{i['genesis']['name']}/{net(i['genesis']).hex()}".encode(),
    "expand": lambda i: hashlib.shake_256(t("expand") + i["secret"]).digest(32 + 16 * i["fields"]),
    "field_digest": lambda i: h(t("field") + i["salt"] + lp(i["name"].encode()) + cj(i["value"])),
    "fields_root": lambda i: h(
        t("fields")
        + u(4, len(i["digests"]))
        + b"".join(lp(name.encode()) + bytes.fromhex(digest) for name, digest in sorted(i["digests"]))
    ),
    "statement": statement,
    "sid": lambda i: h(i["st"]),
    "submission": submission,
    "signed": lambda i: h(t("signed") + i["sid"] + i["sub"] + i["sig"]),
    "link": link,
    "link_id": lambda i: h(i["link"]),
    "chain_id": lambda i: h(t("chain") + i["home"] + i["sid"])[:16],
    "rule_leaf": lambda i: t("rule") + cj(i["line"]),
    "rules_root": lambda i: mth([t("rule") + line for line in sorted(map(cj, i["lines_in_any_order"]))]),
    "schema_digest": lambda i: h(t("schema") + cj(i["schema"])),
    "member_leaf": lambda i: t("member") + cj(i["member"]),
    "members_root": lambda i: mth([t("member") + cj(member) for member in i["members"]]),
    "enrolment": lambda i: t("enrol") + i["net"] + i["member"] + u(1, i["role"]) + u(1, i["custody"]),
    "batch": batch,
    "endorsement": lambda i: t("endorse") + h(i["message"]),
    "receipt": receipt,
    "record_leaf": lambda i: t("record") + cj(i["record"]),
    "census_message": lambda i: t("census") + i["net"] + cj(i["census"]),
    "slot": lambda i: h(t("slot") + i["chain"]),
    "head_leaf": head_leaf,
    "census_root": lambda i: sparse(
        [(bytes.fromhex(x["slot_hex"]), bytes.fromhex(x["leaf_hex"])) for x in i["leaves"]]
    ),
    "checkpoint": body,
    "checkpoint_note": note,
    "vkey": lambda i: f"{i['origin']}+{key_id(i['origin'], i['key']).hex()}+{to64(bytes([1]) + i['key'])}".encode(),
}


def read_inputs(document: Doc) -> Doc:
    """The inputs with their hexadecimal decoded, under the names without `_hex`."""
    read: Doc = {}
    for name, value in document.items():
        if not name.endswith("_hex"):
            read[name] = value
        elif isinstance(value, list):
            read[name.removesuffix("_hex")] = [bytes.fromhex(one) for one in value]
        else:
            read[name.removesuffix("_hex")] = bytes.fromhex(value)
    return read


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
def test_bytes__follow_from_the_clause_alone(vector: Doc) -> None:
    compute = COMPUTE[vector["name"].split(" ")[0]]
    assert compute(read_inputs(vector["in"])).hex() == vector["hex"]


def test_bytes__every_structure_has_a_vector() -> None:
    assert {vector["name"].split(" ")[0] for vector in VECTORS} == set(COMPUTE)
    names = [vector["name"] for vector in VECTORS]
    assert len(set(names)) == len(names)


def test_bytes__the_file_is_what_the_product_writes() -> None:
    assert FILE.read_text(encoding="utf-8") == render()


def test_bytes__sizes_are_those_of_the_specification() -> None:
    sizes = {vector["name"]: len(vector["hex"]) // 2 for vector in VECTORS}
    assert (sizes["statement"], sizes["batch"], sizes["chain_id"], sizes["slot"]) == (182, 148, 16, 32)


def test_bytes__every_tag_of_the_specification_is_used() -> None:
    """Each T(x) of chapters 1 to 3 stands in some vector, and no two structures share one."""
    text = "".join(
        (ROOT / "docs" / "spec" / name).read_text(encoding="utf-8")
        for name in ("1-bytes.md", "2-entries.md", "3-ledger.md")
    )
    tags = set(re.findall(r"T\(([a-z]+)\)", text)) - {"x"}
    covered = {"key", "genesis", "expand", "field", "fields", "signed", "chain", "schema", "slot", "tip"}
    for vector in VECTORS:
        found = re.match(rb"carnet/1/([a-z]+)\n", bytes.fromhex(vector["hex"]))
        if found:
            covered.add(found[1].decode())
    assert tags == covered


def test_bytes__javascript_computes_the_same() -> None:
    script = ROOT / "tests" / "js" / "byte_vectors.test.mjs"
    done = subprocess.run([need_node(), "--test", str(script)], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout
    assert f"# pass {len(VECTORS) + 1}\n" in done.stdout
