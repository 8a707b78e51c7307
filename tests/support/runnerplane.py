"""A control plane in this process on a real SQLite file, and runners of it whose actions a test plays. Real sockets and time."""

from __future__ import annotations

import asyncio
import socket
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Table, select, update

from controlplane import epoch, site
from controlplane.actions.states import HELD
from controlplane.leases import LEASE_TTL, Grace
from controlplane.rest.context import Context
from controlplane.service import keys, runners, runs, tasks
from controlplane.service.health import WriteHealth
from controlplane.service.principal import Principal, operator
from controlplane.service.runners import WantedRunner
from controlplane.service.runs import RunView, WantedRun
from controlplane.store import runners as stored_runners
from controlplane.store.database import Database
from controlplane.store.tables import action_tasks
from tests.support.databases import new_database
from tests.support.waiting import PATIENCE
from worker.actionrunner import enrolling
from worker.actionrunner.channel import RunnerChannel
from worker.actionrunner.enrolling import EnrolmentWishes
from worker.actionrunner.execution import BeforeActing, NotStarted
from worker.actionrunner.executor import InstanceIdentity
from worker.actionrunner.identity import IdentityFile, KeptIdentity
from worker.actionrunner.keyring import ChannelKeys
from worker.actionrunner.leasebook import LeaseBook
from worker.actionrunner.seen import SeenTasks
from worker.actionrunner.serving import (
    RunnerMemory,
    RunnerServing,
    RunnerSettings,
    channel_now,
    channel_of,
    serving_of,
)
from worker.actionrunner.starts import StartJournal
from worker.actions.action import ActionError, ActionOutcome, ActionStatus, Effect, Order, succeeded
from worker.agent.slots import Slots
from worker.clock import Clock, SystemClock
from worker.intake.transport import Peer, Transport
from worker.web.connections import ClientLimits, serving
from worker.wire.enrolment import EnrolmentToken
from worker.wire.runner_messages import RunnerPull, RunnerWork

BOSS = operator("tests")
Play = Callable[[Order], Awaitable[ActionOutcome]]


class PlayedActions:
    """Plays the part of `execution`: *effects* by the name of an action (read where nothing is said), *plays* what it does."""

    def __init__(
        self,
        plays: dict[str, Play] | None = None,
        effects: dict[str, Effect] | None = None,
        *,
        holds: bool = False,
    ) -> None:
        self.plays = plays or {}
        self.effects = effects or {}
        self.acted: list[Order] = []
        self.held: list[Order] = []
        """Orders that wait for ever before they act, where *holds* says so."""
        self._holds = holds

    async def execute(self, order: Order, *, before_acting: BeforeActing) -> ActionOutcome:
        acting = False
        try:
            if self._holds:
                self.held.append(order)
                await asyncio.Event().wait()
            await before_acting(self.effects.get(order.action, Effect.READ))
            acting = True
            self.acted.append(order)
            play = self.plays.get(order.action)
            return succeeded(order.input) if play is None else await play(order)
        except NotStarted as error:
            return _ended(ActionStatus.FAILED, error.code, str(error))
        except asyncio.CancelledError:
            return _ended(ActionStatus.CANCELLED, "CANCELLED", "it was cancelled", may_have_run=acting)


def _ended(status: ActionStatus, code: str, message: str, *, may_have_run: bool = False) -> ActionOutcome:
    return ActionOutcome(status=status, error=ActionError(code=code, message=message, may_have_run=may_have_run))


