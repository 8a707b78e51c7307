"""Enrolment over real sockets: killed anywhere it ends with one runner and one key, and a stranger in between alters nothing."""

from __future__ import annotations

import json
import logging
import random
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import ClientSession, web
from sqlalchemy import select, update

from controlplane.errors import DatabaseError
from controlplane.service import runners
from controlplane.service.runners import IssuedToken, WantedRunner
from controlplane.store import runnerkeys, runnertokens
from controlplane.store import runners as store
from controlplane.store.runners import RunnerState
from controlplane.store.runnertables import runner_tokens
from controlplane.store.runnertables import runners as tables
from tests.support.clock import FakeClock
from tests.support.runnerplane import BOSS, RunnerPlane, runner_plane
from tests.vectors.runner_cases import flipped
from worker.actionrunner import enrolling
from worker.actionrunner.enrolling import EnrolmentWishes
from worker.actionrunner.identity import IdentityFile, KeptIdentity
from worker.clock import Clock, SystemClock
from worker.errors import ConfigError
from worker.intake.transport import IntakeReply, Peer, Transport
from worker.secret import Secret
from worker.wire import compact, enrolment, keys, keyset, proof, signingkey
from worker.wire.enrolment import EnrolmentToken
from worker.wire.proof import Provable, RunnerEndpoint

WISHES = EnrolmentWishes(name=None, modes=None, host=None, hostname="h", agent="tests", platform="linux")
ROUNDS = 50


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[RunnerPlane]:
    async with runner_plane(tmp_path) as running:
        yield running


@pytest.fixture
def place(tmp_path: Path) -> IdentityFile:
    (tmp_path / "runner").mkdir()
    return IdentityFile(tmp_path / "runner" / "identity.json")


async def issued(plane: RunnerPlane, name: str = "berlin", *, url: str | None = None) -> IssuedToken:
    wanted = WantedRunner(name=name, modes=("pull",), host=None, base_url=url or plane.url)
    return await runners.create(plane.database, plane.clock, BOSS, wanted, ttl_ms=3_600_000)


async def enrol(
    place: IdentityFile,
    text: Secret[str],
    *,
    url: str | None = None,
    wishes: EnrolmentWishes = WISHES,
    clock: Clock | None = None,
    transport: type[Transport] = Transport,
) -> KeptIdentity:
    token = EnrolmentToken.parse(text)
    async with transport(Peer(url=url or token.base_url), agent="tests") as way:
        clock = clock or SystemClock()
        return await enrolling.enrol(place, token, wishes, way, clock, instance=str(uuid.uuid4()))


async def known(plane: RunnerPlane) -> dict[str, object]:
    """The one runner that there is, as commands see it."""
    [found] = await runners.list_all(plane.database, plane.clock, BOSS)
    identity = found.runner.identity
    return {"name": found.runner.name, "state": found.runner.state, "kid": identity and identity.kid}


class Killed(BaseException):
    """The process ends here."""


