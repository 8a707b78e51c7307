"""Digest by the examples of its RFCs, and what hostile or odd challenges make of it."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.flows import answer, asking, authorization, requests
from worker.net.http.digest import MOST_CHALLENGE, Challenge, DigestCredentials, challenge_of
from worker.net.http.error import HTTPError
from worker.net.http.outgoing import Outgoing
from worker.net.http.response import Response
from worker.outcome.failure import FailureCode
from worker.secret import Secret

NONCE = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
OPAQUE = "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"
MUFASA = DigestCredentials(
    username="Mufasa",
    password=Secret("Circle of Life"),
    cnonce=lambda: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
)


def challenged(*values: str) -> Response:
    return answer(401, b"", *(("WWW-Authenticate", value) for value in values))


def example(algorithm: str) -> str:
    return (
        f'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={algorithm}, '
        f'nonce="{NONCE}", opaque="{OPAQUE}"'
    )


def answered(credentials: DigestCredentials, *answers: Response, outgoing: Outgoing | None = None) -> str | None:
    return authorization(requests(credentials, outgoing or asking("http://h/dir/index.html"), answers)[-1])


def test_both_challenges_of_the_rfcs_example_have_the_answers_of_the_example() -> None:
    """RFC 7616 §3.9.1."""
    assert answered(MUFASA, challenged(example("SHA-256"), example("MD5"))) == (
        'Digest username="Mufasa", realm="http-auth@example.org", uri="/dir/index.html", algorithm=SHA-256, '
        f'nonce="{NONCE}", nc=00000001, cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", qop=auth, '
        'response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1", '
        f'opaque="{OPAQUE}"'
    )
    of_md5 = answered(MUFASA, challenged(example("MD5")))
    assert of_md5 is not None
    assert 'response="8ca523f5e9506fed4657c9700eebdbec"' in of_md5


def test_a_challenge_without_an_algorithm_is_md5() -> None:
    """RFC 2617 §3.5."""
    written = DigestCredentials(username="Mufasa", password=Secret("Circle Of Life"), cnonce=lambda: "0a4f113b")
    value = answered(
        written,
        challenged(
            'Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", '
            'opaque="5ccc069c403ebaf9f0171e9517f40e41"'
        ),
    )
    assert value is not None
    assert 'response="6629fae49393a05397450978507c4ef1"' in value
    assert "algorithm" not in value


def test_the_first_challenge_that_can_be_answered_is() -> None:
    found = challenge_of(challenged('Negotiate YII=, Basic realm="a, b", ' + example("SHA-3"), example("MD5-sess")))
    assert found == Challenge(
        realm="http-auth@example.org", nonce=NONCE, algorithm="MD5-sess", qop="auth", opaque=OPAQUE
    )


@pytest.mark.parametrize("values", [(), ("Basic realm=x",), ("Negotiate",), ('Basic realm="Digest nonce=1"',)])
def test_another_scheme_is_not_answered(values: tuple[str, ...]) -> None:
    assert requests(MUFASA, asking(), [challenged(*values)]) == [asking()]


def test_another_status_is_not_answered() -> None:
    assert requests(MUFASA, asking(), [answer(200, b"", ("WWW-Authenticate", example("MD5")))]) == [asking()]


@pytest.mark.parametrize(
    "value",
    [
        "Digest",
        'Digest realm="r"',
        'Digest nonce="n"',
        'Digest realm="r", nonce=""',
        'Digest realm="r", nonce="n", algorithm=SHA-3',
        'Digest realm="r", nonce="n", qop="auth-conf"',
        'Digest realm="r", nonce="n\x01"',
        'Digest realm="r, nonce="n"',
    ],
)
def test_a_challenge_that_cannot_be_answered_is_told(value: str) -> None:
    with pytest.raises(HTTPError) as caught:
        challenge_of(challenged(value))
    assert caught.value.failure.code is FailureCode.AUTHENTICATION_ERROR


def test_a_refused_answer_is_the_answer_and_a_stale_nonce_is_not() -> None:
    refused = challenged(example("MD5"))
    stale = challenged(example("MD5") + ", stale=TRUE")
    assert len(requests(MUFASA, asking(), [refused, refused, refused])) == 2
    assert len(requests(MUFASA, asking(), [refused, stale, refused])) == 3
    assert len(requests(MUFASA, asking(), [refused, stale, stale, stale])) == 3


def test_a_hidden_user_name_is_a_hash() -> None:
    """RFC 7616 §3.4.4, computed as `printf 'Mufasa:r' | sha256sum`."""
    value = answered(MUFASA, challenged('Digest realm="r", nonce="n", qop=auth, algorithm=SHA-256, userhash=true'))
    assert value is not None
    assert 'username="8ec3e1d647d8bd2ae7115a19b5155727c083dd356e9e6fa526b1188461f18acf"' in value
    assert value.endswith(", userhash=true")


def test_sha_512_256_is_the_hash_of_fips_180_4() -> None:
    """As `openssl dgst -sha512-256` has it; the example of RFC 7616 §3.9.2 cuts SHA-512 off instead, which is a known erratum."""
    written = DigestCredentials(username="Jäsøn Doe", password=Secret("Secret, or not?"))
    value = answered(
        written, challenged('Digest realm="api@example.org", nonce="n", algorithm=SHA-512-256, userhash=true')
    )
    assert value is not None
    assert 'username="793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b"' in value


def test_what_is_repeated_is_repeated_octet_by_octet_and_names_are_utf8() -> None:
    written = DigestCredentials(username='Jä"s\\on\r\n', password=Secret("x"), cnonce=lambda: "c")
    raw = ((b"WWW-Authenticate", b'Digest realm="caf\xe9 \\"\xc3\xa9", nonce="n"'),)
    response = Response(status=401, http_version="1.1", headers=(), body=b"", content_encodings=(), raw_headers=raw)
    outgoing = requests(written, asking(), [response])[-1]
    value = authorization(outgoing)
    assert value is not None
    sent = value.encode("latin-1")
    assert b'realm="caf\xe9 \\"\xc3\xa9"' in sent
    assert 'username="Jä\\"s\\\\on??"'.encode() in sent


def test_a_challenge_is_read_up_to_its_bound() -> None:
    padding = 'Basic realm="' + "x" * MOST_CHALLENGE + '", '
    assert challenge_of(challenged(padding + example("MD5"))) is None


@given(st.text('Digest realm=nonce"\\,= \tabc/+', max_size=200))
def test_any_text_is_a_challenge_or_none_or_is_refused(text: str) -> None:
    found = None
    with suppress(HTTPError):
        found = challenge_of(challenged(text, f"Digest {text}"))
    assert found is None or found.nonce
