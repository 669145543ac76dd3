"""The whole story of one launch, event by event. Knows the order of things, not how any of them is done.

resolve → policy → image known? → room, build or join → launch → ready, exactly as BinderHub tells it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import unquote

from members.core import phases, policy, quota
from members.core.facts import QuotaHit, StoryEnded, StoryStatus, Tell
from members.core.imagename import image_name
from members.core.model import (
    AlreadyRunning,
    BeyondMember,
    BuildBroken,
    BuildFailed,
    LaunchFailed,
    LaunchRequest,
    Resolved,
    ResolveError,
    SessionRequest,
    SpecError,
)
from members.core.phases import Event, News
from members.core.quota import Quota, QuotaExceeded
from members.service.builds import Builds
from members.service.launch import Launcher
from members.service.ports import ImageStore, Provider
from members.service.sessions import Sessions
from members.service.streams import closing

_RENAMED = ("master", "main")  # default branches that may have been renamed since a link was made
_ENDINGS: Mapping[object, StoryStatus] = {"ready": "success", "failed": "failure"}
_FALLBACK_PAUSE = 10.0  # seconds in which a visitor can read that the link is out of date


@dataclass(frozen=True, slots=True)
class Source:
    """A provider with the operator's rules about its specs."""

    provider: Provider
    banned_specs: tuple[str, ...] = ()
    allowed_specs: tuple[str, ...] = ()
    high_quota_specs: tuple[str, ...] = ()
    spec_quotas: tuple[tuple[str, int | None], ...] = ()

    def limits(self, usual: Quota, spec: str) -> Quota:
        """What may run at once, for this spec."""
        return quota.for_spec(usual, spec, self.high_quota_specs, self.spec_quotas)


@dataclass(slots=True)
class _Course:
    """How far a launch came. Until it ends otherwise, it is one that was abandoned."""

    request: LaunchRequest
    source: Source | None = None
    ref: str = ""
    status: StoryStatus = "abandoned"


class _Ended(Exception):
    """The launch is over; `event` is its last."""

    def __init__(self, event: Event) -> None:
        super().__init__(str(event))
        self.event = event


