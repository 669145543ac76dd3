"""The archive's lines in figures: ours and mybinder.org's own."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.core import usage
from federation.core.archive import line_of
from federation.core.blame import BLAMES
from federation.core.facts import LaunchEnded, Outcome, Redirected
from federation.core.lately import quantile, summed
from federation.core.launchkey import parse_spec
from federation.core.model import Member, MemberView
from federation.core.usage import NOBODY, NOT_TOLD, OTHERS, Entry, Lengths, Report, figures, groupings, read

LAUNCH = parse_spec("gh/Binder-Examples/requirements/HEAD")
OUTCOMES = (Outcome.READY, Outcome.FAILED, Outcome.ABANDONED)
# As mybinder.org published them over the years: version 1, and version 5.
THEIRS = (
    {
        "timestamp": "2018-11-03T09:17:00+00:00",
        "schema": "binderhub.jupyter.org/launch",
        "version": 1,
        "provider": "Git",
        "spec": "https%3A%2F%2Fgit.example.org%2Fteam%2Frepo/master",
        "status": "success",
    },
    {
        "timestamp": "2024-05-06T23:59:00+00:00",
        "schema": "binderhub.jupyter.org/launch",
        "version": 5,
        "provider": "GitHub",
        "spec": "binder-examples/Requirements/master",
        "ref": "50533eb470ee6c24e872043d30b2fee463d6943f",
        "status": "success",
        "build_token": True,
        "origin": "gesis.mybinder.org",
    },
)


@given(
    st.lists(
        st.tuples(st.sampled_from(OUTCOMES), st.sampled_from([*BLAMES, "odd"]), st.floats(0, 600)),
        max_size=30,
    )
)
def test_success_is_counted_as_the_front_door_counts_it(told: list[tuple[Outcome, str, float]]) -> None:
    ends = [
        LaunchEnded(LAUNCH, 1, outcome, "a", 1, cause, seconds, at=5.0) for outcome, cause, seconds in told
    ]
    report = Report("member")
    for end in ends:
        entry = read(line_of(end, ""))
        assert entry is not None
        report.add(entry)
    lately = summed(ends)
    assert (report.whole.launches, report.whole.good, report.whole.bad) == (
        lately.launches,
        lately.good,
        lately.bad,
    )
    assert report.whole.success == lately.success


@given(st.lists(st.floats(0.001, 1e6), min_size=1), st.sampled_from([0.0, 0.5, 0.95, 1.0]))
def test_quantiles_are_within_one_percent(seconds: list[float], share: float) -> None:
    lengths = Lengths()
    for one in seconds:
        lengths.add(one)
    told = lengths.quantile(share)
    assert told == pytest.approx(quantile(sorted(seconds), share), rel=0.011)


def test_nothing_told_has_no_quantile_and_odd_lengths_are_none() -> None:
    assert Lengths().quantile(0.5) is None
    lengths = Lengths()
    lengths.add(-3.0)
    lengths.add(0.0)
    assert lengths.quantile(1.0) == 0.0


def test_mybinders_own_lines_are_read() -> None:
    one, two = (read(line) for line in THEIRS)
    assert one == Entry("2018-11-03", "Git", THEIRS[0]["spec"], NOT_TOLD, "ready")
    assert two is not None
    assert (two.member, two.day, two.outcome) == ("gesis.mybinder.org", "2024-05-06", "ready")
    report = Report("repository", "member")
    for entry in (one, two):
        assert entry is not None
        report.add(entry)
    assert [name for name, _ in report.rows("repository")] == [
        "Git https://git.example.org/team/repo",
        "GitHub binder-examples/requirements",
    ]
    assert report.whole.success == 1.0


def test_a_failure_that_nobody_explains_is_nobodys() -> None:
    report = Report()
    for told in ({"status": "failure"}, {"status": "success"}, {}):
        entry = read({**THEIRS[1], **told})
        assert entry is not None
        report.add(entry)
    assert (report.whole.launches, report.whole.good, report.whole.bad) == (3, 2, 0)


def test_all_refs_and_spellings_are_one_repository() -> None:
    of = groupings()["repository"]
    specs = ("User/Repo/HEAD", "user/repo.git/main", "user/r%65po/a/b")
    assert {of(Entry("", "GitHub", spec, "", "")) for spec in specs} == {"GitHub user/repo"}
    assert of(Entry("", "Zenodo", "10.5281/zenodo.1", "", "")) == "Zenodo 10.5281/zenodo.1"
    assert of(Entry("", "New", "x/y/z", "", "")) == "New x/y/z"
    assert of(Entry("", "GitHub", "nothing", "", "")) == "GitHub nothing"


def test_redirected_launches_and_those_without_a_member() -> None:
    view = MemberView(Member("alpha", "http://alpha", 1.0))
    facts = (
        Redirected(LAUNCH, 1, view, (view,), 5.0),
        LaunchEnded(LAUNCH, 2, Outcome.FAILED, None, 0, "no_member", 0.0, at=90000.0),
    )
    report = Report("member", "day", "cause", "outcome")
    for fact in facts:
        entry = read(line_of(fact, "front.example.org"))
        assert entry is not None
        report.add(entry)
    assert [name for name, _ in report.rows("member")] == [NOBODY, "alpha"]
    assert [name for name, _ in report.rows("day")] == ["1970-01-01", "1970-01-02"]
    assert {name for name, _ in report.rows("cause")} == {"redirected", "no_member"}
    assert figures("all", report.whole) == {
        "name": "all",
        "launches": 2,
        "good": 0,
        "bad": 1,
        "abandoned": 0,
        "redirected": 1,
        "success": 0.0,
        "ready_p50": None,
        "ready_p95": None,
        "waited_p50": 0.0,
        "waited_p95": 0.0,
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FIELDS = (*THEIRS[1], "outcome", "cause", "member", "seconds", "waited")


@given(st.dictionaries(st.sampled_from(FIELDS), JSON), JSON)
def test_odd_lines_raise_nothing(odd: dict[str, Any], whole: object) -> None:
    read(whole)
    entry = read({**THEIRS[1], **odd})
    if entry is not None:
        report = Report(*groupings())
        report.add(entry)
        for name in groupings():
            assert [figures(key, used)["launches"] for key, used in report.rows(name)] == [1]


def test_groups_beyond_the_most_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "MOST_GROUPS", 2)
    report = Report("member")
    for name in ("a", "b", "c", "d", "a"):
        report.add(Entry("", "", "", name, ""))
    assert [(name, used.launches) for name, used in report.rows("member")] == [
        (OTHERS, 2),
        ("a", 2),
        ("b", 1),
    ]
