"""Reads a member's own `/metrics`. Computes nothing itself: that is `core.exposition`'s."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from types import MappingProxyType

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from federation.adapters.transport import in_words
from federation.core.exposition import (
    DERIVED,
    SERIES,
    WINDOW,
    History,
    Sample,
    Scrape,
    derived,
    followed,
    sifted,
)
from federation.core.model import Member
from federation.core.rules import PrometheusRules
from federation.core.signals import longest_gap
from federation.service.ports import Clock, Reading

LARGEST_BODY = 16 * 1024 * 1024  # a BinderHub has a few series for each repository it ever launched
BIG = 128 * 1024  # bytes that are worth a thread
_ACCEPT = "text/plain; version=0.0.4"
_PREFIXES = tuple(name.encode() for name in SERIES)


class _Unreadable(Exception):
    """The text is the end of a sentence about the member's metrics."""


class MetricsScraper:
    """A `SignalSource`. It remembers what each member told in the last minutes."""

    def __init__(
        self, session: aiohttp.ClientSession, rules: Callable[[], PrometheusRules], clock: Clock
    ) -> None:
        self._session = session
        self._rules = rules
        self._clock = clock
        self._histories: dict[
            str, tuple[float, History]
        ] = {}  # by URL: when it was last read, and what it was

    async def read(self, member: Member) -> Reading:
        """The signals as of now. Never raises."""
        rules = self._rules()
        try:
            async with asyncio.timeout(rules.timeout):
                body = await self._get(f"{member.url}/metrics")
                scrape = await self._scrape(body)
        except TimeoutError:
            return _nothing(f"no answer within {rules.timeout:g} s")
        except _Unreadable as problem:
            return _nothing(str(problem))
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return _nothing(in_words(error))
        history = followed(self._history(member.url), scrape, longest_gap(rules))
        self._histories[member.url] = (scrape.at, history)
        return Reading(MappingProxyType(derived(history, scrape)), scrape.launches)

    def _history(self, url: str) -> History:
        now = self._clock.now()
        self._histories = {one: kept for one, kept in self._histories.items() if now - kept[0] < WINDOW}
        return self._histories.get(url, (now, History()))[1]

    async def _get(self, url: str) -> bytes:
        async with self._session.get(url, allow_redirects=False, headers={"Accept": _ACCEPT}) as answer:
            if answer.status != 200:
                answer.close()
                raise _Unreadable(f"answered {answer.status}")
            body = bytearray()
            async for chunk in answer.content.iter_any():
                body += chunk
                if len(body) > LARGEST_BODY:
                    answer.close()
                    raise _Unreadable(f"answered with more than {LARGEST_BODY} bytes")
            return bytes(body)

    async def _scrape(self, body: bytes) -> Scrape:
        at = self._clock.now()
        scrape = await asyncio.to_thread(_parse, body, at) if len(body) > BIG else _parse(body, at)
        if scrape is None:
            raise _Unreadable("answered without a metric of BinderHub's")
        return scrape


def _parse(body: bytes, at: float) -> Scrape | None:
    """Only the lines that matter: those of repositories may be thousands. Raises `_Unreadable`."""
    lines = [line for line in body.splitlines() if line.startswith(_PREFIXES)]
    try:
        return sifted(_samples(b"\n".join(lines).decode("utf-8", "replace")), at)
    except (ValueError, IndexError, OverflowError) as error:
        raise _Unreadable("answered with what is no text format of metrics") from error


def _samples(text: str) -> Iterator[Sample]:
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            yield sample.name, sample.labels, float(sample.value)


def _nothing(reason: str) -> Reading:
    return Reading(unread=MappingProxyType(dict.fromkeys(DERIVED, reason)))
