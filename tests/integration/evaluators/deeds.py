"""An evaluator for tests: real process, real limits, and assertions that say in their target what is done to it."""

from __future__ import annotations

import collections
import itertools
import os
import signal
import socket
import sys
import time
from pathlib import Path

from msgspec.structs import replace

from worker.apitest.assertion import Assertion, Comparison
from worker.apitest.observation import Observation, ProbeResponse
from worker.apitest.responses.http import HTTPResponse
from worker.apitest.result import AssertionResult, BodyPreview
from worker.checks.describe import result_of
from worker.checks.evidence import AssertionLimits
from worker.evaluators.loop import Judge, main

KEPT: list[bytearray] = []


def spin() -> None:
    """Python code that an exception can interrupt."""
    while True:
        pass


def grind() -> None:
    """Native code that holds the interpreter and looks at no signal."""
    collections.deque(itertools.repeat(0), maxlen=0)


def hoard() -> None:
    kept = []
    while True:
        kept.append(bytearray(16 * 1024 * 1024))


def grow() -> None:
    """Keep what it was given, within its bounds, beyond its task."""
    KEPT.append(bytearray(220 * 1024 * 1024))


def crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def stop() -> None:
    """Not even the kernel's CPU timers run in a stopped process."""
    os.kill(os.getpid(), signal.SIGSTOP)


def leave() -> None:
    sys.exit(3)


def swallow() -> None:
    """Catch what Python code usually catches, again and again."""
    while True:
        try:
            spin()
        except Exception:  # noqa: BLE001 - as a library would
            continue


def read_a_file() -> str:
    return Path("/etc/passwd").read_text()


def reach_the_network() -> str:
    with socket.create_connection(("127.0.0.1", 9)):
        return "connected"


def fork() -> None:
    os._exit(0) if os.fork() == 0 else os.wait()


def babble() -> None:
    """Speak on the socket out of turn; every descriptor is tried, since which one it is belongs to the evaluator."""
    for descriptor in range(3, 20):
        try:
            os.write(descriptor, b"\x00\x00\x00\x04junk")
        except OSError:
            continue


def print_something() -> None:
    print("text on standard output")
    print("text on standard error", file=sys.stderr)


def fail() -> None:
    raise RuntimeError("a secret from the body")


def name_environment() -> str:
    return ",".join(sorted(os.environ))


DEEDS = {
    "spin": spin,
    "grind": grind,
    "hoard": hoard,
    "grow": grow,
    "crash": crash,
    "stop": stop,
    "leave": leave,
    "swallow": swallow,
    "read": read_a_file,
    "connect": reach_the_network,
    "fork": fork,
    "babble": babble,
    "print": print_something,
    "fail": fail,
    "environment": name_environment,
}


def prepare(observation: Observation, _limits: AssertionLimits) -> Judge:
    response = observation.response
    body = response.body if isinstance(response, HTTPResponse) else b""

    def judge(assertion: Assertion) -> AssertionResult:
        assert isinstance(assertion, Comparison)
        deed = str(assertion.target)
        said: str | int | None
        if deed == "pid":
            said = os.getpid()
        elif deed == "length":
            said = len(body)
        elif deed.startswith("burn "):
            burn(float(deed.split()[1]))
            said = None
        elif deed.startswith("say "):
            said = deed[4:]
        elif deed.startswith("shout "):
            return replace(result_of(assertion, valid=True), actual="x" * int(deed[6:]))
        else:
            said = DEEDS[deed]()
        return result_of(assertion, valid=True, actual=said)

    return judge


def preview_of(response: ProbeResponse | None) -> BodyPreview | None:
    """The body is what is done, or else what is said."""
    assert isinstance(response, HTTPResponse)
    body = response.body.decode()
    if body in DEEDS:
        DEEDS[body]()
    return BodyPreview(text=body, is_cut=False)


def burn(seconds: float) -> None:
    """Use CPU for so long and no longer."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


if __name__ == "__main__":
    # The verdicts are what is tested here: beside busy loops a nice process gets no processor, and the wall clock decides.
    os.nice = lambda _increment: 0
    main(sys.argv, prepare, preview_of, lambda _limits: None)
