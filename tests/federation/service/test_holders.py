from __future__ import annotations

from typing import Any

import pytest

from federation.core.facts import Reconfigured
from federation.core.launchkey import parse_launch
from federation.core.model import Launch
from federation.core.versions import pinned
from federation.service.holders import LIFETIME, Holders

COMMIT, OTHER = "a" * 40, "b" * 40
HEAD, SHA = parse_launch("/build/gh/o/r/HEAD"), parse_launch(f"/build/gh/o/r/{COMMIT}")
ELSE = parse_launch(f"/build/gh/o/r/{OTHER}")
MISSING = {
    "phase": "failed",
    "status_code": 500,
    "message": "Spawn failed: Image i:1 is not on this member\n",
}


def built(commit: str = COMMIT, message: str = "Built image, launching...\n") -> dict[str, Any]:
    return {"phase": "built", "imageName": f"i:{commit}", "message": message}


def ready(commit: str = COMMIT) -> dict[str, Any]:
    return {"phase": "ready", "url": "http://h/", "binder_persistent_request": f"v2/gh/o/r/{commit}"}


class Stage:
    """Holders with a clock of their own and refs that are known to mean what the test says."""

    def __init__(self, most_kept: int = 100) -> None:
        self.time = 0.0
        self.head: str | None = None
        self.holders = Holders(self.known, now=lambda: self.time, most_kept=most_kept)

    def known(self, launch: Launch) -> str | None:
        return pinned(launch) or (self.head if launch == HEAD else None)


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_who_built_or_runs_an_image_holds_it_in_every_spelling(stage: Stage) -> None:
    stage.holders.learn(HEAD, "a", built())
    stage.holders.learn(HEAD, "b", ready())
    assert stage.holders.members(SHA) == {"a", "b"}
    assert stage.holders.members(HEAD) == frozenset()  # nobody knows what it means now
    stage.head = COMMIT
    assert stage.holders.members(HEAD) == {"a", "b"}
    stage.head = OTHER
    assert stage.holders.members(HEAD) == frozenset()
    assert stage.holders.members(ELSE) == frozenset()


def test_who_only_found_an_image_in_the_registry_holds_it_when_it_runs(stage: Stage) -> None:
    stage.holders.learn(HEAD, "a", built(message="Found built image, launching...\n"))
    stage.holders.learn(HEAD, "a", {"phase": "launching", "message": "Launching server...\n"})
    assert stage.holders.members(SHA) == frozenset()
    stage.holders.learn(HEAD, "a", ready())
    assert stage.holders.members(SHA) == {"a"}


def test_an_image_that_is_missing_is_held_no_more(stage: Stage) -> None:
    for member in ("a", "b"):
        stage.holders.learn(HEAD, member, ready())
    stage.holders.learn(ELSE, "a", ready(OTHER))
    stage.holders.learn(SHA, "a", {"phase": "failed", "message": "Too many users running o/r\n"})
    assert stage.holders.members(SHA) == {"a", "b"}
    stage.holders.learn(SHA, "a", MISSING)
    assert stage.holders.members(SHA) == {"b"}
    assert stage.holders.members(ELSE) == {"a"}


def test_a_missing_image_of_unknown_version_is_any_of_the_repositorys(stage: Stage) -> None:
    neighbour = parse_launch(f"/build/gh/o/r2/{COMMIT}")
    stage.holders.learn(SHA, "a", ready())
    stage.holders.learn(ELSE, "a", ready(OTHER))
    stage.holders.learn(neighbour, "a", built())
    stage.holders.learn(HEAD, "a", MISSING)
    assert stage.holders.members(SHA) == stage.holders.members(ELSE) == frozenset()
    assert stage.holders.members(neighbour) == {"a"}


def test_what_has_no_refs_is_held_as_it_is(stage: Stage) -> None:
    doi = parse_launch("/build/zenodo/10.5281/zenodo.3242074")
    stage.holders.learn(doi, "a", built("3242074"))
    assert stage.holders.members(doi) == {"a"}
    stage.holders.learn(doi, "a", MISSING)
    assert stage.holders.members(doi) == frozenset()


def test_members_are_forgotten_after_a_long_time_and_when_they_are_removed(stage: Stage) -> None:
    stage.holders.learn(SHA, "a", ready())
    stage.time = LIFETIME - 1
    stage.holders.learn(SHA, "b", ready())
    stage.holders.learn(SHA, "c", ready())
    assert stage.holders.members(SHA) == {"a", "b", "c"}
    stage.time = LIFETIME + 1
    assert stage.holders.members(SHA) == {"b", "c"}
    stage.holders.listen(Reconfigured(added=(), removed=("b",), changed=("c",)))
    assert stage.holders.members(SHA) == {"c"}


def test_the_version_launched_longest_ago_makes_room() -> None:
    stage = Stage(most_kept=2)
    stage.holders.learn(SHA, "a", ready())
    stage.holders.learn(ELSE, "a", ready(OTHER))
    assert stage.holders.members(SHA) == {"a"}
    stage.holders.learn(SHA, "a", ready("c" * 40))
    assert stage.holders.members(SHA) == {"a"}
    assert stage.holders.members(ELSE) == frozenset()
