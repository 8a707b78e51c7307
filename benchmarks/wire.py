"""What one message costs: seal and open with both kinds of key, sign and verify. `python -m benchmarks.wire` prints medians.

10 kB is a batch of ten small tests, 1 MB a push of a hundred results with a body of some kB each.
"""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from tests.support.received import ReceivedRequest, verify_request
from worker.secret import Secret
from worker.wire import envelope, keys, signing
from worker.wire.keys import PrivateKey
from worker.wire.signing import Credentials, UnsignedRequest

LOCATION = "pl:benchmark"
HOST = "intake.example.com"
SIZES = {"10 kB": 10_000, "1 MB": 1_000_000}
ROUNDS = 7
"""Medians of this many rounds of `calls` calls each: one round that was disturbed does not move them."""


def median_microseconds(call: Callable[[], object], calls: int) -> float:
    rounds = []
    for _ in range(ROUNDS):
        start = time.perf_counter_ns()
        for _ in range(calls):
            call()
        rounds.append((time.perf_counter_ns() - start) / calls / 1000)
    return statistics.median(rounds)


def report(what: str, call: Callable[[], object], *, calls: int = 100) -> None:
    call()
    print(f"{what:<40}{median_microseconds(call, calls):>10.0f} µs")


def envelopes(key: PrivateKey) -> None:
    for size, count in SIZES.items():
        payload = b"x" * count
        token = envelope.seal(payload, key.public, typ=envelope.JOBS, location=LOCATION)
        calls = 20 if count > 100_000 else 100
        report(
            f"seal {size}, {key.kind}",
            partial(envelope.seal, payload, key.public, typ=envelope.JOBS, location=LOCATION),
            calls=calls,
        )
        report(
            f"open {size}, {key.kind}",
            partial(envelope.unseal, token, [key], typ=envelope.JOBS, location=LOCATION, max_bytes=len(token)),
            calls=calls,
        )


def signatures() -> None:
    now = datetime.now(UTC)
    credentials = Credentials("benchmark", Secret("benchmark"), LOCATION)
    request = UnsignedRequest(
        method="POST",
        path="/worker/v1/pull",
        host=HOST,
        content_type="application/json",
        body=b"x" * 1000,
        worker="3f2a8a3e-6d0c-4a53-9b0e-1f2d3c4b5a69",
        seq=1,
    )
    signed = signing.sign_request(credentials, request, now)
    received = ReceivedRequest(
        method=request.method, path=request.path, headers={**signed.headers, "Host": HOST}, body=request.body
    )

    def verify() -> signing.VerifiedRequest:
        claim = signing.read_claim(received.headers)
        return verify_request(claim, credentials.secret_key, received, hosts=(HOST,), now=now)

    verified = verify()
    body = b"x" * 10_000
    headers = signing.sign_reply(verified, status=200, now=now, retry_after=None, body=body)
    report("sign a request of 1 kB", lambda: signing.sign_request(credentials, request, now), calls=1000)
    report("verify a request of 1 kB", verify, calls=1000)
    report(
        "sign a reply of 10 kB",
        lambda: signing.sign_reply(verified, status=200, now=now, retry_after=None, body=body),
        calls=1000,
    )
    report(
        "verify a reply of 10 kB",
        lambda: signing.verify_reply(signed, status=200, headers=headers, body=body),
        calls=1000,
    )


if __name__ == "__main__":
    print(f"Python {platform.python_version()}, {platform.machine()}, medians of {ROUNDS} rounds")
    signatures()
    envelopes(keys.generate("x25519"))
    envelopes(keys.generate("rsa4096"))
