"""The verbs on a store in PostgreSQL, from `init` to a proof that a stranger checks; and moved there and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.cli.run import Ran, carnet
from tests.cli.test_erase import import_file, prove, subject, write_file
from tests.postgres import Cluster
from tests.shared import ROOT

DOCS = ROOT / "docs"


@pytest.fixture
def url(postgres: Cluster) -> str:
    return postgres.make_url()


@pytest.fixture
def home(tmp_path: Path, url: str) -> Path:
    """A node in the database, with three vehicles."""
    home = tmp_path / "home"
    made = carnet("init", "--name", "example.org", "--store", url, home=home)
    assert made.code == 0, made.err
    assert "postgresql://carnet@" in made.out
    assert import_file(tmp_path, home, write_file(tmp_path)).json_lines[-1]["sealed"] == 9
    return home


def run(*arguments: str | Path, home: Path) -> Ran:
    ran = carnet(*arguments, home=home)
    assert ran.code == 0, ran.err
    return ran


def export(home: Path, file: Path, *since: str | Path) -> Path:
    run("export", subject(1), "-o", file, *since, home=home)
    return file


def test_store__every_verb_works_in_the_database(tmp_path: Path, home: Path) -> None:
    assert not (home / "node.db").exists()
    assert (home / "store.url").stat().st_mode & 0o777 == 0o600
    again = import_file(tmp_path, home, write_file(tmp_path)).json_lines[-1]
    assert (again["sealed"], again["duplicate"]) == (0, 9)
    listed = [line for line in run("list", "--json", home=home).json_lines if "passport" in line]
    assert len(listed) == 3
    assert "81,001" in run("show", subject(1), home=home).out
    assert prove(tmp_path, home, subject(1)).code == 0
    member = run("member", "add", "--name", "Garage", "--kind", "garage", "--json", home=home).json
    assert member
    run("census", home=home)
    assert run("fsck", "--json", home=home).json["clean"] is True
    assert run("status", "--json", home=home).json["passports"]["number"] == 3
    found = {line["check"]: line["level"] for line in run("doctor", "--json", home=home).json_lines if "check" in line}
    assert found["store"] == "ok"
    refused = carnet("init", "--json", home=home)
    assert refused.json_error["error"] == "node_exists"


def test_init__refused_database_of_another_node(tmp_path: Path, home: Path, url: str) -> None:
    refused = carnet("init", "--store", url, "--json", home=tmp_path / "other")
    assert (refused.code, refused.json_error["error"]) == (1, "node_exists")
    assert run("fsck", "--json", home=home).json["clean"] is True


@pytest.mark.parametrize(
    "store,error",
    [
        ("postgresql://carnet:hush@/postgres?host=/nonexistent", "store_unreachable"),
        ("postgresql://carnet:hush@/postgres?hast=/nonexistent", "value_out_of_range"),
        ("mysql://carnet:hush@db/carnet", "value_out_of_range"),
    ],
)
def test_init__refused_bad_store(tmp_path: Path, store: str, error: str) -> None:
    refused = carnet("init", "--store", store, "--json", home=tmp_path / "home")
    assert (refused.code, refused.json_error["error"]) == (1, error)
    assert "hush" not in refused.err + refused.out
    # Nothing stands in the way of another try.
    assert carnet("init", "--json", home=tmp_path / "home").code == 0


def test_init__refused_schema_that_is_not_there_or_not_the_users(tmp_path: Path, url: str) -> None:
    schema = url.rpartition("%3D")[2]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE owner_of_none_{schema} LOGIN".encode())
    for store in (url.replace(schema, "absent"), url.replace("carnet@", f"owner_of_none_{schema}@")):
        refused = carnet("init", "--store", store, home=tmp_path / "home")
        assert refused.code == 1
        assert "(code: store_unreachable)" in refused.err
        assert "CREATE SCHEMA" in refused.err
        assert "fsck" not in refused.err
    # Nothing stands in the way of another try.
    assert carnet("init", "--store", url, home=tmp_path / "home").code == 0


def test_erase__tables_are_written_anew(tmp_path: Path, home: Path, url: str, postgres: Cluster) -> None:
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT content, secret FROM entry WHERE chain = 2").fetchall()
        digests = connection.execute("SELECT source FROM entry WHERE chain = 2 AND source IS NOT NULL").fetchall()
        others = connection.execute("SELECT content FROM entry WHERE chain = 3").fetchall()
    traces = [bytes(value) for row in [*rows, *digests] for value in row]
    assert len(traces) > 8
    flush(postgres)
    assert find_in_tables(postgres, traces) == set(traces)
    ran = run("erase", subject(1), "--reason", "unlawful", "--yes", "--json", home=home)
    searched = ran.json["searched"]
    assert (searched["gone"], searched["tables"][0]) == (True, "entry")
    assert any("write-ahead log" in copy for copy in ran.json["copies"])
    flush(postgres)
    assert find_in_tables(postgres, traces) == set()
    assert find_in_tables(postgres, [bytes(row[0]) for row in others]) != set()
    assert carnet("show", subject(1), "--json", home=home).json_error["error"] == "erased"
    assert prove(tmp_path, home, subject(2)).code == 0
    assert run("fsck", "--json", home=home).json["clean"] is True
    shown = run("erase", subject(2), "--entry", "1", "--yes", home=home).out
    assert "wrote these tables anew" in shown


def test_erase__is_in_no_file_of_the_server_nor_after_an_older_copy_is_put_back(
    tmp_path: Path, postgres: Cluster
) -> None:
    """With the server's whole disk in hand: tables, dead rows, and a write-ahead log of many segments. Then the
    database comes back as it was before the erasure, and whoever would write erases again before it is refused."""
    with psycopg.connect(postgres.admin_url, autocommit=True) as admin:
        admin.execute("CREATE DATABASE cars")
        url, home = postgres.admin_url.replace("/postgres?", "/cars?"), tmp_path / "home"
        run("init", "--name", "example.org", "--store", url, home=home)
        import_file(tmp_path, home, write_file(tmp_path))
        traces = note_traces(url)
        admin.execute("CREATE DATABASE older TEMPLATE cars")
        leave_in_the_log(admin, url)
        assert find_in_server(postgres, traces) == {"base": set(traces), "pg_wal": set(traces)}
        ran = run("erase", subject(1), "--yes", "--json", home=home)
        assert find_in_server(postgres, traces, but="older")["pg_wal"] == set(traces)
        (told,) = [copy.partition(", with ")[2] for copy in ran.json["copies"] if "own write-ahead log" in copy]
        assert f"```sql\n{told}\n```" in (DOCS / "postgresql.md").read_text(encoding="utf-8")
        admin.execute(told.encode())
        assert find_in_server(postgres, traces, but="older") == {}
        admin.execute("DROP DATABASE cars")
        admin.execute("ALTER DATABASE older RENAME TO cars")
        assert find_in_server(postgres, traces)["base"] == set(traces)
        finding, _ = carnet("fsck", "--json", home=home).json_lines
        assert (finding["table"], "not carried out" in finding["what"]) == ("erasure", True)
        assert carnet("census", "--json", home=home).json_error["error"] == "stale_copy"
        admin.execute(told.encode())
        assert find_in_server(postgres, traces) == {}
        assert carnet("show", subject(1), "--json", home=home).json_error["error"] == "erased"
        assert "61,002" in run("show", subject(2), home=home).out
        admin.execute("DROP DATABASE cars")


def note_traces(url: str) -> list[bytes]:
    """All that an erasure of the second passport must destroy, as it is stored."""
    contents = "SELECT content, secret, source FROM entry WHERE chain = 2"
    keys = "SELECT blind, subject, wrapped FROM chain JOIN passport_key ON chain = chain.id WHERE chain.id = 2"
    with psycopg.connect(url) as connection:
        rows = connection.execute(contents).fetchall() + connection.execute(keys).fetchall()
    traces = [bytes(value) for row in rows for value in row if value is not None]
    # Four entries, of which three come from a row; and the passport's own.
    assert len(traces) == 4 * 2 + 3 + 3
    return traces


def leave_in_the_log(admin: psycopg.Connection[Any], url: str) -> None:
    """Images of all pages, and so many segments after them that the server keeps old ones to use them again."""
    admin.execute("CHECKPOINT")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE entry SET seal = seal")
        connection.execute("UPDATE chain SET closed = closed")
        connection.execute("UPDATE passport_key SET wrapped = wrapped")
    for _ in range(3):
        admin.execute("SELECT pg_switch_wal()")
        admin.execute("SELECT txid_current()")
    admin.execute("CHECKPOINT")


def find_in_server(postgres: Cluster, traces: list[bytes], *, but: str | None = None) -> dict[str, set[bytes]]:
    """Those of the bytes that stand in a file of the server, by its folder, after a checkpoint; `but` in the tables of
    one database, which stands for a copy that is kept elsewhere."""
    with psycopg.connect(postgres.admin_url, autocommit=True) as admin:
        admin.execute("CHECKPOINT")
        row = admin.execute("SELECT oid FROM pg_database WHERE datname = %s", (but,)).fetchone()
    found: dict[str, set[bytes]] = {}
    for file in sorted(postgres.data.rglob("*")):
        place = file.relative_to(postgres.data).parts
        if file.is_file() and not (row and place[:2] == ("base", str(row[0]))):
            # What is empty is left out: there is much of it.
            data = file.read_bytes().replace(bytes(4096), b"")
            found.setdefault(place[0], set()).update(trace for trace in traces if trace in data)
    return {folder: seen for folder, seen in found.items() if seen}


def test_erase__session_that_still_sees_it_is_told(home: Path, url: str, postgres: Cluster) -> None:
    with psycopg.connect(url) as reading:
        reading.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reading.execute("SELECT count(*) FROM entry").fetchone()
        ran = run("erase", subject(1), "--yes", "--json", home=home)
        assert ran.json["searched"]["gone"] is False
        assert "a session that reads the database still sees it" in ran.err
    # The next writer finishes it.
    run("census", home=home)
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM erasure WHERE cleared = 0").fetchone() == (0,)


def flush(postgres: Cluster) -> None:
    with psycopg.connect(postgres.admin_url, autocommit=True) as connection:
        connection.execute("CHECKPOINT")


def find_in_tables(postgres: Cluster, traces: list[bytes]) -> set[bytes]:
    """Those of the bytes that stand in a file of the server's tables, as whoever has its disk would look for them."""
    data = b"\n".join(file.read_bytes() for file in (postgres.data / "base").rglob("*") if file.is_file())
    return {trace for trace in traces if trace in data}


