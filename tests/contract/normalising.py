"""A stream without what differs from launch to launch: the same bytes for the same story. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

LAUNCH = "launch-launch-launch-1"  # as long, and of the same characters, as a real one
TOKEN = "token-token-token-tok1"
IMAGE = "registry.example/binder-image-abcdef:" + "a" * 40
USER = "visitor-abcdefgh"
HERE = "/tmp/here"

_ID = re.compile(r"id: (\S+)\.(\d+)\n")
_IMAGE = re.compile(r'"image(?:Name)?": "([^"]+)"')
_MESSAGE = re.compile(r'(?<="message": ")(?:[^"\\]|\\.)*')
_TOKEN = re.compile(r'"token": "([^"]+)"')

# What replaces what, in this order, everywhere in a stream.
_VOLATILE: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(?<=/user/)[^/\"\\ ]+"), USER),
    (re.compile(r"(?<=for user )\S+"), USER),
    (re.compile(r"(?:/[\w.-]+)*/pytest-of-[\w.-]+/pytest-\d+/(?:popen-gw\d+/)?[\w.-]+"), HERE),
    (re.compile(r"(?:/[\w.-]+)*/binder-builds-\w+"), HERE),
    (
        re.compile(r"%2F(?:[\w.-]+%2F)*pytest-of-[\w.-]+%2Fpytest-\d+%2F(?:popen-gw\d+%2F)?[\w.-]+"),
        HERE.replace("/", "%2F"),
    ),
    (re.compile(r"/tmp/repo2docker\w+"), "/tmp/repo2docker"),
    (re.compile(r"(?<=Cloning into ')[^']+"), "/tmp/repository"),
    (re.compile(r"Using python\S+ \([^)]*\) with uv"), "Using python3.11 (/usr/bin/python3.11) with uv"),
    (re.compile(r"(?:(?<=Stored )|(?<=shared store \())\d+\.\d+ MB"), "0.1 MB"),
    (re.compile(r"\btest-\d{5,}(?:-\w+)?"), "test"),  # a test's own image and repository
    (re.compile(r"(127\.0\.0\.1)(:|%3A)\d+"), r"\1\g<2>1234"),
    (re.compile(r"\bsha256:[0-9a-f]{64}"), "sha256:" + "b" * 64),
    (re.compile(r"\b[0-9a-f]{40}\b"), "a" * 40),
    (re.compile(r"(?<=HEAD is now at )[0-9a-f]{7,}"), "aaaaaaa"),
    (re.compile(r"\b9\d{8}\b"), "900000000"),  # how long a test sleeps, unlike any other
    (re.compile(r"\b\d+\.\d+ ?s\b|\b\d+ ?ms\b"), "0.1s"),
    (re.compile(r"(?m)(?<=\"message\": \")\d+\.\d{3} "), "0.123 "),  # seconds into a step
)

# Lines of tools that come in no certain number or order: of a run of them one stays, that says what they are.
_TOOLS: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(r'^data: {"message": "(?:#\d+ |\\n", "phase": "building")'),
        "#1 [steps of the container engine]\\n",
    ),
    (
        re.compile(r'^data: {"phase": "launching", "message": "Pulling the image: \d'),
        "Pulling the image: 1 of 2 MB\\n",
    ),
    (re.compile(r'^data: {"message": "(?:fatal|error): '), "fatal: [what git says]\\n"),
    (
        re.compile(r'^data: {"message": "ERROR: .*(?:rpc error|error reading|failed to receive)'),
        "ERROR: [that the container engine is gone]\\n",
    ),
    (
        re.compile(
            r'^data: {"message": "(?:\\u001b\[\d+m)*(?:Using Python|Resolved|Checked|Prepared|Installed'
            r"|Uninstalled|warning:|Audited|Building|Built|Downloading| ?Downloaded|Bytecode| [-+~] "
            r"|Making the base environment)"  # whoever is first makes it, be it the member itself
        ),
        "[what uv tells]\\n",
    ),
)


def normalised(stream: bytes) -> bytes:
    """The stream with fixed words for ids, tokens, images, users, ports, commits, folders and durations.

    Tool lines in no certain number become one, comments in a row too; events are then numbered anew. What is
    normalised stays as it is when it is normalised again.
    """
    text = stream.decode("ascii")
    for found, word in ((_TOKEN, TOKEN), (_IMAGE, IMAGE)):
        for secret in sorted(set(found.findall(text)), key=len, reverse=True):
            text = text.replace(secret, word)
    for pattern, word in _VOLATILE:
        text = pattern.sub(word, text)
    return "".join(_numbered(_folded(re.findall(r".+?\n\n+", text, re.DOTALL)))).encode("ascii")


def _folded(frames: Iterable[str]) -> list[str]:
    kept: list[str] = []
    for frame in frames:
        frame = _plain(frame)
        if not kept or _without_id(kept[-1]) != _without_id(frame) or not _repeatable(frame):
            kept.append(frame)
    return kept


def _plain(frame: str) -> str:
    """A tool's line as the one word for all such lines."""
    id, data = _ID.match(frame), _without_id(frame)
    for pattern, word in _TOOLS:
        if pattern.match(data):
            return (id[0] if id else "") + _MESSAGE.sub(lambda _, word=word: word, data, count=1)
    return frame


def _repeatable(frame: str) -> bool:
    return frame.startswith(":") or any(word in frame for _, word in _TOOLS)


def _without_id(frame: str) -> str:
    return _ID.sub("", frame, count=1)


def _numbered(frames: list[str]) -> Iterable[str]:
    """The frames with a fixed launch, its events numbered without gaps from the first one's number on."""
    number: int | None = None
    for frame in frames:
        id = _ID.match(frame)
        if id is None:
            yield frame
            continue
        number = int(id[2]) if number is None else number + 1
        yield f"id: {LAUNCH}.{number}\n{_without_id(frame)}"
