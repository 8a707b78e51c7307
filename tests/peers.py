"""Programs of others that some tests want: found, or the test skips and says why; with REQUIRE_PEERS set, as in CI, it fails."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

import pytest


def peer(name: str) -> str:
    """The path of the program *name*, from PATH or from beside this Python."""
    places = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))
    found = shutil.which(name, path=places)
    if found is None:
        missing(f"{name} is not installed")
    return found


def missing(reason: str) -> NoReturn:
    """Skip the test, or fail it where peers are required."""
    if os.environ.get("REQUIRE_PEERS"):
        pytest.fail(f"{reason}, and REQUIRE_PEERS is set")
    pytest.skip(reason)
