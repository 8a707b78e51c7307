"""The extremes of every field that a number or a date can have, in both directions: each is read within its bounds or refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.received import ReceivedRequest, verify_request
from worker.errors import MessageError, SignatureError
from worker.secret import Secret
from worker.wire import messages, signing, sigv4
from worker.wire.messages import Jobs, Message, Pull, Refusal, Results
from worker.wire.signing import Credentials, ReceivedHead, UnsignedRequest

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
HOST = "intake.example.com"
CREDENTIALS = Credentials("access", Secret("a test's secret"), "pl:office")
HUGE = [2**53, 2**63 - 1, 2**63, 2**64, 10**400, 10**4999]
NEVER = [-1, -(2**63), -(10**400), 1.5, 1e400, True, "1", None, [1], {}]

PULL = {"version": 1, "concurrency": 1, "free_slots": 1, "keys": ["k"]}
JOB = {
    "job": "j",
    "lease": "j.1",
    "lease_ms": 1,
    "scheduled_at": 1,
    "start_by": 1,
    "delivery": 1,
    "test": {},
}
FIELDS: list[tuple[type, str, int, int]] = [
    (Pull, "concurrency", 0, 100_000),
    (Pull, "free_slots", 0, 100_000),
    (Jobs, "lease_ms", 0, 1_000_000_000),
    (Jobs, "scheduled_at", 0, 100_000_000_000_000),
    (Jobs, "start_by", 0, 1_000_000_000),
    (Jobs, "delivery", 1, 100),
    (Results, "reported_at", 0, 100_000_000_000_000),
    (Refusal, "last", 0, 2**52),
]


def sent(kind: type[Message], field: str, value: str) -> bytes:
    """A message of *kind* whose *field* is the JSON text *value*."""
    marker = "@"
    body: dict[str, Any]
    if kind is Pull:
        body = PULL | {field: marker}
    elif kind is Jobs:
        body = {"jobs": [JOB | {field: marker}]}
    elif kind is Results:
        body = {"results": [], field: marker}
    else:
        body = {"error": "sequence", field: marker}
    return json.dumps(body).replace(f'"{marker}"', value).encode()


def number(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**400:
        digits = 401 if abs(value) == 10**400 else 5000
        return ("-" if value < 0 else "") + "1" + "0" * (digits - 1)
    return "1e400" if value == float("inf") else json.dumps(value)


@pytest.mark.parametrize(("kind", "field", "low", "high"), FIELDS)
def test_a_number_is_read_from_its_least_to_its_greatest_and_no_further(
    kind: type[Message], field: str, low: int, high: int
) -> None:
    for bound in (low, high):
        messages.decode(kind, sent(kind, field, str(bound)))
    beyond: list[object] = [low - 1, high + 1, *(value for value in HUGE if value > high), *NEVER]
    for value in beyond:
        if value is None and field == "last":
            continue
        with pytest.raises(MessageError):
            messages.decode(kind, sent(kind, field, number(value)))


def test_the_greatest_time_of_day_is_a_date() -> None:
    """What is read is used: a worker makes a date of it."""
    job = messages.decode(Jobs, sent(Jobs, "scheduled_at", "100000000000000")).jobs[0]
    assert datetime.fromtimestamp(job.scheduled_at / 1000, UTC).year < 9999


def signed_at(moment: str, *, seq: str = "1") -> tuple[signing.Claim, ReceivedHead]:
    """A head that is signed right, whatever date and number it bears: made of `sigv4` alone, which knows no bounds."""
    scope = sigv4.Scope(day=moment[:8], region=CREDENTIALS.location)
    headers = {
        "Content-Type": "application/json",
        "Host": HOST,
        "X-PL-Content-SHA256": sigv4.sha256_hex(b""),
        "X-PL-Date": moment,
        "X-PL-Seq": seq,
        "X-PL-Worker": "3f2a8a3e-6d0c-4a53-9b0e-1f2d3c4b5a69",
    }
    key = sigv4.signing_key(sigv4.PL1, scope, CREDENTIALS.secret_key)
    canonical = sigv4.canonical_request("POST", "/", headers.items(), headers["X-PL-Content-SHA256"])
    signature = sigv4.signature(key, sigv4.string_to_sign(sigv4.PL1, scope, moment, canonical))
    claim = signing.Claim(access_key="access", location="pl:office", day=moment[:8], signature=signature)
    return claim, ReceivedHead(method="POST", path="/", headers=headers)


def verify(moment: str, *, seq: str = "1") -> signing.VerifiedRequest:
    claim, head = signed_at(moment, seq=seq)
    return signing.verify_head(claim, CREDENTIALS.secret_key, head, hosts=[HOST], now=NOW)


YEARS_REFUSED = ["0000", "0001", "0999", "1969", "3000", "9998", "9999"]


@pytest.mark.parametrize("year", YEARS_REFUSED)
def test_a_control_plane_refuses_the_date_of_a_far_year(year: str) -> None:
    with pytest.raises(SignatureError) as caught:
        verify(f"{year}1231T235959Z")
    assert caught.value.reason == "date"


@pytest.mark.parametrize("moment", ["19700101T000000Z", "29991231T235959Z"])
def test_a_control_plane_answers_the_first_and_the_last_date_with_its_own(moment: str) -> None:
    with pytest.raises(signing.AuthenticRequestError) as caught:
        verify(moment)
    assert caught.value.reason == "skew"


@pytest.mark.parametrize("seq", ["0", "-1", "01", str(2**53 + 1), str(2**63), "9" * 400, "1.0", "1e3", "٣"])
def test_a_control_plane_refuses_a_number_out_of_bounds(seq: str) -> None:
    with pytest.raises(SignatureError):
        verify(sigv4.timestamp(NOW), seq=seq)


def test_a_control_plane_takes_the_greatest_number() -> None:
    assert verify(sigv4.timestamp(NOW), seq=str(2**53)).seq == 2**53


def reply(moment: str, *, retry_after: str | None = None) -> datetime:
    """What a worker reads of a reply that bears the date *moment*, signed right."""
    request = UnsignedRequest(
        method="POST",
        path="/",
        host=HOST,
        content_type="application/json",
        body=b"",
        worker="3f2a8a3e-6d0c-4a53-9b0e-1f2d3c4b5a69",
        seq=1,
    )
    signed = signing.sign_request(CREDENTIALS, request, NOW)
    received = ReceivedRequest(method="POST", path="/", headers={**signed.headers, "Host": HOST}, body=b"")
    verified = verify_request(
        signing.read_claim(signed.headers), CREDENTIALS.secret_key, received, hosts=[HOST], now=NOW
    )
    text = "\n".join((signing.REPLY, "503", moment, retry_after or "", signed.signature, sigv4.sha256_hex(b"")))
    headers = {"X-PL-Date": moment, "X-PL-Signature": sigv4.signature(verified.key, text)}
    headers |= {} if retry_after is None else {"Retry-After": retry_after}
    return signing.verify_reply(signed, status=503, headers=headers, body=b"")


@pytest.mark.parametrize("year", YEARS_REFUSED)
def test_a_worker_refuses_the_date_of_a_far_year(year: str) -> None:
    with pytest.raises(SignatureError) as caught:
        reply(f"{year}1231T235959Z")
    assert caught.value.reason == "date"


@pytest.mark.parametrize("moment", ["19700101T000000Z", "29991231T235959Z"])
def test_a_clock_corrected_by_any_date_that_is_read_can_be_written_down(moment: str) -> None:
    """A hundred years later as well, and with a clock that has jumped to the other end since."""
    offset = reply(moment) - NOW
    for now in (
        NOW,
        NOW + timedelta(days=36_525),
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(2999, 12, 31, tzinfo=UTC),
    ):
        assert len(sigv4.timestamp(now + offset)) == len(moment)


@pytest.mark.parametrize(("retry_after", "right"), [("0", True), ("9" * 9, True), ("9" * 10, False), ("-1", False)])
def test_a_worker_reads_retry_after_within_its_bounds(retry_after: str, right: bool) -> None:
    if right:
        assert reply(sigv4.timestamp(NOW), retry_after=retry_after) == NOW
        return
    with pytest.raises(SignatureError):
        reply(sigv4.timestamp(NOW), retry_after=retry_after)


@pytest.mark.parametrize(("year", "written"), [(1, "0001"), (999, "0999"), (1000, "1000"), (9999, "9999")])
def test_a_date_has_four_digits_of_its_year(year: int, written: str) -> None:
    assert sigv4.timestamp(datetime(year, 2, 3, 4, 5, 6, tzinfo=UTC)) == f"{written}0203T040506Z"
