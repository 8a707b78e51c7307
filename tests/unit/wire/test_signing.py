"""Requests and replies of the protocol: what is accepted, and every way in which one is refused, with its code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from multidict import CIMultiDict

from tests.support.received import ReceivedRequest, verify_request
from worker.errors import SignatureError
from worker.secret import Secret
from worker.wire import signing, sigv4
from worker.wire.signing import (
    AuthenticRequestError,
    Credentials,
    Reason,
    SignedRequest,
    UnsignedRequest,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
WORKER = "3f2a8a3e-6d0c-4a53-9b0e-1f2d3c4b5a69"
HOST = "intake.example.com"
SECRET = Secret("not-a-secret-but-a-test-value")
CREDENTIALS = Credentials("0123456789abcdef0123456789abcdef", SECRET, "pl:office-0123456789abcdef")
REQUEST = UnsignedRequest(
    method="POST",
    path="/worker/v1/pull",
    host=HOST,
    content_type="application/json",
    body=b'{"version":1}',
    worker=WORKER,
    seq=7,
)


def received(signed: SignedRequest, request: UnsignedRequest = REQUEST, host: str | None = None) -> ReceivedRequest:
    headers = CIMultiDict(signed.headers)
    headers["Host"] = host or request.host
    return ReceivedRequest(method=request.method, path=request.path, headers=headers, body=request.body)


def verify(
    given: ReceivedRequest, now: datetime = NOW, secret: Secret[str] = SECRET, hosts: tuple[str, ...] = (HOST,)
) -> signing.VerifiedRequest:
    return verify_request(signing.read_claim(given.headers), secret, given, hosts=hosts, now=now)


def with_header(given: ReceivedRequest, name: str, value: str) -> ReceivedRequest:
    headers = CIMultiDict(given.headers)
    headers[name] = value
    return replace(given, headers=headers)


def signed_with(extra: Mapping[str, str] = {}, *, path: str = REQUEST.path, host: str = HOST) -> ReceivedRequest:
    """A request whose signature holds although a header's value is none that sign_request would write."""
    headers = {
        "Content-Type": REQUEST.content_type,
        "Host": host,
        "X-PL-Content-SHA256": sigv4.sha256_hex(REQUEST.body),
        "X-PL-Date": "20260102T030405Z",
        "X-PL-Seq": "7",
        "X-PL-Worker": WORKER,
        **extra,
    }
    scope = sigv4.Scope(day="20260102", region=CREDENTIALS.location)
    canonical = sigv4.canonical_request("POST", path, headers.items(), headers["X-PL-Content-SHA256"])
    text = sigv4.string_to_sign(sigv4.PL1, scope, headers["X-PL-Date"], canonical)
    signature = sigv4.signature(sigv4.signing_key(sigv4.PL1, scope, SECRET), text)
    headers["Authorization"] = (
        f"PL1-HMAC-SHA256 Credential={CREDENTIALS.access_key}/{scope.text(sigv4.PL1)}, "
        f"SignedHeaders={';'.join(signing.SIGNED_HEADERS)}, Signature={signature}"
    )
    return ReceivedRequest(method="POST", path=path, headers=CIMultiDict(headers), body=REQUEST.body)


def reason_of(call: Callable[[], object]) -> str:
    with pytest.raises(SignatureError) as refused:
        call()
    assert SECRET.reveal() not in str(refused.value)
    return refused.value.reason


def test_a_signed_request_is_accepted_and_says_who_sent_it() -> None:
    verified = verify(received(signing.sign_request(CREDENTIALS, REQUEST, NOW)))
    assert (verified.worker, verified.seq, verified.location) == (WORKER, 7, CREDENTIALS.location)
    assert verified.access_key == CREDENTIALS.access_key


def test_every_character_of_an_access_key_and_a_location_travels() -> None:
    credentials = Credentials("-:._$=+aZ09", SECRET, "=+pl:office.$_-" + "x" * 185)
    verified = verify(received(signing.sign_request(credentials, REQUEST, NOW)))
    assert (verified.access_key, verified.location) == (credentials.access_key, credentials.location)


def test_the_claim_names_what_the_secret_is_looked_up_by() -> None:
    claim = signing.read_claim(signing.sign_request(CREDENTIALS, REQUEST, NOW).headers)
    assert (claim.access_key, claim.location) == (CREDENTIALS.access_key, CREDENTIALS.location)


