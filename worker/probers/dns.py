"""The DNS prober: asks for record sets, one look-up per type, and reports what came back with rcode, flags and TTL.

Nothing is dialled, so answers are not judged; the name is, and so is a server that the test names. Record types are
asked one after another; `dns`, the only phase, is all the time that they take together, the look-up of the server's
own name included.
"""

from __future__ import annotations

from worker.apitest.observation import Observation
from worker.apitest.protocols.dns import DNSRequest
from worker.apitest.responses.dns import DNSAnswer, DNSAnswers
from worker.clock import Clock
from worker.net.deadline import Deadline
from worker.net.door import Door
from worker.net.failure import DoorError, of_rcode, out_of_time
from worker.net.recorder import Recorder
from worker.outcome.failure import Failure
from worker.probers.limits import ProbeLimits


async def probe(request: DNSRequest, door: Door, clock: Clock, _limits: ProbeLimits) -> Observation:
    """Every answer that came is in the response, also when a later one, or its rcode, makes the run fail."""
    deadline = Deadline(clock, request.timeout)
    recorder = Recorder(clock, deadline)
    answers: list[DNSAnswer] = []
    failure = None
    try:
        async with deadline.limit():
            servers = await door.nameservers(request.server, request.port, recorder)
            for record_type in request.record_types:
                reply = await door.query(servers, request.host, record_type, recorder)
                answers.append(
                    DNSAnswer(
                        record_type=record_type,
                        records=reply.records,
                        rcode=reply.rcode,
                        flags=reply.flags,
                        ttl=reply.ttl,
                    )
                )
    except DoorError as error:
        failure = error.failure
    except TimeoutError:
        failure = out_of_time(request.timeout, recorder.latest)
    return Observation(
        timings=recorder.timings(),
        failure=failure or _refusal(request.host, answers, recorder),
        resolution=recorder.resolution(),
        trouble=deadline.trouble,
        response=DNSAnswers(answers=tuple(answers)) if answers else None,
    )


def _refusal(host: str, answers: list[DNSAnswer], recorder: Recorder) -> Failure | None:
    """The failure of the first answer whose rcode says so. A name without such records (NOERROR) is not a failure."""
    failed = next((answer for answer in answers if answer.rcode != "NOERROR"), None)
    return None if failed is None else of_rcode(host, failed.rcode, str(recorder.server))
