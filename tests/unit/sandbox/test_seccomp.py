"""The filter's program, run by an interpreter of classic BPF written from the kernel's documentation, on both architectures.

The kernel's own lists of calls are in tests/vectors. Installed, the filter is tried in tests/integration/sandbox.
"""

from __future__ import annotations

import errno
import struct
from functools import cache
from pathlib import Path

import pytest

from worker.sandbox.seccomp import ARCHITECTURES, Architecture, program
from worker.sandbox.syscalls import REFUSED, Syscall, allowed

PID = 4321
VECTORS = Path(__file__).parents[2] / "vectors"
BOTH = pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=lambda architecture: architecture.name)

KILL, ALLOW, NO_ACCESS = "kill", "allow", "EACCES"
ACTIONS = {0x80000000: KILL, 0x7FFF0000: ALLOW, 0x00050000 | errno.EACCES: NO_ACCESS}
"""linux/seccomp.h: SECCOMP_RET_KILL_PROCESS, _ALLOW, _ERRNO."""


def run(code: bytes, number: int, arch: int, *arguments: int) -> str:
    """Run *code* on one struct seccomp_data (seccomp(2)): the few instructions of bpf(4) that it may hold."""
    data = struct.pack("<iIQ6Q", number, arch, 0, *(arguments + (0,) * (6 - len(arguments))))
    instructions = list(struct.iter_unpack("<HBBI", code))
    accumulator = position = 0
    while True:
        opcode, if_true, if_false, k = instructions[position]
        position += 1
        match opcode:
            case 0x20:  # BPF_LD+BPF_W+BPF_ABS
                (accumulator,) = struct.unpack_from("<I", data, k)
            case 0x54:  # BPF_ALU+BPF_AND+BPF_K
                accumulator &= k
            case 0x15:  # BPF_JMP+BPF_JEQ+BPF_K
                position += if_true if accumulator == k else if_false
            case 0x35:  # BPF_JMP+BPF_JGE+BPF_K
                position += if_true if accumulator >= k else if_false
            case 0x06:  # BPF_RET+BPF_K
                return ACTIONS[k]
            case _:
                pytest.fail(f"{opcode:#x} is not an instruction of this program")


@cache
def kernel_numbers(name: str) -> dict[str, int]:
    lines = (VECTORS / f"syscalls_{name}.txt").read_text().splitlines()
    return {words[1]: int(words[0]) for words in map(str.split, lines) if words[0] != "#"}


def judged(architecture: Architecture, name: str, *arguments: int) -> str:
    number = kernel_numbers(architecture.name)[name]
    return run(program(architecture, PID), number, architecture.audit, *arguments)


def named(architecture: Architecture, calls: tuple[Syscall, ...]) -> dict[str, int | None]:
    return {call.name: call.amd64 if architecture.name == "amd64" else call.arm64 for call in calls}


@BOTH
def test_every_number_is_the_kernels(architecture: Architecture) -> None:
    """A call without a number is one that the architecture does not have."""
    kernel = kernel_numbers(architecture.name)
    calls = named(architecture, (*allowed(PID), *REFUSED))
    assert calls == {name: kernel.get(name) for name in calls}
    assert kernel["seccomp"] == architecture.seccomp


@BOTH
def test_no_call_but_those_named_is_let_through(architecture: Architecture) -> None:
    code = program(architecture, PID)
    let_through = {number for number in range(2048) if run(code, number, architecture.audit, PID) != KILL}
    conditional = {"prlimit64"}  # its first argument has to be 0
    names = named(architecture, (*allowed(PID), *REFUSED))
    assert let_through == {number for name, number in names.items() if number is not None and name not in conditional}


