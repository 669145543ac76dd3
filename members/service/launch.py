"""From an image to a running server, with a few tries. Knows no build and no provider."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from members.core import phases
from members.core.facts import ImageFetched, LaunchEnded, LaunchRetried, LaunchStarted, LaunchStatus, Tell
from members.core.model import LaunchFailed, Resolved, SessionRequest
from members.core.phases import Event
from members.core.quota import Quota, QuotaExceeded
from members.service.ports import Hub, ImageStore
from members.service.sessions import Seat, Sessions
from members.service.streams import closing


@dataclass(slots=True)
class _Course:
    """How a launch is going: the loop time of its last attempt's start, that attempt, and how it stands."""

    started: float
    attempt: int = 0
    status: LaunchStatus = "abandoned"
    cause: str = ""
    ready: float | None = None  # the loop time at which the server was ready


class Launcher:
    """Starts sessions. A temporary user whose launch fails or is left half-way is removed."""

    def __init__(
        self,
        store: ImageStore,
        hub: Hub,
        sessions: Sessions,
        tell: Tell,
        *,
        attempts: int,
        retry_delay: float = 4.0,
    ) -> None:
        """`attempts` tries, `retry_delay` seconds before the second and twice as many before each next."""
        self._store = store
        self._hub = hub
        self._sessions = sessions
        self._tell = tell
        self._attempts = attempts
        self._retry_delay = retry_delay

    async def run(self, resolved: Resolved, session: SessionRequest, limits: Quota) -> AsyncIterator[Event]:
        """`launching` events, then `ready`. Raises QuotaExceeded or LaunchFailed."""
        about = (resolved.provider, resolved.repo_url, session.image)
        course = _Course(_now())
        self._tell(LaunchStarted(*about))
        try:
            async with self._sessions.seat(session.image, resolved.repo_url, limits) as seat:
                yield phases.launching()
                async with closing(self._fetch(session.image)) as lines:
                    async for line in lines:
                        yield phases.launching(line)
                async with closing(self._tries(session, seat, course)) as events:
                    async for event in events:
                        yield event
        except QuotaExceeded as error:
            course.status, course.cause = error.status, str(error)
            raise
        except LaunchFailed as error:
            course.status, course.cause = "failure", str(error)
            raise
        finally:
            # The time until somebody took the news is not the launch's.
            seconds = (course.ready or _now()) - course.started
            self._tell(LaunchEnded(*about, course.status, course.attempt, seconds, cause=course.cause))

    async def _tries(self, request: SessionRequest, seat: Seat, course: _Course) -> AsyncIterator[Event]:
        """One attempt after another until one is ready; raises the last one's LaunchFailed."""
        for course.attempt in range(self._attempts):
            course.started = _now()
            try:
                async with closing(self._attempt(request, seat)) as events:
                    async for event in events:
                        if event["phase"] == "ready":
                            course.ready = _now()
                        yield event
                course.status = "success"
                return
            except LaunchFailed as error:
                if course.attempt + 1 == self._attempts:
                    raise
                seconds = _now() - course.started
                self._tell(LaunchRetried(request.image, course.attempt, seconds, str(error)))
            yield phases.retrying(course.attempt + 1)
            await asyncio.sleep(self._retry_delay * 2**course.attempt)

    async def _fetch(self, image: str) -> AsyncIterator[str]:
        started = _now()
        said_something = False
        async with closing(self._store.fetch(image)) as lines:
            async for line in lines:
                said_something = True
                yield line
        if said_something:
            self._tell(ImageFetched(image, _now() - started))

    async def _attempt(self, request: SessionRequest, seat: Seat) -> AsyncIterator[Event]:
        """One temporary user and its server. Whatever ends this before `ready` was taken, the user goes too."""
        session, is_ready = self._hub.create(request), False
        try:
            async with closing(session.progress()) as messages:
                async for message in messages:
                    seat.give_back()  # the hub has begun, and counts the session itself
                    yield phases.launching(message)
            yield phases.ready(session.url, request)
            is_ready = True  # asked to go on, so somebody has the address
        finally:
            if not is_ready:
                self._sessions.discard(session)


def _now() -> float:
    return asyncio.get_running_loop().time()
