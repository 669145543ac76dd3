"""Members are judged by what happens to launches: who is out, after how many of them, and who never is."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from itertools import count
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.core.blame import Blame
from federation.core.evidence import (
    LEAST_FACTOR,
    MOST,
    SHARED_WITHIN,
    WELL,
    WINDOW,
    Batch,
    Evidence,
    Sample,
    added,
    cleared,
    confirmed,
    counted,
    judged,
    sample_of,
    tally,
    withdrawn,
)
from federation.core.facts import AttemptEnded, Outcome
from federation.core.model import Launch, Tally

MINUTE = 60.0
NOW = 1e9


def history(outcomes: str, *, until: float = NOW, every: float = MINUTE, repo: str | None = None) -> Evidence:
    """One launch per letter, `+` or `-`, the last one at `until`; each of a repository of its own or all of one."""
    evidence = Evidence()
    begun = until - every * (len(outcomes) - 1)
    for number, letter in enumerate(outcomes):
        key = repo or f"gh/a/{number}"
        evidence = added(evidence, Sample(begun + every * number, number, key, letter == "+"))
    return evidence


def affected(sick: Evidence, well: Evidence, *, repo: str | None = None, alone: bool = False) -> int:
    """How many launches fail on a broken member of two until it is out, one launch of the federation a minute.

    Each launch that it gets is finished by the other one, and every second launch goes there at once.
    """
    now = NOW
    for number in count(1):
        launch, key = 1000 + number, repo or f"gh/b/{number}"
        sick = added(sick, Sample(now, launch, key, good=False))
        if not alone:
            well = added(well, Sample(now + 2, launch, key, good=True))
            sick = confirmed(sick, launch)
        if judged(sick, [well], now + 2).sick:
            return number
        well = added(well, Sample(now + MINUTE, 2000 + number, f"gh/c/{number}", good=True))
        now += 2 * MINUTE
        if number > 25:
            break
    return 99


@pytest.mark.parametrize("past", ["", "+", "++++", "+" * 50, "+" * 20 + "-" + "+" * 29])
@pytest.mark.parametrize("repo", [None, "gh/one/only"])
def test_a_member_of_two_that_fails_every_launch_is_out_after_three(past: str, repo: str | None) -> None:
    assert affected(history(past), history(past), repo=repo) == 3
    assert affected(history(past), Evidence(), repo=repo) == 3


def test_five_failures_are_enough_when_nothing_is_known_of_any_peer() -> None:
    assert not judged(history("+" * 20 + "----"), [], NOW).sick
    assert judged(history("+" * 20 + "-----"), [Evidence()], NOW).sick


def test_what_peers_did_before_counts_while_nothing_is_sent_to_them() -> None:
    assert judged(history("---"), [history("+" * 20, until=NOW - 10 * MINUTE)], NOW).sick


@pytest.mark.parametrize(
    ("own", "sick"), [("---", True), ("-+--", False), ("-++--", False), ("--++--", True)]
)
def test_busy_peers_that_do_well_make_nobody_sick_for_a_few_scattered_failures(own: str, sick: bool) -> None:
    assert judged(history(own), [counted(Evidence(), NOW, 5000, 0)] * 3, NOW).sick is sick


def test_a_member_that_does_better_than_its_peers_is_well() -> None:
    better = counted(counted(Evidence(), NOW - MINUTE, 0, 2), NOW, 60, 0)
    assert judged(better, [counted(Evidence(), NOW, 200, 200)], NOW) == WELL


def test_the_reason_is_a_sentence_with_figures() -> None:
    opinion = judged(history("+++---"), [history("++++++")], NOW)
    assert opinion.sick and opinion.why == "3 of its last 3 launches failed, 0 of 3 on other members"


def test_a_few_failures_lower_the_weight_before_the_member_is_out() -> None:
    well = history("+" * 30)
    assert judged(history("+" * 10 + "-"), [well], NOW) == WELL  # one failure says nothing
    two = judged(history("+" * 10 + "--"), [well], NOW)
    assert two.suspect and not two.sick and LEAST_FACTOR < two.factor < 0.5
    mended = judged(history("+" * 10 + "--+"), [well], NOW)
    assert two.factor < mended.factor < 1.0
    assert judged(history("+" * 10 + "--++++"), [well], NOW) == WELL
    assert judged(history("+" * 10 + "---"), [well], NOW).factor == LEAST_FACTOR


@pytest.mark.parametrize("bad", [3, 10, 50])
@pytest.mark.parametrize("peers_bad", [1, 3, 10, 50])
def test_nobody_is_sick_when_launches_fail_as_badly_on_the_peers(bad: int, peers_bad: int) -> None:
    """Also when few of them came to the peers meanwhile, and all was well before."""
    every = bad * MINUTE / peers_bad
    sick, peer = history("+" * 20 + "-" * bad), history("+" * 20 + "-" * peers_bad, every=every)
    assert judged(sick, [peer], NOW) == WELL
    assert judged(sick, [peer, history("+" * 9, until=NOW - 100 * MINUTE), Evidence()], NOW) == WELL


def test_a_shared_cause_that_lets_some_launches_through_ejects_nobody() -> None:
    dice, sick = Random(4), 0
    for _ in range(200):
        one, other = ("".join("-" if dice.random() < 0.6 else "+" for _ in range(20)) for _ in range(2))
        sick += judged(history("+" * 20 + one), [history("+" * 20 + other)], NOW).sick
    assert sick <= 10


def test_two_broken_members_of_three_do_not_hide_one_another() -> None:
    broken, well = history("+" * 20 + "---"), history("+" * 26)
    assert judged(broken, [broken, well], NOW).sick
    assert not judged(well, [broken, broken], NOW).suspect


@pytest.mark.parametrize("stray", ["", "-", "+-", "-+"])
def test_a_repository_that_fails_twenty_times_ejects_nobody(stray: str) -> None:
    sick = history("+" * 10 + "-" * 20, repo="gh/a/broken")
    for number, letter in enumerate(stray):
        sick = added(sick, Sample(NOW, 500 + number, f"gh/b/{number}", letter == "+"))
    assert not judged(sick, [history("+" * 30)], NOW).sick


def test_its_launches_that_were_ready_elsewhere_count_each() -> None:
    sick = history("+++---", repo="gh/a/huge")
    assert judged(sick, [history("+" * 30)], NOW) == WELL
    for launch in (3, 4):
        sick = confirmed(sick, launch)
    sick = confirmed(confirmed(sick, 5), 77)
    assert judged(sick, [history("+" * 30)], NOW).sick
    assert confirmed(sick, 1) == sick and tally(sick, NOW) == Tally(3, 3)


def test_a_launch_that_failed_everywhere_says_nothing() -> None:
    sick = history("+---")
    assert judged(sick, [history("++++")], NOW).sick
    for launch in (1, 2, 3, 77):
        sick = withdrawn(sick, launch)
    assert judged(sick, [history("++++")], NOW) == WELL
    assert withdrawn(sick, 0) == sick and tally(sick, NOW) == Tally(1, 0)


def test_outcomes_age_and_their_number_is_bounded() -> None:
    old = history("---", until=NOW - WINDOW - 1)
    assert judged(old, [history("+" * 30)], NOW) == WELL and tally(old, NOW) == Tally()
    assert len(history("-" * 500).ended) == MOST
    assert tally(history("+" * 500, every=1.0), NOW) == Tally(MOST, 0)


def test_a_clock_that_jumps_back_never_leaves_outcomes_of_the_future() -> None:
    assert judged(history("---"), [history("+++")], NOW - WINDOW - 5 * MINUTE) == WELL
    assert judged(history("---"), [history("+++")], NOW - MINUTE).sick


def test_a_trial_starts_from_nothing() -> None:
    assert judged(cleared(), [history("+" * 30)], NOW) == WELL


@pytest.mark.parametrize("shared", [Blame.REGISTRY, Blame.GIT_HOST])
def test_a_registry_or_git_host_counts_until_it_lets_another_member_down(shared: Blame) -> None:
    sick = Evidence(
        tuple(replace(one, blame=shared) for one in history("---").ended if isinstance(one, Sample))
    )
    peer = history("+" * 30)
    assert judged(sick, [peer], NOW).sick
    told = Sample(NOW - MINUTE, 900, "gh/c/c", good=False, blame=shared)
    assert judged(sick, [peer, Evidence((told,))], NOW) == WELL
    assert judged(sick, [added(peer, replace(told, blame=Blame.MEMBER))], NOW).suspect
    long_ago = Evidence((replace(told, at=NOW - SHARED_WITHIN - 10 * MINUTE),))
    assert judged(sick, [peer, long_ago], NOW).sick


def from_counters(outcomes: str) -> Evidence:
    evidence = Evidence()
    for number, letter in enumerate(outcomes, start=1 - len(outcomes)):
        evidence = counted(evidence, NOW + number * MINUTE, int(letter == "+"), int(letter == "-"))
    return evidence


@pytest.mark.parametrize("own", ["+" * 40 + "---", "+" * 40 + "--", "+-+-+-+-", "----", "+++-", "--+++"])
@pytest.mark.parametrize("peer", ["+" * 40, "-----", "+-+-+-", ""])
def test_counters_give_the_same_verdicts(own: str, peer: str) -> None:
    assert judged(from_counters(own), [from_counters(peer)], NOW) == judged(
        history(own), [history(peer)], NOW
    )


def test_one_reading_of_counters_is_not_enough_as_it_may_be_of_one_repository() -> None:
    well = counted(Evidence(), NOW, 40, 1)
    once = counted(Evidence(), NOW - MINUTE, 0, 20)
    assert not judged(once, [well], NOW).sick and judged(once, [well], NOW).suspect
    assert judged(counted(once, NOW, 0, 1), [well], NOW).sick
    assert not judged(counted(once, NOW, 400, 1), [well], NOW).sick


def test_counters_that_did_not_grow_add_nothing() -> None:
    assert counted(Evidence(), NOW, 0, 0) == Evidence() == counted(Evidence(), NOW, -3, 0)


@pytest.mark.parametrize(
    ("percent", "launches_each"), [(1, 1_000_000), (2, 125_000), (3, 37_000), (5, 8_000)]
)
def test_a_well_member_is_practically_never_sick(percent: int, launches_each: int) -> None:
    """One false alarm in about 1 / p³ launches: at 2 % and one launch a minute on the member, one in three months.

    The numbers are of 30,000 launches on each of two members that fail with the same probability, every failure
    being mended by the other one, which is the worst case."""
    dice, alarms, launches = Random(percent), 0, 30_000
    members = [Evidence(), Evidence()]
    for number in range(launches):
        at = NOW + number * MINUTE
        for index in (0, 1):
            good = dice.random() * 100 >= percent
            sample = Sample(at + index, number, f"gh/a/{number}", good, confirmed=not good)
            members[index] = added(members[index], sample)
            if not good and judged(members[index], [members[1 - index]], at + 1).sick:
                alarms += 1
                members[index] = cleared()
    assert alarms <= 2 + 4 * launches / launches_each


def test_a_member_that_fails_half_of_its_launches_is_out_within_a_dozen() -> None:
    dice, needed = Random(1), []
    for _ in range(300):
        sick, peer = history("+" * 25), history("+" * 25)
        for number in count(1):
            at = NOW + number * MINUTE
            sick = added(sick, Sample(at, number, f"gh/b/{number}", dice.random() >= 0.5))
            peer = added(peer, Sample(at, number, f"gh/c/{number}", good=True))
            if judged(sick, [peer], at).sick:
                needed.append(number)
                break
    assert sorted(needed)[150] <= 12 and sorted(needed)[285] <= 40


@pytest.mark.parametrize("percent", [25, 40])
def test_a_member_that_fails_a_good_part_of_many_launches_is_out(percent: int) -> None:
    sick = counted(counted(Evidence(), NOW - MINUTE, 100 - percent, percent), NOW, 100 - percent, percent)
    assert judged(sick, [counted(Evidence(), NOW, 400, 10)], NOW).sick
    assert judged(sick, [counted(Evidence(), NOW, 400 - 4 * percent, 4 * percent)], NOW) == WELL


Samples = st.lists(
    st.builds(
        Sample,
        at=st.floats(NOW - 2 * WINDOW, NOW + 2 * WINDOW),
        launch=st.integers(0, 9),
        repo_key=st.sampled_from("abcd"),
        good=st.booleans(),
        blame=st.sampled_from([Blame.MEMBER, Blame.REGISTRY, Blame.GIT_HOST]),
        confirmed=st.booleans(),
    )
    | st.builds(
        Batch,
        at=st.floats(NOW - 2 * WINDOW, NOW + 2 * WINDOW),
        good=st.integers(0, 10**6),
        bad=st.integers(0, 10**6),
    ),
    max_size=MOST,
)


@given(Samples, st.lists(Samples, max_size=4))
def test_every_opinion_is_sound(own: list[Sample | Batch], others: list[list[Sample | Batch]]) -> None:
    opinion = judged(Evidence(tuple(own)), [Evidence(tuple(other)) for other in others], NOW)
    assert LEAST_FACTOR <= opinion.factor <= 1.0 and math.isfinite(opinion.factor)
    assert opinion.suspect or not opinion.sick
    assert bool(opinion.why) is opinion.suspect is (opinion.factor < 1.0)


Past = st.lists(st.tuples(st.sampled_from("abcde"), st.booleans(), st.booleans()), max_size=MOST - 1)


@given(Past, st.lists(Past, max_size=3), st.sampled_from("abcde"), st.booleans())
def test_one_more_failure_never_makes_a_member_healthier(
    own: list[tuple[str, bool, bool]],
    others: list[list[tuple[str, bool, bool]]],
    repo: str,
    elsewhere: bool,
) -> None:
    def evidence(told: list[tuple[str, bool, bool]]) -> Evidence:
        return Evidence(
            tuple(
                Sample(NOW - (len(told) - number) * 30.0, number, key, good, confirmed=mended)
                for number, (key, good, mended) in enumerate(told)
            )
        )

    before, peers = evidence(own), [evidence(other) for other in others]
    after = added(before, Sample(NOW, 99, repo, good=False, confirmed=elsewhere))
    old, new = judged(before, peers, NOW), judged(after, peers, NOW)
    assert new.sick >= old.sick and new.suspect >= old.suspect
    assert new.factor <= old.factor + 1e-9


def test_an_opinion_costs_well_under_a_millisecond() -> None:
    """Of a member with fifty failures and five peers, the dearest there is. Three hundred of them, so that a machine
    with other work may be ten times as slow."""
    own, peers = history("-" * 50, every=20.0), [history("+-" * 25, every=20.0)] * 5
    begun = time.process_time()
    for _ in range(300):
        judged(own, peers, NOW)
    assert time.process_time() - begun < 3.0


LAUNCH = Launch("gh", "a/b/HEAD", "gh/a/b")


def test_a_launch_that_stood_still_was_mended_by_another_member() -> None:
    """However often it is the same repository's: it is told only when another member was ready."""
    stuck = sample_of(AttemptEnded(LAUNCH, 7, "alpha", 1, Outcome.LOST, "stuck", "", 1.0), NOW)
    failed = sample_of(AttemptEnded(LAUNCH, 7, "alpha", 1, Outcome.LOST, "launch", "", 1.0), NOW)
    assert stuck is not None and stuck.confirmed
    assert failed is not None and not failed.confirmed


@pytest.mark.parametrize(
    ("outcome", "cause", "says"),
    [
        (Outcome.READY, "ready", (True, Blame.MEMBER)),
        (Outcome.LOST, "launch", (False, Blame.MEMBER)),
        (Outcome.LOST, "registry", (False, Blame.REGISTRY)),
        (Outcome.LOST, "quota", None),
        (Outcome.LOST, "beyond_member", None),
        (Outcome.FAILED, "repository", None),
        (Outcome.FAILED, "refused", None),
        (Outcome.ABANDONED, "abandoned", None),
        (Outcome.LOST, "overtaken", None),
    ],
)
def test_what_an_attempt_says_of_its_member(
    outcome: Outcome, cause: str, says: tuple[bool, Blame] | None
) -> None:
    sample = sample_of(AttemptEnded(LAUNCH, 7, "alpha", 1, outcome, cause, "", 1.0), NOW)
    if says is None:
        assert sample is None
    else:
        assert sample == Sample(NOW, 7, "gh/a/b", *says)
