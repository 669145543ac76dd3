"""Which members may be building which version now, so that further launches of it join them. Knows no stream."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from federation.core.model import Launch
from federation.core.versions import pinned, spelling

PERHAPS, SURELY = 1, 2


@dataclass(slots=True, eq=False)
class _Crowd:
    """Launches that spell a ref alike, and how many of them wait on which member. `commit` is what the ref
    means as far as is known: what it meant when they began, or else what it turned out to mean."""

    spelling: str
    commit: str | None
    on: Counter[str] = field(default_factory=Counter)

    def alike(self, commit: str | None, spelled: str) -> int:
        """How surely a launch of this commit and spelling is of their version: SURELY, PERHAPS or 0. Where one of
        the two commits is not known, the spelling tells; two spellings may then still mean the same."""
        if commit is None or self.commit is None:
            return SURELY if spelled == self.spelling else PERHAPS
        return SURELY if commit == self.commit else 0


class Joining:
    """Counts, for each version, the launches on each member that have not come past the build yet."""

    def __init__(self, known: Callable[[Launch], str | None] = pinned) -> None:
        """`known` tells the commit of a launch without waiting, or None."""
        self._known = known
        self._crowds: dict[str, list[_Crowd]] = {}  # by repository

    def members(self, launch: Launch) -> tuple[str, ...]:
        """The members with launches of this version before or in the build, those with most of them first.

        After them those with launches that may turn out to be of it, as long as a ref of the two is not known:
        right, that saves a second build; wrong, it costs nothing but where a build runs that had to run anyway.
        """
        crowds = self._crowds.get(launch.repo_key)
        if crowds is None:
            return ()
        commit, spelled = self._known(launch), spelling(launch)
        waiting: dict[int, Counter[str]] = {SURELY: Counter(), PERHAPS: Counter(), 0: Counter()}
        for crowd in crowds:
            waiting[crowd.alike(commit, spelled)].update(crowd.on)
        likely = [*waiting[SURELY].most_common(), *waiting[PERHAPS].most_common()]
        return tuple(dict.fromkeys(name for name, _ in likely))

    def learned(self, launch: Launch, commit: str) -> None:
        """The ref of this launch has turned out to mean this commit: launches that began without are of it."""
        spelled = spelling(launch)
        for crowd in self._crowds.get(launch.repo_key, ()):
            if crowd.commit is None and crowd.spelling == spelled:
                crowd.commit = commit

    @contextmanager
    def under_way(self, launch: Launch, member: str) -> Iterator[Callable[[], None]]:
        """Counts a launch on this member until the function is called, or the block ends, however it ends."""
        crowd = self._crowd(launch)
        crowd.on[member] += 1
        counted = True

        def past_the_build() -> None:
            nonlocal counted
            if counted:
                counted = False
                self._leave(launch.repo_key, crowd, member)

        try:
            yield past_the_build
        finally:
            past_the_build()

    def _crowd(self, launch: Launch) -> _Crowd:
        """Where this launch is counted, from its beginning to its end."""
        commit, spelled = self._known(launch), spelling(launch)
        crowds = self._crowds.setdefault(launch.repo_key, [])
        for crowd in crowds:
            if crowd.spelling == spelled and crowd.commit == commit:
                return crowd
        crowds.append(_Crowd(spelled, commit))
        return crowds[-1]

    def _leave(self, repo_key: str, crowd: _Crowd, member: str) -> None:
        crowd.on[member] -= 1
        if not crowd.on[member]:
            del crowd.on[member]
        if not crowd.on:
            self._crowds[repo_key].remove(crowd)
        if not self._crowds[repo_key]:
            del self._crowds[repo_key]
