"""Whatever operators do in whatever order: nothing about a member changes that two of them did not decide. Design:
security 13."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from carnet.errors import Refused
from carnet.node.acts import RetireMember, RevokeKey, RotateKey
from carnet.services.approving.requests import VALID_MS, ask, grant, list_approvals, refuse, resume, withdraw
from carnet.services.approving.wishes import Wish
from carnet.services.members import plan_accreditation, plan_enrolment
from tests.services.approving.ground import open_ground

OPERATORS = 3
who = st.integers(0, OPERATORS - 1)


class TwoPeople(RuleBasedStateMachine):
    """The oracle knows what was asked, by whom and when, and what was decided."""

    approvals = Bundle("approvals")

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        folder = self.stack.enter_context(TemporaryDirectory())
        self.ground = self.stack.enter_context(open_ground(Path(folder), OPERATORS))
        self.asked: dict[str, tuple[str, int]] = {}
        self.granted: dict[str, str] = {}
        self.closed: set[str] = set()
        self.names = 0
        self.size = self.ground.writer.state.size

    def teardown(self) -> None:
        self.stack.close()

    @property
    def now(self) -> int:
        return self.ground.node.clock.now

    def _ask(self, by: int, wish: Wish) -> object:
        ground, operator = self.ground, self.ground.operators[by]
        try:
            made = ask(ground.office, ground.writer, operator, wish).public_id
        except Refused:
            return multiple()
        self.asked.setdefault(made, (str(operator.account), self.now))
        return made

    @rule(target=approvals, by=who)
    def ask_for_a_member(self, by: int) -> object:
        self.names += 1
        return self._ask(by, plan_enrolment(self.ground.writer.state, f"Member {self.names}", "garage"))

    @rule(target=approvals, by=who, at=st.integers(0, 5), what=st.sampled_from(["retire", "revoke", "rotate", "less"]))
    def ask_for_a_change(self, by: int, at: int, what: str) -> object:
        members = self.ground.writer.state.members.all
        member = members[at % len(members)]
        digest = member.keys[0].digest
        wishes: dict[str, Wish] = {
            "retire": RetireMember(member.id),
            "revoke": RevokeKey(member.id, digest),
            "rotate": RotateKey(member.id, digest),
        }
        if what == "less":
            if not member.accreditations:
                return multiple()
            kind, basis, _ = member.accreditations[0]
            wishes["less"] = plan_accreditation(
                self.ground.writer.state, member.id.hex(), kind, basis, is_withdrawn=True
            )
        return self._ask(by, wishes[what])

    @rule(approval=approvals, by=who)
    def grant(self, approval: str, by: int) -> None:
        operator, before = self.ground.operators[by], self.ground.writer.state.size
        asked_by, asked_at = self.asked[approval]
        may = asked_by != operator.account and approval not in self.closed and self.now < asked_at + VALID_MS - 1_000
        try:
            became = grant(self.ground.office, self.ground.writer, operator, approval)
        except Refused:
            assert not may
            assert self.ground.writer.state.size == before
            return
        # Within a second of the end either is right: the clock goes on while this looks at it.
        assert may or abs(self.now - asked_at - VALID_MS) < 2_000
        assert became.state in ("done", "failed")
        self.closed.add(approval)
        if became.state == "done":
            self.granted[approval] = str(operator.account)
            self.size = self.ground.writer.state.size
        assert self.ground.writer.state.size == self.size

    @rule(approval=consumes(approvals), by=who, is_own=st.booleans())
    def turn_down(self, approval: str, by: int, is_own: bool) -> None:
        operator = self.ground.operators[by]
        try:
            (withdraw if is_own else refuse)(self.ground.office, operator, approval)
        except Refused:
            return
        assert approval not in self.closed
        assert (self.asked[approval][0] == operator.account) == is_own
        self.closed.add(approval)

    @rule(days=st.integers(1, 4))
    def wait(self, days: int) -> None:
        self.ground.wait(days * 86_400_000)
        resume(self.ground.office, self.ground.writer)

    @invariant()
    def nothing_changed_that_two_did_not_decide(self) -> None:
        assert self.ground.writer.state.size == self.size
        for one in list_approvals(self.ground.office, self.ground.operators[0]):
            assert (one.state == "done") == (one.public_id in self.granted)
            if one.state in ("done", "failed", "granted", "refused"):
                assert one.decided_by not in (None, one.asked_by)
                assert (one.decided_at or 0) < one.until


def test_two_people__decide_whatever_changes_in_whatever_order() -> None:
    chosen = settings(max_examples=12, stateful_step_count=25, deadline=None)
    run_state_machine_as_test(TwoPeople, settings=chosen)  # type: ignore[no-untyped-call]
