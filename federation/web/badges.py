"""The pictures that other sites show: badges and the site's icons, all drawn for this project. Knows no
member and no launch; works whatever happens elsewhere."""

from __future__ import annotations

from aiohttp import web

from federation.web.assets import assets, send

PICTURES = {
    "/badge.svg": "badge.svg",
    "/badge_logo.svg": "badge_logo.svg",
    "/assets/images/badge.svg": "badge.svg",
    "/favicon.ico": "favicon.svg",
    "/favicon_building.ico": "favicon-building.svg",
    "/favicon_success.ico": "favicon-success.svg",
    "/favicon_fail.ico": "favicon-fail.svg",
}
# Others embed these by fixed addresses: a day is short enough to see a new drawing.
A_DAY = "public, max-age=86400"
CORS = {"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Headers": "cache-control"}


async def picture(request: web.Request) -> web.Response:
    response = send(request, assets().files[PICTURES[request.path]], caching=A_DAY)
    response.headers.update(CORS)
    return response


async def allowed(request: web.Request) -> web.Response:
    """The answer to a browser that asks before it reads from another site."""
    return web.Response(headers={**CORS, "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS"})


def routes() -> list[web.RouteDef]:
    return [route for path in PICTURES for route in (web.get(path, picture), web.options(path, allowed))]
