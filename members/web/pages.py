"""Every small route beside `/build`: status, metrics, badges, the one page. Knows no launch."""

from __future__ import annotations

import html
import json
from pathlib import Path
from string import Template
from urllib.parse import quote, unquote

from aiohttp import web

from members.core.model import HealthCheck
from members.web.keys import ABOUT, HEALTH, METRICS
from members.web.visitor import launch_host

STATIC = Path(__file__).parent / "static"
_PAGE = Template((STATIC / "member.html").read_text(encoding="utf-8"))


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


async def page(request: web.Request) -> web.Response:
    """What this member is and how to launch on it."""
    about = request.app[ABOUT]
    names = ", ".join(str(provider["displayName"]) for provider in about.providers)
    text = _PAGE.substitute(
        name=html.escape(about.name),
        isolation=html.escape(about.isolation),
        providers=html.escape(names),
        base=html.escape(about.base_url),
        launch_host=html.escape(launch_host(request, about)),
    )
    return web.Response(text=text, content_type="text/html", headers={"Content-Security-Policy": _POLICY})


_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"


async def options(request: web.Request) -> web.Response:
    """A preflight: the answer is in the headers that all answers have."""
    return web.Response(headers={"Access-Control-Allow-Methods": "GET, HEAD, OPTIONS"})


async def not_found(request: web.Request) -> web.Response:
    return web.Response(status=404, text="404: Not Found\n")
