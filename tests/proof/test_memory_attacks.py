"""Nothing that a verifier remembers lends its truth to other bytes: forgeries of what it has just found genuine."""

from __future__ import annotations

import json
from typing import Any

from carnet.encoding import b64, encode, unb64
from carnet.proof.bundle import read_bundle
from carnet.proof.memory import Memory
from carnet.proof.verify import FAILED, verify_bundle
from carnet.tlog.policy import Policy, parse_policy
from tests.vectors import SCENARIOS, only, read
from tests.world import World

NOW_LATER_MS = 1_000


class Family:
    """Bundles of one network at one moment, which share their ground, or parts of it, and trees."""

    def __init__(self) -> None:
        world = World("family")
        centre, garage = world.enrol("inspection_centre"), world.enrol("garage")
        chains = [world.open(centre, {"scheme": "vin", "value": f"VF1TEST000000000{number}"}) for number in range(4)]
        for chain in chains:
            world.append(chain, centre, "vehicle.odometer/1", read(1_000))
        world.seal()
        world.append(chains[3], garage, "vehicle.odometer/1", read(2_000))
        world.take_census()
        self.policy = parse_policy(world.policy())
        self.now = world.at + NOW_LATER_MS
        self.bundles = [world.bundle(chain) for chain in chains]
        self.bundles += [
            world.bundle(chains[1], only(0)),
            world.bundle(chains[2], only(1, fields=frozenset({"odometer_km"}))),
        ]

    def judge(self, data: bytes, memory: Memory | None, policy: Policy | None = None) -> bytes:
        return verify_bundle(data, policy or self.policy, self.now, cache=memory).to_json()

    def warm(self) -> Memory:
        """A memory that has found each of them genuine."""
        memory = Memory()
        for bundle in self.bundles:
            assert verify_bundle(bundle, self.policy, self.now, cache=memory).exit_code == 0
        return memory


def test_family__shares_its_ground() -> None:
    """Otherwise the attacks below would attack nothing."""
    family, memory = Family(), Memory()
    first, second, *_ = [read_bundle(bundle, memory) for bundle in family.bundles]
    assert first.ground is second.ground
    assert first.items != second.items


def test_memory__one_flipped_bit_anywhere_is_judged_as_without() -> None:
    family = Family()
    memory = family.warm()
    data = bytearray(family.bundles[0])
    for at in range(len(data)):
        data[at] ^= 1 << at % 8
        answer = family.judge(bytes(data), memory)
        assert json.loads(answer)["exit"] != 0, at
        assert answer == family.judge(bytes(data), None), at
        data[at] ^= 1 << at % 8
    assert [json.loads(family.judge(bundle, memory))["exit"] for bundle in family.bundles] == [0] * len(family.bundles)


def make_splices(family: Family) -> list[bytes]:
    """Each bundle with one part of another: every top-level member, entry, field and leaf in its place."""
    documents = [json.loads(bundle) for bundle in family.bundles]
    spliced: list[bytes] = []
    for ours in documents:
        for theirs in documents:
            if ours is theirs:
                continue
            for places in list_places(ours):
                changed: Any = json.loads(json.dumps(ours))
                if graft(changed, theirs, places):
                    spliced.append(encode(changed))
    return sorted(set(spliced) - set(family.bundles))


def list_places(document: Any) -> list[tuple[Any, ...]]:
    """Ways into a document, from its members to what stands three containers deep."""
    places: list[tuple[Any, ...]] = []
    waiting: list[tuple[tuple[Any, ...], Any]] = [((), document)]
    while waiting:
        way, value = waiting.pop()
        if len(way) == 4 or not isinstance(value, dict | list):
            continue
        for key, child in value.items() if isinstance(value, dict) else enumerate(value):
            places.append((*way, key))
            waiting.append(((*way, key), child))
    return places


def graft(document: Any, other: Any, places: tuple[Any, ...]) -> bool:
    """Put what stands in this place of the other there; whether it changed anything."""
    for key in places[:-1]:
        try:
            document, other = document[key], other[key]
        except (LookupError, TypeError):
            return False
    try:
        before, document[places[-1]] = document[places[-1]], other[places[-1]]
    except (LookupError, TypeError):
        return False
    return bool(before != document[places[-1]])


