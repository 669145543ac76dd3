"""The answer of `/health`: every check side by side, briefly remembered. Knows no HTTP and never raises."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from members.core.facts import Tell, Trouble
from members.core.model import HealthCheck, LaunchFailed
from members.service.builds import Builds
from members.service.ports import Hub, ImageStore

REGISTRY = "Docker registry"  # BinderHub's word for where images are; front doors look for it
HUB = "JupyterHub API"
PODS = "Pod quota"


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report. `run` has a time limit; `otherwise` is the line when it misses that."""

    run: Callable[[], Awaitable[HealthCheck]]
    otherwise: HealthCheck


@dataclass(frozen=True, slots=True)
class Report:
    """All lines. A failing one that says so itself does not count."""

    checks: tuple[HealthCheck, ...]

    @property
    def ok(self) -> bool:
        return all(check.ok or check.ignore_failure for check in self.checks)


class Health:
    """Runs all checks at once, for all who ask at the same time, and remembers the report for `ttl` s."""

    def __init__(self, checks: Sequence[Check], tell: Tell, *, limit: float = 1.5, ttl: float = 1.0) -> None:
        """Each check gets `limit` seconds: less than the two that probes commonly wait."""
        self._checks = tuple(checks)
        self._tell = tell
        self._limit = limit
        self._ttl = ttl
        self._running: asyncio.Task[Report] | None = None
        self._last: tuple[float, Report] | None = None

    async def report(self) -> Report:
        now = asyncio.get_running_loop().time()
        if self._last is not None and now - self._last[0] < self._ttl:
            return self._last[1]
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run(), name="health")
        return await asyncio.shield(self._running)

    async def close(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    async def _run(self) -> Report:
        report = Report(tuple(await asyncio.gather(*(self._line(check) for check in self._checks))))
        self._last = (asyncio.get_running_loop().time(), report)
        return report

    async def _line(self, check: Check) -> HealthCheck:
        try:
            async with asyncio.timeout(self._limit):
                return await check.run()
        except (TimeoutError, LaunchFailed):
            return check.otherwise
        except Exception as error:
            self._tell(Trouble(f"health check {check.otherwise.service}", error))  # a report always comes
            return check.otherwise


def checks(store: ImageStore, hub: Hub, builds: Builds, quota: int | None) -> tuple[Check, ...]:
    """The three lines that BinderHub reports, in its order."""

    async def registry() -> HealthCheck:
        return HealthCheck(REGISTRY, await store.check())

    async def pods() -> HealthCheck:
        return pod_quota(sum((await hub.sessions()).values()), builds.running, quota)

    # Without the hub nobody knows the sessions; the hub's own line is the one that fails then.
    unknown = HealthCheck(PODS, ok=False, detail=(("quota", quota),), ignore_failure=True)
    return (
        Check(registry, HealthCheck(REGISTRY, ok=False)),
        Check(hub.check, HealthCheck(HUB, ok=False)),
        Check(pods, unknown),
    )


def pod_quota(sessions: int, builds: int, quota: int | None) -> HealthCheck:
    """How full the member is; being full is no illness, so it never counts against it."""
    total = sessions + builds
    return HealthCheck(
        PODS,
        ok=quota is None or total <= quota,
        detail=(("total_pods", total), ("build_pods", builds), ("user_pods", sessions), ("quota", quota)),
        ignore_failure=True,
    )
