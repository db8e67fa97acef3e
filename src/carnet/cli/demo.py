"""`carnet demo`: the main job as a story: who is there, what was sealed, one life, its proof, and what a stranger
makes of it.

It ends with 0 only if every step ended as it should. It refuses to touch a home that anybody uses.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from carnet.cli.group import verb
from carnet.cli.session import Session, is_interactive, stopwatch

if TYPE_CHECKING:
    from carnet.cli.terminal import Terminal
    from carnet.node.home import Home
    from carnet.services.demonstration import Built, Elsewhere, Progress
    from carnet.services.serving import Serving
    from carnet.services.showing import Opened

PROOF, FORGED, PART, POLICY = "car.carnet", "forged.carnet", "part.carnet", "network.policy"
PART_FIELD = "odometer_km"


@verb(
    examples=(
        ("Tell the story, in a folder of its own", "carnet demo"),
        ("Keep the node where you want it", "carnet demo --home ./demo-node"),
    )
)
@click.option(
    "--home",
    "own_home",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where the node goes.  [a new temporary folder]",
)
@click.option("--seed", type=click.IntRange(0), default=2026, show_default=True, help="Another fleet.")
@click.option("--vehicles", type=click.IntRange(11, 100_000), default=240, show_default=True, help="How many vehicles.")
@click.option("--no-serve", is_flag=True, help="End after the story, as it does where no person sits at the terminal.")
@click.pass_obj
def demo(session: Session, own_home: Path | None, seed: int, vehicles: int, no_serve: bool) -> int:
    """Tell the whole story on a generated fleet, in half a minute; then serve it, until you stop it.

    Everything is invented: no person, organisation or vehicle in it exists. What is done with it is real.
    """
    from carnet.cli.terminal import Terminal
    from carnet.node.home import Home

    folder = Path(tempfile.mkdtemp(prefix="carnet-demo-"))
    named = own_home or (session.home_path if session.is_named else None)
    home = Home(named if named is not None else folder / "node")
    home.check_empty()
    story = _Story(Terminal(), home, folder / "stranger")
    try:
        with stopwatch() as taken:
            story.tell(seed, vehicles)
    except BaseException:
        # Nobody was told yet where it is.
        shutil.rmtree(folder, ignore_errors=True)
        raise
    story.say_what_next(taken[0])
    if story.is_good and not no_serve and is_interactive():
        story.serve()
    return 0 if story.is_good else 1


class _Story:
    """The steps, each told and each checked."""

    def __init__(self, terminal: Terminal, home: Home, stranger: Path) -> None:
        self._terminal, self._home, self._stranger = terminal, home, stranger
        self._built: Built | None = None
        self._step = 0
        self.is_good = True

    def tell(self, seed: int, vehicles: int) -> None:
        """All of it, in order."""
        say = self._terminal.say
        say(("Carnet", "bold"), ": a vehicle's history that anyone can verify, offline.")
        say(("Everything below is invented, and really done.", "dim"))
        built = self._build(seed, vehicles)
        vin = str(built.hero.subject)
        self._show_members(built)
        self._show_sealed(built)
        opened = self._show_life(vin)
        self._prove(vin)
        self._verify_elsewhere()
        self._forge(opened)
        self._take_away_the_policy()
        self._disclose_one_field(vin)
        self._show_rollback(built)

    def say_what_next(self, seconds: float) -> None:
        """Commands that work as they stand."""
        terminal, program = self._terminal, find_program()
        home, stranger = shlex.quote(str(self._home.path)), shlex.quote(str(self._stranger))
        terminal.rule(f"That was all of it, in {seconds:.0f} seconds. Now try it yourself:")
        for purpose, line in (
            ("every passport", f"{program} --home {home} list"),
            ("find one by its plate", f"{program} --home {home} find {self._plate}"),
            ("one life, newest first", f"{program} --home {home} show {self._vin}"),
            (
                "a proof of its inspections only",
                f"{program} --home {home} export {self._vin} -o inspections.carnet --only inspection",
            ),
            ("verify, as the stranger", f"{program} verify {stranger}/{PROOF} --policy {stranger}/{POLICY}"),
            ("check every stored bit", f"{program} --home {home} fsck"),
            ("certify a real file", f"{program} --home ./mine import histovec FILE"),
        ):
            terminal.say((f"# {purpose}", "dim"), indent=2)
            # Not wrapped: a command that is broken over two lines cannot be copied.
            click.echo(f"  {line}")
        if not self.is_good:
            click.echo("\nThe story did not end as it should: a step above is marked. Please report it.", err=True)

    def serve(self) -> None:
        """Let people come and see it in a browser, until Ctrl-C."""
        from dataclasses import replace

        from carnet.errors import Reason, Refused
        from carnet.services.logs import start_logs
        from carnet.services.serving import serve
        from carnet.services.settings import find_settings

        settings = find_settings({"host": "127.0.0.1", "log_level": "error"}, os.environ)
        start_logs(settings.log_level, "writer")
        for port in (settings.port, 0):
            try:
                serve(self._home, None, replace(settings, port=port), self._invite, environment=os.environ)
                return
            except Refused as refused:
                # The usual port is taken: any other will do for a demonstration.
                if refused.reason is not Reason.VALUE_OUT_OF_RANGE or port == 0:
                    raise

    def _invite(self, serving: Serving) -> None:
        from carnet.services.demonstration import invite

        if self._built is None:
            return
        found = invite(self._home, serving.address, self._built)
        self._terminal.rule("And now in a browser, until you press Ctrl-C:")
        curl = f"curl -H 'Authorization: Bearer {found.links.api_key}' {serving.address}"
        for purpose, line in (
            ("the holder of three vehicles", found.links.holder),
            ("an insurer's developer", found.links.developer),
            ("the operator", found.links.operator),
            ("a second operator, who grants what the first asks", found.links.second_operator),
            ("a garage's clerk, who drops the two files below", found.links.clerk),
            ("the holder's vehicles under that garage's name", found.under_name),
            ("yesterday's work, to be dropped there", str(found.files.yesterday)),
            ("another day's, with three cells to mend", str(found.files.other_day)),
            ("check a proof, such as the stranger's", f"{serving.address}/verify"),
            ("the developer's program reads what the insurer wrote", f"{curl}/v1/passports/{found.passport}/entries"),
        ):
            self._terminal.say((f"# {purpose}", "dim"), indent=2)
            click.echo(f"  {line}")

    # ---- the steps

    def _title(self, text: str) -> None:
        self._step += 1
        self._terminal.rule(f"{self._step}. {text}")

    def _build(self, seed: int, vehicles: int) -> Built:
        from carnet.services.demonstration import build_world

        with _show_progress(vehicles) as progress:
            built = build_world(self._home, seed=seed, vehicles=vehicles, progress=progress)
        self._built = built
        self._vin, self._plate = built.hero.subject.value, str(built.hero.plate)
        return built

    def _show_members(self, built: Built) -> None:
        from carnet.services.members import list_keys

        self._title("Who is there")
        kinds: dict[str, list[str]] = {}
        for member in built.members:
            if member.kind != "node":
                kinds.setdefault(str(member.kind).replace("_", " "), []).append(member.name)
        self._terminal.table(("kind", "members"), [[kind, "\n".join(names)] for kind, names in sorted(kinds.items())])
        own = [listed.member.name for listed in list_keys(built.members) if listed.custody == "own"]
        self._terminal.say(f"The node signs for those it hosts; {', '.join(own)} signs with a key that only it has.")

    def _show_sealed(self, built: Built) -> None:
        self._title("What was sealed")
        size = self._home.store.stat().st_size
        self._terminal.say(
            f"{built.entry_count:,} entries of {len(built.fleet):,} vehicles in {built.seconds:.1f} s "
            f"({built.entry_count / built.seconds:,.0f}/s, in {built.commit_count:,} durable commits), "
            f"{size // built.entry_count:,} bytes each on the disk."
        )
        self._terminal.say(
            f"The log has {built.record_count:,} records: roots and signatures. No VIN, plate, name or date of any "
            "vehicle is in it; contents are encrypted, each passport under its own key."
        )

    def _show_life(self, vin: str) -> Opened:
        from carnet.cli.timeline import show_timeline
        from carnet.services.reading import open_reader
        from carnet.services.showing import open_passport

        self._title(f"One life: {vin}")
        with open_reader(self._home) as reader:
            opened = open_passport(reader, vin)
        show_timeline(self._terminal, opened.entries)
        self._terminal.say(
            f"{opened.entry_count} entries, {opened.epoch + 1} holders. The garage's typing error was corrected and "
            "stays visible, the odometer was replaced and says so: nothing is ever overwritten."
        )
        return opened

    def _prove(self, vin: str) -> None:
        from carnet.services.exporting import Wanted, export_proof
        from carnet.services.reading import open_reader

        self._title("Its proof, given to a stranger")
        found = export_proof(self._home, vin, Wanted())
        self._stranger.mkdir(parents=True, exist_ok=True)
        (self._stranger / PROOF).write_bytes(found.data)
        with open_reader(self._home) as reader:
            (self._stranger / POLICY).write_bytes(reader.get_policy())
        self._terminal.say(
            f"{self._stranger} now holds two files: {PROOF} ({len(found.data):,} bytes, all {found.link_count} "
            f"entries) and {POLICY}, the network's public key as the stranger chose to trust it. Nothing else: "
            "no account, no node."
        )

    def _verify_elsewhere(self) -> None:
        self._title("The stranger verifies it, in another process with no access to the node")
        self._run_elsewhere(0, PROOF, "--policy", POLICY, "--complete")

    def _forge(self, opened: Opened) -> None:
        from carnet.services.demonstration import forge_reading

        self._title("Somebody makes the odometer look better: one byte of the file is altered")
        readings = [entry["fields"].get("odometer_km") or 0 for entry in opened.entries if entry["state"] == "stands"]
        # The largest that becomes smaller when its first digit becomes a 1.
        km = max(reading for reading in readings if str(reading)[0] > "1")
        forged, claimed = forge_reading((self._stranger / PROOF).read_bytes(), km)
        (self._stranger / FORGED).write_bytes(forged)
        self._terminal.say(f"{km:,} km becomes {claimed:,} km.")
        self._run_elsewhere(10, FORGED, "--policy", POLICY)

    def _take_away_the_policy(self) -> None:
        self._title("The true file again, but the stranger trusts nobody yet")
        self._run_elsewhere(11, PROOF)

    def _disclose_one_field(self, vin: str) -> None:
        from carnet.services.exporting import Wanted, export_proof

        self._title("Only the kilometres: one field of the inspections, the rest withheld and counted")
        wanted = Wanted(frozenset({"vehicle.inspection/1"}), frozenset({PART_FIELD}))
        found = export_proof(self._home, vin, wanted)
        (self._stranger / PART).write_bytes(found.data)
        self._run_elsewhere(0, PART, "--policy", POLICY, is_whole=True)

    def _show_rollback(self, built: Built) -> None:
        from carnet.cli.timeline import show_readings
        from carnet.services.reading import open_reader
        from carnet.services.showing import open_passport

        vehicle = built.get_story("rollback")
        self._title(f"Another vehicle, whose odometer went backwards: {vehicle.subject}")
        with open_reader(self._home) as reader:
            opened = open_passport(reader, str(vehicle.subject))
        show_readings(self._terminal, opened.entries, last=8)
        self._terminal.say(
            "Each reading is signed by who took it. Carnet does not hide it, and does not call it by a name."
        )

    # ---- the stranger

    def _run_elsewhere(self, wanted: int, *arguments: str, is_whole: bool = False) -> Elsewhere:
        from carnet.services.demonstration import verify_elsewhere

        terminal = self._terminal
        terminal.say(("$ carnet verify " + " ".join(arguments), "bold cyan"), indent=2)
        answer = verify_elsewhere(self._stranger, *arguments)
        lines = answer.output.rstrip().split("\n")
        for line in lines if is_whole else _cut(lines):
            click.echo(f"    {line}".rstrip())
        is_as_it_should = answer.exit_code == wanted
        self.is_good &= is_as_it_should
        shape = terminal.shape("good" if is_as_it_should else "bad")
        expected = "" if is_as_it_should else f", and {wanted} was expected"
        terminal.say(shape, f" exit code {answer.exit_code}{expected}", indent=2)
        return answer


def find_program() -> str:
    """How this program was called, as it can be called again from here."""
    called = sys.argv[0]
    if called.endswith("__main__.py"):
        return f"{shlex.quote(sys.executable)} -m carnet"
    return "carnet" if shutil.which("carnet") == str(Path(called).resolve()) else shlex.quote(called)


def _cut(lines: list[str]) -> list[str]:
    """The verdict, the findings and whom to ask, without the timeline that was shown above."""
    blank = [at for at, line in enumerate(lines) if not line]
    asking = [at for at, line in enumerate(lines) if line.startswith("Whose network")]
    return [*lines[: blank[1]], *(["", *lines[asking[0] :]] if asking else [])] if len(blank) > 1 else lines


@contextmanager
def _show_progress(vehicles: int) -> Iterator[Progress]:
    """A bar while the fleet is sealed, on a terminal."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task: Any = bar.add_task(f"Sealing the lives of {vehicles:,} vehicles", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


VERBS: dict[str, click.Command] = {"demo": demo}
