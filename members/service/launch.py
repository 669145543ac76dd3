"""From an image to a running server, with a few tries. Knows no build and no provider."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from members.core import phases
from members.core.facts import ImageFetched, LaunchEnded, LaunchRetried, LaunchStarted, LaunchStatus, Tell
from members.core.model import LaunchFailed, Resolved, SessionRequest
from members.core.phases import Event
from members.core.quota import QuotaExceeded
from members.service.ports import Hub, ImageStore, Session
from members.service.sessions import Seat, Sessions
from members.service.streams import closing


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
        """`attempts` tries, with `retry_delay` seconds before the second and twice as many before each next."""
        self._store = store
        self._hub = hub
        self._sessions = sessions
        self._tell = tell
        self._attempts = attempts
        self._retry_delay = retry_delay

    async def run(self, resolved: Resolved, session: SessionRequest) -> AsyncIterator[Event]:
        """`launching` events, then `ready`. Raises QuotaExceeded or LaunchFailed."""
        started = _now()
        status: LaunchStatus = "abandoned"
        attempt, cause = 0, ""
        self._tell(LaunchStarted(resolved.provider, resolved.repo_url, session.image))
        try:
            async with self._sessions.seat(session.image, resolved.repo_url) as seat:
                yield phases.launching()
                async with closing(self._fetch(session.image)) as lines:
                    async for line in lines:
                        yield phases.launching(line)
                for attempt in range(self._attempts):
                    started = _now()
                    try:
                        async with closing(self._attempt(session, seat)) as events:
                            async for event in events:
                                # Counted before it is told: the visitor leaves on this event.
                                if event["phase"] == "ready":
                                    status = "success"
                                yield event
                        return
                    except LaunchFailed as error:
                        if attempt + 1 == self._attempts:
                            raise
                        self._tell(LaunchRetried(session.image, attempt, _now() - started, str(error)))
                    yield phases.retrying(attempt + 1)
                    await asyncio.sleep(self._retry_delay * 2**attempt)
        except QuotaExceeded as error:
            status, cause = error.status, str(error)
            raise
        except LaunchFailed as error:
            status, cause = "failure", str(error)
            raise
        finally:
            seconds = _now() - started
            self._tell(
                LaunchEnded(
                    resolved.provider, resolved.repo_url, session.image, status, attempt, seconds, cause=cause
                )
            )

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
        """One temporary user and its server. Whatever ends this before `ready`, the user goes too."""
        session: Session | None = None
        is_ready = False
        try:
            session = await self._hub.create(request)
            async with closing(session.progress()) as messages:
                async for message in messages:
                    seat.give_back()  # the hub has begun, and counts the session itself
                    yield phases.launching(message)
            is_ready = True
            yield phases.ready(session.url, request)
        finally:
            if session is not None and not is_ready:
                self._sessions.discard(session)


def _now() -> float:
    return asyncio.get_running_loop().time()
