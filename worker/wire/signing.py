"""Signatures of requests and of replies, for both sides.

A request proves its location (the HMAC key), its worker and its number; a reply proves that it answers exactly that
request. Everything below is checked before a body is opened or a state is changed. The arithmetic is `sigv4`'s; this
module decides what is signed, what is refused, and with which stable code. It knows no store: that a number is newer
than the last is the control plane's to check, in the update that records it.

A request is refused either *before* its signature is known to hold (SignatureError: the answer cannot be signed) or
*after* (AuthenticRequestError: the sender knows the key; the refusal is signed, and its date may correct the sender's
clock).
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from urllib.parse import urlsplit

from msgspec import Struct

from worker.errors import SignatureError
from worker.secret import Secret
from worker.wire import sigv4
from worker.wire.bounds import MAX_EXACT, MAX_SKEW, is_instance
from worker.wire.sigv4 import PL1, Scope

YEARS = range(1970, 3000)
"""Years of the dates that are read. A clock that is corrected by the difference of two of them stays thousands of years away from
the ends of what `datetime` holds."""
REPLY = f"{PL1.algorithm}-REPLY"
"""First line of a signed reply's text: no text of a request begins so, hence neither can stand for the other."""

WORKER_HEADER = f"{PL1.header_prefix}Worker"
SEQ_HEADER = f"{PL1.header_prefix}Seq"
SIGNATURE_HEADER = f"{PL1.header_prefix}Signature"
_DATE, _CONTENT = PL1.date_header, PL1.content_header

_CLAIM_HEADERS = {"authorization": "Authorization"}
"""Headers that are read, as they are spelt, by their names in lower case."""
_REQUEST_HEADERS = {name.lower(): name for name in ("Content-Type", "Host", _CONTENT, _DATE, SEQ_HEADER, WORKER_HEADER)}
_REPLY_HEADERS = {name.lower(): name for name in (SIGNATURE_HEADER, _DATE, "Retry-After")}
SIGNED_HEADERS = tuple(sorted(_REQUEST_HEADERS))

_NAME = r"[A-Za-z0-9:._$=+-]{1,200}"
"""An access key or a location id: nothing that means something in the Authorization header or in the scope."""
_HEX = r"[0-9a-f]{64}"
_AUTHORIZATION = re.compile(
    rf"{PL1.algorithm} Credential=(?P<access_key>{_NAME})/(?P<day>[0-9]{{8}})/(?P<location>{_NAME})"
    rf"/{PL1.service}/{PL1.terminator}, ?SignedHeaders=(?P<names>[a-z0-9;-]{{1,500}}), ?Signature=(?P<signature>{_HEX})"
)
_MOMENT = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})T([0-9]{2})([0-9]{2})([0-9]{2})Z")
_SEQ = re.compile(r"[1-9][0-9]{0,15}")
_RETRY_AFTER = re.compile(r"0|[1-9][0-9]{0,8}")
_METHOD = re.compile(r"[A-Z]{1,20}")
_TARGET = re.compile(r"/[!-~]{0,4000}")
_AUTHORITY = re.compile(r"(?:[a-z0-9._-]{1,255}|\[[0-9a-f:.]{2,45}\])(?::[0-9]{1,5})?")


class Reason(StrEnum):
    """The code of a refused message. The codes are part of the protocol: `Refusal.error` and logs carry them."""

    AUTHORIZATION = "authorization"
    SIGNED_HEADERS = "signed_headers"
    REQUEST = "request"
    HEADER = "header"
    DATE = "date"
    WORKER = "worker"
    SEQ = "seq"
    SIGNATURE = "signature"
    HOST = "host"
    BODY = "body"
    SKEW = "skew"
    UNSIGNED = "unsigned"
    RETRY_AFTER = "retry_after"


@dataclass(frozen=True, slots=True)
class Credentials:
    """The key, secret and location that a worker signs with.

    Raises ValueError for an access key or location that cannot stand in a header.
    """

    access_key: str
    secret_key: Secret[str]
    location: str

    def __post_init__(self) -> None:
        for name in (self.access_key, self.location):
            if not re.fullmatch(_NAME, name):
                raise ValueError("an access key or location id is 1 to 200 letters, digits or one of : . _ - $ = +")
        if not self.secret_key:
            raise ValueError("the secret access key is empty")


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsignedRequest:
    """A request that a worker is about to send. *path* is the request target, *host* the authority of the intake's URL."""

    method: str
    path: str
    host: str
    content_type: str
    body: bytes
    worker: str
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRequest:
    """*headers* are to be sent as they are; Host is left to the client, which sends the authority that was signed.

    *key* is the one of *signature*; the reply is signed with it, too.
    """

    headers: dict[str, str]
    signature: str
    key: Secret[bytes]


class Claim(Struct, frozen=True, kw_only=True):
    """The content of an Authorization header, unproven: enough to look up the secret."""

    access_key: str
    location: str
    day: str
    signature: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedHead:
    """*path* is the request target as on the request line; *headers* a multidict, so that duplicates are seen."""

    method: str
    path: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedRequest:
    """A request whose signature holds. *key* signs the reply, *content* is the SHA-256 that the body must have."""

    access_key: str
    location: str
    worker: str
    seq: int
    signature: str
    content: str
    key: Secret[bytes]


