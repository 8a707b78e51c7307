"""The alert of the demo: a receiver on loopback, the channel that reaches it, and the line in which it shows what it is told.

It believes everybody and keeps nothing; one of your own would verify the signature of a channel with a `signing_secret`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LOOPBACK = "127.0.0.1"
CHANNEL = "demo"
"""Named with an @ in the message of the test that fails."""
MAX_BODY = 65_536


@contextmanager
def receiving(show: Callable[[str], None]) -> Iterator[str]:
    """Listen on a free port while entered, and *show* a line for each alert; the URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(min(int(self.headers["Content-Length"]), MAX_BODY))
            show(line(body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Write no log: what came is shown."""

    with ThreadingHTTPServer((LOOPBACK, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://{LOOPBACK}:{server.server_port}/alerts"
        finally:
            server.shutdown()
            thread.join()


def add(url: str) -> list[str]:
    """The arguments of `synthetics-controlplane` that make the channel."""
    return ["alert", "channel", "add", CHANNEL, "webhook", f"url={url}"]


def line(body: bytes) -> str:
    """What the body of a webhook says, on one line."""
    told = json.loads(body)["data"]
    return f"  alert: {told['title']}: {' '.join(told['message'].split())}"
