"""Instructions per whole HTTP job, counted by valgrind's callgrind in the worker's own process, its evaluators left out.

`python -m benchmarks.instructions [--tls] [--against CHECKOUT] [--seconds 20]`. With --tls each job has a TLS 1.3 handshake. The
worker runs twice for equally long, with few jobs and with many; the difference divided by the jobs is what one job costs, for
whatever passes by the clock is in both. Instructions are repeatable where a clock is not: with --against, the same is counted for
the worker of another checkout, and the ratio is printed. The start is what a worker needs until its first pull, and a drain.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import ssl
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.fed_worker import definition, fed_worker
from benchmarks.http_jobs import PLAIN
from benchmarks.processes import need, process, running
from benchmarks.target import BODY
from tests.support.certificates import issue

RATES = (1.0, 15.0)
"""Jobs a second: under valgrind a job takes fifty times as long as it does."""


def count(tests: Sequence[dict[str, Any]], rate: float, seconds: float, checkout: Path | None) -> tuple[int, int]:
    """Instructions of a whole worker that served *seconds* after its first job, and the jobs that it ran."""
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder, "callgrind.out")
        under = ("valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={found}")
        with fed_worker(tests, rate, "--concurrency=50", under=under, checkout=checkout) as worker:
            worker.wait_for("passed", seconds=180)
            time.sleep(seconds)
            jobs = worker.counts()["passed"]
        totals = re.search(r"^(?:summary|totals): (\d+)", found.read_text(errors="replace"), re.MULTILINE)
    if totals is None:
        raise SystemExit("callgrind counted nothing")
    return int(totals.group(1)), jobs


def per_job(tests: Sequence[dict[str, Any]], seconds: float, checkout: Path | None) -> float:
    """Instructions that one job costs."""
    few, many = (count(tests, rate, seconds, checkout) for rate in RATES)
    return (many[0] - few[0]) / (many[1] - few[1])


@contextmanager
def plain_target() -> Iterator[str]:
    """The URL of a target without TLS."""
    with process(sys.executable, "-m", "benchmarks.target") as (_, port):
        yield f"http://127.0.0.1:{port}/health"


@contextmanager
def tls_target() -> Iterator[str]:
    """The URL of a target with TLS, whose certificate nobody verifies."""
    with tempfile.TemporaryDirectory() as folder:
        shown = issue("shop", names=["127.0.0.1"]).write(Path(folder, "shown.pem"))
        with running(_serve_tls, str(shown)) as port:
            yield f"https://127.0.0.1:{port}/health"


def _serve_tls(pipe: Connection, certificate: str) -> None:
    async def serve() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server = await asyncio.start_server(_answer, "127.0.0.1", 0, ssl=context)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(serve())


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n"
        writer.write(head.encode() + BODY)
        await reader.read()
    except (ConnectionError, ssl.SSLError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tls", action="store_true", help="jobs with a TLS handshake")
    parser.add_argument("--against", type=Path, help="another checkout of this project")
    parser.add_argument("--seconds", type=float, default=20.0)
    arguments = parser.parse_args()
    need("valgrind", "valgrind")
    kind, made = ("HTTPS", tls_target()) if arguments.tls else ("HTTP", plain_target())
    with made as url:
        test = definition(url, PLAIN, timeout=30)
        tests = [test | {"options": {**test.get("options", {}), "allow_insecure": True}}]
        ours = per_job(tests, arguments.seconds, None)
        print(f"plain {kind} job: {ours / 1e6:.2f} million instructions", flush=True)
        if arguments.against is not None:
            theirs = per_job(tests, arguments.seconds, arguments.against.resolve())
            print(f"the same in {arguments.against.name}: {theirs / 1e6:.2f} million, ratio {ours / theirs:.3f}")


if __name__ == "__main__":
    main()
