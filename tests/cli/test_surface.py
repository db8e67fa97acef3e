"""What every verb has in common: help that teaches, errors in one sentence, no question, no traceback."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import click
import pytest

from carnet.cli import carnet as root
from carnet.cli.group import VERBS, Teaching
from carnet.cli.session import find_default_home
from tests.cli.run import COMMAND, carnet, make_env, make_inspection, make_line
from tests.shared import ROOT


def list_commands(
    command: click.Command, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every verb, and every verb of a verb."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from list_commands(found, (*path, name))


def test_help__each_verb_teaches_with_examples_that_parse() -> None:
    for path, command in list_commands(root):
        assert isinstance(command, Teaching), path
        assert command.help, path
        assert command.examples, path
        for purpose, line in command.examples:
            assert purpose, path
            assert "carnet" in line, path
            assert len(line) <= 120, line
        shown = command.get_help(click.Context(command, info_name=" ".join(("carnet", *path))))
        assert "Examples:" in shown
        for _, line in command.examples:
            assert f"\n  {line}\n" in shown + "\n"


def test_help__examples_name_only_options_that_exist() -> None:
    """Each example is parsed by the verb itself, without being run."""
    checked = 0
    for _, command in list_commands(root):
        assert isinstance(command, Teaching)
        for _, line in command.examples:
            for part in re.split(r"[|>]", line):
                words = _split(part)
                if "carnet" not in words:
                    continue
                _parse(words[words.index("carnet") + 1 :])
                checked += 1
    assert checked > 40


def _split(line: str) -> list[str]:
    import shlex

    return shlex.split(line)


def _parse(words: list[str]) -> None:
    command: click.Command = root
    context: click.Context | None = None
    while True:
        context = command.make_context(command.name or "carnet", list(words), parent=context, resilient_parsing=False)
        if not isinstance(command, click.Group):
            return
        rest = [*context._protected_args, *context.args] if hasattr(context, "_protected_args") else context.args
        if not rest:
            return
        _, found, words = command.resolve_command(context, rest)
        assert found is not None
        command = found


_IN_DOCS = re.compile(r"(?:`|^\$ |^ {4}|^|; |&& |: )carnet ((?:[^`\n\"|;&<>]|\\\n)+)", re.MULTILINE)
_BEFORE_A_VERB = ("--home", "--server")


def test_docs__name_only_verbs_and_options_that_exist() -> None:
    """What a page or a refusal tells to type can be typed."""
    checked, wrong = 0, list[str]()
    for folder, pattern in ((ROOT, "*.md"), (ROOT / "docs", "**/*.md"), (ROOT / "src/carnet", "**/*.py")):
        for file in folder.glob(pattern):
            for line in _IN_DOCS.findall(file.read_text(encoding="utf-8")):
                words = [word.strip(".,:)(…*'") for word in line.replace("\\\n", " ").split()]
                while words and words[0] in _BEFORE_A_VERB:
                    words = words[2:]
                if words and re.fullmatch("[a-z][a-z-]*", words[0]):
                    wrong += [f"{file.name}: carnet {line.strip()}: {one}" for one in _list_unknown(words)]
                    checked += 1
    assert wrong == []
    assert checked > 300


def _list_unknown(words: list[str]) -> Iterator[str]:
    """Of a command as it is told the verb that is none, and options that its verb does not have."""
    command: click.Command = root
    known = {"--help", "--version"}
    for word in (word for word in words if not word.startswith("-")):
        if not isinstance(command, click.Group):
            break
        found = command.get_command(click.Context(command), word)
        if found is None:
            # Behind a group's own name a page may go on with words of its own.
            if command is root or re.fullmatch("[a-z-]+", word):
                yield word
            return
        command = found
        known |= {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    known |= {option for parameter in root.params for option in parameter.opts}
    yield from (word for word in words if word.startswith("--") and len(word) > 2 and word.split("=")[0] not in known)


def test_verbs__are_where_the_list_says() -> None:
    for name, place in VERBS.items():
        assert name in import_module(place.module).VERBS
        assert place.summary.endswith(".")
    named = "demo init member import list find show erase export verify trust policy fsck census keys"
    named += " backup restore checkpoint draft sign submit status doctor move verify-page serve settings"
    named += " account client claim webhook approval audit drill quota watch"
    assert set(VERBS) == set(named.split())


def test_help__of_the_command_loads_no_library_but_the_parser() -> None:
    script = "import sys; from carnet.cli import main; main(['--help']); print(' '.join(sys.modules), file=sys.stderr)"
    ran = subprocess.run([COMMAND[0], "-c", script], env=make_env(), capture_output=True, text=True, timeout=60)
    loaded = set(ran.stderr.split())
    assert "click" in loaded
    assert loaded & {"rich", "msgspec", "sqlalchemy", "nacl", "cryptography", "carnet.proof", "carnet.errors"} == set()
    assert "verify" in ran.stdout


def test_version__is_the_packages() -> None:
    import carnet as package

    ran = carnet("--version")
    assert (ran.code, ran.out) == (0, f"carnet {package.__version__}\n")


def test_no_verb__shows_help() -> None:
    ran = carnet()
    assert ran.code == 0
    assert "Examples:" in ran.out


@pytest.mark.parametrize(
    "arguments, said",
    [
        (("verfy", "x"), "Did you mean verify?"),
        (("qqq",), "carnet --help"),
        (("show",), "Missing argument"),
        (("list", "--colour"), "No such option"),
        (("member", "ad"), "No such command"),
    ],
)
def test_wrong_usage__exits_2_and_helps(arguments: tuple[str, ...], said: str) -> None:
    ran = carnet(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert "Traceback" not in ran.err
    as_json = carnet(*arguments, "--json")
    assert as_json.code == 2
    assert as_json.json_error["error"] == "usage"


READERS: list[tuple[str, ...]] = [
    ("list",),
    ("find", "VF1TEST0000000001"),
    ("show", "VF1TEST0000000001"),
    ("export", "VF1TEST0000000001", "-o", "x.carnet"),
    ("policy",),
    ("fsck",),
    ("census",),
    ("checkpoint",),
    ("status",),
    ("keys", "list"),
    ("member", "list"),
    ("member", "show", "x"),
]


@pytest.mark.parametrize("arguments", READERS, ids="-".join)
def test_reader__refused_no_node(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    ran = carnet(*arguments, home=tmp_path / "home", cwd=tmp_path)
    assert (ran.code, ran.out) == (1, "")
    assert "(code: no_node)" in ran.err
    assert "carnet init" in ran.err
    as_json = carnet(*arguments, "--json", home=tmp_path / "home", cwd=tmp_path)
    assert (as_json.code, as_json.json_error["error"]) == (1, "no_node")
    assert set(as_json.json_error) == {"error", "facts", "message"}
    assert list(tmp_path.iterdir()) == []


def test_bug__is_short_unless_asked(tmp_path: Path) -> None:
    script = (
        "import sys; from carnet.cli.session import Session; Session.of = classmethod(lambda *given: 1 / 0);"
        "from carnet.cli import main; sys.exit(main(['list']))"
    )
    command = [COMMAND[0], "-c", script]
    short = subprocess.run(command, env=make_env(), capture_output=True, text=True, timeout=60)
    assert short.returncode == 1
    assert "Traceback" not in short.stderr
    assert "ZeroDivisionError" in short.stderr
    assert "CONTRIBUTING.md" in short.stderr
    whole = subprocess.run(command, env=make_env(CARNET_DEBUG="1"), capture_output=True, text=True, timeout=60)
    assert "Traceback" in whole.stderr


def test_damaged_store__is_one_sentence(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert carnet("init", home=home).code == 0
    for file in home.glob("node.db-*"):
        file.unlink()
    (home / "node.db").write_bytes(b"not a database, but long enough to be looked at" * 100)
    ran = carnet("list", home=home)
    assert ran.code == 1
    assert "(code: node_damaged)" in ran.err
    assert "Traceback" not in ran.err


def import_some(home: Path, vehicles: int = 400) -> None:
    lines = b"".join(make_line(f"HV{at:06x}", make_inspection()) for at in range(vehicles))
    assert carnet("import", "histovec", "-", home=home, stdin=lines).code == 0


def test_broken_pipe__is_silent(tmp_path: Path) -> None:
    import_some(tmp_path / "home")
    for options in ([], ["--json"]):
        running = subprocess.Popen(
            [*COMMAND, "list", *options],
            env=make_env(tmp_path / "home", PYTHONUNBUFFERED="1"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert running.stdout is not None
        assert running.stderr is not None
        assert running.stdout.readline()
        running.stdout.close()
        said = running.stderr.read().decode()
        running.stderr.close()
        assert running.wait(60) in (0, 141)
        assert "Traceback" not in said
        assert "BrokenPipe" not in said


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)], ids=str)
def test_closed_streams__lead_nowhere_and_into_no_file(tmp_path: Path, closed: tuple[int, ...]) -> None:
    def run(*arguments: str, stdin: int = subprocess.DEVNULL) -> tuple[int, bytes, bytes]:
        shell = " ".join(f"{number}>&-" for number in closed)
        command = ["sh", "-c", f'exec "$@" {shell}', "sh", *COMMAND, *arguments]
        ran = subprocess.run(command, env=make_env(tmp_path / "home"), stdin=stdin, capture_output=True, timeout=120)
        return ran.returncode, ran.stdout, ran.stderr

    rows = tmp_path / "rows.jsonl"
    rows.write_bytes(make_line("HV000000", make_inspection()))
    assert run("init")[0] == 0
    assert run("import", "histovec", str(rows))[0] == 0
    assert run("list", "--json")[::2] == (0, b"")
    assert run("doctor")[::2] == (0, b"")
    code, out, err = run("show", "absent")
    assert (code, out) == (1, b"")
    assert b"Traceback" not in err
    assert (b"unknown_passport" in err) == (2 not in closed)
    assert carnet("fsck", home=tmp_path / "home").code == 0


def test_names_that_are_no_text__are_told_and_never_a_bug(tmp_path: Path) -> None:
    odd = os.fsdecode(b"h\xe9")
    home, rows, secret = tmp_path / "home", tmp_path / f"{odd}.jsonl", tmp_path / "pass"
    with rows.open("wb") as file:
        file.write(make_line("HV000000", make_inspection()))
    secret.write_bytes(b"caf\xe9\n")
    for words in (("init",), ("import", "histovec", str(rows)), ("status", "--json")):
        ran = carnet(*words, home=tmp_path / odd)
        assert (ran.code, ran.out) == (2, ""), words
        assert "no text in UTF-8" in ran.err, words
    assert not (tmp_path / odd).exists()
    # A file that is only read or written may be called anything.
    assert carnet("import", "histovec", rows, home=home).code == 0
    ran = carnet("backup", "-o", tmp_path / "b", "--passphrase-file", secret, home=home)
    assert (ran.code, "(code: wrong_passphrase)" in ran.err, "UTF-8" in ran.err) == (1, True, True)
    secret.write_text("café\n", encoding="utf-8")
    ran = carnet("backup", "-o", tmp_path / odd, "--passphrase-file", secret, "--json", home=home)
    assert ran.code == 0
    assert Path(ran.json["file"]) == tmp_path / odd
    assert carnet("drill", tmp_path / odd, "--passphrase-file", secret, home=home).code == 0
    ran = carnet("status", home=home)
    assert ran.out.count("h\\xe9") == 1
    assert "just now, good" in ran.out


def test_home__of_a_variable_with_the_line_end_of_windows(tmp_path: Path) -> None:
    assert carnet("init", env=make_env(tmp_path / "home") | {"CARNET_HOME": f"{tmp_path / 'home'}\r"}).code == 0
    assert [file.name for file in tmp_path.iterdir()] == ["home"]


def run_in_terminal(arguments: list[str], env: dict[str, str], columns: int) -> str:
    """What a person would see, in a terminal of so many columns."""
    import fcntl
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    running = subprocess.Popen([*COMMAND, *arguments], env=env, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen = b""
    while True:
        try:
            chunk = os.read(ours, 65536)
        except OSError:
            break
        if not chunk:
            break
        seen += chunk
    os.close(ours)
    assert running.wait(60) == 0
    return seen.decode()


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_terminal__fits_its_width(tmp_path: Path, columns: int) -> None:
    home = tmp_path / "home"
    import_some(home, 1)
    seen = run_in_terminal(["show", "histovec:HV000000"], make_env(home, TERM="xterm-256color"), columns)
    assert "\x1b[" in seen
    plain = re.sub(r"\x1b\[[0-9;]*[a-zA-Z]", "", seen)
    assert max(len(line.rstrip("\r")) for line in plain.split("\n")) <= columns
    assert "61,000 km" in plain


def test_terminal__no_color_is_respected(tmp_path: Path) -> None:
    home = tmp_path / "home"
    import_some(home, 1)
    seen = run_in_terminal(["show", "histovec:HV000000"], make_env(home, TERM="xterm-256color", NO_COLOR="1"), 80)
    # Bold may stay; no colour may.
    assert not re.search(r"\x1b\[[0-9;]*\b(?:3[0-7]|9[0-7])m", seen)


def test_no_terminal__output_is_plain_and_stable(tmp_path: Path) -> None:
    home = tmp_path / "home"
    import_some(home, 3)
    first = carnet("list", home=home)
    second = carnet("list", env=make_env(home, COLUMNS="20", FORCE_COLOR="1", TERM="xterm"))
    assert "\x1b" not in second.out
    assert first.out == second.out


def test_home__option_wins_over_environment(tmp_path: Path) -> None:
    assert carnet("--home", tmp_path / "option", "init", home=tmp_path / "environment").code == 0
    assert (tmp_path / "option" / "node.db").exists()
    assert not (tmp_path / "environment").exists()
    # After the verb too, in either spelling; the last one wins, as for any option.
    assert carnet("list", "--home", tmp_path / "option", home=tmp_path / "environment").code == 0
    assert carnet("list", f"--home={tmp_path / 'option'}", "--json").code == 0
    assert carnet("--home", tmp_path / "absent", "list", "--home", tmp_path / "option").code == 0
    assert carnet("list", "--home").code == 2


def test_home__default_is_in_the_users_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    assert find_default_home() in ("~/.local/share/carnet", "~/Library/Application Support/Carnet")
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert find_default_home() in ("/data/carnet", "~/Library/Application Support/Carnet")


def test_json__is_one_object_a_line(tmp_path: Path) -> None:
    home = tmp_path / "home"
    import_some(home, 3)
    for line in carnet("list", "--json", home=home).out.splitlines():
        assert {"passport", "subject", "entries"} <= set(json.loads(line))


def test_refusal__begins_with_a_capital_and_leaves_names_as_they_are() -> None:
    from carnet.cli.failures import _close

    assert _close("the disk is full") == "The disk is full."
    assert _close("page.html exists already") == "page.html exists already."
    assert _close("vehicle.odometer/1 does not bear mark 4") == "vehicle.odometer/1 does not bear mark 4."
