"""`/federation/v1/openapi.json`: what programs may ask here, described for programs. The description is in
`openapi.yaml`, and knows nothing of who is asked."""

from __future__ import annotations

import asyncio
from functools import cache
from importlib.resources import files

import orjson
import yaml
from aiohttp import web

from federation.web.cors import CORS, open_to_all


async def openapi(request: web.Request) -> web.Response:
    body = await asyncio.to_thread(document)  # read once; that takes a while
    headers = {**CORS, "Cache-Control": "no-cache"}
    return web.Response(body=body, content_type="application/json", headers=headers)


@cache
def document() -> bytes:
    """The description as JSON."""
    text = (files("federation.web") / "openapi.yaml").read_text(encoding="utf-8")
    return orjson.dumps(yaml.safe_load(text))


def routes() -> list[web.RouteDef]:
    return open_to_all("/federation/v1/openapi.json", openapi)
