"""The archive's lines counted: launches, success and waiting times, by whatever they are to be compared. Knows no file.

Reads mybinder.org's own lines as well, which tell fewer things. What is kept does not grow with the number of launches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from math import ceil, exp, log
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote

from federation.core.archive import NAMES, SCHEMA
from federation.core.errors import FederationError
from federation.core.facts import Outcome
from federation.core.lately import let_down
from federation.core.launchkey import repo_key, shown
from federation.core.providers import BY_ID
from federation.core.told import number, text

NOBODY = "(no member)"
NOT_TOLD = "(not told)"
MOST_GROUPS = 200_000  # further ones are counted together
OTHERS = "(others)"
MOST_NAMES = 50_000  # repositories whose name is worked out once

_IDS: Mapping[str, str] = MappingProxyType({name: id for id, name in NAMES.items()})
_ENDED: Mapping[str, Outcome] = MappingProxyType({"success": Outcome.READY, "failure": Outcome.FAILED})
_OUTCOMES = frozenset(outcome.value for outcome in Outcome)
_GROWTH = log(1.02)
_SHORTEST = 0.001  # seconds; what is shorter counts as none
_NONE = -1_000_000


@dataclass(frozen=True, slots=True)
class Entry:
    """One launch as an archive tells of it. `outcome` is empty when it does not; `seconds` are from the click to the
    end, `waited` of them in the waiting room, None when not told."""

    day: str
    provider: str
    spec: str
    member: str
    outcome: str
    cause: str = ""
    seconds: float | None = None
    waited: float | None = None


def read(told: object) -> Entry | None:
    """The launch in a line's JSON; None when it is none, as of another schema or without what every version has."""
    if not isinstance(told, dict) or told.get("schema") != SCHEMA:
        return None
    timestamp, provider, spec = told.get("timestamp"), told.get("provider"), told.get("spec")
    if not isinstance(timestamp, str) or not isinstance(provider, str) or not isinstance(spec, str):
        return None
    ended = _ENDED.get(str(told.get("status")))
    outcome = _text(told.get("outcome", ended))
    return Entry(
        day=timestamp[:10],
        provider=text(provider),
        spec=spec,
        member=_member(told),
        outcome=outcome if outcome in _OUTCOMES else "",
        cause=_text(told.get("cause")),
        seconds=number(told.get("seconds")),
        waited=number(told.get("waited")),
    )


def _member(told: Mapping[str, Any]) -> str:
    """In mybinder.org's lines the member is told by its host, as `origin`."""
    if "outcome" in told:
        return _text(told.get("member")) or NOBODY
    return _text(told.get("origin")) or NOT_TOLD


def _text(value: object) -> str:
    return text(value) if isinstance(value, str) else ""


class Repositories:
    """Which repository a launch was of: the same for all its refs and spellings."""

    def __init__(self) -> None:
        self._names: dict[tuple[str, str], str] = {}

    def of(self, entry: Entry) -> str:
        key = (entry.provider, entry.spec)
        name = self._names.get(key)
        if name is None:
            name = _repository(*key)
            if len(self._names) < MOST_NAMES:
                self._names[key] = name
        return name


def _repository(name: str, spec: str) -> str:
    id = _IDS.get(name)
    try:
        named = spec if id is None else repo_key(BY_ID[id], spec).split("/", 3)[3]
    except FederationError:
        named = spec
    return f"{name} {text(shown(unquote(named)))}"


