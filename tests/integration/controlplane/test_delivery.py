"""Notifications on their way to real receivers on loopback: slow, broken, hostile ones among them, and what is left by a kill."""

from __future__ import annotations

import asyncio
import base64
import json
import random
from collections.abc import Callable

import pytest

from controlplane import epoch
from controlplane.alerts import attempts
from controlplane.alerts.channels import webhook
from controlplane.alerts.channels.post import Reception, TakenReply
from controlplane.alerts.transitions import TransitionKind
from controlplane.delivery.dispatcher import MOST_WAITING
from controlplane.service import channels
from controlplane.store import notifications, transitions
from controlplane.store.channels import StoredChannel
from controlplane.store.notifications import ClaimedNotification
from tests.integration.controlplane.plane import Plane
from tests.support.alerts import BY, Outbound, transition, under_way
from tests.support.servers.http import Server, read_request, reply, serving
from tests.support.waiting import until
from worker.secret import Secret

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()


@pytest.fixture
def outbound(plane: Plane) -> Outbound:
    return Outbound(plane.database, plane.clock)


async def test_a_transition_is_told_under_its_key_and_signed(outbound: Outbound) -> None:
    async with serving(reply(b"ok")) as server:
        await outbound.add("ops", type="webhook", url=server.url("/hook?key=s3cret"), signing_secret=SECRET)
        (key,) = await outbound.queue(transition(), "webhook-ops")
        await outbound.send()
        await outbound.send()
    (seen,) = server.seen
    found = await outbound.state(key)
    assert (found.state, found.attempts, found.reason) == ("delivered", 1, "")
    assert (seen.method, seen.target, seen.header("idempotency-key")) == ("POST", "/hook?key=s3cret", key)
    at = int(seen.header("webhook-timestamp") or "")
    assert seen.header("webhook-signature") == webhook.signature(Secret(SECRET), key, at, seen.body)
    body = json.loads(seen.body)
    assert (body["type"], body["data"]["link"]) == ("alert.triggered", "https://cp.example/abc-def-ghi")


def failing(*answers: bytes) -> tuple[Server, Callable[[], list[str]]]:
    """Gives these answers, one after another; and the keys under which it was asked."""
    left = list(answers)
    server = serving(lambda _seen: left.pop(0))
    return server, lambda: [seen.header("idempotency-key") or "" for seen in server.seen]


async def test_a_broken_receiver_is_told_again_under_the_same_key(outbound: Outbound, plane: Plane) -> None:
    server, keys = failing(reply(b"out of order", status="503 No"), reply(status="404 Gone fishing"), reply(b"ok"))
    async with server:
        await outbound.add("ops", type="slack", url=server.url("/services/s3cret"))
        (key,) = await outbound.queue(transition(), "ops")
        await outbound.send()
        first = await outbound.state(key)
        assert (first.state, first.reason) == ("queued", "HTTP 503: out of order")
        await outbound.send()
        assert len(server.seen) == 1, "an attempt before its time"
        for _ in range(2):
            await plane.clock.advance(attempts.LONGEST_SECONDS)
            await outbound.send()
    assert keys() == [key] * 3
    assert (await outbound.state(key)).state == "delivered"
    assert outbound.counters.notifications == {"retried": 2, "delivered": 1, "given_up": 0}


async def test_a_receiver_says_how_long_to_wait(outbound: Outbound, plane: Plane) -> None:
    server, _ = failing(reply(status="429 Slow", headers=("Retry-After: 700",)))
    async with server:
        await outbound.add("ops", type="slack", url=server.url())
        (key,) = await outbound.queue(transition(), "ops")
        await outbound.send()
        assert (await outbound.state(key)).due_at == epoch.milliseconds(plane.clock) + 700_000
        await outbound.queue(transition(2), "ops")
        plane.clock.stall(attempts.LONGEST_PAUSE)
        await outbound.send()
    assert len(server.seen) == 1, "it asked for all of them"


