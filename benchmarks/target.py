"""A fast target: one small JSON answer per connection, after a delay that it keeps itself; it says what the delay really was.

`X-First-Byte-Us` is what passed between the request's arrival in this machine's kernel, by the kernel's own stamp, and the
moment just before the answer is written: that this process was late to read the request is not charged to whoever asks.
A prober that does not show its response's headers numbers its requests (`/health?n=12`): `GET /truths` then hands over the same
microseconds by number. Plain sockets over epoll: asyncio's transports do not read the stamps that come beside the bytes.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import select
import socket
import struct
import time
from collections import deque

import orjson

BODY = b'{"status":"ok","items":[{"id":1,"name":"first"},{"id":2,"name":"second"}],"version":"1.2.3"}'
SO_TIMESTAMPNS = 35
"""Of Linux (socket(7) has its sisters); Python does not name it. The ancillary message has the same number."""
_TIMESPEC = struct.Struct("@ll")
_ANCILLARY = socket.CMSG_SPACE(_TIMESPEC.size)
_BACKLOG = 4096


class Target:
    """Answers each request *delay_ns* after its arrival, on connections to *listening*."""

    def __init__(self, listening: socket.socket, delay_ns: int) -> None:
        self._listening = listening
        self._delay_ns = delay_ns
        self._epoll = select.epoll()
        self._asking: dict[int, socket.socket] = {}
        self._due: deque[tuple[int, socket.socket, bytes]] = deque()
        """When each arrived, and its path. All wait equally long, so that the first is always the next."""
        self._truths: dict[str, int] = {}

    def serve(self) -> None:
        """For ever."""
        self._epoll.register(self._listening, select.EPOLLIN)
        while True:
            self._wait()
            for number, _ in self._epoll.poll(0):
                if number == self._listening.fileno():
                    self._accept()
                else:
                    self._read(self._asking.pop(number))
            now = time.monotonic_ns()
            while self._due and self._due[0][0] + self._delay_ns <= now:
                self._answer(*self._due.popleft())

    def _wait(self) -> None:
        """Until there is something to do. epoll itself counts in milliseconds; select, on the epoll, in microseconds."""
        if self._due:
            left = (self._due[0][0] + self._delay_ns - time.monotonic_ns()) / 1e9
            select.select([self._epoll], [], [], max(0.0, left))
        else:
            self._epoll.poll()

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                connection, _ = self._listening.accept()
                self._asking[connection.fileno()] = connection
                self._epoll.register(connection, select.EPOLLIN)

    def _read(self, connection: socket.socket) -> None:
        """Take the request, which comes in one piece."""
        try:
            self._epoll.unregister(connection)
            request, ancillary, _, _ = connection.recvmsg(65_536, _ANCILLARY)
        except OSError:
            request = b""
        if not request:
            connection.close()
            return
        path = request.split(b" ", 2)[1]
        if path == b"/truths":
            self._send(connection, orjson.dumps(self._truths), b"")
            self._truths.clear()
        else:
            self._due.append((arrival_ns(ancillary), connection, path))

    def _answer(self, arrived_ns: int, connection: socket.socket, path: bytes) -> None:
        passed = (time.monotonic_ns() - arrived_ns) // 1000
        self._send(connection, BODY, b"X-First-Byte-Us: %d\r\n" % passed)
        _, numbered, number = path.partition(b"?n=")
        if numbered:
            self._truths[number.decode()] = passed

    @staticmethod
    def _send(connection: socket.socket, body: bytes, header: bytes) -> None:
        with contextlib.suppress(OSError), connection:  # whoever asked may be gone
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n%s"
                b"Content-Length: %d\r\nConnection: close\r\n\r\n%s" % (header, len(body), body)
            )


def arrival_ns(ancillary: list[tuple[int, int, bytes]]) -> int:
    """The kernel's stamp as a moment of the monotonic clock: it is of the wall clock, which may step while a request waits."""
    stamp = next(data for level, kind, data in ancillary if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS))
    seconds, nanoseconds = _TIMESPEC.unpack(stamp)
    late: int = time.time_ns() - seconds * 1_000_000_000 - nanoseconds
    return time.monotonic_ns() - late


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before the answer")
    delay_ns = round(parser.parse_args().delay * 1e9)
    with socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG) as listening:
        listening.setblocking(False)  # noqa: FBT003  # the standard library's signature
        listening.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)  # what is accepted inherits it
        print(listening.getsockname()[1], flush=True)
        gc.freeze()
        gc.disable()
        Target(listening, delay_ns).serve()


if __name__ == "__main__":
    main()
