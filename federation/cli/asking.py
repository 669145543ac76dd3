"""Which front door a command asks, with which token, and how it ends without an answer. Knows no question.

The token of a federation that `up` runs here is for that federation alone: no other front door gets to see it.
"""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
import uvloop

from federation.cli.words import FAILED, INTERRUPTED, UNREACHABLE, USAGE, refuse
from federation.follow.ask import Failed, Refused, ask
from federation.follow.stream import Unreachable
from federation.follow.wanted import Unclear, front_door_url
from federation.local.layout import Layout
from federation.local.ready_file import running

STATE_DIR = Path(".binder-federation")
DEFAULT_FRONT_DOOR = "http://127.0.0.1:8080"
ELSEWHERE = "Start a federation with `binder-federation up`, or name one with --front-door."

FrontDoorUrl = Annotated[
    str | None, typer.Option(envvar="BINDER_FEDERATION_URL", help="Base URL of the front door.")
]
Token = Annotated[
    str | None,
    typer.Option(envvar="BINDER_FEDERATION_TOKEN", show_envvar=True, help="An operator's or viewer's token."),
]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Asked:
    """A front door's base URL, and the token for it, empty without one."""

    url: str
    token: str = ""


def front_door_nearby() -> str:
    """The federation that `up` runs from this folder, or where one stands by default."""
    found = running(Layout(STATE_DIR))
    return DEFAULT_FRONT_DOOR if found is None else found.front_door


def addressed(front_door: str | None, token: str | None = None) -> Asked:
    """The front door of these options. Raises `Unclear`."""
    found = running(Layout(STATE_DIR))
    url = front_door_url(front_door or front_door_nearby())
    if not token and found is not None and url == front_door_url(found.front_door):
        token = found.token
    return Asked(url, token or "")


def done(work: Coroutine[Any, Any, T]) -> T:
    """What the work gives, or the end of the command."""
    try:
        return uvloop.run(work)
    except (Unclear, Refused) as problem:
        refuse(problem, USAGE)
    except Failed as problem:
        refuse(problem, FAILED)
    except Unreachable as problem:
        refuse(f"{problem}\n{ELSEWHERE}", UNREACHABLE)
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


def asked(front_door: str | None, path: str, token: str | None = None, **parameters: str) -> dict[str, Any]:
    """The front door's answer, or the end of the command."""
    door = named(front_door, token)
    return done(ask(door.url, path, token=door.token, **parameters))


def named(front_door: str | None, token: str | None) -> Asked:
    """As `addressed`, or the end of the command."""
    try:
        return addressed(front_door, token)
    except Unclear as problem:
        refuse(problem, USAGE)