@pytest.mark.parametrize("status", ["400 Bad", "413 Large", "422 No"])
async def test_a_message_that_is_refused_for_good_is_given_up(outbound: Outbound, status: str) -> None:
    async with serving(reply(b"no such field", status=status)) as server:
        await outbound.add("ops", type="teams", url=server.url())
        (key,) = await outbound.queue(transition(), "ops")
        await outbound.send()
    found = await outbound.state(key)
    assert (found.state, found.reason) == ("failed", f"HTTP {status[:3]}: no such field")


async def test_what_nobody_took_for_a_day_is_given_up(outbound: Outbound, plane: Plane) -> None:
    await outbound.add("ops", type="slack", url=f"http://127.0.0.1:1/services/s3cret/{'s3cret' * 50}?key=s3cret")
    (key,) = await outbound.queue(transition(), "ops")
    plane.clock.stall(attempts.GIVE_UP_MS / 1000)
    await outbound.send()
    found = await outbound.state(key)
    assert found.state == "failed"
    assert found.reason.startswith("CONNREFUSED: ")
    assert "s3cret" not in found.reason


async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b"x" * 65536)
        await writer.drain()


async def huge_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X: " + b"x" * 65536 + b"\r\n")
        await writer.drain()


async def no_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(b"\x00\x1b[2J" * 100)
    writer.write_eof()
    await reader.read()


@pytest.mark.parametrize(
    ("conversation", "code"),
    [(endless, "BODY_TOO_LARGE"), (huge_head, "HEADER_TOO_LARGE"), (no_http, "MALFORMED_RESPONSE")],
)
async def test_a_hostile_receiver_costs_an_attempt(
    outbound: Outbound, conversation: Callable[..., None], code: str
) -> None:
    async with Server(conversation=conversation) as server:  # type: ignore[arg-type]
        await outbound.add("ops", type="webhook", url=server.url("/s3cret"))
        (key,) = await outbound.queue(transition(), "ops")
        await outbound.send()
    found = await outbound.state(key)
    assert found.state == "queued"
    assert found.reason.startswith(f"{code}: ")
    assert found.reason.isprintable()
    assert "s3cret" not in found.reason


async def test_a_redirect_is_not_followed_wherever_it_leads(outbound: Outbound) -> None:
    async with serving(reply(b"ok")) as elsewhere:
        moved = reply(status="307 Moved", headers=(f"Location: {elsewhere.url('/metadata')}",))
        async with serving(moved) as server:
            await outbound.add("ops", type="webhook", url=server.url())
            (key,) = await outbound.queue(transition(), "ops")
            await outbound.send()
    assert elsewhere.seen == []
    assert "redirects are not followed" in (await outbound.state(key)).reason


@pytest.mark.parametrize("host", ["127.0.0.2", "169.254.169.254", "[::1]", "10.0.0.1", "0x7f.2"])
async def test_addresses_that_are_not_public_are_refused_unless_they_were_allowed(
    outbound: Outbound, host: str
) -> None:
    await outbound.add("ops", type="webhook", url=f"http://{host}:9/s3cret")
    await outbound.add("mail", type="email", host=host.strip("[]"), sender="a@b.example", to=["c@d.example"])
    keys = await outbound.queue(transition(), "ops", "mail")
    await outbound.send()
    for key in keys:
        found = await outbound.state(key)
        assert found.reason.startswith("DENIED: ")
        assert "--alert-allow-range would allow it" in found.reason


async def test_a_slow_receiver_delays_no_other(outbound: Outbound) -> None:
    held = asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        held.set()
        await asyncio.Event().wait()

    async with Server(conversation=slow) as dead, serving(reply(b"ok")) as server:
        for number in range(10):
            await outbound.add(f"dead{number}", type="webhook", url=dead.url())
        await outbound.add("ops", type="webhook", url=server.url())
        await outbound.queue(transition(1), *(f"dead{number}" for number in range(10)))
        await outbound.queue(transition(2), *(f"dead{number}" for number in range(10)))
        keys = await outbound.queue(transition(3), "ops")
        await outbound.dispatcher.look()
        await held.wait()
        await until(lambda: server.seen)
        keys += await outbound.queue(transition(4), "ops")
        await until(lambda: len(under_way()) == 10)
        await outbound.dispatcher.look()
        await until(lambda: len(server.seen) == 2)
        assert dead.connections <= 10, "one at a time for each channel"
        await outbound.dispatcher.close()
    assert [seen.header("idempotency-key") for seen in server.seen] == keys


