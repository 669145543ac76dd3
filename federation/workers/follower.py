"""The members as a worker sees them: the captain's last picture, and what the worker itself has sent since. Knows no
channel and judges no member.

A picture is a few hundredths of a second old. What the worker told after it was made is put on top, so no launch of
its own is ever forgotten in between; those of other workers are kept off by shares of the free seats.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count
from math import inf, isinf

from federation.core.model import MemberView, State
from federation.core.routing import refusal
from federation.core.rules import Settings
from federation.core.snapshot import Snapshot, snapshot
from federation.service.leases import Lease
from federation.workers.messages import Closed, Counted, Handed, Opened, Picture, Refused, Shown, Turned
from federation.workers.shares import share


@dataclass(frozen=True, slots=True)
class _More:
    """What this worker has changed at a member."""

    leases: int = 0
    starting: int = 0
    handed: int = 0

    def __add__(self, other: _More) -> _More:
        return _More(self.leases + other.leases, self.starting + other.starting, self.handed + other.handed)


_NONE, _ONE_HANDED = _More(), _More(handed=1)


class Follower:
    """The same surface as the pool has for launches and pages: see `federation.service.ports.Members`."""

    def __init__(self, in_force: Callable[[], Settings], send: Callable[[Counted | Refused], None]) -> None:
        self._in_force = in_force
        self._send = send
        self._stirred: list[Callable[[], None]] = []
        self._numbers = count(1)
        self._counted = 0  # messages that change seats, so far
        self._since: deque[tuple[int, str, _More]] = deque()  # message by number, member, what it changes
        members = in_force().members
        views = tuple(MemberView(member) for member in members)
        self._shown = Shown(views, (0,) * len(views), (0,) * len(views), blind_since=None)
        self._rooms: list[float] = []  # loads at which this worker's own share is used up
        self._snapshot: Snapshot | None = None
        self.taken: list[int] = []
        self._share_out(0, 1, 0)
        self._publish()

    @property
    def blind_since(self) -> float | None:
        return self._shown.blind_since

    def views(self) -> tuple[MemberView, ...]:
        return self.snapshot().views

    def snapshot(self) -> Snapshot:
        assert self._snapshot is not None
        return self._snapshot

    def view(self, name: str) -> MemberView | None:
        now = self.snapshot()
        index = now.index.get(name)
        return None if index is None else now.views[index]

    def when_stirred(self, stirred: Callable[[], None]) -> None:
        self._stirred.append(stirred)

    def lease(self, name: str) -> Lease:
        if name not in self.snapshot().index:
            return Lease(lambda lease, ready: None)
        number = next(self._numbers)

        def end(_: Lease, ready: bool) -> None:
            # One that is ready lingers with the captain until the member's own numbers show its session.
            more = _More(leases=0 if ready else -1, starting=0 if lease.building else -1)
            self._count(Closed(number, ready), name, more)
            self._publish()
            self._stir()

        def turned(building: bool) -> None:
            self._count(Turned(number, building), name, _More(starting=-1 if building else 1))
            self._publish()
            self._stir()

        self._count(Opened(number, name), name, _More(leases=1, starting=1))
        self._publish()
        lease = Lease(end, turned)
        return lease

    def handed(self, index: int) -> None:
        name = self.views()[index].member.name
        self._count(Handed(name), name, _ONE_HANDED)
        self.taken[index] += 1

    def refused(self, name: str, reason: str) -> None:
        self._send(Refused(name, reason))

    def take_over(self, picture: Picture, shown: Shown) -> None:
        """A newer picture takes the place of the one before."""
        self._shown = shown
        while self._since and self._since[0][0] <= picture.counted:
            self._since.popleft()
        self._share_out(picture.place, picture.of, picture.turn)
        self._publish()
        self._stir()

    def _count(self, message: Counted, member: str, more: _More) -> None:
        self._send(message)
        self._counted += 1
        self._since.append((self._counted, member, more))

    def _share_out(self, place: int, of: int, turn: int) -> None:
        loads = [view.load + taken for view, taken in zip(self._shown.views, self._shown.taken, strict=True)]
        frees = free_seats(self._shown)
        self._rooms = [load + share(free, place, of, turn) for load, free in zip(loads, frees, strict=True)]

    def _publish(self) -> None:
        sums: dict[str, _More] = {}
        for _, name, more in self._since:
            sums[name] = sums.get(name, _NONE) + more
        shown = self._shown
        views = [
            _with(view, sums.get(view.member.name, _NONE), headroom)
            for view, headroom in zip(shown.views, shown.headrooms, strict=True)
        ]
        made = snapshot(
            views,
            self._in_force().policy,
            self._snapshot,
            headrooms=shown.headrooms,
            blind=shown.blind_since is not None,
        )
        rooms = tuple(map(min, made.rooms, self._rooms))
        self._snapshot = replace(made, rooms=rooms, limits=tuple(map(min, made.limits, rooms)))
        self.taken = [
            taken + sums.get(view.member.name, _NONE).handed
            for view, taken in zip(views, shown.taken, strict=True)
        ]

    def _stir(self) -> None:
        for stirred in self._stirred:
            stirred()


def free_seats(shown: Shown) -> list[float]:
    """How many more launches each member can be given, infinite where nothing limits."""
    frees: list[float] = []
    for view, headroom, taken in zip(shown.views, shown.headrooms, shown.taken, strict=True):
        free = inf if view.capacity is None else view.capacity - headroom - view.load - taken
        if view.intake is not None:
            free = min(free, view.intake - view.starting)
        if view.state is State.TRIAL:  # one launch decides
            free = min(free, 1 - view.leases - taken)
        frees.append(max(0, free))
    return frees


def headrooms(made: Snapshot) -> tuple[int, ...]:
    """The seats left alone on each member, as the rooms of this snapshot tell."""
    return tuple(
        0 if isinf(room) else max(0, (view.capacity or 0) - int(room))
        for view, room in zip(made.views, made.rooms, strict=True)
    )


def _with(view: MemberView, more: _More, headroom: int) -> MemberView:
    if not more.leases and not more.starting:
        return view
    view = replace(
        view,
        leases=max(0, view.leases + more.leases),
        starting=max(0, view.starting + more.starting),
    )
    return replace(view, refusal=refusal(view, headroom))
