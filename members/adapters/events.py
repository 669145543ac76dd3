"""The launch event log: one line of JSON for each launch, in BinderHub's schema (BINDER-PROTOCOL §10).

A listener. Whatever goes wrong with the file is told once and never reaches a launch.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jupyter_events.schema import EventSchema

from members.core.facts import Fact, StoryEnded

SCHEMA_ID = "binderhub.jupyter.org/launch"
VERSION = 6
_TEXTS = {
    "spec": "The repository and ref as they were asked for, in the provider's own form",
    "ref": "The version that the ref stood for; empty when it could not be resolved",
    "origin": "The host that served the launch",
    "request_origin": "The origin of the page that asked, or the browser's Sec-Fetch-Site, or nothing",
}
SCHEMA: dict[str, Any] = {
    # The library wants a whole URL and a text here; lines carry what upstream's do.
    "$id": f"https://{SCHEMA_ID}",
    "version": str(VERSION),
    "title": "A launch",
    "description": "A launch of a repository has ended",
    "type": "object",
    "properties": {
        "provider": {
            "type": "string",
            "title": "provider",
            "description": "Where the repository is",
            "enum": [
                "GitHub", "GitLab", "Git", "Gist", "Zenodo", "Figshare", "Hydroshare", "Dataverse", "CKAN",
            ],
        },
        "status": {
            "type": "string",
            "title": "status",
            "description": "Whether the visitor got a server",
            "enum": ["success", "failure"],
        },
        "build_token": {
            "type": "boolean",
            "title": "build_token",
            "description": "Whether the launch began on a page of the federation",
        },
        **{name: {"type": "string", "title": name, "description": text} for name, text in _TEXTS.items()},
    },
}  # fmt: skip


class EventLog:
    """An open file that lines are appended to; opened anew when it has been rotated away."""

    def __init__(
        self,
        path: Path,
        complain: Callable[[Exception], None],
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Opens the file, so that one that cannot be written to is known at once. Raises OSError.

        `complain` is told the first of several failures in a row.
        """
        self._path = path
        self._complain = complain
        self._now = now
        self._schema = EventSchema(SCHEMA)
        self._failing = False
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = _open(path)

    def listen(self, fact: Fact) -> None:
        """Appends a launch that ended. One whose visitor was cut off before its end is no event of the schema."""
        if not isinstance(fact, StoryEnded) or fact.status == "abandoned":
            return
        try:
            self._append(self._line(fact))
            self._failing = False
        except Exception as error:  # a full disk or a fact beyond the schema: launches go on without the log
            if not self._failing:
                self._failing = True
                self._complain(error)

    def close(self) -> None:
        os.close(self._file)

    def _line(self, fact: StoryEnded) -> bytes:
        event = {
            "provider": fact.provider,
            "spec": fact.spec,
            "ref": fact.ref,
            "status": fact.status,
            "build_token": fact.visit.build_token,
            "origin": fact.visit.origin,
            "request_origin": fact.visit.request_origin,
        }
        self._schema.validate(event)
        at = self._now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        told = {"timestamp": at, "schema": SCHEMA_ID, "version": VERSION, **event}
        return json.dumps(told).encode() + b"\n"

    def _append(self, line: bytes) -> None:
        """One write for one line, so that members that share a file do not mix theirs."""
        if self._moved():
            fresh = _open(self._path)
            os.close(self._file)
            self._file = fresh
        os.write(self._file, line)

    def _moved(self) -> bool:
        ours = os.fstat(self._file)
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return True
        return (ours.st_dev, ours.st_ino) != (there.st_dev, there.st_ino)


def _open(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
