"""Enrolment and rotation of runners' keys: who holds an unused token, or the current key, names the key that counts from then on.

The answers to an enrolment are root-signed, refusals too: a new runner believes nobody else.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane import epoch
from controlplane.errors import RefusedError
from controlplane.service import attendance, audit
from controlplane.service.attendance import RunnerCaller
from controlplane.service.principal import Principal
from controlplane.service.runnerkeys import ORG, RunnerKeys
from controlplane.store import runners, runnertokens
from controlplane.store.database import Database
from controlplane.store.runners import RunnerIdentity, StoredRunner
from controlplane.store.runnertokens import StoredToken
from worker.clock import Clock
from worker.errors import EnvelopeError
from worker.secret import Secret
from worker.wire import compact, enrolment
from worker.wire.enrolment import Enrol, Enrolled
from worker.wire.keys import PublicKey
from worker.wire.proof import Proof
from worker.wire.signingkey import VerifyingKey

REGION = "local"
AGAIN_MS = 24 * 3600 * 1000
"""Milliseconds for which the same token and key get the same answer: a runner that was killed before it could store it."""
_MESSAGE = "the token is not known, has ended, or the request was not made with it: `runner token` makes a new one"


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolling:
    """A proven request of a key that nobody knows: *mac* is what shows the token's secret."""

    message: Enrol
    proof: Proof
    key: VerifyingKey
    mac: str


def urn(runner: StoredRunner) -> str:
    """The name of a runner on the wire."""
    return f"urn:pl:actions:runner:{REGION}:{ORG}:{runner.id}"


async def enrol(database: Database, clock: Clock, keys: RunnerKeys, asked: Enrolling) -> Enrolled:
    """Make the key of *asked* its runner's. Raises RefusedError."""
    now = epoch.milliseconds(clock)
    identity = RunnerIdentity(
        kid=asked.key.kid,
        jwk=asked.key.members(),
        opening_key=_opening_key(asked.message.opening_key),
    )
    async with database.write() as connection:
        token = await _token(connection, database, asked)
        runner = await runners.find(connection, database.sealer, token.runner)
        if runner.state in ("disabled", "revoked"):
            raise RefusedError(401, "token", _MESSAGE)
        if token.used_by == identity.kid or token.used >= token.uses:
            _check_again(token, runner, identity, now)
        else:
            if token.expires_at <= now:
                raise RefusedError(401, "token", _MESSAGE)
            _check_wishes(runner, asked.message)
            await _take(connection, database, runner, token, identity, asked.message, now)
            runner = await runners.find(connection, database.sealer, runner.id)
    return Enrolled(
        rq=compact.digest(asked.proof.token.encode()),
        urn=urn(runner),
        org=ORG,
        name=runner.name,
        modes=runner.modes,
        host=runner.host,
        keyset=keys.keyset.token,
        instances=runner.instances,
        at=now,
    )


async def rotate(database: Database, clock: Clock, caller: RunnerCaller, key: VerifyingKey, opening_key: str) -> None:
    """Keep new keys for the runner beside the old, which end at the first request of the new. Raises RefusedError."""
    identity = RunnerIdentity(kid=key.kid, jwk=key.members(), opening_key=_opening_key(opening_key))
    async with database.write() as connection:
        runner = await runners.reread(connection, caller.runner)
        await attendance.count(connection, caller, "rotate", now=epoch.milliseconds(clock))
        if runner.contested is not None or runner.instance not in (None, caller.proof.instance):
            raise RefusedError(
                409, "superseded", "only the current instance changes the keys", instance=runner.instance
            )
        other = await runners.by_kid(connection, database.sealer, identity.kid)
        if other is not None and (other.next_identity is None or other.next_identity.kid != identity.kid):
            raise RefusedError(409, "used", "the new key is in use already")
        await runners.offer_next(connection, database.sealer, runner.id, identity)
        after = {"name": runner.name, "next_kid": identity.kid}
        now = epoch.milliseconds(clock)
        await audit.record(connection, by_runner(runner), "runner.rotating", runner.id, after=after, now=now)


async def complete_rotation(database: Database, clock: Clock, runner: StoredRunner) -> StoredRunner:
    """Make the next keys the current ones: their first request came. The old ones are dead with this."""
    async with database.write() as connection:
        await runners.take_next(connection, runner.id, now=epoch.milliseconds(clock))
        taken = await runners.find(connection, database.sealer, runner.id)
        after = {"name": taken.name, "kid": None if taken.identity is None else taken.identity.kid}
        now = epoch.milliseconds(clock)
        await audit.record(connection, by_runner(runner), "runner.rotated", runner.id, after=after, now=now)
    return taken


def by_runner(runner: StoredRunner) -> Principal:
    """A runner as the author of a change."""
    return Principal(name=f"runner {runner.name}", via="api", scopes=frozenset())


async def _token(connection: AsyncConnection, database: Database, asked: Enrolling) -> StoredToken:
    """The token that the request was made with; whatever is wrong with it has one answer."""
    token = await runnertokens.find(connection, database.sealer, asked.message.token)
    secret = Secret(bytes(enrolment.SECRET_BYTES)) if token is None else token.secret
    expected = Secret(enrolment.mac(secret, asked.proof.token))
    if token is None or expected != Secret(asked.mac):
        raise RefusedError(401, "token", _MESSAGE)
    return token


def _check_again(token: StoredToken, runner: StoredRunner, identity: RunnerIdentity, now: int) -> None:
    if token.used_by != identity.kid:
        raise RefusedError(409, "used", "the token was used up by other keys: `runner token` makes a new one")
    known = runner.identity is not None and runner.identity.kid == identity.kid
    if not known or token.used_at is None or now - token.used_at > AGAIN_MS:
        raise RefusedError(401, "token", _MESSAGE)


def _check_wishes(runner: StoredRunner, message: Enrol) -> None:
    if message.name is not None and message.name != runner.name:
        raise RefusedError(
            409, "name", f"the token is for the runner {runner.name!r}; RUNNER_NAME says {message.name!r}"
        )
    more = set(message.modes or ()) - set(runner.modes)
    if more:
        made_with = ",".join(runner.modes)
        raise RefusedError(403, "modes", f"the runner was made with --modes {made_with}, without {', '.join(more)}")


async def _take(
    connection: AsyncConnection,
    database: Database,
    runner: StoredRunner,
    token: StoredToken,
    identity: RunnerIdentity,
    message: Enrol,
    now: int,
) -> None:
    if await runners.by_kid(connection, database.sealer, identity.kid) is not None:
        raise RefusedError(409, "used", "the key is in use already: each runner makes its own")
    modes = tuple(mode for mode in runner.modes if mode in (message.modes or runner.modes))
    host = message.host or runner.host
    await runners.enrol(connection, database.sealer, runner.id, identity, modes=modes, host=host, now=now)
    await runnertokens.spend(connection, token.id, kid=identity.kid, now=now)
    after = {"name": runner.name, "kid": identity.kid, "modes": list(modes), "hostname": message.hostname}
    await audit.record(connection, by_runner(runner), "runner.enrol", runner.id, after=after, now=now)


def _opening_key(pem: str) -> str:
    """The key that opens what is sealed for the runner, as PEM. Raises RefusedError."""
    try:
        key = PublicKey.from_pem(pem)
    except EnvelopeError as error:
        raise RefusedError(400, "message", f"opening_key: {error}") from error
    if key.kind != "x25519":
        raise RefusedError(400, "message", "opening_key: not an X25519 key")
    return key.pem
