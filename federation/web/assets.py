"""The front door's static files, read once and named by their content. Knows no page.

`url("launch.js")` carries a hash of the content, so a browser may keep the file for ever; the modules that a
script imports are named the same way, so that no page ever mixes two releases.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType

from aiohttp import ETag, web

TYPES = {
    "css": "text/css",
    "js": "text/javascript",
    "svg": "image/svg+xml",
}
IMPORT = re.compile(r'(from ")\./([a-z]+\.js)(")')
# Files of others that an installation brings along, by the names that they get here; see `.ci/console-charts`.
CHARTS = {"uplot.js": "uPlot.iife.min.js", "uplot.css": "uPlot.min.css"}
FOR_EVER = "public, max-age=31536000, immutable"
ASK_AGAIN = "no-cache"


@dataclass(frozen=True, slots=True)
class Asset:
    body: bytes
    type: str
    digest: str


class Assets:
    """All files of the package's `static` folder, and those that the installation brought along."""

    def __init__(self, sources: dict[str, bytes]) -> None:
        self._sources = sources
        self._ready: dict[str, Asset] = {}
        for name in sources:
            self._prepare(name)
        self.files = MappingProxyType(self._ready)

    def url(self, name: str) -> str:
        """Where a page finds this file. Raises KeyError for a file that does not exist."""
        return f"/static/{name}?v={self.files[name].digest}"

    def _prepare(self, name: str) -> Asset:
        """Scripts after the modules that they import: their names carry those modules' hashes."""
        if name not in self._ready:
            body = self._sources[name]
            if name.endswith(".js"):
                body = IMPORT.sub(self._pinned, body.decode()).encode()
            digest = blake2b(body, digest_size=8).hexdigest()
            self._ready[name] = Asset(body, TYPES[name.rpartition(".")[2]], digest)
        return self._ready[name]

    def _pinned(self, found: re.Match[str]) -> str:
        return f"{found[1]}./{found[2]}?v={self._prepare(found[2]).digest}{found[3]}"


@cache
def assets() -> Assets:
    folder = files("federation.web") / "static"
    own = {entry.name: entry.read_bytes() for entry in folder.iterdir() if entry.is_file()}
    return Assets(charts(Path(sys.prefix) / "share" / "binder-federation" / "uplot") | own)


def charts(folder: Path) -> dict[str, bytes]:
    """What draws charts, if it is installed whole; without it pages show numbers alone."""
    try:
        return {name: (folder / file).read_bytes() for name, file in CHARTS.items()}
    except OSError:
        return {}


def send(request: web.Request, asset: Asset, *, caching: str) -> web.Response:
    """The file, or 304 when the browser has it already."""
    etag = ETag(asset.digest)
    if request.if_none_match and any(known.value in (etag.value, "*") for known in request.if_none_match):
        response = web.Response(status=304)
    else:
        response = web.Response(body=asset.body, content_type=asset.type)
        response.charset = None if asset.type == "image/svg+xml" else "utf-8"
        response.enable_compression()
    response.etag = etag
    response.headers["Cache-Control"] = caching
    response.headers["Vary"] = "Accept-Encoding"
    return response


async def static_file(request: web.Request) -> web.Response:
    asset = assets().files.get(request.match_info["name"])
    if asset is None:
        raise web.HTTPNotFound
    pinned = request.query.get("v") == asset.digest
    return send(request, asset, caching=FOR_EVER if pinned else ASK_AGAIN)


def routes() -> list[web.RouteDef]:
    return [web.get("/static/{name}", static_file)]
