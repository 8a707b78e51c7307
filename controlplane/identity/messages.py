"""Messages between a provider and us: its metadata, the address that a visitor is sent to, its keys, and tokens. No IO.

OpenID Connect Core 1.0, Discovery 1.0, RFC 7636 (PKCE). Every text of a provider is bounded before it is parsed, and a token
counts once its signature is checked. Errors name what is wrong and repeat no token.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard, TypeVar
from urllib.parse import urlencode, urlsplit

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key

from controlplane.errors import SignOnError
from controlplane.identity.settings import ProviderSettings
from controlplane.identity.state import SignOnState
from controlplane.service.principal import Role
from worker.egress.hosts import is_private_way

T = TypeVar("T")

ALGORITHMS = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "Ed25519"),
)
"""Signatures by a key that only the provider has (RFC 8725 §3.1): no `none`, and none under a secret that is ours as well."""
MAX_DOCUMENT_BYTES = 256 * 1024
"""Of metadata, keys and answers: large groups of keys take some 20 kB."""
MAX_TOKEN_CHARACTERS = 64 * 1024
"""Of an ID token: thousands of groups."""
MAX_KEYS = 100
SKEW_SECONDS = 60
"""Between the provider's clock and ours."""
MAX_SUBJECT = 255
"""Characters (OpenID Connect Core 1.0 §2)."""


class ProviderMetadata(msgspec.Struct, frozen=True):
    """The members of a provider's metadata that are used (Discovery 1.0 §3)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str = ""
    token_endpoint_auth_methods_supported: Sequence[str] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False


class TokenReply(msgspec.Struct, frozen=True):
    """An answer of the token endpoint. *access_token* opens the provider's user info alone."""

    id_token: str
    access_token: str = ""

    def __repr__(self) -> str:
        return "<TokenReply>"


class _KeySet(msgspec.Struct, frozen=True):
    keys: list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenIdentity:
    """A person as a provider's signed word has it. *role* is None for who has none here."""

    issuer: str
    subject: str
    name: str
    role: Role | None


class _Registry(jws.JWSRegistry):
    """joserfc's limits, raised to ours."""

    max_payload_length = MAX_TOKEN_CHARACTERS


_REGISTRY = _Registry(algorithms=list(ALGORITHMS))


def authorization_url(
    metadata: ProviderMetadata, settings: ProviderSettings, state: SignOnState, redirect_uri: str
) -> str:
    """The address to which a visitor is sent (OpenID Connect Core 1.0 §3.1.2.1, RFC 7636 §4.3)."""
    digest = hashlib.sha256(state.verifier.encode()).digest()
    query = {
        "response_type": "code",
        "client_id": settings.client_id,
        "redirect_uri": redirect_uri,
        "scope": settings.scopes,
        "state": state.state,
        "nonce": state.nonce,
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }
    joint = "&" if urlsplit(metadata.authorization_endpoint).query else "?"
    return f"{metadata.authorization_endpoint}{joint}{urlencode(query)}"


def read_metadata(document: bytes, issuer: str) -> ProviderMetadata:
    """Raises SignOnError for what is not the metadata of *issuer*."""
    found = _decoded(document, ProviderMetadata, "metadata")
    if found.issuer != issuer:  # Discovery 1.0 §4.3: exactly
        raise SignOnError("its metadata is that of another issuer")
    for name in ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"):
        url = getattr(found, name)
        if not url and name == "userinfo_endpoint":
            continue
        if urlsplit(url).scheme not in ("http", "https") or not is_private_way(url):
            raise SignOnError(f"its {name} is not a valid https URL")
    return found


def read_keys(document: bytes) -> Mapping[str, Key]:
    """The keys for signatures by their names, "" for one without; those of kinds that nobody knows are left out."""
    found: dict[str, Key] = {}
    for member in _decoded(document, _KeySet, "key set").keys[:MAX_KEYS]:
        if member.get("use", "sig") != "sig" or member.get("kty") not in ("RSA", "EC", "OKP"):
            continue
        try:
            found[str(member.get("kid", ""))] = JWKRegistry.import_key(member)
        except (JoseError, ValueError, TypeError, KeyError):
            continue
    return found


