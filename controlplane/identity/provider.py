"""IdentityProvider: the conversation with one provider, through the door, each exchange bounded in time and bytes.

It is the operator's own choice, so no address of it is judged. Metadata and keys are kept for a while, and keys are fetched
anew for a name that nobody knows, once a minute at most. No redirect is followed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from ipaddress import ip_network
from urllib.parse import quote, urlencode

from joserfc.jwk import Key

from controlplane.errors import SignOnError
from controlplane.identity import messages
from controlplane.identity.messages import ProvenIdentity, ProviderMetadata
from controlplane.identity.settings import ProviderSettings
from controlplane.identity.state import SignOnState
from worker import __version__
from worker.clock import Clock
from worker.egress.policy import Policy
from worker.net.dns.resolver import Resolver
from worker.net.door import Door
from worker.net.http.client import Client
from worker.net.http.credentials import BasicCredentials, BearerCredentials
from worker.net.http.request import Request
from worker.net.http.response import HTTPLimits
from worker.net.trust import TrustStore
from worker.secret import Secret
from worker.text import cut, printable

EXCHANGE_SECONDS = 10.0
"""For one request: a visitor waits."""
KEPT_NS = 3_600 * 1_000_000_000
"""For metadata and keys."""
RETRY_NS = 60 * 1_000_000_000
"""Between two looks for a key that nobody knows, whoever sends tokens."""
FAILED_NS = 5 * 1_000_000_000
"""After a failure visitors are told of it at once, and do not wait one after another."""
_WELL_KNOWN = "/.well-known/openid-configuration"
_JSON = (("Accept", "application/json"),)
_EVERYWHERE = (ip_network("0.0.0.0/0"), ip_network("::/0"))


class IdentityProvider:
    """One provider, for all visitors of this process."""

    def __init__(self, settings: ProviderSettings, clock: Clock) -> None:
        self.settings = settings
        self._clock = clock
        self._client: Client | None = None
        self._turn = asyncio.Lock()
        self._metadata: ProviderMetadata | None = None
        self._keys: Mapping[str, Key] = {}
        self._fetched_ns = 0
        self._keys_ns = 0
        self._failure: tuple[int, SignOnError] | None = None

    async def address(self, state: SignOnState, redirect_uri: str) -> str:
        """The provider's address for a visitor. Raises SignOnError."""
        return messages.authorization_url(await self._ready(), self.settings, state, redirect_uri)

    async def identify(self, code: str, state: SignOnState, redirect_uri: str) -> ProvenIdentity:
        """Exchange the code of an answer, and check whom it stands for. Raises SignOnError."""
        metadata = await self._ready()
        reply = messages.read_token_reply(await self._exchanged(metadata, code, state, redirect_uri))
        await self._know(metadata, messages.key_name(reply.id_token))
        now = self._clock.now().timestamp()
        claims = messages.read_claims(reply.id_token, self._keys, self.settings, nonce=state.nonce, now=now)
        if self.settings.claim not in claims and metadata.userinfo_endpoint and reply.access_token:
            credentials = BearerCredentials(Secret(reply.access_token))
            document = await self._sent(Request(url=metadata.userinfo_endpoint, headers=_JSON, credentials=credentials))
            claims = messages.with_user_info(claims, document)
        return messages.identity_of(claims, self.settings)

    async def _ready(self) -> ProviderMetadata:
        async with self._turn:
            now = self._clock.monotonic_ns()
            if self._metadata is not None and now - self._fetched_ns < KEPT_NS:
                return self._metadata
            if self._failure is not None and now - self._failure[0] < FAILED_NS:
                raise SignOnError(self._failure[1].reason)
            try:
                url = self.settings.issuer.rstrip("/") + _WELL_KNOWN
                metadata = messages.read_metadata(await self._get(url), self.settings.issuer)
                keys = messages.read_keys(await self._get(metadata.jwks_uri))
            except SignOnError as error:
                self._failure = (self._clock.monotonic_ns(), error)
                raise
            self._metadata, self._keys, self._failure = metadata, keys, None
            self._fetched_ns = self._keys_ns = self._clock.monotonic_ns()
            return metadata

    async def _know(self, metadata: ProviderMetadata, name: str) -> None:
        """Fetch the keys anew where *name* is not among them: a provider changes them when it likes."""
        async with self._turn:
            now = self._clock.monotonic_ns()
            if name in self._keys or not name or now - self._keys_ns < RETRY_NS:
                return
            self._keys_ns = now
            self._keys = messages.read_keys(await self._get(metadata.jwks_uri))

    async def _exchanged(self, metadata: ProviderMetadata, code: str, state: SignOnState, redirect_uri: str) -> bytes:
        """The answer of the token endpoint (OpenID Connect Core 1.0 §3.1.3)."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": state.verifier,
        }
        secret, credentials = self.settings.client_secret, None
        if secret is None:
            form["client_id"] = self.settings.client_id
        elif "client_secret_basic" in metadata.token_endpoint_auth_methods_supported:
            credentials = _basic(self.settings.client_id, secret)
        else:
            form |= {"client_id": self.settings.client_id, "client_secret": secret.reveal()}
        request = Request(
            url=metadata.token_endpoint,
            method="POST",
            body=urlencode(form).encode(),
            content_type="application/x-www-form-urlencoded",
            headers=_JSON,
            credentials=credentials,
        )
        return await self._sent(request)

    async def _get(self, url: str) -> bytes:
        return await self._sent(Request(url=url, headers=_JSON))

    async def _sent(self, request: Request) -> bytes:
        if self._client is None:
            self._client = await asyncio.to_thread(_client, self.settings, self._clock)
        transfer = await self._client.send(request, EXCHANGE_SECONDS)
        if transfer.failure is not None:
            raise SignOnError(f"it cannot be reached: {cut(printable(transfer.failure.message), 300)}")
        assert transfer.response is not None
        if transfer.response.status != 200:
            raise SignOnError(f"it answered with status {transfer.response.status}")
        return transfer.response.body


def _client(settings: ProviderSettings, clock: Clock) -> Client:
    try:
        trust = TrustStore(settings.ca_files)
    except OSError as error:  # ssl.SSLError is one
        raise SignOnError(f"--oidc-ca-file: cannot be read as certificates: {error.strerror or error}") from error
    door = Door(policy=Policy.build(allow=_EVERYWHERE), resolver=Resolver((), use_host=True, ipv6=True), trust=trust)
    agent = (("User-Agent", f"open-private-location/{__version__}"), ("Accept-Encoding", "identity"))
    return Client(door, clock, HTTPLimits(max_body_bytes=messages.MAX_DOCUMENT_BYTES), agent)


def _basic(client: str, secret: Secret[str]) -> BasicCredentials:
    """RFC 6749 §2.3.1: both are form-encoded before they are joined."""
    return BasicCredentials(username=quote(client, safe=""), password=Secret(quote(secret.reveal(), safe="")))
