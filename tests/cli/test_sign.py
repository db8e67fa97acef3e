"""A member's own key outside the node: made, enrolled, signing on a machine that has no node, and sealed at home."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from carnet.node.home import Home
from carnet.node.ownkey import load_own_key, save_own_key
from carnet.passport.submission import Stated, Submission, read_submission, write_submission
from carnet.services.founding import open_writer_at
from carnet.services.reading import open_reader
from carnet.types import Basis
from tests.cli.run import Ran, carnet, make_env
from tests.cli.test_keys import check_clean, get_key
from tests.node.home import Dice, new_passport, vin_subject
from tests.proof.javascript import VERIFIER, need_node

GARAGE = "Garage du Pont"


class World:
    """A node with three passports, and beside it the machine of a garage, which keeps its own key."""

    def __init__(self, path: Path) -> None:
        self.home, self.away = path / "home", path / "away"
        self.policy, self.key = self.away / "network.policy", self.away / "garage.key"

    def build(self) -> None:
        self.away.mkdir()
        assert self.node("init", "--name", "cars.example").code == 0
        with open_writer_at(Home(self.home), None, "a test") as writer:
            operator = next(one for one in writer.state.members.all if one.name == "Operator of this node")
            for number in (1, 2, 3):
                assert writer.append(operator.id, Basis.REPORTED, [new_passport(number, 10)]).refusals == []
        self.policy.write_text(self.node("policy").out, encoding="utf-8")

    def node(self, *arguments: str | Path) -> Ran:
        return carnet(*arguments, home=self.home)

    def elsewhere(self, *arguments: str | Path, stdin: bytes | None = None) -> Ran:
        """Run a verb on a machine that has neither a node nor the packages of one."""
        script = (
            "import sys\n"
            "for name in ('alembic', 'cryptography', 'pysqlite3', 'sqlalchemy', 'sqlite3'): sys.modules[name] = None\n"
            "from carnet.cli import main\n"
            "sys.exit(main())"
        )
        ran = subprocess.run(
            [sys.executable, "-c", script, *map(str, arguments)],
            env=make_env(),
            cwd=self.away,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            timeout=60,
        )
        return Ran(ran.returncode, ran.stdout.decode(), ran.stderr.decode())

    def enrol(self) -> dict[str, Any]:
        """Make the garage's key there, and enrol the garage here."""
        assert self.elsewhere("keys", "new", self.key).code == 0
        file = self.away / "garage.enrolment"
        ran = self.elsewhere("keys", "enrol", self.key, "--policy", self.policy, "-o", file)
        assert ran.code == 0, ran.err
        added = self.node("member", "add", "--kind", "garage", "--name", GARAGE, "--enrolment", file, "--json")
        assert added.code == 0, added.err
        found: dict[str, Any] = added.json
        return found

    def draft(self, kind: str, *numbers: int) -> list[dict[str, Any]]:
        ran = self.node("draft", kind, *(str(vin_subject(number)) for number in numbers))
        assert ran.code == 0, ran.err
        return [ran.json] if len(numbers) == 1 else ran.json_lines

    def readings(self, *readings: tuple[int, int]) -> list[dict[str, Any]]:
        """Filled drafts: (passport, km)."""
        made = {number: self.draft("odometer", number)[0] for number, _ in readings}
        return [fill(made[number], odometer_km=km, odometer_state="read") for number, km in readings]

    def sign(self, drafts: list[dict[str, Any]], name: str = "x.submission", key: Path | None = None) -> Path:
        data = "".join(json.dumps(draft) + "\n" for draft in drafts).encode()
        ran = self.elsewhere("sign", "-", "--key", key or self.key, "-o", name, "--force", stdin=data)
        assert ran.code == 0, ran.err
        return self.away / name

    def submit(self, file: Path) -> dict[str, Any]:
        ran = self.node("submit", file, "--json")
        assert ran.code in (0, 1), ran.err
        assert ran.out, ran.err
        found: dict[str, Any] = ran.json
        assert ran.code == (1 if found["refused"] else 0)
        return found

    def count(self) -> int:
        with open_reader(Home(self.home)) as reader:
            return reader.count_entries()

    def prove(self, number: int) -> list[dict[str, Any]]:
        """The entries of a passport, as both verifiers report them."""
        proof = self.away / "car.carnet"
        assert self.node("export", str(vin_subject(number)), "-o", proof, "--force").code == 0
        ran = self.elsewhere("verify", proof, "--policy", self.policy, "--complete", "--json")
        done = subprocess.run(
            [need_node(), str(VERIFIER), "--complete", str(proof), str(self.policy)], capture_output=True, timeout=60
        )
        assert (ran.code, done.returncode) == (0, 0), (ran.out, done.stdout)
        entries: list[dict[str, Any]] = ran.json["report"]["entries"]
        assert json.loads(done.stdout)["report"]["entries"] == entries
        return sorted(entries, key=lambda entry: entry["seq"])


