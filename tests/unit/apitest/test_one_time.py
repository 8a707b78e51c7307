"""One-time passwords against RFC 4226, RFC 6238, and cryptography's implementation of both."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from hypothesis import given
from hypothesis import strategies as st

from worker.apitest.one_time import OneTimeSecret
from worker.apitest.template import ExpressionError
from worker.secret import Secret

KEY = b"12345678901234567890"
"""The key of both RFCs' appendices."""


def password(key: str, seconds: int, *, digits: int = 6, refresh: int = 30) -> str:
    secret = OneTimeSecret(key=Secret(key), digits=digits, refresh=refresh)
    return secret.password(datetime.fromtimestamp(seconds, UTC)).reveal()


def base32(key: bytes) -> str:
    return base64.b32encode(key).decode()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (59, "94287082"),
        (1_111_111_109, "07081804"),
        (1_111_111_111, "14050471"),
        (1_234_567_890, "89005924"),
        (2_000_000_000, "69279037"),
        (20_000_000_000, "65353130"),
    ],
)
def test_the_vectors_of_rfc_6238_appendix_b(seconds: int, text: str) -> None:
    assert password(base32(KEY), seconds, digits=8) == text


@pytest.mark.parametrize(
    ("count", "number"), [(0, 1284755224), (1, 1094287082), (2, 137359152), (3, 1726969429), (4, 1640338314)]
)
def test_the_vectors_of_rfc_4226_appendix_d_at_every_length(count: int, number: int) -> None:
    for digits in range(4, 11):
        assert password(base32(KEY), count * 30, digits=digits) == str(number)[-digits:].zfill(digits)


@given(st.binary(min_size=10, max_size=64), st.integers(0, 2**33), st.integers(6, 8), st.integers(1, 999))
def test_any_password_is_the_one_of_cryptography(key: bytes, seconds: int, digits: int, refresh: int) -> None:
    theirs = TOTP(key, digits, SHA1(), refresh, enforce_key_length=False).generate(seconds)
    assert password(base32(key), seconds, digits=digits, refresh=refresh) == theirs.decode()


@pytest.mark.parametrize(
    "text", ["JBSWY3DPEHPK3PXP", "jbsw y3dp ehpk 3pxp", "JBSW-Y3DP-EHPK-3PXP", "JBSWY3DPEHPK3PXP====\n"]
)
def test_a_secret_is_read_as_people_paste_it(text: str) -> None:
    assert password(text, 0) == password("JBSWY3DPEHPK3PXP", 0)


@pytest.mark.parametrize("text", ["", " ", "====", "not base32!", "JBSWY3DPEHPK3PX1", "ABCDEF\u00e9", "A"])
def test_what_is_no_base32_is_an_error_without_the_secret(text: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        password(text, 0)
    assert str(caught.value) == "has a secret that is not valid base32"
    assert caught.value.__cause__ is None or not text.strip() or text not in str(caught.value)


def test_a_secret_does_not_print_itself() -> None:
    assert "JBSWY3DP" not in repr(OneTimeSecret(key=Secret("JBSWY3DP")))
