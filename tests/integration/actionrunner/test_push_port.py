"""The port for pages under TLS: behind nginx as the guide has it, and with a certificate of its own; and what stops a start."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from controlplane.service import apps
from tests.support.apptokens import HOST
from tests.support.checkout import ROOT
from tests.support.clock import FakeClock
from tests.support.pushplane import DESK, HOST_URL, PushRunner, page_request, push_runner
from tests.support.runner_identity import enrolled_identity
from tests.support.runnerplane import BOSS, PlayedActions, RunnerPlane, keys_of, runner_plane
from tests.support.servers.nginx import nginx
from tests.support.waiting import PATIENCE, until
from worker.actionrunner.executor import InstanceIdentity
from worker.actionrunner.figures import RunnerMetrics
from worker.actionrunner.hangup import Hangup
from worker.actionrunner.options import load
from worker.actionrunner.pushserving import PushMode, push_mode, served_certificate
from worker.actionrunner.sharedslots import SharedSlots
from worker.agent.signals import Signals
from worker.clock import Clock, SystemClock
from worker.errors import ConfigError
from worker.web.certificate import LOOK_SECONDS
from worker.wire.signingkey import VerifyingKey


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[RunnerPlane]:
    async with runner_plane(tmp_path) as running:
        yield running


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def files(authority: trustme.CA, tmp_path: Path) -> tuple[Path, Path]:
    """A certificate chain and its key."""
    certificate, key = tmp_path / "runner.pem", tmp_path / "runner.key"
    write_certificate(authority, certificate, key)
    return certificate, key


def write_certificate(authority: trustme.CA, certificate: Path, key: Path) -> None:
    issued = authority.issue_cert(HOST)
    certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())


@pytest.fixture
def believing(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def answered(plane: RunnerPlane, there: PushRunner, port: int, believing: ssl.SSLContext) -> None:
    await until(lambda: there.runner.channel.last_signed_reply_ns is not None)
    page, minted = await page_request(plane, {"id": 7})
    answer = await page.send(port, tls=believing)
    assert answer.status == 200, answer.body
    assert answer.is_proven(VerifyingKey.from_jwk(minted.runner_keys[0], "ES256"), minted.jti)
    assert answer.headers["access-control-allow-origin"] == plane.url


async def test_behind_nginx_as_the_guide_has_it(
    plane: RunnerPlane, files: tuple[Path, Path], believing: ssl.SSLContext
) -> None:
    blocks = re.findall(r"```nginx\n(.*?)```", (ROOT / "docs" / "actions.md").read_text(), re.DOTALL)
    [block] = [each for each in blocks if f"server_name {HOST}" in each]
    identity, _ = await plane.enrol(modes=("pull", "push"), host=HOST_URL)
    await apps.push(plane.database, plane.clock, BOSS, DESK)
    async with push_runner(plane, identity) as there:
        server = block.replace("{", "{{").replace("}", "}}").replace("443", "127.0.0.1:{ports[0]}")
        server = server.replace("/etc/nginx/runner.pem", str(files[0])).replace("/etc/nginx/runner.key", str(files[1]))
        async with nginx(server.replace("127.0.0.1:9016", f"127.0.0.1:{there.port}")) as (_, ports):
            await answered(plane, there, ports[0], believing)


async def test_with_a_certificate_of_its_own(
    plane: RunnerPlane, files: tuple[Path, Path], believing: ssl.SSLContext
) -> None:
    identity, _ = await plane.enrol(modes=("pull", "push"), host=HOST_URL)
    await apps.push(plane.database, plane.clock, BOSS, DESK)
    served = served_certificate(*files, SystemClock())
    assert served is not None
    async with push_runner(plane, identity, tls=served.context) as there:
        await answered(plane, there, there.port, believing)


@pytest.mark.parametrize(
    ("options", "option"),
    [
        ({}, "publicHosts"),
        ({"PUBLIC_HOSTS": "r.example", "ALLOWED_ORIGINS": "https://pages.example/"}, "allowedOrigins"),
        ({"PUBLIC_HOSTS": "r.example", "ALLOWED_ORIGINS": "*"}, "allowedOrigins"),
        ({"PUBLIC_HOSTS": "r.example", "TLS_CERT": "runner.pem"}, "tlsCert"),
        ({"PUBLIC_HOSTS": "r.example", "TLS_KEY": "runner.key"}, "tlsCert"),
        ({"PUBLIC_HOSTS": "r.example", "TLS_CERT": "runner.pem", "TLS_KEY": "missing.key"}, "tlsKey"),
        ({"PUBLIC_HOSTS": "r.example", "TLS_CERT": "runner.key", "TLS_KEY": "runner.pem"}, "tlsCert"),
    ],
)
@pytest.mark.usefixtures("files")
def test_what_cannot_be_served_stops_the_start(tmp_path: Path, options: dict[str, str], option: str) -> None:
    with pytest.raises(ConfigError) as refused:
        made(tmp_path, options, SystemClock())
    assert refused.value.option == option


def made(folder: Path, options: dict[str, str], clock: Clock) -> PushMode:
    """Push mode with *options* that runs nothing. Raises ConfigError."""
    config = load({f"ACTION_RUNNER_{name}": value for name, value in options.items()}, str(folder)).config
    identity = enrolled_identity()
    keys = keys_of(identity)
    assert identity.enrolment is not None

    async def claim(_jti: str) -> bool:
        raise AssertionError

    facts: dict[str, Any] = {"clock": clock, "now": clock.now, "slots": SharedSlots(2, 1)}
    names = InstanceIdentity(urn=keys.urn, org=1, instance="i", version="t")
    return push_mode(config, identity.enrolment, names, keys, claim=claim, execution=PlayedActions(), **facts)


class Present:
    """A runner that takes requests."""

    alive = ready = True
    away = None


async def certificate_at(port: int, believing: ssl.SSLContext) -> bytes:
    """The certificate that the next browser is shown."""
    async with asyncio.timeout(PATIENCE):
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=believing, server_hostname=HOST)
    shown: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return shown


async def test_a_renewed_certificate_is_shown_and_files_that_cannot_be_used_replace_nothing(
    tmp_path: Path, authority: trustme.CA, files: tuple[Path, Path], believing: ssl.SSLContext
) -> None:
    options = {"PUBLIC_HOSTS": HOST, "TLS_CERT": "runner.pem", "TLS_KEY": "runner.key", "PORT": "0"}
    clock, signals = FakeClock(), Signals()
    metrics = RunnerMetrics("t", runner="berlin", actions=(), isolation="none")
    async with made(tmp_path, options, clock).serving(signals, Hangup(), Present(), metrics) as port:
        first = await certificate_at(port, believing)
        write_certificate(authority, *files)
        assert await certificate_at(port, believing) == first
        await clock.advance(LOOK_SECONDS)
        second = await certificate_at(port, believing)
        assert second != first
        files[1].write_text("no key")
        await clock.advance(LOOK_SECONDS)
        assert await certificate_at(port, believing) == second
        figures = metrics.text().decode()
        assert "private_action_runner_tls_certificate_current 0.0" in figures
        assert "private_action_runner_tls_certificate_not_after_timestamp_seconds" in figures
        signals.stop.set()
