"""The child's side: the connection with the parent, made at the start of a program that runs as a `Process`."""

from __future__ import annotations

import mmap
import os
import resource
import socket
import sys
from collections.abc import Callable, Sequence

from worker.sandbox.confinement import confine, die_with, ignore_signals
from worker.sandbox.fork_protocol import DESCRIPTORS, REQUEST
from worker.sandbox.framing import encode_frame, read_frame
from worker.sandbox.position import Position


class ParentChannel:
    """Frames from and to the parent, and the position. *arguments* are the program's own, without those of the sandbox."""

    def __init__(
        self, channel: socket.socket, position: Position, arguments: Sequence[str], parent: int, *, bound: bool
    ) -> None:
        self.arguments = tuple(arguments)
        self.position = position
        self._channel = channel
        self._parent = parent
        self._source = os.fdopen(channel.fileno(), "rb", buffering=64 * 1024, closefd=False)
        self._bound = bound

    def read(self) -> bytes | None:
        """Wait for a frame; None when the parent has hung up."""
        return read_frame(self._source)

    def write(self, payload: bytes) -> None:
        """Write one frame. The parent decides how large it may be."""
        self._channel.sendall(encode_frame(payload))

    def receive(self) -> tuple[int, ...] | None:
        """Wait for a request to fork: the new child's descriptors. None when the parent has hung up."""
        request, descriptors, _, _ = socket.recv_fds(self._channel, len(REQUEST), DESCRIPTORS)
        return tuple(descriptors) if request else None

    def succeeded_by(self, channel: int, page: int) -> ParentChannel:
        """Close this channel in a forked process, and connect the process by its own descriptors; die with the same parent."""
        self._source.close()
        self._channel.close()
        self.position.close()
        os.setpgid(0, 0)
        return _connected(channel, page, self.arguments, self._parent)

    def silence(self) -> None:
        """Nothing that a library prints may reach the socket or the worker's own error stream."""
        nowhere = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):
            os.dup2(nowhere, standard)
        os.close(nowhere)

    def confine(self, memory_bytes: int) -> tuple[str, ...]:
        """Confine this process for good. Returns what does not hold on this system, in words for the log."""
        self.silence()
        missing = confine(memory_bytes)
        return missing if self._bound else (*missing, "death with the worker")


def attach(argv: Sequence[str]) -> ParentChannel:
    """Connect with the parent, which has put two arguments of its own at the end of *argv*; ignore signals; die with it."""
    *arguments, parent, page = argv[1:]
    ignore_signals()
    return _connected(os.dup(0), int(page), arguments, int(parent))


def _connected(channel: int, page: int, arguments: Sequence[str], parent: int) -> ParentChannel:
    bound = die_with(parent)
    position = Position(page)
    os.close(page)
    return ParentChannel(socket.socket(fileno=channel), position, arguments, parent, bound=bound)


def resident_size() -> Callable[[], int]:
    """A function for the process's resident bytes that opens nothing when it is called. Make it before `ParentChannel.confine`.

    Not getrusage where /proc exists: its maximum begins with the size of the worker that started this process.
    """
    try:
        statm = os.open("/proc/self/statm", os.O_RDONLY)
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return lambda: int(os.pread(statm, 100, 0).split()[1]) * mmap.PAGESIZE
