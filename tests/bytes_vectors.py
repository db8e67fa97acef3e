"""The byte vectors: each hashed or signed structure of chapters 1 to 3 once, from fixed inputs.

`python -m tests.bytes_vectors` writes docs/spec/vectors/bytes.json with the product's own functions. Two tests compute
the same bytes again without them, straight from the clauses: tests/ledger/test_bytes.py and
tests/js/byte_vectors.test.mjs. In the inputs, bytes are hexadecimal under names that end in `_hex`; all else is JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from carnet.encoding import b64, encode
from carnet.ledger.batch import Batch, compute_endorsement, compute_receipt
from carnet.ledger.census import Census, compute_census_message, compute_head_leaf, compute_slot
from carnet.ledger.network import Founder, Genesis
from carnet.ledger.records import (
    Endorsement,
    Ref,
    census_record,
    compute_record_leaf,
    genesis_record,
    members_record,
    rules_record,
    seal_record,
)
from carnet.ledger.rules.document import (
    ClassLine,
    KindLine,
    Rules,
    WriterLine,
    compute_line_bytes,
    compute_line_leaf,
    compute_schema_digest,
)
from carnet.ledger.rules.members import Key, Member, Members, compute_enrolment, compute_member_leaf
from carnet.passport.fields import compute_field_digest, compute_fields_root, expand_secret
from carnet.passport.link import Link, compute_chain_id, compute_link_id
from carnet.passport.statement import Statement, compute_sid, compute_signed, compute_submission
from carnet.signing import Signer, key_digest
from carnet.tlog.checkpoint import Checkpoint, format_body, log_key, sign_checkpoint
from carnet.tlog.smt import SparseTree
from carnet.tlog.tree import MerkleTree
from tests.shared import ROOT

FILE = ROOT / "docs" / "spec" / "vectors" / "bytes.json"

Doc = dict[str, Any]


def fill(byte: int, size: int = 32) -> bytes:
    """`size` bytes that no other input repeats: a counter that starts at `byte`."""
    return bytes((byte + at) % 256 for at in range(size))


NODE, AUTHOR, LOG, PEER = (Signer(fill(seed)) for seed in (0x10, 0x20, 0x30, 0x40))
HOME, MEMBER, OTHER = fill(0xA0, 16), fill(0xB0, 16), fill(0xC0, 16)
FIELDS = {
    "kind": "vehicle.odometer/1",
    "note": None,
    "occurred": {"at": "2023-11-14", "precision": "day", "zone": "Europe/Paris"},
    "odometer_km": 123456,
    "subject": {"scheme": "test", "value": 'é "quoted" \\ €'},
}
AT = 1_700_000_000_000


class Example:
    """One small network, statement and batch, from which every vector takes its parts."""

    def __init__(self) -> None:
        self.schema = {"fields": [{"name": "odometer_km", "type": "integer"}], "kind": "vehicle.odometer/1"}
        self.lines = (
            KindLine("history", 1, "vehicle.odometer/1", "vault", b64(compute_schema_digest(self.schema))),
            ClassLine(0, 0),
            ClassLine(1, 2),
            WriterLine((1, 2), "vehicle.odometer/1", "garage"),
        )
        self.rules = Rules.of(self.lines)
        self.genesis = Genesis(
            "vectors.carnet.example", fill(0x50), LOG.public, (Founder(HOME, NODE.public),), self.rules.tree.root
        )
        self.net = self.genesis.net
        self.member = Member(
            MEMBER,
            "Garage Müller",
            "garage",
            HOME,
            (("vehicle.odometer/1", 1, 1), ("vehicle.odometer/1", 2, 1)),
            (Key(AUTHOR.public, 1, 2, AUTHOR.sign(compute_enrolment(self.net, MEMBER, 1, 2)), 9, 7),),
            11,
        )
        self.node = Member(
            HOME,
            "Home",
            "node",
            HOME,
            (),
            (Key(NODE.public, 3, 1, NODE.sign(compute_enrolment(self.net, HOME, 3, 1))),),
        )
        self.members = Members((self.node, self.member))
        self.secret = fill(0x60)
        self.salts = expand_secret(self.secret, len(FIELDS))[1]
        self.digests = [
            (name, compute_field_digest(salt, name, value))
            for (name, value), salt in zip(FIELDS.items(), self.salts, strict=True)
        ]
        self.fields_root = compute_fields_root(self.digests, len(FIELDS))
        self.statement = Statement(
            self.net, fill(0xD0, 16), MEMBER, AUTHOR.digest, 2, 1, 1, fill(0x70), self.fields_root
        )
        self.st = self.statement.to_bytes()
        self.sid = compute_sid(self.st)
        self.statements = MerkleTree.of([self.st, b"a second statement", b"a third"])
        self.sub = compute_submission(self.net, AUTHOR.digest, AT, 3, self.statements.root)
        self.sig = AUTHOR.sign(self.sub)
        self.signed = compute_signed(self.sid, self.sub, self.sig)
        self.link = Link(self.statement.chain, 4, 1, fill(0x80), self.sid, 1, self.statement.target, self.signed)
        self.batch = Batch(self.net, HOME, NODE.digest, 1, 2, MerkleTree.of([self.link.to_bytes(), b"x"]).root, 1, 99)
        self.bh = self.batch.to_bytes()
        self.endorsement = Endorsement(OTHER, PEER.digest, PEER.sign(compute_endorsement(self.bh)))
        self.refs = (
            Ref(2, self.members.tree.root, 2),
            Ref(1, self.rules.tree.root, len(self.lines)),
        )
        self.slot = compute_slot(self.statement.chain)
        self.head = compute_head_leaf(self.slot, self.statement.chain, 1, 4, compute_link_id(self.link.to_bytes()))
        self.census = Census(HOME, 3, 5, 2, 1, SparseTree.build([(self.slot, self.head)]).root)
        self.checkpoint = Checkpoint(self.genesis.origin, 6, fill(0x90))


def make_vectors() -> list[Doc]:
    """Every vector: its clause, its inputs, and the bytes in hexadecimal."""
    vectors: list[Doc] = []

    def put(name: str, clause: str, inputs: Doc, output: bytes) -> None:
        vectors.append({"clause": clause, "hex": output.hex(), "in": inputs, "name": name})

    for group in (put_bytes, put_entries, put_rules_and_members, put_batches, put_records, put_census):
        group(Example(), put)
    return vectors


Put = Callable[[str, str, Doc, bytes], None]


def put_bytes(e: Example, put: Put) -> None:
    """Chapter 1."""
    genesis = e.genesis.to_document()
    put("cj", "1.1", {"value": FIELDS}, encode(FIELDS))
    put("key_digest", "1.7", {"alg": 1, "key_hex": AUTHOR.public.hex()}, key_digest(AUTHOR.public))
    put("public_key", "1.8", {"seed_hex": fill(0x20).hex()}, AUTHOR.public)
    put("signature", "1.8", {"message_hex": e.sub.hex(), "seed_hex": fill(0x20).hex()}, e.sig)
    put("net", "1.9", {"genesis": genesis}, e.net)
    put("origin", "1.9", {"genesis": genesis}, e.genesis.origin.encode())


def put_entries(e: Example, put: Put) -> None:
    """Chapter 2."""
    content_key, salts = expand_secret(e.secret, len(FIELDS))
    put("expand", "2.1", {"fields": len(FIELDS), "secret_hex": e.secret.hex()}, content_key + b"".join(salts))
    for (name, digest), salt in zip(e.digests, e.salts, strict=True):
        put(f"field_digest {name}", "2.2", {"name": name, "salt_hex": salt.hex(), "value": FIELDS[name]}, digest)
    digests = [[name, digest.hex()] for name, digest in e.digests]
    put("fields_root", "2.2", {"digests": digests}, e.fields_root)
    s = e.statement
    put(
        "statement",
        "2.5",
        {
            "basis": s.basis,
            "chain_hex": s.chain.hex(),
            "class": s.class_,
            "fields_root_hex": s.fields_root.hex(),
            "key_digest_hex": s.key_digest.hex(),
            "mark": s.mark,
            "member_hex": s.member.hex(),
            "net_hex": s.net.hex(),
            "target_hex": s.target.hex(),
        },
        e.st,
    )
    put("sid", "2.5", {"st_hex": e.st.hex()}, e.sid)
    leaves = [e.st.hex(), b"a second statement".hex(), b"a third".hex()]
    put(
        "submission",
        "2.10",
        {"created_ms": AT, "key_digest_hex": AUTHOR.digest.hex(), "net_hex": e.net.hex(), "statements_hex": leaves},
        e.sub,
    )
    put("signed", "2.11", {"sid_hex": e.sid.hex(), "sig_hex": e.sig.hex(), "sub_hex": e.sub.hex()}, e.signed)
    k = e.link
    put(
        "link",
        "2.11",
        {
            "chain_hex": k.chain.hex(),
            "epoch": k.epoch,
            "mark": k.mark,
            "prev_hex": k.prev.hex(),
            "seq": k.seq,
            "sid_hex": k.sid.hex(),
            "signed_hex": k.signed.hex(),
            "target_hex": k.target.hex(),
        },
        k.to_bytes(),
    )
    put("link_id", "2.11", {"link_hex": k.to_bytes().hex()}, compute_link_id(k.to_bytes()))
    put("chain_id", "2.12", {"home_hex": HOME.hex(), "sid_hex": e.sid.hex()}, compute_chain_id(HOME, e.sid))


def put_rules_and_members(e: Example, put: Put) -> None:
    """Clauses 3.1 to 3.3."""
    for line in e.rules.lines:
        document = json.loads(compute_line_bytes(line))
        name = f"rule_leaf {document['line']} {document.get('class', '')}".strip()
        put(name, "3.1", {"line": document}, compute_line_leaf(compute_line_bytes(line)))
    documents = [json.loads(compute_line_bytes(line)) for line in e.lines]
    put("rules_root", "3.1", {"lines_in_any_order": documents}, e.rules.tree.root)
    put("schema_digest", "3.1", {"schema": e.schema}, compute_schema_digest(e.schema))
    for member in e.members.all:
        put(f"member_leaf {member.kind}", "3.3", {"member": member.to_document()}, compute_member_leaf(member))
    put("members_root", "3.3", {"members": [m.to_document() for m in e.members.all]}, e.members.tree.root)
    put(
        "enrolment",
        "3.3",
        {"custody": 2, "member_hex": MEMBER.hex(), "net_hex": e.net.hex(), "role": 1},
        compute_enrolment(e.net, MEMBER, 1, 2),
    )


def put_batches(e: Example, put: Put) -> None:
    """Clauses 3.5, 3.6 and 3.11."""
    b = e.batch
    put(
        "batch",
        "3.5",
        {
            "class": b.class_,
            "expires": b.expires,
            "home_hex": b.home.hex(),
            "key_digest_hex": b.key_digest.hex(),
            "links_hex": [e.link.to_bytes().hex(), b"x".hex()],
            "net_hex": b.net.hex(),
            "rules": b.rules,
        },
        e.bh,
    )
    put("endorsement", "3.6", {"message_hex": e.bh.hex()}, compute_endorsement(e.bh))
    put(
        "receipt",
        "3.11",
        {
            "accepted_ms": AT,
            "deadline_ms": AT + 86_400_000,
            "key_digest_hex": NODE.digest.hex(),
            "net_hex": e.net.hex(),
            "signed_hex": e.signed.hex(),
        },
        compute_receipt(e.net, NODE.digest, e.signed, AT, AT + 86_400_000),
    )


def put_records(e: Example, put: Put) -> None:
    """Clause 3.7: one leaf of each type."""
    members, rules = e.refs
    message = compute_census_message(e.net, e.census.to_document())
    for record in (
        genesis_record(AT, 1, e.genesis),
        rules_record(AT, 1, rules.root, rules.count),
        members_record(AT, 1, members.root, members.count),
        seal_record(AT + 1, 2, e.bh, NODE.sign(e.bh), (e.endorsement,), members, rules),
        census_record(AT + 2, 3, e.census, NODE.digest, NODE.sign(message), (), members, rules),
    ):
        put(f"record_leaf {record['type']}", "3.7", {"record": record}, compute_record_leaf(record))


def put_census(e: Example, put: Put) -> None:
    """Clauses 3.8 to 3.10."""
    chain, link_id = e.statement.chain, compute_link_id(e.link.to_bytes())
    document = e.census.to_document()
    put("census_message", "3.8", {"census": document, "net_hex": e.net.hex()}, compute_census_message(e.net, document))
    put("slot", "3.9", {"chain_hex": chain.hex()}, e.slot)
    put("head_leaf", "3.9", {"chain_hex": chain.hex(), "epoch": 1, "id_hex": link_id.hex(), "seq": 4}, e.head)
    put("census_root empty", "3.9", {"leaves": []}, SparseTree.build([]).root)
    # Slots that part at the first bit, and two that share 3 and 250 bits, so that empty sides stand in between.
    slots = [bytes(32), bytes([0x10]) + bytes(31), bytes(31) + b"\x20", bytes([0x80]) + bytes(31)]
    for count in range(1, len(slots) + 1):
        leaves = [(slot, b"leaf " + sha256(slot).digest()) for slot in slots[:count]]
        inputs = {"leaves": [{"leaf_hex": leaf.hex(), "slot_hex": slot.hex()} for slot, leaf in leaves]}
        put(f"census_root {count}", "3.9", inputs, SparseTree.build(leaves).root)
    c = e.checkpoint
    put("checkpoint", "3.10", {"origin": c.origin, "root_hex": c.root.hex(), "size": c.size}, format_body(c).encode())
    put(
        "vkey",
        "5.10",
        {"key_hex": LOG.public.hex(), "origin": c.origin},
        log_key(c.origin, LOG.public).format().encode(),
    )
    put(
        "checkpoint_note",
        "3.10",
        {"origin": c.origin, "root_hex": c.root.hex(), "seed_hex": fill(0x30).hex(), "size": c.size},
        sign_checkpoint(c, LOG),
    )


def render() -> str:
    """The file's text."""
    return json.dumps({"vectors": make_vectors()}, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def main() -> int:
    text = render()
    FILE.write_text(text, encoding="utf-8")
    print(f"{len(make_vectors())} byte vectors in {FILE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