@BOTH
@pytest.mark.parametrize(
    "name",
    [
        *("clone", "clone3", "execve", "execveat", "unshare", "setns", "prctl", "personality", "seccomp", "bpf"),
        *(
            "ptrace",
            "process_vm_readv",
            "process_vm_writev",
            "process_madvise",
            "kcmp",
            "userfaultfd",
            "perf_event_open",
        ),
        *("tkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_open", "pidfd_send_signal", "pidfd_getfd"),
        *(
            "socket",
            "socketpair",
            "connect",
            "bind",
            "listen",
            "accept4",
            "sendmsg",
            "sendmmsg",
            "recvmsg",
            "io_uring_setup",
        ),
        *("unlinkat", "renameat2", "linkat", "symlinkat", "mkdirat", "mknodat", "fchmodat", "fchownat", "truncate"),
        *("openat2", "open_by_handle_at", "memfd_create", "memfd_secret", "pkey_mprotect", "dup", "fcntl", "ioctl"),
        *(
            "mount",
            "chroot",
            "pivot_root",
            "setuid",
            "setgid",
            "setrlimit",
            "capset",
            "keyctl",
            "landlock_restrict_self",
        ),
        *("timer_create", "sched_setaffinity", "setpriority", "shmget", "mq_open", "inotify_init1", "fanotify_init"),
    ],
)
def test_a_call_that_reaches_out_ends_the_process(architecture: Architecture, name: str) -> None:
    assert judged(architecture, name) == KILL


@pytest.mark.parametrize("name", ["fork", "vfork", "unlink", "rename", "link", "creat", "mknod", "chmod", "dup2"])
def test_so_does_a_call_that_only_amd64_has(name: str) -> None:
    assert judged(ARCHITECTURES["x86_64"], name) == KILL
    assert name not in kernel_numbers("arm64")


@BOTH
def test_looking_for_files_is_refused_and_survived(architecture: Architecture) -> None:
    present = kernel_numbers(architecture.name).keys() & {"open", "openat", "stat", "newfstatat", "readlinkat", "statx"}
    assert {judged(architecture, name) for name in present} == {NO_ACCESS}


@BOTH
@pytest.mark.parametrize("name", ["kill", "tgkill"])
def test_signals_are_for_itself(architecture: Architecture, name: str) -> None:
    assert judged(architecture, name, PID, 6) == ALLOW
    minus = (1 << 64) - 1
    assert {judged(architecture, name, other, 6) for other in (0, 1, PID + 1, minus, minus - PID + 1)} == {KILL}


@BOTH
@pytest.mark.parametrize("name", ["mmap", "mprotect"])
def test_no_memory_becomes_executable(architecture: Architecture, name: str) -> None:
    assert {judged(architecture, name, 0, 4096, protection) for protection in (0, 1, 2, 3)} == {ALLOW}
    assert {judged(architecture, name, 0, 4096, protection) for protection in (4, 5, 7, 1 << 40 | 4)} == {KILL}


@BOTH
def test_bytes_go_to_no_address(architecture: Architecture) -> None:
    assert judged(architecture, "sendto", 4, 1000, 10, 0, 0, 0) == ALLOW
    assert {judged(architecture, "sendto", 4, 1000, 10, 0, address) for address in (1, 1 << 32)} == {KILL}


@BOTH
def test_a_limit_is_looked_at_and_not_set(architecture: Architecture) -> None:
    assert judged(architecture, "prlimit64", 0, 3, 0, 4096) == ALLOW
    assert judged(architecture, "prlimit64", 0, 3, 4096, 0) == KILL
    assert judged(architecture, "prlimit64", 0, 3, 1 << 32, 0) == KILL
    assert judged(architecture, "prlimit64", PID + 1, 3, 0, 4096) == KILL


@BOTH
def test_calls_of_another_architecture_end_the_process(architecture: Architecture) -> None:
    """On amd64 the 32-bit entry, int 0x80, has other numbers; x32 has the same ones and a bit more."""
    code = program(architecture, PID)
    for audit in {0x40000003, 0x40000028, 0xC000003E, 0xC00000B7} - {architecture.audit}:  # i386, arm, amd64, arm64
        assert {run(code, number, audit) for number in range(512)} == {KILL}
    assert {run(code, number | 0x40000000, architecture.audit) for number in range(512)} == {KILL}
    assert run(code, -1, architecture.audit) == KILL


@BOTH
def test_the_program_is_small_and_jumps_forward_within_itself(architecture: Architecture) -> None:
    """The kernel takes at most 4096 instructions; beyond that it refuses what the interpreter above would fall over."""
    instructions = list(struct.iter_unpack("<HBBI", program(architecture, PID)))
    assert len(instructions) < 200
    ends = [index + 1 + max(jumps) for index, (_, *jumps, _) in enumerate(instructions)]
    assert max(ends) <= len(instructions)
