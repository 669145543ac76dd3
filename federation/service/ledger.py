"""Keeps the donors' ledger: counts what members give, and keeps it over restarts. Knows no file format.

A ledger that cannot be read is left alone, told, and not written over: it is credit. What is counted meanwhile is in
memory until it can be read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from federation.core.facts import Fact, LaunchEnded, Listener, Outcome, Redirected
from federation.core.ledger import Account, Served, document, read, session_hours
from federation.core.model import MemberView
from federation.core.rules import Settings
from federation.core.shares import expected
from federation.service.dispatch import InForce
from federation.service.keeper import Keeper
from federation.service.ports import Clock, Members, ViewStore

EVERY = 60.0  # seconds between two writes
SEEN = 60.0  # seconds, and twice the time between two looks, after which a member's number of sessions says nothing
NAME = "ledger.json"


class DonorsLedger(Keeper):
    """A listener. `async with` it: it is read when the block begins, and written within it and at its end. Call `beat`
    about once a second."""

    def __init__(
        self,
        members: Members,
        in_force: InForce,
        clock: Clock,
        store: ViewStore,
        tell: Listener,
        *,
        every: float = EVERY,
    ) -> None:
        super().__init__("ledger", tell, every)
        self._members = members
        self._in_force = in_force
        self._clock = clock
        self._store = store
        self._path = path_of(in_force())  # of another configuration from the next start on
        self._loaded = self._path is None
        self._changed = False
        self._launches: Counter[str] = Counter()
        self._redirected: Counter[str] = Counter()
        self._builds: Counter[str] = Counter()
        self._sampled: float | None = None
        self.accounts: dict[str, Account] = {}
        self.since = clock.now()

    def listen(self, fact: Fact) -> None:
        match fact:
            case Redirected():  # the commonest by far in its mode, so it comes first
                self._redirected[fact.view.member.name] += 1
            case LaunchEnded(member=str(name)):
                if fact.outcome is Outcome.READY:
                    self._launches[name] += 1
                if fact.built:
                    self._builds[name] += 1
            case _:
                pass

    def beat(self) -> None:
        """Enters what came since the last beat."""
        now = self._clock.now()
        seconds = 0.0 if self._sampled is None else now - self._sampled
        self._sampled = now
        views = self._members.views()
        shares = expected(views)
        for view in views:
            name = view.member.name
            whole = 1 / (shares[name] + view.pacing.factor * (1 - shares[name]))
            self._enter(name, self._used(view, now), seconds, whole, now)
        for name in {*self._launches, *self._redirected, *self._builds}:  # of members that are gone
            self._enter(name, None, seconds, 1.0, now)

    def account(self, name: str) -> Account:
        """This member's part; an empty one when there is none."""
        return self.accounts.get(name) or Account()

    async def _begin(self) -> None:
        await self._read()

    async def _turn(self, *, last: bool) -> None:
        if last:
            self.beat()
        await self._keep()

    def _enter(self, name: str, used: int | None, seconds: float, whole: float, now: float) -> None:
        launches, redirected = self._launches.pop(name, 0), self._redirected.pop(name, 0)
        hours = session_hours(used, seconds)
        builds = self._builds.pop(name, 0)
        if launches or redirected or hours or builds:
            served = Served(launches, redirected, hours, builds, (launches + redirected) * whole)
            self.accounts.setdefault(name, Account()).add(served, now)
            self._changed = True

    def _used(self, view: MemberView, now: float) -> int | None:
        """Its sessions now, by its own word; None when that is too old."""
        fresh = SEEN + 2 * self._in_force().health.interval
        if view.seats is None or view.seen is None or not 0 <= now - view.seen <= fresh:
            return None
        return view.seats.used

    async def _read(self) -> None:
        if self._path is None:
            return
        try:
            found = await self._store.read(self._path)
            if found is not None:
                self._take_in(*read(found))
            self._loaded = True
            self._goes_well()
        except ValueError as error:
            self._fails(
                ValueError(
                    f"{self._path} {error}; it is left as it is, and nothing is written until it is good"
                )
            )
        except Exception as error:  # the front door starts without it
            self._fails(error)

    def _take_in(self, accounts: Mapping[str, Account], since: float) -> None:
        for name, account in accounts.items():
            self.accounts.setdefault(name, Account()).take_in(account)
        self.since = min(self.since, since)

    async def _keep(self) -> None:
        """Writes what has changed. What could not be read before is read first, or would be lost."""
        if not self._loaded:
            await self._read()
        if self._path is None or not self._loaded or not self._changed:
            return
        self._changed = False
        try:
            await self._store.write(self._path, document(self.accounts, self.since))
            self._goes_well()
        except Exception as error:  # a full disk must not end the loop
            self._changed = True
            self._fails(error)


def path_of(settings: Settings) -> str | None:
    """Where the ledger is kept; None: nowhere."""
    return None if settings.state_folder is None else f"{settings.state_folder}/{NAME}"
