"""One input, both stores: every row of every table is the same, and with it every root, signature and proof."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from carnet.node.home import Home
from carnet.node.jobs import Group
from carnet.proof.assemble import Selection, assemble_bundle
from carnet.types import Basis, Mark
from carnet.vault.store import open_store
from carnet.vault.tables import metadata
from tests.node.home import TestNode, make_item, make_node, more, new_passport, opening, reading, vin_subject
from tests.postgres import Cluster

REPORTED = Basis.REPORTED


def live(node: TestNode) -> list[bytes]:
    """Members, entries few and many, corrections, censuses, erasures, a restart. The passports that are left."""
    with node.open() as writer:
        registry = writer.enrol_member("Registry", "registration_authority")
        # More than COPY begins with, in several batches of one commit and in single ones.
        groups = [new_passport(number, *range(number % 7)) for number in range(300)]
        writer.append(node.operator.id, REPORTED, groups)
        sourced = reading(vin_subject(900), 5, source=b"s" * 16)
        writer.append(node.operator.id, REPORTED, [Group([opening(vin_subject(900)), sourced])])
        writer.take_census()
        subject = vin_subject(8)
        ref = writer.find_chain(subject)
        receipt = writer.append(node.operator.id, REPORTED, [more(ref, reading(subject, 77))]).receipts[0]
        undo = make_item("passport.corrected/1", subject, Mark.SUPERSEDES, receipt.sid, reason="other")
        writer.append(node.operator.id, REPORTED, [more(ref, undo)])
        writer.append(registry.id, Basis.HOSTED, [more(ref, make_item("passport.closed/1", subject, reason="other"))])
        writer.erase(receipt.chain16, [receipt.seq], "other")
    with node.open() as writer:
        gone = writer.find_chain(vin_subject(20))
        assert gone is not None
        writer.erase(gone.chain16, None, "other")
        writer.append(node.operator.id, REPORTED, [more(writer.find_chain(vin_subject(6)), reading(vin_subject(6), 1))])
        writer.take_census()
        kept = [writer.find_chain(vin_subject(number)) for number in (6, 8, 299, 900)]
    return [ref.chain16 for ref in kept if ref is not None]


def read_rows(node: TestNode) -> dict[str, list[Any]]:
    rows = {}
    with open_store(Home(node.path).address, is_read_only=True) as store:
        for table in metadata.sorted_tables:
            order = ", ".join(f'"{column.name}"' for column in table.primary_key.columns)
            found = store.connection.execute(f'SELECT * FROM "{table.name}" ORDER BY {order}').fetchall()
            rows[table.name] = [tuple(row) for row in found]
    return rows


def test_append__same_input_gives_the_same_rows_roots_and_proofs(tmp_path: Path, postgres: Cluster) -> None:
    nodes, chains, rows, bundles = [], [], [], []
    for name, url in (("file", None), ("server", postgres.make_url())):
        (tmp_path / name).mkdir()
        node = make_node(tmp_path / name, store_url=url)
        nodes.append(node)
        chains.append(live(node))
        rows.append(read_rows(node))
        with node.read() as reader:
            bundles.append([assemble_bundle(reader, chain, Selection()) for chain in chains[-1]])
        node.check()
    assert len(chains[0]) == 4
    assert chains[0] == chains[1]
    for table in metadata.tables:
        assert rows[0][table] == rows[1][table], table
    assert len(rows[0]["entry"]) > 1000
    assert len(rows[0]["checkpoint"]) > 3
    assert bundles[0] == bundles[1]
