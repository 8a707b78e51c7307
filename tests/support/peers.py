"""Programs of others that some tests want: without one a test skips and says so, or fails where REQUIRE_PEERS is set (CI)."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

import pytest

REQUIRED = bool(os.environ.get("REQUIRE_PEERS"))
"""Whether a test without its peer must fail. A mark that skips looks here and lets the test run into what is missing."""


def peer(name: str) -> str:
    """The path of the program *name*, from PATH or from beside this Python."""
    places = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))
    found = shutil.which(name, path=places)
    if found is None:
        missing(f"{name} is not installed")
    return found


def missing(reason: str) -> NoReturn:
    """Skip the test, or fail it where peers are required."""
    if REQUIRED:
        pytest.fail(f"{reason}, and REQUIRE_PEERS is set")
    pytest.skip(reason)
