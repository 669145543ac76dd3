"""Messages arrive as they were sent, in order; an end, or what is no frame, is an end."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass, field
from types import MappingProxyType

import pytest

from federation.core.facts import Outcome
from federation.core.model import Check, Member, MemberView, Signal, State
from federation.core.rules import PrometheusRules, Settings
from federation.workers.channel import LONGEST, Channel, packed, unpacked
from federation.workers.messages import Configured, Passed, Ready, Shown, Stop


async def pair() -> tuple[Channel, Channel]:
    one, two = socket.socketpair()
    for end in (one, two):
        end.setblocking(False)
    return await Channel.over(one), await Channel.over(two)


async def test_messages_arrive_in_order_and_then_the_end() -> None:
    here, there = await pair()
    here.send([1, "two"])
    here.send([b"x" * 1_000_000])
    assert await there.receive() == [1, "two"]
    assert await there.receive() == [b"x" * 1_000_000]
    await here.close(5)
    assert await there.receive() is None
    there.send(["nobody hears this, and nobody minds"])
    await there.close(5)


async def test_what_is_no_frame_ends_the_channel() -> None:
    one, two = socket.socketpair()
    two.setblocking(False)
    there = await Channel.over(two)
    one.sendall((LONGEST + 1).to_bytes(4, "big") + b"and so on")
    async with asyncio.timeout(5):
        assert await there.receive() is None
    one.close()
    await there.close(5)


@dataclass(frozen=True)
class Odd:
    """A dataclass that its fields do not make, and one that has a single field."""

    one: int
    two: int = field(init=False, default=2)


@pytest.mark.parametrize("value", [Odd(1), Passed(("mark", 1)), Ready(), Stop(), Outcome.READY])
def test_values_are_the_same_again(value: object) -> None:
    assert unpacked(packed(value)) == value
    assert type(unpacked(packed(value))) is type(value)


def test_what_is_one_object_stays_one() -> None:
    view = MemberView(Member("alpha", "http://alpha", 1.0))
    one, two = unpacked(packed([view, view]))
    assert one is two


def test_read_only_mappings_travel() -> None:
    view = MemberView(
        Member("alpha", "http://alpha", 1.0),
        State.HEALTHY,
        checks=(Check("Hub", True, detail=MappingProxyType({"quota": 3})),),
        signals=MappingProxyType({"load": Signal(0.5, 1.0)}),
    )
    shown = Shown((view,), (0,), (0,), blind_since=None)
    assert unpacked(packed(shown)) == shown
    settings = Settings((view.member,), prometheus=PrometheusRules(queries=MappingProxyType({"a": "up"})))
    assert unpacked(packed(Configured(settings))).settings == settings
