"""A filter of system calls for this process, for good: a classic BPF program, given to seccomp(2).

What `syscalls` does not name ends the whole process with SIGSYS, so an attempt is seen and has no second one. The program looks
at the architecture first: the same number means another call on another one. It follows no pointer, which another thread could
change behind its back.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from msgspec import Struct

from worker.sandbox.syscalls import REFUSAL, REFUSED, Condition, Syscall, allowed

_LOAD: Final = 0x20  # BPF_LD | BPF_W | BPF_ABS
_AND: Final = 0x54  # BPF_ALU | BPF_AND | BPF_K
_JUMP_IF_EQUAL: Final = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_JUMP_IF_AT_LEAST: Final = 0x35  # BPF_JMP | BPF_JGE | BPF_K
_RETURN: Final = 0x06  # BPF_RET | BPF_K
"""Codes of linux/bpf_common.h."""

KILL_PROCESS: Final = 0x80000000
ERRNO: Final = 0x00050000
ALLOW: Final = 0x7FFF0000
"""Actions of linux/seccomp.h."""

_NUMBER, _ARCHITECTURE = 0, 4
"""Offsets in struct seccomp_data."""
_X32: Final = 0x40000000
"""Set in the number of a call of amd64's second ABI, which nothing here uses."""
_SECCOMP_SET_MODE_FILTER: Final = 1
_SECCOMP_FILTER_FLAG_TSYNC: Final = 1
"""Filter every thread: a library may have started one while it was warmed up."""


class Architecture(Struct, frozen=True):
    """*name* is a column of `syscalls`; *audit* as in linux/audit.h; *seccomp* the number of seccomp(2)."""

    name: str
    audit: int
    seccomp: int


ARCHITECTURES: Final = {
    "x86_64": Architecture("amd64", 0xC000003E, 317),
    "aarch64": Architecture("arm64", 0xC00000B7, 277),
}
"""By the name that uname(2) gives."""


def install() -> bool:
    """Filter this process from now on. False, and nothing is filtered, where this system cannot.

    It takes PR_SET_NO_NEW_PRIVS or root, and opens nothing.
    """
    architecture = ARCHITECTURES.get(platform.machine())
    if not sys.platform.startswith("linux") or architecture is None or ctypes.sizeof(ctypes.c_void_p) != 8:
        return False
    code = program(architecture, os.getpid())
    instructions = ctypes.create_string_buffer(code, len(code))
    head = struct.pack("@HP", len(code) // 8, ctypes.addressof(instructions))  # struct sock_fprog
    syscall = ctypes.CDLL(None, use_errno=True).syscall
    syscall.restype = ctypes.c_long
    done: int = syscall(
        ctypes.c_long(architecture.seccomp),
        ctypes.c_long(_SECCOMP_SET_MODE_FILTER),
        ctypes.c_long(_SECCOMP_FILTER_FLAG_TSYNC),
        ctypes.create_string_buffer(head, len(head)),
    )
    return done == 0


def program(architecture: Architecture, pid: int) -> bytes:
    """Assemble the filter of the process *pid*, as an array of struct sock_filter."""
    return b"".join(
        [
            _instruction(_LOAD, _ARCHITECTURE),
            _instruction(_JUMP_IF_EQUAL, architecture.audit, 1, 0),
            _instruction(_RETURN, KILL_PROCESS),
            _instruction(_LOAD, _NUMBER),
            _instruction(_JUMP_IF_AT_LEAST, _X32, 0, 1),
            _instruction(_RETURN, KILL_PROCESS),
            *_judged(architecture, allowed(pid), ALLOW),
            *_judged(architecture, REFUSED, ERRNO | REFUSAL),
            _instruction(_RETURN, KILL_PROCESS),
        ]
    )


def _judged(architecture: Architecture, calls: Iterable[Syscall], action: int) -> Iterator[bytes]:
    """Code for each call: if it is this one, return *action*, or KILL_PROCESS where its arguments are not as they have to be."""
    for call in calls:
        number = call.amd64 if architecture.name == "amd64" else call.arm64
        if number is None:
            continue
        body = _conditions(call.conditions, action)
        yield _instruction(_JUMP_IF_EQUAL, number, 0, len(body))
        yield from body


def _conditions(conditions: Sequence[Condition], action: int) -> list[bytes]:
    body = [_instruction(_RETURN, action)]
    if not conditions:
        return body
    body.append(_instruction(_RETURN, KILL_PROCESS))
    for condition in reversed(conditions):
        test = [_instruction(_LOAD, condition.offset)]
        if condition.mask != 0xFFFFFFFF:
            test.append(_instruction(_AND, condition.mask))
        test.append(_instruction(_JUMP_IF_EQUAL, condition.value, 0, len(body) - 1))
        body = [*test, *body]
    return body


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
