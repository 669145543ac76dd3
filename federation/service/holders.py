"""Which members hold the image of which version, as their launches showed. Knows no registry and asks nobody."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from federation.core.facts import Fact, Reconfigured
from federation.core.model import Launch
from federation.core.versions import (
    Event,
    pinned,
    tells_of_holding,
    tells_of_missing,
    told_commit,
    version_key,
)

LIFETIME = 12 * 3600.0  # seconds; members remove images that nobody starts, sooner or later
MOST_KEPT = 10_000  # versions

NOBODY: frozenset[str] = frozenset()


class Holders:
    """The members that made or ran an image, by version, until it proves to be missing there or long ago."""

    def __init__(
        self,
        known: Callable[[Launch], str | None] = pinned,
        *,
        now: Callable[[], float] = time.monotonic,
        most_kept: int = MOST_KEPT,
    ) -> None:
        """`known` tells the commit of a launch, or None; `now` counts seconds from anywhere."""
        self._known = known
        self._now = now
        self._most_kept = most_kept
        self._since: OrderedDict[str, dict[str, float]] = OrderedDict()  # by version, then by member

    def members(self, launch: Launch) -> frozenset[str]:
        """The members that hold the image of this launch, as far as is known."""
        key = version_key(launch, self._known(launch))
        since = self._since.get(key)
        if since is None:
            return NOBODY
        self._since.move_to_end(key)
        oldest = self._now() - LIFETIME
        return frozenset(member for member, at in since.items() if at > oldest)

    def learn(self, launch: Launch, member: str, event: Event) -> None:
        """Takes what this member's event tells of the launch's image: that it is there, or that it is missing."""
        if tells_of_holding(event):
            self._hold(version_key(launch, told_commit(launch, event) or self._known(launch)), member)
        elif tells_of_missing(event):
            self._miss(launch, member)

    def listen(self, fact: Fact) -> None:
        """Forgets members that the configuration has no more."""
        if isinstance(fact, Reconfigured):
            for member in fact.removed:
                for key in list(self._since):
                    self._drop(key, member)

    def _hold(self, key: str, member: str) -> None:
        self._since.setdefault(key, {})[member] = self._now()
        self._since.move_to_end(key)
        while len(self._since) > self._most_kept:
            self._since.popitem(last=False)

    def _miss(self, launch: Launch, member: str) -> None:
        """Where the commit is not known any more, each of the repository's may be the one: to be trusted too
        little only costs a preference."""
        commit = self._known(launch)
        keys = [version_key(launch, commit)]
        if commit is None:
            keys += [key for key in self._since if key.startswith(f"{launch.repo_key}@")]
        for key in keys:
            self._drop(key, member)

    def _drop(self, key: str, member: str) -> None:
        since = self._since.get(key, {})
        since.pop(member, None)
        if not since:
            self._since.pop(key, None)
