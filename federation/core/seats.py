"""How many sessions a member can really hold: what it tells, what the operator says, and what refusals teach.

Knows no launch. Learning is additive increase and immediate decrease, after Chiu and Jain, "Analysis of the
increase and decrease algorithms for congestion avoidance in computer networks" (1989): a refusal is a fact
about now, so the limit falls below it at once; that there is room again is only a guess, so it comes back seat
by seat.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil

RAISE_EVERY = 60.0  # seconds until one more seat is tried
RAISE_LATEST = 3600.0  # the same, after one seat more was refused again and again
SHUT = 15.0  # seconds that a member is full after a refusal, when it tells no numbers
MOST_HEADROOM = 0.1  # share of the capacity: a small member must not lose all its seats to caution


@dataclass(frozen=True, slots=True)
class Learned:
    """What refusals taught: the most sessions it took, None while nothing is known; `at` is the last change, and
    `pause` the seconds until the next; `tried` tells that the last one was a guess that there is room again. Until
    `shut_until` a member that tells no numbers counts as full."""

    limit: int | None = None
    at: float = 0.0
    shut_until: float = 0.0
    pause: float = RAISE_EVERY
    tried: bool = False


def refused(learned: Learned, load: int | None, now: float) -> Learned:
    """After a launch was refused for want of a seat. `load` are its sessions and launches with the refused one,
    None when it tells no numbers. A guess that was wrong is not made again as soon: a full member would refuse one
    visitor a minute."""
    if load is None:
        return replace(learned, shut_until=now + SHUT)
    limit = max(0, load - 1)
    return replace(
        learned,
        limit=limit if learned.limit is None else min(limit, learned.limit),
        at=now,
        pause=min(2 * learned.pause, RAISE_LATEST) if learned.tried else learned.pause,
        tried=False,
    )


def raised(learned: Learned, quota: int | None, now: float) -> Learned:
    """As time goes by without a refusal: one more seat after each `pause`, which shortens again as long as guesses are
    right, until the quota is reached and nothing is left of the lesson."""
    if learned.limit is None or 0 <= now - learned.at < learned.pause:
        return learned
    limit = learned.limit + 1
    if quota is not None and limit >= quota:
        return Learned(shut_until=learned.shut_until)
    pause = max(RAISE_EVERY, learned.pause / 2) if learned.tried else learned.pause
    return replace(learned, limit=limit, at=now, pause=pause, tried=True)


def capacity(seats: int | None, quota: int | None, learned: Learned, now: float) -> int | None:
    """The sessions it can hold: the least of the operator's number, what it tells, and what was learned."""
    if learned.shut_until - SHUT <= now < learned.shut_until:
        return 0
    known = [number for number in (seats, quota, learned.limit) if number is not None]
    return min(known) if known else None


@dataclass(frozen=True, slots=True)
class Inflow:
    """How fast sessions come to a member that this front door did not send, in sessions a second."""

    rate: float = 0.0
    at: float = 0.0


def observed(inflow: Inflow, grown: int, ours: int, now: float) -> Inflow:
    """After a look that showed `grown` more sessions than the one before, `ours` of them sent from here.

    An exponentially weighted mean, half of it the newest look; sessions that ended meanwhile hide some of those
    that came, which is why the headroom made of it is a courtesy and not a promise.
    """
    if inflow.at == 0.0 or now <= inflow.at:
        return Inflow(inflow.rate, now)
    foreign = max(0, grown - ours) / (now - inflow.at)
    return Inflow((inflow.rate + foreign) / 2, now)


def headroom(set_by_operator: int | None, inflow: Inflow, interval: float, capacity: int | None) -> int:
    """Seats left alone: the operator's number, or as many as others may take until the next look.

    Launches sent from here need none, since each holds a lease until the member's numbers show it.
    """
    if set_by_operator is not None:
        return set_by_operator
    most = 0 if capacity is None else int(capacity * MOST_HEADROOM)
    return min(most, ceil(inflow.rate * interval))
