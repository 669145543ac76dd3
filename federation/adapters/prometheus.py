"""Asks a Prometheus for a member's signals. Judges nothing: what they are worth is `core.signals`'.

Questions wait in a few threads of our own. When time is up the connection is cut, which ends the thread; one that is
still in the resolver or connecting ends by the time limits there, and its member is not asked meanwhile.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import requests
from prometheus_api_client.exceptions import PrometheusApiClientException
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_fixed

from federation.adapters.prometheus_line import LARGEST_ANSWER, AnswerTooLarge, Line
from federation.core.counters import Count, Counts
from federation.core.model import Member, Signal
from federation.core.promql import AGE, COUNTS, OF_BINDERHUB, QUERIES, filled, selector_of
from federation.core.rules import PrometheusRules
from federation.core.signals import is_usable
from federation.core.told import text
from federation.service.ports import Clock, Reading

THREADS = 8
PAUSE = 0.1  # seconds until the second try at a connection
STILL_BUSY = "has not let go of an earlier question yet"

# What a program raises that finds other JSON than it expected.
_UNREADABLE = (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError)


class _Unanswered(Exception):
    """Why a question has no answer. `for_all`: the next ones would have none either."""

    def __init__(self, reason: str, *, for_all: bool) -> None:
        super().__init__(reason)
        self.for_all = for_all


@dataclass(frozen=True, slots=True)
class _Server:
    url: str
    selector: str
    token: str | None


class PrometheusSource:
    """A `SignalSource`: the member's own Prometheus, or else the one that knows all members. `close` it."""

    def __init__(self, rules: Callable[[], PrometheusRules], clock: Clock, *, threads: int = THREADS) -> None:
        self._rules = rules
        self._clock = clock
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="prometheus")
        self._asked: dict[str, Future[Any]] = {}  # the last question about each member
        self._lines: set[Line] = set()

    async def read(self, member: Member) -> Reading:
        """What the Prometheus knows of the member now. Never raises. The first question that finds no server
        ends the round."""
        rules = self._rules()
        server = _server(member, rules)
        if server is None:
            return Reading()
        queries = {name: query for name, query in {**QUERIES, **rules.queries}.items() if query.strip()}
        before = self._asked.get(member.name)
        if before is not None and not before.done():
            return Reading(unread=MappingProxyType(dict.fromkeys(queries, STILL_BUSY)))
        answers = _Answers()
        line = Line(server.url, server.token, rules.timeout)
        self._lines.add(line)
        try:
            for name, query in {**queries, _COUNTS: COUNTS, _AGE: AGE}.items():
                if answers.stopped is not None:
                    answers.unread[name] = answers.stopped
                    continue
                try:
                    rows = await self._ask(line, member, filled(query, server.selector), rules.timeout)
                    answers.take(name, rows)
                except _Unanswered as problem:
                    answers.unread[name] = str(problem)
                    answers.stopped = str(problem) if problem.for_all else None
        finally:
            self._lines.discard(line)
            line.close()
        return answers.reading(self._clock.now())

    def close(self) -> None:
        """Cuts all connections and ends the threads, without waiting for them."""
        for line in self._lines:
            line.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _ask(self, line: Line, member: Member, query: str, timeout: float) -> Any:
        """The rows of one answer. Raises `_Unanswered`."""
        again = AsyncRetrying(
            stop=stop_after_attempt(2),
            wait=wait_fixed(PAUSE),
            retry=retry_if_exception_type(requests.ConnectionError),
            reraise=True,
        )
        try:
            async with asyncio.timeout(timeout):
                return await again(self._in_thread, line, member, query)
        except (TimeoutError, requests.Timeout) as error:
            raise _Unanswered(f"no answer within {timeout:g} s", for_all=True) from error
        except PrometheusApiClientException as error:
            raise _Unanswered(f"was refused: {text(str(error))}", for_all=False) from error
        except (requests.RequestException, OSError) as error:
            raise _Unanswered(_in_words(error), for_all=not _is_answer(error)) from error
        except _UNREADABLE as error:
            raise _Unanswered("was answered with what is no result", for_all=False) from error

    async def _in_thread(self, line: Line, member: Member, query: str) -> Any:
        asked = self._asked[member.name] = self._threads.submit(line.ask, query)
        return await asyncio.wrap_future(asked)


_COUNTS, _AGE = "counts of launches", "age"


class _Answers:
    """The answers of one round, as they come in."""

    def __init__(self) -> None:
        self.figures: dict[str, float] = {}
        self.counts: Mapping[str, Mapping[str, float]] = {}
        self.age = 0.0
        self.unread: dict[str, str] = {}
        self.stopped: str | None = None  # why nothing more is asked

    def take(self, name: str, rows: Any) -> None:
        """Raises `_Unanswered` for rows that are not what the question is after."""
        try:
            if name == _COUNTS:
                self.counts = _counts(rows)
                return
            value = _single(rows)
        except _UNREADABLE as error:
            raise _Unanswered("was answered with what is not one figure", for_all=False) from error
        if value is None or not is_usable(value):
            return
        if name == _AGE:
            self.age = value
        else:
            self.figures[name] = value

    def reading(self, now: float) -> Reading:
        """All of it. Ages are by the server's clock alone, so that no two clocks need to agree."""
        seen = now - self.age
        counts: Counts = {
            process: Count(seen, MappingProxyType(dict(values))) for process, values in self.counts.items()
        }
        signals = {
            name: Signal(value, seen if name in OF_BINDERHUB else now) for name, value in self.figures.items()
        }
        unread = {name: why for name, why in self.unread.items() if name not in (_COUNTS, _AGE)}
        return Reading(MappingProxyType(signals), MappingProxyType(counts), MappingProxyType(unread))


def _server(member: Member, rules: PrometheusRules) -> _Server | None:
    """The one to ask about this member. All series of a member's own are the member's, and the token is not its."""
    if member.prometheus is not None:
        return _Server(member.prometheus, "", None)
    if rules.url is not None:
        return _Server(rules.url, selector_of(rules.selector, member.name), rules.token)
    return None


def _single(rows: Any) -> float | None:
    """The figure of a vector with one element, or of a scalar; None of an empty vector."""
    if not rows:
        return None
    if isinstance(rows[0], dict):
        (row,) = rows
        return float(row["value"][1])
    return float(rows[1])


def _counts(rows: Any) -> Mapping[str, Mapping[str, float]]:
    """Launches by process and status."""
    counts: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for row in rows:
        value = float(row["value"][1])
        if is_usable(value):
            counts[str(row["metric"].get("instance", ""))][str(row["metric"]["status"])] = value
    return counts


def _is_answer(error: Exception) -> bool:
    """Whether there is a server that answered, if badly."""
    return isinstance(error, AnswerTooLarge | requests.JSONDecodeError | requests.TooManyRedirects)


def _in_words(error: Exception) -> str:
    """Without addresses, as the end of a sentence about a question."""
    match error:
        case AnswerTooLarge():
            return f"was answered with more than {LARGEST_ANSWER} bytes"
        case requests.JSONDecodeError():
            return "was answered with what is not JSON"
        case requests.TooManyRedirects():
            return "was answered with a redirect"
        case requests.exceptions.SSLError():
            return "found no valid certificate"
        case requests.ConnectionError():
            return "found no server, or lost it"
        case _:
            return f"could not be asked ({type(error).__name__})"
