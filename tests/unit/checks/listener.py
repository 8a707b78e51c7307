"""A port that an external reference could lead to."""

from __future__ import annotations

import socket
from threading import Thread


class Listener:
    """Counts connections to a loopback port."""

    def __init__(self) -> None:
        self.connections = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            peer, _ = self._socket.accept()
            peer.close()
            self.connections += 1

    def close(self) -> int:
        """Connect once, so that everything before it has been counted, and return what others made."""
        socket.create_connection(("127.0.0.1", self.port)).close()
        while self.connections == 0:
            self._thread.join(0.01)
        return self.connections - 1
