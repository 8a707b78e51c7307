"""A page's request as an order: the token opened and proven, its claims held against the page, its values put into the template.

The order of the checks is that of docs/protocol-runner.md, and each failure has its status and code; a token that is not good
here has one answer, whatever the reason. That a token is used once, and that there is a slot, is `pushing`'s to see to. No IO.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec

from worker.actionrunner.executor import InstanceIdentity
from worker.actionrunner.keyring import ChannelKeys
from worker.actions.action import Order
from worker.errors import SyntheticsError
from worker.schemas.schema import violation
from worker.wire import appparams, apptemplate, apptoken, compact
from worker.wire.actionwords import plain_name
from worker.wire.apptemplate import AppTemplateError
from worker.wire.apptoken import AppClaims, AppTokenError, SignedAppToken

MAX_AHEAD_MS: Final = 30_000
"""Milliseconds that a token may be ahead of us: our offset is as old as the last signed reply."""
APP: Final = "app"
"""The kind of program that asks, as policies name it."""


class PushRefusedError(SyntheticsError):
    """A request that is not carried out: a *status* of HTTP, a stable *code*, and a sentence. *retry_after* in seconds.

    *jti* is the id of the token where that was read: then the refusal is signed.
    """

    def __init__(self, status: int, code: str, text: str, *, retry_after: int | None = None, jti: str = "") -> None:
        self.status = status
        self.code = code
        self.retry_after = retry_after
        self.jti = jti
        super().__init__(text)


class PushRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body that a page sends. `input` is the JSON text whose digest the token has."""

    token: str
    input: str


class AppInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The meaning of `input`: values, and a salt by which nobody who knows the digest can guess them."""

    params: dict[str, Any]
    salt: Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_-]{22}\Z")]


def read_request(body: bytes) -> PushRequest:
    """Raises PushRefusedError (400)."""
    try:
        body.decode()
        return msgspec.json.decode(body, type=PushRequest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PushRefusedError(400, "body", 'the body is not {"token", "input"}') from error


class PushAdmission:
    """Reads requests for one instance. *now* is the control plane's time; *several*: the runner has more than one instance."""

    def __init__(
        self, identity: InstanceIdentity, keys: ChannelKeys, now: Callable[[], datetime], *, several: bool
    ) -> None:
        self._identity = identity
        self._keys = keys
        self._now = now
        self._several = several

    def open(self, token: str) -> SignedAppToken:
        """Everything about the token itself: for whom, by whom, until when, for which instance. Raises PushRefusedError (401)."""
        try:
            found = apptoken.unseal(token, self._keys.opening, urn=self._identity.urn)
            signed = apptoken.open_token(found, self._keys.keyset.signing_key(found.kid, self._now()))
        except AppTokenError as error:
            raise PushRefusedError(401, "token", "the token is not good here") from error
        claims = signed.claims
        if (claims.org, claims.aud) != (self._identity.org, self._identity.urn):
            raise PushRefusedError(401, "token", "the token is not good here")
        now = round(self._now().timestamp() * 1000)
        if not claims.iat - MAX_AHEAD_MS <= now < claims.exp:
            raise PushRefusedError(401, "expired", "the token has ended", jti=claims.jti)
        if claims.ins != self._identity.instance and not (claims.ins is None and self._several):
            reason = "the token is for an instance of the runner that has ended"
            raise PushRefusedError(401, "instance", reason, jti=claims.jti)
        return signed

    def order(self, signed: SignedAppToken, *, origin: str, action: str, text: str) -> Order:
        """The order that *text* makes of the token. Raises PushRefusedError (403, 422)."""
        claims = signed.claims
        if (claims.origin, claims.action, claims.digest) != (origin, action, compact.digest(text.encode())):
            reason = "the token is for another page, another action or other values"
            raise PushRefusedError(403, "scope", reason, jti=claims.jti)
        return Order(
            task=claims.jti,
            run=f"{claims.app}/{claims.query}@{claims.version}",
            action=plain_name(claims.action),
            connection=claims.connection,
            input=_filled(claims, text),
            client=APP,
            caller=f"{claims.by.kind}/{claims.by.id}",
            select=claims.select,
            timeout=claims.timeout_ms / 1000,
            issued_at=claims.iat,
            order_sha256=signed.order_sha256(text),
            kid=signed.kid,
        )


def _filled(claims: AppClaims, text: str) -> dict[str, Any]:
    """The template with the values of *text*. Raises PushRefusedError (422), which quotes no value."""
    try:
        given = msgspec.json.decode(text, type=AppInput)
    except (msgspec.DecodeError, RecursionError) as error:
        reason = 'the input is not {"params", "salt"}'
        raise PushRefusedError(422, "input", reason, jti=claims.jti) from error
    unusable = appparams.fault(claims.params)
    if unusable is not None:
        raise PushRefusedError(422, "schema", f"params: {unusable}", jti=claims.jti)
    broken = violation(appparams.closed(claims.params), given.params)
    if broken is not None:
        raise PushRefusedError(422, "params", f"the values are not valid at {broken}", jti=claims.jti)
    try:
        return apptemplate.rendered(claims.input, given.params)
    except AppTemplateError as error:
        raise PushRefusedError(422, "template", str(error), jti=claims.jti) from error
