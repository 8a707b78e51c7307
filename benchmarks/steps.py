"""Instructions of a multistep test of three HTTP steps beside those of one plain HTTP job, counted as `instructions` does.

`python -m benchmarks.steps [--seconds 20]`. Each step asks and asserts what the plain job does, and all share their cookies; the
first one also extracts a value of its JSON body.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from benchmarks.fed_worker import definition
from benchmarks.http_jobs import PLAIN
from benchmarks.instructions import per_job
from benchmarks.processes import need, process
from tests.support.definitions import extracted, multistep, step

STEPS = 3


def three_steps(url: str) -> dict[str, Any]:
    """The multistep test."""
    keeping = {"timeout": 30, "persistCookies": True}
    status = extracted("NAME", "json_path", "$.items[1].name")
    first = step("first", url, *PLAIN, request=keeping, extractedValues=[status])
    later = [step(str(number), url, *PLAIN, request=keeping) for number in range(STEPS - 1)]
    return multistep(first, *later)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0)
    arguments = parser.parse_args()
    need("valgrind", "valgrind")
    with process(sys.executable, "-m", "benchmarks.target") as (_, port):
        url = f"http://127.0.0.1:{port}/health"
        plain = per_job([definition(url, PLAIN, timeout=30)], arguments.seconds, None)
        print(f"plain HTTP job: {plain / 1e6:.2f} million instructions", flush=True)
        steps = per_job([three_steps(url)], arguments.seconds, None)
        print(f"test of {STEPS} steps: {steps / 1e6:.2f} million, ratio {steps / plain:.2f}")


if __name__ == "__main__":
    main()
