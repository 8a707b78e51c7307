"""The words in which people and both programs speak of actions: their names, inputs that are programs, beginnings of URLs.

Both sides go by them, each for itself: what one lets a caller fill in, the other must not take for the operator's own. Whether
there is such an action is the runner's to say.
"""

from __future__ import annotations

import re
from typing import Annotated, Final

import msgspec

ActionName = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"\A[A-Za-z][A-Za-z0-9_.]*\Z")]
REFERENCE_PREFIX: Final = "com.datadoghq."
"""Accepted and dropped wherever a person writes an action's name."""
PROGRAMS: Final = {"postgresql.select": ("sql",), "data.jq": ("program",)}
"""Inputs that are programs, by action: nothing that a caller sends may become a part of one, and no pattern judges one."""
PATH_BEGINS: Final = re.compile(r"(?:https?://[^/?#{}\\@]+)?/(?![/\\])")
"""A URL up to the slash of its path: what follows may be a caller's."""


def plain_name(written: str) -> str:
    """The name of an action without the prefix of the reference system."""
    return written.removeprefix(REFERENCE_PREFIX)
