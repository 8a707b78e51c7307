"""Apps: push, list, show and delete them, and mint the tokens by which pages ask a runner. No value and no answer comes here.

A token is minted for who may use the app, and says all that may be done with it but the values, of which it has a salted digest.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane import epoch
from controlplane.errors import NotFoundError, RefusedError, UnusableError
from controlplane.service import audit, enrolments, runnerkeys
from controlplane.service.appdefinitions import AppDefinition, AppQuery, read_app, stored_app
from controlplane.service.attendance import ALIVE_MS, RunnerCaller
from controlplane.service.principal import KeyScope, Principal
from controlplane.service.runnerkeys import ORG
from controlplane.store import apps, runners
from controlplane.store.apps import StoredApp
from controlplane.store.database import Database
from controlplane.store.runners import StoredRunner
from worker.clock import Clock
from worker.errors import EnvelopeError
from worker.schemas.schema import fault
from worker.wire import apptoken
from worker.wire.apptoken import MAX_LIFE_MS, AppClaims
from worker.wire.keys import PublicKey
from worker.wire.order import OrderedBy

MOST_APPS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class AppView:
    """An app with its runner; *runner_name* is the id of one that is gone. *host* is the URL at which that is asked."""

    app: StoredApp
    definition: AppDefinition
    runner_name: str
    host: str = ""
    is_changed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedToken:
    """A page's wish: *digest* is that of an input that only the page has, *origin* the page's own."""

    app: str
    query: str
    digest: str
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MintedToken:
    """A token, where to bring it, and the public keys by one of which the runner signs its answer."""

    token: str
    jti: str
    url: str
    runner_keys: tuple[dict[str, str], ...]


async def push(database: Database, clock: Clock, by: Principal, written: object) -> AppView:
    """Make an app, or put another version in its place; the same one changes nothing.

    Nobody publishes what they may not order. Raises UnusableError, NotFoundError for the runner, ForbiddenError.
    """
    by.require(KeyScope.WRITE)
    definition = read_app(written)
    for query in definition.queries.values():
        by.require_action(query.action)
    _check_patterns(definition)
    async with database.write() as connection:
        runner = await runners.find(connection, database.sealer, definition.runner)
        if "push" not in runner.modes or runner.host is None:
            reason = "its modes lack push: `runner create --modes pull,push --host URL` makes one for apps"
            raise UnusableError(f"runner {runner.name!r} takes no requests of pages: {reason}")
        now = epoch.milliseconds(clock)
        earlier = await _earlier(connection, database, definition.name)
        text = msgspec.json.encode(definition, order="deterministic")
        if earlier is not None and (earlier.definition, earlier.runner) == (text, runner.id):
            return AppView(app=earlier, definition=definition, runner_name=runner.name, is_changed=False)
        app = _next(earlier, definition, text, runner, by, now)
        if earlier is None:
            await _check_room(connection, database)
            await apps.add(connection, database.sealer, app)
        else:
            await apps.replace(connection, database.sealer, app)
        before = None if earlier is None else _state(earlier)
        await audit.record(connection, by, "app.push", app.id, before=before, after=_state(app), now=now)
    return AppView(app=app, definition=definition, runner_name=runner.name)


async def list_all(database: Database, by: Principal) -> tuple[AppView, ...]:
    """List every app, by name."""
    by.require(KeyScope.READ)
    async with database.read() as connection:
        found = await apps.list_all(connection, database.sealer)
        names = {one.id: one.name for one in await runners.list_all(connection, database.sealer)}
    return tuple(_view(app, names.get(app.runner, app.runner)) for app in found)


async def list_usable(database: Database, by: Principal) -> tuple[AppView, ...]:
    """List the apps that *by* may use."""
    async with database.read() as connection:
        found = [_view(app, app.runner) for app in await apps.list_all(connection, database.sealer)]
    return tuple(each for each in found if each.definition.lets(caller_of(by)))


async def show(database: Database, by: Principal, name: str) -> AppView:
    """The app for who may use it. Raises NotFoundError, also where it is not theirs to know."""
    async with database.read() as connection:
        app, _ = await _usable(connection, database, by, name)
        runner = await runners.find(connection, database.sealer, app.runner)
    return _view(app, runner.name, runner.host or "")


async def delete(database: Database, clock: Clock, by: Principal, name: str) -> StoredApp:
    """End an app: no token is minted for it any more. Raises NotFoundError."""
    by.require(KeyScope.WRITE)
    async with database.write() as connection:
        app = await apps.find(connection, database.sealer, name)
        await apps.remove(connection, app.id)
        now = epoch.milliseconds(clock)
        await audit.record(connection, by, "app.delete", app.id, before=_state(app), now=now)
    return app


async def mint(database: Database, clock: Clock, by: Principal, wanted: WantedToken) -> MintedToken:
    """Sign and seal a token, and write down for whom. Raises NotFoundError, UnusableError; RefusedError (503)."""
    async with database.write() as connection:
        app, definition = await _usable(connection, database, by, wanted.app)
        query = definition.queries.get(wanted.query)
        if query is None:
            raise NotFoundError("query", wanted.query[:60], list(definition.queries))
        now = epoch.milliseconds(clock)
        runner = await runners.find(connection, database.sealer, app.runner)
        await _check_there(connection, runner, now)
        keys = await runnerkeys.ensure(connection, database.sealer, now=now)
        claims = _claims(app, definition, query, runner, by, wanted, now)
        assert runner.identity is not None, "it is there"
        try:
            token = apptoken.seal(claims, keys.signing, PublicKey.from_pem(runner.identity.opening_key))
        except (ValueError, EnvelopeError) as error:
            raise UnusableError(f"a token of app {app.name!r} cannot be made: {error}") from error
        after = {"app": app.name, "query": wanted.query, "version": app.version, "runner": runner.id}
        await audit.record(connection, by, "app.token", claims.jti, after=after | {"digest": wanted.digest}, now=now)
    assert runner.host is not None, "a runner with push has one"
    identities = (runner.identity, runner.next_identity)
    return MintedToken(
        token=token,
        jti=claims.jti,
        url=f"{runner.host.rstrip('/')}/v1/actions/{query.action}",
        runner_keys=tuple(one.jwk for one in identities if one is not None),
    )


async def claim(database: Database, clock: Clock, caller: RunnerCaller, jti: str) -> None:
    """Spend a token for all instances of a runner. Raises ConflictError where it was spent before; one row for all replicas."""
    async with database.write() as connection:
        await apps.claim(connection, jti, runner=caller.runner.id, now=epoch.milliseconds(clock))


def caller_of(by: Principal) -> str:
    """The caller as policies and apps name it."""
    return f"key/{by.key}" if by.key else f"user/{by.name}"


async def _earlier(connection: AsyncConnection, database: Database, name: str) -> StoredApp | None:
    try:
        return await apps.find(connection, database.sealer, name)
    except NotFoundError:
        return None


def _check_patterns(definition: AppDefinition) -> None:
    """Raises UnusableError for a pattern that is no regular expression: the runner would answer nobody."""
    for name, query in definition.queries.items():
        found = fault(query.params)
        if found is not None:
            raise UnusableError(f"is not a valid app: queries.{name}.params: {found}")


async def _check_room(connection: AsyncConnection, database: Database) -> None:
    if len(await apps.list_all(connection, database.sealer)) >= MOST_APPS:
        raise UnusableError(f"there are {MOST_APPS} apps already")


async def _usable(
    connection: AsyncConnection, database: Database, by: Principal, name: str
) -> tuple[StoredApp, AppDefinition]:
    app = await _earlier(connection, database, name)
    definition = None if app is None else stored_app(app.definition)
    if app is None or definition is None or not definition.lets(caller_of(by)):
        raise NotFoundError("app", name[:60])
    return app, definition


async def _check_there(connection: AsyncConnection, runner: StoredRunner, now: int) -> None:
    """Raises RefusedError where a token would be of no use: the page says why."""
    if runner.state != "enrolled" or runner.identity is None:
        raise RefusedError(503, "away", f"the runner {runner.name} is {_word(runner)}")
    if runner.contested is not None:
        raise RefusedError(503, "away", f"the runner {runner.name} is contested: an operator has to settle it")
    alive = [one for one in await runners.list_instances(connection, runner.id) if now - one.last_seen <= ALIVE_MS]
    if not [one for one in alive if not one.draining]:
        raise RefusedError(503, "away", f"the runner {runner.name} was not heard for a while")


def _word(runner: StoredRunner) -> str:
    return "not enrolled" if runner.state == "created" else runner.state


def _claims(
    app: StoredApp,
    definition: AppDefinition,
    query: AppQuery,
    runner: StoredRunner,
    by: Principal,
    wanted: WantedToken,
    now: int,
) -> AppClaims:
    kind, _, name = caller_of(by).partition("/")
    return AppClaims(
        org=ORG,
        aud=enrolments.urn(runner),
        ins=runner.instance if runner.instances == 1 else None,
        jti=str(uuid.uuid4()),
        iat=now,
        exp=now + MAX_LIFE_MS,
        by=OrderedBy(kind=kind, id=name),
        app=definition.name,
        query=wanted.query,
        version=app.version,
        action=query.action,
        connection=query.connection,
        input=query.input,
        params=query.params,
        select=query.select,
        origin=wanted.origin,
        digest=wanted.digest,
        timeout_ms=round(query.timeout_s * 1000),
    )


def _next(
    earlier: StoredApp | None, definition: AppDefinition, text: bytes, runner: StoredRunner, by: Principal, now: int
) -> StoredApp:
    return StoredApp(
        id=str(uuid.uuid4()) if earlier is None else earlier.id,
        name=definition.name,
        runner=runner.id,
        version=1 if earlier is None else earlier.version + 1,
        definition=text,
        created_at=now if earlier is None else earlier.created_at,
        created_by=by.name if earlier is None else earlier.created_by,
        modified_at=now,
        modified_by=by.name,
    )


def _view(app: StoredApp, runner_name: str, host: str = "") -> AppView:
    return AppView(app=app, definition=stored_app(app.definition), runner_name=runner_name, host=host)


def _state(app: StoredApp) -> dict[str, object]:
    """The parts of an app that the audit log tells."""
    definition = stored_app(app.definition)
    queries = {name: query.action for name, query in definition.queries.items()}
    return {
        "name": app.name,
        "version": app.version,
        "runner": app.runner,
        "allow": list(definition.allow),
        "queries": queries,
    }
