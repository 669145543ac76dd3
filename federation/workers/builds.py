"""Which builds are under way, in this process and in others. Knows no channel."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from itertools import count

from federation.core.model import Launch
from federation.core.policies import Dice
from federation.service.dispatch import Dispatcher, InForce
from federation.service.ports import Members
from federation.workers.messages import Began, Passed

UnderWay = Callable[[Launch, str], AbstractContextManager[Callable[[], None]]]


class Elsewhere:
    """Launches of other processes that may be building, put before a dispatcher as if they were its own."""

    def __init__(self, under_way: UnderWay) -> None:
        """`under_way` is as `Dispatcher.under_way`."""
        self._under_way = under_way
        self._held: dict[tuple[str, int], ExitStack] = {}
        self._begun: dict[tuple[str, int], Began] = {}

    def began(self, build: Began) -> None:
        held = self._held[build.key] = ExitStack()
        self._begun[build.key] = build
        held.enter_context(self._under_way(build.launch, build.member))

    def passed(self, key: tuple[str, int]) -> None:
        self._begun.pop(key, None)
        if (held := self._held.pop(key, None)) is not None:
            held.close()

    def known(self) -> tuple[Began, ...]:
        """Those that have not passed yet."""
        return tuple(self._begun.values())


class TellingDispatcher(Dispatcher):
    """A dispatcher that tells other processes what is under way in this one. `mark` is this process's."""

    def __init__(
        self,
        pool: Members,
        in_force: InForce,
        dice: Dice,
        *,
        mark: str,
        send: Callable[[Began | Passed], None],
    ) -> None:
        super().__init__(pool, in_force, dice)
        self._mark = mark
        self._send = send
        self._numbers = count(1)
        self.elsewhere = Elsewhere(super().under_way)  # not through here: what others told is not told on

    @contextmanager
    def under_way(self, launch: Launch, member: str) -> Iterator[Callable[[], None]]:
        key = (self._mark, next(self._numbers))
        told = True

        def past() -> None:
            nonlocal told
            past_the_build()
            if told:
                told = False
                self._send(Passed(key))

        with super().under_way(launch, member) as past_the_build:
            self._send(Began(key, launch, member))
            try:
                yield past
            finally:
                past()
