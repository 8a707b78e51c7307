"""The control plane's signing keys over real sockets: told first, used once every living runner has them, then alone."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import ClientSession
from sqlalchemy import select

from controlplane.errors import UnusableError
from controlplane.service import audit, signingkeys
from controlplane.store.runnertables import runner_keys, runner_keysets
from tests.support.runnerplane import BOSS, EpochKept, RunnerPlane, keys_of, played_runner, runner_plane
from worker.actionrunner.channel import RunnerChannel
from worker.actionrunner.identity import KeptIdentity
from worker.actionrunner.keyring import ChannelKeys
from worker.actionrunner.leasebook import LeaseBook
from worker.clock import SystemClock
from worker.intake.transport import Peer
from worker.wire import compact
from worker.wire.keyset import Keyset, read_keyset
from worker.wire.messages import Pull

DAY = 24 * 3600 * 1000


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[RunnerPlane]:
    async with runner_plane(tmp_path) as running:
        yield running


class Caller:
    """One instance that pulls when the test says so; *kid* is the key of its last reply."""

    def __init__(self, channel: RunnerChannel, keys: ChannelKeys) -> None:
        self.channel = channel
        self.keys = keys

    async def pull(self) -> None:
        kids = tuple(key.kid for key in self.keys.opening)
        await self.channel.pull(Pull(version=1, concurrency=1, free_slots=0, keys=kids))


@asynccontextmanager
async def calling(plane: RunnerPlane, identity: KeptIdentity) -> AsyncIterator[Caller]:
    keys, clock = keys_of(identity), SystemClock()
    channel = RunnerChannel(
        Peer(url=plane.url),
        keys,
        clock,
        instance=str(uuid.uuid4()),
        agent="t",
        book=LeaseBook(),
        standing=EpochKept(),
    )
    async with channel:
        yield Caller(channel, keys)


async def signs(plane: RunnerPlane) -> str:
    """The kid of what the control plane signs now."""
    async with plane.database.read() as connection:
        keys = await plane.context.runner_keyring.current(connection)
    assert keys is not None
    return keys.signing.kid


async def public(plane: RunnerPlane, identity: KeptIdentity) -> Keyset:
    async with ClientSession() as session, session.get(f"{plane.url}/runner/v1/keyset") as reply:
        assert identity.enrolment is not None
        return read_keyset(await reply.text(), identity.enrolment.root)


async def private(plane: RunnerPlane) -> set[str]:
    async with plane.database.read() as connection:
        return set(await connection.scalars(select(runner_keys.c.kid).where(runner_keys.c.kind == "signing")))


async def tend(plane: RunnerPlane) -> None:
    await signingkeys.tend(plane.database, plane.clock)


async def test_a_new_key_signs_once_every_living_runner_has_it_and_the_old_one_ends(plane: RunnerPlane) -> None:
    identity, _ = await plane.enrol()
    old = await signs(plane)
    async with calling(plane, identity) as quick, played_runner(plane, identity):
        await quick.pull()
        assert await signingkeys.renew(plane.database, plane.clock, BOSS) == 2
        await tend(plane)
        assert await signs(plane) == old, "an instance has not told that it knows the new one"
        with pytest.raises(UnusableError, match="waits already"):
            await signingkeys.renew(plane.database, plane.clock, BOSS)
        assert (await public(plane, identity)).entries[0].key.kid == old
    before = await plane.order()
    async with calling(plane, identity) as alone:
        await plane.write(runner_keysets, {"made_at": 0})  # a day has passed
        await tend(plane)
        new = await signs(plane)
        assert new != old
        await alone.pull()
        assert alone.keys.keyset.seq == 2, "it asked for the keyset that it lacked"
    async with played_runner(plane, identity):
        assert (await plane.ended(before.run.id)).state == "succeeded", "what the old key signed is believed"
        assert (await plane.ended((await plane.order()).run.id)).state == "succeeded"
    await tend(plane)
    assert await private(plane) == {old, new}
    await plane.write(runner_keysets, {"used_from": plane_now(plane) - 2 * DAY})
    await tend(plane)
    assert await private(plane) == {new}
    kept = await public(plane, identity)
    assert (kept.seq, [each.key.kid for each in kept.entries]) == (3, [new])
    names = [entry.action for entry in await audit.newest(plane.database, BOSS, limit=20)]
    assert [name for name in names if name.startswith("signing_key")] == [
        "signing_key.drop_old",
        "signing_key.use",
        "signing_key.renew",
    ]


def plane_now(plane: RunnerPlane) -> int:
    return round(plane.clock.now().timestamp() * 1000)


async def test_all_instances_that_live_have_told_the_keyset_before_its_key_signs(plane: RunnerPlane) -> None:
    identity, _ = await plane.enrol(instances=2)
    async with calling(plane, identity) as one, calling(plane, identity) as other:
        await one.pull()
        await other.pull()
        await signingkeys.renew(plane.database, plane.clock, BOSS)
        old = await signs(plane)
        for _ in range(2):  # the first one brings the keyset, the second one tells that it is there
            await one.pull()
        await tend(plane)
        assert await signs(plane) == old
        for _ in range(2):
            await other.pull()
        await tend(plane)
        assert await signs(plane) != old
        await one.pull()


async def test_a_key_that_ends_is_renewed_without_anybody(plane: RunnerPlane) -> None:
    identity, _ = await plane.enrol()
    await tend(plane)
    assert (await public(plane, identity)).seq == 1
    async with plane.database.write() as connection:
        soon = plane_now(plane) + signingkeys.RENEW_MS
        signing = runner_keys.update().where(runner_keys.c.kind == "signing")
        await connection.execute(signing.values(expires=soon))
    await tend(plane)
    assert len((await public(plane, identity)).entries) == 2


async def test_a_stolen_key_is_replaced_at_once_and_what_it_signed_is_refused(plane: RunnerPlane) -> None:
    identity, _ = await plane.enrol()
    stolen = await signs(plane)
    waiting = await plane.order()
    assert await signingkeys.replace(plane.database, plane.clock, BOSS) == 2
    assert await private(plane) == {await signs(plane)} != {stolen}
    async with played_runner(plane, identity) as runner:
        view = await plane.ended(waiting.run.id)
        assert view.state == "failed"
        assert view.outcome is not None
        assert view.outcome["error"]["code"] == "SIGNATURE_KEY_NOT_FOUND"
        assert runner.actions.acted == []
        assert (await plane.ended((await plane.order()).run.id)).state == "succeeded"


async def test_a_keyset_under_another_root_is_believed_by_nobody(plane: RunnerPlane) -> None:
    """Who can only write the database signs no keyset, and one with other numbers is refused."""
    await plane.enrol()
    async with plane.database.read() as connection:
        token = (await connection.execute(select(runner_keysets.c.token))).scalar_one()
    header, payload, signature = token.split(".")
    claims = compact.decode(payload.encode()).replace(b'"seq":1', b'"seq":2')
    forged = ".".join((header, compact.encode(claims).decode(), signature))
    async with plane.database.write() as connection:
        await connection.execute(runner_keysets.insert().values(seq=2, token=forged, made_at=0, used_from=0))
    async with ClientSession() as session, session.get(f"{plane.url}/runner/v1/keyset") as reply:
        assert reply.status == 503
