"""Instances of one runner over real sockets: takeovers, copies, rotation with a kill at each step, and revocation."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from controlplane.service import audit, runners
from tests.support.runnerplane import BOSS, RunnerPlane, keys_of, played_runner, runner_plane
from tests.support.waiting import until
from worker.actionrunner.chain import InstanceChain
from worker.actionrunner.channel import RunnerChannel
from worker.actionrunner.identity import IdentityFile, KeptIdentity
from worker.actionrunner.keyring import ChannelKeys
from worker.actionrunner.leasebook import LeaseBook
from worker.actionrunner.rotation import KeyRotation
from worker.clock import SystemClock
from worker.intake.transport import IntakeError, Peer
from worker.wire.keys import PrivateKey
from worker.wire.messages import Pull
from worker.wire.signingkey import SigningKey


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[RunnerPlane]:
    async with runner_plane(tmp_path) as running:
        yield running


@dataclass
class Instance:
    """One process of a runner, without its agent: it pulls when the test says so."""

    name: str
    chain: InstanceChain
    channel: RunnerChannel
    keys: ChannelKeys
    store: IdentityFile

    async def pull(self) -> str:
        """Pull once; the code of a refusal, or nothing."""
        kids = tuple(key.kid for key in self.keys.opening)
        try:
            await self.channel.pull(Pull(version=1, concurrency=1, free_slots=0, keys=kids))
        except IntakeError as error:
            return error.code or "unsigned"
        return ""


@asynccontextmanager
async def started(plane: RunnerPlane, store: IdentityFile) -> AsyncIterator[Instance]:
    clock, name = SystemClock(), str(uuid.uuid4())
    chain = InstanceChain(store, clock, name)
    keys = keys_of(chain.begin())
    channel = RunnerChannel(
        Peer(url=plane.url), keys, clock, instance=name, agent="tests", book=LeaseBook(), standing=chain
    )
    async with channel:
        yield Instance(name=name, chain=chain, channel=channel, keys=keys, store=store)


def copied(store: IdentityFile, name: str) -> IdentityFile:
    copy = IdentityFile(store.path.with_name(name))
    copy.path.write_bytes(store.path.read_bytes())
    copy.path.chmod(0o600)
    return copy


async def events(plane: RunnerPlane) -> list[str]:
    return [entry.action for entry in await audit.newest(plane.database, BOSS, limit=20)]


async def state(plane: RunnerPlane) -> str:
    [found] = await runners.list_all(plane.database, plane.clock, BOSS)
    return found.state


async def test_a_rolling_upgrade_hands_over_and_the_older_one_says_why(plane: RunnerPlane) -> None:
    _, store = await plane.enrol()
    async with started(plane, store) as old, started(plane, store) as new:
        assert await old.pull() == ""
        assert await new.pull() == ""
        assert await old.pull() == "superseded"
        assert (old.chain.trouble, new.chain.trouble) == ("superseded", "")
        assert await old.pull() == "superseded"
        assert await new.pull() == ""
        assert new.chain.epoch == 2
    assert "runner.contested" not in await events(plane)


async def test_a_crash_loop_is_no_copy(plane: RunnerPlane) -> None:
    _, store = await plane.enrol()
    for round_ in range(6):
        async with started(plane, store) as instance:
            if round_ % 2:
                assert await instance.pull() == ""
    assert await state(plane) == "healthy"


async def test_a_copy_is_contested_at_the_true_one_s_next_pulls(plane: RunnerPlane) -> None:
    _, store = await plane.enrol()
    async with AsyncExitStack() as stack:
        true = await stack.enter_async_context(started(plane, store))
        assert await true.pull() == ""
        copy = await stack.enter_async_context(started(plane, copied(store, "copy.json")))
        assert await copy.pull() == "", "it wins one takeover"
        assert await true.pull() == "superseded"
        assert await true.pull() == "contested"
        assert await copy.pull() == "contested"
        assert await state(plane) == "contested"
        assert "runner.contested" in await events(plane)
        await runners.accept(plane.database, plane.clock, BOSS, "berlin", true.name)
        assert await true.pull() == ""
        assert await copy.pull() == "superseded"


async def test_a_copy_of_a_runner_that_has_restarted_is_contested_at_its_first_pull(plane: RunnerPlane) -> None:
    _, store = await plane.enrol()
    async with started(plane, store) as first:
        await first.pull()
    stale = copied(store, "copy.json")
    async with started(plane, store) as second, started(plane, stale) as copy:
        assert await second.pull() == ""
        assert await copy.pull() == "contested"


async def test_three_replicas_are_no_copies(plane: RunnerPlane) -> None:
    _, store = await plane.enrol(instances=3)
    async with AsyncExitStack() as stack:
        three = [await stack.enter_async_context(started(plane, store)) for _ in range(3)]
        for _ in range(3):
            assert [await one.pull() for one in three] == ["", "", ""]
        fourth = await stack.enter_async_context(started(plane, store))
        assert await fourth.pull() == "", "it may follow one that was killed just now"
        assert [await one.pull() for one in three] == ["", "", "contested"], "all of them are alive beside it"
        assert await fourth.pull() == "contested"


async def test_an_identity_that_cannot_be_written_serves_without_a_chain(plane: RunnerPlane) -> None:
    _, store = await plane.enrol()

    class ReadOnly(IdentityFile):
        writable = False

    before = store.path.read_bytes()
    async with started(plane, ReadOnly(store.path)) as old, started(plane, ReadOnly(store.path)) as new:
        assert await old.pull() == ""
        assert await new.pull() == ""
        assert await old.pull() == "superseded"
    assert store.path.read_bytes() == before


class Dead(BaseException):
    """The process ends here."""


class Offer:
    """The channel's offer, which dies before or after it was heard."""

    def __init__(self, channel: RunnerChannel, *, before: bool, after: bool) -> None:
        self._channel = channel
        self._before = before
        self._after = after

    async def offer_keys(self, signing: SigningKey, opening: PrivateKey) -> None:
        if self._before:
            raise Dead
        await self._channel.offer_keys(signing, opening)
        if self._after:
            raise Dead