def test_another_secret_does_not_open_the_door() -> None:
    given = received(signing.sign_request(CREDENTIALS, REQUEST, NOW))
    assert reason_of(lambda: verify(given, secret=Secret("another"))) == Reason.SIGNATURE


def test_a_local_time_zone_is_signed_as_utc() -> None:
    tokyo = NOW.astimezone(timezone(timedelta(hours=9)))
    assert signing.sign_request(CREDENTIALS, REQUEST, tokyo) == signing.sign_request(CREDENTIALS, REQUEST, NOW)


@pytest.mark.parametrize("seconds", [-300, -1, 0, 1, 300])
def test_clocks_may_be_five_minutes_apart(seconds: int) -> None:
    assert verify(received(signing.sign_request(CREDENTIALS, REQUEST, NOW)), now=NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize("seconds", [-301, 301, 86400 * 400])
def test_a_request_beyond_that_is_refused_and_the_refusal_can_be_signed(seconds: int) -> None:
    given = received(signing.sign_request(CREDENTIALS, REQUEST, NOW))
    with pytest.raises(AuthenticRequestError) as refused:
        verify(given, now=NOW + timedelta(seconds=seconds))
    assert refused.value.reason == Reason.SKEW
    assert refused.value.verified.worker == WORKER


@pytest.mark.parametrize(
    ("signed_for", "public"),
    [
        ("intake.example.com", "https://intake.example.com"),
        ("Intake.Example.COM", "https://intake.example.com:443/some/prefix"),
        ("intake.example.com:443", "INTAKE.example.com"),
        ("http://intake.example.com:80", "http://intake.example.com"),
        ("intake.example.com:8443", "https://intake.example.com:8443"),
        ("[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_hosts_are_compared_as_authorities(signed_for: str, public: str) -> None:
    request = replace(REQUEST, host=signed_for)
    given = received(signing.sign_request(CREDENTIALS, request, NOW), host=signing.authority(signed_for))
    assert verify(given, hosts=(public,))


def test_an_ingress_may_rewrite_host_when_the_signed_one_is_public() -> None:
    given = received(signing.sign_request(CREDENTIALS, REQUEST, NOW), host="controlplane.svc:8080")
    assert verify(given, hosts=("https://other.example.com", f"https://{HOST}"))


@pytest.mark.parametrize("public", ["https://other.example.com", f"https://{HOST}:8443", f"https://{HOST}.evil.test"])
def test_a_request_for_another_host_is_refused_though_its_signature_holds(public: str) -> None:
    given = received(signing.sign_request(CREDENTIALS, REQUEST, NOW))
    with pytest.raises(AuthenticRequestError) as refused:
        verify(given, hosts=(public,))
    assert refused.value.reason == Reason.HOST


def test_a_body_that_is_not_the_signed_one_is_refused() -> None:
    given = replace(received(signing.sign_request(CREDENTIALS, REQUEST, NOW)), body=b'{"version":2}')
    assert reason_of(lambda: verify(given)) == Reason.BODY


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("X-PL-Seq", "07", Reason.SEQ),
        ("X-PL-Seq", "+7", Reason.SEQ),
        ("X-PL-Seq", "-7", Reason.SEQ),
        ("X-PL-Seq", "0", Reason.SEQ),
        ("X-PL-Seq", "7.0", Reason.SEQ),
        ("X-PL-Seq", "", Reason.SEQ),
        ("X-PL-Seq", "9007199254740993", Reason.SEQ),
        ("X-PL-Seq", "10000000000000000", Reason.SEQ),
        ("X-PL-Seq", "٧", Reason.HEADER),
        ("X-PL-Worker", "worker-1", Reason.WORKER),
        ("X-PL-Worker", WORKER.upper(), Reason.WORKER),
        ("X-PL-Worker", "{" + WORKER + "}", Reason.WORKER),
        ("X-PL-Worker", WORKER.replace("-", ""), Reason.WORKER),
        ("X-PL-Date", "2026-01-02T03:04:05Z", Reason.DATE),
        ("X-PL-Date", "20260102T030460Z", Reason.DATE),
        ("X-PL-Date", "20260231T030405Z", Reason.DATE),
        ("X-PL-Date", "20260103T030405Z", Reason.DATE),
        ("X-PL-Content-SHA256", "UNSIGNED-PAYLOAD", Reason.HEADER),
        ("X-PL-Content-SHA256", sigv4.sha256_hex(REQUEST.body).upper(), Reason.HEADER),
        ("X-PL-Content-SHA256", sigv4.sha256_hex(b""), Reason.BODY),
        ("Host", "intake.example.com/", Reason.HEADER),
        ("Host", "", Reason.HEADER),
        ("Content-Type", "application/jsön", Reason.HEADER),
    ],
)
def test_a_value_outside_the_protocol_is_refused_though_its_signature_holds(
    name: str, value: str, reason: Reason
) -> None:
    assert reason_of(lambda: verify(signed_with({name: value}))) == reason


def test_the_largest_number_is_two_to_the_53rd() -> None:
    assert verify(signed_with({"X-PL-Seq": "9007199254740992"})).seq == 2**53


@pytest.mark.parametrize(
    "name", ["Host", "Content-Type", "X-PL-Date", "X-PL-Content-SHA256", "X-PL-Worker", "X-PL-Seq"]
)
def test_every_signed_header_is_there_exactly_once(name: str) -> None:
    given = received(signing.sign_request(CREDENTIALS, REQUEST, NOW))
    twice = CIMultiDict(given.headers)
    twice.add(name.upper(), given.headers[name])
    without = CIMultiDict(given.headers)
    del without[name]
    assert reason_of(lambda: verify(replace(given, headers=twice))) == Reason.HEADER
    assert reason_of(lambda: verify(replace(given, headers=without))) == Reason.HEADER


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("PL1-HMAC-SHA256 ", "AWS4-HMAC-SHA256 ", Reason.AUTHORIZATION),
        ("PL1-HMAC-SHA256 ", "PL1-HMAC-SHA256-REPLY ", Reason.AUTHORIZATION),
        ("pl1_request", "aws4_request", Reason.AUTHORIZATION),
        ("/synthetics/", "/other/", Reason.AUTHORIZATION),
        ("/20260102/", "/2026012/", Reason.AUTHORIZATION),
        ("/20260102/", "/20260103/", Reason.DATE),
        ("/pl:office", "/pl/office", Reason.AUTHORIZATION),
        ("/pl:office", "/pl:0ffice", Reason.SIGNATURE),
        ("content-type;", "", Reason.SIGNED_HEADERS),
        ("content-type;host;", "host;content-type;", Reason.SIGNED_HEADERS),
        ("content-type;", "accept;content-type;", Reason.SIGNED_HEADERS),
        ("content-type;", "content-type;content-type;", Reason.SIGNED_HEADERS),
        (", Signature=", ", Signature=0", Reason.AUTHORIZATION),
    ],
)
def test_an_authorization_of_another_kind_is_refused(old: str, new: str, reason: Reason) -> None:
    given = received(signing.sign_request(CREDENTIALS, REQUEST, NOW))
    authorization = given.headers["Authorization"]
    assert old in authorization
    tampered = with_header(given, "Authorization", authorization.replace(old, new))
    assert reason_of(lambda: verify(tampered)) == reason


