"""A worker's pool in a control group, as `GROUP_PROCS SHARE TESTS`, SHARE `followed` or `ignored`; prints a report in JSON.

Each test lets an honest assertion follow one that makes 800 MB out of 1 kB.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import replace
from pathlib import Path

from tests.support.observed import LIMITS
from worker.apitest.assertion import Comparison, JSONPathAssertion, Operator, Subject
from worker.apitest.observation import Observation
from worker.apitest.responses.http import HTTPResponse
from worker.clock import SystemClock
from worker.evaluators.bounds import MEMORY_BYTES, share_of_memory
from worker.evaluators.pool import SPARES, Evaluators
from worker.outcome.phases import Timings
from worker.sandbox.memory import memory_limit

SIZE = 2
BODY = b'{"a": "' + b"x" * 1_000 + b'"}'
ASSERTIONS = (
    JSONPathAssertion(path="$.a * 800000", operator=Operator.IS, target="x"),
    Comparison(subject=Subject.BODY, operator=Operator.MATCHES, target="x+"),
)


async def main(procs: str, share: str, tests: int) -> None:
    Path(procs).write_text("0")
    memory = share_of_memory(memory_limit(), SIZE + SPARES, 0) if share == "followed" else MEMORY_BYTES
    response = HTTPResponse(url="http://a/", status=200, http_version="1.1", headers=(), body=BODY)
    observation = Observation(timings=Timings(), response=response)
    async with Evaluators(SIZE, replace(LIMITS, pattern_seconds=5.0), SystemClock(), memory_bytes=memory) as pool:
        evaluations = await asyncio.gather(
            *(pool.evaluate(f"test {number}", ASSERTIONS, observation) for number in range(tests))
        )
    reasons = [[result.error_message for result in evaluation.results] for evaluation in evaluations]
    json.dump({"memory": memory, "reasons": reasons}, sys.stdout)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
