"""All members at one moment, with what the router would otherwise reckon for each launch. Knows no launch.

Bounded load: affinity may give a member at most `balance_factor` times its fair share of what is running
(Mirrokni, Thorup and Zadimoghaddam, "Consistent hashing with bounded loads", 2016). There, bins are equal;
here the share is of seats, as members are unequal and a session holds its seat for a long time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, inf
from types import MappingProxyType

from federation.core.model import MemberView, State
from federation.core.ordertable import OrderTable, order_table
from federation.core.rules import PolicyRules

# Below this load a member is never passed over. A bound on a handful of sessions would tell chance, not a hot spot,
# and scatter the first launches of a repository over members that all have to fetch its image. Where the capacity
# is known, a member less than a quarter full has nothing to be relieved of either: while a federation is loaded
# to less than a fifth (a quarter by the default factor), affinity alone decides.
HANDFUL = 8
UNHURRIED = 0.25

RETURNING = frozenset({State.TRIAL, State.RECOVERING})


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The members in the order of the configuration; all sequences go by it.

    `loads` are sessions and launches, `rooms` the load at which no seat is left (without those left alone),
    `limits` the load at which a member is passed over, never above its room; infinite where nothing limits.
    `plain` are members that nothing but their load can speak against.
    `load` and `capacity` are totals of those that their state lets take launches, None where a capacity is not
    known. `blind` means that all seem to have failed at once, and these are the last good views.
    """

    views: tuple[MemberView, ...]
    index: Mapping[str, int]
    table: OrderTable
    loads: tuple[int, ...]
    rooms: tuple[float, ...]
    limits: tuple[float, ...]
    plain: tuple[bool, ...]
    load: int
    capacity: int | None
    blind: bool = False


def snapshot(
    views: Sequence[MemberView],
    rules: PolicyRules,
    before: Snapshot | None = None,
    *,
    headrooms: Sequence[int] | None = None,
    blind: bool = False,
) -> Snapshot:
    """The snapshot of these views. The table of `before` is used on when names and weights are the same.

    `headrooms` are the seats left alone on each member, where the rules leave that to the caller.
    """
    if headrooms is None:
        headrooms = [rules.headroom or 0] * len(views)
    loads = tuple(view.load for view in views)
    rooms = tuple(
        inf if view.capacity is None else max(0, view.capacity - headroom)
        for view, headroom in zip(views, headrooms, strict=True)
    )
    fit = [index for index, view in enumerate(views) if view.fit]
    table = _table(views, before)
    return Snapshot(
        views=tuple(views),
        index=before.index if before is not None and table is before.table else _index(views),
        table=table,
        loads=loads,
        rooms=rooms,
        limits=tuple(map(min, rooms, _bounds(views, loads, fit, rules.balance_factor))),
        plain=tuple(map(_plain, views, table.weights)),
        load=sum(loads[index] for index in fit),
        capacity=_total(views[index].capacity for index in fit),
        blind=blind,
    )


def _plain(view: MemberView, weight: float) -> bool:
    return view.refusal is None and not view.lost and view.state is not State.DEGRADED and weight > 0


def _table(views: Sequence[MemberView], before: Snapshot | None) -> OrderTable:
    """A member that takes no launches has no weight of its own; it keeps the operator's, for the last resort."""
    names = tuple(view.member.name for view in views)
    weights = tuple(view.weight or view.member.weight for view in views)
    if before is not None and (before.table.names, before.table.weights) == (names, weights):
        return before.table
    return order_table(zip(names, weights, strict=True))


def _index(views: Sequence[MemberView]) -> Mapping[str, int]:
    return MappingProxyType({view.member.name: index for index, view in enumerate(views)})


def _total(capacities: Iterable[int | None]) -> int | None:
    total = 0
    for capacity in capacities:
        if capacity is None:
            return None
        total += capacity
    return total


def _bounds(
    views: Sequence[MemberView], loads: Sequence[int], fit: Sequence[int], factor: float
) -> list[float]:
    """The most load that affinity may give each member.

    Degraded members come after the others, so they have no part in what the others share; theirs is their own.
    """
    bounds = [inf] * len(views)
    for degraded in (False, True):
        peers = [index for index in fit if (views[index].state is State.DEGRADED) is degraded]
        sizes = _sizes([views[index] for index in peers])
        total = sum(sizes)
        if total <= 0:
            continue
        shared = factor * (sum(loads[index] for index in peers) + 1)  # with the launch to come
        for index, size in zip(peers, sizes, strict=True):
            bounds[index] = max(ceil(shared * size / total), _floor(views[index], size))
    return bounds


def _sizes(views: Sequence[MemberView]) -> list[float]:
    """Seats, by the weight where they are not known. A member that comes back counts with the part of its size that
    its weight has regained: its peers keep what they carry for it until it can. So they do for one that is paced."""
    known = [view for view in views if view.capacity is not None]
    weight = sum(view.member.weight for view in known)
    seats = sum(view.capacity or 0 for view in known)
    each = seats / weight if weight > 0 and seats > 0 else 1.0
    return [
        (view.member.weight * each if view.capacity is None else view.capacity)
        * _regained(view)
        * view.pacing.factor
        for view in views
    ]


def _regained(view: MemberView) -> float:
    if view.state not in RETURNING or view.member.weight <= 0:
        return 1.0
    return min(1.0, view.weight / (view.member.weight * view.pacing.factor))


def _floor(view: MemberView, size: float) -> int:
    return HANDFUL if view.capacity is None else max(HANDFUL, ceil(UNHURRIED * size))
