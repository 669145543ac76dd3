"""What the pool makes of launches of our own: they count as a visitor's do, and each of them."""

from __future__ import annotations

import pytest

from federation.core.facts import AttemptEnded, CanaryEnded, Outcome
from federation.core.launchkey import parse_spec
from federation.core.model import Launch, Member, State
from federation.core.rules import Settings
from federation.service.pool import Pool
from federation.service.ports import ProbeResult

CANARY = parse_spec("gh/binder-examples/conda/HEAD")


class Hands:
    """A clock that is turned by hand."""

    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        self.time += 1
        return self.time


@pytest.fixture
def pool() -> Pool:
    pool = Pool(Settings(tuple(Member(name, f"http://{name}", 1) for name in ("alpha", "beta"))), Hands())
    for name in ("alpha", "beta"):
        pool.observe(ProbeResult(name, 1000, ok=True, answered=True))
    return pool


def state(pool: Pool, name: str) -> State:
    view = pool.view(name)
    assert view is not None
    return view.state


def visitors(pool: Pool, count: int) -> None:
    """Launches of other repositories that alpha did well."""
    for id in range(count):
        launch = Launch("gh", f"u/{id}/HEAD", f"/build/gh/u/{id}")
        pool.listen(AttemptEnded(launch, id, "alpha", 1, Outcome.READY, "ready", "", 1))


def canary(pool: Pool, member: str, cause: str = "", id: int = -1) -> None:
    outcome = Outcome.LOST if cause else Outcome.READY
    pool.listen(CanaryEnded(member, id, CANARY, outcome, cause or "ready", "", 1))


def test_each_failure_counts_of_what_was_ready_elsewhere(pool: Pool) -> None:
    canary(pool, "alpha")
    visitors(pool, 6)
    for _ in range(3):
        assert state(pool, "beta") is State.HEALTHY
        canary(pool, "beta", "launch")
    assert state(pool, "beta") is State.EJECTED


def test_each_failure_counts_of_what_is_ready_elsewhere_later(pool: Pool) -> None:
    visitors(pool, 6)
    for _ in range(5):
        canary(pool, "beta", "launch")
    assert state(pool, "beta") is State.HEALTHY
    canary(pool, "alpha")
    pool.tick()
    assert state(pool, "beta") is State.EJECTED


def test_what_was_ready_nowhere_counts_once(pool: Pool) -> None:
    canary(pool, "alpha", id=-1)  # of another spec
    visitors(pool, 6)
    for _ in range(9):
        canary(pool, "beta", "launch", id=-2)
    assert state(pool, "beta") is State.HEALTHY


def test_a_failure_that_is_not_the_members_counts_nowhere(pool: Pool) -> None:
    canary(pool, "alpha")
    visitors(pool, 6)
    for _ in range(9):
        canary(pool, "beta", "repository")
    assert state(pool, "beta") is State.HEALTHY
