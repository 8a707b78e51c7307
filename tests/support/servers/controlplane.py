"""The smallest peer that speaks the worker protocol: it checks each request and answers what the test told it to.

It is for tests of the worker's client alone; the real control plane has its own.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from aiohttp import web

from tests.support.received import ReceivedRequest, verify_request
from worker.secret import Secret
from worker.wire import envelope, messages, signing, sigv4
from worker.wire.keys import PrivateKey, generate
from worker.wire.messages import Jobs, Pull, Results

CREDENTIALS = signing.Credentials("access", Secret("5ecret" * 10), "pl:test-0123")


@dataclass(frozen=True)
class Answer:
    """A reply to send; *tamper* changes it after signing, *signed* False sends it without a signature.

    *date* is signed as it stands.
    """

    status: int = 204
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    signed: bool = True
    retry_after: str | None = None
    date: str | None = None
    tamper: Callable[[web.Response], web.StreamResponse] | None = None


class ProtocolServer:
    """Answers come from *answers*, in turn; with none left a pull gets 204 and a push gets everything accepted."""

    def __init__(self) -> None:
        self.location_key = generate("x25519")
        self.results_key = generate("x25519")
        self.answers: deque[Answer] = deque()
        self.seen: list[tuple[str, int]] = []
        self.bodies: list[bytes] = []
        self.request_headers: list[dict[str, str]] = []
        self.clock_ahead = timedelta()
        self.url = ""

    def jobs(self, jobs: Jobs, key: PrivateKey | None = None) -> Answer:
        sealed = envelope.seal(
            messages.encode(jobs), (key or self.location_key).public, typ=envelope.JOBS, location=CREDENTIALS.location
        )
        return Answer(200, sealed, {"Content-Type": "application/jose"})

    @staticmethod
    def refusal(status: int, error: str, **more: Any) -> Answer:
        return Answer(status, json.dumps({"error": error, "message": "because", **more}).encode())

    def pulls(self) -> list[Pull]:
        return [
            messages.decode(Pull, body)
            for (path, _), body in zip(self.seen, self.bodies, strict=True)
            if "pull" in path
        ]

    def results(self, body: bytes) -> Results:
        opened = envelope.unseal(
            body,
            [self.results_key],
            typ=envelope.RESULTS,
            location=CREDENTIALS.location,
            max_bytes=messages.MAX_PUSH_BYTES,
        )
        return messages.decode(Results, opened)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        now = datetime.now(UTC) + self.clock_ahead
        claim = signing.read_claim(request.headers)
        received = ReceivedRequest(method=request.method, path=request.path_qs, headers=request.headers, body=body)
        hosts = [self.url]
        try:
            verified = verify_request(claim, CREDENTIALS.secret_key, received, hosts=hosts, now=now)
        except signing.AuthenticRequestError as error:
            verified = error.verified
            return self._reply(verified, self.refusal(401, str(error.reason)), now)
        self.seen.append((request.path, verified.seq))
        self.bodies.append(body)
        self.request_headers.append(dict(request.headers))
        answer = self.answers.popleft() if self.answers else self._default(request.path, body)
        return self._reply(verified, answer, now)

    def _default(self, path: str, body: bytes) -> Answer:
        if path.endswith("/pull"):
            return Answer()
        accepted = [item.result for item in self.results(body).results]
        return Answer(200, orjson.dumps({"accepted": accepted}))

    @staticmethod
    def _reply(verified: signing.VerifiedRequest, answer: Answer, now: datetime) -> web.StreamResponse:
        headers = dict(answer.headers)
        if answer.signed:
            headers |= signing.sign_reply(
                verified, status=answer.status, now=now, retry_after=answer.retry_after, body=answer.body
            )
        elif answer.retry_after:
            headers["Retry-After"] = answer.retry_after
        if answer.date is not None:
            text = (signing.REPLY, str(answer.status), answer.date, answer.retry_after or "", verified.signature)
            headers["X-PL-Date"] = answer.date
            headers[signing.SIGNATURE_HEADER] = sigv4.signature(
                verified.key, "\n".join((*text, sigv4.sha256_hex(answer.body)))
            )
        response = web.Response(status=answer.status, body=answer.body, headers=headers)
        return answer.tamper(response) if answer.tamper else response


@asynccontextmanager
async def protocol_server(prefix: str = "") -> AsyncIterator[ProtocolServer]:
    server = ProtocolServer()
    application = web.Application(client_max_size=messages.MAX_PUSH_BYTES)
    application.router.add_post(prefix + "/worker/v1/{endpoint}", server.handle)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}{prefix}"
    try:
        yield server
    finally:
        await runner.cleanup()
