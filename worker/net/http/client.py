"""The HTTP client: one exchange, or a chain of redirects, each hop over a connection of its own through the door.

Phases of all hops but the last are summed up as `redirect`; then come `dns`, `tcp`, `ssl`, `firstByte` and `download` of
the last. `firstByte` runs from the connection being there to the first byte of the answer; without a body there is no
`download`. The exchanges that credentials take before a hop's own are its phase `authentication`, ahead of all others.
Nothing is judged here: any complete response is a transfer without a failure, whatever its status.
"""

from __future__ import annotations

from msgspec import Struct

from worker.clock import Clock
from worker.egress.proxy import Proxy
from worker.net import alpn
from worker.net.deadline import Deadline
from worker.net.door import Door, Endpoint, TLSSettings
from worker.net.failure import DoorError, out_of_time, still_waiting
from worker.net.http.agreed import AnyExchange, ExchangeKind, agreed_exchange, prepare_http2
from worker.net.http.cookies import Cookies
from worker.net.http.error import HTTPError
from worker.net.http.exchange import Exchange
from worker.net.http.fields import Fields, first_value
from worker.net.http.outgoing import Flow, Outgoing
from worker.net.http.proxy import proxy_of
from worker.net.http.redirect import MAX_REDIRECTS, is_redirect, next_hop
from worker.net.http.request import Request, identity_for, prepare, tls_name
from worker.net.http.response import HTTPLimits, Response
from worker.net.http.url import Target, resolve, shown
from worker.net.identity import ClientIdentity
from worker.net.recorder import Recorder
from worker.outcome.failure import Failure, FailureCode
from worker.outcome.handshake import Handshake
from worker.outcome.hop import Hop
from worker.outcome.phases import Timings
from worker.outcome.resolution import Resolution


class Transfer(Struct, frozen=True):
    """All that came of one request. *response* is the last one; with a *failure* it may be there or not.

    *hops* are the exchanges that were completed, that of *response* last.
    """

    timings: Timings
    failure: Failure | None
    resolution: Resolution | None
    response: Response | None
    hops: tuple[Hop, ...]
    trouble: str | None = None
    """The worker's own trouble on the way, in words: then a failure is not the target's."""
    handshake: Handshake | None = None
    """That of *response*; None without TLS."""


class Client:
    """Keeps nothing between two requests: neither connections, nor cookies but those that its caller hands over each time.

    *default_headers* go to every hop, each unless the request has a header of that name: who we are (User-Agent) and what
    we can read (Accept, Accept-Encoding).
    """

    __slots__ = ("clock", "default_headers", "door", "limits")

    def __init__(self, door: Door, clock: Clock, limits: HTTPLimits, default_headers: Fields = ()) -> None:
        self.door = door
        self.clock = clock
        self.limits = limits
        self.default_headers = default_headers

    async def send(self, request: Request, seconds: float, cookies: Cookies | None = None) -> Transfer:
        """Send *request*; *seconds* bound it from the look-up to the last byte, over all hops.

        *cookies* are sent from the first hop on, and keep what every answer sets, the last one's too.

        Raises nothing but CancelledError; every connection is closed when it returns.
        """
        if request.offer != alpn.HTTP1:
            await prepare_http2()
        chain = _Chain(self, request, seconds, cookies)
        try:
            async with chain.deadline.limit():
                return await chain.follow(prepare(request))
        except TimeoutError:
            return chain.timed_out()
        except (HTTPError, DoorError) as error:
            return chain.failed(error.failure)


