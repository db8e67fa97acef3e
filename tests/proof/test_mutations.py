"""Nothing but the bytes that were made is genuine: bit flips, and ten thousand mutations on which both verifiers give
one answer."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

from carnet.encoding import b64, encode, unb64
from carnet.errors import CarnetError
from carnet.proof.memory import Memory
from carnet.proof.verify import Asked, verify_bundle
from carnet.tlog.policy import parse_policy
from tests.proof.javascript import make_job, run_batch
from tests.vectors import SCENARIOS, Vector

ORIGINALS = [name for name in sorted(SCENARIOS) if name.startswith("genuine") and name != "genuine_unknown_signatures"]
MUTATIONS = 10_500


def python_answers(vector: Vector, bundles: list[bytes]) -> list[bytes]:
    policy = None if vector.policy is None else parse_policy(vector.policy)
    # It has seen the good one, whose parts most mutants share.
    cache = Memory()
    verify_bundle(vector.bundle, policy, vector.now, cache=cache)
    asked = Asked(vector.complete, vector.max_age, vector.since, vector.subject, vector.passport)
    return [verify_bundle(bundle, policy, vector.now, asked, cache).to_json() for bundle in bundles]


def test_bundle__no_flipped_bit_is_genuine() -> None:
    vector = SCENARIOS["genuine_one_field"].make()
    policy, cache = parse_policy(vector.policy or b""), Memory()
    assert verify_bundle(vector.bundle, policy, vector.now, cache=cache).exit_code == 0
    data = bytearray(vector.bundle)
    for bit in range(len(data) * 8):
        data[bit // 8] ^= 1 << (bit % 8)
        assert verify_bundle(bytes(data), policy, vector.now, cache=cache).exit_code != 0, bit
        data[bit // 8] ^= 1 << (bit % 8)


def test_bundle__no_truncation_is_genuine() -> None:
    vector = SCENARIOS["genuine"].make()
    policy = parse_policy(vector.policy or b"")
    for length in range(0, len(vector.bundle), 97):
        assert verify_bundle(vector.bundle[:length], policy, vector.now).exit_code == 10


def test_mutations__both_verifiers_give_one_answer() -> None:
    chance = random.Random(20_261_124)
    jobs, wanted = [], []
    vectors = [SCENARIOS[name].make() for name in ORIGINALS]
    documents = [json.loads(vector.bundle) for vector in vectors]
    share = MUTATIONS // len(vectors) + 1
    for vector, document in zip(vectors, documents, strict=True):
        mutants = [mutate(chance, vector.bundle, document, documents) for _ in range(share)]
        asked = Asked(vector.complete, vector.max_age, vector.since, vector.subject, vector.passport)
        answers = python_answers(vector, mutants)
        original = json.loads(python_answers(vector, [vector.bundle])[0])["report"]
        for given in answers:
            check_says_nothing_new(json.loads(given), original)
        jobs += [make_job(mutant, vector.policy, vector.now, asked) for mutant in mutants]
        wanted += list(zip(mutants, answers, strict=True))
    assert len(wanted) >= 10_000
    # A mutant that is genuine still is one made of signed parts: another selection of fields or an unknown signature
    found = run_batch(jobs)
    assert len(found) == len(wanted)
    differing = [
        (mutant, given, line)
        for (mutant, given), line in zip(wanted, found, strict=True)
        if given.decode().strip() != line
    ]
    assert not differing, (len(differing), differing[0])


def check_says_nothing_new(answer: Any, original: Any) -> None:
    """A mutant may still be genuine if it merely shows less (a shown correction becomes a judged one): never if it
    says more, or
    anything else."""
    if answer["exit"] != 0:
        return
    report = answer["report"]
    assert all(entry in original["entries"] for entry in report["entries"])
    counts = {"shown", "withheld", "entries"}
    assert {k: v for k, v in report.items() if k not in counts} == {
        k: v for k, v in original.items() if k not in counts
    }


def mutate(chance: random.Random, bundle: bytes, document: Any, others: list[Any]) -> bytes:
    """One changed bundle: half of them still canonical JSON, so that the deeper checks are reached."""
    if chance.random() < 0.25:
        return mutate_bytes(chance, bundle)
    copy = json.loads(json.dumps(document))
    for _ in range(chance.choice((1, 1, 1, 2))):
        mutate_document(chance, copy, chance.choice(others))
    try:
        return encode(copy)
    except CarnetError:
        return json.dumps(copy, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def mutate_bytes(chance: random.Random, bundle: bytes) -> bytes:
    data = bytearray(bundle)
    at = chance.randrange(len(data))
    match chance.randrange(4):
        case 0:
            data[at] ^= 1 << chance.randrange(8)
        case 1:
            del data[at : at + chance.randrange(1, 60)]
        case 2:
            data[at:at] = data[chance.randrange(len(data)) :][: chance.randrange(1, 40)]
        case _:
            data[at] = chance.choice(b'0123456789{}[]",:\\eEn-.\x00\xff')
    return bytes(data)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) of a document."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in list(children):
        yield value, key
        yield from places(child)


def mutate_document(chance: random.Random, document: Any, other: Any) -> None:
    container, key = chance.choice(list(places(document)))
    value = container[key]
    match chance.randrange(7):
        case 0:
            del container[key]
        case 1 if isinstance(container, list):
            container.insert(key, json.loads(json.dumps(value)))
        case 2:
            theirs, their_key = chance.choice(list(places(other)))
            container[key] = theirs[their_key]
        case 3 if isinstance(container, dict):
            container[chance.choice(("constructor", "proto", "alias", "path", "z"))] = value
        case _:
            container[key] = changed(chance, value)


def changed(chance: random.Random, value: Any) -> Any:
    """Another value, mostly of the same type and size."""
    if isinstance(value, bool) or value is None:
        return chance.choice((True, False, None, 0, "", [], {}))
    if isinstance(value, int):
        return chance.choice((value + 1, value - 1, 0, 1, 2, 3, 4, 5, 255, 2**32, 2**53 - 1, -1, str(value), None))
    if isinstance(value, str):
        try:
            data = bytearray(unb64(value))
        except CarnetError:
            return chance.choice((value + "x", value[:-1], value.upper(), "", "plate", 7, None))
        if not data:
            return chance.choice(("AA==", b64(bytes(32)), None))
        at = chance.randrange(len(data))
        match chance.randrange(5):
            case 0:
                return b64(bytes(data[:at]))
            case 1:
                return b64(bytes(len(data)))
            case 2:
                return b64(bytes(data) + bytes(32))
            case _:
                data[at] ^= 1 << chance.randrange(8)
                return b64(bytes(data))
    if isinstance(value, list):
        shuffled = list(value)
        chance.shuffle(shuffled)
        return chance.choice((shuffled, value[:-1], value + value[:1], [], {}, None))
    return chance.choice(({}, [value], None, list(value)))
