"""The system calls that confined work may make: the allow-list, by name, with the numbers of two architectures.

The list was found by tracing what the evaluators' engines call once they are warm, and completed by what a C library and an
allocator may call instead. Numbers are those of the kernel's headers; a call that an architecture lacks is None there.
"""

from __future__ import annotations

import errno
from typing import Final

from msgspec import Struct

_PROT_EXEC: Final = 4
_LOW, _HIGH = 0, 4
"""Offsets of the halves of an argument, on a little-endian machine. Calls take an int from the low one."""


class Condition(Struct, frozen=True):
    """One 32-bit half of an argument, which under *mask* has to equal *value*. *offset* is that in struct seccomp_data."""

    offset: int
    value: int
    mask: int = 0xFFFFFFFF


class Syscall(Struct, frozen=True):
    """A call and its numbers. One that is allowed under *conditions* and does not meet them all is forbidden."""

    name: str
    amd64: int | None
    arm64: int | None
    conditions: tuple[Condition, ...] = ()


def _argument(index: int, half: int = _LOW) -> int:
    return 16 + 8 * index + half


def _null(index: int) -> tuple[Condition, ...]:
    return (Condition(_argument(index), 0), Condition(_argument(index, _HIGH), 0))


def _not_executable(index: int) -> tuple[Condition, ...]:
    return (Condition(_argument(index), 0, _PROT_EXEC),)


def allowed(pid: int) -> tuple[Syscall, ...]:
    """The calls that the process *pid* may make, the most frequent ones first."""
    itself = (Condition(_argument(0), pid),)
    return (
        Syscall("clock_gettime", 228, 113),
        Syscall("brk", 12, 214),
        Syscall("setitimer", 38, 103),
        Syscall("read", 0, 63),
        Syscall("sendto", 44, 206, _null(4)),  # to the parent, and to nobody by address
        Syscall("pread64", 17, 67),
        Syscall("mmap", 9, 222, _not_executable(2)),
        Syscall("munmap", 11, 215),
        Syscall("mremap", 25, 216),
        Syscall("rt_sigaction", 13, 134),
        Syscall("rt_sigreturn", 15, 139),
        Syscall("write", 1, 64),
        Syscall("recvfrom", 45, 207),
        Syscall("madvise", 28, 233),
        Syscall("mprotect", 10, 226, _not_executable(2)),
        Syscall("futex", 202, 98),
        Syscall("rt_sigprocmask", 14, 135),
        Syscall("sigaltstack", 131, 132),
        Syscall("restart_syscall", 219, 128),
        Syscall("getpid", 39, 172),
        Syscall("gettid", 186, 178),
        Syscall("kill", 62, 129, itself),
        Syscall("tgkill", 234, 131, itself),  # how abort() ends
        Syscall("exit", 60, 93),
        Syscall("exit_group", 231, 94),
        Syscall("getrandom", 318, 278),
        Syscall("getrusage", 98, 165),
        Syscall("gettimeofday", 96, 169),
        Syscall("time", 201, None),
        Syscall("clock_getres", 229, 114),
        Syscall("nanosleep", 35, 101),
        Syscall("clock_nanosleep", 230, 115),
        Syscall("sched_yield", 24, 124),
        Syscall("sched_getaffinity", 204, 123),  # how allocators count processors
        Syscall("sysinfo", 99, 179),  # qsort() asks it for the machine's memory
        Syscall("prlimit64", 302, 261, (Condition(_argument(0), 0), *_null(2))),  # look at a limit of its own, set none
        Syscall("poll", 7, None),
        Syscall("ppoll", 271, 73),
        Syscall("lseek", 8, 62),
        Syscall("fstat", 5, 80),
        Syscall("close", 3, 57),
    )


REFUSED: Final = (
    Syscall("open", 2, None),
    Syscall("openat", 257, 56),
    Syscall("stat", 4, None),
    Syscall("lstat", 6, None),
    Syscall("newfstatat", 262, 79),
    Syscall("statx", 332, 291),
    Syscall("access", 21, None),
    Syscall("faccessat", 269, 48),
    Syscall("faccessat2", 439, 439),
    Syscall("readlink", 89, None),
    Syscall("readlinkat", 267, 78),
    Syscall("getcwd", 79, 17),
)
"""Looking for files: a library that tries and is refused goes on without. Every other call ends the process."""
REFUSAL: Final = errno.EACCES
