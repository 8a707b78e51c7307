"""Every figure of docs/figures.md, measured again, one benchmark after another: `python -m benchmarks [--quick]`.

Each is a process of its own, so that none inherits another's memory. One whose peer is not installed says so and is passed over.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from dataclasses import dataclass

from benchmarks.processes import NO_PEER


@dataclass(frozen=True, slots=True)
class Benchmark:
    module: str
    heading: str
    quick: tuple[str, ...] = ()
    """Flags of a short run: enough to see that it works, too little to quote."""


ALL = (
    Benchmark("http_jobs", "CPU per whole HTTP job, beside the exporter", ("--rounds=1", "--seconds=3")),
    Benchmark("tls_jobs", "CPU per whole SSL job, beside the exporter", ("--rounds=1", "--seconds=3")),
    Benchmark(
        "timing", "error of the first byte, beside the exporter", ("--rounds=1", "--seconds=3", "--rates", "100", "400")
    ),
    Benchmark("phases", "phases beside curl", ("--runs=10",)),
    Benchmark("footprint", "memory, and time to the first pull", ("--rounds=1", "--starts=3")),
    Benchmark("sizing", "memory and CPU that the guide sizes with", ("--rounds=1",)),
    Benchmark("verdicts", "cost of verdicts, and the loop's lag under attack", ("--attack-seconds=4",)),
    Benchmark("script", "a test with JavaScript, beside a pattern", ("--rounds=1", "--tests=10")),
    Benchmark("filter", "what the filter of system calls costs an evaluator", ("--rounds=10",)),
    Benchmark(
        "held_loop",
        "what hostile targets and authors do to the loop",
        ("--rounds=1", "--seconds=1", "brotli of nothing", "DHE of 4,253 bits"),
    ),
    Benchmark("bystanders", "timing of the others under hostile assertions", ("--rounds=1", "--seconds=5")),
    Benchmark(
        "hostile_http",
        "what an attacking target costs its bystanders",
        ("--rounds=1", "--seconds=2", "one-byte chunks"),
    ),
    Benchmark("http_probe", "CPU per HTTP probe, beside aiohttp", ("--rounds=2", "--probes=500")),
    Benchmark("instructions", "instructions per whole HTTP job", ("--seconds=5",)),
    Benchmark("door", "CPU per connection through the door, beside asyncio", ("--rounds=2", "--connections=500")),
    Benchmark("policy", "a judgement of the egress policy"),
    Benchmark("journal", "CPU of the journal, beside a plain append", ("--rounds=1", "--seconds=2")),
    Benchmark("wire", "sealing and signing"),
    Benchmark(
        "outage", "an outage for results, and the death of the worker that kept them", ("--minutes=0.5", "--rate=5")
    ),
    Benchmark("pages", "pages of a filled control plane", ("--tests=100", "--results=5000", "--rounds=5")),
    Benchmark("turning", "from a first pull to the page that says so, in a browser", ("--rounds=3",)),
    Benchmark("search", "searches over 100,000 tests, beside a scan", ("--tests=5000", "--rounds=3")),
    Benchmark("dispatch", "CPU of the control plane per job, and its pulls", ("--tests=1000", "--seconds=5")),
    Benchmark("receivers", "pulls beside ten dead receivers of alerts", ("--pulls=40",)),
    Benchmark("scale", "what the size of a database costs", ("--tests=20000",)),
    Benchmark("simulation", "two hours of a virtual clock", ("--locations=1", "--seconds=200")),
    Benchmark(
        "actions",
        "private actions: a run's way to its stored result, and a runner's CPU and memory",
        ("--runs=20", "--polled-runs=2", "--seconds=1", "--rate=20", "--rest=2"),
    ),
    Benchmark("push", "a page's request to a runner, and many slow actions at once", ("--requests=50", "--slow=50")),
    Benchmark("idle_runners", "a control plane with 1,000 idle runners", ("--runners=20", "--seconds=2")),
    Benchmark("writes", "long writes beside pulls, and a start with everything overdue", ("--tests=2000",)),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="short runs, for a look and not for quoting")
    quick = parser.parse_args().quick
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores, load {load}")
    missing, broken = [], []
    for benchmark in ALL:
        print(f"\n== {benchmark.heading} (benchmarks/{benchmark.module}.py)", flush=True)
        flags = benchmark.quick if quick else ()
        code = subprocess.run([sys.executable, "-m", f"benchmarks.{benchmark.module}", *flags], check=False).returncode
        if code == NO_PEER:
            missing.append(benchmark.module)
        elif code:
            broken.append(benchmark.module)
    if missing:
        print(f"\nnot measured, for want of a peer: {', '.join(missing)}")
    if broken:
        sys.exit(f"\nfailed: {', '.join(broken)}")


if __name__ == "__main__":
    main()
