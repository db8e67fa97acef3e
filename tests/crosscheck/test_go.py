"""Notes, checkpoints and proofs, exchanged in both directions with Go's own transparency-log packages.

`main.go` beside this file reads what Carnet made and says whether it holds, then makes the same things for Carnet to
read. The two share no code. Without Go, or without its module (`golang.org/x/mod`, pinned by go.sum), the tests skip
and say so.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from carnet.errors import Unverified
from carnet.signing import Signer
from carnet.tlog.checkpoint import Checkpoint, format_body, log_key, open_checkpoint, sign_checkpoint
from carnet.tlog.note import VerifierKey, open_note, sign_note, with_cosignature
from carnet.tlog.tree import (
    MerkleTree,
    check_consistency,
    check_inclusion,
    compute_root_of,
    consistency_path,
    leaf_hash,
)

HERE = Path(__file__).parent
NAME = "go.example/" + "cd" * 32
SIGNER = Signer(b"\x07" * 32)
LEAVES = [b"leaf %d" % number * (number % 5 + 1) for number in range(33)]
ROOTS = [compute_root_of(LEAVES[:size]) for size in range(len(LEAVES) + 1)]

Answer = dict[str, Any]
Ask = Callable[..., Answer]


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Ask:
    """Put one question to the Go program, built once."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("no cross-check with Go: go is not installed")
    program = tmp_path_factory.mktemp("go") / "crosscheck"
    # GOTOOLCHAIN=local: never fetch another compiler. The module's checksum is pinned, wherever it comes from.
    environment = os.environ | {"GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly"}
    # A module that cannot be reached is a reason to skip; a program that does not compile is a failure.
    fetched = subprocess.run(
        [go, "mod", "download"], cwd=HERE, env=environment, capture_output=True, text=True, timeout=120
    )
    if fetched.returncode != 0:
        pytest.skip("no cross-check with Go: the module golang.org/x/mod cannot be fetched")
    subprocess.run([go, "build", "-o", str(program), "."], cwd=HERE, env=environment, check=True, timeout=240)

    def put(**question: Any) -> Answer:
        asked = json.dumps(question, default=lambda data: base64.b64encode(data).decode())
        run = subprocess.run([str(program)], input=asked, capture_output=True, text=True, check=True, timeout=60)
        answer: Answer = json.loads(run.stdout)
        return answer

    return put


def raw(text: str) -> bytes:
    return base64.b64decode(text)


def flipped(data: bytes, at: int = 0) -> bytes:
    return data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :]


def inclusion(size: int, index: int, **changes: Any) -> dict[str, Any]:
    path = MerkleTree([leaf_hash(leaf) for leaf in LEAVES[:size]]).path(index)
    return {"size": size, "root": ROOTS[size], "index": index, "leaf": LEAVES[index], "path": path} | changes


def consistency(old: int, new: int, **changes: Any) -> dict[str, Any]:
    path = consistency_path([leaf_hash(leaf) for leaf in LEAVES], old, new)
    return {"old_size": old, "old_root": ROOTS[old], "new_size": new, "new_root": ROOTS[new], "path": path} | changes


def test_go__accepts_our_proofs(ask: Ask) -> None:
    sizes = range(1, len(LEAVES) + 1)
    inclusions = [inclusion(size, index) for size in sizes for index in range(size)]
    consistencies = [consistency(old, new) for new in sizes for old in range(1, new + 1)]
    answer = ask(inclusions=inclusions, consistencies=consistencies)
    assert answer["inclusions"] == [""] * len(inclusions)
    assert answer["consistencies"] == [""] * len(consistencies)


def test_go__refuses_our_proofs_when_altered(ask: Ask) -> None:
    good = inclusion(13, 5)
    inclusions = [
        inclusion(13, 5, root=flipped(ROOTS[13])),
        inclusion(13, 5, leaf=LEAVES[6]),
        {**good, "index": 6},
        inclusion(13, 5, path=good["path"][:-1]),
        inclusion(13, 5, path=[flipped(good["path"][0]), *good["path"][1:]]),
    ]
    consistencies = [
        consistency(5, 13, old_root=flipped(ROOTS[5])),
        consistency(5, 13, new_root=flipped(ROOTS[13])),
        consistency(5, 13, path=consistency(5, 13)["path"][1:]),
        {**consistency(5, 13), "old_size": 6},
    ]
    answer = ask(inclusions=inclusions, consistencies=consistencies)
    assert all(verdict.startswith("refused") for verdict in answer["inclusions"] + answer["consistencies"])
    # The same ones are refused here: two judges, one verdict.
    for item in inclusions:
        with pytest.raises(Unverified):
            check_inclusion(item["root"], item["size"], item["index"], leaf_hash(item["leaf"]), item["path"])
    for item in consistencies:
        with pytest.raises(Unverified):
            check_consistency(item["old_size"], item["old_root"], item["new_size"], item["new_root"], item["path"])


def test_go__judges_our_notes_and_checkpoints_as_we_do(ask: Ask) -> None:
    checkpoint = Checkpoint(NAME, 33, ROOTS[33])
    key = log_key(NAME, SIGNER.public)
    signed = sign_checkpoint(checkpoint, SIGNER)
    cosigned = with_cosignature(signed, "witness.example", Signer(b"\x08" * 32), 1_800_000_000)
    other = VerifierKey(NAME, key.type, Signer(b"\x09" * 32).public)
    cases = [
        (signed, key, True),
        (cosigned, key, True),
        (sign_note("one\n\ntwo: é 😀\n", NAME, SIGNER), key, True),
        (signed.replace(b"\n33\n", b"\n34\n"), key, False),
        (signed, other, False),
        (signed[:-1], key, False),
        (signed.replace(b"go.example", b"go\texample"), key, False),
    ]
    verdicts = ask(notes=[{"note": note, "key": known.format()} for note, known, _ in cases])["notes"]
    assert [verdict == "" for verdict in verdicts] == [expected for *_, expected in cases]
    for note, known, expected in cases:
        assert is_opened(note, known) == expected


def test_we__accept_what_go_makes(ask: Ask) -> None:
    body = format_body(Checkpoint(NAME, 33, ROOTS[33]))
    answer = ask(leaves=LEAVES, texts=[body, "a text\n\nof two parts\n"], name=NAME, seed=b"\x07" * 32)
    key = VerifierKey.parse(answer["made_key"])
    assert key == log_key(NAME, SIGNER.public)
    made = [raw(item["note"]) for item in answer["made_notes"]]
    # Ed25519 is deterministic: both sides write the same bytes.
    assert made[0] == sign_checkpoint(Checkpoint(NAME, 33, ROOTS[33]), SIGNER)
    assert open_checkpoint(made[0], key).checkpoint == Checkpoint(NAME, 33, ROOTS[33])
    assert open_note(made[1], [key])[0].text == "a text\n\nof two parts\n"

    assert len(answer["made_inclusions"]) == len(answer["made_consistencies"]) == 33
    tree = MerkleTree.of(LEAVES)
    for item in answer["made_inclusions"]:
        path = [raw(value) for value in item["path"]]
        assert path == tree.path(item["index"])
        check_inclusion(raw(item["root"]), item["size"], item["index"], leaf_hash(raw(item["leaf"])), path)
    for item in answer["made_consistencies"]:
        path = [raw(value) for value in item["path"]]
        assert path == consistency(item["old_size"], 33)["path"]
        check_consistency(item["old_size"], raw(item["old_root"]), item["new_size"], raw(item["new_root"]), path)


def is_opened(note: bytes, key: VerifierKey) -> bool:
    try:
        open_note(note, [key])
    except Unverified:
        return False
    return True