def key_name(token: str) -> str:
    """The name of the key that a token says it is signed with. Raises SignOnError."""
    kid = _header(token).get("kid")
    return kid if isinstance(kid, str) else ""


def read_token_reply(document: bytes) -> TokenReply:
    """The answer of the token endpoint. Raises SignOnError."""
    return _decoded(document, TokenReply, "answer")


def read_claims(
    token: str, keys: Mapping[str, Key], settings: ProviderSettings, *, nonce: str, now: float
) -> Mapping[str, Any]:
    """Check an ID token (OpenID Connect Core 1.0 §3.1.3.7) and read it. *now* is seconds of the epoch. Raises SignOnError."""
    claims = _verified(token, keys)
    _check(claims, settings, nonce=nonce, now=now)
    return claims


def with_user_info(claims: Mapping[str, Any], document: bytes) -> Mapping[str, Any]:
    """The claims of an ID token, and those that the provider tells elsewhere of the same person (§5.3.2). Raises SignOnError."""
    told = _decoded(document, dict[str, Any], "user info")
    if told.get("sub") != claims["sub"]:
        raise SignOnError("its user info is about somebody else")
    return {**told, **claims}


def identity_of(claims: Mapping[str, Any], settings: ProviderSettings) -> ProvenIdentity:
    """The person whom checked claims are about."""
    values = claims.get(settings.claim, [])
    values = [values] if isinstance(values, str) else values if isinstance(values, list) else []
    return ProvenIdentity(
        issuer=settings.issuer,
        subject=claims["sub"],
        name=_name(claims),
        role=settings.role_of([value for value in values if isinstance(value, str)]),
    )


def _verified(token: str, keys: Mapping[str, Key]) -> dict[str, Any]:
    name = key_name(token)
    key = keys.get(name)
    if key is None and not name and len(keys) == 1:
        key = next(iter(keys.values()))
    if key is None:
        raise SignOnError("its ID token is signed with a key that it does not show")
    try:
        payload = jws.deserialize_compact(token, key, registry=_REGISTRY).payload
        claims = msgspec.json.decode(payload)
    except (JoseError, ValueError, TypeError) as error:
        raise SignOnError("the signature of its ID token is not valid") from error
    if not isinstance(claims, dict):
        raise SignOnError("its ID token is not an object")
    return claims


def _check(claims: Mapping[str, Any], settings: ProviderSettings, *, nonce: str, now: float) -> None:
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    expires, issued, subject = claims.get("exp"), claims.get("iat"), claims.get("sub")
    if claims.get("iss") != settings.issuer:
        raise SignOnError("its ID token is from another issuer")
    if settings.client_id not in audiences:
        raise SignOnError("its ID token is for another client")
    if claims.get("azp", settings.client_id) != settings.client_id or (len(audiences) > 1 and "azp" not in claims):
        raise SignOnError("its ID token was given to another client")
    if not _is_number(expires) or expires <= now - SKEW_SECONDS:
        raise SignOnError("its ID token has expired")
    if not _is_number(issued) or issued > now + SKEW_SECONDS:
        raise SignOnError("its ID token is from the future: the clocks differ")
    given = claims.get("nonce")
    if not isinstance(given, str) or not secrets.compare_digest(given.encode(), nonce.encode()):
        raise SignOnError("its ID token answers another question")
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT:
        raise SignOnError("its ID token names nobody")


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _name(claims: Mapping[str, Any]) -> str:
    """The first of a person's names that can be a user's."""
    for claim in ("preferred_username", "email", "name"):
        value = claims.get(claim)
        if isinstance(value, str) and value.strip() and value.isprintable():
            return value.strip()[:100]
    return str(claims["sub"])[:100]


def _header(token: str) -> Mapping[str, Any]:
    if len(token) > MAX_TOKEN_CHARACTERS:
        raise SignOnError("its ID token is too long")
    segment = token.partition(".")[0]
    try:
        header = msgspec.json.decode(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    except ValueError as error:  # msgspec.DecodeError is one
        raise SignOnError("its ID token is not one") from error
    if not isinstance(header, dict):
        raise SignOnError("its ID token is not one")
    return header


def _decoded(document: bytes, kind: type[T], what: str) -> T:
    try:
        return msgspec.json.decode(document, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SignOnError(f"its {what} cannot be read") from error
