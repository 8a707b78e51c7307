"""What a page and its control plane send to a runner: inputs, app tokens, and the bytes of a request; answers taken apart."""

from __future__ import annotations

import asyncio
import json
import ssl
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tests.support.runner_identity import Authorities
from tests.support.waiting import PATIENCE
from worker.wire import answerproof, apptoken, compact
from worker.wire.apptoken import AppClaims
from worker.wire.keys import PublicKey
from worker.wire.order import OrderedBy
from worker.wire.signingkey import SigningKey, VerifyingKey

ORIGIN = "https://cp.example.com"
HOST = "runner.corp.example"
SALT = "AAAAAAAAAAAAAAAAAAAAAA"
NUMBER = {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}


def page_input(params: Mapping[str, Any]) -> str:
    return json.dumps({"params": dict(params), "salt": SALT})


def digest(text: str) -> str:
    return compact.digest(text.encode())


@dataclass(kw_only=True)
class TokenMint:
    """A control plane that signs whatever it is told. *now* is epoch milliseconds."""

    authorities: Authorities
    urn: str
    instance: str
    opening: PublicKey
    now: Callable[[], int]

    def claims(self, text: str, **changes: Any) -> AppClaims:
        now = self.now()
        made: dict[str, Any] = {
            "org": 1,
            "aud": self.urn,
            "ins": self.instance,
            "jti": str(uuid.uuid4()),
            "iat": now,
            "exp": now + 60_000,
            "by": OrderedBy(kind="user", id="alice@corp.example"),
            "app": "desk",
            "query": "customer",
            "version": 1,
            "action": "data.jq",
            "connection": None,
            "input": {"program": ".", "value": {"id": {"$param": "id"}}},
            "params": NUMBER,
            "select": None,
            "origin": ORIGIN,
            "digest": digest(text),
            "timeout_ms": 30_000,
        }
        return AppClaims(**made | changes)

    def seal(self, claims: AppClaims, *, key: SigningKey | None = None, opening: PublicKey | None = None) -> str:
        """Without the checks of the product: what it would not seal must be refused all the same."""
        return apptoken.seal(claims, key or self.authorities.signing, opening or self.opening)


@dataclass(kw_only=True)
class PageRequest:
    """The bytes of a request; everything may be changed before `send`."""

    token: str = ""
    text: str = ""
    method: str = "POST"
    path: str = "/v1/actions/data.jq"
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes | None = None

    def __post_init__(self) -> None:
        if not self.headers:
            self.headers = [("Host", HOST), ("Origin", ORIGIN), ("Content-Type", "application/json")]

    def set(self, name: str, value: str) -> None:
        self.headers = [(each, old) for each, old in self.headers if each != name] + [(name, value)]

    def bytes(self) -> bytes:
        body = msgspec.json.encode({"token": self.token, "input": self.text}) if self.body is None else self.body
        lines = [f"{self.method} {self.path} HTTP/1.1", *(f"{name}: {value}" for name, value in self.headers)]
        return "\r\n".join([*lines, f"Content-Length: {len(body)}", "Connection: close", "", ""]).encode() + body

    async def send(self, port: int, *, tls: ssl.SSLContext | None = None) -> PageAnswer:
        """Send it, over TLS where there is a context for it."""
        name = None if tls is None else HOST
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls, server_hostname=name)
            try:
                writer.write(self.bytes())
                head = await reader.readuntil(b"\r\n\r\n")
                answer = PageAnswer.of(head)
                answer.body = await reader.readexactly(int(answer.headers.get("content-length", 0)))
                return answer
            finally:
                writer.close()


@dataclass(kw_only=True)
class PageAnswer:
    status: int
    headers: dict[str, str]
    body: bytes = b""

    @classmethod
    def of(cls, head: bytes) -> PageAnswer:
        first, *lines = head.decode().strip().split("\r\n")
        return cls(
            status=int(first.split()[1]),
            headers={name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)},
        )

    @property
    def said(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def code(self) -> str:
        return str(self.said["error"]["code"])

    def is_proven(self, key: VerifyingKey, jti: str) -> bool:
        """Tell if the runner signed this answer, as a page checks it."""
        header = self.headers.get("x-runner-proof", "")
        return answerproof.holds(header, key, jti=jti, status=self.status, body=self.body)
