"""A program that does what foreign machine code in a confined process would do next: raw system calls, by name.

Its first argument says how it is confined (`whole`, as evaluators are, `landlock`, `free`). Each frame holds an attempt and its
arguments in JSON; the answer is what it got, or the name of an errno.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

from worker.sandbox.child import attach
from worker.sandbox.forking import fork_on_request
from worker.sandbox.landlock import restrict

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long

PTRACE_SEIZE = 0x4206
PTRACE_DETACH = 17
PR_SET_NO_NEW_PRIVS = 38
AT_FDCWD = -100
SOCK_STREAM, AF_INET = 1, 2


def numbers() -> dict[str, int]:
    """The kernel's calls on this machine."""
    name = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
    lines = (Path(__file__).parents[2] / "vectors" / f"syscalls_{name}.txt").read_text().splitlines()
    return {words[1]: int(words[0]) for words in map(str.split, lines) if words[0] != "#"}


def call(name: str, *arguments: Any) -> int:
    """Raises OSError."""
    typed = [ctypes.c_long(argument) if isinstance(argument, int) else argument for argument in arguments]
    done: int = libc.syscall(ctypes.c_long(NUMBERS[name]), *typed)
    if done < 0:
        raise OSError(ctypes.get_errno(), name)
    return done


class Span(ctypes.Structure):
    """struct iovec."""

    _fields_ = (("base", ctypes.c_void_p), ("size", ctypes.c_size_t))


def read_memory(pid: int, address: int, size: int) -> str:
    buffer = ctypes.create_string_buffer(size)
    mine, theirs = Span(ctypes.addressof(buffer), size), Span(address, size)
    call("process_vm_readv", pid, ctypes.byref(mine), 1, ctypes.byref(theirs), 1, 0)
    return buffer.raw.decode()


def write_memory(pid: int, address: int, text: str) -> str:
    buffer = ctypes.create_string_buffer(text.encode())
    mine, theirs = Span(ctypes.addressof(buffer), len(text)), Span(address, len(text))
    call("process_vm_writev", pid, ctypes.byref(mine), 1, ctypes.byref(theirs), 1, 0)
    return "written"


def read_memory_file(pid: int, address: int, size: int) -> str:
    descriptor = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
    try:
        return os.pread(descriptor, size, address).decode()
    finally:
        os.close(descriptor)


def trace(pid: int) -> str:
    call("ptrace", PTRACE_SEIZE, pid, 0, 0)
    return "traced"


def send_signal(pid: int, number: int) -> str:
    call("kill", pid, number)
    return "sent"


def fork() -> str:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return "forked"


def start_thread() -> str:
    """What a C library would call for it; the arguments are not valid, so that nothing runs where it is let through."""
    call("clone3", None, 0)
    return "started"


def execute(program: str) -> str:
    os.execv(program, [program])


def unlink(path: str) -> str:
    call("unlinkat", AT_FDCWD, ctypes.c_char_p(os.fsencode(path)), 0)
    return "unlinked"


def open_file(path: str, flags: int) -> str:
    descriptor = call("openat", AT_FDCWD, ctypes.c_char_p(os.fsencode(path)), flags, 0o600)
    return os.read(descriptor, 100).decode() if flags == os.O_RDONLY else "opened"


def look_at(path: str) -> str:
    return str(os.stat(path).st_size)  # noqa: PTH116 - one call and no other


def connect(port: int) -> str:
    descriptor = call("socket", AF_INET, SOCK_STREAM, 0)
    address = AF_INET.to_bytes(2, sys.byteorder) + port.to_bytes(2, "big") + bytes((127, 0, 0, 1)) + bytes(8)
    call("connect", descriptor, ctypes.c_char_p(address), len(address))
    return "connected"


def map_code() -> str:
    call("mmap", 0, 4096, 7, 0x22, -1, 0)
    return "mapped"


def lift_limit() -> str:
    call("prlimit64", 0, 7, ctypes.byref((ctypes.c_uint64 * 2)(64, 64)), None)
    return "lifted"


def abort() -> str:
    os.abort()


ATTEMPTS = {
    function.__name__: function
    for function in (
        *(read_memory, write_memory, read_memory_file, trace, send_signal, fork, start_thread, execute, unlink),
        *(open_file, look_at, connect, map_code, lift_limit, abort),
    )
}


def answer(attempt: str, arguments: list[Any]) -> str:
    try:
        return ATTEMPTS[attempt](*arguments)
    except OSError as error:
        return errno.errorcode[error.errno or 0]


def main() -> None:
    parent = attach(sys.argv)
    match parent.arguments[0]:
        case "whole":
            parent = fork_on_request(parent)
            missing: tuple[str, ...] = parent.confine(1024**3)
        case "landlock":
            libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
            missing = () if restrict() else ("Landlock",)
        case _:
            missing = ()
    parent.write(json.dumps(missing).encode())
    while (payload := parent.read()) is not None:
        attempt, *arguments = json.loads(payload)
        parent.write(answer(attempt, arguments).encode())


NUMBERS = numbers()

if __name__ == "__main__":
    main()
