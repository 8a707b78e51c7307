"""The parts of a runner, wired: channel, executor and the loops of the agent. `app` knows what it is configured with.

The agent is the worker's own: slots, poller, jobs in flight and outbox know leases and bytes, and meet the runner's channel where
a worker has its intake.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from worker.actionrunner.channel import InstanceStanding, RunnerChannel
from worker.actionrunner.executor import AdmissionCounts, Executing, InstanceIdentity, TaskExecutor
from worker.actionrunner.keyring import ChannelKeys
from worker.actionrunner.leasebook import LeaseBook
from worker.actionrunner.seen import SeenTasks
from worker.actionrunner.starts import StartJournal
from worker.actionrunner.work import ActionWork
from worker.agent.inflight import InFlight
from worker.agent.outbox import Delivery, Outbox
from worker.agent.poller import LONGEST_WAIT, Cadence, Poller
from worker.agent.slots import Slots
from worker.agent.work import Work
from worker.agent.worker import Loop, Worker
from worker.clock import Clock
from worker.intake.backoff import Backoff
from worker.intake.transport import Peer

INTERVAL = 1.0
"""Seconds between pulls of a runner that is full, or was answered at once with nothing."""
GATHER = 0.0
"""Seconds from a result to its push: somebody waits for it. What ends while a push is under way goes with the next."""
BUSY = 0.08
"""Seconds from a reply with several tasks to the next pull: more are on their way, and one exchange brings them all."""
APART = 0.06
"""Seconds between the beginnings of two pushes: an exchange costs as much for one result as for ten, and a runner that has ended
another action so lately is not idle."""
TOGETHER = 0.005
"""Seconds that a result waits for others while other actions run: those that came with one pull often end within as little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerSettings:
    """*slots* actions at a time, of which pulls take some where the runner *pulls*; *drain_timeout* in seconds.

    *agent* and *host* are what the control plane is told.
    """

    peer: Peer
    slots: Slots
    pulls: bool = True
    drain_timeout: float
    agent: str
    host: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerMemory:
    """The state that channel and executor share: leases, ids that were seen, and the journal, None without a state directory."""

    book: LeaseBook
    seen: SeenTasks
    starts: StartJournal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerServing:
    """A runner ready to serve, and its parts for whoever shows them."""

    worker: Worker
    poller: Poller
    inflight: InFlight
    outbox: Outbox
    slots: Slots


def channel_of(
    settings: RunnerSettings,
    keys: ChannelKeys,
    clock: Clock,
    memory: RunnerMemory,
    *,
    instance: str,
    standing: InstanceStanding | None = None,
    on_keyset: Callable[[str], None] = lambda _token: None,
) -> RunnerChannel:
    """The channel of one instance, not yet open."""
    return RunnerChannel(
        settings.peer,
        keys,
        clock,
        instance=instance,
        agent=settings.agent,
        book=memory.book,
        standing=standing,
        before=memory.starts,
        on_keyset=on_keyset,
        takes_tasks=settings.pulls,
    )


def serving_of(
    settings: RunnerSettings,
    keys: ChannelKeys,
    identity: InstanceIdentity,
    clock: Clock,
    memory: RunnerMemory,
    *,
    channel: RunnerChannel,
    execution: Executing,
    group: asyncio.TaskGroup,
    loops: Mapping[str, Loop],
    on_delivery: Callable[[Delivery], None] = lambda _delivery: None,
    counts: AdmissionCounts | None = None,
    trouble: Callable[[], str | None] = lambda: None,
) -> RunnerServing:
    """Wire the parts. *loops* run beside the poller; *trouble* names a reason to take no tasks."""
    starts = memory.starts
    executor = TaskExecutor(
        identity,
        keyset=lambda: keys.keyset,
        now=lambda: channel_now(channel, clock),
        clock=clock,
        seen=memory.seen,
        book=memory.book,
        execution=execution,
        starts=starts,
        counts=counts,
    )
    work: asyncio.Future[Work] = asyncio.get_running_loop().create_future()
    work.set_result(ActionWork(executor, clock))
    slots = settings.slots
    outbox = Outbox(
        channel,
        clock,
        Backoff(random.uniform),
        shrink=work.result().shrink,
        set_aside=None if starts is None else starts.journal.set_aside,
        journal=starts,
        on_delivery=on_delivery,
        gather=GATHER,
        apart=APART,
        others=lambda: TOGETHER if inflight.running else 0.0,
    )
    all_loops = dict(loops)
    if starts is not None:
        starts.hand_over(outbox)
        all_loops |= {"journal": starts.journal.run, "spool": partial(starts.journal.tend, starts.sorting(outbox))}
    inflight = InFlight(work, slots=slots, outbox=outbox, clock=clock, group=group)
    poller = Poller(
        channel,
        inflight,
        outbox,
        slots,
        clock,
        cadence=Cadence(interval=INTERVAL, at_most=slots.size if settings.pulls else 0, busy=BUSY),
        keys=tuple(key.kid for key in keys.opening),
        agent=settings.agent,
        host=settings.host,
        backoff=Backoff(random.uniform, longest=LONGEST_WAIT, longest_asked=LONGEST_WAIT),
        unreadable=Backoff(random.uniform),
        trouble=lambda: (None if starts is None else starts.trouble) or trouble(),
    )
    worker = Worker(
        poller=poller,
        inflight=inflight,
        outbox=outbox,
        group=group,
        loops=all_loops,
        drain_timeout=settings.drain_timeout,
    )
    return RunnerServing(worker=worker, poller=poller, inflight=inflight, outbox=outbox, slots=slots)


def channel_now(channel: RunnerChannel, clock: Clock) -> datetime:
    """The control plane's time, as its last signed reply gave it."""
    return clock.now() + channel.clock_offset