def test_backup__of_a_database_is_restored_to_a_file(tmp_path: Path, home: Path) -> None:
    (tmp_path / "pass").write_text("a long passphrase\n")
    options = ("--passphrase-file", tmp_path / "pass")
    ran = carnet("backup", "-o", tmp_path / "b", *options, home=home)
    if ran.code != 0:
        pytest.fail(ran.err)
    ran = carnet("restore", tmp_path / "b", *options, home=tmp_path / "copy")
    assert ran.code == 0, ran.err
    assert (tmp_path / "copy" / "node.db").exists()
    assert run("fsck", "--json", home=tmp_path / "copy").json["clean"] is True


def test_move__proof_from_before_stands_in_the_same_log(tmp_path: Path, url: str) -> None:
    home = tmp_path / "home"
    run("init", "--name", "example.org", home=home)
    import_file(tmp_path, home, write_file(tmp_path))
    policy = tmp_path / "network.policy"
    policy.write_text(run("policy", home=home).out)
    before = export(home, tmp_path / "before.carnet")
    moved: dict[str, Any] = run("move", "--to", url, "--json", home=home).json
    assert moved["rows"] > 40
    assert moved["to"].startswith("postgresql://carnet@")
    assert run("policy", home=home).out == policy.read_text()
    run("member", "add", "--name", "Garage", "--kind", "garage", home=home)
    run("census", home=home)
    there = export(home, tmp_path / "there.carnet", "--since", before)
    assert "Moved" in run("move", "--to", "sqlite", home=home).out
    run("census", home=home)
    back = export(home, tmp_path / "back.carnet", "--since", there)
    for bundle, since in ((before, None), (there, before), (back, there)):
        options = () if since is None else ("--since", since)
        assert carnet("verify", bundle, "--policy", policy, *options).code == 0
    again = carnet("move", "--to", "sqlite", "--json", home=home)
    assert (again.code, again.json_error["error"]) == (1, "node_exists")
    assert run("fsck", "--json", home=home).json["clean"] is True