async def test_a_recovery_never_overtakes_its_alert(outbound: Outbound, plane: Plane) -> None:
    server, keys = failing(reply(status="500 No"), *[reply(b"ok")] * 3)
    async with server:
        await outbound.add("ops", type="webhook", url=server.url())
        (alert,) = await outbound.queue(transition(1), "ops")
        await outbound.send()
        (recovery,) = await outbound.queue(transition(2, alert="alert-1", kind=TransitionKind.RECOVERY), "ops")
        (other,) = await outbound.queue(transition(3), "ops")
        plane.clock.stall(1.5)  # the receiver is left alone for a moment, and the alert's next attempt is not due
        await outbound.send()
        await plane.clock.advance(attempts.LONGEST_SECONDS)
        await outbound.send()
    assert keys() == [alert, other, alert, recovery]


async def test_what_a_killed_process_was_sending_is_sent_again_under_its_key(outbound: Outbound, plane: Plane) -> None:
    async with serving(reply(b"ok")) as server:
        await outbound.add("ops", type="webhook", url=server.url())
        (key,) = await outbound.queue(transition(), "ops")
        sent = asyncio.Event()

        async def killed(_claimed: ClaimedNotification, _stored: StoredChannel) -> TakenReply:
            sent.set()
            await asyncio.Event().wait()
            raise AssertionError("never")

        before = Outbound(plane.database, plane.clock, deliver=killed)
        await before.dispatcher.look()
        await sent.wait()
        await before.dispatcher.close()
        await outbound.send()
        assert server.seen == [], "another process is at it, for all that anybody knows"
        running = asyncio.create_task(outbound.dispatcher.run())
        await until(lambda: server.seen)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert [seen.header("idempotency-key") for seen in server.seen] == [key]
    assert (await outbound.state(key)).attempts == 2


@pytest.mark.parametrize("seed", range(2))
async def test_however_often_it_is_killed_everything_is_told_in_order_under_its_key(
    outbound: Outbound, plane: Plane, seed: int
) -> None:
    """A process is killed before it sends what it claimed, or after that and before it could write it down."""
    chances, killed = random.Random(seed), asyncio.Event()

    async def mortal(claimed: ClaimedNotification, stored: StoredChannel) -> TakenReply:
        moment = chances.choice(("never", "before", "after"))
        taken = TakenReply(reception=Reception.RETRY) if moment == "before" else await outbound.deliver(claimed, stored)
        if moment != "never":
            killed.set()
            await asyncio.Event().wait()
        return taken

    async with serving(lambda _seen: reply(b"ok") if chances.random() < 0.7 else reply(status="500 No")) as server:
        await outbound.add("ops", type="webhook", url=server.url())
        wanted = []
        for number in range(4):
            over = transition(number + 100, alert=f"alert-{number}", kind=TransitionKind.RECOVERY)
            wanted += await outbound.queue(transition(number), "ops")
            wanted += await outbound.queue(over, "ops")
        while "queued" in [(await outbound.state(key)).state for key in wanted]:
            killed.clear()
            dying = Outbound(plane.database, plane.clock, deliver=mortal)
            async with plane.database.write() as connection:
                await notifications.release_all(connection)
            await dying.dispatcher.look()
            await asyncio.wait(
                [*under_way(), wakes := asyncio.create_task(killed.wait())], return_when="FIRST_COMPLETED"
            )
            wakes.cancel()
            await dying.dispatcher.close()
            plane.clock.stall(attempts.LONGEST_SECONDS)
    told = [seen.header("idempotency-key") or "" for seen in server.seen]
    assert set(told) == set(wanted)
    for alert, recovery in zip(wanted[::2], wanted[1::2], strict=True):
        assert told.index(recovery) > told.index(alert)


