"""An example of what receives alerts: prints each on a line, with its runbook. Standard library only.

python3 dashboards/prometheus/webhook.py 9094
"""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

LARGEST = 1024 * 1024  # bytes of one message


class Receiver(BaseHTTPRequestHandler):
    timeout = 10  # seconds for a sender to say what it has to say

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        if length > LARGEST:
            self.send_error(413)
            return
        for alert in json.loads(self.rfile.read(length))["alerts"]:
            labels, told = alert["labels"], alert["annotations"]
            print(
                f"[{labels['severity']}] {alert['status']}: {told['summary']} ({told['runbook_url']})",
                flush=True,
            )
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """The lines above are all that is worth reading."""


if __name__ == "__main__":
    server = HTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver)
    print(f"Waiting for alerts at http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
