"""What other sites' pages may read here: launches, badges and figures, but nothing that needs a token."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

CORS: Mapping[str, str] = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Headers": "cache-control, last-event-id",
}


async def allowed(request: web.Request) -> web.Response:
    """The answer to a browser that asks before it reads from another site."""
    return web.Response(headers={**CORS, "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS"})


def open_to_all(
    path: str, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> list[web.RouteDef]:
    """GET, HEAD and OPTIONS of one address."""
    return [web.get(path, handler), web.options(path, allowed)]
