"""Header fields that tell a target who asks, so that firewalls, analytics and traces can tell synthetic traffic from people's.

Composed once for each test and worker. What a test sets by itself wins over them; that is decided where a request is encoded. A
public id comes from a definition: one that is no plain word is in no header.
"""

from __future__ import annotations

import re
from functools import lru_cache, partial
from typing import Final

from worker import __version__
from worker.net.http.fields import Fields

USER_AGENT: Final = f"Synthetics/{__version__}"
PUBLIC_ID: Final = "{publicId}"
"""Stands for the test's public id in the value of a header."""
TESTS: Final = 4096
"""Tests whose fields are kept: a location's tests come again each period."""

_PLAIN = re.compile(r"[A-Za-z0-9._-]{1,100}")


class Identification:
    """The *user_agent* and the further *headers* of one worker. A header that names the test is left out where it has no id."""

    __slots__ = ("_composed",)

    def __init__(self, user_agent: str = USER_AGENT, headers: Fields = ()) -> None:
        self._composed = lru_cache(maxsize=TESTS)(partial(_compose, user_agent, headers))

    def fields(self, test_id: str) -> Fields:
        """The fields of every request of the test whose public id is *test_id*; "" where it has none."""
        return self._composed(test_id)


def _compose(user_agent: str, headers: Fields, test_id: str) -> Fields:
    known = _PLAIN.fullmatch(test_id) is not None
    named = ((name, value.replace(PUBLIC_ID, test_id)) for name, value in headers if known or PUBLIC_ID not in value)
    return (("User-Agent", user_agent), *named)
