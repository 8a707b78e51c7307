"""The frame of a command: its config from the environment and the folder, its log, and the loop that it runs in."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

import uvloop

from worker.actionrunner.options import LoadedRunner, load
from worker.errors import ConfigError, ConfigErrors
from worker.program.hardening import protect_memory
from worker.telemetry.log import configure

T = TypeVar("T")
_INFO = 3
_DATABASE: dict[str, str] = {}
"""PGSERVICE and its like: connections say all of it."""


def loaded(directory: str | None) -> LoadedRunner:
    """Read the options, and send the log where they say. Raises ConfigErrors."""
    protect_memory()  # before there is a secret in it
    found = load(environment(), directory)
    configure(found.config.log_format, _INFO, sys.stderr)
    return found


def environment() -> Mapping[str, str]:
    """The environment of this process. What libpq would take from it without being told is out of libpq's reach afterwards."""
    environ = os.environ  # noqa: TID251 - a command's edge
    for name in [name for name in environ if name.startswith("PG")]:
        _DATABASE[name] = environ.pop(name)
    return {**_DATABASE, **environ}


def ran(work: Coroutine[Any, Any, T]) -> T:
    """Run *work* to its end. Raises ConfigErrors, out of whatever TaskGroup they come."""
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(work)
    except BaseExceptionGroup as group:
        found = _config_errors(group)
        if found:
            raise ConfigErrors(found) from group
        raise


def _config_errors(error: BaseException) -> list[ConfigError]:
    match error:
        case ConfigError():
            return [error]
        case BaseExceptionGroup():
            return [mistake for member in error.exceptions for mistake in _config_errors(member)]
    return []
