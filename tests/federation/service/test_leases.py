"""The ledger of leases against a model that counts them one by one."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from federation.service.leases import HANDED, LINGER, Lease, Ledger


class Model(RuleBasedStateMachine):
    """Each launch is a list: [lease or None, until when it is held or None, whether the numbers show it]."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger()
        self.now = 1000.25
        self.changes = 0
        self.open: list[tuple[Lease, bool]] = []  # with whether it lingers
        self.closed: list[Lease] = []
        self.held: deque[float] = deque()  # until when at least
        self.shown_open: set[Lease] = set()

    def changed(self) -> None:
        self.changes += 1

    @rule(lingers=st.booleans())
    def begin(self, lingers: bool) -> None:
        lease = self.ledger.open(self.changed, lambda: self.now, lingers=lingers)
        self.open.append((lease, lingers))

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 100), ready=st.booleans())
    def end(self, which: int, ready: bool) -> None:
        lease, lingers = self.open.pop(which % len(self.open))
        before = self.changes
        lease.close(ready=ready)
        assert self.changes == before + 1
        self.closed.append(lease)
        if lease in self.shown_open:
            self.shown_open.discard(lease)
        elif ready and lingers:
            self.held.append(self.now + LINGER)

    @precondition(lambda self: self.closed)
    @rule(which=st.integers(0, 100), ready=st.booleans())
    def end_again(self, which: int, ready: bool) -> None:
        before = self.changes, self.ledger.hidden
        self.closed[which % len(self.closed)].close(ready=ready)
        assert (self.changes, self.ledger.hidden) == before

    @rule()
    def forget(self) -> None:
        self.ledger.forget()
        self.held.clear()

    @rule(grown=st.integers(0, 6))
    def look(self, grown: int) -> None:
        left = grown
        while left and self.held:
            self.held.popleft()
            left -= 1
        for lease, _ in self.open:
            if left and lease not in self.shown_open:
                self.shown_open.add(lease)
                left -= 1
        assert self.ledger.shown(grown) == grown - left
        assert self.ledger.sent == 0

    @rule(seconds=st.floats(0.0, 40.0))
    def later(self, seconds: float) -> None:
        """One holds a second more at most, since the ledger counts by whole seconds."""
        self.now += seconds
        self.ledger.expire(self.now)
        hidden = self.ledger.hidden - (len(self.open) - len(self.shown_open))
        certainly = sum(until > self.now for until in self.held)
        possibly = sum(until + 1.0 > self.now for until in self.held)
        assert certainly <= hidden <= possibly
        while len(self.held) > hidden:
            self.held.popleft()

    @invariant()
    def counts(self) -> None:
        assert self.ledger.hidden == len(self.open) - len(self.shown_open) + len(self.held) >= 0
        assert self.ledger.under_way == len(self.open)


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def test_a_redirected_launch_is_held_until_it_is_shown_or_time_is_over() -> None:
    ledger = Ledger()
    for number in range(5):
        ledger.hand(100.0 + number)
    assert (ledger.hidden, ledger.under_way, ledger.sent) == (5, 0, 5)
    assert ledger.shown(2) == 2 and ledger.hidden == 3
    assert not ledger.expire(102.0 + HANDED - 0.1)
    assert ledger.expire(102.0 + HANDED + 1) and ledger.hidden == 2
    assert ledger.expire(104.0 + HANDED + 1) and ledger.hidden == 0
    assert ledger.shown(3) == 0


def test_many_in_one_second_are_one_entry() -> None:
    ledger = Ledger()
    for _ in range(1000):
        ledger.hand(100.5)
    assert ledger.hidden == 1000 and ledger.shown(999) == 999 and ledger.hidden == 1
    ledger.expire(100.5 + HANDED + 1)
    assert ledger.hidden == 0


def test_a_clock_that_was_set_back_holds_nothing_for_longer() -> None:
    ledger = Ledger()
    ledger.hand(9000.0)
    ledger.hand(5000.0)
    ledger.expire(5001.0)
    ledger.hand(5001.0)
    assert ledger.hidden == 1
    ledger.expire(5002.0 + HANDED)
    assert ledger.hidden == 0


def test_a_lease_is_given_back_whatever_the_block_does() -> None:
    ledger, calls = Ledger(), []
    with (
        pytest.raises(KeyError),
        ledger.open(lambda: calls.append(ledger.hidden), lambda: 0.0, lingers=True),
    ):
        assert ledger.hidden == 1
        raise KeyError
    assert calls == [0] and ledger.hidden == 0
