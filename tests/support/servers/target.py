"""A target in a thread: counts what reaches it, and holds a request for as long as the test wants."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    """Connections that wait to be accepted. With the library's five, one more loses its SYN, which is sent again after 1 s."""

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is what these tests are about, and no news."""


class Target:
    """`/held…` waits for `release`; `/broken…` answers 503; everything else 200 with `{"status": "ok"}`."""

    def __init__(self) -> None:
        self.hits: Counter[str] = Counter()
        self.held = threading.Event()
        self.release = threading.Event()
        self.server = _Server(("127.0.0.1", 0), self._handler())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        target = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                target.hits[self.path] += 1
                if self.path.startswith("/held"):
                    target.held.set()
                    target.release.wait(60)
                body = b'{"status": "ok"}'
                self.send_response(503 if self.path.startswith("/broken") else 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


@contextmanager
def running_target() -> Iterator[Target]:
    target = Target()
    thread = threading.Thread(target=target.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield target
    finally:
        target.release.set()
        target.server.shutdown()
        target.server.server_close()
        thread.join()
