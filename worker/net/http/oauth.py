"""OAuth 2.0 (RFC 6749): an access token by the client's or the user's credentials, asked for in each run, then sent as bearer.

No token outlives its run: a monitor that kept one would not see that none is issued any more. The answer of the token endpoint is
untrusted: bounded, and none of its words is repeated but the error codes of the standards.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import Final
from urllib.parse import quote_plus, urlencode

import orjson
from msgspec import Struct
from msgspec.structs import replace

from worker.net.http.credentials import BearerCredentials
from worker.net.http.error import HTTPError
from worker.net.http.outgoing import Flow, Outgoing, authorized
from worker.net.http.response import Response
from worker.net.http.url import parse
from worker.outcome.failure import FailureCode
from worker.secret import Secret

MOST_ANSWER: Final = 65_536
"""Bytes of a token endpoint's answer: far more than a token that any server takes in a header."""
PURPOSE: Final = "for an access token"

_TOKEN = re.compile(r"[\x21-\x7e]+")
_ERRORS = frozenset(
    {
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
        "access_denied",
        "server_error",
        "temporarily_unavailable",
        "invalid_target",
    }
)
"""RFC 6749 §5.2 and §4.1.2.1, RFC 8707 §2. Other words might repeat what was sent."""


class ClientAuthentication(Enum):
    """The place of the client's credentials in the token request (RFC 6749 §2.3.1)."""

    HEADER = "header"
    BODY = "body"


class OAuthCredentials(Struct, frozen=True, kw_only=True):
    """The client's credentials grant, or with *username* the resource owner's (§4.4, §4.3). Empty texts are not sent."""

    token_url: str
    authentication: ClientAuthentication
    client_id: str = ""
    client_secret: Secret[str] | None = None
    username: str | None = None
    password: Secret[str] | None = None
    scope: str = ""
    audience: str = ""
    resource: str = ""

    def flow(self, outgoing: Outgoing, now: datetime) -> Flow:
        response = yield self.token_request()
        bearer = BearerCredentials(token_of(response))
        yield from bearer.flow(replace(outgoing, credentials=bearer), now)

    def token_request(self) -> Outgoing:
        """The request to the token endpoint. Raises HTTPError where its URL is not one."""
        try:
            target = parse(self.token_url)
        except HTTPError as error:
            raise HTTPError(error.failure.code, f"the access token's URL: {error.failure.message}") from None
        in_header = self.authentication is ClientAuthentication.HEADER
        asking = Outgoing(
            target=target,
            method="POST",
            headers=(("Accept", "application/json"), ("Accept-Encoding", "identity")),
            body=urlencode(self._parameters(with_client=not in_header)).encode(),
            content_type="application/x-www-form-urlencoded",
            purpose=PURPOSE,
        )
        if not in_header or not self.client_id:
            return asking
        pair = f"{quote_plus(self.client_id)}:{quote_plus(self._client_secret())}"
        return authorized(asking, f"Basic {b64encode(pair.encode()).decode()}")

    def _parameters(self, *, with_client: bool) -> dict[str, str]:
        parameters = {"grant_type": "client_credentials"}
        if self.username is not None:
            parameters = {"grant_type": "password", "username": self.username}
            parameters["password"] = "" if self.password is None else self.password.reveal()
        optional = {"scope": self.scope, "audience": self.audience, "resource": self.resource}
        if with_client:
            optional |= {"client_id": self.client_id, "client_secret": self._client_secret()}
        return parameters | {name: value for name, value in optional.items() if value}

    def _client_secret(self) -> str:
        return "" if self.client_secret is None else self.client_secret.reveal()


def token_of(response: Response) -> Secret[str]:
    """The access token in a token endpoint's answer (§5.1). Raises HTTPError where there is none."""
    if response.status != 200:
        raise HTTPError(FailureCode.AUTHENTICATION_ERROR, f"no token: status {response.status}{_error(response)}")
    answer = _object(response)
    token, kind = answer.get("access_token"), answer.get("token_type", "Bearer")
    if not isinstance(token, str) or _TOKEN.fullmatch(token) is None:
        raise HTTPError(FailureCode.MALFORMED_RESPONSE, "the answer is not a JSON object with an access_token")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise HTTPError(FailureCode.AUTHENTICATION_ERROR, "the token's type is not Bearer, and no other can be sent")
    return Secret(token)


def _error(response: Response) -> str:
    word = _object(response).get("error")
    return f" ({word})" if isinstance(word, str) and word in _ERRORS else ""


def _object(response: Response) -> Mapping[str, object]:
    """The JSON object of the answer; empty where it is none, or is compressed, which nobody asked for."""
    if response.content_encodings or len(response.body) > MOST_ANSWER:
        return {}
    try:
        answer = orjson.loads(response.body)
    except orjson.JSONDecodeError:
        return {}
    return answer if isinstance(answer, dict) else {}
