"""The program of a process that evaluates one jq program under the kernel's limits. The runner runs it and does not import it."""

from __future__ import annotations

import os
import sys
from itertools import islice
from typing import Any

import jq
import orjson

from worker.sandbox.child import attach
from worker.sandbox.timers import CPUGrace, Interrupted, IntervalTimers

_GRACE = CPUGrace(soft=0.0, hard=0.5)


def results_of(program: str, value: Any, most: int, most_bytes: int) -> bytes:
    """The answer as JSON: the results, or an error for the program's author."""
    try:
        found = list(islice(iter(jq.compile(program).input_value(value)), most + 1))
    except (ValueError, StopIteration) as error:
        return orjson.dumps({"error": str(error)[:1000]})
    if len(found) > most:
        return orjson.dumps({"error": f"the program has more than {most} results"})
    try:
        answer = orjson.dumps({"results": found})
    except (TypeError, ValueError):
        return orjson.dumps({"error": "a result cannot be written as JSON"})
    if len(answer) > most_bytes:
        return orjson.dumps({"error": f"the results have more than {most_bytes} bytes"})
    return answer


def main(argv: list[str]) -> None:
    parent = attach(argv)
    seconds, memory_bytes, most, most_bytes = parent.arguments
    os.environ.clear()  # noqa: TID251 - programs can read it
    timers = IntervalTimers(float(seconds))
    jq.compile(".").input_value(None).first()  # whatever it loads late it loads now
    parent.confine(int(memory_bytes))
    task = parent.read()
    if task is not None:
        program, value = orjson.loads(task)
        try:
            answer = timers.run(lambda: results_of(program, value, int(most), int(most_bytes)), _GRACE)
        except Interrupted:
            answer = orjson.dumps({"error": f"the program did not end within {seconds} s of CPU"})
        except MemoryError:
            answer = orjson.dumps({"error": "the program needs more memory than it may have"})
        timers.stop()
        parent.write(answer)
    os._exit(0)  # nothing is left to be done in order


if __name__ == "__main__":
    main(sys.argv)