class Mortal:
    """Counts the steps of one life, and ends it at the step *lives*."""

    def __init__(self, lives: int) -> None:
        self.left = lives

    def step(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Killed


class MortalFile(IdentityFile):
    mortal: Mortal

    def change(self, step: Callable[[KeptIdentity | None], KeptIdentity]) -> KeptIdentity:
        self.mortal.step()
        changed = super().change(step)
        self.mortal.step()
        return changed


def mortal_transport(mortal: Mortal) -> type[Transport]:
    class MortalTransport(Transport):
        async def send(self, *arguments: object, **more: object) -> IntakeReply:
            mortal.step()
            reply = await super().send(*arguments, **more)  # type: ignore[arg-type]
            mortal.step()
            return reply

    return MortalTransport


async def test_enrolment_makes_a_runner_of_a_token(plane: RunnerPlane, place: IdentityFile) -> None:
    done = await enrol(place, (await issued(plane)).text)
    assert done.enrolment is not None
    assert done.enrolment.name == "berlin"
    assert await known(plane) == {"name": "berlin", "state": "enrolled", "kid": done.keys.signing.kid}
    kept = place.load()
    assert kept is not None
    assert kept.enrolment == done.enrolment


async def test_killed_at_any_step_fifty_times_it_is_one_runner_with_one_key(plane: RunnerPlane, tmp_path: Path) -> None:
    chance, ways_to_die = random.Random(1), set[int]()
    for number in range(ROUNDS):
        name = f"r{number}"
        text = (await issued(plane, name)).text
        place = MortalFile(tmp_path / f"{name}.json")
        kids = set[str]()
        for _ in range(chance.randint(1, 4)):  # lives
            steps = chance.randint(0, 5)
            mortal = Mortal(steps)
            place.mortal = mortal
            try:
                await enrol(place, text, transport=mortal_transport(mortal))
            except Killed:
                ways_to_die.add(steps)
            found = place.load()
            kids |= {found.keys.signing.kid} if found else set()
        place.mortal = Mortal(100)
        done = await enrol(place, text)
        assert kids <= {done.keys.signing.kid}, "one key, whatever happened"
        listed = await runners.list_all(plane.database, plane.clock, BOSS)
        [runner] = [one.runner for one in listed if one.runner.name == name]
        assert runner.identity is not None
        assert runner.identity.kid == done.keys.signing.kid
        assert done.enrolment is not None
        assert done.enrolment.urn.endswith(runner.id)
    assert ways_to_die == {0, 1, 2, 3, 4, 5}, "before and after: keys kept, request, answer kept"


async def test_a_place_that_cannot_be_written_ends_it_before_anything_is_sent(
    plane: RunnerPlane, tmp_path: Path
) -> None:
    text = (await issued(plane)).text
    place = IdentityFile(tmp_path / "missing" / "identity.json")
    with pytest.raises(ConfigError, match="cannot be written"):
        await enrol(place, text)
    assert (await known(plane))["state"] == "created"


async def test_a_token_enrols_one_key_and_answers_that_one_again(
    plane: RunnerPlane, place: IdentityFile, tmp_path: Path
) -> None:
    text = (await issued(plane)).text
    pending = enrolling.prepare(place, EnrolmentToken.parse(text))
    first = await enrol(place, text)
    place.change(lambda _found: pending)  # the answer was never kept
    again = await enrol(place, text)
    assert again.enrolment is not None
    assert first.enrolment is not None
    assert (again.enrolment.urn, again.keys.signing.kid) == (first.enrolment.urn, first.keys.signing.kid)
    with pytest.raises(ConfigError, match=r"used.*runner revoke"):
        await enrol(IdentityFile(tmp_path / "thief.json"), text)
    assert (await known(plane))["kid"] == first.keys.signing.kid


async def test_who_has_enrolled_ignores_its_token_and_refuses_another(plane: RunnerPlane, place: IdentityFile) -> None:
    text = (await issued(plane)).text
    done = await enrol(place, text)
    assert (await enrol(place, text, url="http://127.0.0.1:1")).enrolment == done.enrolment
    other = await runners.token(plane.database, plane.clock, BOSS, "berlin", ttl_ms=1000)
    with pytest.raises(ConfigError, match="enroll --again"):
        await enrol(place, other.text)


async def test_another_token_takes_the_runner_s_place(plane: RunnerPlane, place: IdentityFile, tmp_path: Path) -> None:
    first = await enrol(place, (await issued(plane)).text)
    other = await runners.token(plane.database, plane.clock, BOSS, "berlin", ttl_ms=60_000)
    second = await enrol(IdentityFile(tmp_path / "second.json"), other.text)
    assert first.enrolment is not None
    assert second.enrolment is not None
    assert second.enrolment.urn == first.enrolment.urn
    assert (await known(plane))["kid"] == second.keys.signing.kid != first.keys.signing.kid


async def test_a_token_of_several_uses_enrols_a_runner_that_keeps_no_identity(
    plane: RunnerPlane, place: IdentityFile, tmp_path: Path
) -> None:
    await issued(plane)
    token = await runners.token(plane.database, plane.clock, BOSS, "berlin", ttl_ms=60_000, uses=2)
    first = await enrol(place, token.text)
    pending = replace(first, enrolment=None)
    place.change(lambda _found: pending)  # the answer was never kept: the same key asks again, and spends no use
    assert (await enrol(place, token.text)).keys.signing.kid == first.keys.signing.kid
    second = await enrol(IdentityFile(tmp_path / "second.json"), token.text)
    assert (await known(plane))["kid"] == second.keys.signing.kid != first.keys.signing.kid
    with pytest.raises(ConfigError, match="used up"):
        await enrol(IdentityFile(tmp_path / "third.json"), token.text)
    assert (await known(plane))["kid"] == second.keys.signing.kid


async def test_who_can_write_the_database_gives_a_token_no_more_uses(plane: RunnerPlane, place: IdentityFile) -> None:
    token = await issued(plane)
    await plane.write(runner_tokens, {"uses": 50})
    with pytest.raises(DatabaseError):
        async with plane.database.read() as connection:
            await runnertokens.find(connection, plane.database.sealer, EnrolmentToken.parse(token.text).id)


@pytest.mark.parametrize(
    ("wishes", "cure"),
    [
        (replace(WISHES, name="paris"), "name.*remove RUNNER_NAME"),
        (replace(WISHES, modes=("pull", "push")), "modes.*fewer modes"),
    ],
    ids=["another name", "more modes"],
)
async def test_what_the_token_does_not_give_is_refused_with_the_cure(
    plane: RunnerPlane, place: IdentityFile, wishes: EnrolmentWishes, cure: str
) -> None:
    text = (await issued(plane)).text
    with pytest.raises(ConfigError, match=cure):
        await enrol(place, text, wishes=wishes)
    await enrol(place, text)


@pytest.mark.parametrize("state", ["disabled", "revoked"])
async def test_a_runner_that_is_switched_off_enrols_nobody(
    plane: RunnerPlane, place: IdentityFile, state: RunnerState
) -> None:
    text = (await issued(plane)).text
    await runners.set_state(plane.database, plane.clock, BOSS, "berlin", state)
    with pytest.raises(ConfigError, match=r"token.*ask for a new one"):
        await enrol(place, text)


async def test_a_token_that_has_ended_is_refused(plane: RunnerPlane, place: IdentityFile) -> None:
    await issued(plane)
    short = await runners.token(plane.database, plane.clock, BOSS, "berlin", ttl_ms=1)
    with pytest.raises(ConfigError, match="token"):
        await enrol(place, short.text)


async def test_a_guessed_secret_is_refused_as_an_unknown_token_is(plane: RunnerPlane, place: IdentityFile) -> None:
    token = EnrolmentToken.parse((await issued(plane)).text)
    guessed = replace(token, secret=Secret(bytes(32)))
    unknown = replace(token, id="unknown")
    said = []
    for wrong in (guessed, unknown):
        with pytest.raises(ConfigError) as refused:
            await enrol(place, wrong.text())
        said.append(refused.value.reason)
    assert said[0] == said[1], "one answer"


async def test_the_database_alone_opens_nothing(plane: RunnerPlane, place: IdentityFile) -> None:
    text = (await issued(plane)).text
    await enrol(place, text)
    async with plane.database.read() as connection:
        known_keys = await runnerkeys.list_all(connection, plane.database.sealer)
    token = EnrolmentToken.parse(text)
    secrets = [token.secret.reveal(), compact.encode(token.secret.reveal())]
    for pair in known_keys:
        private = pair.private.reveal()
        secrets.append((json.loads(private)["d"] if private.startswith("{") else private.splitlines()[1]).encode())
    stored = b"".join(file.read_bytes() for file in plane.folder.glob("controlplane.db*") if file.suffix != ".key")
    assert len(secrets) == 5
    assert [secret for secret in secrets if secret in stored] == []


async def test_an_identity_that_was_planted_in_the_database_is_unreadable(
    plane: RunnerPlane, place: IdentityFile
) -> None:
    """Who can only write there copies what another runner's row has sealed, and it opens in its own row alone."""
    mine = await enrol(place, (await issued(plane)).text)
    await issued(plane, "paris")
    async with plane.database.write() as connection:
        sealed = await connection.scalar(select(tables.c.identity_sealed).where(tables.c.name == "berlin"))
        await connection.execute(
            update(tables).where(tables.c.name == "berlin").values(kid="elsewhere", identity_sealed=None)
        )
        planted = {"kid": mine.keys.signing.kid, "identity_sealed": sealed, "state": "enrolled"}
        await connection.execute(update(tables).where(tables.c.name == "paris").values(planted))
    async with plane.database.read() as connection:
        with pytest.raises(DatabaseError, match="does not open"):
            await store.by_kid(connection, plane.database.sealer, mine.keys.signing.kid)


class WrongClock(SystemClock):
    """A machine whose clock is an hour ahead."""

    def now(self) -> datetime:
        return super().now() + timedelta(hours=1)


async def test_a_clock_that_is_an_hour_wrong_mends_itself(plane: RunnerPlane, place: IdentityFile) -> None:
    done = await enrol(place, (await issued(plane)).text, clock=WrongClock())
    assert done.enrolment is not None


@dataclass
class Middle:
    """A proxy between both that may alter what goes by. *up* and *down* are given the text of a body."""

    target: str
    url: str = ""
    up: Callable[[dict[str, str], bytes], bytes] = lambda _headers, body: body
    down: Callable[[bytes], bytes] = lambda body: body
    status: int | None = None
    seen: int = 0

    async def handle(self, request: web.Request) -> web.Response:
        self.seen += 1
        headers = {name: request.headers[name] for name in ("Authorization", "PL2-Enroll", "Content-Type")}
        body = self.up(headers, await request.read())
        async with (
            ClientSession(auto_decompress=False) as session,
            session.post(self.target + request.raw_path, data=body, headers=headers) as reply,
        ):
            answer = await reply.read()
            return web.Response(status=self.status or reply.status, body=self.down(answer))


@asynccontextmanager
async def between(plane: RunnerPlane) -> AsyncIterator[Middle]:
    middle = Middle(plane.url)
    application = web.Application()
    application.router.add_post("/{path:.*}", middle.handle)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    middle.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    plane.context.public_urls.append(middle.url)  # type: ignore[attr-defined]
    try:
        yield middle
    finally:
        await runner.cleanup()


@pytest.fixture
async def middle(plane: RunnerPlane) -> AsyncIterator[Middle]:
    object.__setattr__(plane.context, "public_urls", [plane.url])
    async with between(plane) as found:
        yield found


OTHER_ROOT = signingkey.generate("Ed25519")


def of_another_root(answer: bytes) -> bytes:
    """The answer as somebody else's control plane signs it."""
    _, payload, _ = answer.decode().split(".")
    members = json.loads(compact.decode(payload.encode()))
    found = enrolment.Enrolled(**{**members, "modes": tuple(members["modes"])})
    return enrolment.answer(OTHER_ROOT, found).encode()


def with_another_keyset(answer: bytes) -> bytes:
    """The true answer's header and signature around a keyset of our own."""
    head, payload, signature = answer.decode().split(".")
    members = json.loads(compact.decode(payload.encode()))
    entry = keyset.KeyEntry(
        key=OTHER_ROOT.public, not_before=datetime(2020, 1, 1, tzinfo=UTC), expires=datetime(2090, 1, 1, tzinfo=UTC)
    )
    made = keyset.write_keyset(OTHER_ROOT, org=1, seq=9, entries=[entry], results_key=keys.generate("x25519").public)
    members["keyset"] = made.token
    return f"{head}.{compact.encode(json.dumps(members).encode()).decode()}.{signature}".encode()


def one_bit(answer: bytes) -> bytes:
    return flipped(answer.decode(), 1).encode()


@pytest.mark.parametrize("alter", [of_another_root, with_another_keyset, one_bit], ids=lambda each: each.__name__)
async def test_an_answer_that_was_altered_on_the_way_is_not_believed_and_named(
    plane: RunnerPlane,
    place: IdentityFile,
    middle: Middle,
    alter: Callable[[bytes], bytes],
    caplog: pytest.LogCaptureFixture,
) -> None:
    middle.down = alter
    clock = Hurried()
    clock.at_most = 3
    text = (await issued(plane, url=middle.url)).text
    with caplog.at_level(logging.WARNING), pytest.raises(Killed):
        await enrol(place, text, clock=clock)
    assert "root did not sign" in caplog.text
    kept = place.load()
    assert kept is not None
    assert kept.enrolment is None
    middle.down = lambda body: body
    assert middle.seen == 3
    mended = await enrol(place, text)
    assert mended.keys.signing.kid == kept.keys.signing.kid


async def test_a_key_that_was_swapped_on_the_way_does_not_enrol(
    plane: RunnerPlane, place: IdentityFile, middle: Middle
) -> None:
    """Who sits in between has a proof of his own, and no MAC for it."""
    thief = signingkey.generate("ES256")

    def swap(headers: dict[str, str], body: bytes) -> bytes:
        request = Provable(
            ins=str(uuid.uuid4()),
            aud=middle.url,
            path=enrolment.ENROLL_PATH,
            body=body,
            number=1,
            endpoint=RunnerEndpoint.ENROLL,
        )
        headers["Authorization"] = proof.SCHEME + proof.prove_new(request, thief, now=datetime.now(UTC))
        return body

    middle.up = swap
    clock = Hurried()
    with pytest.raises(Killed):
        await enrol(place, (await issued(plane, url=middle.url)).text, clock=clock)
    assert (await known(plane))["kid"] is None


async def test_a_body_that_was_altered_on_the_way_is_refused_by_the_control_plane(
    plane: RunnerPlane, place: IdentityFile, middle: Middle
) -> None:
    middle.up = lambda _headers, body: body.replace(b'"hostname":"h"', b'"hostname":"x"')
    with pytest.raises(ConfigError, match="body"):
        await enrol(place, (await issued(plane, url=middle.url)).text)
    assert (await known(plane))["kid"] is None


@pytest.mark.parametrize("status", [500, 503, 429, 408])
async def test_an_outage_is_waited_out(plane: RunnerPlane, place: IdentityFile, middle: Middle, status: int) -> None:
    middle.status = status
    clock = Hurried()
    clock.at_most = 3
    text = (await issued(plane, url=middle.url)).text
    with pytest.raises(Killed):
        await enrol(place, text, clock=clock)
    assert middle.seen == 3
    middle.status = None
    assert (await enrol(place, text)).enrolment is not None


class Hurried(FakeClock):
    """Time in which every wait is over at once, *at_most* times; then the process ends."""

    at_most = 1

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        self.at_most -= 1
        if self.at_most <= 0:
            raise Killed
