"""A minimal worker's side of the wire protocol, for tests of the control plane: signs, seals, and shows the reply as it came."""

from __future__ import annotations

import io
import json
import time
import uuid
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec

from worker.clock import Clock, SystemClock
from worker.errors import SignatureError
from worker.secret import Secret
from worker.wire import envelope, messages, signing
from worker.wire.identifiers import timed_uuid
from worker.wire.keys import PrivateKey, PublicKey
from worker.wire.messages import MAX_REPLY_BYTES, Jobs, Pull, Refusal, ResultItem, Results, ResultsReply

PULL = "/worker/v1/pull"
RESULTS = "/worker/v1/results"


@dataclass(frozen=True, slots=True)
class Reply:
    """*signed* says that it verified; its body was not looked at before."""

    status: int
    signed: bool
    headers: dict[str, str]
    body: bytes

    @property
    def refusal(self) -> Refusal:
        assert self.signed
        return messages.decode(Refusal, self.body)


@dataclass(slots=True)
class ProtocolWorker:
    """One worker process. Numbers its requests itself; every attribute may be changed to misbehave."""

    url: str
    location: str
    credentials: signing.Credentials
    keys: tuple[PrivateKey, ...]
    results_key: PublicKey
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    seq: dict[str, int] = field(default_factory=lambda: {PULL: 0, RESULTS: 0})
    skew: timedelta = timedelta()
    host: str | None = None
    clock: Clock = field(default_factory=SystemClock)

    @classmethod
    def from_file(cls, path: Path, url: str) -> ProtocolWorker:
        config = json.loads(path.read_text())
        return cls(
            url=url,
            location=config["id"],
            credentials=signing.Credentials(config["accessKey"], Secret(config["secretAccessKey"]), config["id"]),
            keys=(PrivateKey.from_pem(config["privateKey"]),),
            results_key=PublicKey.from_pem(config["publicKey"]["pem"], config["publicKey"]["fingerprint"]),
        )

    def another(self) -> ProtocolWorker:
        """A process of its own with the same config file."""
        return replace(self, id=str(uuid.uuid4()), seq={PULL: 0, RESULTS: 0})

    def sign(self, path: str, body: bytes, content_type: str, *, seq: int) -> signing.SignedRequest:
        request = signing.UnsignedRequest(
            method="POST",
            path=urlsplit(self.url).path + path,
            host=self.host or signing.authority(self.url),
            content_type=content_type,
            body=body,
            worker=self.id,
            seq=seq,
        )
        return signing.sign_request(self.credentials, request, self.clock.now() + self.skew)

    async def post(
        self, session: aiohttp.ClientSession, path: str, body: bytes, content_type: str, *, seq: int | None = None
    ) -> Reply:
        if seq is None:
            self.seq[path] += 1
            seq = self.seq[path]
        signed = self.sign(path, body, content_type, seq=seq)
        return await self.send(session, path, signed, body)

    async def send(
        self, session: aiohttp.ClientSession, path: str, signed: signing.SignedRequest, body: bytes
    ) -> Reply:
        """Send what was signed before, as it is: also a second time, or with another body."""
        async with session.post(self.url + path, data=io.BytesIO(body), headers=signed.headers) as response:
            content = await response.read()
            headers = {name.lower(): value for name, value in response.headers.items()}
            try:
                signing.verify_reply(signed, status=response.status, headers=headers, body=content)
            except SignatureError:
                return Reply(response.status, False, headers, content)
            return Reply(response.status, True, headers, content)

    def pull_body(self, **changes: Any) -> bytes:
        fields: dict[str, Any] = {
            "version": 1,
            "agent": "protocol-worker/1",
            "concurrency": 10,
            "free_slots": 10,
            "keys": tuple(key.kid for key in self.keys),
        }
        return messages.encode(Pull(**fields | changes))

    async def pull(self, session: aiohttp.ClientSession, **changes: Any) -> Jobs:
        reply = await self.post(session, PULL, self.pull_body(**changes), "application/json")
        return self.read_jobs(reply)

    def read_jobs(self, reply: Reply) -> Jobs:
        assert reply.signed, reply
        if reply.status == 204:
            return Jobs()
        assert reply.status == 200, reply
        token = envelope.unseal(
            reply.body, self.keys, typ=envelope.JOBS, location=self.location, max_bytes=MAX_REPLY_BYTES
        )
        return messages.decode(Jobs, token)

    def results_body(self, *items: ResultItem) -> bytes:
        payload = messages.encode(Results(reported_at=0, results=items))
        return envelope.seal(payload, self.results_key, typ=envelope.RESULTS, location=self.location)

    async def push(self, session: aiohttp.ClientSession, *items: ResultItem) -> ResultsReply:
        reply = await self.post(session, RESULTS, self.results_body(*items), "application/jose")
        assert reply.signed, reply
        assert reply.status == 200, reply
        return messages.decode(ResultsReply, reply.body)


def outcome(status: str = "passed", **members: Any) -> dict[str, Any]:
    return {"status": status, "failure": None, "timings": {"dns": 1.2, "tcp": 0.3, "total": 1.5}} | members


def item(job: messages.Job, *, result: str | None = None, **members: Any) -> ResultItem:
    return ResultItem(
        result=result or timed_uuid(time.time_ns() // 1_000_000),  # as a worker names it
        job=job.job,
        lease=job.lease,
        outcome=msgspec.Raw(msgspec.json.encode(outcome(**members))),
    )
