"""`serve` as a process: what it announces, how it ends, and that a kill at any moment loses no accepted result."""

from __future__ import annotations

import asyncio
import json
import os
import random
import resource
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest
import trustme
from click.testing import CliRunner

from controlplane.cli import main
from controlplane.store.tables import REVISION
from tests.support.definitions import http_test
from tests.support.peers import peer
from tests.support.protocol import PULL, ProtocolWorker, item
from tests.support.waiting import PATIENCE, until
from worker.wire.messages import Job

COMMAND = [sys.executable, "-m", "controlplane"]


@dataclass(frozen=True)
class Serving:
    process: subprocess.Popen[str]
    url: str

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[Serving]:
    with (folder / "serve.log").open("a") as log:
        process = subprocess.Popen(
            [*COMMAND, "serve", "--database", str(folder / "c.db"), "--listen", "127.0.0.1:0", *options],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line.startswith("listening on "), (folder / "serve.log").read_text()
        yield Serving(process, line.removeprefix("listening on ").strip())
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        process.wait(10)
        process.stdout.close()


def command(folder: Path, *arguments: str) -> str:
    """In this process, which has imported everything; in a thread, because a command runs an event loop of its own."""
    with ThreadPoolExecutor(1) as thread:
        invoked = thread.submit(CliRunner().invoke, main, ["--database", str(folder / "c.db"), *arguments])
    result = invoked.result()
    assert result.exit_code == 0, result.output
    return result.output


def prepare(folder: Path, tests: int = 1) -> None:
    command(folder, "location", "create", "office", "--output", str(folder / "worker-config.json"))
    file = folder / "tests.json"
    file.write_text(json.dumps([http_test(name=f"test {number}") for number in range(tests)]))
    command(folder, "test", "push", str(file), "--location", "office")


def worker_of(folder: Path, url: str) -> ProtocolWorker:
    return ProtocolWorker.from_file(folder / "worker-config.json", url)


def stored(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in command(folder, "results", "--json", "--limit", "10000").splitlines()]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    with serving(tmp_path) as plane:
        assert plane.url.startswith("http://127.0.0.1:")
        assert not plane.url.endswith(":0")
        plane.process.send_signal(number)
        assert plane.process.wait(10) == 0
    assert "Traceback" not in (tmp_path / "serve.log").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.db", "c.db.key", "serve.log"], "no WAL is left"


@pytest.mark.parametrize("listen", [":0", "[::]:0", "0.0.0.0:0"])
async def test_every_address_is_listened_on_in_both_families_unless_one_is_named(listen: str, tmp_path: Path) -> None:
    families = (
        ["127.0.0.1"] if listen.startswith("0.0.0.0") or not socket.has_dualstack_ipv6() else ["127.0.0.1", "[::1]"]
    )
    prepare(tmp_path)
    with serving(tmp_path, "--listen", listen) as plane:
        port = plane.url.rpartition(":")[2]
        async with aiohttp.ClientSession() as session:
            for host in families:
                worker = worker_of(tmp_path, f"http://{host}:{port}")
                assert (await worker.post(session, PULL, worker.pull_body(), "application/json")).status in (200, 204)


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with serving(tmp_path) as plane:
        address = plane.url.removeprefix("http://")
        done = subprocess.run(
            [*COMMAND, "serve", "--database", str(tmp_path / "d.db"), "--listen", address],
            capture_output=True,
            text=True,
        )
    assert (done.returncode, done.stderr) == (2, f"Error: --listen {address}: Address already in use\n")


async def test_it_speaks_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    flags = issue(authority, tmp_path)
    prepare(tmp_path)
    context = ssl.create_default_context()
    authority.configure_trust(context)

    with serving(tmp_path, *flags) as plane:
        assert plane.url.startswith("https://")
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
            (job,) = (await worker_of(tmp_path, plane.url).pull(session)).jobs
    assert job.delivery == 1


def issue(authority: trustme.CA, folder: Path, *, days: int = 90) -> tuple[str, ...]:
    """A new certificate in the folder's files, and the flags that name them."""
    end = datetime.now(UTC) + timedelta(days=days)
    issued = authority.issue_cert("127.0.0.1", not_after=end)
    (folder / "cert.pem").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    (folder / "key.pem").write_bytes(issued.private_key_pem.bytes())
    return "--tls-cert", str(folder / "cert.pem"), "--tls-key", str(folder / "key.pem")


def end_of_certificate(url: str) -> datetime:
    """By OpenSSL, of the certificate that a client is shown now."""
    parts = urlsplit(url)
    pem = ssl.get_server_certificate((str(parts.hostname), int(parts.port or 0)))
    done = subprocess.run(
        [peer("openssl"), "x509", "-noout", "-enddate"], input=pem, capture_output=True, text=True, timeout=30
    )
    return datetime.strptime(done.stdout.strip(), "notAfter=%b %d %H:%M:%S %Y %Z").replace(tzinfo=UTC)


async def metrics_of(url: str, context: ssl.SSLContext | bool = True) -> dict[str, float]:
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session,
        session.get(f"{url}/metrics") as response,
    ):
        assert response.status == 200
        lines = (await response.text()).splitlines()
    return {name: float(value) for name, value in (line.split() for line in lines if not line.startswith("#"))}


