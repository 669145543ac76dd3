"""`up` from beginning to end: prepare, start, wait, watch, stop. Knows the order, not how a step is done."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import uvloop

from federation.local.engine import push
from federation.local.equipment import Docker, find_docker
from federation.local.layout import PROMETHEUS, REGISTRY, Layout
from federation.local.leftovers import end_leftovers
from federation.local.lock import hold
from federation.local.orphans import adopt_orphans
from federation.local.plan import DockerPlan, Plan, PrometheusPlan
from federation.local.prepare import Wish, make_plan, programs, set_old_logs_aside, write_configurations
from federation.local.prometheus import plan_prometheus
from federation.local.readiness import NotReady, isolation, prometheus_ready, wait_ready, wait_registry
from federation.local.ready_file import operator_token, ready_text, write_ready
from federation.local.registry import kept_port
from federation.local.report import Report, ending, tail
from federation.local.runtime import choose_runtime
from federation.local.supervisor import Ended, Fact, Started, Supervisor

# Seconds that children have to end in an orderly way; on Docker a member waits for its containers to go.
_GRACE, _DOCKER_GRACE = 12.0, 40.0
_BASE_REPOSITORY = "base"  # outside of image_prefix: no image of a repository, and nobody prunes it
_PORT_TAKEN = ("address already in use", "errno 98")

_FENCES = {
    "docker": "containers: sessions see neither your files nor each other; a build runs as the engine's own",
    "bubblewrap": "bubblewrap: sessions and builds see neither your files nor each other's processes; "
    "good for repositories you half trust, not as strong as containers",
    "none": "none: sessions and builds run with all your rights; launch only repositories you trust",
}


def up(wish: Wish, report: Report) -> None:
    """Runs a local federation until SIGINT, SIGTERM or SIGHUP.

    Raises Locked, RuntimeMissing, PrometheusMissing, NoFreePort, RepositoryError, SettingsError before anything
    was started, NotReady after everything that was started has ended again.
    """
    layout = Layout(wish.state_dir.resolve())
    layout.create()
    if wish.ready_file is not None:
        wish.ready_file.resolve().parent.mkdir(parents=True, exist_ok=True)
    with hold(layout.lock):
        with report.step("Preparing"):
            plan = _prepare(wish, layout, report)
        adopt_orphans()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run(wish, plan, layout, report))


def _prepare(wish: Wish, layout: Layout, report: Report) -> Plan:
    settings = wish.settings
    choice = asyncio.run(choose_runtime(settings.runtime, lambda: find_docker(os.environ, settings.member)))
    report.say(f"Runtime: {choice.why}")
    for name in end_leftovers(layout.pids):
        report.warn(f"{name} still ran from an `up` that was killed; ended it")
    set_old_logs_aside(layout)
    docker = None if choice.docker is None else _docker_plan(choice.docker, layout, report)
    plan = make_plan(wish, layout, docker, _prometheus_plan(wish, layout, docker))
    write_configurations(plan, layout)
    if plan.port != settings.port:
        report.warn(f"port {settings.port} is taken; the front door uses {plan.port}")
    report.done(f"{len(plan.members)} members and {len(plan.offers)} examples prepared in {layout.root}")
    return plan


def _docker_plan(docker: Docker, layout: Layout, report: Report) -> DockerPlan:
    port, before = kept_port(layout)
    if before is not None:
        report.warn(
            f"the registry's port {before} is taken; it uses {port}, and images are pulled once more from there"
        )
    return DockerPlan(docker.host, docker.base.buildpacks, docker.base.image, port, docker.registry_image)


def _prometheus_plan(wish: Wish, layout: Layout, docker: DockerPlan | None) -> PrometheusPlan | None:
    if not wish.settings.prometheus:
        return None
    taken = (wish.settings.port, *(() if docker is None else (docker.registry_port,)))
    return plan_prometheus(layout, wish.rules, os.environ, taken)


async def _run(wish: Wish, plan: Plan, layout: Layout, report: Report) -> None:
    await _Up(wish, plan, layout, report).run()


class _Up:
    """One run: what was prepared, and the processes made of it."""

    def __init__(self, wish: Wish, plan: Plan, layout: Layout, report: Report) -> None:
        self._plan, self._layout, self._report = plan, layout, report
        self._token = operator_token(layout)
        self._ready_files = [layout.ready, *([] if wish.ready_file is None else [wish.ready_file.resolve()])]
        parts = programs(wish, plan, layout)
        self._ports = {program.name: program.port for program in parts}
        self._supervisor = Supervisor(parts, self._hear)
        self._grace = _GRACE if plan.docker is None else _DOCKER_GRACE
        self._ready = False
        self._base: asyncio.Task[None] | None = None
        self._stop, self._hurry = asyncio.Event(), asyncio.Event()
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # as nohup sets it
                loop.add_signal_handler(number, self._asked_to_stop)
        self._remove_ready_files()
        try:
            if await self._before_stop(self._become_ready()):
                await self._before_stop(self._supervisor.watch())
        finally:
            with self._report.step("Stopping"):
                self._remove_ready_files()
                if self._base is not None:
                    self._base.cancel()
                    await asyncio.wait({self._base})
                await self._supervisor.stop(self._grace, self._hurry)
        self._report.done("Everything has stopped")

    async def _become_ready(self) -> None:
        with self._report.step(f"Starting {len(self._plan.members)} members and the front door"):
            await self._start()
            ready = await wait_ready(self._plan, self._supervisor.failures, self._report)
        self._ready = True
        self._write_ready()
        for member in self._plan.members:
            if member.name not in ready:
                self._report.warn(f"{member.name} does not take launches: {self._layout.log(member.name)}")
        fence = await isolation(self._plan) if self._plan.docker is None else "docker"
        self._report.say(f"Isolation: {_FENCES.get(fence, fence or 'as each member tells in its log')}")
        if self._plan.prometheus is not None:
            await self._tell_of_prometheus(self._plan.prometheus)
        self._report.say(f"Logs:      {self._layout.logs}")
        self._report.say("Stop:      Ctrl-C here (what was built stays for the next start)")
        self._report.say(f"Federation ready: {self._plan.url}")

    async def _tell_of_prometheus(self, prometheus: PrometheusPlan) -> None:
        if await prometheus_ready(prometheus, self._supervisor.failures):
            rules = "no rules" if prometheus.rules is None else f"the rules of {prometheus.rules}"
            self._report.say(f"Prometheus: {prometheus.url} with {rules}")
        else:
            self._report.warn(f"Prometheus does not answer: {self._layout.log(PROMETHEUS)}")

    async def _start(self) -> None:
        """The registry first: members on Docker refuse to start without it."""
        if self._plan.docker is not None:
            self._supervisor.start([REGISTRY])
            await wait_registry(self._plan.docker, self._supervisor.failures)
            if self._plan.docker.base_image is not None:
                bring = self._bring_base(self._plan.docker, self._plan.docker.base_image)
                self._base = asyncio.create_task(bring, name="base image")
        self._supervisor.start([name for name in self._ports if name != REGISTRY])

    async def _bring_base(self, docker: DockerPlan, image: str) -> None:
        """The base image to the registry, beside everything else: the first build need not bring it then."""
        if not await push(docker.host, image, f"{docker.registry}/{_BASE_REPOSITORY}"):
            self._report.warn(f"{image} could not be brought to the registry; the first build will try again")

    async def _before_stop(self, work: Coroutine[Any, Any, None]) -> bool:
        """Runs the work: True when it ended, False when somebody asked to stop; raises what is broken."""
        task = asyncio.create_task(work)
        stop = asyncio.create_task(self._stop.wait())
        first: set[asyncio.Future[Any]] = {task, stop, self._broken}
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if not task.done():
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        if self._stop.is_set():
            return False
        if self._broken.done():
            self._broken.result()
        task.result()
        return True

    def _asked_to_stop(self) -> None:
        if self._stop.is_set():
            self._hurry.set()
        self._stop.set()

    def _hear(self, fact: Fact) -> None:
        if isinstance(fact, Started):
            if fact.again:
                self._report.done(f"{fact.name} was started again (pid {fact.pid})")
            self._tell_again()
            return
        self._complain(fact)

    def _complain(self, fact: Ended) -> None:
        log = self._layout.log(fact.name)
        what = ending(fact.code) + (f" ({fact.problem})" if fact.problem else "")
        self._report.warn(f"{fact.name} {what}; starts again in {fact.next_start:.1f} s (log: {log})")
        if self._ready:
            self._tell_again()
            return
        lines = tail(log)
        if any(sign in line.lower() for line in lines for sign in _PORT_TAKEN):
            self._give_up(
                f"{fact.name} found its port {self._ports[fact.name]} taken by another program meanwhile;"
                " start `up` again, it then chooses another"
            )
        if fact.code is None or fact.code > 0:
            for line in lines:
                self._report.say(f"    {line}")

    def _give_up(self, why: str) -> None:
        if not self._broken.done():
            self._broken.set_exception(NotReady(why))

    def _tell_again(self) -> None:
        """Brings the ready files to the present pids; a federation that runs does not end for them."""
        if self._ready:
            try:
                self._write_ready()
            except OSError as problem:
                self._report.warn(f"the ready file could not be renewed: {problem}")

    def _write_ready(self) -> None:
        text = ready_text(self._plan, self._layout, self._token, self._supervisor.pid)
        write_ready(self._ready_files, text)

    def _remove_ready_files(self) -> None:
        for path in self._ready_files:
            try:
                path.unlink(missing_ok=True)
            except OSError as problem:  # no reason to leave something running
                self._report.warn(f"{path} could not be removed: {problem.strerror}")
