"""The table of protocols, as far as `checks` is concerned: judges by subject, reports by response."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from worker.apitest.assertion import Subject
from worker.apitest.observation import Observation
from worker.apitest.result import Verdict
from worker.checks.protocols import dns, http, ssl, tcp
from worker.checks.protocols.protocol import ComparisonJudge, ProtocolChecks

if TYPE_CHECKING:
    from worker.apitest.definition import APITest

CHECKS: tuple[ProtocolChecks, ...] = (http.CHECKS, tcp.CHECKS, dns.CHECKS, ssl.CHECKS)

JUDGES: Mapping[Subject, ComparisonJudge] = MappingProxyType(
    {subject: judge for checks in CHECKS for subject, judge in checks.judges.items()}
)
"""A subject means the same in every protocol that has it."""

_REPORTS = {checks.response: checks.report for checks in CHECKS}


def response_as_json(test: APITest, observation: Observation, verdict: Verdict) -> dict[str, Any] | None:
    """The `response` object of a result, or None where there was none."""
    response = observation.response
    return None if response is None else _REPORTS[type(response)](test, response, verdict)
