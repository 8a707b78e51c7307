"""The demo itself, which `examples.demo` starts: a target on loopback, a control plane on a SQLite file, a location, a worker,
a runner that carries out one private action and answers an app's page, and a receiver of alerts.

Results are printed as they come, the action's and alerts among them. `--remediation` adds a service that is out of order: its
test starts a workflow, which restarts it and tests it again. Nothing leaves loopback, so it needs no internet. The first Ctrl-C
drains worker and runner and stops everything, the second one stops it at once; so does the end of whoever started this. Every
file is in a temporary folder that goes with it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from examples import action, alert, remedy
from examples.processes import HERE, EndedError, Processes, output_of, shown
from examples.target import DNS, INTAKE

WRITTEN_BASE = 18080
"""The base port that the definitions in this folder are written for."""
LOOPBACK = "127.0.0.1"
BIN = Path(sysconfig.get_path("scripts"))
REMEDIATION_LOOKS = 120
"""Looks for the end of the workflow, each as long as a command takes: a minute or more."""
INTERRUPTED = 130
"""The exit code of what Ctrl-C cut short."""


def say(text: str) -> None:
    with contextlib.suppress(OSError):  # the terminal may have gone; what was started is stopped all the same
        print(text, flush=True)


def definitions(folder: Path, ports: Sequence[int]) -> list[str]:
    """The examples; copied with their ports replaced where others are listened on."""
    paths = sorted(HERE.glob("[0-9]-*.json"))
    listening = {str(WRITTEN_BASE + offset): str(port) for offset, port in enumerate(ports)}
    if all(written == port for written, port in listening.items()):
        return [str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path) for path in paths]
    moved = []
    for path in paths:
        copy = folder / path.name
        copy.write_text(re.sub("|".join(listening), lambda found: listening[found[0]], path.read_text()))
        moved.append(str(copy))
    return moved


def start_target(processes: Processes, folder: Path, ports: Sequence[int]) -> list[int]:
    """The ports that the target listens on: *ports*, where 0 takes a free one. Raises EndedError."""
    command = [sys.executable, "-m", "examples.target", "--ca-file", str(folder / "ca.pem"), "--ports"]
    line = processes.start_until("ready", [*command, *map(str, ports)], log=folder / "target.log")
    return [int(word) for word in line.split()[1:]]


def start_control_plane(processes: Processes, folder: Path, database: Sequence[str], ports: Sequence[int]) -> list[int]:
    """The port that the control plane listens on: the one of *ports*, where 0 takes a free one. Raises EndedError."""
    serve = [
        *(str(BIN / "synthetics-controlplane"), "serve", *database),
        *("--listen", f"{LOOPBACK}:{ports[0]}", "--alert-allow-range", LOOPBACK),
    ]
    say(shown(serve) + " &")
    line = processes.start_until(f"http://{LOOPBACK}:", serve, log=folder / "controlplane.log")
    return [int(line.rpartition(":")[2])]


def start_servers(processes: Processes, folder: Path, database: Sequence[str], base_port: int | None) -> list[int]:
    """Start target and control plane and return their ports. Raises EndedError."""
    base = WRITTEN_BASE if base_port is None else base_port
    wanted = list(range(base, base + INTAKE + 1))

    def on_ports(start: Callable[[Sequence[int]], list[int]], ports: Sequence[int]) -> list[int]:
        try:
            return start(ports)
        except EndedError as error:
            if base_port is not None:
                reason = f"{error}\n(--base-port chooses the first of five ports; without it, free ones are found)"
                raise EndedError(reason) from error
        say(f"  (of the usual ports {wanted[0]} to {wanted[-1]} one is taken: others are used)")
        return start([0] * len(ports))

    target = on_ports(partial(start_target, processes, folder), wanted[:INTAKE])
    return [*target, *on_ports(partial(start_control_plane, processes, folder, database), wanted[INTAKE:])]


def demo(base_port: int | None, folder: Path, processes: Processes, receiver: str, *, remediation: bool) -> None:
    """Start everything and print results until a signal; alerts go to the *receiver* at a URL. Raises EndedError."""
    controlplane, worker = str(BIN / "synthetics-controlplane"), str(BIN / "synthetics-worker")
    database = ["--database", str(folder / "controlplane.db")]
    config = str(folder / "worker-config.json")
    ports = start_servers(processes, folder, database, base_port)
    url = f"http://{LOOPBACK}:{ports[INTAKE]}"
    show_page(processes, folder, database, url)
    start_runner(processes, folder, database, ports, remediation=remediation)
    for command in (
        [controlplane, *alert.add(receiver), *database],
        [controlplane, "location", "create", "demo", *database, "--intake-url", url, "--output", config],
        [controlplane, "test", "push", *definitions(folder, ports), "--location", "demo", *database],
    ):
        say(shown(command))
        processes.run(command, log=folder / "command.log")
    show_action(processes, folder, database)
    if remediation:
        break_service(processes, folder, database)
    agent = [
        worker,
        f"--config={config}",
        f"--dnsServer={LOOPBACK}:{ports[DNS]}",
        f"--caFile={folder / 'ca.pem'}",
        f"--livenessFile={folder / 'liveness.date'}",
        f"--whitelistedRange.4={LOOPBACK}/32",
    ]
    say(shown(agent) + " &")
    say(
        "  (loopback is denied like every special-purpose range; --whitelistedRange.4 is the rule that this demo needs)"
    )
    processes.start(agent, log=folder / "worker.telemetry.log")
    show_app(processes, folder, database, url)
    if remediation:
        show_remediation(processes, folder, database)
    follow = [controlplane, "results", "--follow", *database]
    say(shown(follow) + "\n")
    processes.start(follow, log=folder / "results.log").wait()
    raise EndedError(f"results are no longer shown: {(folder / 'results.log').read_text().strip()}")


def show_page(processes: Processes, folder: Path, database: Sequence[str], url: str) -> None:
    """Make a user of the pages and print the address that signs them in. Raises EndedError."""
    add = [str(BIN / "synthetics-controlplane"), "user", "add", "demo", "--role", "admin", "--at", url, *database]
    say(shown(add))
    link = processes.run(add, log=folder / "command.log").strip().splitlines()[-1]
    say(f"  in a browser, within ten minutes: {link}")


def start_runner(
    processes: Processes, folder: Path, database: Sequence[str], ports: Sequence[int], *, remediation: bool
) -> None:
    """Make a runner and start it by its one token. Raises EndedError."""
    pages_port = free_port()
    action.write_folder(folder / "runner", ports, pages_port)
    if remediation:
        remedy.extend_folder(folder / "runner", request_file(folder))
    url = f"http://{LOOPBACK}:{ports[INTAKE]}"
    controlplane = str(BIN / "synthetics-controlplane")
    create = [controlplane, *action.create(pages_port), *database, "--base-url", url, "--json"]
    say(shown(create))
    token = json.loads(processes.run(create, log=folder / "command.log"))["token"]
    runner = [str(BIN / "private-action-runner"), f"--config-dir={folder / 'runner'}"]
    say(shown(runner).replace("$ ", "$ RUNNER_ENROLLMENT_TOKEN=pl1e.… ", 1) + " &")
    named = {"RUNNER_ENROLLMENT_TOKEN": token}
    processes.start(runner, output=subprocess.DEVNULL, log=folder / "runner.log", environment=named)


def free_port() -> int:
    """A port of loopback that nobody listened on just now."""
    with socket.create_server((LOOPBACK, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def show_app(processes: Processes, folder: Path, database: Sequence[str], url: str) -> None:
    """Publish a page whose form the runner answers, and print its address. Raises EndedError."""
    push = [str(BIN / "synthetics-controlplane"), "app", "push", str(action.write_app(folder)), *database]
    say(shown(push))
    processes.run(push, log=folder / "command.log")
    say(f"  its page, whose form the runner itself answers, once you are signed in: {url}/apps/{action.APP}")


def show_action(processes: Processes, folder: Path, database: Sequence[str]) -> None:
    """Order the action once and print what comes of it. Raises EndedError where it was not ordered."""
    command = [str(BIN / "synthetics-controlplane"), *action.order(), *database]
    say(shown(command))
    printed = output_of(processes.start(command, output=subprocess.PIPE, log=folder / "command.log"))
    if not printed:
        raise EndedError((folder / "command.log").read_text().strip())
    say(action.line(printed))


def request_file(folder: Path) -> Path:
    """The file by which a restart is asked for, in a folder of its own: a script may write there and nowhere else."""
    requests = folder / "requests"
    requests.mkdir(exist_ok=True)
    return requests / "restart"


def break_service(processes: Processes, folder: Path, database: Sequence[str]) -> None:
    """Start a service that is out of order, and push its test and the workflow that the test starts. Raises EndedError."""
    supervise = [sys.executable, "-m", "examples.fragile", "--supervise", str(request_file(folder))]
    say(shown(supervise) + " &")
    port = int(processes.start_until("ready", supervise, log=folder / "fragile.log").split()[1])
    test, workflow = remedy.write_files(folder, port)
    for words in (["test", "push", str(test), "--location", "demo"], ["workflow", "push", str(workflow)]):
        command = [str(BIN / "synthetics-controlplane"), *words, *database]
        say(shown(command))
        processes.run(command, log=folder / "command.log")


def show_remediation(processes: Processes, folder: Path, database: Sequence[str]) -> None:
    """Wait until the test has started its workflow, and that has ended; print its steps. Raises EndedError."""
    listing = [str(BIN / "synthetics-controlplane"), "run", "list", "--json", *database]
    say(f"  ({remedy.TEST!r} fails, and starts the workflow {remedy.NAME!r})")
    for _ in range(REMEDIATION_LOOKS):
        found = remedy.has_ended(processes.run(listing, log=folder / "command.log"))
        if found is not None:
            show = [str(BIN / "synthetics-controlplane"), "run", "show", found, *database]
            say(shown(show))
            say(
                output_of(processes.start(show, output=subprocess.PIPE, log=folder / "command.log")).partition("\n{")[0]
            )
            return
    raise EndedError(f"the workflow {remedy.NAME!r} has not ended: see {folder / 'controlplane.log'}")


def run(base_port: int | None, folder: Path, *, remediation: bool) -> int:
    """The exit code of a demo in *folder*."""
    processes = Processes()
    try:
        with alert.receiving(say) as receiver, processes:
            try:
                demo(base_port, folder, processes, receiver, remediation=remediation)
            except KeyboardInterrupt:
                say("\ndraining the worker and the runner, then stopping everything (again Ctrl-C: at once)")
    except KeyboardInterrupt:  # so early that nothing runs
        return INTERRUPTED
    except EndedError as error:
        say(f"the demo cannot go on: {error}")
        return 1
    if processes.killed:
        say("stopped at once")
        return INTERRUPTED
    say("drained and clean")
    return 0


def stop_with_the_starter() -> None:
    """End as by a signal once the starter is gone: it holds the other end of standard input and writes nothing."""

    def wait() -> None:
        os.read(0, 1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


def main() -> None:
    parser = argparse.ArgumentParser(prog="examples.demo", description="The whole thing on one machine.")
    parser.add_argument(
        "--base-port",
        type=int,
        help=f"first of five ports (default: {WRITTEN_BASE}, or any free ports where one of the five is taken)",
    )
    parser.add_argument(
        "--remediation",
        action="store_true",
        help="a service is out of order; its test has it restarted and tests again",
    )
    arguments = parser.parse_args()
    stop_with_the_starter()
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    with tempfile.TemporaryDirectory(prefix="synthetics-demo-") as folder:
        sys.exit(run(arguments.base_port, Path(folder), remediation=arguments.remediation))


if __name__ == "__main__":
    main()
