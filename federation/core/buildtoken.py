"""What a build token says and when it holds (BINDER-PROTOCOL §1.6). Knows no key, no signature, no clock.

A launch with a token began on a page of this front door; members do not count it against its visitor's address.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit


def claims(audience: str, origin: str, now: float, lifetime: float) -> dict[str, object]:
    """What a token made at `now` (seconds since the epoch) says for a launch of `provider/raw spec` that is
    asked for by pages of `origin` (host and port)."""
    return {"exp": int(now + lifetime), "aud": audience, "origin": origin.lower()}


def holds(told: Mapping[str, object], audience: str, origin: str, now: float) -> bool:
    """Whether these claims are good for a launch of `audience` from `origin`."""
    expires = told.get("exp")
    in_time = isinstance(expires, int | float) and not isinstance(expires, bool) and expires > now
    return in_time and told.get("aud") == audience and told.get("origin") == origin.lower()


def origin_of(header: str | None, host: str) -> str:
    """Host and port of the site that asks: its Origin header, else `host`. Empty for an origin that names none,
    such as the `null` of a sandboxed frame: no token is made for it, so none holds."""
    if header is None:
        return host.lower()
    try:
        return urlsplit(header).netloc.lower()
    except ValueError:
        return ""
