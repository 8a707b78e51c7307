"""The TCP prober: makes a connection, times look-up and connect, and hangs up. Nothing is sent or read."""

from __future__ import annotations

from worker.apitest.observation import Observation
from worker.apitest.protocols.tcp import TCPRequest
from worker.apitest.responses.tcp import TCPConnection
from worker.clock import Clock
from worker.net.deadline import Deadline
from worker.net.door import Door, Endpoint
from worker.net.failure import DoorError, out_of_time
from worker.net.recorder import Recorder
from worker.outcome.failure import Failure, FailureCode
from worker.probers.limits import ProbeLimits


async def probe(request: TCPRequest, door: Door, clock: Clock, _limits: ProbeLimits) -> Observation:
    """Connect and hang up. A refusal and a time-out are outcomes as well as failures: a test may ask for them."""
    deadline = Deadline(clock, request.timeout)
    recorder = Recorder(clock, deadline)
    failure = None
    try:
        async with deadline.limit():
            stream = await door.open(Endpoint(host=request.host, port=request.port), recorder)
        stream.close()
    except DoorError as error:
        failure = error.failure
    except TimeoutError:
        failure = out_of_time(request.timeout, recorder.latest)
    return Observation(
        timings=recorder.timings(),
        failure=failure,
        resolution=recorder.resolution(),
        trouble=deadline.trouble,
        response=_connection(failure, recorder),
    )


def _connection(failure: Failure | None, recorder: Recorder) -> TCPConnection | None:
    """The outcome of the connection; None when the failure lies before it or elsewhere: no address, denied, the
    proxy.
    """
    if failure is None:
        return TCPConnection(outcome="established")
    if failure.code is FailureCode.CONNREFUSED:
        return TCPConnection(outcome="refused")
    if failure.code is FailureCode.TIMEOUT and recorder.latest == "tcp":
        return TCPConnection(outcome="timeout")
    return None
