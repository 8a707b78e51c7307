"""A program in a control group from its first instruction on: `python -m tests.support.within_group PROCS MODULE ARGUMENT…`.

PROCS is the group's file `cgroup.procs`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main(procs: str, module: str, *arguments: str) -> None:
    Path(procs).write_text("0")
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])


if __name__ == "__main__":
    main(*sys.argv[1:])
