"""One child process as its parent sees it: started, given frames, listened to, killed, reaped. Its owner decides.

A socket pair is the whole connection: its end of file is the process's death, in every event loop and without signal handlers.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol, cast

from msgspec import Struct

from worker.sandbox.fork_protocol import REQUEST
from worker.sandbox.framing import frame_header, take_frame
from worker.sandbox.position import Position, open_shared_page

JOINED_BYTES: Final = 64 * 1024
"""A payload up to this size is copied behind its header, so that small frames leave in one write."""
REAP_SECONDS: Final = (0.002, 0.5)
"""Pauses between looks at a process that has closed its socket and is not gone yet; after them it is killed."""


class Child(Protocol):
    """A child of this process, as `subprocess.Popen` has it."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None: ...

    def wait(self) -> int | None: ...

    def kill(self) -> None: ...


class Starter(Protocol):
    """A way to start children."""

    async def start(self, channel: socket.socket, page: int) -> Child:
        """Start a child that has copies of *channel*, its connection, and *page*, its position. OSError if it cannot be.

        Must run in the thread of the event loop: a parent-death signal follows the thread that forked, not the process.
        """
        ...


class Command(Struct, frozen=True):
    """A command line, to which the sandbox adds two arguments for `child.attach`, and the whole environment."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str]

    async def start(self, channel: socket.socket, page: int) -> subprocess.Popen[bytes]:
        """Execute it: the `Starter` that starts each child from nothing."""
        # A group of its own: Ctrl-C in a terminal is for the worker. But no session of its own: the kernel may share
        # processors between sessions before it looks at niceness.
        return subprocess.Popen(  # noqa: ASYNC220, S603 - it does not wait; the owner vouches for its command
            [*self.arguments, str(os.getpid()), str(page)],
            stdin=channel.fileno(),
            stdout=subprocess.DEVNULL,
            pass_fds=(page,),
            env=self.environment,
            cwd="/",
            process_group=0,
        )


def python_module(name: str, *arguments: str) -> Command:
    """Run the module *name* in this interpreter, with what this process imports from and nothing else of its environment."""
    path = os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path)
    # -P: no module is found in the working directory.
    return Command((sys.executable, "-P", "-X", "utf8", "-m", name, *arguments), {"PYTHONPATH": path})


class Owner(Protocol):
    """The one that a process reports to. Each process ends with exactly one `on_death`, after which it is silent."""

    def on_frame(self, process: Process, payload: bytes) -> None: ...

    def on_death(self, process: Process) -> None: ...


class Process(asyncio.Protocol):
    """A process that may write frames of up to *max_frame_bytes*.

    *exit_code* is as in subprocess, None while it lives. *rejected*: it wrote something that it may not, and was killed for it.
    """

    def __init__(self, owner: Owner, max_frame_bytes: int) -> None:
        self.rejected = False
        self.exit_code: int | None = None
        self._owner = owner
        self._max_frame_bytes = max_frame_bytes
        self._deaf = False
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._socket: socket.socket | None = None
        self._child: Child | None = None
        self._position: Position | None = None

    def __repr__(self) -> str:
        pid = self._child.pid if self._child else None
        return f"<process {pid} {'alive' if self.exit_code is None else f'ended {self.exit_code}'}>"

    @property
    def pid(self) -> int:
        assert self._child is not None
        return self._child.pid

    @property
    def position(self) -> int:
        """The number that the process has written last, 0 after each `send`. It may have gone wrong: any number is possible."""
        assert self._position is not None
        return self._position.read()

    async def start(self, starter: Starter) -> None:
        """Start it; the owner hears of all else. OSError if the system allows no more processes."""
        self._socket, its = socket.socketpair()
        with its:
            try:
                with open_shared_page() as page:
                    self._position = Position(page.fileno())
                    self._child = await starter.start(its, page.fileno())
                await asyncio.get_running_loop().create_unix_connection(lambda: self, sock=self._socket)
            except BaseException:
                if self._transport is not None:
                    self._transport.abort()
                else:
                    self._socket.close()
                if self._child is not None:
                    self._child.kill()
                    self._child.wait()
                if self._position is not None:
                    self._position.close()
                raise

    def send(self, *payloads: bytes) -> None:
        """Write one frame for each of *payloads* and set the position to 0: the process has no work in hand."""
        assert self._position is not None
        self._position.write(0)
        small: list[bytes] = []
        for payload in payloads:
            small.append(frame_header(payload))
            if len(payload) <= JOINED_BYTES:
                small.append(payload)
            else:
                self._write(b"".join(small))
                self._write(payload)
                small.clear()
        if small:
            self._write(b"".join(small))

    def hand_over(self, *descriptors: int) -> None:
        """Give it a request to fork, with copies of *descriptors* for its child. OSError if it is gone."""
        assert self._socket is not None
        socket.send_fds(self._socket, [REQUEST], descriptors)

    def kill(self) -> None:
        """End it now and hear no more from it but `on_death`, as soon as the kernel has taken back its memory."""
        self._deaf = True
        if self._child is not None:
            self._child.kill()

    def reject(self) -> None:
        """Kill it for a frame that its owner cannot accept."""
        self.rejected = True
        self.kill()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while not self._deaf and (payload := self._take_frame()) is not None:
            self._owner.on_frame(self, payload)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - whatever it was, the process is over
        self._reap(*REAP_SECONDS)

    def _take_frame(self) -> bytes | None:
        try:
            return take_frame(self._buffer, self._max_frame_bytes)
        except ValueError:
            self.reject()
            return None

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _reap(self, delay: float, *delays: float) -> None:
        """Collect the exit code. A process that dies closes its socket just before; one that lives on is of no use any more."""
        assert self._child is not None
        self.exit_code = self._child.poll()
        if self.exit_code is None:
            if not delays:
                self._child.kill()
            asyncio.get_running_loop().call_later(delay, lambda: self._reap(*(delays or (delay,))))
            return
        self._owner.on_death(self)
        if self._position is not None:
            self._position.close()
