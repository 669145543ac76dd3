"""The waiting room on a real event loop, with seats that are a number."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest

from federation.core.errors import LaunchError, RoomFull, WaitedTooLong
from federation.core.model import Launch
from federation.core.rules import Settings, WaitingRules
from federation.core.waiting import Place
from federation.service.audience import Audience
from federation.service.waiting_room import FRONT, Entered, WaitingRoom

LONG = 60.0  # a time that no test reaches


def here() -> Audience:
    audience = Audience()
    audience.join()
    return audience


@dataclass
class Stage:
    """A room, the seats that its launches enter, and who entered in which order."""

    rules: WaitingRules = field(default_factory=lambda: WaitingRules(per_visitor=1000))
    free: int = 0
    unservable: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    entered: list[str] = field(default_factory=list)
    places: dict[str, list[Place]] = field(default_factory=dict)
    told: dict[str, list[float]] = field(default_factory=dict)  # when
    tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    quiet: float = LONG
    alive: float = LONG
    tick: float = LONG

    def __post_init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.room = WaitingRoom(
            lambda: Settings((), waiting=self.rules),
            loop.time,
            quiet=self.quiet,
            alive=self.alive,
            tick=self.tick,
        )

    def take(self, name: str) -> Callable[[], str | None]:
        def enter() -> str | None:
            self.asked.append(name)
            if self.free < 1 or name in self.unservable:
                return None
            self.free -= 1
            return name

        return enter

    def wait(self, name: str, repo: str = "", visitor: str = "", audience: Audience | None = None) -> Any:
        launch = Launch("gh", f"{repo or name}/HEAD", f"gh/{repo or name}")
        return self.room.wait(launch, visitor or name, audience or here(), self.take(name))

    async def comes(
        self, name: str, repo: str = "", visitor: str = "", audience: Audience | None = None
    ) -> None:
        async def waits() -> None:
            async with aclosing(self.wait(name, repo, visitor, audience)) as events:
                async for event in events:
                    if isinstance(event, Entered):
                        self.entered.append(event.value)
                    else:
                        self.places.setdefault(name, []).append(event)
                        self.told.setdefault(name, []).append(asyncio.get_running_loop().time())

        self.tasks[name] = asyncio.create_task(waits())
        await turns()

    async def seats(self, number: int = 1) -> None:
        self.free += number
        self.room.stir()
        await turns(2 * FRONT)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


async def turns(number: int = 5) -> None:
    """Lets everybody who has something to do do it."""
    for _ in range(number):
        await asyncio.sleep(0)


@pytest.fixture
async def stage() -> AsyncIterator[Callable[..., Stage]]:
    made: list[Stage] = []

    def make(**fields: Any) -> Stage:
        made.append(Stage(**fields))
        return made[-1]

    yield make
    for one in made:
        for task in one.tasks.values():
            task.cancel()
        await asyncio.gather(*one.tasks.values(), return_exceptions=True)
        assert one.room.waiting == 0 and one.room.longest == 0.0 and not one.room.crowded


async def test_a_place_at_once_then_a_seat_as_they_came(stage: Callable[..., Stage]) -> None:
    at = stage()
    for name in ("a", "b", "c"):
        await at.comes(name)
    assert at.places == {"a": [Place(1, 1)], "b": [Place(2, 2)], "c": [Place(3, 3)]}
    assert at.room.waiting == 3 and at.room.longest > 0
    await at.seats(1)
    assert at.entered == ["a"] and at.room.waiting == 2
    await at.seats(2)
    assert at.entered == ["a", "b", "c"]


async def test_a_crowd_holds_nobody_up(stage: Callable[..., Stage]) -> None:
    at = stage()
    for number in range(6):
        await at.comes(f"crowd {number}", repo="hot")
    for number in range(6):
        await at.comes(f"tab {number}", visitor="one")
    await at.comes("alone")
    assert at.places["alone"][0] == Place(3, 13)
    for _ in range(13):
        await at.seats(1)
    assert at.entered[:5] == ["crowd 0", "tab 0", "alone", "crowd 1", "tab 1"]
    assert len(at.entered) == 13


async def test_several_seats_at_once_are_all_taken(stage: Callable[..., Stage]) -> None:
    at = stage()
    for number in range(3 * FRONT):
        await at.comes(str(number))
    at.free = 2 * FRONT + 1
    at.room.stir()
    await turns(4 * FRONT)
    assert at.entered == [str(number) for number in range(2 * FRONT + 1)]


async def test_a_full_room_is_said_before_anything_else(stage: Callable[..., Stage]) -> None:
    at = stage(rules=WaitingRules(places=3, per_visitor=2))
    await at.comes("a", visitor="v")
    await at.comes("b", visitor="v")
    with pytest.raises(RoomFull, match="2 launches from your address"):
        await anext(at.wait("c", visitor="v"))
    await at.comes("c")
    with pytest.raises(RoomFull, match="3 launches may wait") as caught:
        await anext(at.wait("d"))
    assert isinstance(caught.value, LaunchError) and caught.value.status_code is None
    await at.seats(1)
    await at.comes("d")
    assert at.room.waiting == 3
    at.rules = WaitingRules(places=0)
    with pytest.raises(RoomFull):
        await anext(at.wait("e"))


async def test_a_wait_has_an_end(stage: Callable[..., Stage]) -> None:
    at = stage(rules=WaitingRules(timeout=0.1))
    await at.comes("a")
    with pytest.raises(WaitedTooLong, match=r"0\.1 s"):
        await asyncio.wait_for(at.tasks["a"], 5)
    assert at.room.waiting == 0


async def test_one_who_closes_the_tab_is_out_and_the_others_move_up(stage: Callable[..., Stage]) -> None:
    at = stage(quiet=0.02)
    for name in ("a", "b", "c"):
        await at.comes(name)
    at.tasks["a"].cancel()
    await turns()
    assert at.room.waiting == 2
    await until(lambda: len(at.places["b"]) == len(at.places["c"]) == 2)
    assert at.places["b"] == [Place(2, 2), Place(1, 2)]
    assert at.places["c"] == [Place(3, 3), Place(2, 2)]
    await at.seats(1)
    assert at.entered == ["b"] and at.asked == ["a", "b", "c", "b", "c"]


async def test_a_crowd_moves_up_when_one_of_it_leaves(stage: Callable[..., Stage]) -> None:
    at = stage()
    await at.comes("crowd 1", repo="hot")
    await at.comes("crowd 2", repo="hot")
    await at.comes("alone")
    at.tasks["crowd 1"].cancel()
    await turns()
    await at.seats(2)
    assert at.entered == ["crowd 2", "alone"]


async def test_nothing_runs_while_nobody_waits(stage: Callable[..., Stage]) -> None:
    at = stage(tick=0.01)
    room = at.room = WaitingRoom(lambda: Settings(()), asyncio.get_running_loop().time, tick=0.01)
    await at.comes("a")
    await at.seats(1)
    assert at.entered == ["a"]
    left, at.room = weakref.ref(room), WaitingRoom(lambda: Settings(()), float)
    del room, at.tasks["a"]
    await until(lambda: gc.collect() >= 0 and left() is None)


async def test_one_who_cannot_be_served_holds_nobody_up_and_keeps_the_place(
    stage: Callable[..., Stage],
) -> None:
    at = stage(unservable={"needs a build"})
    await at.comes("needs a build")
    await at.comes("b")
    await at.comes("c")
    await at.seats(1)
    assert at.entered == ["b"]
    at.unservable.clear()
    await at.seats(1)
    assert at.entered == ["b", "needs a build"]


async def unservable_crowd(at: Stage) -> list[str]:
    """Many in front that no seat is good enough for, and one behind."""
    many = [str(number) for number in range(6 * FRONT)]
    at.unservable = set(many)
    for name in many:
        await at.comes(name)
    await at.comes("behind")
    return many


async def test_a_stir_asks_a_bounded_number(stage: Callable[..., Stage]) -> None:
    at = stage()
    many = await unservable_crowd(at)
    await turns(FRONT)
    at.asked.clear()
    at.room.stir()
    await turns(8 * FRONT)
    assert at.asked == many[:FRONT]
    assert at.room.crowded, "those behind may be served"


async def test_one_behind_many_who_cannot_be_served_is_reached(stage: Callable[..., Stage]) -> None:
    at = stage(tick=0.03)
    await unservable_crowd(at)
    at.free = 1
    await asyncio.wait_for(at.tasks["behind"], 5)
    assert at.entered == ["behind"]


async def test_constant_stirs_keep_nobodys_turn_off(stage: Callable[..., Stage]) -> None:
    at = stage(tick=0.03)
    await unservable_crowd(at)
    at.free = 1
    for _ in range(2000):
        at.room.stir()
        await turns(2 * FRONT)
        if at.entered:
            break
    assert at.entered == ["behind"]


async def test_one_who_is_away_is_passed_over_and_keeps_the_place(stage: Callable[..., Stage]) -> None:
    at = stage()
    away = Audience()
    await at.comes("away", audience=away)
    await at.comes("b")
    await at.comes("c")
    assert "away" not in at.asked
    await at.seats(1)
    assert at.entered == ["b"]
    away.join()
    await at.seats(1)
    assert at.entered == ["b", "away"]


async def test_a_stir_while_a_place_is_being_told_is_not_missed(stage: Callable[..., Stage]) -> None:
    at = stage()
    async with aclosing(at.wait("slow")) as events:
        assert await anext(events) == Place(1, 1)
        await at.seats(1)  # nobody takes what the room tells at the moment
        assert at.asked == []
        assert await asyncio.wait_for(anext(events), 5) == Entered("slow")
        assert at.room.waiting == 0


@pytest.mark.parametrize("heard", [1, 2])
async def test_one_whose_connection_is_stuck_holds_nobody_up(heard: int, stage: Callable[..., Stage]) -> None:
    at = stage(quiet=0.01, alive=0.01)
    async with aclosing(at.wait("stuck")) as events:
        for _ in range(heard):
            assert isinstance(await anext(events), Place)
        await at.comes("b")
        await at.seats(1)
        assert at.entered == ["b"]
        await at.seats(1)
        assert await asyncio.wait_for(anext(events), 5) == Entered("stuck")


@pytest.mark.parametrize("steps", range(6))
async def test_one_who_leaves_when_the_turn_comes_takes_nothing_along(
    steps: int, stage: Callable[..., Stage]
) -> None:
    at = stage()
    await at.comes("a")
    await at.comes("b")
    at.free = 1
    at.room.stir()
    for _ in range(steps):
        await asyncio.sleep(0)
    at.tasks["a"].cancel()
    await turns(10)
    assert len(at.entered) == 1 and at.free == 0


async def test_a_seat_that_nobody_told_of_is_found(stage: Callable[..., Stage]) -> None:
    at = stage(tick=0.02)
    await at.comes("a")
    at.free = 1
    await asyncio.wait_for(at.tasks["a"], 5)
    assert at.entered == ["a"]
    at.asked.clear()
    await asyncio.sleep(0.06)
    assert at.asked == []


async def test_five_hundred_wait_and_a_seat_costs_few_looks(stage: Callable[..., Stage]) -> None:
    at = stage(quiet=LONG)
    for number in range(500):
        await at.comes(str(number))
    at.asked.clear()
    for _ in range(500):
        at.free += 1
        at.room.stir()
        await turns(FRONT + 5)
    assert at.entered == [str(number) for number in range(500)]
    assert len(at.asked) <= 500 * (FRONT + 1)


async def test_a_fault_is_that_launchs_own(stage: Callable[..., Stage]) -> None:
    at = stage()

    def broken() -> None:
        if at.free:
            raise OSError("a fault of ours")

    launch = Launch("gh", "x/HEAD", "gh/x")

    async def waits() -> None:
        async with aclosing(at.room.wait(launch, "x", here(), broken)) as events:
            async for _ in events:
                pass

    at.tasks["x"] = asyncio.create_task(waits())
    await turns()
    await at.comes("b")
    await at.seats(1)
    assert at.entered == ["b"]
    with pytest.raises(OSError, match="a fault of ours"):
        await at.tasks["x"]


async def test_newcomers_queue_while_somebody_might_be_served(stage: Callable[..., Stage]) -> None:
    at = stage()
    away = Audience()
    assert not at.room.crowded
    await at.comes("away", audience=away)
    assert not at.room.crowded
    await at.comes("a")
    assert not at.room.crowded, "there was no seat for it"
    at.free = 1
    at.room.stir()
    assert at.room.crowded, "it may be served now"
    await at.comes("newcomer")
    assert at.entered == ["a"] and at.room.waiting == 2
    assert not at.room.crowded


async def test_a_newcomer_who_queued_is_served_without_a_stir(stage: Callable[..., Stage]) -> None:
    at = stage(unservable={"a"})
    await at.comes("a")
    at.free = 1
    await at.comes("newcomer")
    assert at.entered == ["newcomer"]
    assert at.asked == ["a", "newcomer"], "nothing has changed for the first one"


async def test_what_a_launch_changes_itself_is_no_reason_to_ask_again(stage: Callable[..., Stage]) -> None:
    at = stage()
    plain = at.take

    def take(name: str) -> Callable[[], str | None]:
        def enter() -> str | None:
            at.room.stir()
            return plain(name)()

        return enter

    at.take = take  # type: ignore[method-assign]
    await at.comes("a")
    await at.comes("b")
    await asyncio.sleep(0.05)
    assert at.asked == ["a", "b"]


async def test_a_place_that_stays_the_same_is_told_from_time_to_time(stage: Callable[..., Stage]) -> None:
    at = stage(quiet=0.01, alive=0.1)
    await at.comes("a")
    await until(lambda: len(at.places["a"]) == 3)
    assert set(at.places["a"]) == {Place(1, 1)}
    first, second, third = at.told["a"]
    assert second - first >= 0.1 and third - second >= 0.1


async def test_changes_are_told_together(stage: Callable[..., Stage]) -> None:
    at = stage(quiet=0.1)
    for number in range(20):
        await at.comes(str(number))
    for _ in range(19):
        await at.seats(1)
        await asyncio.sleep(0.01)
    await until(lambda: at.places["19"][-1] == Place(1, 1))
    assert len(at.places["19"]) > 1
    assert all(later - sooner >= 0.1 for sooner, later in pairwise(at.told["19"]))


async def test_an_estimate_is_told_once_the_pace_is_known(
    stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("federation.core.pace.MOMENT", 0.001)
    at = stage(quiet=0.02)
    for number in range(4):
        await at.comes(str(number))
    for _ in range(2):
        await at.seats(1)
        await asyncio.sleep(0.01)
    assert at.places["3"][0].estimate is None
    await until(lambda: at.places["3"][-1] == Place(2, 2, 5.0))
    for name in ("2", "3"):
        at.tasks[name].cancel()
    await turns()
    await at.comes("later")
    assert at.places["later"][0].estimate == 5.0, "the pace outlasts a time without anybody"
