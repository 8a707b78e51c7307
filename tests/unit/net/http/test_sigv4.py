"""Requests of a test under Amazon's signature, by botocore, which signs the same fields."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.flows import asking, requests
from worker.net.http.outgoing import Outgoing
from worker.net.http.request import Request, prepare
from worker.net.http.sigv4 import SigV4Credentials, place_of
from worker.secret import Secret

MADE = ("X-Amz-Date", "X-Amz-Security-Token", "X-Amz-Content-SHA256", "Authorization")
NOW = datetime(2026, 11, 27, 8, 5, 4, tzinfo=UTC)


def credentials(token: str = "", **members: Any) -> SigV4Credentials:
    return SigV4Credentials(
        access_key=Secret("AKIDEXAMPLE"),
        secret_key=Secret("wJalrXUtnFEMI"),
        session_token=Secret(token) if token else None,
        **members,
    )


def signed(outgoing: Outgoing, by: SigV4Credentials) -> dict[str, str]:
    (sent,) = requests(by, outgoing, now=NOW)
    return dict(sent.authorization)


def botocores(outgoing: Outgoing, service: str, region: str, token: str = "", *, host: str = "") -> dict[str, str]:
    """The fields that botocore adds to the same request, of which it is given what we sign."""
    kind = S3SigV4Auth if service == "s3" else SigV4Auth
    signer = kind(Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI", token or None), service, region)
    request = AWSRequest(method=outgoing.method, url=outgoing.target.url, data=outgoing.body or b"")
    if outgoing.content_type is not None and outgoing.body is not None:
        request.headers["Content-Type"] = outgoing.content_type
    request.headers["Host"] = host or outgoing.target.authority
    for name, value in outgoing.headers:
        if name.lower().startswith("x-amz-"):
            request.headers.add_header(name, value)
    request.context["timestamp"] = "20261127T080504Z"
    request.headers["X-Amz-Date"] = "20261127T080504Z"
    if token:
        request.headers["X-Amz-Security-Token"] = token
    if service == "s3":
        request.headers["X-Amz-Content-SHA256"] = signer.payload(request)
    canonical = signer.canonical_request(request)
    signature = signer.signature(signer.string_to_sign(request, canonical), request)
    signer._inject_signature_to_request(request, signature)
    return {name: value for name, value in request.headers.items() if name in MADE}


segments = st.lists(st.sampled_from(["a", "b c", "%2F", "ü", "..", "", "x~y"]), max_size=4)
queries = st.lists(st.tuples(st.text("ab ü=&/~", max_size=4), st.text("ab ü=&/~", max_size=4)), max_size=3)


@settings(deadline=None)
@given(
    path=segments,
    query=queries,
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
    body=st.none() | st.binary(min_size=1, max_size=50),
    service=st.sampled_from(["execute-api", "s3"]),
    token=st.sampled_from(["", "session/token=="]),
)
def test_requests_are_signed_as_botocore_signs_them(
    path: list[str], query: list[tuple[str, str]], method: str, body: bytes | None, service: str, token: str
) -> None:
    outgoing = prepare(
        Request(
            url=f"https://api.shop.test:8443/{'/'.join(path)}",
            query=tuple(query),
            method=method,
            body=body,
            content_type="application/json",
        )
    )
    ours = signed(outgoing, credentials(token, region="eu-central-1", service=service))
    assert ours == botocores(outgoing, service, "eu-central-1", token)


def test_fields_of_amazons_own_are_signed_and_an_authors_date_gives_way() -> None:
    outgoing = asking(
        "https://dynamodb.eu-west-1.amazonaws.com/",
        "POST",
        body=b"{}",
        content_type="application/x-amz-json-1.0",
        headers=(("X-Amz-Target", "DynamoDB.List"), ("x-amz-date", "yesterday"), ("X-Other", "o")),
    )
    (sent,) = requests(credentials(), outgoing, now=NOW)
    assert sent.headers == (("X-Amz-Target", "DynamoDB.List"), ("X-Other", "o"))
    assert dict(sent.authorization) == botocores(sent, "dynamodb", "eu-west-1")


def test_the_host_that_is_sent_is_the_one_that_is_signed() -> None:
    outgoing = asking("https://10.0.0.7/", headers=(("Host", "api.shop.test"),))
    ours = signed(outgoing, credentials(region="r", service="s"))
    assert ours == botocores(asking("https://10.0.0.7/"), "s", "r", host="api.shop.test")


@pytest.mark.parametrize(
    ("host", "service", "region"),
    [
        ("abc123.execute-api.eu-west-1.amazonaws.com", "execute-api", "eu-west-1"),
        ("sqs.us-east-2.amazonaws.com", "sqs", "us-east-2"),
        ("iam.amazonaws.com", "iam", ""),
        ("sqs.cn-north-1.amazonaws.com.cn", "sqs", "cn-north-1"),
        ("search-shop.eu-west-1.es.amazonaws.com", "es", "eu-west-1"),
        ("bucket.s3.amazonaws.com", "s3", ""),
        ("bucket.s3.eu-west-3.amazonaws.com", "s3", "eu-west-3"),
        ("abc.lambda-url.eu-west-1.on.aws", "lambda", "eu-west-1"),
        ("api.shop.test", "", ""),
        ("amazonaws.com", "", ""),
        ("evil-amazonaws.com", "", ""),
        (".on.aws", "", ""),
    ],
)
def test_a_host_of_amazons_says_service_and_region(host: str, service: str, region: str) -> None:
    assert place_of(host) == (service, region)


def test_a_host_of_ones_own_is_api_gateway() -> None:
    value = signed(asking(), credentials())["Authorization"]
    assert "/20261127/us-east-1/execute-api/aws4_request, " in value


def test_each_hop_is_signed_anew() -> None:
    first, second = asking("https://shop.test/1"), asking("https://shop.test/2")
    assert signed(first, credentials())["Authorization"] != signed(second, credentials())["Authorization"]
