"""The pool with a clock that is moved by hand, and facts that are told to it directly: no wire and no waiting."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from federation.core.facts import (
    AttemptEnded,
    BlindnessChanged,
    Fact,
    LaunchEnded,
    LookFailed,
    Outcome,
    StateChanged,
)
from federation.core.model import Check, Launch, Member, MemberView, Operation, Seats, Signal, State, Tally
from federation.core.routing import choose
from federation.core.rules import HealthRules, PolicyRules, Settings
from federation.service.leases import HANDED, LINGER
from federation.service.pool import Pool
from federation.service.ports import ProbeResult

RULES = HealthRules(interval=10, timeout=2, fall=2, rise=2, eject_base=10, eject_max=60, slow_start=120)
LAUNCH = Launch("gh", "a/b/HEAD", "gh/a/b")
REGISTRY, HUB = Check("Docker registry", False), Check("JupyterHub API", False)
Numbers = dict[str, Seats | None]


def member(name: str, weight: float = 1.0, **more: Any) -> Member:
    return Member(name, f"http://{name}", weight, **more)


class Stage:
    """A federation, with what was told of it."""

    def __init__(self, *members: Member, well: bool = True, **rules: Any) -> None:
        self.time = 10_000.0
        self.settings = Settings(members, health=replace(RULES, **rules))
        self.pool = Pool(self.settings, self, lambda: 0.0)
        self.facts: list[Fact] = []
        self.pool.subscribe(self.facts.append)
        self.ids = count(1)
        if well:
            self.looks()

    def now(self) -> float:
        return self.time

    def later(self, seconds: float) -> None:
        """With a heartbeat each second, as a front door has one."""
        end = self.time + seconds
        while self.time < end:
            self.time = min(end, self.time + 1.0)
            self.pool.tick()

    def look(self, name: str, ok: bool = True, **more: Any) -> None:
        reason = "" if ok else "ill"
        self.pool.observe(ProbeResult(name, self.time, ok, more.pop("answered", True), reason, **more))

    def silent(self, *names: str) -> None:
        for name in names:
            self.look(name, False, answered=False)

    def looks(self, numbers: Numbers | None = None) -> None:
        """One good look at each."""
        for view in self.pool.views():
            self.look(view.member.name, seats=(numbers or {}).get(view.member.name))

    def well_for(self, seconds: float, *names: str) -> None:
        end = self.time + seconds
        while self.time < end:
            for name in names or [view.member.name for view in self.pool.views()]:
                self.look(name)
            self.later(min(10.0, end - self.time))
        for name in names or [view.member.name for view in self.pool.views()]:
            self.look(name)

    def attempt(
        self, name: str, outcome: Outcome, cause: str, id: int, repo: str = "gh/a/b", seconds: float = 0.0
    ) -> None:
        launch = replace(LAUNCH, repo_key=repo)
        self.pool.listen(AttemptEnded(launch, id, name, 1, outcome, cause, cause, seconds))

    def ready(self, name: str, **more: Any) -> None:
        self.attempt(name, Outcome.READY, "ready", next(self.ids), **more)

    def lost(self, name: str, *then: str, cause: str = "launch", **more: Any) -> None:
        """A launch that this member lost, and that was ready on the next of `then`, if it was."""
        id = next(self.ids)
        self.attempt(name, Outcome.LOST, cause, id, **more)
        if then:
            self.attempt(then[0], Outcome.READY, "ready", id, **more)

    def ended(self, id: int, attempts: int, cause: str = "no_member") -> None:
        self.pool.listen(LaunchEnded(LAUNCH, id, Outcome.FAILED, None, attempts, cause, 1.0))

    def view(self, name: str) -> MemberView:
        view = self.pool.view(name)
        assert view is not None
        return view

    def states(self) -> str:
        return " ".join(str(view.state) for view in self.pool.views())

    def chosen(self, key: str = "gh/a/b") -> str | None:
        """The member that the router would take."""
        index = choose(
            replace(LAUNCH, repo_key=key),
            self.pool.snapshot(),
            rules=PolicyRules(),
            dice=lambda: 0.5,
            taken=self.pool.taken,
        )
        return None if index is None else self.pool.views()[index].member.name

    def told(self, kind: type[Any]) -> list[Any]:
        return [fact for fact in self.facts if isinstance(fact, kind)]


def broken(stage: Stage, name: str, *others: str) -> None:
    """Ejects it for its launches."""
    for number in range(3):
        stage.lost(name, *others, repo=f"gh/r/{number}")
    assert stage.view(name).state is State.EJECTED


# C1: judged by launches.


@pytest.mark.parametrize("members", ["ab", "abc", "abcdef"])
@pytest.mark.parametrize("repos", [1, 3])
def test_a_member_whose_every_pull_fails_is_out_after_three_visitors_while_its_health_is_green(
    members: str, repos: int
) -> None:
    stage = Stage(*map(member, members))
    affected = 0
    while stage.view("a").state is not State.EJECTED:
        stage.well_for(60)
        stage.lost("a", "b", repo=f"gh/r/{affected % repos}")
        affected += 1
        assert affected <= 3
    assert affected > 1
    assert all(stage.view(name).state is State.HEALTHY for name in members[1:])
    assert "launches failed" in stage.view("a").reason
    assert stage.chosen() != "a"


@pytest.mark.parametrize(
    ("outcome", "cause"), [(Outcome.FAILED, "repository"), (Outcome.LOST, "launch"), (Outcome.LOST, "stuck")]
)
def test_a_repository_that_fails_twenty_times_on_one_member_ejects_nobody(
    outcome: Outcome, cause: str
) -> None:
    stage = Stage(member("a"), member("b"))
    for _ in range(20):
        stage.attempt("a", outcome, cause, next(stage.ids), repo="gh/bad/repo")
        stage.ready("b", repo="gh/good/repo")
        stage.well_for(20)
    assert stage.states() == "healthy healthy"


def test_a_launch_that_fails_wherever_it_is_tried_is_taken_back() -> None:
    stage = Stage(member("a"), member("b"), member("c"))
    for number in range(12):
        id = next(stage.ids)
        for name in "abc":
            stage.attempt(name, Outcome.LOST, "launch", id, repo=f"gh/r/{number}")
        stage.ended(id, 3)
    stage.later(1)
    assert stage.states() == "healthy healthy healthy"
    assert all(view.tally.bad == 0 for view in stage.pool.views())


def test_looks_never_bring_back_one_ejected_for_launches_and_a_trial_launch_does() -> None:
    stage = Stage(member("a"), member("b"))
    broken(stage, "a", "b")
    stage.well_for(RULES.eject_base - 1)
    assert stage.states() == "ejected healthy"
    stage.well_for(1)
    assert stage.states() == "trial healthy"
    stage.well_for(600)
    assert stage.states() == "trial healthy"
    stage.silent("a", "a")
    stage.well_for(600)
    assert stage.states() == "trial healthy"
    stage.ready("a")
    assert stage.states() == "recovering healthy"
    assert stage.view("a").tally == Tally()
    stage.well_for(RULES.slow_start)
    assert stage.states() == "healthy healthy"


def test_the_back_off_after_failed_trials_doubles_is_capped_and_begins_anew() -> None:
    stage = Stage(member("a"), member("b"))

    def seconds_out() -> float:
        begun = stage.time
        while stage.view("a").state is State.EJECTED:
            stage.looks()
            stage.later(1)
        return stage.time - begun

    broken(stage, "a", "b")
    lengths = [seconds_out()]
    for _ in range(4):
        stage.lost("a", "b")
        assert stage.view("a").state is State.EJECTED
        assert stage.view("a").reason == "on trial a launch failed: launch"
        lengths.append(seconds_out())
    assert lengths == [10, 20, 40, 60, 60]
    stage.ready("a")
    stage.well_for(RULES.slow_start + RULES.eject_max + 2)
    broken(stage, "a", "b")
    assert seconds_out() == 10


@pytest.mark.parametrize("cause", ["quota", "repository", "overtaken"])
def test_a_trial_is_not_failed_by_what_is_not_the_members(cause: str) -> None:
    stage = Stage(member("a"), member("b"))
    broken(stage, "a", "b")
    stage.well_for(10)
    stage.lost("a", "b", cause=cause)
    stage.attempt("a", Outcome.ABANDONED, "abandoned", next(stage.ids))
    assert stage.states() == "trial healthy"


def test_old_launches_that_fail_after_the_ejection_decide_no_trial() -> None:
    """They were hanging since before; the member may have been repaired."""
    stage = Stage(member("a"), member("b"))
    broken(stage, "a", "b")
    stage.well_for(20)
    assert stage.states() == "trial healthy"
    for number in range(5):
        stage.lost("a", "b", cause="too_slow", seconds=600.0, repo=f"gh/r/{number}")
    assert stage.states() == "trial healthy"
    stage.ready("a", seconds=5.0)
    for number in range(5):
        stage.lost("a", "b", cause="too_slow", seconds=600.0, repo=f"gh/r/{number}")
    assert stage.states() == "recovering healthy" and stage.view("a").tally.bad == 0
    stage.later(10)
    broken(stage, "a", "b")


def test_a_trial_takes_one_launch_at_a_time_even_when_the_members_numbers_show_it() -> None:
    stage = Stage(member("a"), member("b"))
    stage.looks({"a": Seats(5, 100), "b": Seats(5, 100)})
    broken(stage, "a", "b")
    stage.well_for(10)
    stage.looks({"a": Seats(5, 100)})
    assert stage.view("a").state is State.TRIAL and stage.view("a").refusal is None
    lease = stage.pool.lease("a")
    assert "on trial" in str(stage.view("a").refusal)
    stage.looks({"a": Seats(6, 100)})
    assert stage.view("a").leases == 0 and "on trial" in str(stage.view("a").refusal)
    lease.close()
    assert stage.view("a").refusal is None


def test_sessions_that_died_with_a_member_hold_up_no_trial() -> None:
    """They were never seen in its numbers, and will not be."""
    stage = Stage(member("a"), member("b"))
    stage.looks({"a": Seats(5, 100), "b": Seats(5, 100)})
    for _ in range(3):
        stage.pool.lease("a").close(ready=True)
    assert stage.view("a").leases == 3
    broken(stage, "a", "b")
    stage.well_for(10)
    stage.looks({"a": Seats(0, 100)})
    assert stage.view("a").state is State.TRIAL and stage.view("a").leases == 0
    assert stage.view("a").refusal is None


def test_a_trial_takes_one_redirected_launch_at_a_time() -> None:
    stage = Stage(member("a"), member("b"))
    broken(stage, "a", "b")
    stage.well_for(10)
    assert stage.view("a").refusal is None
    stage.pool.handed(0)
    assert "on trial" in str(stage.view("a").refusal)
    stage.well_for(HANDED + 1)
    assert stage.view("a").refusal is None


@pytest.mark.parametrize(
    ("good", "bad", "state"), [(4, 1, State.RECOVERING), (0, 2, State.EJECTED), (0, 0, State.TRIAL)]
)
def test_where_launches_are_redirected_counters_decide_the_trial(good: int, bad: int, state: State) -> None:
    stage = Stage(member("a"), member("b"))
    for _ in range(4):
        stage.pool.signalled("b", {}, 10, 0)
        stage.pool.signalled("a", {}, 0, 3)
    assert stage.view("a").state is State.EJECTED
    stage.well_for(10)
    assert stage.view("a").state is State.TRIAL
    stage.pool.signalled("a", {}, good, bad)
    assert stage.view("a").state is state


def test_launches_never_eject_so_many_that_too_few_seats_are_left() -> None:
    stage = Stage(member("big", 300), member("s1", 30), member("s2", 30))
    stage.looks({"big": Seats(10, 300), "s1": Seats(1, 30), "s2": Seats(1, 30)})
    for number in range(6):
        stage.lost("big", "s1", "s2", repo=f"gh/r/{number}")
    assert stage.states() == "healthy healthy healthy"
    assert stage.view("big").weight < 300 / 5  # it is only passed by
    for number in range(6):
        stage.lost("s1", "s2", repo=f"gh/s/{number}")
    assert stage.states() == "healthy ejected healthy"


def test_the_last_that_takes_launches_is_never_ejected_for_them_and_one_on_trial_is_no_other() -> None:
    stage = Stage(member("a"), member("b"))
    broken(stage, "a", "b")
    for number in range(9):
        stage.lost("b", repo=f"gh/r/{number}")
    assert stage.states() == "ejected healthy"
    stage.well_for(10)
    assert stage.states() == "trial healthy"
    for number in range(9):
        stage.lost("b", repo=f"gh/t/{number}")
    assert stage.states() == "trial healthy"


def test_one_that_starts_no_sessions_is_no_other_either() -> None:
    stage = Stage(member("a"), member("b"))
    stage.look("b", checks=(HUB,), lost=frozenset({Operation.LAUNCH}))
    for number in range(9):
        stage.lost("a", repo=f"gh/r/{number}")
    assert stage.states() == "healthy degraded"


def test_one_that_refuses_connections_while_its_probes_pass_is_out_after_three_visitors() -> None:
    stage = Stage(member("a"), member("b"))
    for _ in range(3):
        assert stage.view("a").state is State.HEALTHY
        stage.pool.refused("a", "refused the connection")
        stage.lost("a", "b", cause="refused")
        stage.well_for(30)
    assert stage.view("a").state is State.TRIAL
    stage.pool.refused("a", "refused the connection")
    stage.lost("a", "b", cause="refused")
    assert stage.view("a").state is State.EJECTED
    assert stage.told(BlindnessChanged) == []


# Degraded, drained, coming back.


def test_a_member_without_its_registry_is_degraded_until_it_has_it_again() -> None:
    stage = Stage(member("a"), member("b"))
    stage.look("a", checks=(REGISTRY,), lost=frozenset({Operation.BUILD}))
    assert stage.view("a").state is State.DEGRADED and stage.view("a").reason == "failing: Docker registry"
    assert stage.view("a").refusal is None and stage.chosen() == "b"
    stage.look("a", checks=(HUB,), lost=frozenset({Operation.LAUNCH}))
    assert stage.view("a").reason == "failing: JupyterHub API"
    assert stage.view("a").refusal == "starts no sessions now: failing: JupyterHub API"
    stage.look("a")
    assert stage.view("a").state is State.HEALTHY and stage.view("a").refusal is None
    stage.look("a", checks=(REGISTRY,), lost=frozenset({Operation.BUILD}))
    stage.silent("a", "a")
    assert stage.view("a").state is State.EJECTED


def test_other_versions_than_most_are_borne_for_a_while() -> None:
    stage = Stage(*map(member, "abc"), version_grace=100)

    def told(*versions: str) -> None:
        for name, version in zip("abc", versions, strict=True):
            stage.look(name, versions={"binderhub": version})

    told("1", "1", "2")
    stage.later(99)
    told("1", "1", "2")
    assert stage.states() == "healthy healthy healthy"
    stage.later(2)
    assert stage.states() == "healthy healthy degraded"
    assert (
        stage.view("c").reason == "runs binderhub 2, most members run 1" and stage.view("c").refusal is None
    )
    told("1", "2", "2")  # the rollout goes on: now another one is the last
    stage.later(2)
    assert stage.states() == "healthy healthy healthy"
    stage.later(100)
    assert stage.states() == "degraded healthy healthy"
    told("2", "2", "2")
    stage.later(1)
    assert stage.states() == "healthy healthy healthy"


def test_weight_zero_drains_whatever_the_state_and_weight_brings_back_by_a_look() -> None:
    stage = Stage(member("a"), member("b"), member("c"))
    broken(stage, "a", "b")
    stage.pool.configure(replace(stage.settings, members=(member("a", 0), member("b", 0), member("c"))))
    assert stage.states() == "drained drained healthy"
    stage.well_for(60)
    assert stage.states() == "drained drained healthy" and stage.view("b").weight == 0
    assert {stage.chosen(f"{number}") for number in range(50)} == {"c"}
    stage.pool.configure(stage.settings)
    assert stage.states() == "unknown unknown healthy"
    stage.looks()
    assert stage.states() == "healthy healthy healthy"


def test_a_slow_start_grows_and_begins_anew_after_another_fall() -> None:
    stage = Stage(member("a", 100), member("b", 100))
    stage.silent("a", "a")
    stage.well_for(10)
    assert stage.view("a").state is State.RECOVERING and stage.view("a").weight == pytest.approx(10, abs=5)
    stage.well_for(90)
    grown = stage.view("a").weight
    assert 50 < grown < 100
    stage.silent("a", "a")
    assert stage.view("a").state is State.EJECTED and stage.view("a").weight == 0
    stage.well_for(20)
    assert stage.view("a").state is State.RECOVERING and stage.view("a").weight < grown / 2
    stage.well_for(RULES.slow_start)
    assert stage.view("a").state is State.HEALTHY and stage.view("a").weight == 100


# C2: seats.


def test_quota_300_and_the_node_takes_110_so_refusals_stop_after_three() -> None:
    stage = Stage(member("a"), member("b"))
    sessions, refusals = 105, 0
    stage.looks({"a": Seats(sessions, 300), "b": Seats(0, 300)})
    for second in range(300):
        if stage.view("a").refusal is None:
            lease = stage.pool.lease("a")
            full = sessions >= 110
            lease.close(ready=not full)
            if full:
                refusals += 1
                stage.lost("a", "b", cause="quota")
            else:
                sessions += 1
                stage.ready("a")
        if second % 10 == 0:
            stage.looks({"a": Seats(sessions, 300), "b": Seats(0, 300)})
        stage.later(1)
    assert sessions == 110 and 1 <= refusals <= 3
    assert stage.view("a").capacity in (110, 111) and stage.view("a").state is State.HEALTHY


def test_launches_sent_between_two_looks_are_never_more_than_there_are_seats() -> None:
    stage = Stage(member("a"))
    stage.looks({"a": Seats(90, 100)})
    leases = []
    while stage.view("a").refusal is None:
        leases.append(stage.pool.lease("a"))
    assert len(leases) == 10
    for lease in leases[:6]:
        lease.close(ready=True)
    assert stage.view("a").free == 0  # ready, and not in its numbers yet
    stage.looks({"a": Seats(96, 100)})
    assert (stage.view("a").leases, stage.view("a").free) == (4, 0)
    for lease in leases[6:]:
        lease.close()
    assert (stage.view("a").leases, stage.view("a").free) == (0, 4)


def test_a_ready_launch_that_its_numbers_never_show_gives_its_seat_back() -> None:
    stage = Stage(member("a"))
    stage.looks({"a": Seats(9, 10)})
    stage.pool.lease("a").close(ready=True)
    assert stage.view("a").free == 0
    stage.later(LINGER + 1)
    assert stage.view("a").free == 1


def test_a_redirected_launch_takes_a_seat_at_once_and_after_the_next_snapshot() -> None:
    stage = Stage(member("a"), member("b"))
    stage.looks({"a": Seats(90, 100), "b": Seats(90, 100)})
    for _ in range(10):
        stage.pool.handed(0)
    assert stage.pool.taken == [10, 0] and stage.chosen() == "b"
    stage.look("b", seats=Seats(90, 100))  # another member's news makes a new snapshot
    assert stage.pool.taken == [0, 0] and stage.view("a").leases == 10
    assert {stage.chosen(f"{number}") for number in range(30)} == {"b"}


def test_one_that_tells_no_numbers_counts_as_full_for_a_while_after_a_refusal() -> None:
    stage = Stage(member("a"), member("b"))
    stage.lost("a", "b", cause="quota")
    assert str(stage.view("a").refusal).startswith("full") and stage.chosen() == "b"
    stage.later(16)
    assert stage.view("a").refusal is None


def test_a_repositorys_own_quota_takes_nobody_elses_seats() -> None:
    stage = Stage(member("a"), member("b"))
    stage.looks({"a": Seats(20, 300), "b": Seats(0, 300)})
    stage.lost("a", "b", cause="repo_quota")
    assert stage.view("a").capacity == 300 and stage.states() == "healthy healthy"


def sessions(used: float, quota: float, at: float) -> dict[str, Signal]:
    return {"sessions": Signal(used, at), "quota": Signal(quota, at)}


def test_the_seats_that_signals_tell_count_when_health_tells_none() -> None:
    stage = Stage(member("a"), member("b"))
    stage.pool.signalled("a", sessions(58, 60, stage.time), 0, 0)
    assert stage.view("a").seats == Seats(58, 60) and stage.view("a").free == 2
    stage.pool.lease("a").close(ready=True)
    assert stage.view("a").free == 1  # held until signals show it
    stage.later(15)
    stage.pool.signalled("a", sessions(59, 60, stage.time), 0, 0)
    assert (stage.view("a").leases, stage.view("a").free) == (0, 1)
    stage.lost("a", "b", cause="quota")
    assert stage.view("a").capacity == 59
    stage.look("a", seats=Seats(10, 40))
    assert stage.view("a").seats == Seats(10, 40)
    stage.looks()
    stage.later(stage.settings.prometheus.max_age + 1)
    assert stage.view("a").seats is None


# C5: doubt.


def test_when_all_fall_silent_at_once_states_are_frozen_told_and_let_go_at_the_first_answer() -> None:
    stage = Stage(member("a", 3), member("b", 2), member("c", 1))
    stage.looks({"a": Seats(10, 100), "b": Seats(5, 50), "c": Seats(1, 20)})
    before = stage.pool.views()
    keys = [f"key {number}" for number in range(60)]
    chosen = [stage.chosen(key) for key in keys]
    stage.facts.clear()
    stage.silent("a", "a")  # by chance it is looked at first, and ejected
    assert stage.states() == "ejected healthy healthy"
    stage.later(10)
    stage.silent("b", "b")
    stage.silent("c")
    assert stage.pool.blind_since is None
    stage.silent("c")
    assert stage.pool.blind_since == stage.time and stage.pool.snapshot().blind
    assert stage.states() == "healthy healthy healthy"
    blind_since = stage.time
    for _ in range(60):  # ten minutes
        stage.silent("a", "b", "c")
        stage.later(10)
        for view, old in zip(stage.pool.views(), before, strict=True):
            assert (view.state, view.capacity, view.weight) == (old.state, old.capacity, old.weight)
    assert [stage.chosen(key) for key in keys] == chosen
    assert [fact.since for fact in stage.told(BlindnessChanged)] == [blind_since]
    assert len(stage.told(LookFailed)) == 3  # nobody is hurried while all is frozen
    stage.look("b", seats=Seats(6, 50))
    assert stage.pool.blind_since is None and not stage.pool.snapshot().blind
    assert [fact.since for fact in stage.told(BlindnessChanged)] == [blind_since, None]
    assert stage.states() == "healthy healthy healthy"
    stage.silent("a", "c", "a", "c")
    assert stage.states() == "ejected healthy ejected"


def test_two_small_ones_of_three_die_and_the_big_one_takes_all() -> None:
    stage = Stage(member("big", 3), member("s1"), member("s2"))
    for number in range(10):
        stage.silent("s1", "s2")
        if number == 1:
            stage.silent("big")  # one answer of its own is lost
        else:
            stage.look("big")
        assert stage.pool.blind_since is None
        stage.later(5)
    assert stage.states() == "healthy ejected ejected"
    assert {stage.chosen(f"{number}") for number in range(50)} == {"big"}


def test_one_dead_for_long_stays_dead_when_the_others_go_at_once() -> None:
    stage = Stage(member("a"), member("b"), member("c"))
    stage.silent("a", "a")
    for _ in range(30):
        stage.silent("a")
        stage.well_for(10, "b", "c")
    stage.silent("b", "c", "b", "c")
    assert stage.pool.blind_since is not None and stage.states() == "ejected healthy healthy"
    assert "a" not in {stage.chosen(f"{number}") for number in range(50)}


def test_one_ejected_for_launches_before_stays_so_while_blind() -> None:
    stage = Stage(member("a"), member("b"), member("c"))
    stage.silent("a")
    broken(stage, "a", "b")
    stage.silent("a", "b", "c", "b", "c")
    assert stage.pool.blind_since is not None and stage.states() == "ejected healthy healthy"


def test_members_that_die_one_after_the_other_are_dead() -> None:
    stage = Stage(member("a"), member("b"))
    stage.silent("a", "a")
    stage.well_for(60, "b")
    stage.silent("b", "b")
    assert stage.states() == "ejected ejected" and stage.pool.blind_since is None


def test_a_new_configuration_while_blind_is_no_answer() -> None:
    stage = Stage(member("a"), member("b"))
    stage.silent("a", "b", "a", "b")
    assert stage.pool.blind_since is not None
    more = (*stage.settings.members, member("c"))
    stage.pool.configure(replace(stage.settings, members=more))
    stage.later(60)
    stage.silent("a", "b", "c", "a", "b", "c")
    assert stage.pool.blind_since is not None and stage.states() == "healthy healthy unknown"
    stage.look("c")
    assert stage.pool.blind_since is None and stage.view("c").state is State.HEALTHY


def test_a_drained_member_has_no_say_in_doubt() -> None:
    stage = Stage(member("a"), member("b"), member("off", 0))
    stage.silent("a", "b", "a", "b")
    assert stage.pool.blind_since is not None
    stage.look("off")
    assert stage.pool.blind_since is not None and stage.view("off").state is State.DRAINED
    stage.pool.configure(replace(stage.settings, members=(member("off", 0),)))
    stage.look("off")
    assert stage.pool.blind_since is None


def test_on_start_nobody_is_trusted_so_silence_is_no_doubt() -> None:
    stage = Stage(member("a"), member("b"), well=False)
    stage.silent("a", "b", "a", "b")
    assert stage.states() == "ejected ejected" and stage.pool.blind_since is None


def test_a_clock_that_is_set_back_an_hour_keeps_nobody_out_and_no_seat_taken() -> None:
    stage = Stage(member("a", 100), member("b", 100))
    stage.looks({"a": Seats(99, 100), "b": Seats(0, 100)})
    stage.pool.lease("a").close(ready=True)
    stage.silent("b", "b")
    stage.time -= 3600
    stage.looks({"a": Seats(99, 100)})
    stage.later(1)
    stage.well_for(10, "b")
    assert stage.view("a").refusal is None
    assert stage.view("b").state is State.RECOVERING
    stage.well_for(RULES.slow_start, "b")
    assert stage.view("b").state is State.HEALTHY and stage.view("b").weight == 100


def test_every_change_of_state_is_told_with_its_reason() -> None:
    stage = Stage(member("a"), member("b"))
    stage.facts.clear()
    broken(stage, "a", "b")
    stage.well_for(10)
    stage.ready("a")
    changes = [(fact.before, fact.after) for fact in stage.told(StateChanged)]
    assert changes == [
        (State.HEALTHY, State.EJECTED),
        (State.EJECTED, State.TRIAL),
        (State.TRIAL, State.RECOVERING),
    ]
    assert "launches failed" in stage.told(StateChanged)[0].reason
