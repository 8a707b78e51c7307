"""The parent's side of a fork server: a program that is loaded once and forks into as many children of this process as are asked
for. They share the memory of what it has loaded, and another one is there in milliseconds.

The server forks twice, so that each child is this process's own: it dies with this process and not with the server, and its
exit code is told here. Only Linux has what that takes; elsewhere every child loads the program. The server is asked for one
child at a time and is told nothing else. It does not start again by itself: the next child that is wanted sees to that.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from worker.sandbox.descendants import adopt_orphans
from worker.sandbox.fork_protocol import AVAILABLE, NUMBER
from worker.sandbox.process import Child, Command, Process

FORK_SECONDS: Final = 3.0
"""Time for a child that was asked for before its server is ended: five hundred times what it takes on an idle machine."""
LEFT_SECONDS: Final = 1.0
"""Time for a child to end whose server has ended before it could tell of it: it waits for nothing else."""


class ForkedChild:
    """A child of this process that a server has forked, in the manner of `subprocess.Popen`."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._exit_code: int | None = None

    def poll(self) -> int | None:
        """Reap it if it has ended. Returns its exit code, None while it lives."""
        return self._reap(os.WNOHANG)

    def wait(self) -> int | None:
        return self._reap(0)

    def kill(self) -> None:
        if self.poll() is None:  # its id is its own until it has been reaped
            os.kill(self.pid, signal.SIGKILL)

    def _reap(self, options: int) -> int | None:
        if self._exit_code is None:
            try:
                pid, status = os.waitpid(self.pid, options)
            except ChildProcessError:  # it is gone, but not by us: SIGCHLD is ignored, and nobody knows its exit code
                self._exit_code = 0
            else:
                self._exit_code = os.waitstatus_to_exitcode(status) if pid else None
        return self._exit_code


class _Server:
    """One process of a server, and the number that it is to say next. It belongs to a `Process`, as its owner."""

    def __init__(self, on_death: Callable[[_Server], None]) -> None:
        self.process = Process(self, NUMBER.size)
        self.dead = asyncio.Event()
        self._on_death = on_death
        self._number = _nothing_yet()
        self.has_forked = False

    async def number(self) -> int:
        """The answer to the last request; to none yet, LOADED. May be cancelled. ChildProcessError if the process has ended."""
        return await asyncio.shield(self._number)

    def ask(self, *descriptors: int) -> None:
        """Ask for a child that gets *descriptors*. OSError if the process is gone."""
        self.process.hand_over(*descriptors)
        self._number, self.has_forked = _nothing_yet(), True

    def disown(self) -> None:
        """End the child that was asked for when it is known: nobody waits for it any more."""
        self._number.add_done_callback(_end_child)

    def end(self) -> None:
        """End the process; not before a child that was asked for is known, for it would be left."""
        if self.has_forked and not self._number.done():
            self._number.add_done_callback(lambda _: self.process.kill())
            asyncio.get_running_loop().call_later(FORK_SECONDS, self.process.kill)
        else:
            self.process.kill()

    def on_frame(self, process: Process, payload: bytes) -> None:
        if self._number.done() or len(payload) != NUMBER.size:
            process.reject()
        else:
            self._number.set_result(NUMBER.unpack(payload)[0])

    def on_death(self, process: Process) -> None:
        self.dead.set()
        if not self._number.done():
            self._number.set_exception(ChildProcessError(f"the fork server ended ({process.exit_code})"))
            self._number.exception()  # nobody may be waiting for it
            # A child that it did not tell of ends by itself, and has not left its group.
            asyncio.get_running_loop().call_later(LEFT_SECONDS, _reap_group, process.pid)
        self._on_death(self)


class ForkServer:
    """Starts children of one program, which calls `forking.fork_on_request`.

    *on_end* is called with its exit code when the server has ended and nothing here has ended it.
    """

    def __init__(self, command: Command, on_end: Callable[[int | None], None]) -> None:
        self._command = command
        self._on_end = on_end
        self._server: _Server | None = None
        self._ending: set[_Server] = set()

    async def start(self, channel: socket.socket, page: int) -> Child:
        """Start a child that has *channel* and *page*. One call at a time, which may be cancelled. OSError if it cannot be."""
        if not AVAILABLE:
            return await self._command.start(channel, page)
        server = self._server
        if server is None:
            server = self._server = await self._load()
        await server.number()
        server.ask(channel.fileno(), page)
        try:
            number = await server.number()
        except asyncio.CancelledError:
            server.disown()
            raise
        if number < 0:
            raise OSError(-number, os.strerror(-number))
        return ForkedChild(number)

    def renew(self) -> None:
        """Fork the next child from a server that has no child yet: its memory has another layout, and it another hash seed."""
        if self._server is not None and self._server.has_forked:
            self.end()

    def end(self) -> None:
        """End the server. Its children live on; the next one comes from another server."""
        server, self._server = self._server, None
        if server is not None:
            self._ending.add(server)
            server.end()

    async def close(self) -> None:
        """End the server and wait for its end."""
        self.end()
        for server in [*self._ending]:
            await server.dead.wait()

    async def _load(self) -> _Server:
        if not adopt_orphans():
            raise OSError("this system lets no process adopt orphans")
        server = _Server(self._ended)
        await server.process.start(self._command)
        return server

    def _ended(self, server: _Server) -> None:
        if server in self._ending:
            self._ending.remove(server)
            return
        self._server = None
        self._on_end(server.process.exit_code)


def _nothing_yet() -> asyncio.Future[int]:
    return asyncio.get_running_loop().create_future()


def _end_child(number: asyncio.Future[int]) -> None:
    if number.exception() is None and number.result() > 0:
        child = ForkedChild(number.result())
        child.kill()
        child.wait()


def _reap_group(leader: int) -> None:
    with suppress(ChildProcessError):
        os.waitpid(-leader, os.WNOHANG)