async def test_sighup_shows_a_renewed_certificate_and_cuts_off_nobody(tmp_path: Path) -> None:
    authority = trustme.CA()
    flags = issue(authority, tmp_path, days=10)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with serving(tmp_path, *flags) as plane:
        assert (end_of_certificate(plane.url) - datetime.now(UTC)).days == 9
        assert "expires at" in (tmp_path / "serve.log").read_text()
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context, limit=1)) as session:
            async with session.get(plane.url) as response:
                assert response.status == 200
            issue(authority, tmp_path, days=200)
            plane.process.send_signal(signal.SIGHUP)
            await until(lambda: "a new certificate" in (tmp_path / "serve.log").read_text())
            async with session.get(plane.url) as response:
                assert response.status == 200
        assert (end_of_certificate(plane.url) - datetime.now(UTC)).days == 199
        figures = await metrics_of(plane.url, context)
        end = figures["synthetics_controlplane_tls_certificate_not_after_timestamp_seconds"]
        assert end == end_of_certificate(plane.url).timestamp()
        assert figures["synthetics_controlplane_tls_certificate_current"] == 1
        (tmp_path / "key.pem").write_text("nonsense")
        plane.process.send_signal(signal.SIGHUP)
        await until(lambda: "holds no private key" in (tmp_path / "serve.log").read_text())
        assert (await metrics_of(plane.url, context))["synthetics_controlplane_tls_certificate_current"] == 0


