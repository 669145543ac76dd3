"""What a build token says and when it holds (BINDER-PROTOCOL §1.6). Knows no key, no signature, no clock.

A launch with a token began on a page of the federation, so it is not counted against its visitor's address.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from urllib.parse import urlsplit


class Standing(Enum):
    """What a token is worth for one launch."""

    HOLDS = auto()
    REFUSED = auto()  # forged, too old, or made for another launch or another site
    WORTHLESS = auto()  # perhaps good, but nobody can tell for whom: the launch goes on as one without


def origin_of(header: str | None, host: str) -> str | None:
    """Host and port of the site that asks: its Origin header, else the Host that it asked.

    None for an origin that names no site, such as the `null` of a sandboxed frame: any page can make one.
    """
    if header is None:
        return host.lower()
    try:
        return urlsplit(header).netloc.lower() or None
    except ValueError:
        return None


def claims(audience: str, origin: str, now: float, lifetime: float) -> dict[str, object]:
    """What a token made at `now` (seconds since the epoch) says for a launch of `provider/raw spec`."""
    return {"exp": int(now + lifetime), "aud": audience, "origin": origin}


def standing(
    told: Mapping[str, object] | None, audience: str, origin: str | None, now: float, *, check_origin: bool
) -> Standing:
    """What these claims are worth for a launch of `audience` from `origin`; None are those of a bad signature.

    Without `check_origin` a token is good on every site.
    """
    if told is None or told.get("aud") != audience:
        return Standing.REFUSED
    expires = told.get("exp")
    if isinstance(expires, bool) or not isinstance(expires, int | float) or not expires > now:
        return Standing.REFUSED
    if not check_origin:
        return Standing.HOLDS
    if origin is None:
        return Standing.WORTHLESS
    made_for = told.get("origin")
    same = isinstance(made_for, str) and made_for.lower() == origin
    return Standing.HOLDS if same else Standing.REFUSED
