"""BinderHub's public surface as one table. Knows no handler's work."""

from __future__ import annotations

from functools import partial

from aiohttp import web

from members.web import build, gate, pages, shell
from members.web.gate import GATE, RATE_HEADERS
from members.web.keys import ABOUT

_IMAGES = {
    "badge.svg": "badge.svg",
    "badge_logo.svg": "badge.svg",
    "assets/images/badge.svg": "badge.svg",
    "logo_social.png": "logo_social.png",
}
_ABSENT = ("favicon_fail.ico", "favicon_success.ico", "favicon_building.ico")


def add_routes(app: web.Application) -> None:
    """All routes, in the order in which they match. The application must hold ABOUT and GATE already."""
    base = app[ABOUT].base_url
    add = app.router.add_route
    add("OPTIONS", base + "{any:.*}", pages.options)
    for outside in ("/favicon.ico", "/robots.txt"):
        add("*", outside, pages.not_found)
    for path, handler, name in (
        ("health", pages.health, gate.HEALTH),
        (r"build/{provider:[^/]+}/{spec:.+}", build.build, gate.LAUNCH),
    ):
        for method in ("GET", "HEAD"):
            add(method, base + path, handler, name=name)
    add("GET", base + "metrics", pages.metrics)
    add("GET", base + "versions", pages.versions, name=gate.VERSIONS)
    add("GET", base + "api/repoproviders", pages.providers)
    app.router.add_get(base + "static/{name:.*}", shell.static_file)
    if app[GATE].api_only:
        app.router.add_get(base + "{any:.*}", pages.not_found)
    else:
        _add_pages(app, base)
    app.middlewares.append(gate.keep_out)
    app.on_response_prepare.append(_common_headers)


def _add_pages(app: web.Application, base: str) -> None:
    """What people look at; in API-only mode there is none of it."""
    add = app.router.add_route
    add("GET", base + r"v2/{provider:[^/]+}/{spec:.+}", shell.launch_page)
    add("GET", base + r"repo/{user:[^/]+}/{repo:[^/]+}{tail:(/.*)?}", pages.legacy_redirect)
    for path, file in _IMAGES.items():
        app.router.add_get(base + path, partial(_send_file, file))
    for name in _ABSENT:
        add("*", base + name, pages.not_found)
    add("GET", base + "{any:.*}", shell.home)


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
    response.headers.update(request.get(RATE_HEADERS, {}))
