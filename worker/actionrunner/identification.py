"""The identity that a start begins with: the one that is kept, or one that the token enrols. And the way to the control plane."""

from __future__ import annotations

import asyncio
import platform
import ssl
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from worker import __version__
from worker.actionrunner import enrolling
from worker.actionrunner.cluster import ClusterAPI, ClusterError
from worker.actionrunner.enrolling import EnrolmentWishes
from worker.actionrunner.identity import IdentityFile, IdentityStore, KeptIdentity
from worker.actionrunner.identitygiven import IdentityGiven
from worker.actionrunner.identitysecret import IdentitySecret
from worker.actionrunner.options import RunnerConfig, hostname
from worker.agent.signals import Signals
from worker.clock import Clock
from worker.egress.hosts import is_private_way
from worker.errors import ConfigError, MessageError
from worker.intake.transport import Peer, Transport
from worker.net.trust import intake_context
from worker.wire.enrolment import EnrolmentToken

AGENT = f"private-action-runner/{__version__}"


def store_of(config: RunnerConfig, environment: Mapping[str, str]) -> IdentityStore:
    """The place of the identity: two values, a Secret, or a file. Raises ConfigError for half of the first, or for two."""
    if (config.urn is None) != (config.private_key is None):
        raise ConfigError("go together: one of them is missing", option="urn, privateKey")
    if config.urn is not None and config.private_key is not None:
        if config.identity_secret is not None:
            raise ConfigError("there is a privateKey as well", option="identitySecret")
        return IdentityGiven(config.urn, config.private_key)
    if config.identity_secret is None:
        return IdentityFile(config.identity_file)
    try:
        return IdentitySecret(ClusterAPI.of(environment), config.identity_secret)
    except ClusterError as error:
        raise ConfigError(str(error), option="identitySecret") from None


async def enrol(config: RunnerConfig, store: IdentityStore, clock: Clock, *, instance: str) -> KeptIdentity:
    """The enrolled identity: as it is kept, or by the token. Raises ConfigError where there is neither."""
    found, token = await asyncio.to_thread(store.load), _token(config)
    is_read_only = config.urn is not None
    if found is not None and found.enrolment is not None and (is_read_only or token is None or token.id == found.token):
        _check_base_url(config, found.base_url)
        return found
    if token is None:
        reason = "is missing, and there is no identity yet: `synthetics-controlplane runner create NAME` prints one"
        raise ConfigError(reason, option=enrolling.OPTION, place=store.place)
    _check_base_url(config, token.base_url)
    _check_transport(config, token.base_url)
    async with Transport(await peer_of(config, token.base_url), agent=AGENT) as transport:
        return await enrolling.enrol(store, token, _wishes(config), transport, clock, instance=instance)


async def enrolled(
    config: RunnerConfig, store: IdentityStore, clock: Clock, signals: Signals, instance: str
) -> KeptIdentity | None:
    """The identity, or None where a signal came first."""
    enrolled = asyncio.ensure_future(enrol(config, store, clock, instance=instance))
    stopped = asyncio.ensure_future(signals.stop.wait())
    try:
        await asyncio.wait((enrolled, stopped), return_when=asyncio.FIRST_COMPLETED)
        return enrolled.result() if enrolled.done() else None
    finally:
        for task in (enrolled, stopped):
            task.cancel()
        await asyncio.gather(enrolled, stopped, return_exceptions=True)


def ca_files(config: RunnerConfig) -> tuple[Path, ...]:
    return () if config.ca_file is None else (config.ca_file,)


async def peer_of(config: RunnerConfig, base_url: str) -> Peer:
    """The way to the control plane; reading the authorities takes tens of milliseconds. Raises ConfigError."""
    try:
        tls = await asyncio.to_thread(partial(intake_context, ca_files(config), verify=True))
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"cannot be read as certificates: {error}", option="caFile") from error
    return Peer(url=base_url, tls=tls, proxy=config.proxy)


def _token(config: RunnerConfig) -> EnrolmentToken | None:
    if config.enrolment_token is None:
        return None
    try:
        return EnrolmentToken.parse(config.enrolment_token)
    except MessageError as error:
        raise ConfigError(str(error), option=enrolling.OPTION) from None


def _wishes(config: RunnerConfig) -> EnrolmentWishes:
    return EnrolmentWishes(
        name=config.name,
        modes=config.modes,
        host=None,
        hostname=hostname(),
        agent=AGENT,
        platform=f"{platform.system()} {platform.machine()}"[:200],
    )


def _check_base_url(config: RunnerConfig, known: str) -> None:
    for option, given in (("ddBaseURL", config.base_url), ("controlPlaneUrl", config.control_plane_url)):
        if given is not None and given != known:
            raise ConfigError(
                f"{given} is another control plane than {known}, which the runner's token named", option=option
            )


def _check_transport(config: RunnerConfig, url: str) -> None:
    if not config.insecure_control_plane and not is_private_way(url):
        reason = f"{url} is plain HTTP to another machine: this needs insecureControlPlane"
        raise ConfigError(reason, option=enrolling.OPTION)
