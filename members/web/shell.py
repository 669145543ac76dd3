"""The member's HTML pages: what BinderHub's pages promise to programs, and a launch page for people.

Knows no launch: the page's own script follows one on `/build/…`.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from members.web.gate import GATE, audience
from members.web.keys import ABOUT, About
from members.web.visitor import launch_host

_HERE = Path(__file__).parent
_STATIC = _HERE / "static"
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_POLICY = (
    "default-src 'none'; script-src 'self' '{script}'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " form-action 'none'; base-uri 'none'{framing}"
)
_REFERRER = "strict-origin-when-cross-origin"
_STEPS = (
    ("waiting", "Waiting"),
    ("building", "Building"),
    ("launching", "Launching"),
    ("ready", "Ready"),
)


async def home(request: web.Request) -> web.Response:
    """What this member is and how to launch on it; every address that is nothing else shows it."""
    about = request.app[ABOUT]
    config = page_config(about, launch_host(request, about))
    return _page(request, "home.html", config, title=f"{about.name}: a Binder member")


async def launch_page(request: web.Request) -> web.Response:
    """The page that launches; the one kind with a build token, as each token is for one launch.

    Any site may show it in a frame, as articles do. Of a kind of repository that is not known here, it says so.
    """
    about = request.app[ABOUT]
    asked = audience(request, "v2")
    prefix, _, spec = asked.partition("/")
    provider = next((kind for kind in about.providers if kind.get("id") == prefix), None)
    if provider is None:
        return await home(request)
    config = page_config(about, launch_host(request, about))
    tokens = request.app[GATE].tokens
    if tokens is not None:
        config = {"buildToken": tokens.mint(request, asked), **config}
    return _page(
        request,
        "launch.html",
        config,
        framing="",
        title=f"{provider['displayName']}: {spec}",
        provider=provider["displayName"],
        spec=unquote(spec),
        steps=_STEPS,
    )


def page_config(about: About, badge_base: str) -> dict[str, object]:
    """`window.pageConfig`, as BinderHub's client reads it; `badge_base` is where links and badges start."""
    return {
        "baseUrl": about.base_url,
        "badgeBaseUrl": badge_base,
        "logoUrl": f"{about.base_url}static/mark.svg",
        "logoWidth": "320px",
        "repoProviders": list(about.providers),
        "aboutMessage": "",
        "bannerHtml": "",
        "binderVersion": about.versions.get("binderhub", ""),
    }


def script_json(value: object) -> str:
    """JSON that can stand in a script element: nothing in it ends the element or begins a comment."""
    text = json.dumps(value)  # ASCII, so no line separator of Unicode either
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _page(
    request: web.Request,
    template: str,
    config: Mapping[str, object],
    *,
    framing: str = "; frame-ancestors 'none'",
    **values: Any,
) -> web.Response:
    about = request.app[ABOUT]
    script = f"window.pageConfig = {script_json(config)};"
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    text = (
        _templates()
        .get_template(template)
        .render(
            script=script,
            about=about,
            base=about.base_url,
            links=config["badgeBaseUrl"],
            names=", ".join(str(kind["displayName"]) for kind in about.providers),
            asset=lambda name: f"{about.base_url}static/{name}?v={_digests()[name]}",
            **values,
        )
    )
    policy = _POLICY.format(script=f"sha256-{digest}", framing=framing)
    headers = {"Content-Security-Policy": policy, "Cache-Control": "no-store", "Referrer-Policy": _REFERRER}
    return web.Response(text=text, content_type="text/html", headers=headers)


async def static_file(request: web.Request) -> web.StreamResponse:
    """A file of the pages. Named with its content's hash it may be kept for ever, else it is asked for again."""
    name = request.match_info["name"]
    digest = _digests().get(name)
    if digest is None:
        return web.Response(status=404, text="404: Not Found\n")
    pinned = request.query.get("v") == digest
    kept = "public, max-age=31536000, immutable" if pinned else "no-cache"
    path = _STATIC / name
    headers = {"Cache-Control": kept, "Content-Type": _TYPES[path.suffix]}
    return web.FileResponse(path, headers=headers)


@cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _digests() -> Mapping[str, str]:
    """The static files of the pages, each with a hash of its content."""
    files = (path for path in _STATIC.iterdir() if path.suffix in _TYPES)
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in files}
