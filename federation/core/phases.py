"""What a member's events mean for a launch: goes on, done, or failed, and whose failure it is.

Knows no stream. A failure is told by phase, status code and message alone, as a stock BinderHub sends them,
so that every member is judged alike. Whatever is not known to be the member's is the repository's or the
visitor's, and final: trying it elsewhere would only repeat it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from federation.core.errors import Garbled
from federation.core.target import plain_server

Event = Mapping[str, Any]


class Ending(StrEnum):
    READY = "ready"
    FINAL = "final"  # the repository's or the visitor's own fault
    RETRYABLE = "retryable"  # this member's; another one may do better


@dataclass(frozen=True, slots=True)
class Verdict:
    """How an event ends a launch on one member. `cause` is one word for metrics, `message` is for people."""

    ending: Ending
    cause: str = ""
    message: str = ""


# Beginnings of messages that say whose the failure is where the status code does not, or says it wrongly.
MEMBERS_OWN: tuple[tuple[str, str], ...] = (
    ("Too many users on this BinderHub", "quota"),
    ("Too many users running", "repo_quota"),
    ("Error resolving ref for", "resolve"),
    ("Unhandled error watching for build events", "build_watch"),
    ("No provider found for prefix", "beyond_member"),  # one that a front door relays, and this member lacks
    ("This member is shutting down", "shutting_down"),
)
# The server of an image that was started and ended by itself; it would do so anywhere.
REPOSITORYS_OWN = (
    "Spawn failed: The session's container ended while starting",
    "Spawn failed: The session's server ended while starting",
)
# What our members say, with a status from 500, when a service that members share let them down: docs/faults.md.
SHARED_SERVICES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"The registry of (this federation's )?images "), "registry"),
    (re.compile(r"The image was built, but the registry of images "), "registry"),
    (re.compile(r"The image to build on could not be fetched: its registry "), "registry"),
    (re.compile(r"Image \S+ could not be pulled"), "registry"),
    (re.compile(r"The pull of image \S+ broke off"), "registry"),
    (re.compile(r"The repository's server (could not be reached|sent nothing)"), "git_host"),
)
_NOT_IMPLEMENTED = 501  # a repository of a kind that this member does not build
_PAST_THE_BUILD = ("built", "launching")
_LONGEST_MESSAGE = 500


def decode(data: bytes) -> dict[str, Any]:
    """The event in the data of one frame. Raises `Garbled` when it is no JSON object."""
    try:
        event = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Garbled("sent an event that is not JSON") from error
    if not isinstance(event, dict):
        raise Garbled("sent an event that is no JSON object")
    return event


def phase_of(event: Event) -> str:
    """The phase in lower case, as clients read it; empty when there is none."""
    phase = event.get("phase")
    return phase.lower() if isinstance(phase, str) else ""


def past_the_build(phase: str) -> bool:
    """Whether from this phase on a failure cannot be the repository's build any more."""
    return phase in _PAST_THE_BUILD


def judge(event: Event, *, built: bool) -> Verdict | None:
    """How this event ends the launch, or None when it goes on. `built` tells that the image was there."""
    match phase_of(event):
        case "ready":
            return _ready(event)
        case "failed" | "failure":
            return _failed(event, built=built)
        case _:
            return None


def _ready(event: Event) -> Verdict:
    url = event.get("url")
    if isinstance(url, str):
        if plain_server(url):
            return Verdict(Ending.READY, "ready")
        return Verdict(Ending.RETRYABLE, "garbled", "was ready, but at an address that cannot be opened")
    if isinstance(event.get("imageName"), str):  # a launch that was to build only
        return Verdict(Ending.READY, "ready")
    return Verdict(Ending.RETRYABLE, "garbled", "was ready, but without a URL")


def _failed(event: Event, *, built: bool) -> Verdict:
    message = _one_line(event.get("message"))
    for beginning, cause in MEMBERS_OWN:
        if message.startswith(beginning):
            return Verdict(Ending.RETRYABLE, cause, message)
    if message.startswith(REPOSITORYS_OWN):
        return Verdict(Ending.FINAL, "repository", message)
    status = event.get("status_code")
    if isinstance(status, int) and not isinstance(status, bool):
        if status == _NOT_IMPLEMENTED:
            return Verdict(Ending.RETRYABLE, "beyond_member", message)
        if status >= 500:
            own = "launch" if built else "member_error"
            return Verdict(Ending.RETRYABLE, _shared_service(message) or own, message)
        return Verdict(Ending.FINAL, "rate_limit" if status == 429 else "refused", message)
    if built:
        return Verdict(Ending.RETRYABLE, "launch", message)
    return Verdict(Ending.FINAL, "repository", message)


def _shared_service(message: str) -> str | None:
    return next((cause for words, cause in SHARED_SERVICES if words.match(message)), None)


def _one_line(text: object) -> str:
    """A member's words, fit to be quoted in a sentence and a log line."""
    if not isinstance(text, str):
        return ""
    words = " ".join(text[: 2 * _LONGEST_MESSAGE].split())
    return "".join(filter(str.isprintable, words))[:_LONGEST_MESSAGE]
