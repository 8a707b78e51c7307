"""Runners of private actions: make, list, switch, rotate and settle them, and hand out the tokens by which they enrol."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane import baseurl, epoch
from controlplane.errors import UnusableError
from controlplane.service import audit, runnerkeys, runnerreports
from controlplane.service.attendance import ALIVE_MS
from controlplane.service.principal import KeyScope, Principal
from controlplane.store import runners, runnertokens
from controlplane.store.database import Database
from controlplane.store.runners import RunnerInstance, RunnerState, StoredRunner
from controlplane.store.runnertokens import StoredToken
from worker.clock import Clock
from worker.secret import Secret
from worker.wire import enrolment
from worker.wire.enrolment import Mode
from worker.wire.runner_details import RunnerDetails

MODES: tuple[Mode, ...] = ("pull", "push")
MOST_TOGETHER = 100
"""Instances of one runner that may be alive at a time."""
MAX_TTL_MS = 90 * 24 * 3600 * 1000
"""Of an enrolment token: what is not used in a quarter of a year is not used."""
MOST_USES = 1000
"""Enrolments by one token."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedRunner:
    """A runner to be made. *host* is the URL by which apps reach one that takes push requests."""

    name: str
    modes: tuple[Mode, ...]
    host: str | None
    base_url: str
    instances: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedToken:
    """A runner and the one text that enrols it, *uses* times, before *expires_at*."""

    runner: StoredRunner
    text: Secret[str]
    expires_at: int
    uses: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerHealth:
    """A runner with its instances that are alive at *now*, the newest first, and its last pull.

    *details* are what the newest of all its instances told of itself; None where that told nothing.
    """

    runner: StoredRunner
    alive: tuple[RunnerInstance, ...]
    last_seen: int | None
    now: int
    details: RunnerDetails | None = None

    @property
    def state(self) -> str:
        if self.runner.state != "enrolled":
            return "not enrolled" if self.runner.state == "created" else self.runner.state
        if self.runner.contested is not None:
            return "contested"
        if not self.alive:
            return "silent" if self.last_seen else "never seen"
        if all(one.draining for one in self.alive):
            return "draining"
        return "degraded" if any(one.degraded for one in self.alive) else "healthy"


def read_modes(text: str) -> tuple[Mode, ...]:
    """The modes of `pull,push`, in their own order. Raises UnusableError."""
    names = {name.strip() for name in text.split(",") if name.strip()}
    if not names or not names <= set(MODES):
        raise UnusableError(f"{text[:40]!r} is not a valid list of modes: expected pull, push, or pull,push")
    return tuple(mode for mode in MODES if mode in names)


async def create(database: Database, clock: Clock, by: Principal, wanted: WantedRunner, *, ttl_ms: int) -> IssuedToken:
    """Make a runner and its first token. Raises UnusableError, ConflictError where the name is taken."""
    by.require(KeyScope.WRITE)
    now = epoch.milliseconds(clock)
    runner = _checked(wanted, by, now)
    async with database.write() as connection:
        await runners.add(connection, runner)
        issued = await _issue(connection, database, runner, ttl_ms=ttl_ms, now=now)
        await audit.record(connection, by, "runner.create", runner.id, after=_state(runner), now=now)
    return issued


async def token(
    database: Database, clock: Clock, by: Principal, name: str, *, ttl_ms: int, uses: int = 1
) -> IssuedToken:
    """Make another token for a runner: who enrols with it takes the place of whoever is enrolled. Ends older ones.

    With several *uses* a runner that keeps no identity enrols at each start. Raises UnusableError.
    """
    by.require(KeyScope.WRITE)
    now = epoch.milliseconds(clock)
    async with database.write() as connection:
        runner = await runners.find(connection, database.sealer, name)
        if runner.state in ("disabled", "revoked"):
            raise UnusableError(f"runner {runner.name!r} is {runner.state}: `runner enable` comes first")
        await runnertokens.drop(connection, runner.id)
        issued = await _issue(connection, database, runner, ttl_ms=ttl_ms, uses=uses, now=now)
        after = _state(runner) | {"token_uses": uses}
        await audit.record(connection, by, "runner.token", runner.id, after=after, now=now)
    return issued


async def list_all(database: Database, clock: Clock, by: Principal) -> tuple[RunnerHealth, ...]:
    """List every runner, by name, with its instances."""
    by.require(KeyScope.READ)
    now = epoch.milliseconds(clock)
    async with database.read() as connection:
        found = await runners.list_all(connection, database.sealer)
        instances = await runners.list_instances(connection)
        reports = await runnerreports.read(connection, instances)
    return tuple(_health(one, [each for each in instances if each.runner == one.id], reports, now) for one in found)


async def show(database: Database, clock: Clock, by: Principal, name: str) -> RunnerHealth:
    """One runner with its instances. Raises NotFoundError."""
    by.require(KeyScope.READ)
    now = epoch.milliseconds(clock)
    async with database.read() as connection:
        found = await runners.find(connection, database.sealer, name)
        instances = await runners.list_instances(connection, found.id)
        reports = await runnerreports.read(connection, instances)
    return _health(found, instances, reports, now)


