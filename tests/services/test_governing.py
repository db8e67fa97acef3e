"""Members, keys and erasures while a node is served: the command line hands them to its one writer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from carnet.node.acts import RotateKey
from carnet.node.fsck import check_home
from carnet.node.home import Home
from carnet.node.reader import open_reader
from carnet.services.accounts.auditing import Action
from carnet.services.accounts.office import Office, office_at
from carnet.services.accounts.registry import OPERATOR, insert_account
from carnet.services.approving.requests import ask, get_approval, grant
from carnet.services.founding import find_member, get_operator
from carnet.services.members import plan_enrolment, plan_retirement
from carnet.services.principals import Principal, Standing
from carnet.types import Basis
from tests.cli.run import carnet, make_env
from tests.node.home import make_node, new_passport, vin_subject
from tests.serving import Served, serving_home, wait_for


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    path = tmp_path_factory.mktemp("served")
    home = make_node(path).path
    with serving_home(home, path / "log") as served:
        yield served
        assert served.stop() == 0
    assert check_home(home) == []


def append(served: Served, number: int) -> bytes:
    with served.reach() as remote:
        author = get_operator(remote)
        return remote.append(author.id, Basis.REPORTED, [new_passport(number, 1_000)]).receipts[0].chain16


def list_actions(home: Path) -> list[tuple[Action, str]]:
    events = carnet("account", "events", "--limit", "200", "--json", home=home).json_lines
    return [(Action(one["action"]), one["who"]) for one in events]


def test_member__comes_is_accredited_and_leaves_while_the_node_is_served(served: Served) -> None:
    home = served.home
    added = carnet("member", "add", "--name", "Tilleuls", "--kind", "garage", "--json", home=home)
    assert added.code == 0, added.err
    # Its key is with the writer, which can sign at once in its name.
    with served.reach() as remote:
        assert remote.keeps_key(bytes.fromhex(added.json["keys"][0]["digest"]))
    replaced = ("--kind", "vehicle.odometer_replacement/1", "--basis", "2")
    assert carnet("member", "accredit", "Tilleuls", *replaced, "--withdraw", home=home).code == 0
    assert carnet("member", "accredit", "Tilleuls", *replaced, home=home).code == 0
    assert carnet("member", "add-key", "Tilleuls", home=home).code == 0
    again = carnet("member", "add", "--name", "Tilleuls", "--kind", "garage", home=home)
    assert (again.code, "member_exists" in again.err) == (1, True)
    asked = carnet("member", "retire", "Tilleuls", home=home)
    assert (asked.code, "Say --yes" in asked.err, "cannot be taken back" in asked.out) == (2, True, True)
    assert "Say --yes" in carnet("member", "retire", "Tilleuls", "--json", home=home).err
    assert carnet("member", "show", "Tilleuls", "--json", home=home).json["retired"] is None
    assert carnet("member", "retire", "Tilleuls", "--yes", home=home).code == 0
    late = carnet("member", "retire", "Tilleuls", "--yes", home=home)
    assert (late.code, "member_retired" in late.err) == (1, True)
    wanted = [
        Action.MEMBER_ENROLLED,
        Action.MEMBER_ACCREDITED,
        Action.MEMBER_ACCREDITED,
        Action.SIGNING_KEY_LISTED,
        Action.MEMBER_RETIRED,
    ]
    assert [one for one in reversed(list_actions(home)) if one[0] in wanted] == [(one, "operator") for one in wanted]


def test_keys__are_replaced_and_revoked_while_the_node_is_served(served: Served) -> None:
    home = served.home
    with served.reach() as remote:
        before = remote.node_key
    rotated = carnet("keys", "rotate", "node", "--json", home=home)
    assert rotated.code == 0, rotated.err
    with served.reach() as remote:
        assert remote.node_key.hex() == rotated.json["digest"] != before.hex()
    # Sealed with the new one, by the process that has been running all the time.
    append(served, 2)
    assert carnet("member", "add", "--name", "Chênes", "--kind", "garage", home=home).code == 0
    assert carnet("keys", "revoke", "Chênes", "--yes", home=home).code == 0
    assert carnet("keys", "revoke", "Chênes", "--yes", home=home).code == 1
    wanted = [Action.SIGNING_KEY_ROTATED, Action.MEMBER_ENROLLED, Action.SIGNING_KEY_REVOKED]
    assert [one for one, _ in list_actions(home)][:3] == list(reversed(wanted))


def test_erase__of_a_served_node_leaves_nothing_in_its_files(served: Served) -> None:
    chain = append(served, 3)
    assert served.ask("GET", "/readyz").status == 200
    erased = carnet("erase", chain.hex(), "--yes", "--json", home=served.home)
    assert erased.code == 0, erased.err
    assert erased.json["searched"]["gone"], erased.json
    with open_reader(served.home) as reader:
        assert reader.find_subject(vin_subject(3)) is None
    assert (Action.PASSPORT_ERASED, "operator") in list_actions(served.home)
    again = carnet("erase", chain.hex(), "--yes", home=served.home)
    assert (again.code, "erased" in again.err) == (1, True)


def test_passphrase__is_refused_writer_busy_while_the_node_is_served(served: Served, tmp_path: Path) -> None:
    new = tmp_path / "new"
    new.write_text("correct horse\n")
    ran = carnet("keys", "passphrase", "--new-file", new, env=make_env(served.home))
    assert (ran.code, "writer_busy" in ran.err) == (1, True)
    assert Home(served.home).keys.exists()


def test_approval__is_carried_out_by_another_process_through_the_door(served: Served) -> None:
    """As a web worker does it, which holds no key of the node: what it asks is done where the keys are."""
    with served.reach() as remote, office_at(Home(served.home)) as (office, _):
        first, second = (add_operator(office) for _ in range(2))
        asked = ask(office, remote, first, plan_enrolment(remote.state, "Mutuelle", "insurer"))
        done = grant(office, remote, second, asked.public_id)
        assert (done.state, done.outcome) == ("done", None)
        member = find_member(remote.state.members.all, "Mutuelle")
        assert remote.keeps_key(member.keys[0].digest)
        asked = ask(office, remote, second, RotateKey(remote.node_id, remote.node_key))
        assert grant(office, remote, first, asked.public_id).state == "done"
        # One that was granted by a process that died at once: the service itself carries it out.
        asked = ask(office, remote, first, plan_retirement(remote.state, "Mutuelle"))
        with office.people.write() as connection:
            query = "UPDATE approval SET state = 'granted', decided_by = ?, decided_ms = 1 WHERE id = ?"
            connection.execute(query, (second.account, asked.id))
        wait_for(lambda: get_approval(office, first, asked.public_id).state != "granted", "it was not carried out", 90)
        ended = get_approval(office, first, asked.public_id)
        assert (ended.state, ended.outcome) == ("done", None)
        assert remote.state.members.get(member.id).retired is not None


def add_operator(office: Office) -> Principal:
    with office.people.write() as connection:
        account = insert_account(connection, office, OPERATOR, "Somebody", office.random_bytes(32))
    return Principal(Standing.OPERATOR, account.public_id)
