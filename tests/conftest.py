"""What every test run shares: repeatable properties, and an honest list of what was left out.

A run that skips something must say so at its end; with CARNET_NO_SKIP=1 (continuous integration) it must fail.
This module knows nothing of Carnet itself.
"""

from __future__ import annotations

import gc
import os
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, settings

from tests.filter_off import is_off, switch_off
from tests.postgres import Cluster, find_memory, run_cluster

# The same examples on every machine and every day, so that a red run can be repeated; to look further than that:
# --hypothesis-profile=explore
settings.register_profile(
    "repeatable",
    derandomize=True,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "explore", deadline=None, print_blob=True, max_examples=2_000, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("repeatable")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Folders of tests lie in memory where there is plenty: flushes are asked for all the same, and waited for no more.
    What is about waiting for a disk asks for a folder on one (`tests.faults.test_kill.make_place`)."""
    if (memory := find_memory()) is not None:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(memory))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """A PostgreSQL server of this test process; without one here, the test is left out, and says so."""
    with run_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="session", autouse=True)
def everywhere(request: pytest.FixtureRequest) -> None:
    """With CARNET_TEST_STORE=postgres every node of the tests that says nothing else keeps its store in PostgreSQL;
    with CARNET_TEST_FILTER=off so too, and the application's own filter is off."""
    if is_off():
        switch_off()
    if is_off() or os.environ.get("CARNET_TEST_STORE") == "postgres":
        from tests.node.home import Elsewhere

        Elsewhere.make_url = request.getfixturevalue("postgres").make_database


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With the application's filter off, a test of what the program alone keeps back has to fail."""
    for item in items if is_off() else ():
        if marker := item.get_closest_marker("program_alone"):
            item.add_marker(pytest.mark.xfail(reason=f"the program alone keeps back {marker.args[0]}", strict=True))


@pytest.fixture
def plain_url(postgres: Cluster) -> Iterator[str]:
    """A schema of a user of the server who may make tables in it, and nothing else."""
    with postgres.owned_by("plain") as url:
        yield url


def pytest_collection(session: pytest.Session) -> None:
    """Nothing that is loaded or collected is garbage: it is not searched for any."""
    gc.disable()


def pytest_collection_finish(session: pytest.Session) -> None:
    """What is loaded stays: without this, each search for garbage goes through all modules and tests again."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Tests that are marked `apart` run in a thread of their own: there no other test has left a loop running."""
    if pyfuncitem.get_closest_marker("apart") is None:
        return None
    names = pyfuncitem._fixtureinfo.argnames
    with ThreadPoolExecutor(1) as thread:
        thread.submit(pyfuncitem.obj, **{name: pyfuncitem.funcargs[name] for name in names}).result()
    return True


def collect_left_out(reporter: pytest.TerminalReporter) -> dict[str, list[str]]:
    """The tests that did not run, under each reason: skips, known failures, and what the Makefile had to leave out."""
    left_out: dict[str, list[str]] = defaultdict(list)
    if by_make := os.environ.get("CARNET_LEFT_OUT"):
        left_out[by_make].append("make test")
    for report in reporter.stats.get("skipped", []):
        # A skip's longrepr is (file, line, "Skipped: reason").
        reason = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
        left_out[reason.removeprefix("Skipped: ")].append(report.nodeid)
    for report in reporter.stats.get("xfailed", []):
        left_out[f"known to fail: {getattr(report, 'wasxfail', '')}"].append(report.nodeid)
    return dict(left_out)


def get_reporter(config: pytest.Config) -> pytest.TerminalReporter | None:
    """The terminal's reporter; a worker process has none."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    return reporter if isinstance(reporter, pytest.TerminalReporter) else None


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """With CARNET_NO_SKIP=1, a run that left anything out has failed, even when all that ran has passed."""
    reporter = get_reporter(session.config)
    if reporter is None or hasattr(session.config, "workerinput"):
        return
    if os.environ.get("CARNET_NO_SKIP") == "1" and exitstatus == pytest.ExitCode.OK and collect_left_out(reporter):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name what was left out, and why, just above the runner's own last line."""
    left_out = collect_left_out(terminalreporter)
    if not left_out:
        return
    forbidden = os.environ.get("CARNET_NO_SKIP") == "1"
    terminalreporter.section("left out" + (" (CARNET_NO_SKIP=1: this run fails)" if forbidden else ""))
    for reason, tests in sorted(left_out.items()):
        terminalreporter.write_line(f"{len(tests):4} x {reason}")
        for test in tests[:5]:
            terminalreporter.write_line(f"       {test}")
        if len(tests) > 5:
            terminalreporter.write_line(f"       ... and {len(tests) - 5} more")
