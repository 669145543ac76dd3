from __future__ import annotations

from federation.core.facts import LookFailed, PhaseEnded, Reconfigured
from federation.service.patience import Patience


def taught(*members: str) -> Patience:
    patience = Patience()
    for member in members:
        for _ in range(10):
            patience.listen(PhaseEnded(member, "launching", 6.0))
    return patience


def test_each_member_has_a_limit_of_its_own() -> None:
    patience = taught("alpha")
    for _ in range(10):
        patience.listen(PhaseEnded("beta", "launching", 12.0))
    assert patience.limit("alpha", "launching", 90.0) == 18.0
    assert patience.limit("beta", "launching", 90.0) == 36.0
    assert patience.limit("gamma", "launching", 90.0) == 90.0
    assert patience.limit("alpha", "building", 90.0) == 90.0


def test_a_member_that_is_gone_is_forgotten_and_others_are_not() -> None:
    patience = taught("alpha", "beta")
    patience.listen(Reconfigured(added=(), removed=("alpha", "never-there"), changed=("beta",)))
    assert patience.limit("alpha", "launching", 90.0) == 90.0
    assert patience.limit("beta", "launching", 90.0) == 18.0


def test_other_facts_teach_nothing() -> None:
    patience = Patience()
    patience.listen(LookFailed("alpha", "launching"))
    assert patience.limit("alpha", "launching", 90.0) == 90.0
