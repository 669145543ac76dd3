"""The streams that members really sent, as files, and how a stream is compared with its file. Starts nothing.

README.md beside this tells where each file comes from, and how to record it anew.
"""

from __future__ import annotations

import json
import os
import re
from difflib import unified_diff
from pathlib import Path
from typing import Any

import pytest
from normalising import normalised

FOLDER = Path(__file__).parent
STOCK = "binderhub"  # recorded once, by hand
OURS = ("member", "process", "docker")
RECORD = "RECORD_CONTRACT"  # an environment variable: when it is set, files are written and not compared


def names(*speakers: str) -> list[str]:
    """The streams of these speakers, as `speaker/what-happened`."""
    return sorted(
        f"{speaker}/{path.stem}" for speaker in speakers for path in (FOLDER / speaker).glob("*.sse")
    )


def recorded(name: str) -> bytes:
    """The bytes of one stream."""
    return (FOLDER / f"{name}.sse").read_bytes()


def events(name: str) -> list[dict[str, Any]]:
    """What one stream tells."""
    return [json.loads(data) for data in re.findall(rb"(?m)^data: (.*)$", recorded(name))]


def without_comments(sent: bytes) -> bytes:
    """A stream without its keepalives, of which a slow machine sends more."""
    return re.sub(rb"(?m)^:.*\n\n", b"", sent)


def body(name: str) -> str:
    """The body of another answer of a stock BinderHub (`health`, `versions`, …), without its HTTP head."""
    return (FOLDER / STOCK / f"{name}.txt").read_text(encoding="utf-8").partition("\n\n")[2]


def told(name: str, sent: bytes) -> None:
    """Fails when a member did not send what the file says, but for what changes with every launch."""
    path, now = FOLDER / f"{name}.sse", normalised(sent)
    if os.environ.get(RECORD):
        path.write_bytes(now)
        return
    if not path.exists():
        pytest.fail(f"there is no contract file {name}: record it with {RECORD}=1 (tests/contract/README.md)")
    known = path.read_bytes()
    if now != known:
        lines = unified_diff(
            known.decode().split("\n"), now.decode().split("\n"), str(path), "sent", lineterm=""
        )
        pytest.fail(
            "\n".join([f"another stream than {name}; {RECORD}=1 would record it", *lines]), pytrace=False
        )
