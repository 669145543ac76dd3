"""Answers that are for operators alone: no other site's page may read them, and nothing on the way keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import web


def encoded(told: Any) -> bytes:
    """As JSON."""
    return orjson.dumps(told, default=_plain)


def private(told: Any, *, status: int = 200) -> web.Response:
    headers = {"Cache-Control": "no-store"}
    return web.Response(body=encoded(told), status=status, content_type="application/json", headers=headers)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(type(value).__name__)
