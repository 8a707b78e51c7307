"""The parts of a runner that its commands use; the command line makes them from the options and hands them on as `ctx.obj`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import orjson

from worker.actionrunner.localstate import LocalPlaces, LocalState
from worker.actions.tools import Tools
from worker.errors import ConfigError

MAX_INPUT = 256 * 1024
"""Bytes of an input, as in an order."""


class CommandContext(Protocol):
    """Each part is made when it is asked for. All raise ConfigError."""

    @property
    def places(self) -> LocalPlaces: ...

    @property
    def modes(self) -> frozenset[str]: ...

    @property
    def environment(self) -> Mapping[str, str]: ...

    def tools(self) -> Tools: ...


def state_of(context: CommandContext) -> LocalState:
    """The operator's files as they stand. Raises ConfigError."""
    return context.places.read()


def read_input(written: str) -> dict[str, Any]:
    """An input, as JSON or as @FILE, @- for standard input. Raises ConfigError."""
    try:
        if written == "@-":
            content = sys.stdin.buffer.read(MAX_INPUT + 1)
        elif written.startswith("@"):
            with Path(written[1:]).open("rb") as file:
                content = file.read(MAX_INPUT + 1)
        else:
            content = written.encode()
        found = orjson.loads(content)
    except OSError as error:
        raise ConfigError(f"{written[1:]} cannot be read: {error.strerror}") from None
    except ValueError:
        raise ConfigError("--input is not valid JSON") from None
    if len(content) > MAX_INPUT or not isinstance(found, dict):
        raise ConfigError(f"--input is not a JSON object of at most {MAX_INPUT} bytes")
    return found
