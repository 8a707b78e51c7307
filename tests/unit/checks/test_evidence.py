from __future__ import annotations

import weakref

import pytest

from tests.support.observed import LIMITS
from worker.apitest.observation import Observation
from worker.checks.evidence import Evidence
from worker.checks.judgement import JudgementError
from worker.config.options import OPTIONS
from worker.outcome.failure import FailureCode
from worker.outcome.phases import Timings


class Large:
    """Stands for a body that was decoded before it turned out too large."""


def test_an_attempt_that_failed_is_remembered_without_what_it_held() -> None:
    """A traceback holds the frames, and thereby the bodies, of whoever raised: nine brotli bombs made 200 MiB of an evaluator."""
    evidence = Evidence(Observation(timings=Timings()), LIMITS)
    held: list[weakref.ref[Large]] = []

    def decode() -> None:
        large = Large()
        held.append(weakref.ref(large))
        raise JudgementError("too large", FailureCode.BODY_TOO_LARGE)

    for _ in range(2):
        with pytest.raises(JudgementError, match="too large") as caught:
            evidence.once("body", decode)
        assert caught.value.code is FailureCode.BODY_TOO_LARGE
    assert [reference() for reference in held] == [None]


def test_the_defaults_are_those_of_the_options() -> None:
    default = {option.field: option.default for option in OPTIONS}
    limits = LIMITS
    assert limits.max_body_bytes == default["max_body_size_if_processed"]
    assert limits.pattern_seconds * 1000 == default["regex_timeout"]
