"""Budget pacing: how much of its weight a member keeps, so that what its donors give lasts to the end of the month.
Knows no ledger and no clock.

The law: what is left of the cap is spread evenly over what is left of the month, and the weight is what makes the
member spend at that rate (K.-C. Lee, A. Jalali and A. Dasdan, "Real Time Bid Optimization with Smooth Budget Delivery
in Online Advertising", 2013, with a slot as long as the time between two looks). Every look begins anew from what
was really spent, so that an error in any estimate shrinks instead of adding up. Money that stayed over is not poured
out at the end: no rate is above `MOST` times the mean. At the cap a member keeps `LEAST` of its weight and not none:
that costs little, its health stays known, and it is there at once when others cannot take a launch.

All rates are per month, as if one went on like this for a whole month.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from federation.core.model import Pacing

LEAST = 0.02  # of its weight, whatever was spent
LEARNING = 0.5  # of its weight, as long as it is not known that fewer launches cost less: enough to find out
MOST = 1.5  # times the mean rate of the month
HORIZON = 1 / 360  # of a month, two hours: nothing is spread over less, as estimates are coarser than that
# Of all cost, the part that launches make. Below the first nothing is gained by sending them elsewhere, and from the
# second on pacing has its whole effect; in between it has some, so that an estimate near an edge makes no jump.
FLAT, BY_LAUNCHES = 0.1, 0.5
FEWEST, DAYS = 3, 56  # that are learned from
PRIOR = 0.1  # days as different as a day without launches, which belief outweighs
SURE = 4.0  # times the belief, from which on what was learned counts as known
DOUBLES = 3600.0  # seconds in which a factor may double, or halve
STEP = 0.05  # smaller changes of a factor are not made: keys move with every one

SPENT = "its budget of this month is spent"
PACED = "paced to its budget"
FEE = "its costs come whatever it takes, so fewer launches would save nothing"


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How a member's costs follow its launches: so much a day in any case, and so much for each launch. `sure` tells
    that days were different enough to know."""

    fixed: float
    per_launch: float
    sure: bool = False


@dataclass(frozen=True, slots=True)
class Spending:
    """Where a month stands. `gone` is the share of it that has gone by, `spent` what that cost. `fixed` is the rate
    that comes in any case, `variable` the rate of what launches would cost if the member had its whole weight;
    `share` is its share of all launches then. `least` is what it keeps of its weight in any case."""

    cap: float
    spent: float
    gone: float
    fixed: float
    variable: float
    share: float = 0.0
    least: float = LEAST


def behaviour(days: Sequence[tuple[float, float]]) -> Behaviour | None:
    """What days, as pairs of launches and cost, tell; None when they tell nothing.

    Least squares, drawn towards the belief that all of the cost is for launches (ridge regression: A. E. Hoerl and
    R. W. Kennard, 1970). As long as all days are alike nothing can tell a fee from a price; pacing itself makes
    them differ, and then a fee shows.
    """
    days = days[-DAYS:]
    count = len(days)
    if count < FEWEST:
        return None
    launches, cost = sum(x for x, _ in days) / count, sum(y for _, y in days) / count
    if launches <= 0 or cost <= 0:
        return None
    believed = cost / launches
    prior = PRIOR * launches**2
    together = sum((x - launches) * (y - cost) for x, y in days)
    alone = sum((x - launches) ** 2 for x, _ in days)
    price = min(believed, max(0.0, (together + prior * believed) / (alone + prior)))
    return Behaviour(max(0.0, cost - price * launches), price, alone >= SURE * prior)


def allowed(cap: float, spent: float, gone: float) -> float:
    """The rate at which the rest of the cap lasts to the end of the month."""
    return min(MOST * cap, max(0.0, cap - spent) / max(HORIZON, 1 - gone))


def pace(now: Spending) -> Pacing:
    """The factor on the weight that makes the member spend at the rate allowed, and why. 1 when there is enough, and
    when launches are not what costs."""
    rate = allowed(now.cap, now.spent, now.gone)
    if now.fixed + now.variable <= rate:
        return Pacing()
    gain = (now.variable / (now.fixed + now.variable) - FLAT) / (BY_LAUNCHES - FLAT)
    if gain <= 0:
        return Pacing(1.0, FEE)
    part = min(1.0, max(0.0, (rate - now.fixed) / now.variable))
    # A weight is a member's part in the odds: half the weight of one that takes most launches is far more than half.
    factor = max(now.least, part * (1 - now.share) / (1 - part * now.share)) if part < 1 else 1.0
    return Pacing(factor ** min(1.0, gain), SPENT if now.spent >= now.cap else PACED)


def would_be(share: float, factor: float) -> float:
    """What share of all launches a member with this share would have without its factor, which is above 0."""
    return share / (share + factor * (1 - share)) if share > 0 else 0.0


def glided(before: float, wanted: float, seconds: float) -> float:
    """The factor to use so many seconds after `before` came into use: on the way to the wanted one, without a jump.
    `before` itself as long as the step would be a small one."""
    if abs(wanted - before) < STEP * before and LEAST < wanted < 1:
        return before
    most = 2.0 ** min(50.0, max(0.0, seconds) / DOUBLES)
    factor = min(before * most, max(before / most, wanted))
    return factor if factor == wanted or abs(factor - before) >= STEP * before else before
