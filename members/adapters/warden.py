"""Removes a killed member's containers; knows nothing of members but their label.

Run as a script: `python -I -S warden.py SOCKET LABEL`. Its standard input is a pipe that only the member holds:
a line on it says that the member has tidied up itself, its end without one that the member was killed. Standard
library only, and in a process group and session of its own: what kills a member must not kill it.
"""

from __future__ import annotations

import http.client
import json
import signal
import socket
import sys
import time
from urllib.parse import quote

LIMIT = 120.0  # seconds after which an engine that does not answer is given up; the next start will tidy up
QUIET = 5.0  # seconds without a container: what a hub had asked for when it died may still appear
PAUSE = 0.5  # seconds between two looks
ANSWER = 30.0  # seconds for one answer of the engine


class Unix(http.client.HTTPConnection):
    """HTTP over a socket of this machine."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=ANSWER)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def ask(path: str, method: str, url: str) -> tuple[int, bytes]:
    connection = Unix(path)
    try:
        connection.request(method, url)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def listed(path: str, what: str, label: str) -> list[str]:
    """Ids of everything of this kind that has the label; OSError when the engine does not tell."""
    status, body = ask(path, "GET", f"{what}all=1&filters={quote(json.dumps({'label': [label]}))}")
    if status != 200:
        raise OSError(f"status {status}")
    return [str(each["Id"]) for each in json.loads(body)]


def sweep(path: str, label: str) -> int:
    """Removes the containers that are there now. Says how many there were."""
    found = listed(path, "/containers/json?", label)
    for container in found:
        ask(path, "DELETE", f"/containers/{container}?force=1&v=1")
    return len(found)


def tidy(path: str, label: str) -> None:
    """Removes containers until no more appear, then the network they were in."""
    now = time.monotonic()
    deadline, quiet = now + LIMIT, now + QUIET
    while time.monotonic() < min(deadline, quiet):
        try:
            if sweep(path, label):
                quiet = time.monotonic() + QUIET
        except (OSError, http.client.HTTPException, ValueError):
            quiet = deadline
        else:
            quiet = min(quiet, time.monotonic() + QUIET)
        time.sleep(PAUSE)
    try:
        for network in listed(path, "/networks?", label):
            ask(path, "DELETE", f"/networks/{network}")
    except (OSError, http.client.HTTPException, ValueError):
        pass


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    path, label = sys.argv[1:]
    if not sys.stdin.buffer.readline():
        tidy(path, label)


if __name__ == "__main__":
    main()