def test_memory__parts_of_other_genuine_bundles_are_judged_as_without() -> None:
    family = Family()
    memory, splices = family.warm(), make_splices(family)
    assert len(splices) > 300
    genuine = 0
    for spliced in splices:
        answer = family.judge(spliced, memory)
        assert answer == family.judge(spliced, None)
        genuine += json.loads(answer)["exit"] == 0
    # A field that one proof of a passport shows, and another does not, may be shown or not: both are signed.
    assert genuine <= 20


def test_memory__a_known_ground_in_another_place_is_judged_as_without() -> None:
    """The bytes of a ground are looked for, and not read again: they count only where they belong."""
    family = Family()
    memory, data = family.warm(), family.bundles[0]
    assert memory.last_ground is not None
    first, second, _ = memory.last_ground
    assert data.count(first) == data.count(second) == 1
    own = data.replace(first, b"").replace(second, b"")
    places = [place for place in range(len(own)) if own[place - 1 : place] in (b"{", b"[", b",", b":")]
    home, second_home = data.find(first), data.find(second) - len(first)
    moved = {
        own[:one] + first + own[one:two] + second + own[two:]
        for place in places
        for one, two in ((place, second_home), (home, place), (place, place))
        if one <= two
    }
    moved |= {own, own[:home] + first + own[home:], own[:second_home] + second + own[second_home:]}
    moved |= {data.replace(first, 2 * first), data.replace(second, 2 * second), data.replace(second, second + b" ")}
    moved -= {data}
    assert len(moved) > 200
    for bundle in sorted(moved):
        assert family.judge(data, memory) == family.judge(data, None)
        answer = family.judge(bundle, memory)
        assert json.loads(answer)["exit"] != 0
        assert answer == family.judge(bundle, None)


def test_memory__one_flipped_byte_of_a_tall_tree_is_judged_as_without() -> None:
    """Tall trees: those of a batch and of a census."""
    world = World("tall")
    centre = world.enrol("inspection_centre")
    chains = [world.open(centre) for _ in range(300)]
    bundles = [world.bundle(chain) for chain in chains[:20]]
    policy, now, memory = parse_policy(world.policy()), world.at + NOW_LATER_MS, Memory()
    assert {verify_bundle(bundle, policy, now, cache=memory).exit_code for bundle in bundles} == {0}
    known, count = json.loads(bundles[0]), 0
    for holder, key in ((known["batches"], 0), (known["census"], "path")):
        good = unb64(holder[key])
        for at in range(len(good)):
            holder[key] = b64(good[:at] + bytes((good[at] ^ 1 << at % 8,)) + good[at + 1 :])
            answer = verify_bundle(encode(known), policy, now, cache=memory).to_json()
            assert json.loads(answer)["exit"] == FAILED
            assert answer == verify_bundle(encode(known), policy, now).to_json()
            count += 1
        holder[key] = b64(good)
    assert count > 32 * 16
    assert verify_bundle(encode(known), policy, now, cache=memory).exit_code == 0


def test_memory__forgeries_seen_first_spoil_nothing() -> None:
    family, memory = Family(), Memory()
    for spliced in make_splices(family):
        family.judge(spliced, memory)
    for bundle in family.bundles:
        assert family.judge(bundle, memory) == family.judge(bundle, None)


def test_memory__a_ground_is_judged_anew_under_each_policy() -> None:
    """A policy of another network, one that asks for a witness, and none: by turns, with one memory."""
    vectors = [
        SCENARIOS[name].make() for name in ("genuine", "other_network", "quorum_unmet", "no_policy", "genuine_cosigned")
    ]
    memory = Memory()
    for _ in range(2):
        for shown in vectors:
            for lent in vectors:
                policy = None if lent.policy is None else parse_policy(lent.policy)
                judged = verify_bundle(shown.bundle, policy, shown.now, cache=memory).to_json()
                assert judged == verify_bundle(shown.bundle, policy, shown.now).to_json()
