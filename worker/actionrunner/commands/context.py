"""The parts of a runner that its commands use, and the reading of an input as a person writes it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import orjson

from worker.actionrunner import app
from worker.actionrunner.commands.session import environment, loaded
from worker.actionrunner.localstate import LocalState
from worker.actions.tools import Tools
from worker.clock import SystemClock
from worker.errors import ConfigError

MAX_INPUT = 256 * 1024
"""Bytes of an input, as in an order."""


class CommandContext:
    """The options of a runner, read once, and the parts that commands make of them."""

    def __init__(self, directory: str | None) -> None:
        """Raises ConfigErrors."""
        self.environment = environment()
        self.config = loaded(directory).config

    @property
    def modes(self) -> frozenset[str]:
        """Those of the options; both where they say none, as the identity does then."""
        return frozenset(self.config.modes or ("pull", "push"))

    def state(self) -> LocalState:
        """The operator's files as they stand. Raises ConfigError."""
        return app.places_of(self.config, self.environment).read()

    def tools(self) -> Tools:
        return app.tools_of(self.config, SystemClock())


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
