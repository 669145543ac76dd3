"""What processes tell each other of builds and images, so that each version is built once. Knows no channel."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from itertools import count
from typing import Protocol

from federation.core.model import Launch
from federation.core.phases import Event
from federation.core.policies import Dice
from federation.core.versions import tells_of_holding, tells_of_missing, told_commit
from federation.service.dispatch import Dispatcher, InForce
from federation.service.ports import Members
from federation.service.refs import Refs
from federation.workers.messages import Began, Passed, Shared, Showed

MOST_SHOWN = 2000  # events about images that a process which begins later is told of
_OF_THE_VISITOR = ("token", "url")  # of the session, which is nobody else's


class Knowing(Protocol):
    """A dispatcher, as far as it takes in what others tell."""

    def under_way(self, launch: Launch, member: str) -> AbstractContextManager[Callable[[], None]]: ...

    def heard(self, launch: Launch, member: str, event: Event) -> None: ...


class Elsewhere:
    """What happens in other processes, put before a dispatcher as if it were its own."""

    def __init__(self, dispatcher: Knowing) -> None:
        self._dispatcher = dispatcher
        self._held: dict[tuple[str, int], ExitStack] = {}
        self._begun: dict[tuple[str, int], Began] = {}
        self._showed: OrderedDict[tuple[str, str, bool], Showed] = OrderedDict()

    def take(self, message: Shared) -> None:
        match message:
            case Began():
                self.began(message)
            case Passed(key):
                self.passed(key)
            case Showed():
                self.showed(message)

    def began(self, build: Began) -> None:
        held = self._held[build.key] = ExitStack()
        self._begun[build.key] = build
        held.enter_context(self._dispatcher.under_way(build.launch, build.member))

    def passed(self, key: tuple[str, int]) -> None:
        self._begun.pop(key, None)
        if (held := self._held.pop(key, None)) is not None:
            held.close()

    def showed(self, message: Showed) -> None:
        key = (message.launch.path, message.member, tells_of_holding(message.event))
        self._showed[key] = message
        self._showed.move_to_end(key)
        if len(self._showed) > MOST_SHOWN:
            self._showed.popitem(last=False)
        self._dispatcher.heard(message.launch, message.member, message.event)

    def known(self) -> tuple[Shared, ...]:
        """What a process that begins now has to be told: builds that have not passed yet, and images."""
        return (*self._begun.values(), *self._showed.values())


class _Own:
    """A telling dispatcher's own part: what others told is not told on."""

    def __init__(self, dispatcher: TellingDispatcher) -> None:
        self.under_way = super(TellingDispatcher, dispatcher).under_way
        self.heard = super(TellingDispatcher, dispatcher).heard


class TellingDispatcher(Dispatcher):
    """A dispatcher that tells other processes what happens in this one. `mark` is this process's."""

    def __init__(
        self,
        pool: Members,
        in_force: InForce,
        dice: Dice,
        refs: Refs,
        *,
        mark: str,
        send: Callable[[Shared], None],
    ) -> None:
        super().__init__(pool, in_force, dice, refs)
        self._mark = mark
        self._send = send
        self._numbers = count(1)
        self.elsewhere = Elsewhere(_Own(self))

    def heard(self, launch: Launch, member: str, event: Event) -> None:
        super().heard(launch, member, event)
        if tells_of_holding(event) or tells_of_missing(event) or told_commit(launch, event) is not None:
            kept = {name: value for name, value in event.items() if name not in _OF_THE_VISITOR}
            self._send(Showed(launch, member, kept))

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
