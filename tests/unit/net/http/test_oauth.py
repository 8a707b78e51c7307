"""Token requests and their answers, by RFC 6749."""

from __future__ import annotations

from base64 import b64decode
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

import pytest

from tests.support.flows import answer, asking, authorization, requests
from worker.net.http.error import HTTPError
from worker.net.http.oauth import MOST_ANSWER, PURPOSE, ClientAuthentication, OAuthCredentials, token_of
from worker.net.http.response import Response
from worker.outcome.failure import FailureCode
from worker.secret import Secret

ISSUED = answer(body=b'{"access_token": "t0ken", "token_type": "bearer", "expires_in": 60}')
CANARY = "canary5ecret"


def client(where: ClientAuthentication, **members: Any) -> OAuthCredentials:
    named: dict[str, Any] = {
        "client_id": "shop & co",
        "client_secret": Secret("p:ä%"),
        "token_url": "https://id.test/token",
    }
    return OAuthCredentials(**(named | members), authentication=where)


def asked(credentials: OAuthCredentials) -> tuple[list[tuple[str, str]], str | None]:
    """The parameters of the token request, and its Authorization."""
    sent = credentials.token_request()
    assert (sent.method, sent.target.url, sent.content_type, sent.purpose) == (
        "POST",
        "https://id.test/token",
        "application/x-www-form-urlencoded",
        PURPOSE,
    )
    return parse_qsl((sent.body or b"").decode(), strict_parsing=True), authorization(sent)


def test_a_client_in_the_header_is_form_encoded_before_it_is_basic() -> None:
    """RFC 6749 §2.3.1."""
    parameters, header = asked(client(ClientAuthentication.HEADER, scope="a b", audience="api", resource="urn:x"))
    assert parameters == [
        ("grant_type", "client_credentials"),
        ("scope", "a b"),
        ("audience", "api"),
        ("resource", "urn:x"),
    ]
    assert header is not None
    pair = b64decode(header.removeprefix("Basic ")).decode().split(":")
    assert [unquote_plus(part) for part in pair] == ["shop & co", "p:ä%"]


def test_a_client_in_the_body_is_two_parameters() -> None:
    parameters, header = asked(client(ClientAuthentication.BODY))
    assert parameters == [
        ("grant_type", "client_credentials"),
        ("client_id", "shop & co"),
        ("client_secret", "p:ä%"),
    ]
    assert header is None


def test_a_users_password_is_a_grant_with_or_without_a_client() -> None:
    """RFC 6749 §4.3.2."""
    user = {"username": "ann", "password": Secret("p")}
    parameters, header = asked(client(ClientAuthentication.HEADER, **user))
    assert parameters == [("grant_type", "password"), ("username", "ann"), ("password", "p")]
    assert header is not None
    parameters, header = asked(client(ClientAuthentication.HEADER, client_id="", client_secret=None, **user))
    assert (len(parameters), header) == (3, None)


def test_the_token_goes_out_as_bearer_and_stays_with_later_hops() -> None:
    sent = requests(client(ClientAuthentication.HEADER), asking(), [ISSUED])
    assert authorization(sent[1]) == "Bearer t0ken"
    assert sent[1].credentials is not None
    assert [authorization(one) for one in requests(sent[1].credentials, asking())] == ["Bearer t0ken"]


@pytest.mark.parametrize(
    ("response", "code", "words"),
    [
        (answer(401, b'{"error": "invalid_client"}'), "AUTHENTICATION_ERROR", "no token: status 401 (invalid_client)"),
        (answer(400, b'{"error": "' + CANARY.encode() + b'"}'), "AUTHENTICATION_ERROR", "no token: status 400"),
        (answer(302), "AUTHENTICATION_ERROR", "no token: status 302"),
        (answer(503, b"<html>"), "AUTHENTICATION_ERROR", "no token: status 503"),
        (answer(body=b'{"access_token": "a", "token_type": "mac"}'), "AUTHENTICATION_ERROR", "not Bearer"),
        (answer(body=b'{"access_token": "a", "token_type": 1}'), "AUTHENTICATION_ERROR", "not Bearer"),
        (answer(body=b""), "MALFORMED_RESPONSE", "not a JSON object with an access_token"),
        (answer(body=b"[]"), "MALFORMED_RESPONSE", "not a JSON object with an access_token"),
        (answer(body=b"[" * 60_000), "MALFORMED_RESPONSE", "not a JSON object with an access_token"),
        (answer(body=b'{"access_token": 1}'), "MALFORMED_RESPONSE", "not a JSON object with an access_token"),
        (answer(body=b'{"access_token": ""}'), "MALFORMED_RESPONSE", "not a JSON object with an access_token"),
        (answer(body=b'{"access_token": "a\\r\\nX: y"}'), "MALFORMED_RESPONSE", "not a JSON object"),
        (answer(body=ISSUED.body, encodings=("gzip",)), "MALFORMED_RESPONSE", "not a JSON object"),
        (answer(body=ISSUED.body + b" " * MOST_ANSWER), "MALFORMED_RESPONSE", "not a JSON object"),
    ],
)
def test_an_answer_without_a_token_fails_and_repeats_nothing_foreign(response: Response, code: str, words: str) -> None:
    with pytest.raises(HTTPError) as caught:
        token_of(response)
    failure = caught.value.failure
    assert failure.code is FailureCode(code)
    assert words in failure.message
    assert CANARY not in failure.message


def test_an_answer_without_a_type_is_taken_for_bearer() -> None:
    assert token_of(answer(body=b'{"access_token": "a"}')) == Secret("a")


def test_a_url_that_is_none_is_named_without_what_is_secret_in_it() -> None:
    with pytest.raises(HTTPError) as caught:
        client(ClientAuthentication.HEADER, token_url=f"gopher://u:{CANARY}@id.test/?{CANARY}").token_request()
    assert caught.value.failure.code is FailureCode.INVALID_REQUEST
    assert "the access token's URL: " in caught.value.failure.message
    assert CANARY not in caught.value.failure.message
