"""The composition root of the runner: makes every part from one config, in the order of a start, and runs them in one TaskGroup.

It opens no socket and judges nothing itself. The agent's slots, poller, outbox and drain are the worker's; their intake is the
runner's channel, their work is private actions.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from worker import __version__
from worker.actionrunner.audit import AuditError, AuditLog
from worker.actionrunner.chain import InstanceChain
from worker.actionrunner.channel import RunnerChannel
from worker.actionrunner.doors import ActionDoors, EgressRules
from worker.actionrunner.execution import ActionExecution
from worker.actionrunner.executor import InstanceIdentity
from worker.actionrunner.figures import RunnerMetrics
from worker.actionrunner.hangup import Hangup, hangups
from worker.actionrunner.identification import AGENT, ca_files, enrolled, peer_of, store_of
from worker.actionrunner.identity import Enrolment, IdentityStore, KeptIdentity
from worker.actionrunner.isolation import isolation_level, kills_at_once, missing_isolation, require_isolation
from worker.actionrunner.keyring import ChannelKeys
from worker.actionrunner.leasebook import LeaseBook
from worker.actionrunner.localstate import LocalFiles, LocalPlaces
from worker.actionrunner.options import RunnerConfig, hostname
from worker.actionrunner.probes import bare_probes, probes, show
from worker.actionrunner.readiness import RunnerReadiness
from worker.actionrunner.report import ReportFacts, ReportingStanding
from worker.actionrunner.rotation import KeyRotation
from worker.actionrunner.seen import SeenTasks
from worker.actionrunner.serving import RunnerMemory, RunnerServing, RunnerSettings, channel_of, serving_of
from worker.actionrunner.sharedslots import SharedSlots
from worker.actionrunner.starts import StartJournal
from worker.actionrunner.testrunner import InsideTests
from worker.actions.catalogue import CATALOGUE
from worker.actions.jq import ConfinedJq
from worker.actions.tools import Tools
from worker.agent.signals import Signals, caught
from worker.clock import Clock, SystemClock
from worker.errors import ConfigError, ExitCode
from worker.net.dns.resolver import Resolver
from worker.program.heap import keep_heap_small
from worker.wire.enrolment import Mode

if TYPE_CHECKING:  # a runner without the mode does not load it
    from worker.actionrunner.pushserving import PushMode

log = logging.getLogger(__name__)

_WRITER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="identity")
"""Writes the identity while the runner serves, one change after the other."""


async def run(config: RunnerConfig, environment: Mapping[str, str], warnings: Sequence[str] = ()) -> ExitCode:
    """Serve until a signal. Raises ConfigError for what only a start can show."""
    keep_heap_small()
    missing = missing_isolation()
    if config.require_isolation:
        require_isolation(missing)
    clock, instance = SystemClock(), str(uuid.uuid4())
    for warning in warnings:
        log.warning("%s", warning, extra={"action": "config_warning"})
    for sentence in missing:
        log.warning("%s", sentence, extra={"action": "isolation_missing"})
    if not kills_at_once():
        text = "no control group of version 2 can be made here: processes of a script are killed one by one"
        log.info(text, extra={"action": "isolation_weaker"})
    with caught() as signals, hangups() as hangup:
        store = store_of(config, environment)
        found = await enrolled(config, store, clock, signals, instance)
        if found is None:
            return ExitCode.DONE
        running = RunningInstance.of(config, store, found, clock, instance)
        return await _serve(config, environment, clock, signals, hangup, running)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningInstance:
    """This instance of the runner: who it is, in which chain, with which keys, and in which modes."""

    store: IdentityStore
    identity: KeptIdentity
    enrolment: Enrolment
    instance: str
    chain: InstanceChain
    keys: ChannelKeys
    modes: tuple[Mode, ...]

    @classmethod
    def of(
        cls, config: RunnerConfig, store: IdentityStore, found: KeptIdentity, clock: Clock, instance: str
    ) -> RunningInstance:
        """Write the start into the identity. Raises ConfigError."""
        enrolment = found.enrolment
        assert enrolment is not None, "it has enrolled"
        modes = enrolment.modes if config.modes is None else config.modes
        if not set(modes) <= set(enrolment.modes):
            raise ConfigError(f"the runner was made for {', '.join(enrolment.modes)} alone", option="modes")
        chain = InstanceChain(store, clock, instance, elsewhere=_in_a_thread)
        begun = chain.begin()
        keys = ChannelKeys(
            urn=enrolment.urn,
            org=enrolment.org,
            audience=begun.base_url,
            signing=begun.keys.signing,
            opening=(begun.keys.opening, *begun.former),
            root=enrolment.root,
            keyset=enrolment.keyset,
        )
        return cls(
            store=store, identity=begun, enrolment=enrolment, instance=instance, chain=chain, keys=keys, modes=modes
        )


def _in_a_thread(work: Callable[[], None]) -> None:
    """Have *work*, which may block for seconds, done after all that was handed over before."""
    _WRITER.submit(work).add_done_callback(_tell_failure)


def _tell_failure(done: Future[None]) -> None:
    if error := done.exception():
        log.error("a change of the identity failed", exc_info=error, extra={"action": "identity_unwritten"})


async def _serve(
    config: RunnerConfig,
    environment: Mapping[str, str],
    clock: Clock,
    signals: Signals,
    hangup: Hangup,
    running: RunningInstance,
) -> ExitCode:
    files, time, seen = LocalFiles(places_of(config, environment), clock), _ChannelTime(clock), SeenTasks()
    slots = SharedSlots(config.concurrency, config.push_reserved if len(running.modes) > 1 else 0)
    settings = RunnerSettings(
        peer=await peer_of(config, running.identity.base_url),
        slots=slots,
        pulls="pull" in running.modes,
        drain_timeout=config.drain_timeout,
        agent=AGENT,
        host=hostname(),
    )
    metrics = RunnerMetrics(__version__, runner=running.enrolment.name, actions=CATALOGUE, isolation=isolation_level())
    async with AsyncExitStack() as stack:
        stack.enter_context(hangup.following(files.hurry))
        audit = _audit_of(config, clock)
        stack.callback(audit.close)
        starts = _starts(config, running, clock, time, seen, metrics)
        if starts is not None:
            await stack.enter_async_context(starts)
        memory = RunnerMemory(book=LeaseBook(), seen=seen, starts=starts)
        channel = channel_of(
            settings,
            running.keys,
            clock,
            memory,
            instance=running.instance,
            standing=ReportingStanding(running.chain, _facts(config), lambda: files.state),
            on_keyset=running.chain.keep_keyset,
        )
        time.follow(channel)
        await stack.enter_async_context(channel)
        tools = tools_of(config, clock)
        tests = await stack.enter_async_context(InsideTests(tools.doors, clock, config.task_timeout))
        execution = ActionExecution(
            modes=frozenset(running.modes),
            files=files,
            tools=replace(tools, run_test=tests.run),
            audit=audit,
            clock=clock,
            environment=environment,
            task_seconds=config.task_timeout,
            observe=metrics.count,
        )
        _announce(config, running)
        try:
            async with asyncio.TaskGroup() as group:
                rotation = KeyRotation(running.store, running.keys, channel, clock)
                running.chain.on_rotate = rotation.want
                serving = serving_of(
                    settings,
                    running.keys,
                    _names(running),
                    clock,
                    memory,
                    channel=channel,
                    execution=execution,
                    group=group,
                    loops={"files": files.run, "rotation": rotation.run},
                    counts=metrics,
                    on_delivery=lambda delivery: metrics.count_delivery(delivery.outcome),
                )
                readiness = _readiness(running, clock, channel, serving, files, starts)
                show(metrics, serving, readiness)
                push = _push(config, running, clock, time, slots, channel, execution)
                revocation = group.create_task(_end_when_revoked(running.chain, serving, push), name="revocation")
                port = (
                    bare_probes(readiness, host=config.host, port=config.port)
                    if push is None
                    else push.serving(signals, hangup, readiness, metrics)
                )
                async with port, probes(readiness, metrics, host=config.host, port=config.probes_port):
                    code = await serving.worker.serve(signals)
                revocation.cancel()
                return code
        finally:
            log.info("stopped", extra={"action": "stopped", "instance": running.instance})


def _readiness(
    running: RunningInstance,
    clock: Clock,
    channel: RunnerChannel,
    serving: RunnerServing,
    files: LocalFiles,
    starts: StartJournal | None,
) -> RunnerReadiness:
    return RunnerReadiness(
        clock=clock,
        enrolment=running.enrolment,
        instance=running.instance,
        modes=running.modes,
        chain=running.chain,
        channel=channel,
        poller=serving.poller,
        files=files,
        journal=lambda: None if starts is None else starts.trouble,
        missing=missing_isolation(),
    )


def _push(
    config: RunnerConfig,
    running: RunningInstance,
    clock: Clock,
    time: _ChannelTime,
    slots: SharedSlots,
    channel: RunnerChannel,
    execution: ActionExecution,
) -> PushMode | None:
    if "push" not in running.modes:
        return None
    from worker.actionrunner.pushserving import push_mode  # noqa: PLC0415 - most runners have no page

    return push_mode(
        config,
        running.enrolment,
        _names(running),
        running.keys,
        clock=clock,
        now=time.now,
        slots=slots,
        claim=channel.claim,
        execution=execution,
    )


async def _end_when_revoked(chain: InstanceChain, serving: RunnerServing, push: PushMode | None) -> None:
    """End what runs each time that the runner is revoked or disabled: nobody may ask for it any more."""
    while True:
        await chain.revoked.wait()
        chain.revoked.clear()
        ended = await serving.inflight.cut_short() + (0 if push is None else await push.runs.cut_short())
        log.error("revoked: %d actions ended", ended, extra={"action": "revoked", "ended": str(ended)})


def _names(running: RunningInstance) -> InstanceIdentity:
    enrolment = running.enrolment
    return InstanceIdentity(urn=enrolment.urn, org=enrolment.org, instance=running.instance, version=__version__)


class _ChannelTime:
    """The control plane's time as the channel's last signed reply gave it; ours until there is a channel."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._channel: RunnerChannel | None = None

    def follow(self, channel: RunnerChannel) -> None:
        self._channel = channel

    def now(self) -> datetime:
        offset = None if self._channel is None else self._channel.clock_offset
        return self._clock.now() if offset is None else self._clock.now() + offset

    def milliseconds(self) -> int:
        return round(self.now().timestamp() * 1000)