class Pipeline:
    """One launch after the other, or many at once: nothing is kept here between them."""

    def __init__(
        self,
        sources: Mapping[str, Source],
        store: ImageStore,
        builds: Builds,
        sessions: Sessions,
        launcher: Launcher,
        tell: Tell,
        *,
        image_prefix: str,
        new_token: Callable[[], str],
        fallback_pause: float = _FALLBACK_PAUSE,
    ) -> None:
        """`new_token` draws the secret of a session: 16 random bytes, URL-safe base64 without padding."""
        self._sources = sources
        self._store = store
        self._builds = builds
        self._sessions = sessions
        self._launcher = launcher
        self._tell = tell
        self._image_prefix = image_prefix
        self._new_token = new_token
        self._fallback_pause = fallback_pause

    async def run(self, request: LaunchRequest) -> AsyncIterator[News]:
        """All events of a launch; the last one is `ready` or `failed`. Close it when the visitor has left.

        Closed at `ready`, before the end was asked for, it removes the session: nobody has learned of it.
        """
        course = _Course(request)
        try:
            async with closing(self._events(course)) as events:
                async for event in events:
                    yield event
                    if isinstance(event, dict):
                        course.status = _ENDINGS.get(event.get("phase"), course.status)
        except Exception:
            course.status = "failure"
            raise
        finally:
            if course.source is not None and not request.build_only:
                name = course.source.provider.name
                self._tell(StoryEnded(name, course.request.spec, course.ref, course.status, request.visit))

    async def _events(self, course: _Course) -> AsyncIterator[News]:
        """The story, and its end as an event where it ends in an error that visitors are told."""
        try:
            async with closing(self._story(course)) as story:
                async for event in story:
                    yield event
        except _Ended as ended:
            yield ended.event
        except BeyondMember as error:
            yield phases.refused(501, str(error))
        except BuildFailed as error:
            yield phases.build_failed(str(error))
        except (BuildBroken, LaunchFailed) as error:
            yield phases.refused(500, str(error))
        except AlreadyRunning as error:
            yield phases.refused(409, str(error))
        except QuotaExceeded as error:
            yield phases.failed(str(error))

    async def _story(self, course: _Course) -> AsyncIterator[News]:
        request = course.request
        source = course.source = self._known(request)
        if not policy.allowed(request.spec, source.banned_specs, source.allowed_specs):
            raise _Ended(phases.banned(request.spec))
        resolved = await self._resolve(source.provider, request)
        if resolved is None and _renamed(source.provider, request.spec):
            old = request.spec.rpartition("/")[2]
            yield phases.waiting(
                f"This repository has no branch {unquote(old)} any more. Continuing with its default branch;"
                f" please change the link to end in /HEAD or in the branch's new name."
            )
            await asyncio.sleep(self._fallback_pause)
            request = course.request = replace(request, spec=request.spec.removesuffix(old) + "HEAD")
            resolved = await self._resolve(source.provider, request)
        if resolved is None:
            raise _Ended(phases.unresolved(request.provider, request.spec))
        bans = source.banned_specs
        if policy.banned_by_another_name(request.spec, resolved.resolved_spec, resolved.ref, bans):
            raise _Ended(phases.banned(request.spec))
        course.ref = resolved.ref

        image = image_name(self._image_prefix, resolved.build_slug, resolved.ref)
        limits = source.limits(self._sessions.limits, request.spec)
        known = await self._store.has(image)
        if not known:
            room = None if request.build_only else limits
            async with closing(self._build(resolved, image, room)) as lines:
                async for event in lines:
                    yield event
        if request.build_only:
            yield phases.image_ready(image, was_there=known)
            return
        yield phases.found(image) if known else phases.built(image)
        session = self._session(request, resolved, image)
        async with closing(self._launcher.run(resolved, session, limits)) as launch:
            async for event in launch:
                yield event

    def _known(self, request: LaunchRequest) -> Source:
        """The provider that was named."""
        source = self._sources.get(request.provider)
        if source is None:
            raise _Ended(phases.no_provider(request.provider))
        return source

    async def _resolve(self, provider: Provider, request: LaunchRequest) -> Resolved | None:
        try:
            return await provider.resolve(request.spec)
        except SpecError as error:
            raise _Ended(phases.refused(400, str(error))) from error
        except ResolveError as error:
            raise _Ended(phases.resolve_error(request.provider, request.spec, str(error))) from error

    async def _build(self, resolved: Resolved, image: str, room: Quota | None) -> AsyncIterator[News]:
        """Builds the image, or joins the build that runs. No one waits for a build that could not launch.

        Without `room` nothing is to be launched.
        """
        if room is not None:
            try:
                await self._sessions.check(image, resolved.repo_url, room)
            except QuotaExceeded as error:
                self._tell(QuotaHit(resolved.provider, resolved.repo_url, error.status))
                raise
        yield phases.waiting()
        async with closing(self._builds.watch(resolved, image)) as lines:
            async for line in lines:
                yield line

    def _session(self, request: LaunchRequest, resolved: Resolved, image: str) -> SessionRequest:
        return SessionRequest(
            image=image,
            token=self._new_token(),
            repo_url=resolved.repo_url,
            ref_url=resolved.ref_url,
            launch_host=request.launch_host,
            binder_request=f"v2/{request.provider}/{request.spec}",
            persistent_request=f"v2/{request.provider}/{resolved.resolved_spec}",
            client_ip=request.client_ip,
            user=request.user,
        )


def _renamed(provider: Provider, spec: str) -> bool:
    return provider.head_fallback and spec.rpartition("/")[2] in _RENAMED and spec.count("/") == 2
