"""A front door as a process of its own, and how it ends."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import aiohttp
import pytest
from door_stage import SPEC, StockMember, event, plays, until

ROOT = Path(__file__).parents[3]
PROGRAM = """
import sys, uvloop
from pathlib import Path
from federation.app import serve
uvloop.run(serve(Path(sys.argv[1]), host="127.0.0.1", port=0, on_ready=lambda url: print(url, flush=True)))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_open_streams_and_the_process(number: signal.Signals, tmp_path: Path) -> None:
    async with StockMember("alpha", plays(event(phase="building"), hold=True)) as alpha:
        file = tmp_path / "federation.yaml"
        file.write_text(f"members: {{alpha: {{url: '{alpha.configured().url}'}}}}", encoding="utf-8")
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", PROGRAM, str(file), cwd=ROOT,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            url = (await asyncio.wait_for(process.stdout.readline(), 30)).decode().strip()
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"{url}{SPEC}", headers={"Accept": "text/event-stream"}) as answer,
            ):
                await answer.content.readuntil(b'"building"}')
                process.send_signal(number)
                await asyncio.wait_for(answer.content.read(), 5)  # ends, and not with an error
            _, told = await asyncio.wait_for(process.communicate(), 10)
            assert process.returncode == 0 and b"Traceback" not in told, told.decode()
            await until(lambda: alpha.open == 0)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
