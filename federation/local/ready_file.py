"""Tells other programs where the federation is: one JSON object, replaced whole. Knows no process."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from federation.local.files import kept_secret, write_private
from federation.local.layout import Layout
from federation.local.plan import Plan


def operator_token(layout: Layout) -> str:
    """The token of this state folder."""
    return kept_secret(layout.token)


def ready_text(plan: Plan, layout: Layout, token: str, pid: Callable[[str], int | None]) -> str:
    """The ready file's content. `pid` tells the present process of a member, None while it is down."""
    members = [
        {"name": member.name, "url": member.url, "hub_url": member.hub_url, "pid": pid(member.name)}
        for member in plan.members
    ]
    document: dict[str, Any] = {
        "front_door": plan.url,
        "operator_token": token,
        "registry": str(layout.images) if plan.docker is None else plan.docker.registry_url,
        "members": members,
    }
    if plan.prometheus is not None:
        document["prometheus"] = plan.prometheus.url
    return json.dumps(document, indent=2) + "\n"


def write_ready(paths: list[Path], text: str) -> None:
    for path in paths:
        write_private(path, text)


@dataclass(frozen=True, slots=True)
class Running:
    """A federation that runs: the front door's URL, and the token that it knows its operator by."""

    front_door: str
    token: str


def running(layout: Layout) -> Running | None:
    """The federation that runs in this folder, None when its ready file names none."""
    try:
        told = json.loads(layout.ready.read_text())
        url, token = told["front_door"], told.get("operator_token")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return Running(url, token if isinstance(token, str) else "") if isinstance(url, str) else None
