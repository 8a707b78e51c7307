"""Revoked certificates, by OpenSSL's own responder and by ones that mean harm; what nobody can tell is no failure."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.x509 import ocsp

from tests.support.certificates import DAY, Issued, answer, issue
from tests.support.servers.closing import turns
from tests.support.servers.door import loopback_door
from tests.support.servers.hostile_http import CHUNKED, endless, hostile, silent
from tests.support.servers.http import Seen, reply, serving
from tests.support.servers.openssl import ocsp_responder, tls_server
from tests.support.servers.tcp import Listener, closed_port
from tests.support.waiting import until
from worker.apitest.observation import Observation
from worker.apitest.protocols.ssl import SSLRequest
from worker.apitest.responses.ssl import SSLResponse
from worker.clock import SystemClock
from worker.net.deadline import Deadline
from worker.net.door import Door
from worker.net.http.response import HTTPLimits
from worker.net.recorder import Recorder
from worker.outcome.failure import FailureCode
from worker.outcome.revocation import CertificateStatus, Revocation, StatusSource
from worker.probers import ssl as prober
from worker.probers.certificates.authority import Fetcher
from worker.probers.limits import ProbeLimits

LIMITS = ProbeLimits(http=HTTPLimits(max_body_bytes=1))
HOST = "127.0.0.1"


async def probed(door: Door, port: int, *, accept_any: bool = False) -> Observation:
    request = SSLRequest(
        host=HOST, port=port, server_name=HOST, timeout=20.0, check_revocation=True, accept_any=accept_any
    )
    observation = await prober.probe(request, door, SystemClock(), LIMITS)
    await turns()
    return observation


def revocation(observation: Observation) -> Revocation:
    assert isinstance(observation.response, SSLResponse)
    assert observation.response.revocation is not None
    return observation.response.revocation


@pytest.fixture
def root() -> Issued:
    return issue("Root", ca=True)


@pytest.fixture
def believing(root: Issued, tmp_path: Path) -> Door:
    return loopback_door(ca_files=[root.write(tmp_path / "root.pem")])


def index_of(path: Path, *, good: int, revoked: int) -> Path:
    """The database of `openssl ca`: status, end, end of validity, serial number, file, subject."""
    ends, since = ((datetime.now(UTC) + days).strftime("%y%m%d%H%M%SZ") for days in (30 * DAY, -2 * DAY))
    path.write_text(
        f"V\t{ends}\t\t{good:X}\tunknown\t/O=Shop/CN=good\n"
        f"R\t{ends}\t{since},keyCompromise\t{revoked:X}\tunknown\t/O=Shop/CN=revoked\n"
    )
    return path


async def test_openssls_responder_says_what_was_revoked(root: Issued, believing: Door, tmp_path: Path) -> None:
    index = index_of(tmp_path / "index.txt", good=0xA001, revoked=0xA002)
    signer = issue("Responder", root, signs_answers=True).write(tmp_path / "signer.pem")
    found: dict[int, Observation] = {}
    async with ocsp_responder(index, tmp_path / "root.pem", signer) as port:
        for serial in (0xA001, 0xA002, 0xA003):
            leaf = issue("shop", root, names=[HOST], serial=serial, responder=f"http://{HOST}:{port}")
            async with Listener(tls=leaf.serving(tmp_path / "leaf.pem")) as target:
                found[serial] = await probed(believing, target.port)
    good, revoked, unknown = (revocation(found[serial]) for serial in (0xA001, 0xA002, 0xA003))
    assert (good.status, good.source, good.serial_number) == (CertificateStatus.GOOD, StatusSource.RESPONDER, "A001")
    assert (revoked.status, revoked.revocation_reason) == (CertificateStatus.REVOKED, "keyCompromise")
    assert unknown.status is CertificateStatus.UNKNOWN
    failure = found[0xA002].failure
    assert failure is not None
    assert failure.code is FailureCode.OCSP
    assert "(CERT_REVOKED)" in failure.message
    assert "keyCompromise" in failure.message
    assert [found[serial].failure for serial in (0xA001, 0xA003)] == [None, None]
    assert [name for name, _ in found[0xA001].timings.tenths] == ["tcp", "handshake"]


async def test_a_revoked_certificate_is_revoked_whatever_else_is_ignored(root: Issued, tmp_path: Path) -> None:
    made: list[bytes] = []
    async with serving(lambda _: reply(made[0])) as responder:
        leaf = issue("shop", root, names=["elsewhere.test"], responder=responder.url())
        made.append(answer(leaf, root, status=ocsp.OCSPCertStatus.REVOKED))
        async with Listener(tls=leaf.serving(tmp_path / "leaf.pem", root)) as target:
            seen = await probed(loopback_door(), target.port, accept_any=True)
    assert seen.failure is not None
    assert seen.failure.code is FailureCode.OCSP


async def asked(responder: Callable[[Seen], bytes] | bytes, root: Issued, door: Door, path: Path) -> Revocation:
    """The status of a certificate whose responder answers so; the run itself passes."""
    async with serving(responder) as server:
        leaf = issue("shop", root, names=[HOST], responder=server.url("/ocsp"))
        async with Listener(tls=leaf.serving(path)) as target:
            seen = await probed(door, target.port)
    (request,) = server.seen
    assert (request.method, request.target) == ("POST", "/ocsp")
    assert request.header("content-type") == "application/ocsp-request"
    assert seen.failure is None
    found = revocation(seen)
    assert (found.status, found.source) == (CertificateStatus.UNKNOWN, StatusSource.RESPONDER)
    return found


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (reply(b""), "cannot be read"),
        (reply(b"\x30\x80" * 20_000), "cannot be read"),
        (reply(b"<html>", status="404 Not Found"), "status 404"),
        (reply(b"x" * 70_000), "65536"),
        (b"not HTTP at all", "HTTP"),
    ],
)
async def test_an_answer_that_is_none_leaves_the_status_unknown(
    body: bytes, reason: str, root: Issued, believing: Door, tmp_path: Path
) -> None:
    found = await asked(body, root, believing, tmp_path / "leaf.pem")
    assert reason in (found.reason or "").replace(",", "")


async def test_a_forged_answer_leaves_the_status_unknown(root: Issued, believing: Door, tmp_path: Path) -> None:
    forger = issue("Root", ca=True)
    victim = issue("shop", root, names=[HOST])
    found = await asked(reply(answer(victim, forger)), root, believing, tmp_path / "leaf.pem")
    assert "not signed" in (found.reason or "")


async def test_an_answer_without_end_leaves_the_status_unknown(root: Issued, believing: Door, tmp_path: Path) -> None:
    async with hostile(endless(b"5\r\nhello\r\n", CHUNKED)) as server:
        leaf = issue("shop", root, names=[HOST], responder=server.url())
        async with Listener(tls=leaf.serving(tmp_path / "leaf.pem")) as target:
            seen = await probed(believing, target.port)
    assert seen.failure is None
    assert revocation(seen).status is CertificateStatus.UNKNOWN


async def test_a_responder_that_says_nothing_takes_half_of_the_time_that_is_left() -> None:
    clock = SystemClock()
    recorder = Recorder(clock, Deadline(clock, 2.0))
    async with hostile(silent) as server:
        answer = await Fetcher(loopback_door(), clock, recorder).fetch(server.url())
    assert answer.body is None
    assert "no answer within" in answer.reason
    assert recorder.remaining() > 0


@pytest.mark.parametrize(
    ("responder", "reason"),
    [
        (None, "names no OCSP responder"),
        ("http://169.254.169.254/ocsp", "egress policy"),
        ("ldap://127.0.0.1/ocsp", "names no OCSP responder"),
        ("http://", "not a valid host"),
    ],
)
async def test_nobody_to_ask_leaves_the_status_unknown(
    responder: str | None, reason: str, root: Issued, believing: Door, tmp_path: Path
) -> None:
    leaf = issue("shop", root, names=[HOST], responder=responder)
    async with Listener(tls=leaf.serving(tmp_path / "leaf.pem")) as target:
        seen = await probed(believing, target.port)
    assert seen.failure is None
    assert revocation(seen).status is CertificateStatus.UNKNOWN
    assert reason in (revocation(seen).reason or "")


async def test_a_responder_that_is_gone_leaves_the_status_unknown(
    root: Issued, believing: Door, tmp_path: Path
) -> None:
    leaf = issue("shop", root, names=[HOST], responder=f"http://{HOST}:{closed_port()}/")
    async with Listener(tls=leaf.serving(tmp_path / "leaf.pem")) as target:
        seen = await probed(believing, target.port)
    assert seen.failure is None
    assert "refused" in (revocation(seen).reason or "")


async def test_without_its_issuer_no_answer_about_a_certificate_can_be_verified(root: Issued, tmp_path: Path) -> None:
    leaf = issue("shop", root, names=[HOST], responder=f"http://{HOST}:{closed_port()}/")
    async with Listener(tls=leaf.serving(tmp_path / "leaf.pem")) as target:
        seen = await probed(loopback_door(), target.port, accept_any=True)
    assert "issuer is not known" in (revocation(seen).reason or "")


async def test_cancelled_while_a_responder_is_asked_closes_everything(
    root: Issued, believing: Door, tmp_path: Path
) -> None:
    async with Listener() as responder:
        leaf = issue("shop", root, names=[HOST], responder=f"http://{HOST}:{responder.port}/")
        async with Listener(tls=leaf.serving(tmp_path / "leaf.pem")) as target:
            task = asyncio.create_task(probed(believing, target.port))
            await until(lambda: responder.received)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await until(lambda: responder.open == 0 and target.open == 0)


@pytest.mark.parametrize(("options", "revoked"), [(("-tls1_2",), False), ((), True)])
async def test_an_answer_that_the_server_staples_comes_before_all_others(
    options: tuple[str, ...], revoked: bool, root: Issued, believing: Door, tmp_path: Path
) -> None:
    async with serving(reply(b"")) as responder:
        leaf = issue("shop", root, names=[HOST], responder=responder.url())
        status = ocsp.OCSPCertStatus.REVOKED if revoked else ocsp.OCSPCertStatus.GOOD
        (tmp_path / "staple.der").write_bytes(answer(leaf, root, status=status))
        server = leaf.write(tmp_path / "leaf.pem")
        async with tls_server(server, "-status_file", str(tmp_path / "staple.der"), *options) as port:
            seen = await probed(believing, port)
        assert responder.seen == []
    found = revocation(seen)
    assert found.source is StatusSource.STAPLED
    assert found.status is (CertificateStatus.REVOKED if revoked else CertificateStatus.GOOD)
    assert (seen.failure is not None and seen.failure.code is FailureCode.OCSP) is revoked
    assert [name for name, _ in seen.timings.tenths] == ["tcp", "handshake"]


async def test_a_stapled_answer_that_does_not_count_is_asked_for_elsewhere(
    root: Issued, believing: Door, tmp_path: Path
) -> None:
    made: list[bytes] = []
    async with serving(lambda _: reply(made[0])) as responder:
        leaf = issue("shop", root, names=[HOST], responder=responder.url())
        made.append(answer(leaf, root))
        (tmp_path / "staple.der").write_bytes(answer(leaf, issue("Root", ca=True)))
        server = leaf.write(tmp_path / "leaf.pem")
        async with tls_server(server, "-status_file", str(tmp_path / "staple.der")) as port:
            seen = await probed(believing, port)
    assert (revocation(seen).status, revocation(seen).source) == (CertificateStatus.GOOD, StatusSource.RESPONDER)


@pytest.mark.parametrize("option", ["-tls1_2", "-tls1_3"])
async def test_a_server_without_a_stapled_answer_has_none(
    option: str, root: Issued, believing: Door, tmp_path: Path
) -> None:
    leaf = issue("shop", root, names=[HOST])
    async with tls_server(leaf.write(tmp_path / "leaf.pem"), option) as port:
        seen = await probed(believing, port)
    assert seen.failure is None
    assert revocation(seen).reason == "the certificate names no OCSP responder"
