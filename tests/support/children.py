"""The children of the process that tests run in, as far as they are a test's own.

It adopts orphans as soon as one test has forked evaluators from a server: those of a browser that other tests keep, whenever one
of its processes ends.
"""

from __future__ import annotations

from collections.abc import Callable

import psutil

Children = Callable[[], list[psutil.Process]]
_OF_A_BROWSER = "chrom"


def children_from_now_on() -> Children:
    """Tell, whenever it is called, which children there are that were not there before."""
    before = {child.pid for child in psutil.Process().children()}

    def found() -> list[psutil.Process]:
        now = psutil.Process().children()
        return [child for child in now if child.pid not in before and not child.name().startswith(_OF_A_BROWSER)]

    return found
