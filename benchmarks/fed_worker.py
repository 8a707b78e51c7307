"""A real worker process beside a feeding control plane: how both are started, and what a benchmark asks them."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from benchmarks.processes import end, process
from tests.support.definitions import api_test


@dataclass(frozen=True, slots=True, kw_only=True)
class FedWorker:
    """*pid* is the worker's, *url* the feeder's; *started_ns* is when the worker's process was asked for."""

    pid: int
    url: str
    started_ns: int

    def counts(self) -> dict[str, int]:
        counts: dict[str, int] = self._get("counts")
        return counts

    def outcomes(self) -> list[dict[str, Any]]:
        """What came back since this was asked last."""
        outcomes: list[dict[str, Any]] = self._get("outcomes")
        return outcomes

    def wait_for(self, count: str, seconds: float = 30) -> None:
        for _ in range(round(seconds * 10)):
            if self.counts().get(count):
                return
            time.sleep(0.1)
        raise SystemExit(f"the worker does not do its work: no {count!r} in {self.counts()}")

    def seat(self, seats: Sequence[int]) -> None:
        """So many jobs of each test but the first from now on; only for a worker that is fed by seats."""
        request = urllib.request.Request(f"{self.url}/seats", data=orjson.dumps(list(seats)), method="PUT")
        urllib.request.urlopen(request, timeout=10).close()

    def seated(self) -> list[int]:
        """Jobs of each test but the first that are under way."""
        taken: list[int] = self._get("seats")
        return taken

    def _get(self, what: str) -> Any:
        with urllib.request.urlopen(f"{self.url}/{what}", timeout=10) as reply:
            return orjson.loads(reply.read())


@contextmanager
def fed_worker(
    tests: Sequence[dict[str, Any]],
    rate: float,
    *flags: str,
    seats: Sequence[int] = (),
    under: Sequence[str] = (),
    checkout: Path | None = None,
) -> Iterator[FedWorker]:
    """A worker that is handed *tests* in turn, *rate* jobs a second; *flags* are options of its command line. With *seats*,
    *rate* is of the first test, and so many jobs of each other are under way at any time. *under* is a command that runs the
    worker, such as valgrind; *checkout* is another checkout whose worker is run.
    """
    with tempfile.TemporaryDirectory() as folder:
        config, definitions = Path(folder, "worker.json"), Path(folder, "tests.json")
        definitions.write_bytes(orjson.dumps(list(tests)))
        feeder = (sys.executable, "-m", "benchmarks.feeder", f"--config={config}", f"--definitions={definitions}")
        seated = ("--seats", *map(str, seats)) if seats else ()
        with process(*feeder, f"--rate={rate}", *seated) as (_, url):
            command = (*under, sys.executable, "-m", "worker", f"--config={config}", "-v", *flags)
            local = ("--whitelistedRange.4=127.0.0.1/32", f"--livenessFile={folder}/liveness")
            started_ns = time.monotonic_ns()
            worker = subprocess.Popen((*command, *local), stdout=subprocess.DEVNULL, text=True, cwd=checkout)
            try:
                yield FedWorker(pid=worker.pid, url=url, started_ns=started_ns)
            finally:
                end(worker)


def definition(url: str, assertions: Sequence[dict[str, Any]], timeout: float = 5) -> dict[str, Any]:
    """An HTTP test as the control plane would hold it."""
    return api_test("http", *assertions, url=url, timeout=timeout) | {"public_id": "abc-def-ghi"}
