"""Signed exchanges, and the answers to everybody else: signatures, numbers, sizes and envelopes against the running server."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
from sqlalchemy import update

from controlplane.store import locations
from controlplane.store.tables import credentials, results, workers
from tests.integration.controlplane.plane import Plane, served
from tests.support.protocol import PULL, RESULTS, ProtocolWorker, Reply, item
from worker.secret import Secret
from worker.wire import envelope, messages, signing
from worker.wire.keys import generate
from worker.wire.messages import MAX_PULL_BYTES, MAX_PUSH_BYTES

JSON = "application/json"
JOSE = "application/jose"


@pytest.fixture
async def worker(plane: Plane) -> ProtocolWorker:
    return await plane.add_location()


async def pull(worker: ProtocolWorker, session: aiohttp.ClientSession) -> Reply:
    return await worker.post(session, PULL, worker.pull_body(), JSON)


async def test_curl_finds_a_plain_line_and_probes_find_health(plane: Plane, session: aiohttp.ClientSession) -> None:
    async with session.get(plane.url + "/") as response:
        assert (response.status, response.content_type) == (200, "text/plain")
        assert (await response.text()).count("\n") == 1
    async with session.get(plane.url + "/healthz") as response:
        assert response.status == 200


async def test_a_pull_without_work_is_a_signed_204(worker: ProtocolWorker, session: aiohttp.ClientSession) -> None:
    reply = await pull(worker, session)
    assert (reply.status, reply.signed, reply.body) == (204, True, b"")


async def assert_unsigned_401(reply: Reply) -> None:
    assert (reply.status, reply.signed) == (401, False)
    assert "x-pl-signature" not in reply.headers
    assert reply.headers["content-type"].startswith("text/plain")


def refusals(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if getattr(record, "action", "") == "request_refused"]


async def test_an_unknown_access_key_learns_nothing_and_is_named_in_our_log(
    worker: ProtocolWorker, session: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    worker.credentials = signing.Credentials("0" * 32, worker.credentials.secret_key, worker.location)
    await assert_unsigned_401(await pull(worker, session))
    (line,) = refusals(caplog)
    assert f"no location has the access key {'0' * 32}" in line


async def test_a_wrong_secret_learns_nothing_and_is_named_in_our_log(
    worker: ProtocolWorker, session: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    worker.credentials = signing.Credentials(worker.credentials.access_key, Secret("0" * 64), worker.location)
    await assert_unsigned_401(await pull(worker, session))
    (line,) = refusals(caplog)
    assert "'office'" in line
    assert "secretAccessKey is not that of its config file" in line
    assert "0" * 64 not in line


async def test_a_key_speaks_for_its_own_location_only_and_our_log_names_both(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    other = await plane.add_location("other")
    worker.credentials = replace(worker.credentials, location=other.location)
    await assert_unsigned_401(await pull(worker, session))
    (line,) = refusals(caplog)
    assert "is of the location 'office'" in line
    assert f"the request says id {other.location}" in line


async def test_a_key_that_a_rotation_has_ended_is_told_so_in_our_log(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    async with plane.database.write() as connection:
        await locations.retire_credentials(connection, worker.location, expires_at=plane.now())
    await assert_unsigned_401(await pull(worker, session))
    (line,) = refusals(caplog)
    assert "'office' was ended by a rotation" in line


@pytest.mark.parametrize("header", [None, "", "Basic dXNlcjpwYXNz", "PL1-HMAC-SHA256 Credential=", "\x80"])
async def test_no_authorization_learns_nothing(
    plane: Plane, session: aiohttp.ClientSession, header: str | None
) -> None:
    headers = {} if header is None else {"Authorization": header}
    async with session.post(plane.url + PULL, data=b"{}", headers=headers) as response:
        assert response.status == 401
        assert "X-PL-Signature" not in response.headers


async def test_a_changed_body_is_refused_with_a_signature(
    worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    signed = worker.sign(PULL, worker.pull_body(), JSON, seq=1)
    reply = await worker.send(session, PULL, signed, worker.pull_body(free_slots=9))
    assert (reply.status, reply.refusal.error) == (401, "body")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-PL-Seq", "2"),
        ("X-PL-Worker", "00000000-0000-4000-8000-000000000000"),
        ("X-PL-Content-SHA256", "0" * 64),
        ("Content-Type", "text/plain"),
        ("X-PL-Date", "20260102T030406Z"),
    ],
)
async def test_a_changed_header_does_not_verify(
    worker: ProtocolWorker, session: aiohttp.ClientSession, name: str, value: str
) -> None:
    body = worker.pull_body()
    signed = worker.sign(PULL, body, JSON, seq=1)
    changed = replace(signed, headers=signed.headers | {name: value})
    await assert_unsigned_401(await worker.send(session, PULL, changed, body))


async def test_what_was_signed_for_one_endpoint_is_not_taken_by_another(
    worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    body = worker.pull_body()
    await assert_unsigned_401(await worker.send(session, RESULTS, worker.sign(PULL, body, JSON, seq=1), body))


async def test_a_host_that_is_not_ours_is_refused_with_a_signature(
    worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    worker.host = "other-plane.example"
    body = worker.pull_body()
    signed = worker.sign(PULL, body, JSON, seq=1)
    async with session.post(worker.url + PULL, data=body, headers=signed.headers | {"Host": worker.host}) as response:
        content = await response.read()
        headers = {name.lower(): value for name, value in response.headers.items()}
        signing.verify_reply(signed, status=response.status, headers=headers, body=content)
        assert response.status == 401
        refusal = messages.decode(messages.Refusal, content)
        assert refusal.error == "host"
        assert "it asks for other-plane.example" in refusal.message
        assert "--public-url" in refusal.message


@pytest.mark.parametrize("path", ["/synthetics", "/a%20b", "/%C3%BC", "/a%2Fb", "/a%25b", "/a~b/c"])
async def test_an_ingress_may_rewrite_the_host_and_keep_a_path(
    tmp_path: Path, session: aiohttp.ClientSession, path: str
) -> None:
    async with served(tmp_path, prefix=path, host="plane.example") as plane:
        worker = await plane.add_location()
        worker.host = "plane.example"
        assert (await pull(worker, session)).status == 204


@pytest.mark.parametrize(("minutes", "status"), [(-5, 204), (5, 204), (-5.02, 401), (5.02, 401)])
async def test_clocks_may_be_five_minutes_apart_and_a_refusal_tells_the_time(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession, minutes: float, status: int
) -> None:
    worker.skew = timedelta(minutes=minutes)
    reply = await pull(worker, session)
    assert (reply.status, reply.signed) == (status, True)
    assert reply.headers["x-pl-date"] == plane.clock.now().strftime("%Y%m%dT%H%M%SZ")
    if status == 401:
        assert reply.refusal.error == "skew"


async def test_a_replay_is_stale_and_told_the_last_number(
    worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    body = worker.pull_body()
    signed = worker.sign(PULL, body, JSON, seq=7)
    assert (await worker.send(session, PULL, signed, body)).status == 204

    reply = await worker.send(session, PULL, signed, body)

    assert (reply.status, reply.refusal.error, reply.refusal.last) == (409, "sequence", 7)


async def test_an_older_number_is_stale_and_changes_nothing(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await worker.post(session, PULL, worker.pull_body(), JSON, seq=5)
    seen = (await plane.rows(workers))[0]
    plane.clock.stall(3)

    reply = await worker.post(session, PULL, worker.pull_body(free_slots=1), JSON, seq=4)

    assert (reply.status, reply.refusal.last) == (409, 5)
    assert (await plane.rows(workers))[0] == seen, "a stale pull is no heartbeat"


async def test_each_endpoint_and_each_process_counts_by_itself(
    worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await worker.post(session, PULL, worker.pull_body(), JSON, seq=9)
    assert (await worker.post(session, RESULTS, worker.results_body(), JOSE, seq=1)).status == 200
    assert (await worker.another().post(session, PULL, worker.pull_body(), JSON, seq=1)).status == 204


async def test_of_many_pulls_with_one_number_one_is_taken(
    worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    body = worker.pull_body()
    signed = worker.sign(PULL, body, JSON, seq=1)
    replies = await asyncio.gather(*(worker.send(session, PULL, signed, body) for _ in range(8)))
    assert sorted(reply.status for reply in replies) == [204] + [409] * 7


async def test_too_large_a_pull_is_refused_with_a_signature(
    worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    reply = await worker.post(session, PULL, b" " * (MAX_PULL_BYTES + 1), JSON)
    assert (reply.status, reply.refusal.error) == (413, "too_large")
    assert (await worker.post(session, PULL, worker.pull_body().ljust(MAX_PULL_BYTES), JSON)).status == 204


async def test_too_large_a_push_that_hides_its_size_is_cut_off(
    worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    body = b"x" * (MAX_PUSH_BYTES + 1)
    signed = worker.sign(RESULTS, body, JOSE, seq=1)

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 1 << 20):
            yield body[start : start + (1 << 20)]

    async with session.post(worker.url + RESULTS, data=pieces(), headers=signed.headers) as response:
        content = await response.read()
        headers = {name.lower(): value for name, value in response.headers.items()}
        signing.verify_reply(signed, status=response.status, headers=headers, body=content)
        assert response.status == 413


async def test_a_compressed_body_is_not_unpacked(worker: ProtocolWorker, session: aiohttp.ClientSession) -> None:
    """The signature covers the bytes that were sent; and nobody is made to unpack a bomb."""
    packed = gzip.compress(worker.pull_body())
    signed = worker.sign(PULL, packed, JSON, seq=1)
    marked = replace(signed, headers=signed.headers | {"Content-Encoding": "gzip"})
    reply = await worker.send(session, PULL, marked, packed)
    assert (reply.status, reply.refusal.error) == (400, "message")


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[]", b"{", b"\xff", b"[" * 100_000, b'{"version":2,"concurrency":1,"free_slots":1,"keys":["k"]}'],
    ids=["nothing", "no members", "list", "cut", "not text", "deep", "another version"],
)
async def test_a_malformed_pull_is_refused_with_a_signature(
    worker: ProtocolWorker, session: aiohttp.ClientSession, body: bytes
) -> None:
    reply = await worker.post(session, PULL, body, JSON)
    assert (reply.status, reply.refusal.error) == (400, "message")


async def test_another_content_type_is_refused(worker: ProtocolWorker, session: aiohttp.ClientSession) -> None:
    reply = await worker.post(session, RESULTS, worker.results_body(), JSON)
    assert (reply.status, reply.refusal.error) == (400, "content_type")


async def test_envelopes_that_are_not_for_us_are_refused_with_their_reason(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    payload = messages.encode(messages.Results(reported_at=0, results=()))
    other = await plane.add_location("other")
    sealed = {
        "foreign key": envelope.seal(payload, generate("x25519").public, typ="pl-results", location=worker.location),
        "other location's key": envelope.seal(payload, other.results_key, typ="pl-results", location=worker.location),
        "other location": envelope.seal(payload, worker.results_key, typ="pl-results", location=other.location),
        "other type": envelope.seal(payload, worker.results_key, typ="pl-jobs", location=worker.location),
        "tampered": worker.results_body()[:-4] + b"AAAA",
        "plain": payload,
        "empty": b"",
    }
    for why, token in sealed.items():
        reply = await worker.post(session, RESULTS, token, JOSE)
        assert (reply.status, reply.refusal.error, bool(reply.refusal.message)) == (400, "envelope", True), why


async def test_an_opened_envelope_that_holds_no_results_is_refused(
    worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    token = envelope.seal(b'{"results": 1}', worker.results_key, typ="pl-results", location=worker.location)
    reply = await worker.post(session, RESULTS, token, JOSE)
    assert (reply.status, reply.refusal.error) == (400, "message")


async def test_a_disabled_location_is_refused_with_a_signature(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    async with plane.database.write() as connection:
        await locations.set_enabled(connection, worker.location, enabled=False)
    reply = await pull(worker, session)
    assert (reply.status, reply.refusal.error) == (403, "disabled")


async def test_a_worker_whose_keys_nobody_knows_is_told_so_and_gets_no_job(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await plane.add_test(worker.location)
    reply = await worker.post(session, PULL, worker.pull_body(keys=("sha256$base64$other",)), JSON)
    assert (reply.status, reply.refusal.error) == (403, "keys")
    assert len((await worker.pull(session)).jobs) == 1


async def test_a_rotated_file_works_until_its_overlap_ends(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    """The new file's worker opens what is sealed for it, the old file's worker what is sealed for the old one."""
    async with plane.database.write() as connection:
        await locations.retire_credentials(connection, worker.location, expires_at=plane.now() + 60_000)
    plane.clock.stall(1)
    renewed = await plane.add_file(worker.location, "renewed")
    await plane.add_test(worker.location, "abc-def-ghi", period=30)
    (job,) = (await worker.pull(session)).jobs
    assert (await renewed.push(session, item(job))).accepted
    await plane.add_test(worker.location, "abc-def-ghj", period=30)
    (job,) = (await renewed.pull(session)).jobs
    assert (await worker.push(session, item(job))).accepted

    plane.clock.stall(60)

    await assert_unsigned_401(await pull(worker, session))
    assert (await pull(renewed, session)).status in (200, 204)


async def test_a_failure_of_ours_is_signed_and_shows_no_traceback(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    await plane.add_test(worker.location)
    (job,) = (await worker.pull(session)).jobs
    async with plane.database.write() as connection:
        await connection.exec_driver_sql("ALTER TABLE results RENAME TO elsewhere")

    reply = await worker.post(session, RESULTS, worker.results_body(item(job)), JOSE)

    assert (reply.status, reply.refusal.error) == (503, "database")
    assert reply.headers["retry-after"] == "1"
    assert b"elsewhere" not in reply.body
    async with plane.database.write() as connection:
        await connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO results")
    assert (await worker.push(session, item(job))).accepted
    assert len((await plane.rows(results))[0]) == 1


async def test_what_cannot_be_unsealed_is_a_failure_of_ours(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession
) -> None:
    """A damaged secret: nobody can be verified any more, and nobody is told anything."""
    async with plane.database.write() as connection:
        await connection.execute(update(credentials).values(secret_sealed=b"damaged"))
    reply = await pull(worker, session)
    assert (reply.status, reply.signed) == (503, False)
    assert b"Traceback" not in reply.body


async def test_a_client_that_goes_away_harms_nobody(
    plane: Plane, worker: ProtocolWorker, session: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    host, port = plane.url.removeprefix("http://").split(":")
    signed = worker.sign(PULL, worker.pull_body(), JSON, seq=1)
    head = f"POST {PULL} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: 500\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in signed.headers.items())
    for text in (head, head + "\r\n", head + "\r\n{"):
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(text.encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()
    assert (await pull(worker, session)).status == 204
    assert [record for record in caplog.records if record.exc_info] == []


async def test_broken_framing_is_refused_without_a_traceback(plane: Plane, worker: ProtocolWorker) -> None:
    host, port = plane.url.removeprefix("http://").split(":")
    signed = worker.sign(PULL, worker.pull_body(), JSON, seq=1)
    head = f"POST {PULL} HTTP/1.1\r\nHost: {host}:{port}\r\nTransfer-Encoding: chunked\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in signed.headers.items())
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(head.encode() + b"\r\n")
    await writer.drain()
    writer.write(b"zz\r\n")
    async with asyncio.timeout(60):
        answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert b" 400 " in answer.split(b"\r\n")[0]
    assert b"Traceback" not in answer
