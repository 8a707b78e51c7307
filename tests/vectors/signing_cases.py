"""Makes signing.json: requests and replies under PL1 with each step shown, their tampered twins, and what each is refused for.

This is an implementation of its own, after docs/protocol.md, for the plain requests of the protocol; it uses nothing from
`worker`. A twin is a good message changed after signing; a case "signed so" was signed as it stands and is refused all the same.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Any
from urllib.parse import quote

Case = dict[str, Any]

WARNING = "TEST KEYS. They are published with the source code and protect nothing. Never use them."
ACCESS_KEY = "00112233445566778899aabbccddeeff"
SECRET_KEY = "test-secret-test-secret-test-secret-test-secret-test-secret-test"
LOCATION = "pl:office-0123456789abcdef0123456789abcdef"
WORKER = "3f2a8a3e-6d0c-4a53-9b0e-1f2d3c4b5a69"
HOST = "intake.example.com"
HOSTS = [f"https://{HOST}", "https://intake.example.com:8443/pl"]
NOW = "20260102T030405Z"
REPLIED = "20260102T030407Z"
PULL = (
    '{"version":1,"agent":"0.1.0","concurrency":10,"free_slots":10,"holding":[],"release":[],'
    '"keys":["sha256$base64$AAAA"],"draining":false,"degraded":null}'
)
NAMES = "content-type;host;x-pl-content-sha256;x-pl-date;x-pl-seq;x-pl-worker"


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def mac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def derive(day: str, location: str = LOCATION) -> bytes:
    key = b"PL1" + SECRET_KEY.encode()
    for part in (day, location, "synthetics", "pl1_request"):
        key = mac(key, part)
    return key


def sign(name: str, *, path: str = "/worker/v1/pull", body: str = PULL, **changes: str) -> Case:
    """One signed POST with every step. *changes* are headers, with underscores for dashes, signed as they are."""
    given = {
        "content-type": "application/json",
        "host": HOST,
        "x-pl-content-sha256": digest(body.encode()),
        "x-pl-date": NOW,
        "x-pl-seq": "1",
        "x-pl-worker": WORKER,
    }
    given.update({key.replace("_", "-"): value for key, value in changes.items()})
    lines = "".join(f"{key}:{' '.join(given[key].split())}\n" for key in sorted(given))
    hashed = given["x-pl-content-sha256"]
    canonical = f"POST\n{quote(path, safe='/-._~')}\n\n{lines}\n{NAMES}\n{hashed}"
    moment = given["x-pl-date"]
    scope = f"{moment[:8]}/{LOCATION}/synthetics/pl1_request"
    text = f"PL1-HMAC-SHA256\n{moment}\n{scope}\n{digest(canonical.encode())}"
    signature = mac(derive(moment[:8]), text).hex()
    authorization = f"PL1-HMAC-SHA256 Credential={ACCESS_KEY}/{scope}, SignedHeaders={NAMES}, Signature={signature}"
    headers = [[key.title().replace("Pl-", "PL-").replace("Sha", "SHA"), value] for key, value in given.items()]
    return {
        "name": name,
        "method": "POST",
        "path": path,
        "headers": [*headers, ["Authorization", authorization]],
        "body": body,
        "canonical_request": canonical,
        "string_to_sign": text,
        "signing_key_hex": derive(moment[:8]).hex(),
        "signature": signature,
        "worker": given["x-pl-worker"],
        "seq": int(given["x-pl-seq"]) if given["x-pl-seq"].isdecimal() else None,
    }


def requests() -> list[Case]:
    behind = sign("an ingress rewrote Host: the signature holds for a public host")
    behind["headers"] = [[k, "controlplane.svc:8080"] if k == "Host" else [k, v] for k, v in behind["headers"]]
    return [
        sign("a pull"),
        sign(
            "a push of results",
            path="/worker/v1/results",
            body="eyJ0aGlzIjoiaXMgbm8gSldFIn0.AA.AA.AA.AA",
            content_type="application/jose",
            x_pl_seq="2",
        ),
        sign("a path prefix and a port", path="/pl/worker/v1/pull", host="intake.example.com:8443"),
        sign("a prefix that is percent-encoded, once more in the canonical request", path="/my%20pl/worker/v1/pull"),
        sign("an empty body", body=""),
        sign("the largest number", x_pl_seq="9007199254740992"),
        sign("five minutes ago", x_pl_date="20260102T025905Z"),
        sign("five minutes ahead", x_pl_date="20260102T030905Z"),
        sign("a run of blanks in a value counts as one space", content_type="application/json;   charset=utf-8"),
        behind,
    ]


def twin(name: str, reason: str, *, proven: bool = False, old: str = "", new: str = "", **fields: Any) -> Case:
    """The good pull with fields replaced, and *old* replaced by *new* in its headers."""
    good = sign(name)
    headers = [[key, value.replace(old, new) if old else value] for key, value in good["headers"]]
    assert not old or headers != good["headers"]
    case = {key: good[key] for key in ("name", "method", "path", "body")} | {"headers": headers} | fields
    return case | {"reason": reason, "refusal_is_signed": proven}


def signed_so(name: str, reason: str, *, proven: bool = False, **changes: str) -> Case:
    good = sign(name, **changes)
    case = {key: good[key] for key in ("name", "method", "path", "headers", "body")}
    return case | {"name": f"signed so: {name}", "reason": reason, "refusal_is_signed": proven}


def with_headers(name: str, reason: str, *, drop: str = "", add: tuple[str, str] | None = None) -> Case:
    case = twin(name, reason)
    case["headers"] = [pair for pair in case["headers"] if pair[0] != drop] + ([list(add)] if add else [])
    return case


def refused_requests() -> list[Case]:
    signature = sign("")["signature"]
    flipped = signature[:-1] + format(int(signature[-1], 16) ^ 1, "x")
    return [
        twin("one bit of the signature", "signature", old=signature, new=flipped),
        twin("one bit of the body", "body", proven=True, body=PULL.replace("10", "11", 1)),
        twin("one bit of the method", "signature", method="QOST"),
        twin("one bit of the path", "signature", path="/worker/v1/qull"),
        twin("a query added", "signature", path="/worker/v1/pull?a=1"),
        twin("one bit of the content type", "signature", old="application/json", new="application/jsoo"),
        twin("one bit of the date", "signature", old="T030405Z", new="T030404Z"),
        twin("one bit of the sequence number", "signature", headers=replaced("X-PL-Seq", "3")),
        twin("one bit of the worker", "signature", old="3f2a8a3e", new="2f2a8a3e"),
        twin(
            "one bit of the body's hash", "signature", old=digest(PULL.encode())[:8], new=bit(digest(PULL.encode())[:8])
        ),
        twin("one bit of the location", "signature", old="/pl:office", new="/pl:nffice"),
        twin("one bit of the scope's day", "date", old="/20260102/", new="/20260103/"),
        twin("one bit of the scope's service", "authorization", old="/synthetics/", new="/syntheticr/"),
        twin("one bit of the algorithm", "authorization", old="PL1-HMAC", new="PL0-HMAC"),
        twin("one bit of the list of signed headers", "signed_headers", old="=content-type", new="=content-typd"),
        twin("a signed header left out of the list", "signed_headers", old="content-type;", new=""),
        twin("the list in another order", "signed_headers", old="content-type;host", new="host;content-type"),
        with_headers("a header missing", "header", drop="X-PL-Worker"),
        with_headers("a header twice", "header", add=("X-Pl-Seq", "1")),
        with_headers("no Authorization", "authorization", drop="Authorization"),
        with_headers("two Authorizations", "header", add=("authorization", "Basic Zm9v")),
        signed_so("for another host", "host", proven=True, host="intake.example.net"),
        signed_so("for another port", "host", proven=True, host="intake.example.com:8444"),
        signed_so("more than five minutes ago", "skew", proven=True, x_pl_date="20260102T025904Z"),
        signed_so("more than five minutes ahead", "skew", proven=True, x_pl_date="20260102T030906Z"),
        signed_so("yesterday, under yesterday's key", "skew", proven=True, x_pl_date="20260101T030405Z"),
        signed_so("the hash of another body", "body", proven=True, x_pl_content_sha256=digest(b"")),
        signed_so("an unsigned payload", "header", x_pl_content_sha256="UNSIGNED-PAYLOAD"),
        signed_so("no date", "date", x_pl_date="20260102 030405Z"),
        signed_so("number 0", "seq", x_pl_seq="0"),
        signed_so("a number with a leading zero", "seq", x_pl_seq="01"),
        signed_so("a number with a sign", "seq", x_pl_seq="+1"),
        signed_so("a number above 2^53", "seq", x_pl_seq="9007199254740993"),
        signed_so("a worker that is no UUID", "worker", x_pl_worker="worker-1"),
        signed_so("a UUID in upper case", "worker", x_pl_worker=WORKER.upper()),
        signed_so("a path without a slash", "request", path="worker/v1/pull"),
    ]


def replaced(name: str, value: str) -> list[list[str]]:
    return [[key, value if key == name else old] for key, old in sign("")["headers"]]


def bit(hexadecimal: str) -> str:
    """The lowest bit of the first digit changed."""
    return format(int(hexadecimal[0], 16) ^ 1, "x") + hexadecimal[1:]


def reply(name: str, status: int, body: str, *, retry_after: str | None = None) -> Case:
    """The answer to the first request."""
    request = sign("")
    text = "\n".join(
        (
            "PL1-HMAC-SHA256-REPLY",
            str(status),
            REPLIED,
            retry_after or "",
            request["signature"],
            digest(body.encode()),
        )
    )
    signature = mac(derive(NOW[:8]), text).hex()
    headers = [["X-PL-Date", REPLIED], ["X-PL-Signature", signature]]
    if retry_after is not None:
        headers.append(["Retry-After", retry_after])
    return {
        "name": name,
        "request": "a pull",
        "status": status,
        "headers": headers,
        "body": body,
        "text": text,
        "signature": signature,
        "date": REPLIED,
    }


BUSY = '{"error":"busy","message":"come back later"}'


def replies() -> list[Case]:
    return [
        reply("nothing to do", 204, ""),
        reply("a refusal", 409, '{"error":"sequence","message":"that number has been used","last":41}'),
        reply("not now", 503, BUSY, retry_after="30"),
    ]


def refused_replies() -> list[Case]:
    def twin_of(name: str, reason: str, *, old: str = "", new: str = "", **fields: Any) -> Case:
        good = reply(name, 503, BUSY, retry_after="30")
        headers = [[key, value.replace(old, new) if old else value] for key, value in good["headers"]]
        case = {key: good[key] for key in ("name", "request", "status", "body")} | {"headers": headers, **fields}
        return case | {"reason": reason}

    good = reply("", 503, BUSY, retry_after="30")
    signature = good["signature"]
    return [
        twin_of("one bit of the signature", "signature", old=signature, new=bit(signature)),
        twin_of("one bit of the body", "signature", body=BUSY.replace("busy", "bury")),
        twin_of("one bit of the status", "signature", status=502),
        twin_of("one bit of the date", "signature", old=REPLIED, new="20260102T030406Z"),
        twin_of("one bit of Retry-After", "signature", headers=[*good["headers"][:2], ["Retry-After", "31"]]),
        twin_of("Retry-After taken out", "signature", headers=good["headers"][:2]),
        twin_of("the answer to another request", "signature", request="a push of results"),
        twin_of("no signature", "unsigned", headers=[["Server", "proxy"]]),
        twin_of("no date", "header", headers=[good["headers"][1], good["headers"][2]]),
        twin_of("a date of another form", "date", old=REPLIED, new="Fri, 02 Jan 2026 03:04:07 GMT"),
        twin_of("two signatures", "header", headers=[*good["headers"], ["x-pl-signature", signature]]),
        twin_of(
            "Retry-After as a date", "retry_after", headers=[*good["headers"][:2], ["Retry-After", "Fri, 02 Jan 2026"]]
        ),
        twin_of("a request's signature in place of a reply's", "signature", old=signature, new=sign("")["signature"]),
    ]


def document() -> Case:
    return {
        "warning": WARNING,
        "credentials": {"access_key": ACCESS_KEY, "secret_key": SECRET_KEY, "location": LOCATION},
        "now": NOW,
        "hosts": HOSTS,
        "requests": requests(),
        "refused_requests": refused_requests(),
        "replies": replies(),
        "refused_replies": refused_replies(),
    }
