"""The verification page as a file: what is packaged is what its parts give, and it keeps its rules."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from carnet.errors import Unverified
from carnet.passport.kinds import all_kinds, get_schema
from carnet.services.explaining import FINDINGS, SENTENCES
from carnet.services.publishing import PACKAGED, make_page
from carnet.vault.partial import PART
from carnet.web.verify_page import (
    BEFORE_DRAWING,
    BUILT,
    DRAWING,
    PARTS,
    SPLIT,
    VERIFIER,
    build_page,
    hash_source,
    list_choices,
    make_texts,
)
from tests.cli.run import carnet, make_env
from tests.web.samples import SAMPLES, make_sample

Words = dict[str, Any]


class Elements(HTMLParser):
    """The page as a parser sees it: each element with its attributes, and the text inside scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.inside: dict[str, str] = {}
        self.is_inside = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self.is_inside = tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self.is_inside = False

    def handle_data(self, data: str) -> None:
        if self.is_inside:
            tag, facts = self.found[-1]
            name = facts.get("id") or tag
            self.inside[name] = self.inside.get(name, "") + data


def test_packaged_page__is_what_the_builder_makes() -> None:
    assert BUILT == PACKAGED
    assert BUILT.read_bytes() == build_page().encode(), "run `make page`"


def test_page__carries_the_verifier_byte_for_byte() -> None:
    code = Elements(build_page()).inside["code"]
    assert code.split(SPLIT)[0] == VERIFIER.read_text(encoding="utf-8")
    assert code.count(SPLIT) == 1


def test_page__allows_itself_its_own_script_and_style_and_no_connection() -> None:
    elements = Elements(build_page())
    (policy,) = [
        facts["content"] for tag, facts in elements.found if facts.get("http-equiv") == "Content-Security-Policy"
    ]
    rules = {name: rest for name, _, rest in (rule.partition(" ") for rule in str(policy).split("; ")) if name}
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == f"'{hash_source(elements.inside['code'])}'"
    assert rules["style-src"] == f"'{hash_source(elements.inside['style'])}'"
    assert rules["require-trusted-types-for"] == "'script'"
    assert not {"connect-src", "font-src", "frame-src", "object-src", "media-src"} & set(rules)


def test_page__names_no_other_origin_and_loads_nothing() -> None:
    text = build_page()
    assert set(re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]+[a-z0-9/]*", text)) <= {"http://www.w3.org/2000/svg"}
    for tag, facts in Elements(text).found:
        for name in ("src", "href", "action", "srcset", "data"):
            value = facts.get(name) or "#"
            assert value.startswith(("#", "data:image/svg+xml,")), (tag, name, value)
        assert not [name for name in facts if name.startswith("on") or name == "style"], tag


def test_page__never_makes_markup_of_text() -> None:
    sinks = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser|srcdoc|setHTML"
    for name in (*BEFORE_DRAWING, *DRAWING, "worker.js"):
        assert re.findall(sinks, (PARTS / name).read_text(encoding="utf-8")) == [], name


def test_texts__say_the_same_in_both_languages() -> None:
    texts = make_texts()
    english, french = texts["en"], texts["fr"]
    assert set(english) == set(french)
    for table in ("page", "codes", "findings", "bases", "schemes", "kinds"):
        assert set(english[table]) == set(french[table]), table
    assert len(english["not_proved"]) == len(french["not_proved"])
    for name, text in english["page"].items():
        places = re.findall(r"\{\w+\}", text.split("|")[0])
        for form in french["page"][name].split("|"):
            assert sorted(re.findall(r"\{\w+\}", form)) == sorted(places), name
        assert text.count("|") == french["page"][name].count("|"), name


def test_texts__are_those_of_the_command_line() -> None:
    english = make_texts()["en"]
    assert english["codes"] == SENTENCES
    assert english["findings"] == FINDINGS


def test_texts__every_text_that_a_part_asks_for_is_there() -> None:
    page = make_texts()["en"]["page"]
    source = "".join((PARTS / name).read_text(encoding="utf-8") for name in (*DRAWING, "template.html"))
    asked = set(re.findall(r'\bt\("([a-z_0-9]+)"', source)) | set(re.findall(r'data-t="([a-z_]+)"', source))
    assert len(asked) > 60
    assert asked - set(page) == set()


def test_french__knows_every_built_in_kind_field_and_choice() -> None:
    french = make_texts()["fr"]
    assert set(all_kinds()) == set(french["kinds"])
    names = {spec.name for kind in all_kinds() for spec in get_schema(kind).fields}
    assert names - set(french["fields"]) == set()
    codes = re.compile(r"[0-9]{2}|NG")
    missing = [
        (name, value)
        for name, values in list_choices().items()
        for value in values
        if value not in french["words"] and f"{name}:{value}" not in french["words"] and not codes.fullmatch(value)
    ]
    assert missing == []


def test_french__has_the_spaces_of_french() -> None:
    told = json.dumps(make_texts()["fr"], ensure_ascii=False)
    assert re.findall(r".{12} [:;!?»].{3}|« .{8}", told) == []


def test_make_page__holds_the_policies_as_data() -> None:
    policy = make_sample("genuine").policy
    assert policy is not None
    hostile = b"# </script><script>alert(1)</script> <!-- & -->\n" + policy
    elements = Elements(make_page([hostile]).decode())
    assert json.loads(elements.inside["given"]) == [hostile.decode()]
    plain = Elements(build_page())
    assert elements.inside["code"] == plain.inside["code"]
    assert len(elements.found) == len(plain.found)


def test_make_page__refused_two_policies_of_one_network() -> None:
    policy = make_sample("genuine").policy
    assert policy is not None
    with pytest.raises(Unverified, match="two policies are about"):
        make_page([policy, b"# again\n" + policy])
    with pytest.raises(Unverified, match="names no log"):
        make_page([b"quorum none\n"])


def test_verify_page__writes_a_page_without_a_node(tmp_path: Path) -> None:
    env = make_env(tmp_path / "no-home")
    policy = make_sample("genuine").policy
    assert policy is not None
    (tmp_path / "network.policy").write_bytes(policy)
    page = tmp_path / "verify.html"
    # What one that was killed has left.
    (tmp_path / f".verify.html{PART}").write_bytes(b"half of it")
    ran = carnet("verify-page", "-o", page, "--policy", tmp_path / "network.policy", env=env)
    assert (ran.code, ran.err) == (0, "")
    assert page.read_bytes() == make_page([policy])
    assert "test.carnet.example" in ran.out
    again = carnet("verify-page", "-o", page, "--json", env=env)
    assert again.code == 1
    assert again.json_error["error"] == "file_exists"
    told = carnet("verify-page", "-o", page, "--force", "--json", env=env).json
    assert told == {"bytes": len(page.read_bytes()), "file": str(page), "networks": []}
    piped = carnet("verify-page", "-o", "-", "--policy", "-", env=env, stdin=policy)
    assert piped.out.encode() == make_page([policy])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["network.policy", "verify.html"]


def test_verify_page__refused_what_is_no_policy(tmp_path: Path) -> None:
    (tmp_path / "network.policy").write_text("trust me\n")
    ran = carnet("verify-page", "-o", tmp_path / "v.html", "--policy", tmp_path / "network.policy", env=make_env())
    assert ran.code == 1
    assert "network.policy is not a trust policy" in ran.err
    assert not (tmp_path / "v.html").exists()


def test_samples__cover_each_outcome() -> None:
    assert len({make_sample(name).bundle for name in SAMPLES}) == len(SAMPLES) - 1  # one is judged without a policy
