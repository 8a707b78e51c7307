"""A service that is out of order until it is started anew, and its supervisor, which does that when a file asks for it.

`make run DEMO=--remediation` breaks and mends it. A supervisor that a script asks by a file is how a path unit of systemd works.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

LOOK_SECONDS = 0.1
LOOPBACK = "127.0.0.1"


class Answer(BaseHTTPRequestHandler):
    """200, or 503 where the process was told that it is out of order."""

    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


def serve(port: int, *, broken: bool) -> None:
    """Answer until the process is killed, or whoever started it is gone: it holds the other end of standard input."""
    threading.Thread(target=lambda: (os.read(0, 1), os._exit(0)), daemon=True).start()
    Answer.status = 503 if broken else 200
    with HTTPServer((LOOPBACK, port), Answer) as server:
        print("ready", server.server_address[1], flush=True)
        server.serve_forever()


def start(port: int, *flags: str) -> tuple[subprocess.Popen[str], int]:
    """Start the service and return it with the port that it listens on; 0 takes a free one."""
    command = [sys.executable, "-m", "examples.fragile", "--serve", str(port), *flags]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None, "it is a pipe"
    return process, int(process.stdout.readline().split()[1])


def supervise(request: Path) -> None:
    """Start the service, out of order, and start it anew each time that the file *request* appears."""
    process, port = start(0, "--broken")
    try:
        print("ready", port, flush=True)
        while True:
            time.sleep(LOOK_SECONDS)
            if request.exists():
                process.kill()
                process.wait()
                request.unlink()
                process, port = start(port)
    finally:
        process.kill()
        process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", type=int, metavar="PORT")
    parser.add_argument("--broken", action="store_true")
    parser.add_argument("--supervise", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        if arguments.supervise is not None:
            supervise(arguments.supervise)
        serve(arguments.serve, broken=arguments.broken)
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
