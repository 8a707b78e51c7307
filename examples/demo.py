"""The whole thing on one machine, made of the public commands: `make run` runs this.

It starts a small target on loopback, a control plane on a SQLite file, one location, one worker, and prints results as they
come. Nothing leaves loopback, so it needs no internet. The first Ctrl-C drains the worker and stops everything; every file
is in a temporary folder that goes with it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

from examples.target import DNS, INTAKE

HERE = Path(__file__).resolve().parent
WRITTEN_BASE = 18080
"""The base port that the definitions in this folder are written for."""
BIN = Path(sysconfig.get_path("scripts"))
DRAIN = 20.0
"""Seconds given to each process to end by itself."""


def say(text: str) -> None:
    print(text, flush=True)


def shown(command: list[str]) -> str:
    return "$ " + shlex.join([Path(command[0]).name, *command[1:]])


def run(command: list[str]) -> None:
    """Run a public command to its end, showing it as one would type it."""
    say(shown(command))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{Path(command[0]).name} failed:\n{done.stdout}{done.stderr}")


@contextlib.contextmanager
def running(command: list[str], log: Path, *, ready: str) -> Iterator[subprocess.Popen[str]]:
    """A process of its own, in a session of its own so that Ctrl-C reaches it through us and in order."""
    with log.open("w") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True, cwd=HERE.parent
        )
    try:
        if ready:
            assert process.stdout is not None
            line = process.stdout.readline()
            if ready not in line:
                sys.exit(f"{shown(command)}\ndid not start:\n{line}{log.read_text()}")
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(DRAIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def definitions(folder: Path, base_port: int) -> list[str]:
    """The examples, copied with their ports moved when another base port is asked for."""
    paths = sorted(HERE.glob("[0-9]-*.json"))
    if base_port == WRITTEN_BASE:
        return [str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path) for path in paths]
    moved = []
    for path in paths:
        text = path.read_text()
        for offset in range(INTAKE + 1):
            text = text.replace(str(WRITTEN_BASE + offset), str(base_port + offset))
        copy = folder / path.name
        copy.write_text(text)
        moved.append(str(copy))
    return moved


def demo(base_port: int, folder: Path) -> int:
    controlplane, worker = str(BIN / "synthetics-controlplane"), str(BIN / "synthetics-worker")
    database = ["--database", str(folder / "controlplane.db")]
    intake = f"127.0.0.1:{base_port + INTAKE}"
    config, ca_file = str(folder / "worker-config.json"), folder / "ca.pem"
    with contextlib.ExitStack() as stack:
        target = [sys.executable, "-m", "examples.target", "--base-port", str(base_port), "--ca-file", str(ca_file)]
        stack.enter_context(running(target, folder / "target.log", ready="ready"))
        serve = [controlplane, "serve", *database, "--listen", intake]
        say(shown(serve) + " &")
        stack.enter_context(running(serve, folder / "controlplane.log", ready=intake))
        run(
            [
                controlplane,
                "location",
                "create",
                "demo",
                *database,
                "--intake-url",
                f"http://{intake}",
                "--output",
                config,
            ]
        )
        run([controlplane, "test", "push", *definitions(folder, base_port), "--location", "demo", *database])
        agent = [
            worker,
            f"--config={config}",
            f"--dnsServer=127.0.0.1:{base_port + DNS}",
            f"--caFile={ca_file}",
            f"--livenessFile={folder / 'liveness.date'}",
            "--whitelistedRange.4=127.0.0.1/32",
        ]
        say(shown(agent) + " &")
        say(
            "  (loopback is denied like every special-purpose range; --whitelistedRange.4 is the rule that this demo needs)"
        )
        stack.enter_context(running(agent, folder / "worker.telemetry.log", ready=""))
        follow = [controlplane, "results", "--follow", *database]
        say(shown(follow))
        say("")
        return print_until_interrupted(follow, stack)


def print_until_interrupted(follow: list[str], stack: contextlib.ExitStack) -> int:
    printer = subprocess.Popen(follow, start_new_session=True)
    try:
        return printer.wait()
    except KeyboardInterrupt:
        say("\ndraining the worker, then stopping everything (again Ctrl-C: at once)")
        printer.send_signal(signal.SIGINT)
        printer.wait()
        stack.close()
        say("drained and clean")
        return 0
    finally:
        if printer.poll() is None:
            printer.kill()
            printer.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--base-port", type=int, default=WRITTEN_BASE, help="first of five ports (default: %(default)s)"
    )
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    with tempfile.TemporaryDirectory(prefix="synthetics-demo-") as folder:
        sys.exit(demo(arguments.base_port, Path(folder)))


if __name__ == "__main__":
    main()