class Lengths:
    """Lengths of time, of which only their distribution is kept: any quantile is within 1 % of the true one.

    Charles Masson, Jee E. Rim, Homin K. Lee, "DDSketch: A Fast and Fully-Mergeable Quantile Sketch with
    Relative-Error Guarantees", 2019: a count for each interval whose bounds grow by a constant factor.
    """

    __slots__ = ("_counts", "total")

    def __init__(self) -> None:
        self.total = 0
        self._counts: dict[int, int] = {}

    def add(self, seconds: float) -> None:
        place = ceil(log(seconds) / _GROWTH) if seconds >= _SHORTEST else _NONE
        self._counts[place] = self._counts.get(place, 0) + 1
        self.total += 1

    def quantile(self, share: float) -> float | None:
        """The length below which this share of all lies, by nearest rank; None without any."""
        rank = max(1, ceil(share * self.total))
        for place in sorted(self._counts):
            rank -= self._counts[place]
            if rank <= 0:
                return 0.0 if place == _NONE else exp((place - 0.5) * _GROWTH)
        return None


@dataclass(slots=True)
class Usage:
    """Launches in figures. `good` were ready, `bad` failed by a fault of the federation, `redirected` were handed to
    a member and not seen after it. `ready` and `waited` are how long those took that tell."""

    launches: int = 0
    good: int = 0
    bad: int = 0
    abandoned: int = 0
    redirected: int = 0
    ready: Lengths = field(default_factory=Lengths)
    waited: Lengths = field(default_factory=Lengths)

    @property
    def success(self) -> float | None:
        """The share that visitors got what they came for, of 1, as `federation.core.lately` counts it."""
        told = self.good + self.bad
        return self.good / told if told else None

    def add(self, entry: Entry) -> None:
        self.launches += 1
        match entry.outcome:
            case Outcome.READY:
                self.good += 1
                if entry.seconds is not None:
                    self.ready.add(entry.seconds)
            case Outcome.FAILED:
                # A failure without a cause may be anybody's.
                self.bad += bool(entry.cause) and let_down(Outcome.FAILED, entry.cause)
            case Outcome.ABANDONED:
                self.abandoned += 1
            case Outcome.REDIRECTED:
                self.redirected += 1
        if entry.waited is not None:
            self.waited.add(entry.waited)


Grouping = Callable[[Entry], str]


def groupings() -> Mapping[str, Grouping]:
    """By what launches can be compared: what one of them counts for."""
    return {
        "member": lambda entry: entry.member,
        "repository": Repositories().of,
        "provider": lambda entry: entry.provider,
        "day": lambda entry: entry.day,
        "outcome": lambda entry: entry.outcome or NOT_TOLD,
        "cause": lambda entry: entry.cause or NOT_TOLD,
    }


class Report:
    """All launches together, and by each of the named groupings. Raises KeyError for a name that is none."""

    def __init__(self, *by: str) -> None:
        known = groupings()
        self._groupings = {name: known[name] for name in by}
        self.whole = Usage()
        self.groups: dict[str, dict[str, Usage]] = {name: {} for name in by}

    def add(self, entry: Entry) -> None:
        self.whole.add(entry)
        for name, grouping in self._groupings.items():
            groups, key = self.groups[name], grouping(entry)
            if key not in groups and len(groups) >= MOST_GROUPS:
                key = OTHERS
            if key not in groups:
                groups[key] = Usage()
            groups[key].add(entry)

    def rows(self, by: str) -> Iterator[tuple[str, Usage]]:
        """Each group: days in their order, others by their number of launches."""
        groups = self.groups[by].items()
        if by == "day":
            yield from sorted(groups)
        else:
            yield from sorted(groups, key=lambda row: (-row[1].launches, row[0]))


def figures(name: str, usage: Usage) -> dict[str, Any]:
    """One row as plain data. Times are seconds, shares are of 1; None is what no launch told."""
    ready, waited = usage.ready, usage.waited
    return {
        "name": name,
        "launches": usage.launches,
        "good": usage.good,
        "bad": usage.bad,
        "abandoned": usage.abandoned,
        "redirected": usage.redirected,
        "success": _rounded(usage.success),
        "ready_p50": _rounded(ready.quantile(0.5)),
        "ready_p95": _rounded(ready.quantile(0.95)),
        "waited_p50": _rounded(waited.quantile(0.5)),
        "waited_p95": _rounded(waited.quantile(0.95)),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
