"""Every small route for programs beside `/build`: status, metrics, providers. Knows no launch and no page."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote, unquote

from aiohttp import web

from members.core.model import HealthCheck
from members.web.keys import ABOUT, HEALTH, METRICS

STATIC = Path(__file__).parent / "static"


def json_response(data: object, status: int = 200) -> web.Response:
    return web.json_response(data, status=status, dumps=json.dumps)


async def health(request: web.Request) -> web.Response:
    """200, or 503 when a check fails that counts; the body is the same and names each check."""
    report = await request.app[HEALTH].report()
    body = {"ok": report.ok, "checks": [_line(check) for check in report.checks]}
    return json_response(body, 200 if report.ok else 503)


def _line(check: HealthCheck) -> dict[str, object]:
    line: dict[str, object] = {"service": check.service, **dict(check.detail), "ok": check.ok}
    if check.ignore_failure:
        line["_ignore_failure"] = True
    return line


async def versions(request: web.Request) -> web.Response:
    response = json_response(request.app[ABOUT].versions)
    response.headers.setdefault("Access-Control-Allow-Origin", request.app[ABOUT].allow_origin or "*")
    return response


async def metrics(request: web.Request) -> web.Response:
    body, content_type = request.app[METRICS](request.headers.get("Accept", ""))
    return web.Response(body=body, headers={"Content-Type": content_type})


async def providers(request: web.Request) -> web.Response:
    return json_response(list(request.app[ABOUT].providers))


async def legacy_redirect(request: web.Request) -> web.Response:
    """`/repo/USER/REPO/PATH`, the links of Binder's first years."""
    base = request.app[ABOUT].base_url
    user, repo, *tail = request.rel_url.raw_path.removeprefix(f"{base}repo/").split("/", 2)
    location = f"{base}v2/gh/{user}/{repo}/master"
    if tail and tail[0]:
        location += "?urlpath=" + quote("/" + unquote(tail[0]), safe="")
    return web.Response(status=302, headers={"Location": location})


async def options(request: web.Request) -> web.Response:
    """A preflight: the answer is in the headers that all answers have."""
    return web.Response(headers={"Access-Control-Allow-Methods": "GET, HEAD, OPTIONS"})


async def not_found(request: web.Request) -> web.Response:
    return web.Response(status=404, text="404: Not Found\n")
