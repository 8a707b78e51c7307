"""With Amazon's names put in, this is Signature Version 4: by the published suite, and by botocore on generated
requests."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, unquote

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.checkout import ROOT
from worker.secret import Secret
from worker.wire import sigv4
from worker.wire.sigv4 import Scheme, Scope

SUITE = json.loads((ROOT / "tests" / "vectors" / "sigv4.json").read_text())
Headers = list[tuple[str, str]]


def amazon(service: str) -> Scheme:
    return Scheme(
        algorithm="AWS4-HMAC-SHA256",
        key_prefix="AWS4",
        service=service,
        terminator="aws4_request",
        header_prefix="X-Amz-",
    )


def ours(method: str, target: str, headers: Headers, body: bytes, *, scheme: Scheme, key: tuple[str, str]) -> Any:
    """(canonical request, string to sign, signature); *key* is secret and region, the moment is the date header's."""
    secret, region = key
    moment = dict(headers)[scheme.date_header]
    scope = Scope(day=moment[:8], region=region)
    canonical = sigv4.canonical_request(method, target, headers, sigv4.sha256_hex(body))
    text = sigv4.string_to_sign(scheme, scope, moment, canonical)
    return canonical, text, sigv4.signature(sigv4.signing_key(scheme, scope, Secret(secret)), text)


def botocores(
    method: str, path: str, query: Headers, headers: Headers, body: bytes, *, scheme: Scheme, key: tuple[str, str]
) -> Any:
    secret, region = key
    signer = SigV4Auth(Credentials("AKIDEXAMPLE", secret), scheme.service, region)
    request = AWSRequest(method=method, url="http://host.example" + path, data=body, params=query)
    for name, value in headers:
        request.headers.add_header(name, value)
    request.context["timestamp"] = dict(headers)[scheme.date_header]
    canonical = signer.canonical_request(request)
    text = signer.string_to_sign(request, canonical)
    return canonical, text, signer.signature(text, request)


@pytest.mark.parametrize("case", SUITE["cases"], ids=lambda case: case["name"])
def test_the_published_suite_passes(case: dict[str, Any]) -> None:
    scheme, key = amazon(SUITE["service"]), (SUITE["secret_key"], SUITE["region"])
    body = case.get("body", "").encode()
    headers = [("Host", SUITE["host"]), ("X-Amz-Date", SUITE["date"])]
    headers += [(name, value) for name, value in case.get("headers", [])]
    _, _, signature = ours(case["method"], case["target"], headers, body, scheme=scheme, key=key)
    assert signature == case["signature"]

    path, _, query = case["target"].partition("?")
    pairs = [(unquote(name), unquote(value)) for name, _, value in (p.partition("=") for p in query.split("&") if p)]
    _, _, theirs = botocores(case["method"], path, pairs, headers, body, scheme=scheme, key=key)
    assert theirs == case["signature"]


def test_a_key_is_derived_as_in_the_published_example() -> None:
    scope = Scope(day="20150830", region="us-east-1")
    key = sigv4.signing_key(amazon("iam"), scope, Secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"))
    assert key.reveal().hex() == "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"


text = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), max_size=12)
segments = st.one_of(st.sampled_from(["", ".", "..", "a", "%2F", "%e1"]), text).map(
    lambda segment: segment.translate(dict.fromkeys(map(ord, "?#/")))
)
paths = st.lists(segments, max_size=6).map(lambda parts: "/" + "/".join(parts))
queries = st.lists(st.tuples(text, text), max_size=5)
names = st.text("abcXYZ019-_", min_size=1, max_size=8).map(lambda name: f"X-{name}")
values = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E) | st.just("\t"), max_size=20)
secrets = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)
moments = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001


@st.composite
def spelled(draw: st.DrawFn, query: Headers) -> str:
    """The query in one of its many spellings: any byte may be percent-encoded, in either case."""

    def spell(part: str) -> str:
        safe = draw(st.sampled_from(["", "-_.~", "!*'(),;:@$/"]))
        quoted = quote(part, safe=safe)
        return quoted.replace("%E", "%e") if draw(st.booleans()) else quoted

    return "&".join(f"{spell(name)}={spell(value)}" if value or not name else spell(name) for name, value in query)


@settings(deadline=None)
@given(
    data=st.data(),
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH"]),
    path=paths,
    query=queries,
    extra=st.lists(st.tuples(names, values), max_size=5),
    body=st.binary(max_size=200),
    moment=moments,
    secret=secrets,
)
def test_generated_requests_are_signed_as_botocore_signs_them(
    data: st.DataObject,
    method: str,
    path: str,
    query: Headers,
    extra: Headers,
    body: bytes,
    moment: datetime,
    secret: str,
) -> None:
    scheme, key = amazon("service"), (secret, "eu-central-1")
    headers = [("Host", "host.example"), *extra, (scheme.date_header, sigv4.timestamp(moment))]
    question = data.draw(spelled(query))
    target = f"{path}?{question}" if question else path
    mine = ours(method, target, headers, body, scheme=scheme, key=key)
    assert mine == botocores(method, path, query, headers, body, scheme=scheme, key=key)


def test_a_plus_sign_and_a_stray_percent_sign_stand_for_themselves() -> None:
    assert sigv4.canonical_query("a=b+c&d=%&e=%zz") == "a=b%2Bc&d=%25&e=%25zz"


def test_an_empty_pair_is_a_pair() -> None:
    assert sigv4.canonical_query("a=1&&b") == "=&a=1&b="
    assert sigv4.canonical_query("") == ""
