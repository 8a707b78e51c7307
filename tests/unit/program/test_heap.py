"""Large buffers leave nothing behind; in a process of its own, as the setting cannot be taken back."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource
from pathlib import Path
from worker.program.heap import keep_heap_small

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

if {setting}:
    keep_heap_small()
before = resident()
for size in (1_000_000, 2_000_000, 4_000_000):  # glibc learns from each that is dropped
    dropped = b"x" * size
del dropped
buffers, living_on = [], []
for _ in range(40):
    buffers.append(b"x" * 1_000_000)
    living_on.append(bytes(bytearray(5000)))
buffers.clear()
print(resident() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a matter of glibc's")
def test_what_large_buffers_took_is_given_back() -> None:
    left = {
        setting: int(subprocess.check_output((sys.executable, "-c", PROGRAM.format(setting=setting))))
        for setting in (True, False)
    }
    assert left[True] < 2_000_000
    assert left[False] > 20_000_000, "glibc needs no telling any more"


HOLES = """
import resource
from pathlib import Path
from worker.program.heap import give_back, keep_heap_small

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

keep_heap_small()
used = [b"x" * 100_000 for _ in range(200)]
last = b"x" * 100_000
before = resident()
used.clear()
kept = resident()
give_back()
print(before - kept, kept - resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a matter of glibc's")
def test_what_lies_unused_below_something_that_lives_on_is_given_back() -> None:
    by_itself, asked = map(int, subprocess.check_output((sys.executable, "-c", HOLES)).split())
    assert by_itself < 1_000_000
    assert asked > 15_000_000