async def set_state(database: Database, clock: Clock, by: Principal, name: str, state: RunnerState) -> StoredRunner:
    """Enable, disable or revoke a runner. A revoked one comes back by `enable` and a new token only."""
    by.require(KeyScope.WRITE)
    async with database.write() as connection:
        found = await runners.find(connection, database.sealer, name)
        after = _switched(found, state)
        await runners.set_state(connection, found.id, after.state)
        if state in ("disabled", "revoked"):
            await runnertokens.drop(connection, found.id)
        now = epoch.milliseconds(clock)
        action = f"runner.{'enable' if state == 'enrolled' else state.removesuffix('d')}"
        await audit.record(connection, by, action, found.id, before=_state(found), after=_state(after), now=now)
    return after


async def rotate(database: Database, clock: Clock, by: Principal, name: str) -> StoredRunner:
    """Ask a runner for new keys with its next pull. Raises UnusableError where nobody may answer, or several would."""
    by.require(KeyScope.WRITE)
    async with database.write() as connection:
        found = await runners.find(connection, database.sealer, name)
        if found.state != "enrolled":
            raise UnusableError(f"runner {found.name!r} is {found.state}: it has no keys to change")
        if found.contested is not None:
            raise UnusableError(
                f"runner {found.name!r} is contested: `runner accept` says who is asked for new keys, or `runner token`"
                " enrols one anew"
            )
        await runners.want_rotation(connection, found.id)
        now = epoch.milliseconds(clock)
        await audit.record(connection, by, "runner.rotate", found.id, before=_state(found), now=now)
    return found


async def accept(database: Database, clock: Clock, by: Principal, name: str, instance: str) -> StoredRunner:
    """Settle a contested runner: *instance* is true. Raises UnusableError for one that was never seen."""
    by.require(KeyScope.WRITE)
    now = epoch.milliseconds(clock)
    async with database.write() as connection:
        found = await runners.find(connection, database.sealer, name)
        known = await runners.list_instances(connection, found.id)
        if instance not in {one.id for one in known}:
            seen = ", ".join(one.id for one in known[:10]) or "none"
            raise UnusableError(f"{instance[:40]!r} is not an instance of runner {found.name!r}: seen were {seen}")
        await runners.accept(connection, found.id, epoch=found.epoch + 1, instance=instance, now=now)
        await runners.describe_instance(connection, found.id, instance, {"epoch": found.epoch + 1})
        after = _state(replace(found, contested=None)) | {"accepted": instance}
        await audit.record(connection, by, "runner.accept", found.id, before=_state(found), after=after, now=now)
    return found


async def _issue(
    connection: AsyncConnection, database: Database, runner: StoredRunner, *, ttl_ms: int, now: int, uses: int = 1
) -> IssuedToken:
    if not 0 < ttl_ms <= MAX_TTL_MS:
        raise UnusableError("a token's life is not within 90 days")
    if not 1 <= uses <= MOST_USES:
        raise UnusableError(f"{uses} is not a valid number of uses: expected 1 to {MOST_USES}")
    keys = await runnerkeys.ensure(connection, database.sealer, now=now)
    made = enrolment.new_token(runner.base_url, keys.root.public)
    stored = StoredToken(id=made.id, runner=runner.id, secret=made.secret, expires_at=now + ttl_ms, uses=uses)
    await runnertokens.add(connection, database.sealer, stored)
    return IssuedToken(runner=runner, text=made.text(), expires_at=stored.expires_at, uses=uses)


def _checked(wanted: WantedRunner, by: Principal, now: int) -> StoredRunner:
    if not _NAME.fullmatch(wanted.name):
        reason = "expected 1 to 100 letters, digits or one of . _ -, the first a letter or a digit"
        raise UnusableError(f"{wanted.name[:40]!r} is not a valid name of a runner: {reason}")
    if not 1 <= wanted.instances <= MOST_TOGETHER:
        raise UnusableError(f"{wanted.instances} is not a valid number of instances: expected 1 to {MOST_TOGETHER}")
    if "push" in wanted.modes and wanted.host is None:
        raise UnusableError(f"runner {wanted.name!r}: with push among its modes it needs --host, where apps reach it")
    return StoredRunner(
        id=str(uuid.uuid4()),
        name=wanted.name,
        modes=wanted.modes,
        host=None if wanted.host is None else baseurl.read(wanted.host),
        base_url=baseurl.read(wanted.base_url),
        instances=wanted.instances,
        state="created",
        created_at=now,
        created_by=by.name,
    )


def _switched(found: StoredRunner, state: RunnerState) -> StoredRunner:
    """A runner that is enabled is enrolled only if it has a key, which a revoked one has not any more."""
    if state != "enrolled":
        return replace(found, state=state)
    known = found.identity is not None and found.state != "revoked"
    return replace(found, state="enrolled" if known else "created")


def _health(
    runner: StoredRunner,
    instances: Sequence[RunnerInstance],
    reports: Mapping[tuple[str, str], RunnerDetails],
    now: int,
) -> RunnerHealth:
    newest = max(instances, key=lambda one: (one.epoch, one.last_seen), default=None)
    return RunnerHealth(
        runner=runner,
        alive=tuple(one for one in instances if now - one.last_seen <= ALIVE_MS),
        last_seen=max((one.last_seen for one in instances), default=None),
        now=now,
        details=None if newest is None else reports.get((runner.id, newest.report)),
    )


def _state(runner: StoredRunner) -> dict[str, object]:
    """The parts of a runner that the audit log tells."""
    return {
        "name": runner.name,
        "modes": list(runner.modes),
        "host": runner.host,
        "state": runner.state,
        "instances": runner.instances,
        "kid": None if runner.identity is None else runner.identity.kid,
        "contested": runner.contested,
    }