def test_move__what_is_erased_later_is_still_in_the_old_store(tmp_path: Path, url: str) -> None:
    home = tmp_path / "home"
    run("init", home=home)
    import_file(tmp_path, home, write_file(tmp_path))
    run("move", "--to", url, home=home)
    ran = run("erase", subject(1), "--yes", "--json", home=home)
    assert ran.json["searched"]["found_in"] == ["node.db.moved-1"]
    assert "remove the file" in ran.err
    # No writer says that it is gone while it is there, and fsck contradicts whoever does.
    run("census", home=home)
    count = "SELECT count(*) FROM erasure WHERE cleared = 1"
    with psycopg.connect(url) as connection:
        assert connection.execute(count).fetchone() == (0,)
    assert run("fsck", "--json", home=home).json["clean"] is True
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE erasure SET cleared = 1")
    checked = carnet("fsck", home=home)
    assert (checked.code, "node.db.moved-1 still keeps what was erased" in checked.out + checked.err) == (1, True)
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE erasure SET cleared = 0")
    for file in home.glob("node.db.moved-1*"):
        file.unlink()
    run("census", home=home)
    with psycopg.connect(url) as connection:
        assert connection.execute(count).fetchone() == (1,)
    assert run("fsck", "--json", home=home).json["clean"] is True
