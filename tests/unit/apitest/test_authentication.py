"""`basicAuth` of every type: read whole, and what each of them cannot do without."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.support.definitions import STATUS, api_test
from worker.apitest.authentication import BasicAuth, DigestAuth, OAuth, SigV4Auth
from worker.apitest.definition import APITest
from worker.apitest.parse import parse
from worker.apitest.protocols.http import HTTPRequest
from worker.errors import TestError
from worker.secret import Secret

CLIENT = {
    "type": "oauth-client",
    "accessTokenUrl": "https://id.test/token",
    "clientId": "shop",
    "clientSecret": "cs",
    "tokenApiAuthentication": "header",
}
ROP = {
    "type": "oauth-rop",
    "accessTokenUrl": "https://id.test/token",
    "username": "ann",
    "password": "pw",
    "tokenApiAuthentication": "body",
}
SIGV4 = {"type": "sigv4", "accessKey": "AK", "secretKey": "SK"}
DIGEST = {"type": "digest", "username": "ann", "password": "pw"}


def parsed(auth: Mapping[str, Any]) -> APITest:
    return parse(api_test("http", STATUS, basicAuth=auth))


@pytest.mark.parametrize(
    ("auth", "expected"),
    [
        ({"type": "web"}, None),
        ({"type": "web", "username": "", "password": ""}, None),
        ({"username": "", "password": "pw"}, BasicAuth(username="", password=Secret("pw"))),
        ({"username": "ann", "password": "pw"}, BasicAuth(username="ann", password=Secret("pw"))),
        (DIGEST, DigestAuth(username="ann", password=Secret("pw"))),
        (SIGV4, SigV4Auth(access_key=Secret("AK"), secret_key=Secret("SK"))),
        (
            SIGV4 | {"region": "eu-west-1", "serviceName": "sqs", "sessionToken": "t"},
            SigV4Auth(
                access_key=Secret("AK"),
                secret_key=Secret("SK"),
                session_token=Secret("t"),
                region="eu-west-1",
                service="sqs",
            ),
        ),
        (
            CLIENT | {"scope": "s", "audience": "a", "resource": "r"},
            OAuth(
                token_url="https://id.test/token",
                client_in="header",
                client_id="shop",
                client_secret=Secret("cs"),
                scope="s",
                audience="a",
                resource="r",
            ),
        ),
        (
            ROP,
            OAuth(token_url="https://id.test/token", client_in="body", username="ann", password=Secret("pw")),
        ),
        (
            ROP | {"clientId": "shop", "clientSecret": "cs"},
            OAuth(
                token_url="https://id.test/token",
                client_in="body",
                client_id="shop",
                client_secret=Secret("cs"),
                username="ann",
                password=Secret("pw"),
            ),
        ),
    ],
)
def test_each_type_is_read_whole(auth: Mapping[str, Any], expected: object) -> None:
    test = parsed(auth)
    assert isinstance(test.request, HTTPRequest)
    assert test.request.authentication == expected
    for secret in ("pw", "cs", "SK", "AK"):
        assert f"'{secret}'" not in repr(test)


REQUIRED = [
    *((DIGEST, member) for member in ("username", "password")),
    *((SIGV4, member) for member in ("accessKey", "secretKey")),
    *((CLIENT, member) for member in ("accessTokenUrl", "clientId", "clientSecret", "tokenApiAuthentication")),
    *((ROP, member) for member in ("accessTokenUrl", "username", "password", "tokenApiAuthentication")),
]


@pytest.mark.parametrize(("auth", "member"), REQUIRED)
@pytest.mark.parametrize(("value", "words"), [(None, "is missing"), ("", "is empty"), (5, "must be text")])
def test_what_a_type_needs_is_a_mistake_where_it_is_absent(
    auth: Mapping[str, Any], member: str, value: object, words: str
) -> None:
    with pytest.raises(TestError) as raised:
        parsed({**auth, member: value})
    assert f"config.request.basicAuth.{member}: {words}" in str(raised.value)


def test_a_client_is_in_the_header_or_in_the_body() -> None:
    with pytest.raises(TestError) as raised:
        parsed(CLIENT | {"tokenApiAuthentication": "query"})
    assert "basicAuth.tokenApiAuthentication: must be one of header, body, not 'query'" in str(raised.value)


@pytest.mark.parametrize("kind", ["ntlm", "jwt", "kerberos"])
def test_a_type_that_is_not_there_yet_is_named(kind: str) -> None:
    expected = f"config.request.basicAuth: the authentication '{kind}' is not there yet"
    assert parsed({"type": kind}).requires_update == (expected,)