def fill(draft: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return draft | {
        "fields": draft["fields"] | fields,
        "occurred": {"at": "2024-05-04", "precision": "day", "zone": None},
    }


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A world in which the garage is enrolled; each test gets a copy of it."""
    path = tmp_path_factory.mktemp("world")
    made = World(path)
    made.build()
    made.enrol()
    return path


@pytest.fixture
def world(template: Path, tmp_path: Path) -> World:
    for part in ("home", "away"):
        shutil.copytree(template / part, tmp_path / part)
    return World(tmp_path)


# ---- the whole way


def test_sign__on_a_machine_without_a_node_and_sealed_at_home(world: World) -> None:
    # One passport, another, the first again: the order of the submission is not that of the chains.
    file = world.sign(world.readings((1, 20), (2, 30), (1, 40)))
    assert file.stat().st_mode & 0o777 == 0o600
    found = world.submit(file)
    assert (found["sealed"], found["duplicate"], found["refused"]) == (3, 0, [])
    assert [one["seq"] for one in found["receipts"]] == [2, 2, 3]
    entries = world.prove(1)
    assert [(entry["basis"], entry["by"]["name"]) for entry in entries[2:]] == [(1, GARAGE), (1, GARAGE)]
    assert [entry["fields"].get("odometer_km") for entry in entries[2:]] == [20, 40]
    assert world.prove(2)[-1]["fields"]["odometer_km"] == 30
    check_clean(world.home)


def test_submit__again_gives_the_same_receipts(world: World) -> None:
    file = world.sign(world.readings((1, 20), (2, 30)))
    first, before = world.submit(file), world.count()
    again = world.submit(file)
    assert again["receipts"] == first["receipts"]
    assert (again["sealed"], again["duplicate"]) == (0, 2)
    # Also when the key can sign nothing new any more.
    digest = get_key(world.home, GARAGE)["digest"]
    late = world.sign(world.readings((1, 50)), "late.submission")
    assert world.node("keys", "revoke", digest, "--yes").code == 0
    assert world.submit(file)["receipts"] == first["receipts"]
    refused = world.submit(late)
    assert (refused["sealed"], [one["reason"] for one in refused["refused"]]) == (0, ["key_revoked"])
    assert world.count() == before
    assert world.prove(1)[-1]["fields"]["odometer_km"] == 20
    check_clean(world.home)


def test_submit__after_the_member_lists_another_key(world: World) -> None:
    world.submit(world.sign(world.readings((1, 20))))
    member, old = get_key(world.home, GARAGE)["member"], get_key(world.home, GARAGE)["digest"]
    second, proof = world.away / "second.key", world.away / "second.enrolment"
    assert world.elsewhere("keys", "new", second).code == 0
    arguments = ("keys", "enrol", second, "--policy", world.policy, "--member", member, "-o", proof)
    assert world.elsewhere(*arguments).code == 0
    file = world.sign(world.readings((1, 30)), key=second)
    early = world.node("submit", file, "--json")
    assert (early.code, early.json_error["error"]) == (1, "unknown_key")
    added = world.node("member", "add-key", GARAGE, "--enrolment", proof, "--json")
    assert [key["custody"] for key in added.json["keys"]] == ["own", "own"]
    assert world.node("keys", "revoke", old, "--disputed-since", "0", "--yes").code == 0
    assert world.submit(file)["sealed"] == 1
    assert [entry["disputed"] for entry in world.prove(1)] == [False, False, True, False]
    # A node does not replace a key that its member keeps.
    rotated = world.node("keys", "rotate", get_key(world.home, GARAGE)["digest"], "--json")
    assert (rotated.code, rotated.json_error["error"]) == (1, "wrong_custody")
    check_clean(world.home)


def test_submit__turns_away_only_what_cannot_stand(world: World) -> None:
    drafts = world.readings((1, 20), (2, 30), (3, 40))
    drafts[1]["passport"] = "0" * 32
    lost = world.draft("inspection", 1)[0]
    drafts.append(
        fill(lost, result="passed") | {"kind": "vehicle.odometer/1", "fields": drafts[0]["fields"] | {"odometer_km": 7}}
    )
    drafts[3] |= {"mark": 1, "target": "ab" * 32}
    file = world.sign(drafts)
    found = world.submit(file)
    assert [one["reason"] for one in found["refused"]] == ["unknown_passport", "unknown_target"]
    assert [one["seq"] for one in found["receipts"]] == [2, 2]
    shown = world.node("submit", file)
    assert shown.code == 1
    assert "statement 2" in shown.out
    assert "(code: unknown_passport)" in shown.out
    again = world.submit(file)
    assert (again["receipts"], again["sealed"]) == (found["receipts"], 0)
    check_clean(world.home)


def test_submit__what_was_turned_away_is_sealed_once_it_may_be(world: World) -> None:
    change = ("member", "accredit", GARAGE, "--kind", "vehicle.odometer/1", "--basis", "1")
    assert world.node(*change, "--withdraw").code == 0
    file = world.sign(world.readings((1, 20), (2, 20)))
    found = world.submit(file)
    assert [one["reason"] for one in found["refused"]] == ["not_accredited"] * 2
    assert world.node(*change).code == 0
    assert world.submit(file)["sealed"] == 2
    assert world.submit(file)["duplicate"] == 2
    check_clean(world.home)


def test_submit__a_correction_of_ones_own_entry_holds(world: World) -> None:
    first = world.submit(world.sign(world.readings((1, 20))))["receipts"][0]["statement"]
    (draft,) = world.readings((1, 200))
    assert world.submit(world.sign([draft | {"mark": 1, "target": first}]))["sealed"] == 1
    entries = world.prove(1)
    assert [entry["state"] for entry in entries[2:]] == ["superseded", "stands"]
    check_clean(world.home)


def test_submit__to_an_erased_passport_brings_nothing_back(world: World) -> None:
    file = world.sign(world.readings((1, 20), (2, 20)))
    first = world.submit(file)
    assert world.node("erase", str(vin_subject(1)), "--yes").code == 0
    before = world.count()
    again = world.submit(file)
    assert [one["reason"] for one in again["refused"]] == ["erased"]
    assert again["receipts"] == first["receipts"][1:]
    # An erased entry keeps its place and its receipt; its contents stay gone.
    assert world.node("erase", str(vin_subject(2)), "--entry", "2", "--yes").code == 0
    assert world.submit(file)["receipts"] == first["receipts"][1:]
    assert world.count() == before
    shown = world.node("show", str(vin_subject(2)), "--json").json["entries"]
    assert [entry["erased"] for entry in shown] == [False, False, True]
    check_clean(world.home)


# ---- files that were changed


def flip(text: str) -> str:
    data = bytearray(base64.b64decode(text))
    data[-1] ^= 1
    return base64.b64encode(data).decode()


def change_one(**changed: Any) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        document["statements"][0] |= {name: make(document["statements"][0][name]) for name, make in changed.items()}

    return change


TAMPERED: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "field": (change_one(fields=lambda fields: fields | {"odometer_km": 19}), "fields_mismatch"),
    "subject": (change_one(fields=lambda f: f | {"subject": vin_subject(9).to_json()}), "fields_mismatch"),
    "field left out": (change_one(fields=lambda f: {n: v for n, v in f.items() if n != "purpose"}), "fields_mismatch"),
    "secret": (change_one(secret=flip), "fields_mismatch"),
    "statement": (change_one(statement=flip), "bad_signature"),
    "signature": (lambda document: document.update(sig=flip(document["sig"])), "bad_signature"),
    "time": (lambda document: document.update(created_ms=document["created_ms"] + 1), "bad_signature"),
    "statement left out": (lambda document: document["statements"].pop(), "bad_signature"),
    "statements exchanged": (lambda document: document["statements"].reverse(), "bad_signature"),
    "cut": (lambda document: document.pop("sig"), "unreadable_file"),
}


def test_submit__refused_tampered_and_nothing_is_lost(world: World) -> None:
    file = world.sign(world.readings((1, 20), (2, 30)))
    before = world.count()
    for what, (change, error) in TAMPERED.items():
        document = json.loads(file.read_bytes())
        change(document)
        other = world.away / "tampered.submission"
        other.write_text(json.dumps(document, separators=(",", ":"), sort_keys=True), encoding="utf-8")
        ran = world.node("submit", other, "--json")
        assert (ran.code, ran.json_error["error"]) == (1, error), what
    assert world.count() == before
    assert world.submit(file)["sealed"] == 2
    check_clean(world.home)


def resign(world: World, file: Path, change: Callable[[Stated], Stated]) -> Path:
    """Sign again what was changed, as other software than ours might."""
    read, signer = read_submission(file.read_bytes()), load_own_key(world.key).signer
    unsigned = Submission(read.created_ms, bytes(64), tuple(change(one) for one in read.statements))
    other = world.away / "other.submission"
    other.write_bytes(write_submission(Submission(read.created_ms, signer.sign(unsigned.message), unsigned.statements)))
    return other


def with_parts(**changed: Any) -> Callable[[Stated], Stated]:
    def change(one: Stated) -> Stated:
        parts = structs.replace(one.parts, **changed)
        return one._replace(parts=parts, data=parts.to_bytes())

    return change


def with_fields(fields: dict[str, Any]) -> Callable[[Stated], Stated]:
    """Other fields, honestly digested."""
    from carnet.encoding import encode_trusted
    from carnet.passport.fields import seal_values

    def change(one: Stated) -> Stated:
        names = tuple(sorted(fields))
        _, root = seal_values(names, [encode_trusted(fields[name]) for name in names], one.secret)
        return with_parts(fields_root=root)(one._replace(fields=fields))

    return change


def test_submit__refused_what_was_signed_wrongly(world: World) -> None:
    file = world.sign(world.readings((1, 20)))
    fields = read_submission(file.read_bytes()).statements[0].fields
    whole: list[tuple[Callable[[Stated], Stated], str]] = [
        (with_parts(net=bytes(32)), "wrong_network"),
        (with_parts(member=bytes(16)), "unknown_member"),
        (with_parts(key_digest=bytes(32)), "unknown_key"),
        (with_parts(basis=2), "wrong_custody"),
        (with_parts(basis=3), "wrong_custody"),
    ]
    for change, error in whole:
        ran = world.node("submit", resign(world, file, change), "--json")
        assert (ran.code, ran.json_error["error"]) == (1, error)
    alone: list[tuple[Callable[[Stated], Stated], str]] = [
        (with_parts(class_=2), "unknown_class"),
        (with_parts(mark=3), "wrong_mark"),
        (with_parts(target=b"\x01" * 32), "wrong_mark"),
        (with_parts(chain=bytes(16)), "unknown_passport"),
        (with_fields({name: value for name, value in fields.items() if name != "purpose"}), "fields_mismatch"),
        (with_fields(fields | {"odometer_km": "20"}), "wrong_type"),
        (with_fields(fields | {"kind": "vehicle.colour/9"}), "unknown_kind"),
        (with_fields(fields | {"subject": vin_subject(2).to_json()}), "subject_mismatch"),
    ]
    for change, error in alone:
        found = world.submit(resign(world, file, change))
        assert (found["sealed"], [one["reason"] for one in found["refused"]]) == (0, [error])
    assert world.submit(file)["sealed"] == 1
    check_clean(world.home)


# ---- signing


@pytest.mark.parametrize(
    "change, error",
    [
        ({"network": "other.example/" + "ab" * 32}, "wrong_network"),
        ({"kind": "passport.opened/1", "fields": {"occasion": "file"}}, "wrong_chain"),
        ({"occurred": {"at": "2999-01-01", "precision": "day", "zone": None}}, "time_in_future"),
        ({"fields": {}}, "missing_field"),
        ({"carnet": "draft/9"}, "unreadable_file"),
    ],
)
def test_sign__refused_and_nothing_is_written(world: World, change: dict[str, Any], error: str) -> None:
    good = world.readings((1, 20))[0]
    data = b"".join(json.dumps(one).encode() + b"\n" for one in (good, good | change))
    ran = world.elsewhere("sign", "-", "--key", world.key, "-o", "x.submission", "--json", stdin=data)
    assert (ran.code, ran.json_error["error"], ran.json_error["facts"]["draft"]) == (1, error, 2)
    assert not (world.away / "x.submission").exists()


def test_sign__reads_a_draft_as_a_person_leaves_it(world: World) -> None:
    file = world.away / "reading.json"
    assert world.node("draft", "odometer", str(vin_subject(1)), "-o", file).code == 0
    assert file.stat().st_mode & 0o777 == 0o600
    draft = fill(json.loads(file.read_bytes()), odometer_km=20, odometer_state="read")
    file.write_text(json.dumps(draft, indent=4), encoding="utf-8")
    signed = world.elsewhere("sign", file, "--key", world.key, "-o", "x.submission", "--json")
    assert signed.json["member"] == get_key(world.home, GARAGE)["member"]
    receipts = world.submit(world.away / "x.submission")["receipts"]
    assert [one["statement"] for one in receipts] == signed.json["statements"]
    again = world.elsewhere("sign", file, "--key", world.key, "-o", "x.submission", "--json")
    assert (again.code, again.json_error["error"]) == (1, "file_exists")
    # Each signature has secrets of its own: signed twice is two statements.
    assert world.submit(world.sign([draft], "y.submission"))["sealed"] == 1


def test_draft__refused(world: World) -> None:
    for arguments, error in (
        (("colour", str(vin_subject(1))), "unknown_kind"),
        (("passport.opened/1", str(vin_subject(1))), "wrong_chain"),
        (("odometer", str(vin_subject(8))), "unknown_passport"),
    ):
        ran = world.node("draft", *arguments)
        assert ran.code == 1
        assert f"(code: {error})" in ran.err


# ---- own keys and their enrolment


def test_new__prints_the_public_half_alone_and_never_overwrites(tmp_path: Path) -> None:
    file = tmp_path / "own.key"
    made = carnet("keys", "new", file, "--json")
    assert made.code == 0
    assert file.stat().st_mode & 0o777 == 0o600
    document = json.loads(file.read_bytes())
    assert made.json["public"] == document["public"]
    assert document["seed"] not in made.out + made.err
    again = carnet("keys", "new", file, "--json")
    assert (again.code, again.json_error["error"]) == (1, "file_exists")
    assert json.loads(file.read_bytes()) == document
    assert carnet("keys", "new", tmp_path / "other.key", "--with-passphrase").code == 2
    assert not (tmp_path / "other.key").exists()


def test_sign__key_under_a_passphrase(world: World) -> None:
    right, wrong = world.away / "right", world.away / "wrong"
    right.write_text("correct horse\n", encoding="utf-8")
    wrong.write_text("battery staple\n", encoding="utf-8")
    save_own_key(load_own_key(world.key), world.key, "correct horse", Dice())
    (draft,) = world.readings((1, 20))
    data = json.dumps(draft).encode()
    sign = ("sign", "-", "--key", world.key, "-o", "x.submission", "--json")
    for options in ((), ("--passphrase-file", wrong)):
        ran = world.elsewhere(*sign, *options, stdin=data)
        assert (ran.code, ran.json_error["error"]) == (1, "wrong_passphrase")
    assert world.elsewhere(*sign, "--passphrase-file", right, stdin=data).code == 0
    assert world.submit(world.away / "x.submission")["sealed"] == 1
    world.key.chmod(0o644)
    ran = world.elsewhere(*sign, "--passphrase-file", right, stdin=data)
    assert (ran.code, ran.json_error["error"]) == (1, "not_private")


def test_sign__refused_unknown_member__for_a_key_that_is_nobodys(world: World) -> None:
    fresh = world.away / "fresh.key"
    assert world.elsewhere("keys", "new", fresh).code == 0
    ran = world.elsewhere("sign", "-", "--key", fresh, "-o", "x.submission", "--json", stdin=b"{}")
    assert (ran.code, ran.json_error["error"]) == (1, "unknown_member")
    assert "carnet keys enrol" in ran.json_error["message"]


def test_enrol__again_is_the_same_and_elsewhere_is_refused(world: World, tmp_path: Path) -> None:
    file = world.away / "garage.enrolment"
    first = file.read_bytes()
    enrol = ("keys", "enrol", world.key)
    assert world.elsewhere(*enrol, "--policy", world.policy, "-o", file).code == 0
    assert world.elsewhere(*enrol, "--policy", world.policy).out.encode() == first
    other = world.elsewhere(*enrol, "--policy", world.policy, "--member", "1" * 32)
    assert (other.code, "(code: key_exists)" in other.err) == (1, True)
    # The key is enrolled already, and for this member only.
    add = ("member", "add", "--kind", "garage", "--enrolment", file, "--json")
    assert world.node(*add, "--name", GARAGE).json_error["error"] == "member_exists"
    assert world.node(*add, "--name", "Another").json_error["error"] in ("member_exists", "key_exists")
    assert world.node("member", "add-key", GARAGE, "--enrolment", file, "--json").json_error["error"] == "key_exists"
    wrong = world.node("member", "add-key", "Operator of this node", "--enrolment", file, "--json")
    assert wrong.json_error["error"] == "fields_conflict"
    assert world.node(*add, "--name", "Another", "--id", "1" * 32).code == 2
    # Another network takes nothing of it.
    second = tmp_path / "second"
    assert carnet("init", "--name", "other.example", home=second).code == 0
    assert carnet(*add, "--name", GARAGE, home=second).json_error["error"] == "wrong_network"


def test_member_add__refused_a_tampered_enrolment(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.build()
    assert world.elsewhere("keys", "new", world.key).code == 0
    file = world.away / "garage.enrolment"
    assert world.elsewhere("keys", "enrol", world.key, "--policy", world.policy, "-o", file).code == 0
    good = json.loads(file.read_bytes())
    bent = world.away / "bent.enrolment"
    add = ("member", "add", "--kind", "garage", "--name", GARAGE, "--enrolment", bent, "--json")
    for changed, error in (
        ({"sig": flip(good["sig"])}, "bad_signature"),
        ({"member": flip(good["member"])}, "bad_signature"),
        ({"custody": 2}, "unreadable_file"),
        ({"role": 3}, "unreadable_file"),
        ({"more": 1}, "unreadable_file"),
        ({"key": "?"}, "unreadable_file"),
        ({"carnet": "enrolment/2"}, "unreadable_file"),
    ):
        bent.write_text(json.dumps(good | changed, separators=(",", ":"), sort_keys=True), encoding="utf-8")
        ran = world.node(*add)
        assert (ran.code, ran.json_error["error"]) == (1, error), changed
    assert world.node(*add[:-2], file, "--json").code == 0


def test_add_key__hosted_after_a_revocation(world: World) -> None:
    assert world.node("member", "add", "--kind", "garage", "--name", "Hosted").code == 0
    old = get_key(world.home, "Hosted")["digest"]
    assert world.node("keys", "revoke", old, "--yes").code == 0
    added = world.node("member", "add-key", "Hosted", "--json")
    assert [(key["custody"], key["revoked"] is None) for key in added.json["keys"]] == [("node", False), ("node", True)]
    assert get_key(world.home, "Hosted")["kept"] is True
    refused = world.node("member", "add-key", "cars.example", "--json")
    assert (refused.code, refused.json_error["error"]) == (1, "wrong_custody")
    check_clean(world.home)
