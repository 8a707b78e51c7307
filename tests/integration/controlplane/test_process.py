"""`serve` as a process: what it announces, how it ends, and that a kill at any moment loses no accepted result."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import ssl
import subprocess
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest
import trustme

from tests.integration.controlplane.process import COMMAND, issue, prepare, serving, stored, worker_of
from tests.support.protocol import PULL, ProtocolWorker, item
from tests.support.waiting import PATIENCE
from worker.wire.messages import Job


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    with serving(tmp_path) as plane:
        assert plane.url.startswith("http://127.0.0.1:")
        assert not plane.url.endswith(":0")
        plane.process.send_signal(number)
        assert plane.process.wait(PATIENCE) == 0
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
    pushed = {
        one for one in (str(each["id"]) for each in stored(tmp_path)) if one.startswith("r-")
    }  # others were missed
    assert pushed == {*reply.accepted, *reply.duplicate}


async def push_one_by_one(
    worker: ProtocolWorker, session: aiohttp.ClientSession, jobs: list[Job], accepted: set[str]
) -> None:
    for job in jobs:
        result = f"r-{job.job}"
        if result not in accepted:
            reply = await worker.push(session, item(job, result=result))
            accepted.update((*reply.accepted, *reply.duplicate))


async def wait_for(accepted: set[str], number: int) -> None:
    async with asyncio.timeout(PATIENCE):
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
            async with asyncio.timeout(PATIENCE):
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
