"""BinderHub's public surface as one table. Knows no handler's work."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from aiohttp import web

from members.web import build, pages
from members.web.keys import ABOUT

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_IMAGES = {
    "badge.svg": "badge.svg",
    "badge_logo.svg": "badge.svg",
    "assets/images/badge.svg": "badge.svg",
    "logo_social.png": "logo_social.png",
}
_ABSENT = ("favicon_fail.ico", "favicon_success.ico", "favicon_building.ico")


def add_routes(app: web.Application) -> None:
    """All routes, in the order in which they match. The application must hold ABOUT already."""
    base = app[ABOUT].base_url
    add = app.router.add_route
    app.router.add_route("OPTIONS", base + "{any:.*}", pages.options)
    for outside in ("/favicon.ico", "/robots.txt"):
        add("*", outside, pages.not_found)
    for method in ("GET", "HEAD"):
        add(method, base + "health", pages.health)
        add(method, base + r"build/{provider:[^/]+}/{spec:.+}", build.build)
    add("GET", base + "metrics", pages.metrics)
    add("GET", base + "versions", pages.versions)
    add("GET", base + "api/repoproviders", pages.providers)
    add("GET", base + r"repo/{user:[^/]+}/{repo:[^/]+}{tail:(/.*)?}", pages.legacy_redirect)
    for path, file in _IMAGES.items():
        _add_file(app, base + path, file)
    for name in _ABSENT:
        add("*", base + name, pages.not_found)
    add("GET", base + "{any:.*}", pages.page)
    app.on_response_prepare.append(_common_headers)


def _add_file(app: web.Application, path: str, file: str) -> None:
    app.router.add_get(path, partial(_send_file, file))


async def _send_file(file: str, request: web.Request) -> web.FileResponse:
    return web.FileResponse(pages.STATIC / file, headers={"Cache-Control": "public, max-age=86400"})


async def _common_headers(request: web.Request, response: web.StreamResponse) -> None:
    """On every answer, streams and errors too: embedding pages call a member from their own origin."""
    origin = request.app[ABOUT].allow_origin
    if origin:
        response.headers.setdefault("Access-Control-Allow-Origin", origin)
    response.headers["Access-Control-Allow-Headers"] = "cache-control, last-event-id"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Server"] = "binder-member"
