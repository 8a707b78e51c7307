"""Envelopes open in jwcrypto and jwcrypto's open here, for both kinds of key."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jwcrypto import jwe, jwk

from tests.support.checkout import ROOT
from worker.errors import EnvelopeError
from worker.wire import envelope
from worker.wire.keys import PrivateKey

LOCATION = "pl:office-0123456789abcdef"
ENVELOPE = json.loads((ROOT / "tests" / "vectors" / "envelope.json").read_text())
ALG = {"rsa": "RSA-OAEP-256", "x25519": "ECDH-ES+A256KW"}


@lru_cache
def read_with_jwcrypto(pem: str) -> jwk.JWK:
    return jwk.JWK.from_pem(pem.encode())


def seal_with_jwcrypto(payload: bytes, key: PrivateKey, **changes: Any) -> str:
    header = {"alg": ALG[key.kind], "enc": "A256GCM", "kid": key.kid, "typ": "pl-jobs", "loc": LOCATION, **changes}
    token = jwe.JWE(payload, protected=json.dumps(header), recipient=read_with_jwcrypto(key.public.pem))
    return str(token.serialize(compact=True))


def open_with_jwcrypto(token: str, private_pem: str, algs: list[str] | None = None) -> tuple[bytes, dict[str, Any]]:
    opened = jwe.JWE(algs=algs)
    opened.deserialize(token, key=read_with_jwcrypto(private_pem))
    return opened.payload, json.loads(opened.objects["protected"])


def unseal(token: str, key: PrivateKey) -> bytes:
    return envelope.unseal(token.encode(), [key], typ="pl-jobs", location=LOCATION, max_bytes=1_000_000)


@settings(deadline=None, max_examples=25)
@given(payload=st.binary(min_size=1, max_size=2000))  # jwcrypto takes an empty payload for a failure
@pytest.mark.parametrize("kind", ["rsa", "x25519"])
def test_what_one_side_seals_the_other_opens(
    kind: str, payload: bytes, rsa_key: PrivateKey, x25519_key: PrivateKey
) -> None:
    key = {"rsa": rsa_key, "x25519": x25519_key}[kind]
    assert unseal(seal_with_jwcrypto(payload, key), key) == payload
    token = envelope.seal(payload, key.public, typ="pl-jobs", location=LOCATION).decode()
    assert open_with_jwcrypto(token, key.pem.reveal())[0] == payload


def test_a_sealed_header_has_exactly_the_names_of_the_protocol(key: PrivateKey) -> None:
    token = envelope.seal(b"x", key.public, typ="pl-results", location=LOCATION).decode()
    _, header = open_with_jwcrypto(token, key.pem.reveal())
    epk = header.pop("epk", None)
    assert header == {"alg": ALG[key.kind], "enc": "A256GCM", "kid": key.kid, "typ": "pl-results", "loc": LOCATION}
    assert (epk is not None) == (key.kind == "x25519")
    if epk is not None:
        assert epk.keys() == {"kty", "crv", "x"}


@pytest.mark.parametrize("extra", [{"zip": "DEF"}, {"cty": "json"}, {"enc": "A256CBC-HS512"}, {"typ": "JWE"}])
def test_what_jwcrypto_seals_under_another_header_is_refused(key: PrivateKey, extra: dict[str, str]) -> None:
    with pytest.raises(EnvelopeError, match="header"):
        unseal(seal_with_jwcrypto(b"x", key, **extra), key)


@pytest.mark.parametrize(
    "name",
    [
        "zip",
        "cty",
        "apu",
        "a key by value",
        "no typ",
        "no loc",
        "no kid",
        "the typ of results",
        "another location",
        "a key that is not held",
        "A128GCM",
        "ECDH-ES+A128KW",
        "an epk with a kid",
        "RSA-OAEP with SHA-1",
        "an epk beside RSA",
    ],
)
def test_a_foreign_header_of_the_vectors_is_no_broken_envelope(name: str) -> None:
    """A general library opens these, so that it is our set of names and values that refuses them, and no wrong tag."""
    token = next(case["token"] for case in ENVELOPE["refused"] if case["name"] == name)
    pem = ENVELOPE["keys"][1 if "RSA" in name else 0]["private_pem"]
    algs = ["A128GCM", "A256GCM", "ECDH-ES+A128KW", "ECDH-ES+A256KW", "RSA-OAEP", "RSA-OAEP-256"]
    payload, _ = open_with_jwcrypto(token, pem, algs)
    assert payload.decode() == ENVELOPE["accepted"][0]["payload"]
