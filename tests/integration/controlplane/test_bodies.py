"""Bodies of requests: none is read for who proves nothing, and all together take no more memory than their budget."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from controlplane.pages.handling import NOBODY
from controlplane.rest.bodies import BUDGET_BYTES, SHARE, BodyBudget
from controlplane.service.principal import Role
from tests.integration.controlplane.plane import Plane
from tests.support.protocol import PULL, RESULTS, ProtocolWorker
from tests.support.visitors import PageVisitor
from tests.support.waiting import until
from worker.wire import signing
from worker.wire.messages import MAX_PUSH_BYTES
from worker.wire.sigv4 import sha256_hex

JOSE = "application/jose"
ANNOUNCED = b"x" * MAX_PUSH_BYTES
PATIENCE = 10.0


def head_of(worker: ProtocolWorker, signed: signing.SignedRequest, path: str = RESULTS) -> bytes:
    host = worker.url.removeprefix("http://")
    lines = [f"POST {path} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(ANNOUNCED)}"]
    lines += [f"{name}: {value}" for name, value in signed.headers.items()]
    return "\r\n".join((*lines, "", "")).encode()


@asynccontextmanager
async def sending(worker: ProtocolWorker, data: bytes) -> AsyncIterator[asyncio.StreamReader]:
    """A connection that has sent *data* and says no more."""
    host, _, port = worker.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(data)
        yield reader
    finally:
        writer.transport.abort()


async def status_of(reader: asyncio.StreamReader) -> int:
    async with asyncio.timeout(PATIENCE):
        return int((await reader.readline()).split()[1])


@pytest.mark.parametrize(
    ("header", "value", "status"),
    [
        ("X-PL-Seq", "2", 401),
        ("X-PL-Date", "20200101T000000Z", 401),
        ("X-PL-Content-SHA256", sha256_hex(b"another"), 401),
        ("Authorization", "none", 401),
    ],
)
async def test_headers_are_judged_before_a_body_comes(plane: Plane, header: str, value: str, status: int) -> None:
    """The body never comes: an answer within the time for one means that nobody waited for it."""
    worker = await plane.add_location()
    signed = worker.sign(RESULTS, ANNOUNCED, JOSE, seq=1)
    signed.headers[header] = value
    async with sending(worker, head_of(worker, signed)) as reader:
        assert await status_of(reader) == status
    assert plane.context.bodies.taken == 0


async def test_what_a_signature_covers_is_judged_before_a_body_comes(plane: Plane) -> None:
    worker = await plane.add_location()
    signed = worker.sign(RESULTS, ANNOUNCED, "text/plain", seq=1)
    async with sending(worker, head_of(worker, signed)) as reader:
        assert await status_of(reader) == 400


async def test_bodies_of_one_location_fill_their_share_and_no_more(
    plane: Plane, session: aiohttp.ClientSession
) -> None:
    worker, other = await plane.add_location(), await plane.add_location("branch")
    bodies = plane.context.bodies
    large = ANNOUNCED[: 3 * MAX_PUSH_BYTES // 4]
    async with asyncio.TaskGroup() as group, asyncio.timeout(PATIENCE):
        done = asyncio.Event()
        answers: list[int] = []

        async def hold(one: ProtocolWorker) -> None:
            data = head_of(one, one.sign(RESULTS, ANNOUNCED, JOSE, seq=1)) + large
            async with sending(one, data) as reader:
                answer = asyncio.ensure_future(status_of(reader))
                await asyncio.wait((answer, asyncio.ensure_future(done.wait())), return_when=asyncio.FIRST_COMPLETED)
                if answer.done():
                    answers.append(answer.result())
                else:
                    answer.cancel()

        for _ in range(12):
            group.create_task(hold(worker.another()))
        most = BUDGET_BYTES // SHARE // len(large)
        await until(lambda: len(answers) >= 12 - most - 1)
        assert set(answers) == {503}
        assert bodies.taken <= BUDGET_BYTES // SHARE
        assert (await other.post(session, PULL, other.pull_body(), "application/json")).status == 204
        done.set()
    await until(lambda: bodies.taken == 0)


async def test_forms_of_all_visitors_who_have_not_signed_in_have_one_share_and_nobody_elses(
    plane: Plane, session: aiohttp.ClientSession
) -> None:
    worker, bodies = await plane.add_location(), plane.context.bodies
    one, other = PageVisitor(plane.url), PageVisitor(plane.url)
    for visitor in (one, other):
        await visitor.get("/sign-in")
    assert (await one.send("/sign-in", {"name": "Ada"})).status != 503
    bodies.take(f"page:{NOBODY.name}", BUDGET_BYTES // SHARE)  # as forms do that are still being read
    for visitor in (one, other):
        assert (await visitor.send("/sign-in", {"name": "Ada"})).status == 503
    await plane.add_user("Ada", Role.ADMIN)
    ada = PageVisitor(plane.url, cookies={"session": await plane.session_of("Ada")})
    await ada.get("/account")
    assert (await ada.send("/sign-out", {})).status == 303
    assert (await worker.post(session, PULL, worker.pull_body(), "application/json")).status == 204


def test_the_budget_is_for_all_locations_together() -> None:
    budget = BodyBudget(100)
    assert [budget.take(name, 25) for name in ("a", "b", "c", "d")] == [True] * 4
    assert not budget.take("e", 1)
    budget.give_back("a", 25)
    assert budget.take("e", 25)
    assert not budget.take("e", 1)
    assert budget.taken == 100
