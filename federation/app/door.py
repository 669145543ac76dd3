"""The parts of a front door that live as long as the process, put together. Holds no logic of its own."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from aiohttp import web

from federation.adapters.archive_files import ArchiveFiles
from federation.adapters.certificates import Certificates, CertifiedResponse
from federation.adapters.cloud_costs import CloudCostsFile
from federation.adapters.cost_exports import ExportFolders
from federation.adapters.decision_log import DecisionLog
from federation.adapters.git_refs import FollowedRefs
from federation.adapters.incident_file import IncidentFile
from federation.adapters.log import FactLog
from federation.adapters.metrics import FederationMetrics
from federation.adapters.metrics_own import Sights
from federation.adapters.probe import HttpProber
from federation.adapters.prometheus import PrometheusSource
from federation.adapters.scrape import MetricsScraper
from federation.adapters.session_end import HttpSessionEnd
from federation.adapters.state_file import StateFile
from federation.adapters.store_file import FileStore
from federation.adapters.store_memory import MemoryStore
from federation.adapters.transport import open_session
from federation.app.launching import Parts, launching, new_id
from federation.core.facts import ConfigurationRefused, Fact, Listener, Reconfigured
from federation.core.policies import Dice
from federation.core.rules import HealthRules, PrometheusRules, Settings
from federation.service.canary import Canaries
from federation.service.costs import Costs
from federation.service.decisions import Decisions
from federation.service.dispatch import Dispatcher
from federation.service.heartbeat import heartbeat
from federation.service.history import HistoryKeeper
from federation.service.incidents import Incidents
from federation.service.lately import RecentLaunches
from federation.service.launch_test import LaunchTests
from federation.service.ledger import DonorsLedger
from federation.service.monitor import Monitor
from federation.service.own_launch import OwnLaunches
from federation.service.patience import Patience
from federation.service.pool import Pool
from federation.service.ports import Clock, Line, OverrideStore
from federation.service.refs import Refs
from federation.service.retry_budget import RetryBudget
from federation.service.shares import RecentChoices
from federation.service.signals import SignalWatch, Sources
from federation.service.steering import Steering
from federation.service.view_keeper import ViewKeeper
from federation.service.waiting_room import WaitingRoom
from federation.settings import SettingsError, load
from federation.web import launch_test
from federation.web.keys import Running


class FrontDoor:
    """The parts that live as long as the process, and how they follow a new configuration."""

    def __init__(self, settings: Settings, clock: Clock, dice: Dice) -> None:
        self.configured = settings  # as the file has it; what operators set goes on top
        self.running = Running(settings)
        self.clock = clock
        self.dice = dice
        self.pool = Pool(settings, clock, dice)
        self.log = FactLog(settings.log)
        self.choices = RecentChoices(clock)
        self.lately = RecentLaunches(clock)
        self.ledger = DonorsLedger(self.pool, self.settings, clock, StateFile("ledger"), self.tell)
        self.costs = Costs(
            self.pool, self.ledger, self.settings, clock, ExportFolders(), CloudCostsFile(), self.tell
        )
        self.certificates = Certificates()
        sights = Sights(
            self.settings,
            line=lambda: self.line,
            refused=lambda: bool(self._refused),
            certificates=self.certificates.ends,
            override=lambda member: self.steering.override(member),
            incidents=lambda: self.incidents.open_by_kind(),
        )
        self.metrics = FederationMetrics(self.pool, self.choices, clock, sights)
        self.refs = Refs(FollowedRefs(lambda: self.settings().refs), self.tell)
        self.dispatcher = Dispatcher(self.pool, self.settings, dice, self.refs)
        self.patience = Patience()
        self.budget = RetryBudget(self.settings, time.monotonic)
        self.room = WaitingRoom(self.settings, time.monotonic)
        self.line: Line = self.room  # all who wait, which may be elsewhere
        self.pool.when_stirred(self.room.stir)
        self.decision_log = DecisionLog(lambda: self.settings().decisions.file, self.tell)
        self.decisions = Decisions(
            self.settings, clock, explain=self.dispatcher.explain, ended=self.decision_log.write
        )
        self.steering = Steering(
            _store(settings), clock, lambda: self.configured.members, self._bring_into_force, self.tell
        )
        self.archive = ArchiveFiles(self.settings, clock, self.tell)
        self.incidents = Incidents(
            self.pool, self.lately, lambda: self.line, self.settings, clock, IncidentFile(), self.tell
        )
        self.history = HistoryKeeper(self.pool, self.settings, clock, StateFile("history"), self.tell)
        self._listeners: list[Listener] = [
            self.pool.listen,
            self.patience.listen,
            self.dispatcher.listen,
            self.metrics.listen,
            self.log.listen,
            self.choices.listen,
            self.lately.listen,
            self.decisions.listen,
            self.ledger.listen,
            self.archive.listen,
            self.incidents.listen,
            self.history.listen,
        ]
        self.pool.subscribe(self.tell)
        self._refused = ""

    def settings(self) -> Settings:
        """The configuration in force."""
        return self.running.settings

    def subscribe(self, listener: Listener) -> None:
        """One more listener, after all others."""
        self._listeners.append(listener)

    def tell(self, fact: Fact) -> None:
        for listener in self._listeners:
            listener(fact)

    @asynccontextmanager
    async def at_work(self, app: web.Application) -> AsyncIterator[None]:
        """Connections and tasks, from the start of the application to its end."""
        async with AsyncExitStack() as held:
            await held.enter_async_context(self.steering)
            await held.enter_async_context(self.decision_log)
            await held.enter_async_context(self.archive)
            await held.enter_async_context(self.refs)
            parts = Parts(
                running=self.running,
                pool=self.pool,
                dispatcher=self.dispatcher,
                room=self.room,
                budget=self.budget,
                patience=self.patience,
                tell=self.tell,
                clock=self.clock,
                new_id=new_id,
            )
            streams = await held.enter_async_context(launching(app, parts))
            session_end = HttpSessionEnd(await held.enter_async_context(open_session()))
            own = OwnLaunches(self.pool, streams, session_end, self.settings)
            app[launch_test.TESTS] = LaunchTests(self.pool, own, self.tell)
            await self._watch(held, own)
            yield

    async def _watch(self, held: AsyncExitStack, own: OwnLaunches) -> None:
        """Starts what keeps the view of the members: looks, signals, launches of our own, and the time that goes by."""
        await held.enter_async_context(self.incidents)
        await held.enter_async_context(self.history)
        await held.enter_async_context(
            ViewKeeper(self.pool, StateFile("view file"), self.settings, self.tell)
        )
        looking = await held.enter_async_context(open_session(answers=CertifiedResponse))
        prober = HttpProber(looking, self._health, self.clock, self.certificates)
        monitor = Monitor(self.pool, prober, self.settings, self.dice, self.tell)
        prometheus = PrometheusSource(self._prometheus, self.clock)
        held.callback(prometheus.close)
        scraper = MetricsScraper(await held.enter_async_context(open_session()), self._prometheus, self.clock)
        sources = Sources(prometheus, scraper)
        signals = SignalWatch(sources, self.settings, self.clock, self.dice, self.tell, self.pool.signalled)
        canaries = Canaries(self.pool, own, self.settings, self.tell)
        for watch in (monitor, signals, canaries):
            self._listeners.append(watch.listen)
            held.callback(self._listeners.remove, watch.listen)
            await held.enter_async_context(watch)
        await held.enter_async_context(heartbeat("heartbeat", self.pool.tick, self.tell))
        await held.enter_async_context(heartbeat("steering", self.steering.tick, self.tell))
        for keeper in (self.ledger, self.costs, heartbeat("costs", self.costs.beat, self.tell)):
            await held.enter_async_context(keeper)

    def _health(self) -> HealthRules:
        return self.settings().health

    def _prometheus(self) -> PrometheusRules:
        return self.settings().prometheus

    def reload(self, config: Path) -> None:
        """Takes the file over if it changes anything and is valid; otherwise all stays as it is."""
        try:
            settings = load(config)
        except SettingsError as error:
            if str(error) != self._refused:
                self._refused = str(error)
                self.tell(ConfigurationRefused(str(error)))
            return
        self._refused = ""
        if settings != self.configured:
            self.configure(settings)

    def configure(self, settings: Settings) -> None:
        """Takes a configuration over. What operators set stays on top of it."""
        self.configured = settings
        self.log.configure(settings.log)
        self.tell(replace(self._bring_into_force(), notices=settings.notices))

    def _bring_into_force(self) -> Reconfigured:
        """The configuration with what is set now; what that changes, which is yet to be told."""
        members = self.steering.applied(self.configured.members)
        self.running.settings = replace(self.configured, members=members)
        return self.pool.configure(self.running.settings)


def _store(settings: Settings) -> OverrideStore:
    return MemoryStore() if settings.state_folder is None else FileStore(settings.state_folder)