def _starts(
    config: RunnerConfig,
    running: RunningInstance,
    clock: Clock,
    time: _ChannelTime,
    seen: SeenTasks,
    metrics: RunnerMetrics,
) -> StartJournal | None:
    if config.state_directory is None:
        return None
    return StartJournal(
        config.state_directory,
        urn=running.enrolment.urn,
        instance=running.instance,
        keys=running.keys.opening,
        clock=clock,
        now=time.milliseconds,
        seen=seen,
        on_write=metrics.count_write,
    )


def tools_of(config: RunnerConfig, clock: Clock) -> Tools:
    """The tools that actions are handed. Opens nothing."""
    resolver = Resolver(config.dns_servers, use_host=config.dns_use_host, ipv6=config.enable_ipv6)
    rules = EgressRules(
        allow=config.allow_ranges,
        deny=config.deny_ranges,
        allow_names=config.allowed_domain_names,
        deny_names=config.blocked_domain_names,
        nat64_prefixes=config.nat64_prefixes,
        metadata=config.allow_imds,
    )
    return Tools(
        doors=ActionDoors(rules, resolver, clock, ca_files=ca_files(config)),
        clock=clock,
        jq=ConfinedJq(),
        http_seconds=config.http_timeout,
        max_output_bytes=config.max_output_bytes,
    )


def _facts(config: RunnerConfig) -> ReportFacts:
    return ReportFacts(level=config.report, tags=config.tags, actions=tuple(CATALOGUE), isolation=isolation_level())


def _audit_of(config: RunnerConfig, clock: Clock) -> AuditLog:
    """Raises ConfigError."""
    try:
        return AuditLog(config.audit_log, clock)
    except AuditError as error:
        raise ConfigError(str(error), option="auditLog") from None


def places_of(config: RunnerConfig, environment: Mapping[str, str]) -> LocalPlaces:
    """The places of the operator's files."""
    return LocalPlaces(
        directory=config.directory,
        connections=config.connections_file or config.directory / "connections.yaml",
        policy=config.policy_file or config.directory / "policy.yaml",
        allow_list=config.actions_allowlist,
        connections_named=config.connections_file is not None,
        policy_named=config.policy_file is not None,
        environment=environment,
        isolation_required=config.require_isolation,
    )


def _announce(config: RunnerConfig, running: RunningInstance) -> None:
    log.info(
        "runner %s serves %s from %s with %d slots",
        __version__,
        running.enrolment.name,
        running.identity.base_url,
        config.concurrency,
        extra={"action": "started", "runner": running.enrolment.urn, "instance": running.instance},
    )
