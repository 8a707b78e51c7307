"""`doctor`: try what a worker needs, one thing after another, and say of each what is right, what is not, and the cure.

It takes no job and sends no test request: it asks name servers for `localhost`, greets the control plane, and signs one pull
without a free slot. Each examination is bounded in time, and one that fails keeps no other from being done.
"""

from __future__ import annotations

import ssl
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import orjson

from worker import start
from worker.clock import Clock
from worker.commands import machine
from worker.commands.diagnosis import (
    Finding,
    State,
    doubtful,
    of_clock,
    of_descriptors,
    of_memory,
    of_policy,
    right,
    wrong,
)
from worker.config.load import Config, LocalConfig
from worker.egress.hosts import WEB_PORTS, Name, parse_host
from worker.egress.nameserver import Nameserver
from worker.errors import ConfigError, ExitCode
from worker.intake.client import Intake
from worker.intake.transport import IntakeError, UnreadableBatch
from worker.net.attempts import first_reached
from worker.net.deadline import Deadline
from worker.net.dial import dial
from worker.net.dns.query import NoReplyError, ask
from worker.net.dns.resolver import RESOLV_CONF, Resolver, host_nameservers
from worker.net.dns.wire import Question
from worker.net.failure import DoorError
from worker.net.recorder import Recorder
from worker.net.stream import Stream
from worker.net.tunnel import Tunnels, dial_unjudged
from worker.text import counted, printable
from worker.wire.messages import VERSION, Pull

DNS_SECONDS = 3.0
"""Wait for one name server: a resolver that takes longer makes tests late."""
TLS_SECONDS = 10.0
"""Wait for one look-up, connection and handshake: as long as the client of the control plane waits."""
ENDS_SOON = timedelta(days=14)
"""A certificate that is renewed by a program has weeks left."""
LINE_CHARACTERS = 200
"""Characters of a foreign line that are shown."""


async def doctor(
    config: LocalConfig,
    clock: Clock,
    *,
    mistakes: Sequence[ConfigError] = (),
    warnings: Sequence[str] = (),
    as_json: bool,
    show: Callable[[str], None],
) -> int:
    """Show each finding as it comes; the exit code says whether a worker with *config* would work.

    *mistakes* keep it from being a worker's whole config: then the control plane is not tried.
    """
    code = ExitCode.DONE
    async for finding in _examinations(config, clock, mistakes, warnings):
        show(orjson.dumps(finding.as_json()).decode() if as_json else finding.as_text())
        if finding.state is State.WRONG:
            code = ExitCode.FAILED
    return code


async def _examinations(
    config: LocalConfig, clock: Clock, mistakes: Sequence[ConfigError], warnings: Sequence[str]
) -> AsyncIterator[Finding]:
    for finding in _of_config(mistakes, warnings):
        yield finding
    async for finding in _of_name_servers(config, clock):
        yield finding
    if isinstance(config, Config):
        async for finding in _of_control_plane(config, clock):
            yield finding
    yield of_memory(config, machine.memory_bytes())
    yield of_descriptors(config, machine.descriptors())
    for finding in of_policy(config, start.policy_of(config)):
        yield finding


def _of_config(mistakes: Sequence[ConfigError], warnings: Sequence[str]) -> list[Finding]:
    found = [wrong("config", str(mistake), "") for mistake in mistakes]
    if any(mistake.option == "config" for mistake in mistakes):
        cure = (
            "`synthetics-controlplane location create` writes the file; name it by --config, or mount it at that place"
        )
        found[0] = replace(found[0], cure=cure)
    found += [doubtful("config", warning, "see docs/reference.md#configuration-reference") for warning in warnings]
    return found or [right("config", "every option that a worker needs is there and can be used")]


async def _of_name_servers(config: LocalConfig, clock: Clock) -> AsyncIterator[Finding]:
    servers = (*(host_nameservers(RESOLV_CONF) if config.dns_use_host else ()), *config.dns_servers)
    answers = [await of_name_server(server, clock) for server in servers]
    if servers and all(answer.state is not State.RIGHT for answer in answers):
        answers = [wrong(answer.part, answer.found, answer.cure) for answer in answers]
    for answer in answers:
        yield answer
    if not servers:
        yield wrong("name servers", "there is none", "name one by dnsServer, or use this machine's with dnsUseHost")


async def of_name_server(server: Nameserver, clock: Clock) -> Finding:
    """Ask *server* for localhost, which tells a public one nothing of this network. Any answer is one."""
    recorder = _recorder(clock, DNS_SECONDS)
    begun = clock.monotonic_ns()
    try:
        reply = (await ask(server, Question("localhost", "A"), DNS_SECONDS, recorder)).reply
    except NoReplyError as error:
        return doubtful(
            "name server", f"{server}: {error}", "name one that this network reaches by dnsServer, or set dnsUseHost"
        )
    taken = (clock.monotonic_ns() - begun) / 1e6
    if reply.rcode == "REFUSED":
        return doubtful(
            "name server",
            f"{server} refuses to answer this machine",
            "allow this machine there, or name another by dnsServer",
        )
    return right("name server", f"{server} answers in {taken:.0f} ms")


