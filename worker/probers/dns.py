"""The DNS prober: asks for record sets, one look-up per type, and reports what came back with rcode, flags and TTL.

Nothing is dialled, so answers are not judged; the name is, and so is a server that the test names. Record types are
asked one after another; `dns`, the only phase, is all the time that they take together, the look-up of the server's
own name included.
"""

from __future__ import annotations

import asyncio

from worker.apitest.observation import DNSAnswer, DNSAnswers, Observation
from worker.apitest.request import DNSRequest
from worker.clock import Clock
from worker.net.door import Door
from worker.net.failure import DoorError, out_of_time
from worker.net.recorder import Recorder
from worker.outcome.failure import Failure, FailureCode

_RCODE_MEANINGS = {
    "NXDOMAIN": ("ENOTFOUND", "it does not exist"),
    "SERVFAIL": ("ESERVFAIL", "the server could not find out"),
    "REFUSED": ("EREFUSED", "the server refuses to answer"),
}


async def probe(request: DNSRequest, door: Door, clock: Clock) -> Observation:
    """Every answer that came is in the response, also when a later one, or its rcode, makes the run fail."""
    recorder = Recorder(clock, clock.monotonic_ns() + round(request.timeout * 1e9))
    answers: list[DNSAnswer] = []
    failure = None
    try:
        async with asyncio.timeout(request.timeout):
            servers = await door.nameservers(request.server, request.port, recorder)
            for record_type in request.record_types:
                answers.append(await door.query(servers, request.host, record_type, recorder))  # noqa: PERF401 - kept when a later one fails
    except DoorError as error:
        failure = error.failure
    except TimeoutError:
        failure = out_of_time(request.timeout, recorder.latest)
    return Observation(
        timings=recorder.timings(),
        failure=failure or _refusal(request.host, answers, recorder),
        resolution=recorder.resolution(),
        response=DNSAnswers(answers=tuple(answers)) if answers else None,
    )


def _refusal(host: str, answers: list[DNSAnswer], recorder: Recorder) -> Failure | None:
    """The first answer whose rcode says that the look-up failed. A name without such records (NOERROR) is no failure."""
    failed = next((answer for answer in answers if answer.rcode != "NOERROR"), None)
    if failed is None:
        return None
    code, meaning = _RCODE_MEANINGS.get(failed.rcode, (failed.rcode, "the server cannot answer that"))
    text = f"the DNS resolution of hostname {host} failed ({code}): {meaning}, says {recorder.server}"
    return Failure(FailureCode.DNS, text)
