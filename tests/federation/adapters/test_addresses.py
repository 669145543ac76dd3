from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

import pytest
import uvloop

from federation.adapters.addresses import addresses_of


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_hosts_without_an_answer_hold_up_no_connection(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()
    ask = socket.getaddrinfo

    def silent(host: str, *rest: Any, **more: Any) -> Any:
        if host.endswith(".example"):
            answered.wait(10)
            raise socket.gaierror("no such host")
        return ask(host, *rest, **more)

    async def connect() -> None:
        lookups = [asyncio.create_task(addresses_of(f"{number}.example", 443)) for number in range(40)]
        await asyncio.sleep(0.1)
        async with await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0) as server:
            async with asyncio.timeout(5):
                await asyncio.open_connection("localhost", server.sockets[0].getsockname()[1])
        for lookup in lookups[:20]:
            lookup.cancel()  # given up before the answer comes
        answered.set()
        ended = await asyncio.gather(*lookups, return_exceptions=True)
        assert {type(one) for one in ended} == {asyncio.CancelledError, socket.gaierror}

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    run(connect())


async def test_an_address_is_its_own() -> None:
    assert await addresses_of("127.0.0.1", 80) == ("127.0.0.1",)
