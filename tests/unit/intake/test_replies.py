"""The table of what a signed reply means, row by row as docs/protocol.md and the design have it."""

from __future__ import annotations

import pytest

from worker.intake.replies import Reaction, of_signed_reply
from worker.intake.trouble import likely_cause


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, Reaction.ACCEPT),
        (204, Reaction.ACCEPT),
        (400, Reaction.REFUSED),
        (401, Reaction.SLOW_DOWN),
        (403, Reaction.SLOW_DOWN),
        (404, Reaction.REFUSED),
        (408, Reaction.RETRY),
        (409, Reaction.RESEQUENCE),
        (413, Reaction.SPLIT),
        (429, Reaction.RETRY),
        (500, Reaction.RETRY),
        (502, Reaction.RETRY),
        (503, Reaction.RETRY),
        (599, Reaction.RETRY),
        (302, Reaction.RETRY),
        (101, Reaction.RETRY),
        (206, Reaction.RETRY),
    ],
)
def test_each_status_has_its_meaning(status: int, verdict: Reaction) -> None:
    assert of_signed_reply(status) is verdict


def test_every_unsigned_status_has_a_word_for_the_operator() -> None:
    assert all(likely_cause(status) for status in range(100, 600))
    assert "login page" in likely_cause(302)
