"""HTTP Digest authentication (RFC 7616): one more round, in which the server's challenge is answered.

A nonce is used for one answer, as each exchange has a connection of its own and no run knows another. Of several challenges the
first that can be answered is (§3.7). Servers are untrusted: what they want repeated is bounded, and fits into a header field.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from msgspec import Struct

from worker.net.http.error import HTTPError
from worker.net.http.fields import BAD_VALUE
from worker.net.http.outgoing import Flow, Outgoing, authorized, octets
from worker.net.http.response import Response
from worker.outcome.failure import FailureCode
from worker.secret import Secret

MOST_CHALLENGE: Final = 8192
"""Characters of WWW-Authenticate that are looked through: what most servers take as one field."""
_UNAUTHORIZED: Final = 401
_ANSWERS: Final = 2
"""Answers to one server: the second where it says that the nonce of its first challenge is too old (§3.4)."""
_FIRST_USE: Final = "00000001"

_SCHEME = re.compile(r"[ \t,]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:[ \t]+|(?=,)|$)")
_PARAMETER = re.compile(
    r"""[ \t,]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([!#$%&'*+.^_`|~0-9A-Za-z-]+))"""
)
"""RFC 9110 §11.2; a quoted value is kept as it is written between the quotes, which is what is hashed and repeated."""

_HASHES: Mapping[str, str] = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}
_ECHOED = ("realm", "nonce", "opaque")


class Challenge(Struct, frozen=True, kw_only=True):
    """One Digest challenge that can be answered. *realm*, *nonce* and *opaque* are as written; *qop* is "" for RFC 2069.

    Octets that are not UTF-8 are surrogate escapes, so that they are hashed and repeated as they came.
    """

    realm: str
    nonce: str
    algorithm: str
    qop: str
    opaque: str | None = None
    stale: bool = False
    hides_username: bool = False


def new_cnonce() -> str:
    return secrets.token_hex(16)


class DigestCredentials(Struct, frozen=True, kw_only=True):
    """A user name and a password; the password crosses the wire in no form that can be used again."""

    username: str
    password: Secret[str]
    cnonce: Callable[[], str] = new_cnonce

    def flow(self, outgoing: Outgoing, _now: datetime) -> Flow:
        """Ask without them first, as only the server knows the realm and the algorithm."""
        response = yield outgoing
        for _ in range(_ANSWERS):
            challenge = challenge_of(response) if response.status == _UNAUTHORIZED else None
            if challenge is None or (outgoing.authorization and not challenge.stale):
                return
            outgoing = authorized(outgoing, self.answer(challenge, outgoing))
            response = yield outgoing

    def answer(self, challenge: Challenge, outgoing: Outgoing) -> str:
        """The value of the Authorization header (§3.4) that answers *challenge*."""
        hashed, cnonce = _hash_of(challenge.algorithm), self.cnonce()
        secret = hashed(octets(f"{self.username}:{challenge.realm}:{self.password.reveal()}"))
        if challenge.algorithm.lower().endswith("-sess"):
            secret = hashed(octets(f"{secret}:{challenge.nonce}:{cnonce}"))
        asked = f"{outgoing.method}:{outgoing.target.path}"
        if challenge.qop == "auth-int":
            asked += f":{hashed(outgoing.body or b'')}"
        middle = f"{_FIRST_USE}:{cnonce}:{challenge.qop}:" if challenge.qop else ""
        proof = hashed(octets(f"{secret}:{challenge.nonce}:{middle}{hashed(octets(asked))}"))
        return ", ".join(self._fields(challenge, outgoing.target.path, cnonce, proof))

    def _fields(self, challenge: Challenge, uri: str, cnonce: str, proof: str) -> list[str]:
        """The fields in the order of the examples (§3.9.1)."""
        username = _quotable(self.username)
        if challenge.hides_username:
            username = _hash_of(challenge.algorithm)(octets(f"{self.username}:{challenge.realm}"))
        fields = [f'Digest username="{username}"', f'realm="{challenge.realm}"', f'uri="{uri}"']
        if challenge.algorithm:
            fields.append(f"algorithm={challenge.algorithm}")
        fields.append(f'nonce="{challenge.nonce}"')
        if challenge.qop:
            fields += [f"nc={_FIRST_USE}", f'cnonce="{cnonce}"', f"qop={challenge.qop}"]
        fields.append(f'response="{proof}"')
        if challenge.opaque is not None:
            fields.append(f'opaque="{challenge.opaque}"')
        if challenge.hides_username:
            fields.append("userhash=true")
        return fields


def challenge_of(response: Response) -> Challenge | None:
    """The first Digest challenge of *response* that can be answered; None where there is no Digest challenge at all.

    Raises HTTPError where there are some and none can be answered.
    """
    written = ", ".join(
        value.decode("latin-1") for name, value in response.raw_headers if name.lower() == b"www-authenticate"
    )
    found = _digests(written[:MOST_CHALLENGE])
    answerable = (challenge for challenge in map(_challenge, found) if challenge is not None)
    first = next(answerable, None)
    if first is None and found:
        reason = "the server wants Digest authentication in a form that is malformed or not known"
        raise HTTPError(FailureCode.AUTHENTICATION_ERROR, reason)
    return first


def _digests(text: str) -> list[dict[str, str]]:
    """The parameters of each Digest challenge in *text*, which holds challenges of any scheme (RFC 9110 §11.6.1)."""
    found: list[dict[str, str]] = []
    current: dict[str, str] = {}
    at = 0
    while at < len(text):
        if (parameter := _PARAMETER.match(text, at)) is not None:
            name, quoted, token = parameter.groups()
            current.setdefault(name.lower(), quoted if quoted is not None else token)
            at = parameter.end()
        elif (scheme := _SCHEME.match(text, at)) is not None:
            current = {}
            if scheme[1].lower() == "digest":
                found.append(current)
            at = scheme.end()
        else:
            at = text.find(",", at + 1)
            at = len(text) if at < 0 else at
    return found


def _challenge(parameters: Mapping[str, str]) -> Challenge | None:
    if "realm" not in parameters or not parameters.get("nonce"):
        return None
    if any(BAD_VALUE.search(parameters.get(name, "")) for name in _ECHOED):
        return None
    algorithm = parameters.get("algorithm", "")
    offered = [each.strip(" \t").lower() for each in parameters.get("qop", "").split(",")]
    qop = next((each for each in ("auth", "auth-int") if each in offered), None if "qop" in parameters else "")
    if qop is None or _base(algorithm) not in _HASHES:
        return None
    opaque = parameters.get("opaque")
    return Challenge(
        realm=_text(parameters["realm"]),
        nonce=_text(parameters["nonce"]),
        algorithm=algorithm,
        qop=qop,
        opaque=None if opaque is None else _text(opaque),
        stale=parameters.get("stale", "").lower() == "true",
        hides_username=parameters.get("userhash", "").lower() == "true",
    )


def _text(written: str) -> str:
    return written.encode("latin-1").decode(errors="surrogateescape")


def _base(algorithm: str) -> str:
    """The name of the hash of *algorithm*; without one it is MD5 (§3.3)."""
    return algorithm.upper().removesuffix("-SESS") or "MD5"


def _hash_of(algorithm: str) -> Callable[[bytes], str]:
    name = _HASHES[_base(algorithm)]
    return lambda data: hashlib.new(name, data, usedforsecurity=False).hexdigest()


def _quotable(text: str) -> str:
    """Text inside a quoted string (RFC 9110 §5.6.4); what no field can hold is a question mark."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return "".join("?" if character < " " or character == "\x7f" else character for character in escaped)
