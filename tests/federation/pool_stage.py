"""The pool with a clock that is moved by hand, and facts that are told to it directly: no wire and no waiting."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any

from federation.core.facts import (
    AttemptEnded,
    Fact,
    LaunchEnded,
    Outcome,
)
from federation.core.model import Check, Launch, Member, MemberView, Seats, State
from federation.core.routing import choose
from federation.core.rules import HealthRules, PolicyRules, Settings
from federation.service.pool import Pool
from federation.service.ports import ProbeResult

RULES = HealthRules(interval=10, timeout=2, fall=2, rise=2, eject_base=10, eject_max=60, slow_start=120)
LAUNCH = Launch("gh", "a/b/HEAD", "gh/a/b")
REGISTRY, HUB = Check("Docker registry", False), Check("JupyterHub API", False)
Numbers = dict[str, Seats | None]


def member(name: str, weight: float = 1.0, **more: Any) -> Member:
    return Member(name, f"http://{name}", weight, **more)


class Stage:
    """A federation, with what was told of it."""

    def __init__(self, *members: Member, well: bool = True, **rules: Any) -> None:
        self.time = 10_000.0
        self.settings = Settings(members, health=replace(RULES, **rules))
        self.pool = Pool(self.settings, self, lambda: 0.0)
        self.facts: list[Fact] = []
        self.pool.subscribe(self.facts.append)
        self.ids = count(1)
        if well:
            self.looks()

    def now(self) -> float:
        return self.time

    def later(self, seconds: float) -> None:
        """With a heartbeat each second, as a front door has one."""
        end = self.time + seconds
        while self.time < end:
            self.time = min(end, self.time + 1.0)
            self.pool.tick()

    def look(self, name: str, ok: bool = True, **more: Any) -> None:
        reason = "" if ok else "ill"
        self.pool.observe(ProbeResult(name, self.time, ok, more.pop("answered", True), reason, **more))

    def silent(self, *names: str) -> None:
        for name in names:
            self.look(name, False, answered=False)

    def looks(self, numbers: Numbers | None = None) -> None:
        """One good look at each."""
        for view in self.pool.views():
            self.look(view.member.name, seats=(numbers or {}).get(view.member.name))

    def well_for(self, seconds: float, *names: str) -> None:
        end = self.time + seconds
        while self.time < end:
            for name in names or [view.member.name for view in self.pool.views()]:
                self.look(name)
            self.later(min(10.0, end - self.time))
        for name in names or [view.member.name for view in self.pool.views()]:
            self.look(name)

    def attempt(
        self, name: str, outcome: Outcome, cause: str, id: int, repo: str = "gh/a/b", seconds: float = 0.0
    ) -> None:
        launch = replace(LAUNCH, repo_key=repo)
        self.pool.listen(AttemptEnded(launch, id, name, 1, outcome, cause, cause, seconds))

    def ready(self, name: str, **more: Any) -> None:
        self.attempt(name, Outcome.READY, "ready", next(self.ids), **more)

    def lost(self, name: str, *then: str, cause: str = "launch", **more: Any) -> None:
        """A launch that this member lost, and that was ready on the next of `then`, if it was."""
        id = next(self.ids)
        self.attempt(name, Outcome.LOST, cause, id, **more)
        if then:
            self.attempt(then[0], Outcome.READY, "ready", id, **more)

    def ended(self, id: int, attempts: int, cause: str = "no_member") -> None:
        self.pool.listen(LaunchEnded(LAUNCH, id, Outcome.FAILED, None, attempts, cause, 1.0))

    def view(self, name: str) -> MemberView:
        view = self.pool.view(name)
        assert view is not None
        return view

    def states(self) -> str:
        return " ".join(str(view.state) for view in self.pool.views())

    def chosen(self, key: str = "gh/a/b") -> str | None:
        """The member that the router would take."""
        index = choose(
            replace(LAUNCH, repo_key=key),
            self.pool.snapshot(),
            rules=PolicyRules(),
            dice=lambda: 0.5,
            taken=self.pool.taken,
        )
        return None if index is None else self.pool.views()[index].member.name

    def told(self, kind: type[Any]) -> list[Any]:
        return [fact for fact in self.facts if isinstance(fact, kind)]


def broken(stage: Stage, name: str, *others: str) -> None:
    """Ejects it for its launches."""
    for number in range(3):
        stage.lost(name, *others, repo=f"gh/r/{number}")
    assert stage.view(name).state is State.EJECTED
