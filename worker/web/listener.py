"""Listening sockets, and every connection from the moment at which it is accepted: before its TLS handshake and its first byte.

asyncio's own servers tell a protocol of a connection after the handshake, and log a traceback for each that they cannot accept.
Here whoever connects is counted at once, and a process without free files says so once and goes on with those it has.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Sequence
from typing import Protocol

log = logging.getLogger(__name__)

BACKLOG = 128
"""Connections that wait in the kernel; more than come within one turn of a busy loop."""
ACCEPTS = 16
"""Connections accepted in one turn, so that what is cut off to make room for them is really gone before the next ones."""
PAUSE_SECONDS = 1.0
"""Between attempts to accept while the process or the system has no files left."""
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Admission(Protocol):
    """The admission of an accepted connection."""

    def enter(self, accepted: socket.socket) -> None:
        """Take the connection over, or close it."""
        ...

    def make_room(self) -> None:
        """Close what can be spared: there are no files left."""
        ...

    @property
    def has_room_again(self) -> bool:
        """Tell if much of what was held when there was no room has gone since."""
        ...


class Listener:
    """Accepts on *sockets*, which it owns, until `close`."""

    def __init__(self, sockets: Sequence[socket.socket], door: Admission) -> None:
        self.sockets = tuple(sockets)
        self._door = door
        self._loop = asyncio.get_running_loop()
        self._resume: asyncio.TimerHandle | None = None
        self._told = False
        for listening in self.sockets:
            listening.setblocking(False)  # noqa: FBT003 - the standard library's signature
            listening.listen(BACKLOG)
        self._listen()

    def close(self) -> None:
        if self._resume is not None:
            self._resume.cancel()
        for listening in self.sockets:
            self._loop.remove_reader(listening)
            listening.close()

    def _listen(self) -> None:
        self._resume = None
        for listening in self.sockets:
            self._loop.add_reader(listening, self._accept, listening)

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(ACCEPTS):
            try:
                accepted, _ = listening.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionError:  # gone again while it waited
                continue
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    raise
                self._wait(error)
                return
            accepted.setblocking(False)  # noqa: FBT003 - the standard library's signature
            self._door.enter(accepted)
        if self._told and self._door.has_room_again:
            self._told = False

    def _wait(self, error: OSError) -> None:
        """Stop accepting for a while. Told once, until there is room again: a flood must not flood the log."""
        if not self._told:
            self._told = True
            log.error(
                "cannot accept connections (%s): those that ask for nothing are closed, and it is tried again each second",
                error.strerror,
                extra={"action": "accept_failed", "errno": error.errno},
            )
        self._door.make_room()
        for each in self.sockets:
            self._loop.remove_reader(each)
        if self._resume is None:
            self._resume = self._loop.call_later(PAUSE_SECONDS, self._listen)
