from __future__ import annotations

from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.support.observed import SHOP
from worker.apitest.assertion import (
    Assertion,
    BodyHashAssertion,
    Comparison,
    Elements,
    JavaScriptAssertion,
    JSONPathAssertion,
    JSONSchemaAssertion,
    Operator,
    Subject,
    UnknownAssertion,
    XPathAssertion,
)
from worker.apitest.extraction import Extraction, ExtractionSource, Parser
from worker.apitest.observation import Observation, ProbeResponse
from worker.apitest.protocols.table import PROTOCOLS
from worker.apitest.responses.dns import DNSAnswer, DNSAnswers
from worker.apitest.responses.http import HTTPResponse
from worker.apitest.responses.ssl import SSLResponse
from worker.apitest.responses.tcp import TCPConnection
from worker.apitest.result import AssertionResult
from worker.evaluators import protocol
from worker.outcome.certificate import CertificateFault
from worker.outcome.failure import Failure, FailureCode
from worker.outcome.handshake import Handshake
from worker.outcome.hop import Hop
from worker.outcome.phases import Timings
from worker.outcome.resolution import Attempt, Resolution
from worker.outcome.revocation import CertificateStatus, Revocation, StatusSource

ASSERTIONS: tuple[Assertion, ...] = (
    Comparison(subject=Subject.HEADER, operator=Operator.MATCHES, target="^a", property="x-a"),
    Comparison(subject=Subject.RESPONSE_TIME, operator=Operator.LESS_THAN, target=1.5, without_dns=True),
    Comparison(subject=Subject.STATUS_CODE, operator=Operator.IS, target=200),
    Comparison(subject=Subject.BODY, operator=Operator.IS, target=True),
    JSONPathAssertion(path="$.a", operator=Operator.CONTAINS, target="b", elements=Elements.EVERY),
    XPathAssertion(path="//a", operator=Operator.IS_NOT, target="b"),
    JSONSchemaAssertion(schema="{}", meta_schema="draft-06"),
    BodyHashAssertion(algorithm="md5", target="00"),
    JavaScriptAssertion(code="1"),
    UnknownAssertion(type="new", operator=None),
    Extraction(name="A", source=ExtractionSource.BODY, parser=Parser.REGEX, expression="(b)", secure=True),
)
TIMINGS = Timings((("dns", 12), ("tcp", 3)))
RESPONSES: tuple[ProbeResponse | None, ...] = (
    None,
    HTTPResponse(
        url="http://a/",
        status=200,
        http_version="1.1",
        headers=(("A", "b"), ("a", "\xff")),
        body=bytes(range(256)),
        content_encodings=("gzip",),
        hops=(Hop(url="http://b/", status=302, address="127.0.0.1", timings=TIMINGS),),
        handshake=Handshake(protocol="TLSv1.3", cipher="TLS_AES_256_GCM_SHA384"),
    ),
    TCPConnection(outcome="refused"),
    DNSAnswers(answers=(DNSAnswer(record_type="A", records=("127.0.0.1",), rcode="NOERROR", flags=("AA",), ttl=5),)),
    SSLResponse(
        chain=(SHOP,),
        presented=2,
        checked_at=1.5,
        handshake=Handshake(protocol="TLSv1.2", cipher="AES256-SHA"),
        fault=CertificateFault(code=10, message="certificate has expired"),
        fetched=1,
        lowest_version="TLSv1",
        revocation=Revocation(status=CertificateStatus.GOOD, source=StatusSource.STAPLED, produced_at=5),
    ),
)


def cross(assertions: tuple[Assertion, ...], observation: Observation) -> tuple[tuple[Assertion, ...], Observation]:
    """Through both directions of the codec, as the two processes do it."""
    head, body = protocol.encode_observation(observation)
    message = protocol.encode_task([protocol.encode_assertion(a) for a in assertions], head)
    return protocol.decode_task(message, body)[:2]


def test_the_samples_cover_every_kind() -> None:
    assert {type(a) for a in ASSERTIONS} == set(get_args(Assertion))
    assert {type(r) for r in RESPONSES if r is not None} == {protocol.response for protocol in PROTOCOLS.values()}


@pytest.mark.parametrize("response", RESPONSES, ids=lambda r: type(r).__name__)
def test_an_evaluator_reads_what_the_worker_wrote(response: ProbeResponse | None) -> None:
    observation = Observation(
        timings=TIMINGS,
        failure=Failure(FailureCode.CONNREFUSED, "refused"),
        resolution=Resolution(
            server="127.0.0.1", attempts=(Attempt(address="127.0.0.1", port=1, elapsed_tenths=2, error="refused"),)
        ),
        response=response,
    )
    assert cross(ASSERTIONS, observation) == (ASSERTIONS, observation)


@pytest.mark.parametrize("preview", [True, False])
def test_an_evaluator_hears_whether_a_preview_is_wanted(preview: bool) -> None:
    head, body = protocol.encode_observation(Observation(timings=Timings()))
    assert protocol.decode_task(protocol.encode_task([], head, preview=preview), body)[2] is preview


def test_a_task_is_never_taken_for_the_answer_to_a_pause() -> None:
    head, _ = protocol.encode_observation(Observation(timings=Timings()))
    assert protocol.encode_task([], head) not in {protocol.RESUME, protocol.FORGET}


RESULT = AssertionResult(type="body", operator="is", expected="a", actual="b", valid=False, error_message="no")


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"junk",
        b"\x80",
        msgspec.msgpack.encode({"results": [], "state": "happy"}),
        msgspec.msgpack.encode({"results": [{"type": "body"}], "state": "done"}),
        msgspec.msgpack.encode({"results": [{"type": 1, "operator": None, "expected": "", "actual": [], "valid": 1}]}),
        b"\x82\xa7results" + b"\x91" * 2000 + b"\x90",
        msgspec.msgpack.encode({"results": [], "state": "done", "preview": {"text": "x" * 65537, "is_cut": True}}),
        msgspec.msgpack.encode({"results": [], "state": "done", "preview": "x"}),
    ],
)
def test_messages_of_an_evaluator_that_are_not_a_reply_are_refused(message: bytes) -> None:
    with pytest.raises((msgspec.DecodeError, RecursionError)):
        protocol.decode_reply(message)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_a_reply_or_a_decode_error(message: bytes) -> None:
    for decode in (protocol.decode_reply, protocol.decode_ready):
        try:
            decode(message)
        except msgspec.DecodeError:
            continue


def test_half_a_surrogate_pair_and_a_giant_integer_travel_as_near_as_can_be() -> None:
    odd = Comparison(subject=Subject.BODY, operator=Operator.CONTAINS, target=10**30)
    response = HTTPResponse(
        url="http://a/", status=200, http_version="1.1", headers=(("x-a", "b\udcffc"), ("x-d", "e")), body=b"\xff"
    )
    (assertion,), observation = cross((odd,), Observation(timings=TIMINGS, response=response))
    assert isinstance(assertion, Comparison)
    assert assertion.target == "1" + "0" * 30
    assert isinstance(observation.response, HTTPResponse)
    assert observation.response.headers == (("x-a", "b?c"), ("x-d", "e"))
    assert observation.response.body == b"\xff"


def test_a_result_with_an_actual_that_cannot_be_packed_is_still_a_reply() -> None:
    reply = protocol.EvaluatorReply(
        results=(replace(RESULT, actual=-(10**400)), replace(RESULT, actual="\ud800")), state="done"
    )
    decoded = protocol.decode_reply(protocol.encode_reply(reply))
    assert [result.actual for result in decoded.results] == ["-1" + "0" * 400, "?"]
