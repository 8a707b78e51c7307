"""A campaign of rounds: `python -m tests.faults --rounds 60 --seed 1 --jobs 2`. Exits with 1 where one found something.

The seed of a round is the one given plus its number; a round is run again by its own seed. All of it runs in namespaces.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.faults import namespaces, shim
from tests.faults.rounds import Report, run_round
from tests.support.peers import peer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    parser.add_argument("--jobs", type=int, default=1, help="rounds at the same time")
    parser.add_argument("--minutes", type=float, default=60.0, help="no round begins after this")
    arguments = parser.parse_args()
    began = time.monotonic()
    deadline = began + arguments.minutes * 60
    print(f"seed {arguments.seed}, {arguments.rounds} rounds", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        library = shim.build(Path(folder), peer("cc"))

        def one(number: int) -> Report | None:
            if time.monotonic() > deadline:
                return None
            report = run_round(arguments.seed + number, library)
            print(report, flush=True)
            return report

        with ThreadPoolExecutor(arguments.jobs) as pool:
            reports = list(pool.map(one, range(arguments.rounds)))
    code = _conclude(reports)
    print(f"{(time.monotonic() - began) / 60:.1f} minutes")
    sys.exit(code)


def _conclude(reports: list[Report | None]) -> int:
    ran = [report for report in reports if report is not None]
    total: Counter[str] = Counter()
    for report in ran:
        total.update(report.counts)
    found = Counter(violation.kind.value for report in ran for violation in report.violations)
    print(f"{len(ran)} rounds: {', '.join(f'{count} {name}' for name, count in total.items())}")
    print(f"dark at most {max((report.dark for report in ran), default=0) / 1000:.1f} s")
    print("found: " + (", ".join(f"{count} × {kind}" for kind, count in found.items()) or "nothing"))
    return 1 if found or len(ran) < len(reports) or not total["results"] else 0


if __name__ == "__main__":
    namespaces.enter("tests.faults")
    main()
