"""DNS answers judged and reported; how records are compared: `records`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from worker.apitest.assertion import Subject
from worker.apitest.responses.dns import DNSAnswers
from worker.apitest.result import Verdict
from worker.checks.judge import judge_response_time
from worker.checks.protocols.protocol import ProtocolChecks
from worker.checks.records import judge_records

if TYPE_CHECKING:
    from worker.apitest.definition import APITest


def report(_test: APITest, response: DNSAnswers, _verdict: Verdict) -> dict[str, Any]:
    return {
        "records": [
            {
                "type": answer.record_type,
                "values": list(answer.records),
                "rcode": answer.rcode,
                "flags": list(answer.flags),
                "ttl": answer.ttl,
            }
            for answer in response.answers
        ]
    }


CHECKS = ProtocolChecks(
    response=DNSAnswers,
    judges={
        Subject.RECORD_EVERY: judge_records,
        Subject.RECORD_SOME: judge_records,
        Subject.RESPONSE_TIME: judge_response_time,
    },
    report=report,
)
