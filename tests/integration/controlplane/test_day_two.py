"""`serve` on its second day: renewed certificates, a disk that is full, a newer version, and a location that is to go."""

from __future__ import annotations

import asyncio
import json
import resource
import signal
import sqlite3
import ssl
import subprocess
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import trustme
from click.testing import CliRunner

from controlplane.cli import main
from controlplane.store.tables import REVISION
from tests.integration.controlplane.process import COMMAND, command, issue, prepare, serving, worker_of
from tests.support.peers import peer
from tests.support.schemas import first_schema
from tests.support.waiting import PATIENCE, until


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


async def test_the_list_of_locations_says_where_a_worker_is_and_with_which_file(tmp_path: Path) -> None:
    prepare(tmp_path)
    async with aiohttp.ClientSession() as session:
        with serving(tmp_path) as plane:
            worker = worker_of(tmp_path, plane.url)
            await worker.pull(session, host="box-7")
            (found,) = [json.loads(line) for line in command(tmp_path, "location", "list", "--json").splitlines()]
            shown = command(tmp_path, "location", "list").splitlines()
    key = json.loads((tmp_path / "worker-config.json").read_text())["accessKey"]
    (seen,) = found["workers"]
    headings, row = shown[-2], shown[-1]
    assert headings.split() == ["LOCATION", "HOST", "ADDRESS", "AGENT", "KEY", "FREE", "SLOTS", "LAST", "PULL", "STATE"]
    assert row.startswith("office ")
    assert [f" {value} " in f"{row} " for value in ("box-7", "127.0.0.1", key[:8], "10/10", "healthy")] == [True] * 5
    assert (seen["host"], seen["address"], seen["access_key"]) == ("box-7", "127.0.0.1", key)
    assert [(file["access_key"], file["expires_at"]) for file in found["config_files"]] == [(key, None)]


async def test_a_location_with_a_worker_is_deleted_by_force_only(tmp_path: Path) -> None:
    prepare(tmp_path)
    arguments = ("--database", str(tmp_path / "c.db"), "location", "delete", "office")
    async with aiohttp.ClientSession() as session:
        with serving(tmp_path) as plane:
            worker = worker_of(tmp_path, plane.url)
            await worker.pull(session)
            refused = await asyncio.to_thread(CliRunner().invoke, main, arguments)
            assert refused.exit_code == 2
            assert (
                "location 'office' is in use: 1 worker pulled just now; 1 test would run there no more"
                in refused.output
            )
            assert (await asyncio.to_thread(CliRunner().invoke, main, (*arguments, "--force"))).exit_code == 0
            gone = await worker.post(session, "/worker/v1/pull", worker.pull_body(), "application/json")
            assert (gone.status, gone.signed) == (401, False)


async def test_sighup_ends_nothing_without_tls(tmp_path: Path) -> None:
    with serving(tmp_path) as plane:
        plane.process.send_signal(signal.SIGHUP)
        await until(lambda: "SIGHUP" in (tmp_path / "serve.log").read_text())
        shown = await metrics_of(plane.url)
        assert shown["synthetics_controlplane_database_bytes"] > 0
        assert shown["synthetics_controlplane_database_writable"] == 1
        assert [name for name in shown if "certificate" in name] == [], "there is none to tell of"


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


def test_serve_brings_an_older_database_up_to_date_and_says_so(tmp_path: Path) -> None:
    first_schema(tmp_path / "c.db")
    with serving(tmp_path):
        log = (tmp_path / "serve.log").read_text()
    assert f"schema 0001 is now {REVISION}; as it was before: {tmp_path}/c.db.schema-0001.backup" in log
    assert "action=database_upgraded" in log


def test_a_command_changes_no_older_database_and_names_what_does(tmp_path: Path) -> None:
    first_schema(tmp_path / "c.db")

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
