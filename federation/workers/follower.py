"""The members as a worker sees them: the captain's last picture, and what the worker itself has sent since. Knows no
channel and judges no member.

A picture is a few hundredths of a second old. What the worker told after it was made is put on top, so no launch of
its own is ever forgotten in between; those of other workers are kept off by shares of the free seats.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from math import inf, isinf

from federation.core.model import MemberView, State
from federation.core.routing import refusal
from federation.core.rules import Settings
from federation.core.snapshot import Snapshot, snapshot
from federation.service.leases import Lease
from federation.workers.messages import Closed, Counted, Handed, Opened, Picture, Refused, Shown
from federation.workers.shares import share


class Follower:
    """The same surface as the pool has for launches and pages: see `federation.service.ports.Members`."""

    def __init__(self, in_force: Callable[[], Settings], send: Callable[[Counted | Refused], None]) -> None:
        self._in_force = in_force
        self._send = send
        self._stirred: list[Callable[[], None]] = []
        self._numbers = count(1)
        self._counted = 0  # messages that change seats, so far
        self._since: deque[tuple[int, str, int, int]] = deque()  # number, member, leases more, handed more
        members = in_force().members
        views = tuple(MemberView(member) for member in members)
        self._shown = Shown(views, (0,) * len(views), (0,) * len(views), blind=False)
        self._rooms: list[float] = []  # loads at which this worker's own share is used up
        self._snapshot: Snapshot | None = None
        self.taken: list[int] = []
        self._share_out(0, 1, 0)
        self._publish()

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
            self._count(Closed(number, ready), name, leases=0 if ready else -1)
            self._publish()
            self._stir()

        self._count(Opened(number, name), name, leases=1)
        self._publish()
        return Lease(end)

    def handed(self, index: int) -> None:
        name = self.views()[index].member.name
        self._count(Handed(name), name, handed=1)
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

    def _count(self, message: Counted, member: str, *, leases: int = 0, handed: int = 0) -> None:
        self._send(message)
        self._counted += 1
        self._since.append((self._counted, member, leases, handed))

    def _share_out(self, place: int, of: int, turn: int) -> None:
        loads = [view.load + taken for view, taken in zip(self._shown.views, self._shown.taken, strict=True)]
        frees = free_seats(self._shown)
        self._rooms = [load + share(free, place, of, turn) for load, free in zip(loads, frees, strict=True)]

    def _publish(self) -> None:
        leases: Counter[str] = Counter()
        handed: Counter[str] = Counter()
        for _, name, more, sent in self._since:
            leases[name] += more
            handed[name] += sent
        shown = self._shown
        views = [
            _with_leases(view, leases[view.member.name], headroom)
            for view, headroom in zip(shown.views, shown.headrooms, strict=True)
        ]
        made = snapshot(
            views, self._in_force().policy, self._snapshot, headrooms=shown.headrooms, blind=shown.blind
        )
        rooms = tuple(map(min, made.rooms, self._rooms))
        self._snapshot = replace(made, rooms=rooms, limits=tuple(map(min, made.limits, rooms)))
        self.taken = [
            taken + handed[view.member.name] for view, taken in zip(views, shown.taken, strict=True)
        ]

    def _stir(self) -> None:
        for stirred in self._stirred:
            stirred()


def free_seats(shown: Shown) -> list[float]:
    """How many more launches each member can be given, infinite where nothing limits."""
    frees: list[float] = []
    for view, headroom, taken in zip(shown.views, shown.headrooms, shown.taken, strict=True):
        free = inf if view.capacity is None else view.capacity - headroom - view.load - taken
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


def _with_leases(view: MemberView, more: int, headroom: int) -> MemberView:
    if not more:
        return view
    view = replace(view, leases=max(0, view.leases + more))
    return replace(view, refusal=refusal(view, headroom))