def test_a_key_that_asks_for_a_passphrase_ends_it_in_one_line(tmp_path: Path) -> None:
    flags = issue(trustme.CA(), tmp_path)
    sealed = ["-in", flags[3], "-aes256", "-passout", "pass:x", "-out", flags[3] + ".sealed"]
    subprocess.run([peer("openssl"), "pkey", *sealed], check=True, timeout=30)
    done = subprocess.run(
        [*COMMAND, "serve", "--database", str(tmp_path / "d.db"), *flags[:3], flags[3] + ".sealed"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "the key has a passphrase" in done.stderr


async def test_sighup_ends_nothing_without_tls(tmp_path: Path) -> None:
    with serving(tmp_path) as plane:
        plane.process.send_signal(signal.SIGHUP)
        await until(lambda: "SIGHUP" in (tmp_path / "serve.log").read_text())
        assert await metrics_of(plane.url) == {"synthetics_controlplane_database_writable": 1}


async def test_health_is_bad_while_nothing_can_be_written_and_good_again_after(tmp_path: Path) -> None:
    """A limit of the size of files fails writes as a full disk does; reading goes on."""
    prepare(tmp_path)
    with serving(tmp_path) as plane:
        async with aiohttp.ClientSession() as session:
            worker = worker_of(tmp_path, plane.url)

            async def health() -> tuple[int, str]:
                async with session.get(f"{plane.url}/healthz") as response:
                    return response.status, await response.text()

            async def becomes(status: int) -> str:
                async with asyncio.timeout(PATIENCE):
                    while (found := await health())[0] != status:  # noqa: ASYNC110 - it happens in another process
                        await asyncio.sleep(0.1)
                return found[1]

            assert await becomes(200) == "ok\n"
            resource.prlimit(plane.process.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
            assert "the database takes no writes: " in await becomes(503)
            assert (await metrics_of(plane.url))["synthetics_controlplane_database_writable"] == 0
            refused = await worker.post(session, "/worker/v1/pull", worker.pull_body(), "application/json")
            assert refused.status == 503
            resource.prlimit(plane.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            assert await becomes(200) == "ok\n"
            assert len((await worker.pull(session)).jobs) == 1


async def test_health_answers_while_another_process_holds_the_lock(tmp_path: Path) -> None:
    prepare(tmp_path)
    with serving(tmp_path) as plane, closing(sqlite3.connect(tmp_path / "c.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        async with aiohttp.ClientSession() as session, session.get(f"{plane.url}/healthz") as response:
            assert response.status == 503
            assert "no write ended within 1.5 s" in await response.text()


def age(folder: Path) -> None:
    """Make the database one of the first version."""
    with closing(sqlite3.connect(folder / "c.db")) as connection:
        connection.execute("ALTER TABLE jobs DROP COLUMN released")
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
        connection.commit()


def test_serve_brings_an_older_database_up_to_date_and_says_so(tmp_path: Path) -> None:
    prepare(tmp_path)
    age(tmp_path)
    with serving(tmp_path):
        log = (tmp_path / "serve.log").read_text()
    assert f"schema 0001 is now {REVISION}; as it was before: {tmp_path}/c.db.schema-0001.backup" in log
    assert "action=database_upgraded" in log


def test_a_command_changes_no_older_database_and_names_what_does(tmp_path: Path) -> None:
    prepare(tmp_path)
    age(tmp_path)

    def attempt(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(main, ["--database", str(tmp_path / "c.db"), *arguments])
        return result.exit_code, result.output

    for arguments in (("location", "list"), ("test", "list"), ("results",), ("test", "delete", "test 0")):
        code, said = attempt(*arguments)
        assert code == 2
        assert "`migrate` brings it up to date" in said
    code, said = attempt("location", "create", "lab", "--output", str(tmp_path / "lab.json"))
    assert (code, (tmp_path / "lab.json").exists()) == (2, False)
    code, said = attempt("migrate")
    backup = f"{tmp_path}/c.db.schema-0001.backup"
    assert (code, said) == (
        0, f"database {tmp_path}/c.db: schema 0001 is now {REVISION}\nas it was before: {backup}\n"
    )  # fmt: skip
    assert "the newest that this version knows" in attempt("migrate")[1]
    assert attempt("location", "list")[0] == 0


async def test_an_older_serve_ends_and_says_why_when_a_newer_version_changes_the_schema(tmp_path: Path) -> None:
    with serving(tmp_path) as plane:
        with closing(sqlite3.connect(tmp_path / "c.db")) as connection:
            connection.execute("UPDATE alembic_version SET version_num = '9999'")
            connection.commit()
        assert await asyncio.to_thread(plane.process.wait, PATIENCE) == 2
    last = (tmp_path / "serve.log").read_text().splitlines()[-1]
    assert last.startswith(f"Error: database {tmp_path}/c.db has schema '9999': it was made by a newer version")


async def test_an_accepted_result_survives_a_kill_at_any_moment(tmp_path: Path) -> None:
    """A kill falls somewhere into a stream of pushes, again and again; what was confirmed must be there, once."""
    prepare(tmp_path, tests=60)
    chance = random.Random(5)
    accepted: set[str] = set()
    pending: list[Job] = []
    async with aiohttp.ClientSession() as session:
        for _ in range(3):
            with serving(tmp_path) as plane:
                worker = worker_of(tmp_path, plane.url)
                pending = [*pending, *(await worker.pull(session, free_slots=15)).jobs]
                pushing = asyncio.create_task(push_one_by_one(worker, session, pending, accepted))
                await wait_for(accepted, len(accepted) + chance.randrange(2, 8))
                plane.kill()
                with suppress(aiohttp.ClientError, ConnectionError):
                    await pushing
        with serving(tmp_path) as plane:
            kept = [str(one["id"]) for one in stored(tmp_path)]
            assert accepted <= set(kept)
            assert len(set(kept)) == len(kept)
            # What was stored and not confirmed is confirmed now, as a duplicate, and nothing is stored twice.
            worker = worker_of(tmp_path, plane.url)
            reply = await worker.push(session, *(item(job, result=f"r-{job.job}") for job in pending))
    assert not reply.superseded
    assert not reply.rejected
    assert accepted <= set(reply.duplicate)
    assert sorted(str(one["id"]) for one in stored(tmp_path)) == sorted((*reply.accepted, *reply.duplicate))


async def push_one_by_one(
    worker: ProtocolWorker, session: aiohttp.ClientSession, jobs: list[Job], accepted: set[str]
) -> None:
    for job in jobs:
        result = f"r-{job.job}"
        if result not in accepted:
            reply = await worker.push(session, item(job, result=result))
            accepted.update((*reply.accepted, *reply.duplicate))


async def wait_for(accepted: set[str], number: int) -> None:
    async with asyncio.timeout(20):
        while len(accepted) < number:  # noqa: ASYNC110 - the event is a kill in between, at no known place
            await asyncio.sleep(0.001)


async def test_a_restart_forgets_neither_leases_nor_numbers(tmp_path: Path) -> None:
    prepare(tmp_path)
    async with aiohttp.ClientSession() as session:
        with serving(tmp_path) as plane:
            worker = worker_of(tmp_path, plane.url)
            (job,) = (await worker.pull(session)).jobs
            plane.kill()
        with serving(tmp_path) as plane:
            worker.url = plane.url
            other = worker.another()
            assert (await other.pull(session)).jobs == (), "the lease holds"
            stale = await worker.post(session, "/worker/v1/pull", worker.pull_body(), "application/json", seq=1)
            assert (stale.status, stale.refusal.last) == (409, 1)
            assert (await worker.pull(session, holding=(job.lease,))).jobs == ()
            assert (await worker.push(session, item(job))).accepted


async def test_a_reply_that_a_kill_cut_off_is_made_up_for(tmp_path: Path) -> None:
    """The job was leased, and the process died before it could say so."""
    prepare(tmp_path)
    async with aiohttp.ClientSession() as session:
        with serving(tmp_path) as plane:
            worker = worker_of(tmp_path, plane.url)
            (job,) = (await worker.pull(session)).jobs
            plane.kill()
        with serving(tmp_path) as plane:
            worker.url = plane.url
            (again,) = (await worker.pull(session, holding=())).jobs
    assert (again.job, again.delivery) == (job.job, 2)


async def test_results_are_followed_as_they_come_until_ctrl_c(tmp_path: Path) -> None:
    prepare(tmp_path, tests=2)
    async with aiohttp.ClientSession() as session:
        with serving(tmp_path) as plane:
            worker = worker_of(tmp_path, plane.url)
            first, second = (await worker.pull(session)).jobs
            await worker.push(session, item(first))
            follow = await asyncio.create_subprocess_exec(
                *COMMAND, "results", "--follow", "--database", str(tmp_path / "c.db"), stdout=asyncio.subprocess.PIPE
            )
            assert follow.stdout is not None
            async with asyncio.timeout(20):
                assert b"passed" in await follow.stdout.readline()
                await worker.push(session, item(second, status="failed", failure={"code": "SSL", "message": "no"}))
                assert b"SSL: no" in await follow.stdout.readline()
                follow.send_signal(signal.SIGINT)
                assert await follow.wait() == 0
                assert await follow.stdout.read() == b""


def test_the_files_of_a_killed_process_are_private(tmp_path: Path) -> None:
    with serving(tmp_path) as plane:
        plane.kill()
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in tmp_path.glob("c.db*")}
    assert set(modes.values()) == {"0o600"}
    assert os.path.lexists(tmp_path / "c.db-wal")
