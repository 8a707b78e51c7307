"""The commands that the pages of docs/ show in their blocks of shell, and by whom each is typed.

README and the guide of workflows have tests of their own, which type their blocks in order.
"""

from __future__ import annotations

from tests.support.checkout import ROOT
from tests.support.pages import shell_blocks

BY_BLOCKS = frozenset({"workflows.md"})
FRAGMENT = " … "
"""What stands for more words: such a line shows a part of a command."""


PAGES = sorted(page.name for page in (ROOT / "docs").glob("*.md") if page.name not in BY_BLOCKS)


def commands(*pages: str) -> list[str]:
    """All that a reader of *pages* would type, in their order."""
    blocks = [block for page in pages for block in shell_blocks((ROOT / "docs" / page).read_text())]
    return [command for block in blocks for command in block if FRAGMENT not in command]


def of_docker(*pages: str) -> list[str]:
    """Those that start a container: `tests/deploy/test_documented_commands.py`."""
    return [command for command in commands(*pages) if "docker run" in command]


def of_kubernetes(*pages: str) -> list[str]:
    """Those for a cluster, of which tests have none: what they name is looked at, by a program in kubectl's place."""
    return [command for command in commands(*pages) if "kubectl" in command]


def of_ours(*pages: str) -> list[str]:
    """All others, beside a control plane that serves: `tests/acceptance/test_documented_commands.py`."""
    elsewhere = {*of_docker(*pages), *of_kubernetes(*pages)}
    return [command for command in commands(*pages) if command not in elsewhere]
