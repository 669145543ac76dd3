"""A small Jupyter client: starts kernels and runs code through a session's public URL, as JupyterLab does."""

from __future__ import annotations

import asyncio
import json
import uuid

import aiohttp


async def run(http: aiohttp.ClientSession, url: str, token: str, *cells: str) -> str:
    """Everything the cells print or evaluate to, from one new kernel; errors come as their traceback."""
    headers = {"Authorization": f"token {token}"}
    async with asyncio.timeout(60):
        async with http.post(f"{url}api/kernels", json={"name": "python3"}, headers=headers) as reply:
            assert reply.status == 201, await reply.text()
            kernel = (await reply.json())["id"]
        socket = f"{url}api/kernels/{kernel}/channels?session_id={uuid.uuid4().hex}&token={token}"
        async with http.ws_connect(socket, max_msg_size=0) as channel:
            printed = [await _execute(channel, cell) for cell in cells]
        async with http.delete(f"{url}api/kernels/{kernel}", headers=headers) as reply:
            assert reply.status == 204
    return "".join(printed)


async def _execute(channel: aiohttp.ClientWebSocketResponse, code: str) -> str:
    request = uuid.uuid4().hex
    content = {
        "code": code,
        "silent": False,
        "store_history": True,
        "user_expressions": {},
        "allow_stdin": False,
    }
    header = {
        "msg_id": request,
        "msg_type": "execute_request",
        "version": "5.3",
        "username": "",
        "session": "s",
    }
    await channel.send_json(
        {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
    )
    shown: list[str] = []
    async for frame in channel:
        message = json.loads(frame.data)
        if message["parent_header"].get("msg_id") != request:
            continue
        kind, content = message["msg_type"], message["content"]
        if kind == "stream":
            shown.append(content["text"])
        elif kind in ("execute_result", "display_data"):
            shown.append(content["data"].get("text/plain", ""))
        elif kind == "error":
            shown.append("\n".join(content["traceback"]))
        elif kind == "status" and content["execution_state"] == "idle":
            return "".join(shown)
    raise AssertionError("the kernel's channel was closed")
