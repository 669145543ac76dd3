"""The balance benchmark measures what it says, and the routing core keeps its place in it."""

from __future__ import annotations

from random import Random

import pytest

from benchmarks.balance import SCENES, SITES, WARM_UP, arrivals, erlang_b, moved
from benchmarks.balance_policies import POLICIES, Ours, Site
from benchmarks.balance_simulation import Federation, Figures
from benchmarks.popularity import Popularity, popularity


@pytest.fixture(scope="module")
def known() -> Popularity:
    return popularity()


def test_the_modelled_repositories_make_up_the_known_rest(known: Popularity) -> None:
    assert known.counted == 50 and known.launches[0] == 130_821
    assert abs(sum(known.launches) - 491_973) < 500
    assert list(known.launches) == sorted(known.launches, reverse=True) and 1 <= known.launches[-1] < 1.01
    assert len(set(known.keys)) == len(known.keys)


def test_the_floor_is_erlangs() -> None:
    assert erlang_b(540 * 0.95, 540) == pytest.approx(0.0096, abs=0.0001)
    assert erlang_b(1, 1) == 0.5


def test_a_launch_is_refused_only_when_no_member_has_a_seat() -> None:
    sites = (Site("a", 3), Site("b", 2), Site("c", 1))
    federation = Federation(sites, Ours(sites, Random(1)), Random(1))
    figures = federation.run([(1.0 + number / 1000, "/build/gh/a/b") for number in range(10)], 0.0)
    assert (figures.launches, figures.refused) == (10, 4)


def played(policy: str, title: str, known: Popularity) -> Figures:
    scene = next(scene for scene in SCENES if scene.title == title)
    federation = Federation(SITES, POLICIES[policy](SITES, Random(1)), Random(2))
    return federation.run(arrivals(scene, known, 3), WARM_UP)


def test_a_burst_on_one_repository_finds_its_seats(known: Popularity) -> None:
    ours, todays = played("ours, relay", "burst", known), played("federation-redirect", "burst", known)
    assert ours.launches == todays.launches > 3000
    assert ours.refused / ours.launches <= 0.001 < todays.refused / todays.launches


def test_no_member_gets_more_than_its_bound_and_no_image_is_built_twice(known: Popularity) -> None:
    ours, plain = played("ours, relay", "70%", known), played("rendezvous by seats", "70%", known)
    assert ours.worst < 1.3 < plain.worst
    assert ours.builds / ours.images < 1.01


def test_a_member_that_leaves_moves_its_own_keys_only() -> None:
    assert moved(Ours) == pytest.approx(1 / 3, abs=0.01)
    assert moved(POLICIES["random 50/50/50"]) > 0.6
