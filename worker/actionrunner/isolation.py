"""The isolation of scripts that this system gives: found once, told at the start, and required where the operator says so."""

from __future__ import annotations

import pwd
from collections.abc import Sequence

from worker.errors import ConfigError
from worker.sandbox.killgroup import own_group
from worker.sandbox.landlock import version

_FILES_SINCE, _NETWORK_SINCE = 1, 4
"""Versions of Landlock that keep files, and TCP connections, from scripts."""


def missing_isolation(user: str | None = None) -> tuple[str, ...]:
    """Sentences about what keeps scripts apart and does not hold on this system. *user* is whom they are to run as."""
    known, missing = version(), []
    if known < _FILES_SINCE:
        missing.append("scripts can read what the runner can: this kernel has no Landlock")
    elif known < _NETWORK_SINCE:
        missing.append("scripts can open TCP connections: the Landlock of this kernel knows none")
    if user is not None:
        try:
            pwd.getpwnam(user)
        except KeyError:
            missing.append(f"scripts cannot run as {user}: there is no such user")
    return tuple(missing)


def kills_at_once() -> bool:
    """Tell if all processes of a script are killed by one write; elsewhere they are looked for, stopped and killed."""
    return own_group() is not None


def isolation_level() -> str:
    """The isolation of this system in one word: `full`, `files` (not of the network), or `none`."""
    known = version()
    if known < _FILES_SINCE:
        return "none"
    return "files" if known < _NETWORK_SINCE else "full"


def require_isolation(missing: Sequence[str]) -> None:
    """Raises ConfigError where something is *missing*."""
    if missing:
        raise ConfigError(f"does not hold on this system: {'; '.join(missing)}", option="requireIsolation")