class AuthenticRequestError(SignatureError):
    """Signed with the right key and refused all the same (host, body, skew): the refusal is signed, for *verified*."""

    def __init__(self, reason: str, text: str, verified: VerifiedRequest) -> None:
        super().__init__(reason, text)
        self.verified = verified


@lru_cache(maxsize=64)
def authority(text: str) -> str:
    """Host and port in the one spelling that is signed: lower case, without `:80` or `:443`.

    Takes a URL, or an authority alone. Raises ValueError for what is neither.
    """
    found = (urlsplit(text).netloc if "://" in text else text).rpartition("@")[2].lower()
    found = found.removesuffix(":443").removesuffix(":80")
    if not _AUTHORITY.fullmatch(found):
        raise ValueError("neither a URL nor a host with an optional port")
    return found


def sign_request(credentials: Credentials, request: UnsignedRequest, now: datetime) -> SignedRequest:
    """Sign one request. *now* is aware, and corrected by what signed replies said.

    Raises ValueError for what no control plane would accept.
    """
    moment = sigv4.timestamp(now)
    scope = Scope(day=moment[:8], region=credentials.location)
    headers = {
        "Content-Type": request.content_type,
        _CONTENT: sigv4.sha256_hex(request.body),
        _DATE: moment,
        SEQ_HEADER: str(request.seq),
        WORKER_HEADER: request.worker,
    }
    if not is_instance(request.worker) or _seq(headers[SEQ_HEADER]) is None:
        raise ValueError("a worker is a UUID, its requests are numbered from 1")
    if not _METHOD.fullmatch(request.method) or not _TARGET.fullmatch(request.path):
        raise ValueError("a method is upper case, a path begins with a slash and is printable ASCII")
    key = sigv4.signing_key(PL1, scope, credentials.secret_key)
    signature = _request_signature(
        key, scope, request.method, request.path, {**headers, "Host": authority(request.host)}
    )
    headers["Authorization"] = (
        f"{PL1.algorithm} Credential={credentials.access_key}/{scope.text(PL1)}, "
        f"SignedHeaders={';'.join(SIGNED_HEADERS)}, Signature={signature}"
    )
    return SignedRequest(headers=headers, signature=signature, key=key)


def _request_signature(key: Secret[bytes], scope: Scope, method: str, target: str, headers: Mapping[str, str]) -> str:
    canonical = sigv4.canonical_request(method, target, headers.items(), headers[_CONTENT])
    return sigv4.signature(key, sigv4.string_to_sign(PL1, scope, headers[_DATE], canonical))


def read_claim(headers: Mapping[str, str]) -> Claim:
    """Read the Authorization header. Raises SignatureError (authorization, signed_headers)."""
    found = _AUTHORIZATION.fullmatch(
        _present(_values(headers, _CLAIM_HEADERS), "Authorization", missing=Reason.AUTHORIZATION)
    )
    if found is None:
        raise SignatureError(Reason.AUTHORIZATION, f"the Authorization header is not one of {PL1.algorithm}")
    if found["names"] != ";".join(SIGNED_HEADERS):
        raise SignatureError(Reason.SIGNED_HEADERS, f"exactly these headers are signed: {', '.join(SIGNED_HEADERS)}")
    return Claim(
        access_key=found["access_key"], location=found["location"], day=found["day"], signature=found["signature"]
    )


def verify_head(
    claim: Claim, secret: Secret[str], received: ReceivedHead, *, hosts: Collection[str], now: datetime
) -> VerifiedRequest:
    """Check everything that a request can prove before its body is read; `verify_body` is for the rest.

    *hosts* are the control plane's public URLs or authorities. An ingress may have rewritten Host, so the signature
    is tried with the received one and with each public one; it must hold with a public one. Raises SignatureError
    before the signature is known to hold, AuthenticRequestError (host, skew) after.
    """
    if not _METHOD.fullmatch(received.method) or not _TARGET.fullmatch(received.path):
        raise SignatureError(Reason.REQUEST, "the method or path is not one of this protocol")
    headers = _signed_headers(received.headers)
    moment = _moment(headers[_DATE])
    if headers[_DATE][:8] != claim.day:
        raise SignatureError(Reason.DATE, f"{_DATE} and the credential scope name different days")
    worker, seq = headers[WORKER_HEADER], _seq(headers[SEQ_HEADER])
    if not is_instance(worker):
        raise SignatureError(Reason.WORKER, f"{WORKER_HEADER} is not a UUID in its canonical form")
    if seq is None:
        raise SignatureError(Reason.SEQ, f"{SEQ_HEADER} is not a whole number from 1 to 2^53 in its canonical form")

    scope = Scope(day=claim.day, region=claim.location)
    key = sigv4.signing_key(PL1, scope, secret)
    public = {authority(host) for host in hosts}

    def holds_for(host: str) -> bool:
        expected = _request_signature(key, scope, received.method, received.path, {**headers, "Host": host})
        return hmac.compare_digest(expected, claim.signature)

    signed_host = next(filter(holds_for, (headers["Host"], *sorted(public))), None)
    if signed_host is None:
        raise SignatureError(Reason.SIGNATURE, "the signature does not hold")

    verified = VerifiedRequest(
        access_key=claim.access_key,
        location=claim.location,
        worker=worker,
        seq=seq,
        signature=claim.signature,
        content=headers[_CONTENT],
        key=key,
    )
    if signed_host not in public:
        raise AuthenticRequestError(Reason.HOST, "signed for a host that is not one of this control plane's", verified)
    if abs(now - moment) > MAX_SKEW:
        raise AuthenticRequestError(Reason.SKEW, "the clocks are more than 5 minutes apart", verified)
    return verified


