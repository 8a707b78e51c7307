"""A receiver of alerts in a thread of its own, for tests whose control plane is another process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class AlertReceiver(ThreadingHTTPServer):
    """Answers 204, but nothing before it is *free*; *keys* are those that it was sent."""

    daemon_threads = True

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.free = threading.Event()
        self.free.set()
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook/s3cret"

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a sender that was killed."""


class _Handler(BaseHTTPRequestHandler):
    server: AlertReceiver

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        late = not self.server.free.is_set()
        self.server.keys.append(self.headers["Idempotency-Key"])
        self.server.free.wait(60)
        if not late:
            self.send_response(204)
            self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def receiving() -> Iterator[AlertReceiver]:
    receiver = AlertReceiver()
    thread = threading.Thread(target=receiver.serve_forever)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.free.set()
        receiver.shutdown()
        thread.join()
        receiver.server_close()