async def test_a_step_of_the_clock_that_is_followed_delays_nothing(outbound: Outbound, plane: Plane) -> None:
    server, _ = failing(reply(status="500 No"))
    async with server:
        await outbound.add("ops", type="slack", url=server.url())
        (key,) = await outbound.queue(transition(), "ops")
        await outbound.send()
    before = await outbound.state(key)
    async with plane.database.write() as connection:
        await notifications.shift(connection, by=-3_600_000)
    after = await outbound.state(key)
    assert (before.due_at - after.due_at, before.created_at - after.created_at) == (3_600_000, 3_600_000)


async def test_an_address_without_a_channel_is_given_up_and_says_so(outbound: Outbound) -> None:
    (key,) = await outbound.queue(transition(), "slack-nobody")
    await outbound.send()
    found = await outbound.state(key)
    assert (found.state, found.attempts) == ("failed", 0)
    assert "no channel is called 'slack-nobody'" in found.reason


async def test_the_queue_of_an_address_is_bounded(outbound: Outbound, plane: Plane) -> None:
    async def refused(_claimed: ClaimedNotification, _stored: StoredChannel) -> TakenReply:
        return TakenReply(reception=Reception.RETRY, reason="busy")

    bounded = Outbound(plane.database, plane.clock, deliver=refused)
    await outbound.add("ops", type="slack", url="http://127.0.0.1:1/")
    first = await outbound.queue(transition(0), "ops")
    plane.clock.stall(1)
    async with plane.database.write() as connection:
        for number in range(1, MOST_WAITING + 1):
            await transitions.put(connection, transition(number), ["ops"], now=epoch.milliseconds(plane.clock))
    await bounded.send()
    assert (await outbound.state(first[0])).state == "failed"
    assert (await outbound.state((await outbound.queue(transition(9999), "ops"))[0])).state == "queued"


async def test_a_notification_that_makes_us_fail_stops_no_other_of_its_channel(
    outbound: Outbound, plane: Plane
) -> None:
    async def failing(claimed: ClaimedNotification, stored: StoredChannel) -> TakenReply:
        if claimed.transition.id == "transition-1":
            raise TypeError("str is not valid UTF-8")
        return await outbound.deliver(claimed, stored)

    ours = Outbound(plane.database, plane.clock, deliver=failing)
    async with serving(reply(b"ok")) as server:
        await outbound.add("ops", type="slack", url=server.url())
        first, second = (*await outbound.queue(transition(1), "ops"), *await outbound.queue(transition(2), "ops"))
        await ours.send()
        plane.clock.stall(2)  # the channel is left alone for as long after a failure
        await ours.send()
        found = await outbound.state(first)
        assert (found.state, found.attempts) == ("queued", 1)
        assert found.reason == "a mistake of the control plane's own; its log says more"
        assert (await outbound.state(second)).state == "delivered"
        plane.clock.stall(attempts.GIVE_UP_MS / 1000)
        await ours.send()
    assert (await outbound.state(first)).state == "failed"


async def test_a_channel_whose_settings_no_key_opens_stops_no_other(outbound: Outbound, plane: Plane) -> None:
    async with serving(reply(b"ok")) as server:
        await outbound.add("bad", type="slack", url=server.url())
        await outbound.add("good", type="slack", url=server.url())
        async with plane.database.write() as connection:
            await connection.exec_driver_sql("UPDATE channels SET settings_sealed = x'00' WHERE name = 'bad'")
        bad, good = await outbound.queue(transition(), "bad", "good")
        await outbound.send()
    assert (await outbound.state(good)).state == "delivered"
    assert (await outbound.state(bad)).state == "queued"


async def test_a_channel_is_sealed_listed_without_secrets_and_audited(outbound: Outbound, plane: Plane) -> None:
    await outbound.add("ops", type="slack", url="https://hooks.slack.example/services/s3cret")
    (shown,) = await channels.list_all(plane.database, BY)
    assert (shown.kind, shown.settings) == ("slack", {"url": "https://hooks.slack.example/…"})
    async with plane.database.read() as connection:
        dump = str((await connection.exec_driver_sql("SELECT * FROM channels")).all())
        dump += str((await connection.exec_driver_sql("SELECT * FROM audit")).all())
    assert "channel.create" in dump
    assert "s3cret" not in dump
