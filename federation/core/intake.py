"""How many launches a member may have under way at once: what it has shown to manage, and a step more. Pure.

When a member falls, its launches must not fall on the next one all at once (mybinder.org, August 2025). As a sender
learns what a network takes, the limit grows with every launch that came to a good end while it was in use, so at most
doubles in the time that launches take, and halves when one fails by the member's fault (V. Jacobson, "Congestion
avoidance and control", 1988; unused room is no proof: RFC 7661). What exceeds it goes to the next member, and then
waits.
"""

from __future__ import annotations

FIRST = 32  # a busy day of mybinder.org has about as many launches under way in all
LEAST = 4
MOST = 4096
IN_USE = 0.5  # share of the limit that must be under way for a good end to prove anything


def proved(limit: int, under_way: int) -> int:
    """After a launch was ready while so many, itself among them, were under way."""
    return min(MOST, limit + 1) if under_way >= limit * IN_USE else limit


def failed(limit: int) -> int:
    """After a launch failed, and it was the member's fault."""
    return max(LEAST, limit // 2)


def rested(limit: int) -> int:
    """As time goes by, about once a minute: back to where every member begins, by a tenth of the way and one."""
    if limit == FIRST:
        return limit
    step = (FIRST - limit) // 10
    return limit + (step or (1 if limit < FIRST else -1))
