"""Landlock (Linux 5.13): this process gives up files, TCP ports and signals to processes outside, for good.

Nothing is allowed, so there are no rules: every right that the kernel's version knows is handled and none is granted. What is
open already stays open.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from typing import Final

_CREATE_RULESET: Final = 444
_RESTRICT_SELF: Final = 446
"""Numbers of the calls, the same on every architecture."""
_VERSION: Final = 1
"""LANDLOCK_CREATE_RULESET_VERSION."""

_FILE_RIGHTS: Final = ((5, 16), (3, 15), (2, 14), (1, 13))
"""From which version on, how many rights to files there are, one bit each: ioctl on devices, truncate, refer, the first ones."""
_NETWORK_SINCE: Final = 4
_NETWORK_RIGHTS: Final = 0b11
"""Bind and connect of TCP."""
_SCOPES_SINCE: Final = 6
_SCOPES: Final = 0b11
"""Abstract Unix sockets and signals to processes that are not confined with this one."""


def version() -> int:
    """The version of the kernel's Landlock, 0 where there is none or this process may not use it."""
    if not sys.platform.startswith("linux"):
        return 0
    return max(0, _call(_CREATE_RULESET, None, 0, _VERSION))


def restrict() -> bool:
    """Give everything up. False, and nothing is given up, where this system cannot.

    It takes PR_SET_NO_NEW_PRIVS or root, and a free descriptor.
    """
    attributes = ruleset(version())
    if not attributes:
        return False
    rules = _call(_CREATE_RULESET, attributes, len(attributes), 0)
    if rules < 0:
        return False
    try:
        return _call(_RESTRICT_SELF, rules, 0) == 0
    finally:
        os.close(rules)


def ruleset(version: int) -> bytes:
    """struct landlock_ruleset_attr with all that *version* knows; empty for version 0."""
    if version < 1:
        return b""
    fields = [next((1 << count) - 1 for since, count in _FILE_RIGHTS if version >= since)]
    if version >= _NETWORK_SINCE:
        fields.append(_NETWORK_RIGHTS)
    if version >= _SCOPES_SINCE:
        fields.append(_SCOPES)
    return struct.pack(f"={len(fields)}Q", *fields)


def _call(number: int, *arguments: int | bytes | None) -> int:
    syscall = ctypes.CDLL(None, use_errno=True).syscall
    syscall.restype = ctypes.c_long
    typed = [
        ctypes.c_long(argument) if isinstance(argument, int) else ctypes.c_char_p(argument) for argument in arguments
    ]
    done: int = syscall(ctypes.c_long(number), *typed)
    return done
