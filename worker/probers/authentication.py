"""Authentication as a test writes it → credentials as the HTTP client sends them, of the schemes that most tests never use.

Imported by the first run that wants one.
"""

from __future__ import annotations

from typing import assert_never

from worker.apitest.authentication import DigestAuth, OAuth, SigV4Auth
from worker.net.http.digest import DigestCredentials
from worker.net.http.oauth import ClientAuthentication, OAuthCredentials
from worker.net.http.outgoing import HTTPCredentials
from worker.net.http.sigv4 import SigV4Credentials


def credentials_of(auth: DigestAuth | SigV4Auth | OAuth) -> HTTPCredentials:
    match auth:
        case DigestAuth(username=username, password=password):
            return DigestCredentials(username=username, password=password)
        case SigV4Auth():
            return SigV4Credentials(
                access_key=auth.access_key,
                secret_key=auth.secret_key,
                session_token=auth.session_token,
                region=auth.region,
                service=auth.service,
            )
        case OAuth():
            return _oauth(auth)
    assert_never(auth)


def _oauth(auth: OAuth) -> OAuthCredentials:
    return OAuthCredentials(
        token_url=auth.token_url,
        authentication=ClientAuthentication(auth.client_in),
        client_id=auth.client_id,
        client_secret=auth.client_secret,
        username=auth.username,
        password=auth.password,
        scope=auth.scope,
        audience=auth.audience,
        resource=auth.resource,
    )
