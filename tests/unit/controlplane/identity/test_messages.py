"""A provider's documents and tokens, those made by jwcrypto, a second implementation; each wrong one is wrong in one thing."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from jwcrypto import jwk, jwt
from jwcrypto.common import base64url_encode

from controlplane.errors import SignOnError
from controlplane.identity import messages
from controlplane.identity.settings import EVERYBODY, ProviderSettings, RoleRule
from controlplane.identity.state import begin
from controlplane.service.principal import Role
from worker.secret import Secret

ISSUER = "https://id.example"
NOW = 1_700_000_000
NONCE = "a nonce"
SETTINGS = ProviderSettings(
    issuer=ISSUER, client_id="plane", client_secret=Secret("s"), rules=[RoleRule(role=Role.ADMIN, value="ops")]
)
RSA = jwk.JWK.generate(kty="RSA", size=2048, kid="rsa")
EC = jwk.JWK.generate(kty="EC", crv="P-256", kid="ec")
ED = jwk.JWK.generate(kty="OKP", crv="Ed25519", kid="ed")
STRANGER = jwk.JWK.generate(kty="EC", crv="P-256", kid="ec")
CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "aud": "plane",
    "sub": "1234",
    "exp": NOW + 300,
    "iat": NOW,
    "nonce": NONCE,
    "preferred_username": "ann",
    "groups": ["staff", "ops"],
}
METADATA = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/auth",
    "token_endpoint": f"{ISSUER}/token",
    "jwks_uri": f"{ISSUER}/keys",
}


def key_set(*keys: jwk.JWK) -> bytes:
    return json.dumps({"keys": [key.export_public(as_dict=True) for key in keys]}).encode()


KEYS = messages.read_keys(key_set(RSA, EC, ED))


def token(key: jwk.JWK = EC, alg: str = "ES256", header: dict[str, Any] | None = None, **changes: Any) -> str:
    claims = {name: value for name, value in {**CLAIMS, **changes}.items() if value is not None}
    named = {"alg": alg, "kid": key.get("kid"), **(header or {})}
    made = jwt.JWT(header={name: value for name, value in named.items() if value is not None}, claims=claims)
    made.make_signed_token(key)
    text: str = made.serialize()
    return text


def read(text: str, nonce: str = NONCE, keys: Any = KEYS) -> messages.ProvenIdentity:
    claims = messages.read_claims(text, keys, SETTINGS, nonce=nonce, now=NOW)
    return messages.identity_of(claims, SETTINGS)


@pytest.mark.parametrize(("key", "alg"), [(RSA, "RS256"), (RSA, "PS512"), (EC, "ES256"), (ED, "Ed25519")])
def test_a_good_token_is_read_whatever_the_kind_of_its_key(key: jwk.JWK, alg: str) -> None:
    found = read(token(key, alg))
    assert (found.issuer, found.subject, found.name, found.role) == (ISSUER, "1234", "ann", Role.ADMIN)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"iss": "https://evil.example"}, "another issuer"),
        ({"iss": None}, "another issuer"),
        ({"iss": ISSUER + "/"}, "another issuer"),
        ({"aud": "another"}, "another client"),
        ({"aud": ["another"]}, "another client"),
        ({"aud": None}, "another client"),
        ({"aud": ["plane", "another"]}, "given to another client"),
        ({"azp": "another"}, "given to another client"),
        ({"exp": NOW - 60}, "expired"),
        ({"exp": None}, "expired"),
        ({"exp": "never"}, "expired"),
        ({"exp": True}, "expired"),
        ({"iat": NOW + 61}, "future"),
        ({"iat": None}, "future"),
        ({"nonce": "another"}, "another question"),
        ({"nonce": None}, "another question"),
        ({"nonce": 5}, "another question"),
        ({"sub": None}, "names nobody"),
        ({"sub": ""}, "names nobody"),
        ({"sub": 5}, "names nobody"),
        ({"sub": "x" * 256}, "names nobody"),
    ],
)
def test_a_token_that_is_wrong_in_one_thing_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(SignOnError, match=reason):
        read(token(**changes))


@pytest.mark.parametrize("changes", [{"exp": NOW - 59}, {"iat": NOW + 60}, {"aud": ["plane", "x"], "azp": "plane"}])
def test_clocks_may_differ_by_a_minute_and_audiences_may_be_many(changes: dict[str, Any]) -> None:
    assert read(token(**changes)).subject == "1234"


def unsigned() -> str:
    header, payload, _ = token().split(".")
    plain = base64url_encode(json.dumps({"alg": "none", "kid": "ec"}))
    assert header
    return f"{plain}.{payload}."


def signed_under_what_everybody_knows() -> str:
    """HS256 under the text of the public key, and the classic mistake of a reader that believes `alg`."""
    public = EC.export_to_pem()
    return token(jwk.JWK(kty="oct", k=base64url_encode(public), kid="ec"), "HS256")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (unsigned(), "signature"),
        (signed_under_what_everybody_knows(), "signature"),
        (token(jwk.JWK(kty="oct", k=base64url_encode(b"s" * 32), kid="ec"), "HS256"), "signature"),
        (token(STRANGER), "signature"),
        (token(header={"kid": "unknown"}), "does not show"),
        (token()[:-4] + "AAAA", "signature"),
        (token().replace(".", ".e", 1), "signature"),
        ("", "not one"),
        ("a.b.c", "not one"),
        ("x" * 70_000, "too long"),
    ],
    ids=[
        "none",
        "HS256 of the public key",
        "HS256 of a secret",
        "stranger",
        "kid",
        "cut",
        "payload",
        "",
        "abc",
        "long",
    ],
)
def test_a_signature_that_is_not_the_providers_is_refused(text: str, reason: str) -> None:
    with pytest.raises(SignOnError, match=reason):
        read(text)


def test_a_token_without_a_key_name_is_taken_from_a_provider_with_one_key_alone() -> None:
    bare = token(header={"kid": None})
    assert read(bare, keys=messages.read_keys(key_set(EC))).subject == "1234"
    with pytest.raises(SignOnError):
        read(bare)


def test_keys_that_nobody_could_use_are_left_out() -> None:
    others = [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "secret"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "broken"},
        {"kty": "new", "kid": "new"},
        {**EC.export_public(as_dict=True), "use": "enc", "kid": "for encryption"},
    ]
    document = json.dumps({"keys": [*others, EC.export_public(as_dict=True)]}).encode()
    assert list(messages.read_keys(document)) == ["ec"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"issuer": "https://evil.example"}, "another issuer"),
        ({"token_endpoint": "http://id.example/token"}, "token_endpoint is not a valid https URL"),
        ({"jwks_uri": "file:///etc/passwd"}, "jwks_uri is not"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "authorization_endpoint is not"),
        ({"userinfo_endpoint": "ftp://id.example"}, "userinfo_endpoint is not"),
        ({"jwks_uri": 5}, "cannot be read"),
    ],
)
def test_metadata_that_is_not_the_issuers_or_leads_into_the_open_is_refused(
    changes: dict[str, Any], reason: str
) -> None:
    assert messages.read_metadata(json.dumps(METADATA).encode(), ISSUER).issuer == ISSUER
    with pytest.raises(SignOnError, match=reason):
        messages.read_metadata(json.dumps({**METADATA, **changes}).encode(), ISSUER)


def test_the_address_has_the_challenge_and_not_the_verifier() -> None:
    metadata = messages.read_metadata(json.dumps(METADATA).encode(), ISSUER)
    state = begin("/tests", NOW)
    url = messages.authorization_url(metadata, SETTINGS, state, "https://plane.example/return")
    query = {name: value for name, (value,) in parse_qs(urlsplit(url).query).items()}
    assert query == {
        "response_type": "code",
        "client_id": "plane",
        "redirect_uri": "https://plane.example/return",
        "scope": "openid profile email",
        "state": state.state,
        "nonce": state.nonce,
        "code_challenge": query["code_challenge"],
        "code_challenge_method": "S256",
    }
    assert state.verifier not in url


def test_user_info_adds_to_a_token_and_overrules_nothing_in_it() -> None:
    told = {"sub": "1234", "iss": "x", "preferred_username": "eve", "groups": ["ops"]}
    claims = {"sub": "1234", "iss": ISSUER, "preferred_username": "ann"}
    found = messages.identity_of(messages.with_user_info(claims, json.dumps(told).encode()), SETTINGS)
    assert (found.name, found.role) == ("ann", Role.ADMIN)
    with pytest.raises(SignOnError, match="somebody else"):
        messages.with_user_info(claims, json.dumps({**told, "sub": "5678"}).encode())


@pytest.mark.parametrize(
    ("groups", "role"),
    [(["ops"], Role.ADMIN), ("ops", Role.ADMIN), (["x"], None), ({"ops": 1}, None), ([["ops"]], None)],
)
def test_a_role_is_found_in_a_list_or_a_text(groups: Any, role: Role | None) -> None:
    assert read(token(groups=groups)).role is role


def test_everybody_is_everybody_whom_the_provider_knows() -> None:
    settings = ProviderSettings(
        issuer=ISSUER, client_id="plane", client_secret=None, rules=[RoleRule(role=Role.VIEWER, value=EVERYBODY)]
    )
    assert settings.role_of([]) is Role.VIEWER


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"preferred_username": None, "email": "ann@example.com"}, "ann@example.com"),
        ({"preferred_username": " ", "name": "Ann B"}, "Ann B"),
        ({"preferred_username": "a\u202eb"}, "1234"),
        ({"preferred_username": ["x"]}, "1234"),
        ({"preferred_username": "x" * 300}, "x" * 100),
    ],
)
def test_a_name_is_the_first_that_can_be_one(changes: dict[str, Any], name: str) -> None:
    assert read(token(**changes)).name == name
