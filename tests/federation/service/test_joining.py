from __future__ import annotations

from contextlib import ExitStack

import pytest

from federation.core.launchkey import parse_launch
from federation.core.model import Launch
from federation.core.versions import pinned
from federation.service.joining import Joining

ONE = Launch("gh", "a/b/HEAD", "gh/a/b")
COMMIT, LATER = "a" * 40, "b" * 40
HEAD, MAIN, SHA = (parse_launch(f"/build/gh/o/r/{ref}") for ref in ("HEAD", "main", COMMIT))


class Known:
    """What refs are known to mean, by launch."""

    def __init__(self) -> None:
        self.commits: dict[Launch, str] = {}

    def __call__(self, launch: Launch) -> str | None:
        return pinned(launch) or self.commits.get(launch)


def test_a_version_is_joined_where_most_launches_of_it_wait_() -> None:
    joining = Joining()
    with joining.under_way(ONE, "a"), joining.under_way(ONE, "b"), joining.under_way(ONE, "b"):
        assert joining.members(ONE) == ("b", "a")
    assert joining.members(ONE) == ()


def test_another_version_is_not_joined() -> None:
    known = Known()
    known.commits = {HEAD: COMMIT, MAIN: LATER}
    joining = Joining(known)
    with joining.under_way(HEAD, "a"):
        assert joining.members(MAIN) == joining.members(parse_launch(f"/build/gh/o/r/{LATER}")) == ()


def test_a_ref_that_is_not_known_yet_joins_what_may_be_the_same_after_what_surely_is() -> None:
    joining = Joining(Known())
    with joining.under_way(HEAD, "a"):
        assert joining.members(MAIN) == joining.members(SHA) == ("a",)
        with joining.under_way(MAIN, "b"):
            assert joining.members(MAIN) == ("b", "a")
            assert joining.members(HEAD) == ("a", "b")
            joining.learned(HEAD, COMMIT)
            assert joining.members(SHA) == ("a", "b")
            joining.learned(MAIN, LATER)
            assert joining.members(SHA) == ("a",)


def test_a_launch_past_the_build_is_not_joined_and_counts_off_once() -> None:
    joining = Joining()
    with ExitStack() as stack:
        first = stack.enter_context(joining.under_way(ONE, "a"))
        stack.enter_context(joining.under_way(ONE, "a"))
        first()
        first()
        assert joining.members(ONE) == ("a",)
    assert joining.members(ONE) == ()


def test_a_launch_that_breaks_off_counts_off() -> None:
    joining = Joining()
    with pytest.raises(OSError), joining.under_way(ONE, "a"):
        raise OSError
    assert joining.members(ONE) == ()


def test_three_spellings_of_one_commit_join_one_build() -> None:
    known = Known()
    known.commits = {HEAD: COMMIT, MAIN: COMMIT}
    joining = Joining(known)
    with joining.under_way(HEAD, "a"):
        assert joining.members(HEAD) == joining.members(MAIN) == joining.members(SHA) == ("a",)
        with joining.under_way(MAIN, "b"), joining.under_way(SHA, "b"):
            assert joining.members(HEAD) == ("b", "a")
    assert joining.members(SHA) == ()


def test_a_launch_that_learns_its_version_under_way_is_found_by_both() -> None:
    known = Known()
    joining = Joining(known)
    with joining.under_way(HEAD, "a") as past_the_build:
        assert joining.members(HEAD) == ("a",)
        joining.learned(HEAD, COMMIT)
        assert joining.members(SHA) == ("a",)
        assert joining.members(HEAD) == ("a",)
        past_the_build()
        assert joining.members(SHA) == joining.members(HEAD) == ()


def test_what_was_learned_holds_for_launches_under_way_even_when_it_is_forgotten() -> None:
    known = Known()
    known.commits = {HEAD: COMMIT}
    joining = Joining(known)
    with joining.under_way(HEAD, "a"):
        known.commits = {}
        assert joining.members(SHA) == ("a",)
        assert joining.members(HEAD) == ("a",)


def test_a_ref_that_moved_does_not_join_the_build_of_what_it_meant_before() -> None:
    known = Known()
    known.commits = {HEAD: COMMIT}
    joining = Joining(known)
    with joining.under_way(HEAD, "a"):
        known.commits = {HEAD: LATER}
        joining.learned(HEAD, LATER)
        assert joining.members(HEAD) == ()
        assert joining.members(SHA) == ("a",)
        with joining.under_way(HEAD, "b"):
            assert joining.members(HEAD) == ("b",)
            assert joining.members(SHA) == ("a",)


def test_another_repository_at_the_same_commit_is_not_joined() -> None:
    joining = Joining()
    with joining.under_way(SHA, "a"):
        assert joining.members(parse_launch(f"/build/gh/o/other/{COMMIT}")) == ()


def test_a_hundred_clicks_in_three_spellings_make_one_build() -> None:
    known = Known()
    known.commits = {HEAD: COMMIT, MAIN: COMMIT}
    joining = Joining(known)
    builds: set[str] = set()
    with ExitStack() as clicks:
        for number in range(100):
            launch = (HEAD, MAIN, SHA)[number % 3]
            member = next(iter(joining.members(launch)), f"member {number % 3}")  # else one or the other
            clicks.enter_context(joining.under_way(launch, member))
            builds.add(member)
    assert builds == {"member 0"}