@dataclass(slots=True)
class RunnerPlane:
    """A control plane that serves. *looking* is what wakes those who wait, until the control plane ends."""

    folder: Path
    clock: Clock
    database: Database
    context: Context
    looking: asyncio.Task[None]
    url: str

    async def enrol(self, name: str = "berlin", **changes: Any) -> tuple[KeptIdentity, IdentityFile]:
        """Make a runner and enrol it over the wire."""
        facts: dict[str, Any] = {"modes": ("pull",), "host": None, **changes}
        wanted = WantedRunner(name=name, base_url=self.url, **facts)
        issued = await runners.create(self.database, self.clock, BOSS, wanted, ttl_ms=3_600_000)
        store = IdentityFile(self.folder / f"{name}.json")
        wishes = EnrolmentWishes(name=None, modes=None, host=None, hostname="h", agent="tests", platform="linux")
        async with Transport(Peer(url=self.url), agent="tests") as transport:
            token = EnrolmentToken.parse(issued.text)
            instance = str(uuid.uuid4())
            done = await enrolling.enrol(store, token, wishes, transport, self.clock, instance=instance)
        return done, store

    async def order(self, action: str = "data.jq", by: Principal = BOSS, **wanted: Any) -> RunView:
        """Make a run as another part of this process does: whoever waits is woken."""
        given = {"runner": "berlin", "arguments": {}, **wanted}
        view = await runs.create(self.database, self.clock, by, WantedRun(action=action, **given), client="cli")
        self.context.wakeups.ring(view.run.runner)
        return view

    async def show(self, run: str) -> RunView:
        return await runs.show(self.database, BOSS, run)

    async def cancel(self, run: str) -> RunView:
        view = await runs.cancel(self.database, self.clock, BOSS, run)
        self.context.wakeups.ring(view.run.runner)
        return view

    async def retry(self, run: str) -> RunView:
        view = await runs.retry(self.database, self.clock, BOSS, run)
        self.context.wakeups.ring(view.run.runner)
        return view

    async def resolve(self, run: str, *, succeeded: bool) -> RunView:
        return await runs.resolve(self.database, self.clock, BOSS, run, succeeded=succeeded)

    async def settle(self) -> None:
        """Do what the running process does every second; it has been up for an hour."""
        await tasks.settle(self.database, self.clock, _Settled(epoch.milliseconds(self.clock)))

    async def grow_silent(self, run: str) -> None:
        """Let the lease of a run's task end, as an hour without a pull does; a pull that comes in between renews it."""
        async with asyncio.timeout(PATIENCE):
            while (task := (await self.show(run)).task).state in HELD:
                assert task.renewed_at is not None
                await self.write(action_tasks, {"renewed_at": task.renewed_at - 3_600_000})
                await self.settle()

    async def forsake(self, run: str) -> None:
        """Let ten minutes pass in which nobody comes back to a doubtful task."""
        task = (await self.show(run)).task
        assert task.doubtful_at is not None
        await self.write(action_tasks, {"doubtful_at": task.doubtful_at - 600_000})
        await self.settle()

    async def write(self, table: Table, values: dict[str, Any]) -> None:
        """Change every row of *table*, as somebody who can only write the database does."""
        async with self.database.write() as connection:
            await connection.execute(update(table).values(values))

    async def copy_order(self, *, source: str, target: str) -> None:
        """Put the sealed order of one task in the place of another's."""
        async with self.database.write() as connection:
            sealed = await connection.scalar(select(action_tasks.c.order_sealed).where(action_tasks.c.id == source))
            await connection.execute(
                update(action_tasks).where(action_tasks.c.id == target).values(order_sealed=sealed)
            )

    async def runner_id(self, name: str) -> str:
        async with self.database.read() as connection:
            return (await stored_runners.find(connection, self.database.sealer, name)).id

    async def ended(self, run: str) -> RunView:
        """The run once it has ended."""
        with self.context.wakeups.listening(run) as bell:
            async with asyncio.timeout(PATIENCE):
                while True:
                    bell.clear()
                    view = await self.show(run)
                    if view.has_ended:
                        return view
                    await bell.wait()

    async def in_state(self, run: str, state: str) -> RunView:
        """The run once it is in *state*."""
        async with asyncio.timeout(PATIENCE):
            while True:
                view = await self.show(run)
                if view.state.value == state:
                    return view
                await asyncio.sleep(0.005)  # what moves it may be another process

    async def add_key(self, *scopes: str, name: str = "ci") -> str:
        """An application key."""
        new = await keys.create(self.database, self.clock, BOSS, name, scopes=scopes)
        return new.app_key.reveal()


@asynccontextmanager
async def runner_plane(folder: Path) -> AsyncIterator[RunnerPlane]:
    clock = SystemClock()
    database = await new_database(folder)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        health = WriteHealth(database, clock)
        grace = Grace(epoch.milliseconds(clock))
        context = Context(
            database=database, clock=clock, grace=grace, health=health, hosts=(url[7:],), public_urls=(url,)
        )
        looking = asyncio.create_task(context.wakeups.run())
        try:
            app = site.runner(site.build(context, public_urls=[url]))
            async with serving(app, listener, ClientLimits(connections=100)):
                try:
                    yield RunnerPlane(
                        folder=folder, clock=clock, database=database, context=context, looking=looking, url=url
                    )
                finally:  # as `serve` ends: who waits is sent home before the server is closed
                    looking.cancel()
                    await asyncio.gather(looking, return_exceptions=True)
        finally:
            await health.close()
            await database.close()


