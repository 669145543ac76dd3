"""repo2docker's log, line by line, as a build's story, and what of it says why a build failed. Knows no process."""

from __future__ import annotations

import json
import re
from collections import deque

from members.core.model import BuildLine

LONGEST_LINE = 1 << 18  # bytes of one line of the log as JSON
_LONGEST_MESSAGE = 1 << 15  # characters that a visitor is shown of one line
_FAILED = ("failed", "failure")
_PUSHING = re.compile(r"#\d+ pushing \S+ with docker$")
_KEPT = 20  # last lines of git that are looked at


def read(text: str) -> BuildLine:
    """One line as BinderHub passes it on: JSON keeps its phase, also a missing one; the rest is `unknown`."""
    text = text.rstrip("\n")
    try:
        entry = json.loads(text)
    except (ValueError, RecursionError):
        entry = None
    if not isinstance(entry, dict) or not isinstance(entry.get("message"), str):
        return BuildLine(_shown(text + "\n"), "unknown")
    phase = entry.get("phase")
    return BuildLine(_shown(entry["message"]), phase if isinstance(phase, str) else None)


def _shown(message: str) -> str:
    """A message that can be encoded, and is no longer than a person would read."""
    message = message.encode("utf-8", "replace").decode("utf-8")
    if len(message) <= _LONGEST_MESSAGE:
        return message
    return message[:_LONGEST_MESSAGE] + " [the rest of this line is cut]\n"


class Evidence:
    """What the lines of one build say about how it ended.

    The repository decides what its own steps print, so nothing of that counts. Such lines begin with BuildKit's
    step number or a time; a carriage return can free a piece of one from that. But the last word, the line
    `ERROR: …` after which nothing runs any more, is always the tools' own.
    """

    def __init__(self) -> None:
        self.failed: str | None = None  # the first message with phase failed, which ends the stream
        self.error = ""  # the last line of BuildKit that begins with ERROR
        self.building = False  # whether all was fetched, and building began
        self.pushing = False  # whether the image was there, and went to the registry
        self._git: deque[str] = deque(maxlen=_KEPT)
        self._other: deque[str] = deque(maxlen=_KEPT)

    def add(self, line: BuildLine) -> bool:
        """Takes one line; whether it is the end of the story, and not to be told as part of it."""
        if line.phase in _FAILED:
            self.failed = self.failed or line.message.strip()
            return True
        if line.phase == "building":
            self.building = True
            self.pushing = self.pushing or bool(_PUSHING.match(line.message))
            if line.message.startswith("ERROR: "):
                self.error = line.message.strip()
        elif line.phase == "fetching" and re.match(r"(fatal|error): ", line.message):
            self._git.append(line.message)
        elif line.phase in (None, "unknown"):
            self._other.append(line.message)
        return False

    @property
    def git(self) -> str:
        """What git itself complained of; what a server says has `remote:` before it."""
        return "".join(self._git)

    @property
    def other(self) -> str:
        """The last lines that belong to no phase: repo2docker's own, and the docker command's."""
        return "".join(self._other)
