"""The program of a process that evaluates one jq program under the kernel's limits. The runner runs it and does not import it."""

from __future__ import annotations

import os
import sys
from itertools import islice
from typing import Any

import jq
import orjson

from worker.actions.jq import MAX_RESULT_BYTES, MAX_RESULTS
from worker.sandbox.child import attach
from worker.sandbox.confinement import CPUGrace, Interrupted, IntervalTimers

_GRACE = CPUGrace(soft=0.0, hard=0.5)


def results_of(program: str, value: Any) -> bytes:
    """The answer as JSON: the results, or an error for the program's author."""
    try:
        found = list(islice(iter(jq.compile(program).input_value(value)), MAX_RESULTS + 1))
    except (ValueError, StopIteration) as error:
        return orjson.dumps({"error": str(error)[:1000]})
    if len(found) > MAX_RESULTS:
        return orjson.dumps({"error": f"the program has more than {MAX_RESULTS} results"})
    try:
        answer = orjson.dumps({"results": found})
    except (TypeError, ValueError):
        return orjson.dumps({"error": "a result cannot be written as JSON"})
    if len(answer) > MAX_RESULT_BYTES:
        return orjson.dumps({"error": f"the results have more than {MAX_RESULT_BYTES} bytes"})
    return answer


def main(argv: list[str]) -> None:
    parent = attach(argv)
    seconds, memory_bytes = parent.arguments
    timers = IntervalTimers(float(seconds))
    jq.compile(".").input_value(None).first()  # whatever it loads late it loads now
    parent.confine(int(memory_bytes))
    task = parent.read()
    if task is not None:
        program, value = orjson.loads(task)
        try:
            answer = timers.run(lambda: results_of(program, value), _GRACE)
        except Interrupted:
            answer = orjson.dumps({"error": f"the program did not end within {seconds} s of CPU"})
        except MemoryError:
            answer = orjson.dumps({"error": "the program needs more memory than it may have"})
        timers.stop()
        parent.write(answer)
    os._exit(0)  # nothing is left to be done in order


if __name__ == "__main__":
    main(sys.argv)
