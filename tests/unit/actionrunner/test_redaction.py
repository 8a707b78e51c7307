"""Redaction: a secret is found in every spelling that a service may echo it in, wherever it stands."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.actionrunner.redaction import SecretRemover, too_short
from worker.secret import Secret
from worker.text import cut

SECRET = 'p@ss "w/örd\\+1'


def remover(secret: str = SECRET) -> SecretRemover:
    return SecretRemover({"crm.token": Secret(secret)})


SPELLINGS = {
    "plain": SECRET,
    "base64": base64.b64encode(SECRET.encode()).decode(),
    "base64url": base64.urlsafe_b64encode(SECRET.encode()).decode(),
    "basic": base64.b64encode(b"u:" + SECRET.encode()).decode(),
    "basic longer": base64.b64encode(b"us:" + SECRET.encode() + b"!").decode(),
    "percent": quote(SECRET, safe=""),
    "percent lower": quote(SECRET, safe="")
    .replace("%C3%B6", "%c3%b6")
    .replace("%2F", "%2f")
    .replace("%2B", "%2b")
    .replace("%5C", "%5c"),
    "path": quote(SECRET),
    "form": quote_plus(SECRET),
    "json": json.dumps(SECRET),
    "json unicode": json.dumps(SECRET, ensure_ascii=False),
    "json slashes": json.dumps(SECRET).replace("/", "\\/"),
    "hex": SECRET.encode().hex(),
    "HEX": SECRET.encode().hex().upper(),
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_spelling_is_taken_out(name: str) -> None:
    made = remover()
    cleaned = made.text(f"<{SPELLINGS[name]}>")
    assert "‹crm.token›" in cleaned
    assert made.count == 1
    assert SPELLINGS[name] not in cleaned


@given(st.text(min_size=6, max_size=40), st.binary(max_size=7), st.binary(max_size=7))
def test_no_offset_hides_a_secret_in_base64(secret: str, before: bytes, behind: bytes) -> None:
    if any(0xD800 <= ord(character) <= 0xDFFF for character in secret):
        return
    text = base64.b64encode(before + secret.encode() + behind).decode()
    assert "‹crm.token›" in remover(secret).text(text)


def test_every_part_of_a_value_is_looked_at() -> None:
    made = SecretRemover({"a.b": Secret("123456")})
    value = {"123456": [123456, "x123456", True, None, 1.5, {"y": "123456"}]}
    assert made.value(value) == {"‹a.b›": ["‹a.b›", "x‹a.b›", True, None, 1.5, {"y": "‹a.b›"}]}
    assert made.count == 4


def test_a_short_secret_is_left_alone_and_named() -> None:
    secrets = {"a.b": Secret("12345")}
    assert SecretRemover(secrets).text("12345") == "12345"
    assert too_short(secrets) == ["a.b"]


@pytest.mark.parametrize("name", SPELLINGS)
def test_no_cut_leaves_the_beginning_of_a_secret(name: str) -> None:
    """A body is cut before secrets are taken out of it: at whatever place, three characters of one may be left."""
    spelled = SPELLINGS[name]
    whole = f"the answer has the status 500: <{spelled}> and more"
    for limit in range(whole.index("<") + 2, len(whole)):
        cleaned = remover().text(cut(whole, limit))
        assert cleaned.endswith("…")
        shown = cleaned.removesuffix("…").partition("<")[2].partition("‹")[0]
        assert len(shown.encode()) <= 8, (limit, cleaned)  # three, or what base64 has of the octets before


def test_what_only_looks_like_a_beginning_stays() -> None:
    assert remover().text("a p@s…") == "a p@s…"
    assert remover().text("p@ss is no secret…") == "p@ss is no secret…"
    assert remover().text("cut within p@ss…") == "cut within ‹crm.token›…"
    assert remover().text("not cut within p@ss") == "not cut within p@ss"


def test_a_line_of_a_private_key_is_a_secret_by_itself() -> None:
    key = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEG\nshort\n-----END PRIVATE KEY-----\n"
    assert remover(key).text("<MIGHAgEAMBMGByqGSM49AgEG>") == "<‹crm.token›>"
    assert remover(key).text("-----BEGIN PRIVATE KEY----- short") == "-----BEGIN PRIVATE KEY----- short"
