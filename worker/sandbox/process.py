"""One evaluator process as the worker sees it: started, given tasks, listened to, killed, reaped. The pool decides.

A socket pair is the whole connection: its end of file is the process's death, in every event loop and without signal handlers.
"""

from __future__ import annotations

import asyncio
import mmap
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Final, Protocol, cast

import msgspec

from worker.evaluators import protocol
from worker.evaluators.protocol import POSITION, Settings

JOINED_BYTES: Final = 64 * 1024
"""A body up to this size is copied behind its task, so that both leave in one write."""
REAP_SECONDS: Final = (0.002, 0.5)
"""Pauses between looks at a process that has closed its socket and is not gone yet; after them it is killed."""


class Owner(Protocol):
    """Whom a process reports to. Each process ends with exactly one `on_death`, after which it is silent."""

    def on_ready(self, process: Process, missing: Sequence[str]) -> None: ...

    def on_reply(self, process: Process, reply: protocol.Reply) -> None: ...

    def on_death(self, process: Process) -> None: ...


class Process(asyncio.Protocol):
    """*exit_code* as in subprocess, None while it lives; *ready* from its first word on; *dismissed* when its death is wanted.

    *misspoke*: it said something that no evaluator says, and was killed for it.
    """

    def __init__(self, owner: Owner) -> None:
        self.ready = False
        self.dismissed = False
        self.misspoke = False
        self.exit_code: int | None = None
        self._owner = owner
        self._deaf = False
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._popen: subprocess.Popen[bytes] | None = None
        self._page: mmap.mmap | None = None

    def __repr__(self) -> str:
        pid = self._popen.pid if self._popen else None
        state = "starting" if self.exit_code is None else f"ended {self.exit_code}"
        return f"<evaluator {pid} {'ready' if self.ready and self.exit_code is None else state}>"

    @property
    def pid(self) -> int:
        assert self._popen is not None
        return self._popen.pid

    @property
    def position(self) -> int:
        """Index, within its task, of the assertion in hand. The evaluator wrote it: any number is possible."""
        assert self._page is not None
        (index,) = POSITION.unpack_from(self._page)
        return int(index)

    async def start(self, program: str, settings: Settings) -> None:
        """Start the module *program*; `on_ready` or `on_death` follows. OSError if the system allows no more processes.

        Must run in the thread of the event loop: a parent-death signal follows the thread that forked, not the process.
        """
        mine, its = socket.socketpair()
        with its:
            try:
                self._spawn(program, settings, its)
                await asyncio.get_running_loop().create_unix_connection(lambda: self, sock=mine)
            except BaseException:
                if self._transport is not None:
                    self._transport.abort()
                else:
                    mine.close()
                if self._popen is not None:
                    self._popen.kill()
                    self._popen.wait()
                raise

    def work(self, head: bytes, body: bytes) -> None:
        """Send a task. The evaluator has none in hand."""
        assert self._page is not None
        POSITION.pack_into(self._page, 0, 0)
        if len(body) <= JOINED_BYTES:
            self._write(head + body)
        else:
            self._write(head)
            self._write(body)

    def resume(self) -> None:
        """Let it go on with the task that it has put aside."""
        self._write(protocol.RESUME)

    def forget(self) -> None:
        """Let it drop the task that it has put aside."""
        self._write(protocol.FORGET)

    def kill(self) -> None:
        """End it now and hear no more from it but `on_death`, as soon as the kernel has taken back its memory."""
        self._deaf = True
        if self._popen is not None:
            self._popen.kill()

    def disown(self) -> None:
        """Something talks through it that is no result: it is no longer believed."""
        self.misspoke = True
        self.kill()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        try:
            while not self._deaf and (message := protocol.take_reply(self._buffer)) is not None:
                self._hear(message)
        except (ValueError, msgspec.DecodeError, RecursionError):
            self.disown()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - whatever it was, the process is over
        self._reap(*REAP_SECONDS)

    def _hear(self, message: bytes) -> None:
        if self.ready:
            self._owner.on_reply(self, protocol.decode_reply(message))
        else:
            ready = protocol.decode_ready(message)
            self.ready = True
            self._owner.on_ready(self, ready.missing)

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _spawn(self, program: str, settings: Settings, its: socket.socket) -> None:
        with _shared_page() as page:
            self._page = mmap.mmap(page.fileno(), mmap.PAGESIZE)
            told = msgspec.structs.replace(settings, parent=os.getpid(), page=page.fileno())
            # -P: no module is found in the working directory. A group of its own: Ctrl-C in a terminal is for the worker. But no
            # session of its own: the kernel may share processors between sessions before it looks at niceness.
            self._popen = subprocess.Popen(  # noqa: S603 - every argument is the program's own
                [sys.executable, "-P", "-X", "utf8", "-m", program, protocol.encode_settings(told)],
                stdin=its.fileno(),
                stdout=subprocess.DEVNULL,
                pass_fds=(page.fileno(),),
                env={"PYTHONPATH": _module_path()},
                cwd="/",
                process_group=0,
            )

    def _reap(self, delay: float, *delays: float) -> None:
        """Collect the exit code. A process that dies closes its socket just before; one that lives on is of no use any more."""
        assert self._popen is not None
        if self._popen.poll() is None:
            if not delays:
                self._popen.kill()
            asyncio.get_running_loop().call_later(delay, lambda: self._reap(*(delays or (delay,))))
            return
        self.exit_code = self._popen.returncode
        self._owner.on_death(self)
        if self._page is not None:
            self._page.close()


def _shared_page() -> BinaryIO:
    """A file of one page that has no name: memory where the system has such files, else the folder for temporary ones."""
    if sys.platform == "linux":
        page: BinaryIO = os.fdopen(os.memfd_create("evaluator"), "r+b", buffering=0)
    else:
        page = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - the caller closes it
    page.truncate(mmap.PAGESIZE)
    return page


def _module_path() -> str:
    """What this process imports from, and nothing else of its environment."""
    return os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path)
