"""A service under a supervisor: a real process that answers 503 once it is broken, and that a file asks to be started anew."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

from tests.support.waiting import eventually

_LOOK_SECONDS = 0.02
_SERVER = """
import http.server, os, sys
port, broken, log = int(sys.argv[1]), sys.argv[2], sys.argv[3]
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503 if os.path.exists(broken) else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
with open(log, "a") as file:
    file.write(f"{os.getpid()} {server.server_address[1]}\\n")
server.serve_forever()
"""


class SupervisedService:
    """The process and its supervisor. What broke it goes with the process, as a leak or a lock does."""

    def __init__(self, folder: Path, requests: Path, name: str) -> None:
        self._broken = folder / f"{name}.broken"
        self._log = folder / f"{name}.starts"
        self._request = requests / name
        self._log.touch()
        self._ended = threading.Event()
        self._process = self._start(0)
        self._supervisor = threading.Thread(target=self._supervise, daemon=True)
        self._supervisor.start()

    def _start(self, port: int) -> subprocess.Popen[bytes]:
        before = len(self.starts)
        arguments = [str(port), str(self._broken), str(self._log)]
        process = subprocess.Popen([sys.executable, "-c", _SERVER, *arguments])
        eventually(lambda: len(self.starts) > before, "the service to listen")
        return process

    @property
    def starts(self) -> list[str]:
        """The process and its port, of each start."""
        return self._log.read_text().splitlines()

    @property
    def port(self) -> int:
        return int(self.starts[0].split()[1])

    def break_(self) -> None:
        self._broken.touch()

    def _supervise(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            if self._request.exists():
                self._request.unlink()
                self._process.kill()
                self._process.wait()
                self._broken.unlink(missing_ok=True)
                self._process = self._start(self.port)

    def stop(self) -> None:
        self._ended.set()
        self._supervisor.join()
        self._process.kill()
        self._process.wait()
