"""The guide of workflows and apps as its reader follows it: its files by their names, and its blocks of shell, typed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.support.checkout import ROOT
from tests.support.programs import ControlPlane, environment
from tests.support.waiting import PATIENCE

SEVERAL = 4 * PATIENCE
"""Seconds for several programs to start and work, one after another, on a machine that is busy."""
_GUIDE = (ROOT / "docs/workflows.md").read_text()
_PLACE = "/srv/restarts"


def guide_files(place: Path) -> dict[str, str]:
    """The guide's files by their names, with *place* for the folder where its scripts write."""
    found = re.findall(r"^```yaml\n(# \S+\n.*?)^```$", _GUIDE, re.MULTILINE | re.DOTALL)
    return {text.split()[1]: text.replace(_PLACE, str(place)) for text in found}


def type_guide(heading: str, plane: ControlPlane, folder: Path) -> str:
    """Type the block of shell below *heading* in *folder*, beside *plane*, and return what it says."""
    section = _GUIDE.partition(f"### {heading}\n")[2].partition("\n### ")[0]
    block = re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)[0]
    scripts = folder / "bin"
    scripts.mkdir(exist_ok=True)
    program = scripts / "synthetics-controlplane"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m controlplane "$@"\n')
    program.chmod(0o755)
    path = os.pathsep.join((str(scripts), os.environ["PATH"]))
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        cwd=folder,
        env=environment({"PATH": path, "CONTROLPLANE_DATABASE": str(plane.database), "CP": plane.url}),
        capture_output=True,
        text=True,
        timeout=SEVERAL,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
