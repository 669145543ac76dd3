"""The pictures that other sites show: badges and the site's icons, all drawn for this project. Knows no
member and no launch; works whatever happens elsewhere."""

from __future__ import annotations

from aiohttp import web

from federation.web.assets import assets, send
from federation.web.cors import CORS, open_to_all

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


async def picture(request: web.Request) -> web.Response:
    response = send(request, assets().files[PICTURES[request.path]], caching=A_DAY)
    response.headers.update(CORS)
    return response


def routes() -> list[web.RouteDef]:
    return [route for path in PICTURES for route in open_to_all(path, picture)]
