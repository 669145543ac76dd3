"""Small programs that start, answer and end like a member or a front door. Run as scripts by the tests.

`stand_in.py member serve --config FILE` and `stand_in.py door serve --config FILE --host H --port P`.
A file `fault` in the state folder (beside the configuration) makes the named program misbehave:
`<name>: exit` fails at once, `<name>: port` as if its port were taken, `<name>: deaf` ignores SIGTERM,
`<name>: tidies` has a helper that goes on a while for a program that was killed, and then leaves a file `tidied`.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
from federation.local.parent import follow_parent


def answer(handler: BaseHTTPRequestHandler, document: object) -> None:
    body = json.dumps(document).encode()
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def fault(folder: Path, name: str) -> str:
    file = folder / "fault"
    found = dict(line.split(": ") for line in file.read_text().splitlines()) if file.exists() else {}
    return found.get(name, "")


def well(url: str) -> bool:
    try:
        with urlopen(f"{url}/health", timeout=1) as response:
            return response.status == 200
    except OSError:
        return False


def tidying(folder: Path) -> subprocess.Popen[bytes]:
    """As a member's warden: begins when this process has ended, and ends by itself."""
    return subprocess.Popen(
        ["sh", "-c", f'read gone; sleep 1; echo > "{folder}/tidied"'],
        stdin=subprocess.PIPE,
        env={**os.environ, "BINDER_TIDIES_UP": "1"},
        start_new_session=True,
    )


def handler(config: Any) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/active_hosts":
                members = config["members"].items()
                answer(self, {"active_hosts": {key: {} for key, value in members if well(value["url"])}})
            elif self.path == "/versions":
                answer(self, {"builder_info": {"isolation": "none"}})
            else:
                answer(self, {"ok": True})

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind")
    parser.add_argument("serve")
    parser.add_argument("--config", type=Path)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int)
    given = parser.parse_args()
    config = yaml.safe_load(given.config.read_text())
    folder = given.config.parent
    name = given.config.stem
    trouble = fault(folder, name)
    if trouble == "exit":
        sys.exit("a problem of my own")
    if trouble == "port":
        print("OSError: [Errno 98] error while attempting to bind: address already in use", file=sys.stderr)
        sys.exit(1)
    follow_parent()
    # What a hub's notebooks are to a member: alive in a session of its own, out of reach of a group's signal.
    helper = subprocess.Popen(["sleep", "600"], start_new_session=True)
    warden = tidying(folder) if trouble == "tidies" else None
    (folder / f"{name}.helper").write_text(str(helper.pid))

    def end(number: int, frame: object) -> None:
        if trouble != "deaf":
            helper.kill()
            if warden is not None:
                warden.kill()
            sys.exit(0)

    signal.signal(signal.SIGTERM, end)

    server = ThreadingHTTPServer((given.host, given.port or config["port"]), handler(config))
    print("ready", flush=True)
    while True:
        server.handle_request()
        time.sleep(0)


if __name__ == "__main__":
    main()
