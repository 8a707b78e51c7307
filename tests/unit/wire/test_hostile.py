"""Whatever bytes arrive, the answer is a value or an error of the WireError family, and a changed bit is always
noticed."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from tests.support.received import ReceivedRequest, verify_request
from worker.errors import EnvelopeError, MessageError, SignatureError
from worker.secret import Secret
from worker.wire import envelope, keys, messages, signing
from worker.wire.keys import PrivateKey, PublicKey
from worker.wire.signing import Credentials, UnsignedRequest

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
HOST = "intake.example.com"
LOCATION = "pl:office-0123456789abcdef"
CREDENTIALS = Credentials("0123456789abcdef", Secret("a test's secret"), LOCATION)
REQUEST = UnsignedRequest(
    method="POST",
    path="/worker/v1/pull",
    host=HOST,
    content_type="application/json",
    body=b'{"version":1}',
    worker="3f2a8a3e-6d0c-4a53-9b0e-1f2d3c4b5a69",
    seq=1,
)
SIGNED = signing.sign_request(CREDENTIALS, REQUEST, NOW)
RECEIVED = ReceivedRequest(
    method=REQUEST.method, path=REQUEST.path, headers={**SIGNED.headers, "Host": HOST}, body=REQUEST.body
)
unlimited = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


Value = TypeVar("Value")
Error = TypeVar("Error", bound=Exception)


def verify(received: ReceivedRequest) -> signing.VerifiedRequest:
    """As a control plane does it: the access key names the secret, and is covered by no more than that."""
    claim = signing.read_claim(received.headers)
    secret = CREDENTIALS.secret_key if claim.access_key == CREDENTIALS.access_key else Secret("another's secret")
    return verify_request(claim, secret, received, hosts=[HOST], now=NOW)


def attempt(call: Callable[[], Value], expected: type[Error]) -> Value | Error:
    """What *call* returns or the *expected* error that it raises; any other error fails the test."""
    try:
        return call()
    except expected as error:
        return error


def unseal(token: bytes, *held: PrivateKey) -> bytes:
    return envelope.unseal(token, held, typ="pl-jobs", location=LOCATION, max_bytes=100_000)


def flips(data: bytes) -> Iterator[bytes]:
    for at in range(len(data)):
        for bit in range(8):
            yield data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


def text_flips(text: str) -> Iterator[str]:
    yield from (changed.decode("latin-1") for changed in flips(text.encode()))


def test_each_bit_of_a_request_is_covered() -> None:
    assert verify(RECEIVED)
    for name in ("Authorization", "Content-Type", "X-PL-Content-SHA256", "X-PL-Date", "X-PL-Seq", "X-PL-Worker"):
        for value in text_flips(RECEIVED.headers[name]):
            with pytest.raises(SignatureError):
                verify(replace(RECEIVED, headers={**RECEIVED.headers, name: value}))
    for path in text_flips(RECEIVED.path):
        with pytest.raises(SignatureError):
            verify(replace(RECEIVED, path=path))
    for body in flips(RECEIVED.body):
        with pytest.raises(SignatureError):
            verify(replace(RECEIVED, body=body))


def test_each_bit_of_a_reply_is_covered() -> None:
    headers = signing.sign_reply(verify(RECEIVED), status=503, now=NOW, retry_after="30", body=b"busy")

    def read(headers: dict[str, str], body: bytes = b"busy") -> datetime:
        return signing.verify_reply(SIGNED, status=503, headers=headers, body=body)

    assert read(headers) == NOW
    for name, right in headers.items():
        for value in text_flips(right):
            with pytest.raises(SignatureError):
                read({**headers, name: value})
    for body in flips(b"busy"):
        with pytest.raises(SignatureError):
            read(headers, body)


def test_each_bit_of_an_envelope_is_covered(x25519_key: PrivateKey) -> None:
    token = envelope.seal(b"payload", x25519_key.public, typ="pl-jobs", location=LOCATION)
    assert unseal(token, x25519_key)
    for changed in flips(token):
        with pytest.raises(EnvelopeError):
            unseal(changed, x25519_key)


def test_a_token_cut_short_or_run_on_is_refused(x25519_key: PrivateKey) -> None:
    token = envelope.seal(b"payload", x25519_key.public, typ="pl-jobs", location=LOCATION)
    cut_short = [token[:end] for end in range(len(token))]
    for other in (*cut_short, token + b"A", token + b"AA", token + b"\x00", b" " + token):
        with pytest.raises(EnvelopeError):
            unseal(other, x25519_key)


@unlimited
@given(st.binary(max_size=300) | st.lists(st.binary(max_size=40), min_size=5, max_size=5).map(b".".join))
def test_bytes_are_no_envelope(x25519_key: PrivateKey, rsa_key: PrivateKey, token: bytes) -> None:
    with pytest.raises(EnvelopeError):
        unseal(token, x25519_key, rsa_key)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@unlimited
@given(
    data=st.data(),
    kind=st.sampled_from(["x25519", "rsa"]),
    rest=st.lists(st.binary(max_size=600), min_size=4, max_size=4),
)
def test_a_header_of_any_shape_is_refused(
    data: st.DataObject, kind: str, rest: list[bytes], x25519_key: PrivateKey, rsa_key: PrivateKey
) -> None:
    """Values of any type in the right names, and segments of any size: nothing but an EnvelopeError comes out."""
    key = {"x25519": x25519_key, "rsa": rsa_key}[kind]
    token = envelope.seal(b"x", key.public, typ="pl-jobs", location=LOCATION)
    right = json.loads(decode(token.split(b".")[0]))
    x = data.draw(st.binary(min_size=32, max_size=32))
    epk = {"kty": "OKP", "crv": "X25519", "x": encode(x).decode()}
    changes: dict[str, Any] = data.draw(
        st.dictionaries(st.sampled_from([*right, "zip", "crit"]), anything | st.just(epk), max_size=2)
    )
    header = json.dumps({**right, **changes}).encode()
    with pytest.raises(EnvelopeError):
        unseal(b".".join(encode(part) for part in (header, *rest)), x25519_key, rsa_key)


def encode(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def decode(text: bytes) -> bytes:
    return base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))


def test_a_header_nested_beyond_reason_is_refused(x25519_key: PrivateKey) -> None:
    with pytest.raises(EnvelopeError):
        unseal(b".".join((encode(b"[" * 1500), b"AA", b"AA", b"AA", b"AA")), x25519_key)


names = st.sampled_from(
    ["Authorization", "Host", "Content-Type", "X-PL-Date", "X-PL-Seq", "X-PL-Worker", "X-PL-Content-SHA256"]
)
values = st.text(max_size=80) | st.sampled_from(
    [*RECEIVED.headers.values(), "\udc80", "٣", "1" * 5000, "[::", "a:99999999"]
)


@unlimited
@given(
    pairs=st.lists(st.tuples(names, values), max_size=4),
    method=st.sampled_from(["POST", "", "po st", "\udc80"]),
    path=st.sampled_from([REQUEST.path]) | st.text(max_size=20),
)
def test_headers_are_no_signed_request(pairs: list[tuple[str, str]], method: str, path: str) -> None:
    headers = CIMultiDict(RECEIVED.headers)
    for name, _ in pairs:
        headers.popall(name, None)
    headers.extend(pairs)
    received = ReceivedRequest(method=method, path=path, headers=headers, body=REQUEST.body)
    answer = attempt(lambda: verify(received), SignatureError)
    if isinstance(answer, SignatureError):
        assert answer.reason in set(signing.Reason)
    else:
        # Host is believed by nobody: the signature itself held for a public one.
        assert {**headers, "Host": HOST} == dict(RECEIVED.headers)


@unlimited
@given(
    pairs=st.lists(
        st.tuples(st.sampled_from(["X-PL-Signature", "X-PL-Date", "Retry-After"]), st.text(max_size=70)), max_size=3
    ),
    status=st.integers(100, 599),
)
def test_headers_are_no_signed_reply(pairs: list[tuple[str, str]], status: int) -> None:
    with pytest.raises(SignatureError):
        signing.verify_reply(SIGNED, status=status, headers=CIMultiDict(pairs), body=b"")


@given(st.binary(max_size=200) | anything.map(lambda value: json.dumps(value).encode()))
def test_bytes_are_a_message_or_a_message_error(data: bytes) -> None:
    assert isinstance(attempt(lambda: messages.decode(messages.Pull, data), MessageError), MessageError)
    assert isinstance(attempt(lambda: messages.decode(messages.Results, data), MessageError), MessageError)
    assert attempt(lambda: messages.decode(messages.Jobs, data), MessageError)


labels = st.sampled_from(["PRIVATE KEY", "RSA PRIVATE KEY", "PUBLIC KEY", "ENCRYPTED PRIVATE KEY", "CERTIFICATE"])


@unlimited
@given(
    text=st.text(max_size=100)
    | st.tuples(labels, st.binary(max_size=200)).map(
        lambda pair: f"-----BEGIN {pair[0]}-----\n{base64.b64encode(pair[1]).decode()}\n-----END {pair[0]}-----"
    )
)
def test_text_is_no_key(text: str) -> None:
    with pytest.raises(EnvelopeError):
        PrivateKey.from_pem(text)
    with pytest.raises(EnvelopeError):
        PublicKey.from_pem(text)


def test_a_key_with_a_changed_bit_is_another_key_or_none() -> None:
    made = keys.generate("x25519")
    body = "".join(made.pem.reveal().splitlines()[1:-1])
    for der in flips(base64.b64decode(body)):
        pem = f"-----BEGIN PRIVATE KEY-----\n{base64.b64encode(der).decode()}\n-----END PRIVATE KEY-----\n"
        answer = attempt(partial(PrivateKey.from_pem, pem), EnvelopeError)
        assert body[-20:] not in repr(answer)


@given(st.text(max_size=60))
def test_text_is_an_authority_or_a_value_error(text: str) -> None:
    answer = attempt(lambda: signing.authority(text), ValueError)
    assert isinstance(answer, ValueError) or signing.authority(answer) == answer