class DyingFile(IdentityFile):
    """An identity whose process dies at the change of that number, once it is on disk."""

    dies_after = 0

    def change(self, step: Callable[[KeptIdentity | None], KeptIdentity]) -> KeptIdentity:
        changed = super().change(step)
        self.dies_after -= 1
        if self.dies_after == 0:
            raise Dead
        return changed


async def rotate(plane: RunnerPlane, instance: Instance, *, dies: str) -> None:
    """Ask for new keys, and make them, with a death where *dies* says."""
    await runners.rotate(plane.database, plane.clock, BOSS, "berlin")
    wanted = list[bool]()
    instance.chain.on_rotate = lambda: wanted.append(True)
    assert await instance.pull() == ""
    assert wanted == [True]
    store = DyingFile(instance.store.path)
    store.dies_after = {"kept": 1, "taken": 2}.get(dies, 0)
    offer = Offer(instance.channel, before=dies == "unheard", after=dies == "heard")
    rotation = KeyRotation(store, instance.keys, offer, SystemClock())
    if dies:
        with pytest.raises(Dead):
            await rotation.rotate()
    else:
        await rotation.rotate()


async def test_new_keys_take_the_place_of_the_old_which_are_dead(plane: RunnerPlane) -> None:
    identity, store = await plane.enrol()
    stolen = copied(store, "stolen.json")
    async with started(plane, store) as instance:
        assert await instance.pull() == ""
        await rotate(plane, instance, dies="")
        assert instance.keys.signing.kid != identity.keys.signing.kid
        assert await instance.pull() == ""
        [found] = await runners.list_all(plane.database, plane.clock, BOSS)
        assert found.runner.identity is not None
        assert found.runner.identity.kid == instance.keys.signing.kid
        assert (found.runner.rotate, found.runner.next_identity) == (False, None)
    async with started(plane, stolen) as thief:
        assert await thief.pull() == "unsigned", "nobody knows the old key"
    async with started(plane, store) as again:
        assert await again.pull() == ""


@pytest.mark.parametrize("dies", ["kept", "unheard", "heard", "taken"])
async def test_a_rotation_that_was_killed_goes_on_at_the_next_start(plane: RunnerPlane, dies: str) -> None:
    identity, store = await plane.enrol()
    async with started(plane, store) as instance:
        assert await instance.pull() == ""
        await rotate(plane, instance, dies=dies)
    async with started(plane, store) as again:
        assert await again.pull() == "", "whatever was told, the kept keys hold"
        rotation = KeyRotation(store, again.keys, again.channel, SystemClock())
        running = asyncio.create_task(rotation.run())
        try:
            await until(lambda: again.keys.signing.kid != identity.keys.signing.kid)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        assert await again.pull() == ""
        [found] = await runners.list_all(plane.database, plane.clock, BOSS)
        assert found.runner.identity is not None
        assert found.runner.identity.kid == again.keys.signing.kid


def has(runs: list[str], due: int) -> bool:
    return len(runs) >= due


async def test_no_task_is_lost_while_the_keys_change_under_load(plane: RunnerPlane) -> None:
    """Check 5: orders come all the while; the old key opens nothing afterwards."""
    identity, store = await plane.enrol()
    stolen = copied(store, "stolen.json")
    runs: list[str] = []
    async with played_runner(plane, identity) as runner:

        async def load() -> None:
            while len(runs) < 40:
                made = await plane.order()
                runs.append(made.run.id)

        loading = asyncio.create_task(load())
        for due in (10, 20, 30):
            await until(partial(has, runs, due))
            await KeyRotation(store, runner.channel._keyring, runner.channel, SystemClock()).rotate()
        await loading
        for run in runs:
            assert (await plane.ended(run)).state == "succeeded"
        assert len(runner.actions.acted) == len(runs)
        assert runner.channel._keyring.signing.kid != identity.keys.signing.kid
    async with started(plane, stolen) as thief:
        assert await thief.pull() == "unsigned"


async def test_only_the_current_instance_changes_the_keys(plane: RunnerPlane) -> None:
    _, store = await plane.enrol()
    async with started(plane, store) as old, started(plane, store) as new:
        await old.pull()
        await new.pull()
        rotation = KeyRotation(store, old.keys, old.channel, SystemClock())
        with pytest.raises(IntakeError, match="superseded"):
            await rotation.rotate()


async def test_a_revoked_runner_hears_it_signed_and_is_told_to_end(plane: RunnerPlane) -> None:
    _, store = await plane.enrol()
    async with started(plane, store) as instance:
        assert await instance.pull() == ""
        await runners.set_state(plane.database, plane.clock, BOSS, "berlin", "revoked")
        assert await instance.pull() == "revoked"
        assert instance.chain.revoked.is_set()
        assert instance.chain.trouble == "revoked"


async def test_a_disabled_runner_comes_back(plane: RunnerPlane) -> None:
    _, store = await plane.enrol()
    async with started(plane, store) as instance:
        await runners.set_state(plane.database, plane.clock, BOSS, "berlin", "disabled")
        assert await instance.pull() == "revoked"
        await runners.set_state(plane.database, plane.clock, BOSS, "berlin", "enrolled")
        assert await instance.pull() == ""
        assert instance.chain.trouble == ""
