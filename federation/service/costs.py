"""What members cost, kept up to date, and the pace that follows from it. Knows no file format and no formula."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from federation.core.archive import folder_of
from federation.core.cost_exports import Period, entries
from federation.core.costs import Books, Figures, figures, monthly_periods, spending
from federation.core.facts import Listener, LoopFailed
from federation.core.model import Member, MemberView, Pacing
from federation.core.months import Month, month_named, month_of
from federation.core.pacing import glided, pace, would_be
from federation.core.shares import expected
from federation.service.dispatch import InForce
from federation.service.ledger import DonorsLedger
from federation.service.pool import Pool
from federation.service.ports import Clock, CloudCosts, CostExports

EVERY = 180.0  # seconds between two looks at the exports
PACED_EVERY = 30.0  # seconds between two looks at the budgets
PUBLISHED = "cloud-costs.jsonl"
RETURNING = "on its way back to its whole weight"
ALONE = "no other member takes launches, so its budget does not hold it back"


@dataclass(frozen=True, slots=True)
class _Paced:
    pacing: Pacing
    at: float


class Costs:
    """`async with` it within the ledger: the exports are read as long as the block lasts. Call `beat` about once a
    second."""

    def __init__(
        self,
        pool: Pool,
        ledger: DonorsLedger,
        in_force: InForce,
        clock: Clock,
        exports: CostExports,
        published: CloudCosts,
        tell: Listener,
        *,
        every: float = EVERY,
    ) -> None:
        self._pool = pool
        self._in_force = in_force
        self._clock = clock
        self._exports = exports
        self._file = published
        self._tell = tell
        self._every = every
        self._periods: dict[str, tuple[Period, ...]] = {}  # by folder
        self._problems: set[str] = set()
        self._written: tuple[str, list[dict[str, Any]]] | None = None
        self._paced: dict[str, _Paced] = {}
        self._looked = 0.0
        self._task: asyncio.Task[None] | None = None
        self.ledger = ledger

    # What readers see.

    def month(self) -> Month:
        """The present one."""
        return month_of(self._clock.now())

    @property
    def currency(self) -> str:
        """Of all figures."""
        return self._in_force().costs.currency

    def paces(self) -> dict[str, float]:
        """The factor of each member's pace."""
        return {view.member.name: view.pacing.factor for view in self._pool.views()}

    def figures(self) -> tuple[Figures, ...]:
        """All members in this month, in the order of the configuration."""
        now, month = self._clock.now(), self.month()
        return tuple(
            figures(member.name, self._books(member), month, now) for member in self._in_force().members
        )

    def past(self, months: int) -> Iterator[tuple[Month, tuple[Figures, ...]]]:
        """The last so many months of the ledger, the present one first, with the members that gave something; those
        that left have no costs."""
        now = self._clock.now()
        members = {member.name: member for member in self._in_force().members}
        names = {name for account in self.ledger.accounts.values() for name in account.months}
        for month in map(month_named, sorted(names, reverse=True)[:months]):
            yield (
                month,
                tuple(
                    figures(name, self._books(members[name]), month, now)
                    if name in members
                    else Figures(name, account.month(month.name))
                    for name, account in sorted(self.ledger.accounts.items())
                    if month.name in account.months
                ),
            )

    def entries(self) -> list[dict[str, Any]]:
        """The lines of cloud-costs.jsonl: all members together."""
        now = self._clock.now()
        books = [self._books(member) for member in self._in_force().members]
        told = [period for one in books for period in (*one.periods, *monthly_periods(one, now))]
        return list(entries(told))

    # What time changes.

    def beat(self) -> None:
        """Enters what members gave, and sets the pace of each."""
        self.ledger.beat()
        now = self._clock.now()
        views = self._pool.views()
        if not 0 <= now - self._looked < PACED_EVERY:
            self._looked = now
            self._look(views, now)
        taking = {view.member.name for view in views if view.refusal is None}
        for view in views:
            name = view.member.name
            pacing = self._paced[name].pacing if name in self._paced else Pacing()
            if pacing.factor < 1 and not taking - {name}:
                pacing = Pacing(1.0, ALONE)
            self._pool.pace(name, pacing)

    def _look(self, views: tuple[MemberView, ...], now: float) -> None:
        shares, month = expected(views), month_of(now)
        before, self._paced = self._paced, {}
        if not self._in_force().costs.pace:
            return
        for view in views:
            name, old = view.member.name, before.get(view.member.name)
            if not shares[name] and old is not None:
                self._paced[name] = (
                    old  # it takes no launches now, and what its share would be cannot be told
                )
                continue
            share = would_be(shares[name], view.pacing.factor)
            found = spending(self._books(view.member), month, now, share)
            if found is not None:
                self._paced[name] = _stepped(old, pace(found), now)

    def _books(self, member: Member) -> Books:
        folder = None if member.costs is None else member.costs.exports
        periods = () if folder is None else self._periods.get(folder, ())
        return Books(member.costs, periods, self.ledger.account(member.name))

    # The exports.

    async def __aenter__(self) -> Costs:
        self._task = asyncio.create_task(self._run(), name="costs")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            problems: set[str] = set()
            try:
                problems.update(await self._read())
                await self._publish()
            except Exception as error:  # a full disk must not end the loop
                problems.add(str(error) or type(error).__name__)
            self._say(problems)
            await asyncio.sleep(self._every)

    async def _read(self) -> set[str]:
        """Takes the exports over. Gives what is wrong with them."""
        members = self._in_force().members
        folders = {one.costs.exports for one in members if one.costs is not None and one.costs.exports}
        problems: set[str] = set()
        periods = {}
        for folder in sorted(folders):
            exported = await self._exports.read(folder)
            periods[folder] = exported.periods
            problems.update(exported.problems)
        if periods != self._periods:
            self._periods, self._looked = periods, 0.0
        return problems

    async def _publish(self) -> None:
        folder, told = folder_of(self._in_force()), self.entries()
        if folder is None or not (told or self._written):
            return
        path = f"{folder}/{PUBLISHED}"
        if self._written != (path, told):
            await self._file.publish(path, told)
            self._written = (path, told)

    def _say(self, problems: set[str]) -> None:
        """Tells each problem once, until it is gone."""
        for problem in sorted(problems - self._problems):
            self._tell(LoopFailed("costs", ValueError(problem)))
        self._problems = problems


def _stepped(before: _Paced | None, wanted: Pacing, now: float) -> _Paced:
    """The next step towards the factor that is wanted."""
    if before is None:
        return _Paced(_said(wanted.factor, wanted.reason), now)
    factor = glided(before.pacing.factor, wanted.factor, now - before.at)
    since = before.at if factor == before.pacing.factor else now
    return _Paced(_said(factor, wanted.reason), since)


def _said(factor: float, reason: str) -> Pacing:
    return Pacing(factor, f"{reason or RETURNING}: {100 * factor:.0f} %" if factor < 1 else reason)
