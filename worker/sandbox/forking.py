"""The child's side of a fork server: the loop of a program that has loaded everything and forks on request.

Each child is as if its program had been started for it: a process group, a connection, a position, random numbers and limits of
its own, nothing of the server's connection, and the server's parent for its own. What it shares with its siblings is what the
program had loaded: memory that is copied when somebody writes to it, the layout of that memory, and the seed of hashes. The
server reads nothing of anybody but its parent, of whom it takes a byte and two descriptors at a time.
"""

from __future__ import annotations

import errno
import gc
import os
import resource
import signal
from collections.abc import Iterable

from msgspec import Struct

from worker.program.hardening import protect_memory
from worker.sandbox.child import ParentChannel
from worker.sandbox.confinement import forbid_privileges
from worker.sandbox.fork_protocol import AVAILABLE, LOADED, NUMBER
from worker.sandbox.landlock import restrict_to
from worker.sandbox.memory import go_first


class _Forked(Struct, frozen=True, kw_only=True):
    """The *number* for the parent. The new process waits for a byte in *go*, None where there is no new process."""

    number: int
    go: int | None = None


def fork_on_request(parent: ParentChannel) -> ParentChannel:
    """Fork for each request until the parent hangs up, then end this process. Returns in each child, with its own channel.

    Call it after everything lazy has been imported, without other threads. Where forking is not AVAILABLE it returns at once.
    """
    if not AVAILABLE:
        return parent
    _confine(parent)
    gc.collect()
    gc.freeze()  # a child that looks for garbage would write to every object, and so copy the memory that it shares
    parent.write(NUMBER.pack(LOADED))
    while (descriptors := parent.receive()) is not None:
        forked = _fork()
        if forked is None:
            return parent.succeeded_by(*descriptors)
        _close(descriptors)
        parent.write(NUMBER.pack(forked.number))
        if forked.go is not None:
            os.write(forked.go, b"\0")
            os.close(forked.go)
    os._exit(0)


def _confine(parent: ParentChannel) -> None:
    """Give up what no child needs. A filter of system calls is not for here: a child has its own, and each call would meet both.

    What does not hold on this system does not hold in a child either, which says so.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # where it is ignored, nobody could be waited for
    parent.silence()
    go_first()  # before the next line, which makes the file that this one writes root's
    protect_memory()
    forbid_privileges()
    restrict_to(("/proc",), (os.devnull,), network=False)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def _fork() -> _Forked | None:
    """Fork twice, so that the new process is an orphan, which its grandparent adopts. None in that process, once it may go on."""
    pipes = told, tell, wait, go = (*os.pipe(), *os.pipe())
    try:
        between = os.fork()
    except OSError as error:
        _close(pipes)
        return _Forked(number=_refusal(error))
    if between == 0:
        _leave_an_orphan()
        os.write(tell, NUMBER.pack(os.getpid()))
        os.close(go)
        if not os.read(wait, 1):  # the server has ended, and its parent may know nothing of this process
            os._exit(1)
        _close((told, tell, wait))
        return None
    _close((tell, wait))
    _, status = os.waitpid(between, 0)
    answer = os.read(told, NUMBER.size)
    os.close(told)
    if not answer:
        os.close(go)
        return _Forked(number=-(os.waitstatus_to_exitcode(status) or errno.ECHILD))
    return _Forked(number=NUMBER.unpack(answer)[0], go=go)


def _leave_an_orphan() -> None:
    """Fork and return in the new process, without this one. The exit code is the errno if there can be none."""
    try:
        if os.fork():
            os._exit(0)
    except OSError as error:
        os._exit(-_refusal(error))


def _refusal(error: OSError) -> int:
    return -(error.errno or errno.EAGAIN)


def _close(descriptors: Iterable[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
