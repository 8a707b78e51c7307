"""`serve` as a process, its commands in this one, and a worker with its config file."""

from __future__ import annotations

import getpass
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from click.testing import CliRunner

from controlplane.cli import main
from tests.support.definitions import http_test
from tests.support.protocol import ProtocolWorker

ME = getpass.getuser()
COMMAND = [sys.executable, "-m", "controlplane"]


@dataclass(frozen=True)
class Serving:
    process: subprocess.Popen[str]
    url: str

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(60)


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[Serving]:
    with (folder / "serve.log").open("a") as log:
        process = subprocess.Popen(
            [*COMMAND, "serve", "--database", str(folder / "c.db"), "--listen", "127.0.0.1:0", *options],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line.startswith("listening on "), (folder / "serve.log").read_text()
        yield Serving(process, line.removeprefix("listening on ").strip())
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        process.wait(60)
        process.stdout.close()


def command(folder: Path, *arguments: str) -> str:
    """In this process, which has imported everything; in a thread, because a command runs an event loop of its own."""
    with ThreadPoolExecutor(1) as thread:
        invoked = thread.submit(CliRunner().invoke, main, ["--database", str(folder / "c.db"), *arguments])
    result = invoked.result()
    assert result.exit_code == 0, result.output
    return result.output


def prepare(folder: Path, tests: int = 1) -> None:
    command(folder, "location", "create", "office", "--output", str(folder / "worker-config.json"))
    file = folder / "tests.json"
    file.write_text(json.dumps([http_test(name=f"test {number}") for number in range(tests)]))
    command(folder, "test", "push", str(file), "--location", "office")


def worker_of(folder: Path, url: str) -> ProtocolWorker:
    return ProtocolWorker.from_file(folder / "worker-config.json", url)


def stored(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in command(folder, "results", "--json", "--limit", "10000").splitlines()]


def issue(authority: trustme.CA, folder: Path, *, days: int = 90) -> tuple[str, ...]:
    """A new certificate in the folder's files, and the flags that name them."""
    end = datetime.now(UTC) + timedelta(days=days)
    issued = authority.issue_cert("127.0.0.1", not_after=end)
    (folder / "cert.pem").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    (folder / "key.pem").write_bytes(issued.private_key_pem.bytes())
    return "--tls-cert", str(folder / "cert.pem"), "--tls-key", str(folder / "key.pem")


def keys_of(folder: Path) -> dict[str, str]:
    """All-powerful ones, under the name of whoever is at this shell."""
    flags = ("--database", str(folder / "c.db"))
    made = CliRunner().invoke(
        main, ["key", "create", ME, "--scopes", "read,write,trigger,action/**,workflow/**", "--json", *flags]
    )
    return {"DD_API_KEY": (both := json.loads(made.output))["api_key"], "DD_APP_KEY": both["app_key"]}
