"""The effective weight: the operator's, after evidence, free seats and slow start. Knows no source of these."""

from __future__ import annotations

from federation.core.model import State

KNEE = 0.25  # share of free seats below which a member's weight falls
LEAST = 0.05  # of its weight a full member keeps: that it is full is told by its seats
RAMP_FROM = 0.1  # the share that a slow start begins with
STICKY = 4 / 3  # a factor stays as it is until it would change by more than this
# Near the whole the band has other ends: a factor that changes to more than `WHOLE` becomes the whole, which is left
# only below `LEFT`. Neither figures around `WHOLE` nor those that touch 1 then change it twice.
WHOLE, LEFT = 0.81, 0.66


def room(free: int | None, capacity: int | None) -> float:
    """Whole as long as a quarter of the seats is free, then falling: a repository keeps its member while
    there is room, and new ones turn to others before it is full."""
    if free is None or not capacity:
        return 1.0
    return min(1.0, max(LEAST, free / capacity / KNEE))


def ramp(state: State, elapsed: float, slow_start: float) -> float:
    """The share of a member that comes back: from a tenth to the whole, in proportion to time."""
    if state is not State.RECOVERING:
        return 1.0
    return min(1.0, RAMP_FROM + (1 - RAMP_FROM) * max(0.0, elapsed) / slow_start)


def settled(before: float, now: float) -> float:
    """The factor to use after `before` was used and `now` was computed.

    A dead band (O. H. Schmitt, "A thermionic trigger", 1938): keys move with every change of a weight, so it
    follows only a change by more than a third. Figures that wobble by 10 % around any value, a fifth from end to
    end, change it once at most. The whole weight and none are taken at once.
    """
    if now <= 0.0 or now >= 1.0:
        return min(1.0, max(0.0, now))
    if before >= 1.0 and now >= LEFT:
        return 1.0
    if 0.0 < before < 1.0 and 1 / STICKY <= now / before <= STICKY:
        return before
    return 1.0 if now > WHOLE else now
