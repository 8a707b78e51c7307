"""Namespaces of a campaign's own: a network with a loopback alone, and processes that end with it, however it ends.

Without root it tries a user namespace as well. Where neither is permitted it says so, and rounds are run where they are; where
peers are required (CI) it ends.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from tests.support.peers import REQUIRED

_INSIDE = "--inside"
"""The last argument of a command that runs in them."""
_NAMESPACES = ("--net", "--pid", "--mount-proc", "--fork", "--kill-child")
_SETUP = 'ip link set lo up && exec "$@"'


def enter(module: str) -> None:
    """Return if this process is inside, or cannot be; run `python -m module` inside otherwise, and exit as it did."""
    if sys.argv[-1] == _INSIDE:
        sys.argv.pop()
        return
    inside = _prefix()
    if inside is None:
        trouble = "no namespaces of our own: they are not permitted, or unshare or ip is not installed"
        if REQUIRED:
            sys.exit(trouble)
        print(trouble, file=sys.stderr)
        return
    command = [*inside, sys.executable, "-m", module, *sys.argv[1:], _INSIDE]
    sys.exit(subprocess.run(command, check=False).returncode)


def _prefix() -> list[str] | None:
    """Whatever a command is put behind to run in new namespaces; None where that fails."""
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        return None
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    prefix = ["unshare", *_NAMESPACES, *as_root, "sh", "-c", _SETUP, "sh"]
    tried = subprocess.run([*prefix, "true"], capture_output=True, check=False)
    return prefix if tried.returncode == 0 else None
