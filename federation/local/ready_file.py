"""Tells other programs where the federation is: one JSON object, replaced whole. Knows no process."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

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
    document = {
        "front_door": plan.url,
        "operator_token": token,
        "registry": str(layout.images) if plan.docker is None else plan.docker.registry_url,
        "members": members,
    }
    return json.dumps(document, indent=2) + "\n"


def write_ready(paths: list[Path], text: str) -> None:
    for path in paths:
        write_private(path, text)


def running_front_door(layout: Layout) -> str | None:
    """The URL of the federation that runs in this folder, None when its ready file names none."""
    try:
        url = json.loads(layout.ready.read_text())["front_door"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return url if isinstance(url, str) else None
