"""Work done ahead of the first visitor. Knows no visitor."""

from __future__ import annotations

from collections.abc import AsyncIterator

from members.core.facts import Note, Tell, Trouble
from members.core.model import BuildBroken
from members.service.streams import closing


async def warm(lines: AsyncIterator[str], tell: Tell) -> None:
    """Does what every build needs once. When it fails, the first build tries again and tells its visitor."""
    try:
        async with closing(lines):
            async for line in lines:
                tell(Note(line))
    except BuildBroken as error:
        tell(Note(f"Preparing for builds did not succeed: {error}"))
    except Exception as error:
        tell(Trouble("preparing for builds", error))  # a task that nobody waits for
