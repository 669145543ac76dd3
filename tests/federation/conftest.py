"""What the front door's tests share: two members to launch on."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from door_stage import StockMember


@pytest.fixture
async def members() -> AsyncIterator[tuple[StockMember, StockMember]]:
    async with StockMember("alpha") as alpha, StockMember("beta") as beta:
        yield alpha, beta
