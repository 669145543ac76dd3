"""Whether the front door sees its members, or must doubt itself. Knows no look but what seats tell of theirs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from federation.core import doubt
from federation.core.facts import BlindnessChanged, Listener
from federation.core.health import Standing
from federation.core.model import State
from federation.core.rules import HealthRules
from federation.service.seat import Seat

BLIND = "no member answers; the last good view is kept"

Enter = Callable[[Seat, Standing, str], None]
Renew = Callable[[Seat], None]


class Sight:
    """`blind_since` is when all members seem to have failed at once; None when the view is to be believed. `seats` may
    change under it."""

    def __init__(self, seats: Mapping[str, Seat], enter: Enter, renew: Renew, tell: Listener) -> None:
        self.blind_since: float | None = None
        self._seats = seats
        self._enter = enter
        self._renew = renew
        self._tell = tell

    def doubt(self, rules: HealthRules, now: float) -> None:
        """After news of a member: freezes the last good view when all seem to have failed at once, and lets go of it at
        the first answer."""
        asked = {name: seat for name, seat in self._seats.items() if not seat.drained}
        if self.blind_since is not None:
            # One that came with a new configuration and was not looked at yet says nothing.
            seen = (seat.look.silent_since is None and seat.look.seen is not None for seat in asked.values())
            if any(seen) or not asked:
                self._open(asked.values())
            return
        silences = {
            name: doubt.Silence(seat.look.silent_since, seat.look.silent_looks, seat.look.before.state)
            for name, seat in asked.items()
        }
        if fallen := doubt.fallen(silences, rules):
            self._close([asked[name] for name in fallen], now)

    def _close(self, fallen: Iterable[Seat], now: float) -> None:
        self.blind_since = now
        for seat in fallen:
            standing = seat.standing
            if standing.state is State.EJECTED and not standing.by_launches:
                standing = seat.look.before
            self._enter(seat, replace(standing, good=0, bad=0), BLIND)
        self._tell(BlindnessChanged(now, BLIND))

    def _open(self, asked: Iterable[Seat]) -> None:
        self.blind_since = None
        for seat in asked:
            if seat.reason == BLIND:  # its state speaks for itself again
                seat.reason = ""
                self._renew(seat)
        self._tell(BlindnessChanged(None, "a member answers again"))