@dataclass(slots=True, kw_only=True)
class PlayedRunner:
    """One instance that pulls; `deliver` begins to push results where it did not from the start."""

    instance: str
    channel: RunnerChannel
    serving: RunnerServing
    actions: PlayedActions
    group: asyncio.TaskGroup
    starts: StartJournal | None = None
    loops: list[asyncio.Task[None]] = field(default_factory=list)

    def deliver(self) -> None:
        self.loops.append(self.group.create_task(self.serving.outbox.run()))


class EpochKept:
    """The standing of an instance that only keeps the epoch that it is told."""

    def __init__(self) -> None:
        self.epoch = 0
        self.refusals: list[str] = []

    def say(self, pull: RunnerPull) -> RunnerPull:
        return msgspec.structs.replace(pull, epoch=self.epoch)

    def hear(self, work: RunnerWork) -> None:
        self.epoch = work.epoch

    def refused(self, code: str, message: str, instance: str | None) -> None:
        self.refusals.append(code)


def keys_of(identity: KeptIdentity) -> ChannelKeys:
    enrolled = identity.enrolment
    assert enrolled is not None
    return ChannelKeys(
        urn=enrolled.urn,
        org=enrolled.org,
        audience=identity.base_url,
        signing=identity.keys.signing,
        opening=(identity.keys.opening,),
        root=enrolled.root,
        keyset=enrolled.keyset,
    )


@asynccontextmanager
async def played_runner(
    plane: RunnerPlane,
    identity: KeptIdentity,
    actions: PlayedActions | None = None,
    *,
    slots: int = 10,
    state: Path | None = None,
    url: str | None = None,
    instance: str | None = None,
    delivers: bool = True,
    pool: Slots | None = None,
) -> AsyncIterator[PlayedRunner]:
    """An instance that pulls until the block is left; then it ends as a crash does: it gives back and pushes nothing."""
    actions, instance, clock = actions or PlayedActions(), instance or str(uuid.uuid4()), SystemClock()
    channel_keys, seen = keys_of(identity), SeenTasks()
    starts: StartJournal | None = None
    if state is not None:
        starts = StartJournal(
            state,
            urn=channel_keys.urn,
            instance=instance,
            keys=channel_keys.opening,
            clock=clock,
            now=lambda: epoch.milliseconds(clock),
            seen=seen,
        )
        await starts.__aenter__()
    settings = RunnerSettings(
        peer=Peer(url=url or plane.url), slots=pool or Slots(slots), drain_timeout=1.0, agent="t", host="h"
    )
    memory = RunnerMemory(book=LeaseBook(), seen=seen, starts=starts)
    channel = channel_of(settings, channel_keys, clock, memory, instance=instance, standing=EpochKept())
    named = InstanceIdentity(urn=channel_keys.urn, org=channel_keys.org, instance=instance, version="t")
    try:
        async with channel, asyncio.TaskGroup() as group:
            served = serving_of(
                settings,
                channel_keys,
                named,
                clock,
                memory,
                channel=channel,
                execution=actions,
                group=group,
                loops={},
            )
            runner = PlayedRunner(
                instance=instance, channel=channel, serving=served, actions=actions, starts=starts, group=group
            )
            runner.loops = [group.create_task(served.poller.run())]
            if delivers:
                runner.deliver()
            if starts is not None:
                runner.loops.append(group.create_task(starts.journal.run()))
            try:
                yield runner
            finally:
                for task in runner.loops:
                    task.cancel()
                served.inflight.cancel(served.inflight.leases)
    finally:
        if starts is not None:
            await starts.__aexit__()


class _Settled(Grace):
    """The grace of a process that has been up, and heard of everybody, for an hour."""

    def expiry(self, now: int) -> int:
        return now - LEASE_TTL


__all__ = ["PlayedActions", "PlayedRunner", "RunnerPlane", "channel_now", "played_runner", "runner_plane"]