class _Chain:
    """The hops of one request so far."""

    __slots__ = (
        "_authentication",
        "_client",
        "_cookies",
        "_exchange",
        "_handshake",
        "_hops",
        "_own",
        "_proxy",
        "_recorder",
        "_request",
        "_resolution",
        "_seconds",
        "_sent",
        "_shares_cookies",
        "deadline",
    )

    def __init__(self, client: Client, request: Request, seconds: float, cookies: Cookies | None) -> None:
        self._client = client
        self._request = request
        self._seconds = seconds
        self.deadline = Deadline(client.clock, seconds)
        self._hops: list[Hop] = []
        self._proxy: Proxy | None = None
        self._cookies = cookies
        self._shares_cookies = cookies is not None
        self._sent: Outgoing | None = None
        self._recorder: Recorder | None = None
        self._resolution: Resolution | None = None
        self._handshake: Handshake | None = None
        self._exchange: AnyExchange | None = None
        self._own: Target | None = None
        """The target of the request itself."""
        self._authentication = 0
        """Tenths of a millisecond that the credentials of the hop have taken so far."""

    async def follow(self, outgoing: Outgoing) -> Transfer:
        """Exchange after exchange until one is the last. Raises HTTPError and DoorError."""
        request, self._own = self._request, outgoing.target
        if request.proxy_url is not None:
            self._proxy = proxy_of(request.proxy_url, request.proxy_headers, verify=request.verify)
        while True:
            self._authentication = 0
            flow = self._flow(outgoing)
            if flow is None:
                response = await self._send(outgoing)
            else:
                outgoing, response = await self._authenticated(flow)
            self._complete_hop(outgoing, response)
            following = self._following(outgoing, response)
            if isinstance(following, Transfer):
                return following
            outgoing = following

    def _following(self, outgoing: Outgoing, response: Response) -> Outgoing | Transfer:
        """The next hop, or the transfer that ends with *response*."""
        request = self._request
        if self._shares_cookies:
            self._take_cookies(outgoing, response)
        location = response.header("location") if is_redirect(response.status) else None
        if location is None or not request.follow_redirects:
            return self._completed(response, None)
        if len(self._hops) > MAX_REDIRECTS:
            message = f"{outgoing.target}: redirected more than {MAX_REDIRECTS} times, here to {shown(location)}"
            return self._completed(response, Failure(FailureCode.TOO_MANY_REDIRECTS, message))
        if not self._shares_cookies:
            self._take_cookies(outgoing, response)
        try:
            target = resolve(outgoing.target, location)
        except HTTPError as error:
            message = f"{outgoing.target}: redirected to {error.failure.message}"
            return self._completed(response, Failure(error.failure.code, message))
        everywhere = self._client.limits.headers_to_all_hosts
        return next_hop(outgoing, response.status, target, headers_to_all_hosts=everywhere)

    def timed_out(self) -> Transfer:
        """The phases that were finished, and what was missing."""
        seconds, recorder = self._seconds, self._recorder
        if self._exchange is not None:
            return self.failed(still_waiting(seconds, self._exchange.stage))
        # The door ends a phase in which it is interrupted, so that the last one on record is not a finished one.
        unfinished = None if recorder is None else next(reversed(recorder.phases), None)
        return self.failed(out_of_time(seconds, unfinished), unfinished)

    def failed(self, failure: Failure, unfinished: str | None = None) -> Transfer:
        """The transfer of a request that ended early; the phase *unfinished* is left out."""
        recorder, timings, resolution = self._recorder, Timings(), None
        if recorder is not None:
            timings = recorder.timings() if unfinished is None else recorder.timings().without(unfinished)
            resolution = recorder.resolution()
        if self._sent is not None:
            failure = Failure(failure.code, f"{self._sent.target}{self._place()}: {failure.message}")
            if self._sent.purpose is not None:  # another server than the one that is watched
                self._authentication += timings.total_tenths
                timings, resolution = Timings(), None
        hops = tuple(self._hops)
        timings = _with_redirects(self._behind_authentication(timings), hops)
        return Transfer(timings, failure, resolution, None, hops, self.deadline.trouble)

    def _place(self) -> str:
        """The part of the chain that was under way, for a message."""
        places = [f"redirect {len(self._hops)}"] if self._hops else []
        if self._sent is not None and self._sent.purpose is not None:
            places.append(self._sent.purpose)
        return f" ({', '.join(places)})" if places else ""

    def _flow(self, outgoing: Outgoing) -> Flow | None:
        """The exchanges that the credentials of a hop take; None for a hop that is one exchange."""
        credentials = outgoing.credentials
        if credentials is None or first_value(outgoing.headers, "authorization") is not None:
            return None
        return credentials.flow(outgoing, self._client.clock.now())

    def _complete_hop(self, outgoing: Outgoing, response: Response) -> None:
        """Write down a hop: what was sent last in it, and its answer."""
        assert self._recorder is not None
        self._resolution, self._handshake = self._recorder.resolution(), self._recorder.handshake
        self._hops.append(
            Hop(
                url=outgoing.target.url,
                status=response.status,
                address=self._resolution.address if self._resolution else None,
                timings=self._behind_authentication(self._recorder.timings()),
            )
        )

    async def _authenticated(self, flow: Flow) -> tuple[Outgoing, Response]:
        """Exchange after exchange until the credentials want no more of them: what was sent last, and its answer."""
        outgoing = next(flow)
        while True:
            response = await self._send(outgoing)
            try:
                following = flow.send(response)
            except StopIteration:
                return outgoing, response
            if outgoing.purpose is None:
                self._take_cookies(outgoing, response)
            assert self._recorder is not None
            self._authentication += self._recorder.timings().total_tenths
            outgoing = following

    def _behind_authentication(self, timings: Timings) -> Timings:
        if not self._authentication:
            return timings
        return Timings((("authentication", self._authentication), *timings.tenths))

    async def _send(self, outgoing: Outgoing) -> Response:
        """One exchange over a connection of its own. Raises HTTPError and DoorError."""
        client = self._client
        self._sent = outgoing
        self._recorder = recorder = Recorder(client.clock, self.deadline)
        self._exchange = None
        target = outgoing.target
        tls = None
        if target.secure:
            tls = TLSSettings(
                server_name=tls_name(outgoing),
                verify=self._request.verify,
                identity=self._identity(outgoing),
                offer=self._request.offer if outgoing.purpose is None else alpn.HTTP1,
            )
        endpoint = Endpoint(host=target.host, port=target.port, tls=tls, proxy=self._proxy)
        stream = await client.door.open(endpoint, recorder)
        try:
            kind: ExchangeKind = Exchange
            if tls is not None and tls.offer != alpn.HTTP1:
                kind = agreed_exchange(stream, tls.offer)
            self._exchange = exchange = kind(stream, outgoing.method, client.limits, client.clock, recorder)
            outcome = await exchange.answer(outgoing, client.default_headers, self._cookie(outgoing))
        finally:
            stream.close()
        if isinstance(outcome, Failure):
            raise HTTPError(outcome.code, outcome.message)
        if not outcome.body:
            recorder.phases["firstByte"] += recorder.phases.pop("download", 0)
        return outcome

    def _identity(self, outgoing: Outgoing) -> ClientIdentity | None:
        """The client certificate for *outgoing*; a server that only gives out tokens sees none."""
        if self._own is None or outgoing.purpose is not None:
            return None
        return identity_for(outgoing.target.host, self._request, self._own)

    def _completed(self, response: Response, failure: Failure | None) -> Transfer:
        hops = tuple(self._hops)
        return Transfer(
            timings=_with_redirects(hops[-1].timings, hops[:-1]),
            failure=failure,
            resolution=self._resolution,
            response=response,
            hops=hops,
            trouble=self.deadline.trouble,
            handshake=self._handshake,
        )

    def _take_cookies(self, outgoing: Outgoing, response: Response) -> None:
        set_cookie = [value for name, value in response.raw_headers if name.lower() == b"set-cookie"]
        if set_cookie:
            self._cookies = self._cookies or Cookies()
            self._cookies.take(outgoing.target, set_cookie, self._client.clock.now().timestamp())

    def _cookie(self, outgoing: Outgoing) -> str | None:
        if self._cookies is None:
            return None
        written = first_value(outgoing.headers, "cookie")
        return self._cookies.header(outgoing.target, written, self._client.clock.now().timestamp())


def _with_redirects(timings: Timings, earlier: tuple[Hop, ...]) -> Timings:
    """The phases of one hop behind the sum of those before it."""
    if not earlier:
        return timings
    return Timings((("redirect", sum(hop.timings.total_tenths for hop in earlier)), *timings.tenths))
