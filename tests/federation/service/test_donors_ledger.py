"""The donors' ledger over a clock that is moved by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from pool_stage import LAUNCH, Stage, member

from federation.core.facts import LaunchEnded, LoopFailed, Outcome, Redirected
from federation.core.ledger import Account, Served, document
from federation.core.model import Pacing, Seats
from federation.core.rules import Settings
from federation.service.ledger import DonorsLedger


class Store:
    """Keeps one document, or refuses."""

    def __init__(self, kept: object = None) -> None:
        self.kept = kept
        self.refuses: Exception | None = None

    async def read(self, path: str) -> object:
        if self.refuses is not None:
            raise self.refuses
        return self.kept

    async def write(self, path: str, document: Mapping[str, Any]) -> None:
        self.kept = document


def opened(stage: Stage, store: Store | None = None, **more: Any) -> DonorsLedger:
    settings = Settings(stage.settings.members, state_folder=None if store is None else "/state")
    return DonorsLedger(stage.pool, lambda: settings, stage, store or Store(), stage.facts.append, **more)


def ready(name: str, *, built: bool = False, outcome: Outcome = Outcome.READY) -> LaunchEnded:
    return LaunchEnded(LAUNCH, 1, outcome, name, 1, "ready", 1.0, built=built)


def test_session_hours_are_the_members_own_numbers_over_time() -> None:
    stage = Stage(member("alpha"), member("silent"))
    ledger = opened(stage)
    stage.look("alpha", seats=Seats(6, 10))
    for _ in range(60):
        ledger.beat()
        stage.time += 1
    stage.look("alpha", seats=Seats(12, 20))
    for _ in range(30):
        stage.time += 1
        ledger.beat()
    assert ledger.account("alpha").whole.session_hours == pytest.approx((59 * 6 + 31 * 12) / 3600, rel=0.02)
    assert ledger.account("silent").whole.session_hours == 0


def test_a_gap_counts_nothing_and_old_numbers_neither() -> None:
    stage = Stage(member("alpha"))
    ledger = opened(stage)
    stage.look("alpha", seats=Seats(6, 10))
    ledger.beat()
    stage.time += 40
    ledger.beat()
    stage.time -= 1000
    ledger.beat()
    assert ledger.account("alpha").whole.session_hours == 0
    stage.time += 2000
    for _ in range(5):
        ledger.beat()
        stage.time += 1
    assert ledger.account("alpha").whole.session_hours == 0


def test_launches_builds_and_redirects_are_counted_apart() -> None:
    stage = Stage(member("alpha"), member("beta"))
    ledger = opened(stage)
    views = stage.pool.views()
    facts = (
        ready("alpha", built=True),
        ready("alpha"),
        ready("beta", outcome=Outcome.FAILED),
        Redirected(LAUNCH, 2, views[1], views),
        ready("gone"),
    )
    for fact in facts:
        ledger.listen(fact)
    ledger.beat()
    found = {name: account.whole for name, account in ledger.accounts.items()}
    assert (found["alpha"].launches, found["alpha"].redirected, found["alpha"].builds) == (2, 0, 1)
    assert (found["beta"].launches, found["beta"].redirected, found["beta"].builds) == (0, 1, 0)
    assert found["gone"].launches == 1


def test_while_a_member_is_paced_its_launches_stand_for_more() -> None:
    stage = Stage(member("alpha"), member("beta"))
    stage.pool.pace("alpha", Pacing(0.25, "paced"))
    ledger = opened(stage)
    for _ in range(2):
        ledger.listen(ready("alpha"))
    ledger.beat()  # of 10 launches it takes 2, and would take 5
    assert ledger.account("alpha").whole.whole == pytest.approx(5)


async def test_a_ledger_is_written_at_the_end_and_taken_up_again() -> None:
    stage, store = Stage(member("alpha")), Store()
    for _ in range(2):
        async with opened(stage, store) as ledger:
            ledger.listen(ready("alpha", built=True))
    assert opened(stage, store).accounts == {}
    async with opened(stage, store) as ledger:
        assert ledger.account("alpha").whole == Served(launches=2, builds=2, whole=2)


async def test_without_a_state_folder_nothing_is_written() -> None:
    stage, store = Stage(member("alpha")), Store()
    ledger = DonorsLedger(stage.pool, lambda: stage.settings, stage, store, stage.facts.append)
    async with ledger:
        ledger.listen(ready("alpha"))
    assert store.kept is None and ledger.account("alpha").whole.launches == 1


async def test_a_ledger_that_is_none_is_told_once_and_never_written_over() -> None:
    stage, store = (
        Stage(member("alpha")),
        Store({"version": 1, "since": 1, "members": {"alpha": {"months": 3}}}),
    )
    bad = store.kept
    async with opened(stage, store) as ledger:
        ledger.listen(ready("alpha"))
    assert store.kept is bad
    (told,) = stage.told(LoopFailed)
    assert "/state/ledger.json members.alpha.months: 3, expected an object" in str(told.error)


async def test_a_disk_that_answers_late_takes_nothing_from_the_ledger() -> None:
    stage, store = Stage(member("alpha")), Store()
    kept = Account()
    kept.add(Served(launches=7), stage.now())
    store.kept = document({"alpha": kept}, 5.0)
    store.refuses = OSError("no answer")
    async with opened(stage, store) as ledger:
        ledger.listen(ready("alpha"))
        ledger.beat()
        store.refuses = None
    assert ledger.account("alpha").whole.launches == 8 and ledger.since == 5.0
    assert isinstance(store.kept, dict)
    (month,) = store.kept["members"]["alpha"]["months"].values()
    assert month["launches"] == 8