async def _of_control_plane(config: Config, clock: Clock) -> AsyncIterator[Finding]:
    try:
        tls = start.intake_tls_of(config)
    except ConfigError as error:
        yield wrong("TLS", str(error), "name a readable PEM file by caFile")
        return
    yield _of_proxy(config)
    async with start.intake_of(config, tls, clock, worker_id=str(uuid.uuid4())) as intake:
        greeting = await _of_greeting(config, intake)
        yield greeting
        if greeting.state is State.WRONG:
            return
        yield await _of_certificate(config, clock)
        async for finding in _of_pull(config, intake):
            yield finding


def _of_proxy(config: Config) -> Finding:
    if config.proxy is None:
        return right("proxy", "none: the control plane is reached directly")
    return right("proxy", f"the control plane is reached through {config.proxy}")


async def _of_greeting(config: Config, intake: Intake) -> Finding:
    try:
        greeting = await intake.greet()
    except IntakeError as error:
        return wrong(
            "control plane", error.reason, "mend that, or intakeUrl, proxy or caFile, by which the worker goes there"
        )
    line = printable(greeting.line, LINE_CHARACTERS)
    if greeting.status != 200:
        return wrong(
            "control plane",
            f"{config.intake_url} answers HTTP {greeting.status}: {line}",
            "is intakeUrl the control plane's own, with its path? Whatever answers there is another program, or in between",
        )
    return right("control plane", f"{config.intake_url} answers: {line}")


async def _of_certificate(config: Config, clock: Clock) -> Finding:
    parts = urlsplit(config.intake_url)
    if parts.scheme == "http":
        return _of_plain_http(config)
    if config.proxy and config.proxy_ignore_ssl_errors:
        return doubtful(
            "TLS",
            "certificates are not checked (proxyIgnoreSSLErrors)",
            "trust the proxy's authority by caFile instead",
        )
    try:
        ends = await _certificate_ends(config, clock)
    except (DoorError, OSError, TimeoutError) as error:
        said = error.failure.message if isinstance(error, DoorError) else type(error).__name__
        return doubtful(
            "TLS", f"the certificate could not be looked at: {said}", "try again; a worker asks anew each second"
        )
    left = ends - clock.now()
    if left < ENDS_SOON:
        return doubtful(
            "TLS",
            f"the certificate ends on {ends:%Y-%m-%d}, in {counted(left.days, 'day')}",
            "renew it: workers refuse it from then on",
        )
    return right("TLS", f"the certificate is trusted and ends on {ends:%Y-%m-%d}")


def _of_plain_http(config: Config) -> Finding:
    host = parse_host(urlsplit(config.intake_url).hostname or "")
    if str(host) == "localhost" or (not isinstance(host, Name) and host.is_loopback):
        return right("TLS", "none, and none is needed: the control plane is on this machine")
    return doubtful(
        "TLS",
        "none: who serves which location, and when, is open to every listener",
        "serve the control plane with --tls-cert",
    )


async def _certificate_ends(config: Config, clock: Clock) -> datetime:
    """The end of the control plane's certificate, by a handshake of our own. Raises DoorError, OSError, TimeoutError."""
    parts = urlsplit(config.intake_url)
    host = parse_host(parts.hostname or "")
    port = parts.port or WEB_PORTS["https"]
    recorder = _recorder(clock, TLS_SECONDS)
    trust = start.trust_of(config)
    async with recorder.limit(TLS_SECONDS):
        resolver = Resolver((), use_host=True, ipv6=True)
        if config.proxy is not None:
            tunnels = Tunnels(config.proxy, dial_unjudged(config.proxy, resolver), trust=trust)
            stream: Stream = await tunnels.open(host, port, recorder)
        else:
            found = await resolver.resolve(host, recorder) if isinstance(host, Name) else (host,)
            stream = await first_reached(found, port, lambda address: dial(address, port, recorder), recorder)
        secured = await trust.secure(stream, str(host), verify=True, recorder=recorder)
        try:
            certificate: Any = secured.session.getpeercert()
            return datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC)
        finally:
            secured.close()


async def _of_pull(config: Config, intake: Intake) -> AsyncIterator[Finding]:
    """One pull as of a worker that drains: it is answered, and takes nothing."""
    keys = tuple(key.kid for key in config.private_keys)
    message = Pull(
        version=VERSION, agent=f"{start.AGENT} doctor", concurrency=0, free_slots=0, keys=keys, draining=True
    )
    try:
        await intake.pull(message)
    except IntakeError as error:
        yield wrong(
            "signed pull",
            error.reason,
            _CURES.get(error.code, "compare id, accessKey and secretAccessKey with the newest config file"),
        )
        return
    except UnreadableBatch as error:
        yield wrong(
            "signed pull", f"the reply cannot be opened: {error}", "use the privateKey of this location's config file"
        )
        return
    yield right("signed pull", f"accepted for the location {config.location_id}")
    yield of_clock(intake.clock_offset.total_seconds())


_CURES = {
    "disabled": "`synthetics-controlplane location enable` lets its workers in again",
    "keys": "use the newest config file: `location rotate` makes one",
    "host": "serve with --public-url as the worker's intakeUrl has it, or correct intakeUrl",
}
"""By the code of a signed refusal."""


def _recorder(clock: Clock, seconds: float) -> Recorder:
    return Recorder(clock, Deadline(clock, seconds))
