"""A TCP connection judged and reported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Never

from worker.apitest.assertion import Comparison, Subject
from worker.apitest.responses.tcp import TCPConnection
from worker.apitest.result import AssertionResult, Verdict
from worker.checks.evidence import Evidence
from worker.checks.judge import judge_response_time, judge_value
from worker.checks.judgement import JudgementError
from worker.checks.operators import Search
from worker.checks.protocols.protocol import ProtocolChecks

if TYPE_CHECKING:
    from worker.apitest.definition import APITest


def report(_test: APITest, response: TCPConnection, _verdict: Verdict) -> dict[str, Any]:
    return {"connection_outcome": response.outcome}


def _judge_connection(assertion: Comparison, evidence: Evidence, search: Search) -> AssertionResult:
    response = evidence.observation.response
    if not isinstance(response, TCPConnection):
        raise JudgementError("no connection was attempted")
    return judge_value(assertion, "the connection", response.outcome, search)


def _judge_hops(_assertion: Comparison, _evidence: Evidence, _search: Search) -> Never:
    raise JudgementError("network hops are not there yet")


CHECKS = ProtocolChecks(
    response=TCPConnection,
    judges={
        Subject.CONNECTION: _judge_connection,
        Subject.NETWORK_HOP: _judge_hops,
        Subject.RESPONSE_TIME: judge_response_time,
    },
    report=report,
)
