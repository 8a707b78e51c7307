"""The ruleset by version, from the kernel's documentation (userspace-api/landlock); tests/integration/sandbox tries it."""

from __future__ import annotations

import struct

import pytest

from worker.sandbox.landlock import ruleset


@pytest.mark.parametrize(
    ("version", "fields"),
    [
        (1, (0x1FFF,)),
        (2, (0x3FFF,)),  # REFER
        (3, (0x7FFF,)),  # TRUNCATE
        (4, (0x7FFF, 3)),  # BIND_TCP, CONNECT_TCP
        (5, (0xFFFF, 3)),  # IOCTL_DEV
        (6, (0xFFFF, 3, 3)),  # SCOPE_ABSTRACT_UNIX_SOCKET, SCOPE_SIGNAL
        (7, (0xFFFF, 3, 3)),  # audit only
        (99, (0xFFFF, 3, 3)),  # what is not known is not asked for
    ],
)
def test_a_version_is_asked_for_all_that_it_knows_and_for_no_more(version: int, fields: tuple[int, ...]) -> None:
    assert ruleset(version) == struct.pack(f"<{len(fields)}Q", *fields)


def test_without_landlock_there_is_no_ruleset() -> None:
    assert ruleset(0) == b""