def test_an_authorization_is_there_exactly_once() -> None:
    headers = CIMultiDict(signing.sign_request(CREDENTIALS, REQUEST, NOW).headers)
    assert reason_of(lambda: signing.read_claim({})) == Reason.AUTHORIZATION
    headers.add("authorization", headers["Authorization"])
    assert reason_of(lambda: signing.read_claim(headers)) == Reason.HEADER


@pytest.mark.parametrize(
    "change", [{"method": "PUT"}, {"path": "/worker/v1/results"}, {"path": "/worker/v1/pull?again=1"}]
)
def test_the_method_and_the_path_are_signed(change: dict[str, Any]) -> None:
    given = replace(received(signing.sign_request(CREDENTIALS, REQUEST, NOW)), **change)
    assert reason_of(lambda: verify(given)) == Reason.SIGNATURE


@pytest.mark.parametrize("change", [{"method": "post"}, {"path": "worker"}, {"path": "/ü"}, {"path": "/a b"}])
def test_a_method_or_path_that_no_worker_sends_is_refused(change: dict[str, Any]) -> None:
    given = replace(received(signing.sign_request(CREDENTIALS, REQUEST, NOW)), **change)
    assert reason_of(lambda: verify(given)) == Reason.REQUEST


@pytest.mark.parametrize(
    "change",
    [{"seq": 0}, {"seq": 2**53 + 1}, {"worker": "me"}, {"host": "a/b c"}, {"path": "pull"}, {"method": "post"}],
)
def test_nothing_is_signed_that_no_control_plane_would_accept(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        signing.sign_request(CREDENTIALS, replace(REQUEST, **change), NOW)


@pytest.mark.parametrize(
    ("access_key", "secret", "location"),
    [("", "s", "pl:a"), ("a/b", "s", "pl:a"), ("a", "", "pl:a"), ("a", "s", "p l")],
)
def test_credentials_that_cannot_stand_in_a_header_are_refused(access_key: str, secret: str, location: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Credentials(access_key, Secret(secret), location)


def test_no_value_prints_a_secret() -> None:
    verified = verify(received(signing.sign_request(CREDENTIALS, REQUEST, NOW)))
    printed = repr((CREDENTIALS, verified))
    assert SECRET.reveal() not in printed
    assert verified.key.reveal().hex() not in printed
    assert str(verified.key.reveal()) not in printed


def reply(
    *, status: int = 200, retry_after: str | None = None, body: bytes = b"body"
) -> tuple[SignedRequest, dict[str, str]]:
    signed = signing.sign_request(CREDENTIALS, REQUEST, NOW)
    verified = verify(received(signed))
    later = NOW + timedelta(seconds=2)
    return signed, signing.sign_reply(verified, status=status, now=later, retry_after=retry_after, body=body)


def test_a_reply_proves_what_it_answers_and_tells_the_time() -> None:
    signed, headers = reply()
    date = signing.verify_reply(signed, status=200, headers=headers, body=b"body")
    assert date == NOW + timedelta(seconds=2)


def reason_of_reply(
    signed: SignedRequest, headers: Mapping[str, str], *, status: int = 200, body: bytes = b"body"
) -> str:
    return reason_of(lambda: signing.verify_reply(signed, status=status, headers=headers, body=body))


def test_a_reply_with_retry_after_covers_it() -> None:
    signed, headers = reply(status=429, retry_after="30")
    assert headers["Retry-After"] == "30"
    assert signing.verify_reply(signed, status=429, headers=headers, body=b"body")
    assert reason_of_reply(signed, {**headers, "Retry-After": "31"}, status=429) == Reason.SIGNATURE
    assert reason_of_reply(signed, {**headers, "Retry-After": "030"}, status=429) == Reason.RETRY_AFTER
    del headers["Retry-After"]
    assert reason_of_reply(signed, headers, status=429) == Reason.SIGNATURE


def test_retry_after_is_given_in_whole_seconds() -> None:
    with pytest.raises(ValueError, match="whole seconds"):
        reply(status=503, retry_after="Fri, 02 Jan 2026 03:04:05 GMT")


def test_a_reply_is_refused_when_anything_that_it_covers_changed() -> None:
    signed, headers = reply()
    other = signing.sign_request(CREDENTIALS, replace(REQUEST, seq=8), NOW)
    assert reason_of_reply(signed, headers, status=201) == Reason.SIGNATURE
    assert reason_of_reply(signed, headers, body=b"bodY") == Reason.SIGNATURE
    assert reason_of_reply(signed, {**headers, "X-PL-Date": "20260102T030408Z"}) == Reason.SIGNATURE
    assert reason_of_reply(signed, {**headers, "Retry-After": "1"}) == Reason.SIGNATURE
    assert reason_of_reply(signed, {**headers, "X-PL-Signature": "0" * 64}) == Reason.SIGNATURE
    assert reason_of_reply(signed, {**headers, "X-PL-Signature": "short"}) == Reason.SIGNATURE
    assert reason_of_reply(other, headers) == Reason.SIGNATURE


def test_a_reply_without_a_signature_is_told_apart_from_a_false_one() -> None:
    signed, _ = reply()
    assert reason_of_reply(signed, {"Server": "some proxy"}, status=502) == Reason.UNSIGNED


def test_a_reply_says_each_thing_once() -> None:
    signed, headers = reply(status=429, retry_after="1")
    for name in ("X-PL-Signature", "X-PL-Date", "Retry-After"):
        twice = CIMultiDict(headers)
        twice.add(name.lower(), headers[name])
        assert reason_of_reply(signed, twice, status=429) == Reason.HEADER


def test_a_request_signature_is_no_reply_signature() -> None:
    signed, headers = reply(body=REQUEST.body)
    assert reason_of_reply(signed, {**headers, "X-PL-Signature": signed.signature}, body=REQUEST.body) == "signature"
