"""`doctor` against a real control plane, name server and TLS: each line says what is right, what is not, and the cure."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import dns.message
import pytest
import trustme

from tests.support.definitions import http_test
from tests.support.programs import ControlPlane, run

pytestmark = pytest.mark.acceptance


@pytest.fixture
def name_server() -> Iterator[str]:
    """A server that answers whatever it is asked with nothing."""
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))

        def serve() -> None:
            while True:
                data, peer = sock.recvfrom(4096)
                if not data:
                    return
                sock.sendto(dns.message.make_response(dns.message.from_wire(data)).to_wire(), peer)

        thread = Thread(target=serve)
        thread.start()
        host, port = sock.getsockname()
        yield f"{host}:{port}"
        sock.sendto(b"", (host, port))
        thread.join()


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """One for all tests that change nothing of it but what a location of their own has."""
    plane = ControlPlane(tmp_path_factory.mktemp("plane"))
    plane.start()
    yield plane
    plane.stop()


@pytest.fixture(scope="module")
def config(plane: ControlPlane) -> Path:
    return plane.create_location()


def doctor(*flags: object, code: int | None = None) -> dict[str, dict[str, str]]:
    """The findings by their parts; the last one where there are several."""
    done = run("worker", "doctor", "--json", *map(str, flags))
    assert "Traceback" not in done.stderr
    assert code is None or done.returncode == code, done.stdout + done.stderr
    return {finding["part"]: finding for finding in map(json.loads, done.stdout.splitlines())}


def test_everything_right_is_said_line_by_line(config: Path, name_server: str) -> None:
    flags = (f"--config={config}", f"--dnsServer={name_server}", "--whitelistedRange.4=127.0.0.1/32")
    findings = doctor(*flags, code=0)
    assert {part: finding["state"] for part, finding in findings.items()} == dict.fromkeys(
        (
            "config",
            "name server",
            "proxy",
            "control plane",
            "TLS",
            "signed pull",
            "clock",
            "memory",
            "descriptors",
            "policy",
        ),
        "right",
    )
    assert name_server in findings["name server"]["found"]
    done = run("worker", "doctor", *flags)
    assert [line[0] for line in done.stdout.splitlines()] == ["✓"] * len(findings)


def test_it_takes_no_job(plane: ControlPlane, config: Path, name_server: str) -> None:
    plane.push([http_test("due", "http://127.0.0.1:1/")])
    doctor(f"--config={config}", f"--dnsServer={name_server}", code=0)
    (test,) = map(json.loads, plane.command("test", "list", "--json").splitlines())
    assert [place["running"] for place in test["locations"]] == [False]


def test_a_config_that_lacks_things_is_told_and_the_rest_is_tried(name_server: str) -> None:
    findings = doctor(f"--dnsServer={name_server}", code=1)
    assert findings["config"]["state"] == "wrong"
    assert findings["name server"]["state"] == "right"
    assert "control plane" not in findings


def test_no_name_server_that_answers_is_wrong(config: Path) -> None:
    findings = doctor(f"--config={config}", "--dnsServer=127.0.0.1:1", code=1)
    assert "nothing listens there" in findings["name server"]["found"]
    assert "dnsServer" in findings["name server"]["cure"]


def test_one_silent_server_of_two_is_doubtful(config: Path, name_server: str) -> None:
    done = run("worker", "doctor", f"--config={config}", f"--dnsServer=127.0.0.1:1,{name_server}")
    assert done.returncode == 0
    assert [line[0] for line in done.stdout.splitlines() if "name server" in line] == ["!", "✓"]


def test_a_control_plane_that_is_not_there_is_named(config: Path, name_server: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        findings = doctor(f"--config={config}", f"--dnsServer={name_server}", f"--intakeUrl=http://{place}", code=1)
    assert f"cannot connect to {place}: Connection refused" in findings["control plane"]["found"]
    assert "signed pull" not in findings


@pytest.mark.parametrize(
    ("change", "cure"),
    [
        ({"secretAccessKey": "0" * 64}, "secretAccessKey"),
        ({"accessKey": "0" * 32}, "accessKey"),
        ({"id": "pl:other"}, "id"),
    ],
)
def test_an_identity_that_is_not_the_locations_is_wrong(
    change: dict[str, str], cure: str, config: Path, name_server: str, tmp_path: Path
) -> None:
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(json.loads(config.read_text()) | change))
    finding = doctor(f"--config={path}", f"--dnsServer={name_server}", code=1)["signed pull"]
    assert finding["state"] == "wrong"
    assert "HTTP 401" in finding["found"]
    assert cure in finding["cure"]


def test_a_disabled_location_is_wrong_and_enable_cures_it(plane: ControlPlane, name_server: str) -> None:
    config = plane.create_location("closed")
    plane.command("location", "disable", "closed")
    finding = doctor(f"--config={config}", f"--dnsServer={name_server}", code=1)["signed pull"]
    assert (finding["state"], "location enable" in finding["cure"]) == ("wrong", True)


def test_a_host_that_the_control_plane_does_not_answer_to_names_public_url(tmp_path: Path, name_server: str) -> None:
    plane = ControlPlane(tmp_path, "--public-url", "https://plane.test")
    plane.start()
    try:
        config = plane.create_location()
        finding = doctor(f"--config={config}", f"--dnsServer={name_server}", code=1)["signed pull"]
    finally:
        plane.stop()
    assert f"it asks for 127.0.0.1:{plane.port}, and this one is plane.test" in finding["found"]
    assert "--public-url" in finding["cure"]


@pytest.mark.parametrize(("days", "state"), [(90, "right"), (5, "doubtful")])
def test_a_certificate_that_ends_soon_is_doubtful(days: int, state: str, tmp_path: Path, name_server: str) -> None:
    authority, now = trustme.CA(), datetime.now(UTC)
    issued = authority.issue_cert("127.0.0.1", not_before=now - timedelta(days=1), not_after=now + timedelta(days=days))
    for part, name in ((issued.private_key_pem, "key.pem"), (issued.cert_chain_pems[0], "cert.pem")):
        part.write_to_path(str(tmp_path / name))
    authority.cert_pem.write_to_path(str(tmp_path / "ca.crt"))
    files = ("--tls-cert", str(tmp_path / "cert.pem"), "--tls-key", str(tmp_path / "key.pem"))
    plane = ControlPlane(tmp_path, *files, scheme="https")
    plane.start()
    try:
        flags = (f"--config={plane.create_location()}", f"--dnsServer={name_server}")
        findings = doctor(*flags, f"--caFile={tmp_path / 'ca.crt'}", code=0)
        untrusted = doctor(*flags, code=1)
    finally:
        plane.stop()
    assert findings["TLS"]["state"] == state
    assert f"{now + timedelta(days=days):%Y-%m-%d}" in findings["TLS"]["found"]
    assert "caFile" in untrusted["control plane"]["found"]


def test_a_proxy_that_nobody_listens_at_is_named(config: Path, name_server: str) -> None:
    proxy = "http://user:hunter2@127.0.0.1:1"
    done = run("worker", "doctor", f"--config={config}", f"--dnsServer={name_server}", env={"SYNTHETICS_PROXY": proxy})
    assert done.returncode == 1
    assert "the proxy http://127.0.0.1:1 cannot be reached: Connection refused" in done.stdout
    assert "hunter2" not in done.stdout + done.stderr


def test_options_that_cannot_be_read_end_it_as_they_end_a_worker() -> None:
    done = run("worker", "doctor", "--concurrency=many")
    assert (done.returncode, done.stdout) == (2, "")
    assert "concurrency: must be a whole number" in done.stderr
