"""docs/importing.md: its example is run, each cell of its table of faults is fed in, and it names every key."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest

from carnet.cli.importing import import_
from carnet.errors import Reason
from carnet.formats import dates, mapping_document
from carnet.formats.faults import Fault
from carnet.formats.mapping import read_mapped
from carnet.formats.mapping_document import read_mapping
from tests.cli.run import carnet
from tests.formats.streams import NOW
from tests.shared import ROOT

PAGE = (ROOT / "docs" / "importing.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `([^`]+)` \| `([^`]*)`? ?`? ?\| `([a-z_]+)` \| (.+) \|$", re.M)


def get_block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.S)
    return str(found)


def test_example__is_run_and_says_what_the_page_says(tmp_path: Path) -> None:
    (tmp_path / "visits.csv").write_text(get_block("csv"), encoding="utf-8")
    (tmp_path / "mapping.json").write_text(get_block("json"), encoding="utf-8")
    command, *wanted = get_block("console").splitlines()
    ran = carnet(*command.removeprefix("$ carnet ").split(), home=tmp_path / "home", cwd=tmp_path)
    assert ran.code == 0, ran.err
    for line, said in zip(wanted, ran.out.splitlines(), strict=True):
        assert said.startswith(line.partition("…")[0])
    shown = carnet("show", "vin:WVWZZZ1KZ7P100001", home=tmp_path / "home").out
    assert "Pneus; équilibrage" in shown
    assert "23,456 km" in shown


def test_table_of_faults__each_cell_breaks_the_rule_that_stands_beside_it() -> None:
    mapping = read_mapping(json.loads(get_block("json")))
    header, first, *_ = get_block("csv").splitlines()
    names, cells = header.split(";"), first.split(";")
    rows = ROW.findall(PAGE)
    assert len(rows) == 11
    for column, cell, rule, _ in rows:
        changed = [cell if name == column else value for name, value in zip(names, cells, strict=True)]
        (item,) = read_mapped([f"{header}\n{';'.join(changed)}\n".encode()], mapping, NOW)
        assert isinstance(item, Fault), (column, cell)
        assert (item.column, item.rule) == (column, Reason(rule)), (column, cell, item.message)


def test_reference__names_every_key_of_the_mapping_document() -> None:
    own = [
        one for one in vars(mapping_document).values() if getattr(one, "__module__", "") == mapping_document.__name__
    ]
    parts = [one for one in own if isinstance(one, type) and issubclass(one, msgspec.Struct)]
    keys = {field.encode_name for part in parts for field in msgspec.structs.fields(part)}
    tags = {part.__struct_config__.tag for part in parts} - {None}
    assert len(keys) > 20
    for name in keys | tags:
        assert f"`{name}`" in PAGE or f"`reader.{name}`" in PAGE, name
    for form in ("iso", *dates.FORMS):
        assert f"`{form}`" in PAGE, form


def test_reference__names_every_verb_and_option() -> None:
    for name, command in import_.commands.items():
        assert f"`{name}`" in PAGE or f"`{name} --map M`" in PAGE, name
        for parameter in command.params:
            option = next((one for one in parameter.opts if one.startswith("--")), None)
            # Those that every verb of Carnet has are explained by `--help`.
            if option is not None and option not in ("--passphrase-file", "--key-file", "--help", "--output"):
                assert option in PAGE, (name, option)


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#]+)\)", PAGE))
def test_page__links_lead_somewhere(link: str) -> None:
    assert (ROOT / "docs" / link).exists()
