"""HTTP/1.1 tests: one exchange, or a chain of redirects, each hop over a connection of its own through the door.

Phases of all hops but the last are summed up as `redirect`; then come `dns`, `tcp`, `ssl`, `firstByte` and `download` of
the last. `firstByte` runs from the connection being there to the first byte of the answer; without a body there is no
`download`. Nothing is judged here: any complete response is an observation without a failure, whatever its status.
"""

from __future__ import annotations

import asyncio

from worker.apitest.observation import HTTPResponse, Observation
from worker.apitest.request import HTTPRequest
from worker.clock import Clock
from worker.net.door import Door, Endpoint, TLSSettings
from worker.net.failure import DoorError, out_of_time, still_waiting
from worker.net.http.cookies import Cookies
from worker.net.http.error import HTTPError
from worker.net.http.exchange import Exchange
from worker.net.http.redirect import MAX_REDIRECTS, is_redirect, next_hop
from worker.net.http.request import Outgoing, encode, first, header, tls_name
from worker.net.http.response import HTTPLimits, Received
from worker.net.http.url import resolve, shown
from worker.net.recorder import NANOSECONDS, Recorder
from worker.outcome.failure import Failure, FailureCode
from worker.outcome.hop import Hop
from worker.outcome.phases import Timings
from worker.outcome.resolution import Resolution

__all__ = ["HTTPLimits", "probe"]


async def probe(request: HTTPRequest, door: Door, clock: Clock, limits: HTTPLimits) -> Observation:
    """Run *request*. Raises nothing but CancelledError; every connection is closed when it returns."""
    run = _Run(request, door, clock, limits)
    try:
        async with asyncio.timeout(request.timeout):
            return await run.follow(first(request))
    except TimeoutError:
        return run.timed_out()
    except (HTTPError, DoorError) as error:
        return run.failed(error.failure)


class _Run:
    """The hops of one run so far."""

    def __init__(self, request: HTTPRequest, door: Door, clock: Clock, limits: HTTPLimits) -> None:
        self._request = request
        self._door = door
        self._clock = clock
        self._limits = limits
        self._deadline_ns = clock.monotonic_ns() + round(request.timeout * NANOSECONDS)
        self._hops: list[Hop] = []
        self._cookies: Cookies | None = None
        self._sent: Outgoing | None = None
        self._recorder: Recorder | None = None
        self._resolution: Resolution | None = None
        self._exchange: Exchange | None = None

    async def follow(self, outgoing: Outgoing) -> Observation:
        """Exchange after exchange until one is the last."""
        while True:
            received = await self._hop(outgoing)
            location = received.header("location") if is_redirect(received.status) else None
            if location is None or not self._request.follow_redirects:
                return self._observed(received, None)
            if len(self._hops) > MAX_REDIRECTS:
                message = (
                    f"{outgoing.target.url}: redirected more than {MAX_REDIRECTS} times, here to {shown(location)}"
                )
                return self._observed(received, Failure(FailureCode.TOO_MANY_REDIRECTS, message))
            self._take_cookies(outgoing, received)
            try:
                target = resolve(outgoing.target, location)
            except HTTPError as error:
                message = f"{outgoing.target.url}: redirected to {error.failure.message}"
                return self._observed(received, Failure(error.failure.code, message))
            outgoing = next_hop(outgoing, received.status, target)

    def timed_out(self) -> Observation:
        """The phases that were finished, and what did not come."""
        seconds, recorder = self._request.timeout, self._recorder
        if self._exchange is not None:
            return self.failed(still_waiting(seconds, self._exchange.stage))
        # The door ends a phase in which it is interrupted, so that the last one on record is not a finished one.
        unfinished = None if recorder is None else next(reversed(recorder.phases), None)
        return self.failed(out_of_time(seconds, unfinished), unfinished)

    def failed(self, failure: Failure, unfinished: str | None = None) -> Observation:
        """What is known of a run that ended early; the phase *unfinished* is left out."""
        recorder, timings, resolution = self._recorder, Timings(), None
        if recorder is not None:
            timings = recorder.timings() if unfinished is None else recorder.timings().without(unfinished)
            resolution = recorder.resolution()
        if self._sent is not None:
            place = f" (redirect {len(self._hops)})" if self._hops else ""
            failure = Failure(failure.code, f"{self._sent.target.url}{place}: {failure.message}")
        return Observation(timings=_with_redirects(timings, self._hops), failure=failure, resolution=resolution)

    async def _hop(self, outgoing: Outgoing) -> Received:
        """One exchange over a connection of its own. Raises HTTPError and DoorError."""
        self._sent = outgoing
        self._recorder = recorder = Recorder(self._clock, self._deadline_ns)
        self._exchange = None
        target = outgoing.target
        tls = None
        if target.secure:
            tls = TLSSettings(server_name=tls_name(outgoing), verify=not self._request.allow_insecure)
        endpoint = Endpoint(host=target.host, port=target.port, tls=tls)
        stream = await self._door.open(endpoint, recorder)
        try:
            self._resolution = recorder.resolution()
            self._exchange = exchange = Exchange(stream, outgoing.method, self._limits, self._clock, recorder)
            outcome = await exchange.answer(encode(outgoing, self._cookie(outgoing)))
        finally:
            stream.close()
        if isinstance(outcome, Failure):
            raise HTTPError(outcome.code, outcome.message)
        if not outcome.body:
            recorder.phases["firstByte"] += recorder.phases.pop("download", 0)
        self._hops.append(
            Hop(
                url=target.url,
                status=outcome.status,
                address=self._resolution.address if self._resolution else None,
                timings=recorder.timings(),
            )
        )
        return outcome

    def _observed(self, received: Received, failure: Failure | None) -> Observation:
        last = self._hops[-1]
        response = HTTPResponse(
            url=last.url,
            status=received.status,
            http_version=received.http_version,
            headers=received.headers,
            body=received.body,
            content_encodings=received.content_encodings,
            hops=tuple(self._hops),
        )
        return Observation(
            timings=_with_redirects(last.timings, self._hops[:-1]),
            failure=failure,
            resolution=self._resolution,
            response=response,
        )

    def _take_cookies(self, outgoing: Outgoing, received: Received) -> None:
        set_cookie = [value for name, value in received.headers if name.lower() == "set-cookie"]
        if set_cookie:
            self._cookies = self._cookies or Cookies()
            self._cookies.take(outgoing.target, set_cookie)

    def _cookie(self, outgoing: Outgoing) -> str | None:
        if self._cookies is None:
            return None
        return self._cookies.header(outgoing.target, header(outgoing.headers, "cookie"))


def _with_redirects(timings: Timings, earlier: list[Hop]) -> Timings:
    """The phases of one hop behind the sum of those before it."""
    if not earlier:
        return timings
    return Timings((("redirect", sum(hop.timings.total_tenths for hop in earlier)), *timings.tenths))
