"""The server's side of HTTP Digest, written from RFC 7616 §3.4 with the standard library's reader of header lists."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from urllib.request import parse_http_list, parse_keqv_list

from tests.support.servers.http import Seen, reply

_HASHES = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}


@dataclass(kw_only=True)
class DigestGate:
    """Answers requests; those of *username* with *password* get through. *stale* nonces are refused once each, as too old."""

    username: str = "Mufasa"
    password: str = "Circle of Life"
    realm: str = "http-auth@example.org"
    algorithm: str | None = "SHA-256"
    qop: str | None = "auth"
    opaque: str | None = None
    stale: int = 0
    before: str = ""
    """What stands before the Digest challenge in WWW-Authenticate."""
    challenges: int = 0
    accepted: int = 0
    fields: list[dict[str, str]] = field(default_factory=list)
    """Those of each Authorization that came."""

    def __call__(self, seen: Seen) -> bytes:
        written = seen.header("Authorization")
        if written is None:
            return self._challenge()
        scheme, _, rest = written.partition(" ")
        assert scheme == "Digest"
        fields = parse_keqv_list(parse_http_list(rest.encode("latin-1").decode()))
        self.fields.append(fields)
        if fields["nonce"] == self._nonce() and self.challenges <= self.stale:
            return self._challenge(stale=True)
        if fields["nonce"] != self._nonce() or fields["uri"] != seen.target or not self._proves(fields, seen):
            return self._challenge()
        self.accepted += 1
        return reply(b"in")

    def _nonce(self) -> str:
        return f"n+{self.challenges}/="

    def _challenge(self, *, stale: bool = False) -> bytes:
        self.challenges += 1
        parts = [f'realm="{self.realm}"', f'nonce="{self._nonce()}"']
        parts += [f'qop="{self.qop}"'] if self.qop is not None else []
        parts += [f"algorithm={self.algorithm}"] if self.algorithm is not None else []
        parts += [f'opaque="{self.opaque}"'] if self.opaque is not None else []
        parts += ["stale=true"] if stale else []
        header = f"WWW-Authenticate: {self.before}Digest {', '.join(parts)}"
        return reply(b"who?", status="401 Unauthorized", headers=(header, "Connection: close"))

    def _proves(self, fields: dict[str, str], seen: Seen) -> bool:
        assert fields["username"] == self.username
        assert (fields["realm"], fields.get("opaque")) == (self.realm, self.opaque)
        name = self.algorithm or "MD5"
        make = _HASHES[name.removesuffix("-sess")]

        def h(text: str | bytes) -> str:
            return make(text.encode() if isinstance(text, str) else text).hexdigest()

        a1 = f"{self.username}:{self.realm}:{self.password}"
        if name.endswith("-sess"):
            a1 = f"{h(a1)}:{fields['nonce']}:{fields['cnonce']}"
        qop = fields.get("qop")
        assert (qop is None) == (self.qop is None)
        a2 = f"{seen.method}:{fields['uri']}" + (f":{h(seen.body)}" if qop == "auth-int" else "")
        if qop is None:
            return fields["response"] == h(f"{h(a1)}:{fields['nonce']}:{h(a2)}")
        assert qop in [each.strip() for each in (self.qop or "").split(",")]
        assert fields["nc"] == "00000001"
        middle = ":".join((fields["nonce"], fields["nc"], fields["cnonce"], qop))
        return fields["response"] == h(f"{h(a1)}:{middle}:{h(a2)}")
