"""Asks a member's `/health` and `/versions` over HTTP. Judges nothing itself: that is `core.verdict`'s."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import aiohttp

from federation.adapters.certificates import Certificates
from federation.adapters.transport import in_words
from federation.core.model import Member
from federation.core.rules import HealthRules
from federation.core.told import bounded
from federation.core.verdict import Verdict, judge
from federation.service.ports import Clock, ProbeResult

LARGEST_BODY = 256 * 1024


class _TooLarge(Exception):
    pass


class HttpProber:
    """A `Prober`. Each question has the configured timeout; both are asked at once. `certificates` is shown what
    `/health` is answered with."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        rules: Callable[[], HealthRules],
        clock: Clock,
        certificates: Certificates | None = None,
    ) -> None:
        self._session = session
        self._rules = rules
        self._clock = clock
        self._certificates = certificates or Certificates()

    async def probe(self, member: Member) -> ProbeResult:
        """One look at the member. Never raises; versions that cannot be read are merely not known."""
        async with asyncio.TaskGroup() as both:
            versions = both.create_task(self._versions(member))
            health = both.create_task(self._health(member))
        answered, verdict = health.result()
        return ProbeResult(
            member=member.name,
            at=self._clock.now(),
            ok=verdict.ok,
            answered=answered,
            reason=verdict.reason,
            checks=verdict.checks,
            seats=verdict.seats,
            lost=verdict.lost,
            versions=versions.result(),
        )

    async def _health(self, member: Member) -> tuple[bool, Verdict]:
        """Whether any answer came, and what it says."""
        timeout = self._rules().timeout
        try:
            seen = partial(self._certificates.saw, member.name)
            status, body = await self._get(member.address(member.health_path), timeout, seen)
            return True, judge(status, body)
        except TimeoutError:
            return False, Verdict(False, f"no answer within {timeout:g} s")
        except _TooLarge:
            return True, Verdict(False, f"/health answered with more than {LARGEST_BODY} bytes")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return False, Verdict(False, in_words(error))

    async def _versions(self, member: Member) -> dict[str, Any] | None:
        try:
            status, body = await self._get(member.address(member.versions_path), self._rules().timeout)
            told = json.loads(body) if status == 200 else None
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError, RecursionError, _TooLarge):
            return None
        return bounded(told) if isinstance(told, dict) else None

    async def _get(
        self, url: str, timeout: float, seen: Callable[[aiohttp.ClientResponse], None] = lambda answer: None
    ) -> tuple[int, bytes]:
        async with (
            asyncio.timeout(timeout),
            self._session.get(url, allow_redirects=False, headers={"Accept": "application/json"}) as answer,
        ):
            seen(answer)
            body = bytearray()
            async for chunk in answer.content.iter_any():
                body += chunk
                if len(body) > LARGEST_BODY:
                    answer.close()
                    raise _TooLarge
            return answer.status, bytes(body)
