"""What relays and redirects launches, put together: it needs members and tells facts, whoever keeps them.
Holds no logic of its own."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from federation.adapters.member_stream import HttpMemberStreams
from federation.adapters.transport import open_session
from federation.core.facts import Listener
from federation.core.model import Launch
from federation.core.rules import LaunchRules, Settings
from federation.service.dispatch import Dispatcher
from federation.service.launcher import Launcher
from federation.service.ports import (
    Clock,
    Members,
    MemberStreams,
    Patience,
    RetryBudget,
    Visitor,
    WaitingRoom,
)
from federation.service.relay_launch import Surroundings
from federation.service.relays import Relays
from federation.web import launch, tokens
from federation.web.keys import Running

AWAY = 30.0  # seconds that a launch goes on while its visitor is not there


def new_id() -> str:
    """128 random bits: nobody comes upon another visitor's launch."""
    return secrets.token_urlsafe(16)


@dataclass(frozen=True, slots=True)
class Parts:
    """What launches meet in their process. `new_id` names each of them; see `federation.service.relays.Relays`."""

    running: Running
    pool: Members
    dispatcher: Dispatcher
    room: WaitingRoom
    budget: RetryBudget
    patience: Patience
    tell: Listener
    clock: Clock
    new_id: Callable[[], str]

    def settings(self) -> Settings:
        """The configuration in force."""
        return self.running.settings

    def rules(self) -> LaunchRules:
        return self.running.settings.launch

    def member_token(self, launch: Launch, visitor: Visitor) -> str:
        """The build token that a member gets with this launch."""
        return tokens.for_member(self.settings().build_tokens, launch, visitor, self.clock.now())

    def around(self, streams: MemberStreams) -> Surroundings:
        return Surroundings(
            pool=self.pool,
            dispatcher=self.dispatcher,
            streams=streams,
            room=self.room,
            budget=self.budget,
            patience=self.patience,
            in_force=self.settings,
            tell=self.tell,
            clock=self.clock,
        )


@asynccontextmanager
async def launching(app: web.Application, parts: Parts) -> AsyncIterator[MemberStreams]:
    """Launches can begin as long as the block lasts; those under way are ended with it. Gives the way to members."""
    async with open_session() as session:
        streams = HttpMemberStreams(session, parts.rules, parts.member_token)
        launcher = Launcher(parts.around(streams))
        relays = Relays(launcher.relay, parts.tell, new_id=parts.new_id, grace=AWAY)
        app[launch.LAUNCHER], app[launch.RELAYS] = launcher, relays
        try:
            yield streams
        finally:
            await relays.close()
