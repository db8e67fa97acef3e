"""Chains that are linked together come out as chains that are linked one by one, whatever is special about some."""

from __future__ import annotations

import random
from pathlib import Path

from carnet.node.jobs import ChainRef, Group, Item, Prepared
from carnet.node.placing import Outcome, tally_receipts
from carnet.node.writer import Writer
from carnet.types import Basis, Mark, Subject
from tests.node.home import TestNode, make_item, make_node, more, new_passport, reading, vin_subject

COUNT = 100
TABLES = (
    "entry ORDER BY chain, seq", "submission ORDER BY id", "seal ORDER BY idx", "chain ORDER BY id",
    "census_changed ORDER BY chain", "log_record ORDER BY idx",
)  # fmt: skip


class Twin:
    """One of two nodes to which the same happens."""

    def __init__(self, path: Path, *, is_together: bool) -> None:
        self.node = make_node(path)
        self.writer: Writer = self.node.open()
        self._is_together = is_together
        self._chance = random.Random(7)
        self._sids = dict[int, list[bytes]]()

    def prepare(self, *groups: Group) -> Prepared:
        job = self.writer.make_job(self.node.operator.id, Basis.REPORTED, groups)
        # Of a submission that came from elsewhere each chain is looked at by itself.
        return self.writer.prepare(job)._replace(is_signed_here=self._is_together)

    def commit(self, count: int, *submissions: Prepared, is_quiet: bool = False) -> list[Outcome]:
        outcomes = self.writer.commit(submissions, is_quiet=is_quiet)
        assert all(one.refused is None for one in outcomes)
        for receipt in [receipt for one in outcomes for receipt in one.receipts]:
            self._sids.setdefault(self._get_number(receipt.chain16), []).append(receipt.sid)
        assert sum(one.tally.sealed for one in outcomes) >= count
        return outcomes

    def _get_number(self, chain16: bytes) -> int:
        ref = self.writer.find_chain_by_id(chain16)
        assert ref is not None
        return ref.id

    def make_groups(self, new: int) -> list[Group]:
        """Some of the passports in random order, one of them twice, one with a row that all submissions of a turn have,
        and one that is new; something is special about a fifth of them."""
        numbers, subject = self._chance.sample(range(COUNT - 1), 20), vin_subject(COUNT - 1)
        groups = [self._make_group(number) for number in (*numbers, numbers[0])]
        groups.append(more(self.writer.find_chain(subject), reading(subject, 1, source=b"%16d" % (new % 1_000))))
        self._chance.shuffle(groups)
        groups.insert(self._chance.randrange(len(groups)), new_passport(new, 1, 2))
        return groups

    def _make_group(self, number: int) -> Group:
        subject, chance = vin_subject(number), self._chance
        ref = self.writer.find_chain(subject)
        assert ref is not None
        rows = [self._make_row(subject) for _ in range(chance.choice((1, 1, 1, 2, 3)))]
        odd = self._make_odd(subject, ref)
        if chance.random() < 0.1:
            return more(ref, odd)
        rows.insert(chance.randrange(len(rows) + 1), odd)
        if chance.random() < 0.06:
            ref = chance.choice((ref._replace(id=9_999), ref._replace(id=1 + number % 7)))
        return more(ref, *rows) if chance.random() < 0.2 else more(ref, *[row for row in rows if row.mark == 0][:2])

    def _make_row(self, subject: Subject) -> Item:
        """One of few sources, so that some are known."""
        chance = self._chance
        source = (
            b"%16d" % chance.randrange(3) if chance.random() < 0.15 else chance.choice((None, chance.randbytes(16)))
        )
        return reading(subject, chance.randrange(10_000), source=source)

    def _make_odd(self, subject: Subject, ref: ChainRef) -> Item:
        sid = self._chance.choice([*self._sids.get(ref.id, ())[1:], bytes(32)])
        odd = [
            make_item("passport.corrected/1", subject, Mark.SUPERSEDES, sid, reason="other"),
            make_item("vehicle.title/1", subject, event="lost"),
            make_item("passport.closed/1", subject, reason="other"),
            self._make_row(subject),
        ]
        return self._chance.choice(odd)

    def read(self) -> list[list[object]]:
        connection = self.writer._connection
        return [connection.execute(f"SELECT * FROM {table}").fetchall() for table in TABLES]


def test_place_all__together_and_one_by_one(tmp_path: Path) -> None:
    twins = [Twin(tmp_path / name, is_together=name == "together") for name in ("together", "each")]
    for twin in twins:
        many = [new_passport(number, *range(number % 3)) for number in range(COUNT)]
        twin.commit(COUNT, twin.prepare(*many))
    reasons, stores = set[str](), dict[Twin, list[list[object]]]()
    for turn in range(25):
        told = []
        for twin in twins:
            first, second = twin.make_groups(1_000 + turn), twin.make_groups(2_000 + turn)
            told.append(twin.commit(20, twin.prepare(*first), twin.prepare(*second)))
            stores[twin] = twin.read()
            if turn % 3 == 2:
                twin.writer.take_census()
        assert told[0] == told[1]
        assert stores[twins[0]] == stores[twins[1]]
        assert all(one.tally == tally_receipts(one.receipts) for one in told[0])
        reasons |= {refusal.reason for outcome in told[0] for refusal in outcome.refusals}
    assert {"already_sealed", "unknown_passport", "unknown_target"} <= reasons
    # More than a batch has room for, which is full in the middle of a chain's rows.
    for twin in twins:
        full = [more(twin.writer.find_chain(vin_subject(number)), *[reading(vin_subject(number), 7)] * 50)
                for number in range(COUNT)]  # fmt: skip
        twin.commit(4_097, twin.prepare(*full), is_quiet=True)
    assert twins[0].read() == twins[1].read()
    for twin in twins:
        _end(twin.node)


def _end(node: TestNode) -> None:
    node.close()
    node.check()
