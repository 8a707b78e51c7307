"""The table of what a signed reply means, row by row as docs/protocol.md and the design have it."""

from __future__ import annotations

import pytest

from worker.intake.replies import Verdict, likely_cause, of_signed_reply


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, Verdict.ACCEPT),
        (204, Verdict.ACCEPT),
        (400, Verdict.REFUSED),
        (401, Verdict.SLOW_DOWN),
        (403, Verdict.SLOW_DOWN),
        (404, Verdict.REFUSED),
        (408, Verdict.RETRY),
        (409, Verdict.RESEQUENCE),
        (413, Verdict.SPLIT),
        (429, Verdict.RETRY),
        (500, Verdict.RETRY),
        (502, Verdict.RETRY),
        (503, Verdict.RETRY),
        (599, Verdict.RETRY),
        (302, Verdict.RETRY),
        (101, Verdict.RETRY),
        (206, Verdict.RETRY),
    ],
)
def test_each_status_has_its_meaning(status: int, verdict: Verdict) -> None:
    assert of_signed_reply(status) is verdict


def test_every_unsigned_status_has_a_word_for_the_operator() -> None:
    assert all(likely_cause(status) for status in range(100, 600))
    assert "login page" in likely_cause(302)