def verify_body(verified: VerifiedRequest, body: bytes) -> None:
    """Check that *body* is the one that was signed. Raises AuthenticRequestError (body)."""
    if not hmac.compare_digest(verified.content, sigv4.sha256_hex(body)):
        raise AuthenticRequestError(Reason.BODY, f"the body is not the one that {_CONTENT} names", verified)


def sign_reply(
    verified: VerifiedRequest, *, status: int, now: datetime, retry_after: str | None, body: bytes
) -> dict[str, str]:
    """The headers that make a reply count. *retry_after* is whole seconds; the body must be sent as it is."""
    if retry_after is not None and not _RETRY_AFTER.fullmatch(retry_after):
        raise ValueError("Retry-After is given in whole seconds")
    moment = sigv4.timestamp(now)
    text = _reply_text(status, moment, retry_after, verified.signature, body)
    headers = {_DATE: moment, SIGNATURE_HEADER: sigv4.signature(verified.key, text)}
    if retry_after is not None:
        headers["Retry-After"] = retry_after
    return headers


def _reply_text(status: int, moment: str, retry_after: str | None, signature: str, body: bytes) -> str:
    return "\n".join((REPLY, str(status), moment, retry_after or "", signature, sigv4.sha256_hex(body)))


def verify_reply(signed: SignedRequest, *, status: int, headers: Mapping[str, str], body: bytes) -> datetime:
    """Check that this reply is the control plane's answer to *signed*; returns its date, which may correct a clock.

    Raises SignatureError: `unsigned` where there is no signature at all (a proxy, a wrong host), otherwise what is
    wrong.
    """
    found = _values(headers, _REPLY_HEADERS)
    given = _present(found, SIGNATURE_HEADER, missing=Reason.UNSIGNED)
    date = _present(found, _DATE)
    moment = _moment(date)
    retry_after = found.get("Retry-After")
    if retry_after is not None and not _RETRY_AFTER.fullmatch(retry_after):
        raise SignatureError(Reason.RETRY_AFTER, "Retry-After is not in whole seconds")
    expected = sigv4.signature(signed.key, _reply_text(status, date, retry_after, signed.signature, body))
    if not re.fullmatch(_HEX, given) or not hmac.compare_digest(expected, given):
        raise SignatureError(Reason.SIGNATURE, "the reply's signature does not hold")
    return moment


def _signed_headers(headers: Mapping[str, str]) -> dict[str, str]:
    values = _values(headers, _REQUEST_HEADERS)
    found = {name: _present(values, name) for name in _REQUEST_HEADERS.values()}
    if not re.fullmatch(_HEX, found[_CONTENT]):
        raise SignatureError(Reason.HEADER, f"{_CONTENT} is not 64 lower-case hexadecimal digits")
    try:
        found["Host"] = authority(found["Host"])
    except ValueError as error:
        raise SignatureError(Reason.HEADER, "the Host header is malformed") from error
    return found


def _values(headers: Mapping[str, str], names: Mapping[str, str]) -> dict[str, str]:
    """Those of the headers *names* that there are, each once, by their spelling. Raises SignatureError."""
    found: dict[str, str] = {}
    for key, value in headers.items():
        name = names.get(key.lower())
        if name is None:
            continue
        if name in found:
            raise SignatureError(Reason.HEADER, f"more than one {name} header")
        if not (value.isascii() and value.isprintable()):
            raise SignatureError(Reason.HEADER, f"the {name} header is not printable ASCII")
        found[name] = value
    return found


def _present(values: Mapping[str, str], name: str, *, missing: Reason = Reason.HEADER) -> str:
    if name not in values:
        raise SignatureError(missing, f"no {name} header")
    return values[name]


def _moment(text: str) -> datetime:
    refusal = SignatureError(Reason.DATE, f"{_DATE} is not a time in the form yyyymmddThhmmssZ")
    found = _MOMENT.fullmatch(text)
    if found is None:
        raise refusal
    year, month, day, hour, minute, second = map(int, found.groups())
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError as error:
        raise refusal from error
    if moment.year not in YEARS:
        raise SignatureError(Reason.DATE, f"{_DATE} is not a time of the years {YEARS[0]} to {YEARS[-1]}")
    return moment


def _seq(text: str) -> int | None:
    if not _SEQ.fullmatch(text) or int(text) > MAX_EXACT:
        return None
    return int(text)
