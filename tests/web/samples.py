"""Proofs for the page: one for each outcome, and one whose every text tries to become markup."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.vectors import SCENARIOS, edited, only, read, scene
from tests.world import World

MARKUP = "<img src=x onerror=\"document.title='struck'\"><script>document.title='struck'</script>{{7*7}}&lt;b&gt;"


@dataclass(frozen=True)
class Sample:
    """A proof as a stranger receives it, the policy that its reader holds, and the time at which it is read."""

    bundle: bytes
    policy: bytes | None
    now: int


def make_sample(name: str) -> Sample:
    """One of `OUTCOMES`."""
    return SAMPLES[name]()


def _genuine() -> Sample:
    vector = SCENARIOS["genuine"].make()
    return Sample(vector.bundle, vector.policy, vector.now)


def _altered() -> Sample:
    genuine = _genuine()

    def raise_reading(document: dict[str, Any]) -> None:
        document["links"][2]["fields"]["odometer_km"][1] = 9_000

    return Sample(edited(genuine.bundle, raise_reading), genuine.policy, genuine.now)


def _superseded() -> Sample:
    set_ = scene(readings=1)
    set_.world.append(set_.chain, set_.garage, "vehicle.odometer/1", read(21_000), mark=1, target=1)
    return Sample(set_.world.bundle(set_.chain), set_.world.policy(), set_.world.at + 1000)


def _cannot_tell() -> Sample:
    genuine = _genuine()
    return Sample(genuine.bundle, None, genuine.now)


def _foreign() -> Sample:
    vector = SCENARIOS["other_network"].make()
    return Sample(vector.bundle, vector.policy, vector.now)


def _no_proof() -> Sample:
    genuine = _genuine()
    return Sample(b"%PDF-1.7\n" + bytes(range(256)) * 40, genuine.policy, genuine.now)


SAMPLES = {
    "genuine": _genuine,
    "altered": _altered,
    "superseded": _superseded,
    "cannot_tell": _cannot_tell,
    "foreign": _foreign,
    "no_proof": _no_proof,
}


def make_part(*seqs: int) -> Sample:
    """A proof that shows these entries of five and withholds the others."""
    set_ = scene()
    return Sample(set_.world.bundle(set_.chain, only(*seqs)), set_.world.policy(), set_.world.at + 1000)


def make_two() -> tuple[Sample, Sample]:
    """An older proof of a passport, and a newer one that shows that the log only grew."""
    vector = SCENARIOS["genuine_since"].make()
    assert vector.since is not None
    return Sample(vector.since, vector.policy, vector.now), Sample(vector.bundle, vector.policy, vector.now)


def make_hostile() -> Sample:
    """Genuine, and every text that its author could choose is markup or far too long."""
    world = World("hostile", is_lax=False)
    author = world.enrol("garage", MARKUP)
    centre = world.enrol("inspection_centre", "W" * 3000)
    chain = world.open(centre, {"scheme": "histovec", "value": MARKUP}, validate=False)
    fields = {
        "odometer_km": 9_007_199_254_740_991,
        "odometer_state": MARKUP,
        "establishment": MARKUP,
        "purpose": MARKUP,
        "method": "constructor",
    }
    occurred = {"at": "2023-11-14", "precision": "day", "zone": MARKUP}
    world.append(chain, author, "vehicle.odometer/1", fields, occurred=occurred, validate=False)
    deep = {"a": {"b": {"c": {"d": {"e": [MARKUP]}}}}, "constructor": MARKUP}
    defects = [{"text": MARKUP, "severity": MARKUP}] * 50
    told = {"text": MARKUP, "defects": defects, "note": "x" * 100_000, "alias": deep}
    world.append(chain, author, "vehicle.service/1", told, validate=False)
    world.append(chain, centre, "vehicle.inspection/1", {"result": MARKUP, "centre": MARKUP}, validate=False)
    return Sample(world.bundle(chain), world.policy(), world.at + 1000)


def make_long(count: int) -> Sample:
    """A passport of many entries."""
    set_ = scene(readings=count)
    return Sample(set_.world.bundle(set_.chain), set_.world.policy(), set_.world.at + 1000)
