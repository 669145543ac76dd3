"""What one routing decision costs, with 3, 30 and 300 members: it must hardly grow with their number.

Keys come as on mybinder.org (`benchmarks.popularity`), or each one for the first time. Sizes are measured in turn, and
the best of several rounds counts, in processor time: the others were disturbed. Only the ratios hold for other
machines.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count
from random import Random

from benchmarks.popularity import popularity
from federation.core.model import Launch, Member, MemberView, Seats, State
from federation.core.ordertable import order_table
from federation.core.routing import choose, decide, refusal
from federation.core.rules import PolicyRules
from federation.core.snapshot import Snapshot, snapshot

SIZES = (3, 30, 300)
LAUNCHES, ROUNDS = 10_000, 5
SOME = 500  # of decisions that name every member
RULES, RANDOM = PolicyRules(), PolicyRules(order="random")
DICE = Random(4).random

Work = Callable[[Snapshot, Sequence[Launch]], object]


def members(number: int, full: int = 0) -> Snapshot:
    """Unequal members, loaded to 70 %; `full` of each three have no seat left."""
    views = []
    for n in range(number):
        seats = (60, 180, 300)[n % 3]
        view = MemberView(
            Member(f"member-{n}", f"https://member-{n}.example.org", float(seats), seats),
            State.HEALTHY,
            seats=Seats(seats if n % 3 < full else seats * 7 // 10, seats),
            capacity=seats,
            weight=float(seats),
        )
        views.append(replace(view, refusal=refusal(view, 0)))
    return snapshot(views, RULES)


def chosen(members: Snapshot, launches: Sequence[Launch]) -> None:
    for launch in launches:
        choose(launch, members, rules=RULES, dice=DICE)


def chosen_holder(members: Snapshot, launches: Sequence[Launch]) -> None:
    holders = frozenset({members.views[len(members.views) // 2].member.name})
    for launch in launches:
        choose(launch, members, rules=RULES, dice=DICE, holders=holders)


def chosen_at_random(members: Snapshot, launches: Sequence[Launch]) -> None:
    for launch in launches:
        choose(launch, members, rules=RANDOM, dice=DICE)


def decided(members: Snapshot, launches: Sequence[Launch]) -> None:
    for launch in launches[:SOME]:
        decide(launch, members, rules=RULES, dice=DICE)


def reordered(members: Snapshot, launches: Sequence[Launch]) -> None:
    """A member's weight has changed: the first launches after it, of one repository each."""
    table = order_table(zip(members.table.names, members.table.weights, strict=True))
    for launch in launches[:SOME]:
        table.order(launch.repo_key)


def measured(
    work: Work, sizes: dict[int, Snapshot], launches: Callable[[], list[Launch]], each: int
) -> list[float]:
    """Microseconds per launch for each size."""
    best = dict.fromkeys(sizes, float("inf"))
    for number in range(ROUNDS + 1):
        for size, members in sizes.items():
            some = launches()
            begun = time.process_time()
            work(members, some)
            if number > 0:  # the first round fills what is remembered, as the first minute does
                best[size] = min(best[size], (time.process_time() - begun) / each * 1e6)
    return list(best.values())


def main() -> None:
    keys = popularity().sample(LAUNCHES, Random(4))
    real = [Launch("gh", "a/b/HEAD", key) for key in keys]
    numbers = count()

    def fresh() -> list[Launch]:
        return [Launch("gh", "a/b/HEAD", f"/build/gh/new/{next(numbers)}") for _ in range(LAUNCHES)]

    well = {size: members(size) for size in SIZES}
    crowded = {size: members(size, full=2) for size in SIZES}
    rows: list[tuple[str, Work, dict[int, Snapshot], Callable[[], list[Launch]], int]] = [
        ("choose", chosen, well, lambda: real, LAUNCHES),
        ("choose, each repository seen for the first time", chosen, well, fresh, LAUNCHES),
        ("choose, two of three members are full", chosen, crowded, lambda: real, LAUNCHES),
        ("choose, one member holds the image", chosen_holder, well, lambda: real, LAUNCHES),
        ("choose at random", chosen_at_random, well, lambda: real, LAUNCHES),
        ("decide: all members, with scores and reasons", decided, crowded, lambda: real, SOME),
        ("order of a key after a weight has changed", reordered, well, lambda: real, SOME),
    ]
    gc.disable()
    print(
        f"{'µs per launch, by number of members':<50}"
        + "".join(f"{size:>9}" for size in SIZES)
        + f"{'300 : 3':>10}"
    )
    for name, work, sizes, launches, each in rows:
        found = measured(work, sizes, launches, each)
        print(f"{name:<50}" + "".join(f"{one:>9.2f}" for one in found) + f"{found[-1] / found[0]:>10.2f}")


if __name__ == "__main__":
    main()
