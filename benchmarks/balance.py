"""How well launches are spread over unequal members: mybinder.org's real popularity through the routing core.

Three members with 300, 180 and 60 seats, launches at random moments (Poisson), sessions of 20 minutes on average,
loads from 50 to 95 % of all seats, and once, at 70 %, 150 launches of one repository within two minutes. Five hours
each, of which the first two, while the members fill, are not counted; all policies see the same launches.
`balance_simulation` says what the model leaves out, `balance_policies` what each policy does, `popularity` what is
counted and what is modelled.

The last rows are the floor, as no policy refuses less than one member with all seats would: for these very launches,
and by the loss formula (A. K. Erlang, 1917) for endless time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from benchmarks.balance_policies import POLICIES, EqualRandom, Images, Maker, Site
from benchmarks.balance_simulation import SESSION, Federation, Figures
from benchmarks.popularity import Popularity, popularity

SITES = (Site("hetzner-2i2c", 300), Site("hetzner-gesis", 180), Site("bids-ovh", 60))
SEATS = sum(site.seats for site in SITES)
LOADS = (0.5, 0.7, 0.8, 0.9, 0.95)
WARM_UP, END = 7200.0, 18000.0  # seconds
SEEDS = (1, 2, 3, 4)
BURST, BURST_AT, BURST_FOR, BURST_LOAD = 150, 10800.0, 120.0, 0.7
KEYS = 5000  # whose first member is compared when one leaves


@dataclass(frozen=True, slots=True)
class Scene:
    """`burst` is how many launches of one new repository come on top, within two minutes."""

    title: str
    load: float
    burst: int = 0


SCENES = (*(Scene(f"{load:.0%}", load) for load in LOADS), Scene("burst", BURST_LOAD, BURST))


def arrivals(scene: Scene, known: Popularity, seed: int) -> list[tuple[float, str]]:
    dice = Random(seed)
    times = list(_moments(scene.load * SEATS / SESSION, dice))
    found = list(zip(times, known.sample(len(times), dice), strict=True))
    found += [(BURST_AT + dice.uniform(0, BURST_FOR), "/build/gh/course/day-1") for _ in range(scene.burst)]
    return sorted(found)


def _moments(rate: float, dice: Random) -> Iterator[float]:
    now = dice.expovariate(rate)
    while now < END:
        yield now
        now += dice.expovariate(rate)


def played(maker: Maker, scene: Scene, known: Popularity, sites: Sequence[Site] = SITES) -> list[Figures]:
    """One run for each seed."""
    return [
        Federation(sites, maker(sites, Random(seed + 100)), Random(seed + 200)).run(
            arrivals(scene, known, seed), WARM_UP
        )
        for seed in SEEDS
    ]


def moved(maker: Maker) -> float:
    """The share of keys whose first member, while nothing runs, is another one when a member is gone; the mean over
    each of them gone. A third must move: those whose member it was."""
    shares = []
    for gone in SITES:
        left = [site for site in SITES if site is not gone]
        before, after = _homes(maker, SITES), _homes(maker, left)
        shares.append(sum(a != b for a, b in zip(before, after, strict=True)) / KEYS)
    return sum(shares) / len(shares)


def _homes(maker: Maker, sites: Sequence[Site]) -> list[str]:
    policy = maker(sites, Random(len(sites)))
    return [sites[next(policy.tries(f"/build/gh/key/{n}", Images()))].name for n in range(KEYS)]


def erlang_b(load: float, seats: int) -> float:
    """The share of launches that find no seat, for `load` launches per mean session."""
    blocked = 1.0
    for seat in range(1, seats + 1):
        blocked = load * blocked / (seat + load * blocked)
    return blocked


def _row(name: str, maker: Maker, known: Popularity) -> str:
    runs = {scene: played(maker, scene, known) for scene in SCENES}
    every = [figures for found in runs.values() for figures in found]
    refused = "".join(map(_refused, runs.values()))
    worst = "".join(
        f"{max(f.worst for f in found):>7.2f}" for scene, found in runs.items() if scene.load == BURST_LOAD
    )
    builds = sum(f.builds for f in every) / sum(f.images for f in every)
    return f"{name:<22}{refused}  {worst}{builds:>10.3f}{moved(maker):>9.1%}"


def _refused(found: Sequence[Figures]) -> str:
    return f"{sum(f.refused for f in found) / sum(f.launches for f in found):>9.2%}"


def main() -> None:
    known = popularity()
    print(f"{known.counted} repositories counted, {len(known.keys) - known.counted:,} modelled", end=" ")
    print(f"(exponent {known.exponent:.3f}); {len(SEEDS)} seeds\n")
    print(
        f"{'':<22}{'launches refused, by load':<{9 * len(SCENES)}}  {'load /':>7}{'share':>7}{'builds':>10}{'keys':>9}"
    )
    titles = "".join(f"{scene.title:>9}" for scene in SCENES)
    print(f"{'':<22}{titles}  {'70%':>7}{'burst':>7}{'per image':>10}{'moved':>9}")
    for name, maker in POLICIES.items():
        print(_row(name, maker, known), flush=True)
    whole = [played(EqualRandom, scene, known, (Site("all", SEATS),)) for scene in SCENES]
    print(f"{'all seats in one':<22}{''.join(map(_refused, whole))}")
    floor = "".join(f"{erlang_b(load * SEATS, SEATS):>9.2%}" for load in LOADS)
    print(f"{'the same by Erlang B':<22}{floor}{'':>25}{1:>10.3f}{1 / len(SITES):>9.1%}")


if __name__ == "__main__":
    main()
