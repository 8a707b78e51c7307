"""Landlock (Linux 5.13): this process gives up files, TCP ports and signals to processes outside, for good.

Every right that the kernel's version knows is handled, and none is granted but those to the paths that `restrict_to` is told.
What is open already stays open.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
import sys
from collections.abc import Iterable
from typing import Final

_CREATE_RULESET: Final = 444
_ADD_RULE: Final = 445
_RESTRICT_SELF: Final = 446
"""Numbers of the calls, the same on every architecture."""
_VERSION: Final = 1
"""LANDLOCK_CREATE_RULESET_VERSION."""

_PATH_BENEATH: Final = 1
"""LANDLOCK_RULE_PATH_BENEATH."""

_READ: Final = 0b1101
"""Execute, read, and list folders."""
_OF_FILES: Final = 0b1100_0000_0000_0111
"""Rights that a rule about something else than a folder may grant: execute, write, read, truncate, ioctl on devices."""

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


def restrict_to(read: Iterable[str], write: Iterable[str], *, network: bool) -> bool:
    """Give up everything but reading and executing below *read*, all below *write*, and TCP where *network* is kept.

    A path that is not there grants nothing. False, and nothing is given up, where this system cannot.
    """
    known = version()
    attributes = ruleset(known, network=network)
    if not attributes:
        return False
    rules = _call(_CREATE_RULESET, attributes, len(attributes), 0)
    if rules < 0:
        return False
    try:
        every = _file_rights(known)
        for path in read:
            _grant(rules, path, _READ & every)
        for path in write:
            _grant(rules, path, every)
        return _call(_RESTRICT_SELF, rules, 0) == 0
    finally:
        os.close(rules)


def _grant(rules: int, path: str, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= _OF_FILES
        _call(_ADD_RULE, rules, _PATH_BENEATH, struct.pack("=Qi", rights, descriptor), 0)
    finally:
        os.close(descriptor)


def _file_rights(version: int) -> int:
    return next((1 << count) - 1 for since, count in _FILE_RIGHTS if version >= since)


def ruleset(version: int, *, network: bool = False) -> bytes:
    """struct landlock_ruleset_attr with all that *version* knows, TCP excepted where *network* is kept; empty for version 0."""
    if version < 1:
        return b""
    fields = [_file_rights(version)]
    if version >= _NETWORK_SINCE:
        fields.append(0 if network else _NETWORK_RIGHTS)
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
