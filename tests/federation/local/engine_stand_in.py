"""A server on a socket that answers the questions `up` asks a Docker engine, and a `docker` command beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web


@asynccontextmanager
async def engine(
    folder: Path, images: Collection[str] = (), pullable: Collection[str] = ()
) -> AsyncIterator[str]:
    """DOCKER_HOST of an engine that has `images` and can pull `pullable`."""
    held = set(images)

    async def version(_: web.Request) -> web.Response:
        return web.json_response({"Version": "20.10.24", "ApiVersion": "1.41"})

    async def image(request: web.Request) -> web.Response:
        return web.json_response({}, status=200 if request.match_info["name"] in held else 404)

    async def create(request: web.Request) -> web.Response:
        name = f"{request.query['fromImage']}:{request.query['tag']}"
        if name in pullable:
            held.add(name)
        return web.Response(text='{"status": "Pulling"}\n')

    app = web.Application()
    app.router.add_get("/version", version)
    app.router.add_get("/images/{name:.+}/json", image)
    app.router.add_post("/images/create", create)
    async with served(app, folder) as host:
        yield host


@asynccontextmanager
async def served(app: web.Application, folder: Path) -> AsyncIterator[str]:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    path = folder / "engine.sock"
    await web.UnixSite(runner, str(path)).start()
    try:
        yield f"unix://{path}"
    finally:
        await runner.cleanup()


def programs(folder: Path, **scripts: str) -> str:
    """A PATH of one folder that holds these shell scripts and nothing else."""
    folder.mkdir(exist_ok=True)
    for name, text in scripts.items():
        file = folder / name.replace("_", "-")
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)
    return str(folder)
