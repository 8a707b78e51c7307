"""The answers of the port for pages as a table: one fault a row, each with its status and code; of two faults the earlier."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.support.apptokens import HOST, ORIGIN, PageAnswer, PageRequest, TokenMint, page_input
from tests.support.clock import FakeClock
from tests.support.runner_identity import URN, authorities
from tests.support.runnerplane import PlayedActions
from tests.support.waiting import until
from worker.actionrunner.executor import InstanceIdentity
from worker.actionrunner.keyring import ChannelKeys
from worker.actionrunner.listener import PageAccess, PushListener, origin_of
from worker.actionrunner.pagebodies import MAX_BODY_BYTES, MOST_BODIES
from worker.actionrunner.pushing import PushRuns
from worker.actionrunner.pushorder import PushAdmission
from worker.actionrunner.pushserving import push_port
from worker.actionrunner.sharedslots import SharedSlots
from worker.actions.action import ActionError, ActionOutcome, ActionStatus, Order
from worker.intake.replies import Reaction
from worker.intake.transport import IntakeError
from worker.wire import keys, signingkey

INSTANCE, OTHER = "0c9d3f0e-0b0e-4b4e-8d0c-0d9a3f1d2c3b", "1c9d3f0e-0b0e-4b4e-8d0c-0d9a3f1d2c3b"
OPENING, OTHER_OPENING = keys.generate("x25519"), keys.generate("x25519")
SIGNING, STRANGER = signingkey.generate("ES256"), signingkey.generate("Ed25519")
AUTHORITIES = authorities()
TEXT = page_input({"id": 7})


LARGE = bytes(512 * 1024 + 1)


class Healthy:
    alive = ready = True


class Bench:
    """A runner's port whose actions a test plays, on a clock that only the test moves."""

    def __init__(self, *, several: bool = False, write_seconds: float = 30.0) -> None:
        self.clock = FakeClock()
        self.away: str | None = None
        self.claims: dict[str, int] = {}
        self.claimable = True
        self.counted: list[tuple[int, str]] = []
        self.actions = PlayedActions()
        self.slots = SharedSlots(2, 0)
        keyring = ChannelKeys(
            urn=URN,
            org=1,
            audience="https://cp.example.com",
            signing=SIGNING,
            opening=(OPENING,),
            root=AUTHORITIES.root.public,
            keyset=AUTHORITIES.keyset,
        )
        identity = InstanceIdentity(urn=URN, org=1, instance=INSTANCE, version="t")
        self.runs = PushRuns(
            PushAdmission(identity, keyring, self.clock.now, several=several),
            self.actions,
            self.slots,
            key=lambda: SIGNING,
            claim=self.claim,
            now=self.clock.now,
            clock=self.clock,
            write_seconds=write_seconds,
        )
        self.mint = TokenMint(
            authorities=AUTHORITIES, urn=URN, instance=INSTANCE, opening=OPENING.public, now=lambda: self.now
        )
        self.port = 0

    @property
    def now(self) -> int:
        return round(self.clock.now().timestamp() * 1000)

    async def claim(self, jti: str) -> bool:
        if not self.claimable:
            raise IntakeError("no reply", reaction=Reaction.RETRY)
        self.claims[jti] = self.claims.get(jti, 0) + 1
        return self.claims[jti] == 1

    async def ask(self, **facts: Any) -> PageAnswer:
        return await request(self, facts).send(self.port)


@asynccontextmanager
async def serving(bench: Bench) -> AsyncIterator[Bench]:
    access = PageAccess.of(f"https://{HOST}", (), [ORIGIN])
    listener = PushListener(
        access, bench.runs, away=lambda: bench.away, count=lambda status, code: bench.counted.append((status, code))
    )
    async with push_port(listener, Healthy(), host="127.0.0.1", port=0) as bench.port:
        try:
            yield bench
        finally:
            await bench.runs.cut_short()


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with serving(Bench(write_seconds=0.2)) as made:
        yield made


def request(bench: Bench, facts: dict[str, Any]) -> PageRequest:
    """*facts*: `claims`, `text`, `key`, `opening`, `token`, and what `PageRequest` has."""
    text = facts.get("text", TEXT)
    claims = bench.mint.claims(facts.get("digested", text), **facts.get("claims", {}))
    token = facts.get("token") or bench.mint.seal(claims, key=facts.get("key"), opening=facts.get("opening"))
    made = PageRequest(token=token, text=text, path=facts.get("path", "/v1/actions/data.jq"))
    for name, value in facts.get("headers", {}).items():
        made.set(name, value)
    made.method, made.body = facts.get("method", "POST"), facts.get("body")
    return made


def claims(facts: dict[str, Any], **changes: Any) -> None:
    facts.setdefault("claims", {}).update(changes)


def header(name: str, value: str) -> Callable[[Bench, dict[str, Any]], object]:
    return lambda _bench, facts: facts.setdefault("headers", {}).update({name: value})


def busy(bench: Bench, _facts: dict[str, Any]) -> None:
    while bench.slots.take_for_request():
        pass


async def denied(_order: Order) -> ActionOutcome:
    error = ActionError(code="DENIED", message="no rule allows it; crm would, but the field url", rule="crm")
    return ActionOutcome(status=ActionStatus.FAILED, error=error)


async def endless(_order: Order) -> ActionOutcome:
    await asyncio.Event().wait()
    raise AssertionError


def spend(bench: Bench, facts: dict[str, Any]) -> None:
    """Give the token the id of one that was spent."""
    jti = "5f0c5e0e-0b0e-4b4e-8d0c-0d9a3f1d2c3b"
    bench.runs._spent.add(jti, bench.now + 60_000, now=bench.now)
    claims(facts, jti=jti)


Fault = tuple[str, int, str, Callable[[Bench, dict[str, Any]], object]]
FAULTS: list[Fault] = [
    ("size", 413, "too_large", lambda _bench, facts: facts.update(body=LARGE)),
    ("host", 421, "host", header("Host", "evil.example")),
    ("path", 404, "path", lambda _bench, facts: facts.update(path="/v1/actions/")),
    ("method", 405, "method", lambda _bench, facts: facts.update(method="PUT")),
    ("origin", 403, "origin", header("Origin", "https://evil.example")),
    ("type", 415, "type", header("Content-Type", "text/plain")),
    ("away", 503, "away", lambda bench, _facts: setattr(bench, "away", "stopping")),
    ("body", 400, "body", lambda _bench, facts: facts.update(body=b"{}")),
    ("sealing", 401, "token", lambda _bench, facts: facts.update(opening=OTHER_OPENING.public)),
    ("signature", 401, "token", lambda _bench, facts: facts.update(key=STRANGER)),
    ("org", 401, "token", lambda _bench, facts: claims(facts, org=2)),
    ("end", 401, "expired", lambda bench, facts: claims(facts, iat=bench.now - 60_000, exp=bench.now)),
    ("instance", 401, "instance", lambda _bench, facts: claims(facts, ins=OTHER)),
    ("scope", 403, "scope", lambda _bench, facts: claims(facts, origin="https://pages.example")),
    ("values", 422, "params", lambda _bench, facts: facts.update(text=page_input({"id": "x"}))),
    ("slot", 429, "busy", busy),
    ("replay", 409, "used", spend),
    ("policy", 403, "denied", lambda bench, _facts: bench.actions.plays.update({"data.jq": denied})),
    ("time", 504, "timeout", lambda bench, _facts: bench.actions.plays.update({"data.jq": endless})),
]
PROVEN = {"expired", "instance", "scope", "params", "busy", "used", "denied", "timeout"}
"""Codes of refusals that the runner signs: it has read the token."""


def by_name(fault: Fault) -> str:
    return fault[0]


@pytest.mark.parametrize("fault", FAULTS, ids=by_name)
async def test_one_fault_has_its_answer(bench: Bench, fault: Fault) -> None:
    name, status, code, spoil = fault
    facts: dict[str, Any] = {}
    spoil(bench, facts)
    answer = await bench.ask(**facts)
    assert (answer.status, answer.code) == (status, code), answer.body
    assert bench.counted == [(status, code)]
    assert ("x-runner-proof" in answer.headers) == (code in PROVEN)
    assert ("access-control-allow-origin" in answer.headers) == (FAULTS.index(fault) > 4), "other pages read nothing"
    assert (answer.headers["cache-control"], answer.headers["x-content-type-options"]) == ("no-store", "nosniff")
    assert answer.headers["vary"] == "Origin"
    assert ("retry-after" in answer.headers) == (status in (429, 503))
    if name not in ("policy", "time"):
        assert bench.actions.acted == []
    if name != "time":
        assert bench.slots.taken == (2 if name == "slot" else 0), "no slot is kept"


async def test_of_two_faults_the_earlier_is_answered() -> None:
    """All pairs on one port; an order that is given in the table as a later fault must not touch an earlier one's answer."""
    for first, second in itertools.combinations(FAULTS, 2):
        if (first[0], second[0]) == ("policy", "time"):
            continue
        if first[2] == second[2] == "token":
            continue
        async with serving(Bench(write_seconds=5)) as bench:
            facts: dict[str, Any] = {}
            second[3](bench, facts)
            first[3](bench, facts)
            answer = await bench.ask(**facts)
            assert (answer.status, answer.code) == first[1:3], (first[0], second[0])


async def test_a_good_request_is_carried_out_once_and_its_answer_is_proven(bench: Bench) -> None:
    signed = bench.mint.claims(TEXT)
    page = PageRequest(token=bench.mint.seal(signed), text=TEXT)
    answer = await page.send(bench.port)
    assert answer.status == 200, answer.body
    assert answer.said == {
        "outcome": "succeeded",
        "task": signed.jti,
        "duration_ms": 0,
        "outputs": {"program": ".", "value": {"id": 7}},
    }
    assert answer.is_proven(SIGNING.public, signed.jti)
    assert not answer.is_proven(SIGNING.public, OTHER)
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "X-Runner-Proof" in answer.headers["access-control-expose-headers"]
    assert "access-control-allow-credentials" not in answer.headers
    [order] = bench.actions.acted
    assert (order.client, order.caller, order.task) == ("app", "user/alice@corp.example", signed.jti)
    again = await page.send(bench.port)
    assert (again.status, again.code, bench.runs.replays) == (409, "used", 1)
    assert len(bench.actions.acted) == 1
    assert bench.slots.taken == 0


async def test_a_spent_token_is_remembered_until_after_its_end(bench: Bench) -> None:
    page = PageRequest(token=bench.mint.seal(bench.mint.claims(TEXT)), text=TEXT)
    assert (await page.send(bench.port)).status == 200
    await bench.clock.advance(59.999)
    assert (await page.send(bench.port)).code == "used"
    await bench.clock.advance(0.001)
    assert (await page.send(bench.port)).code == "expired"


@pytest.mark.parametrize(
    ("facts", "status", "code"),
    [
        ({"claims": {"action": "http.request"}}, 403, "scope"),
        ({"digested": page_input({"id": 8})}, 403, "scope"),
        ({"text": '{"params": {"id": 7}}'}, 422, "input"),
        ({"text": '{"params": {"id": 7}, "salt": "short"}'}, 422, "input"),
        ({"text": page_input({"id": 7, "more": 1})}, 422, "params"),
        ({"text": page_input({})}, 422, "params"),
        ({"claims": {"params": {"allOf": [{}]}}}, 422, "schema"),
        ({"claims": {"input": {"program": {"$param": "id"}}}}, 422, "template"),
        ({"claims": {"ins": None}}, 401, "instance"),
        ({"claims": {"aud": URN.replace(":1:", ":2:")}}, 401, "token"),
        ({"body": b"\xff"}, 400, "body"),
        ({"body": b'{"token": "x", "input": "y", "more": 1}'}, 400, "body"),
        ({"token": "x.y.z"}, 401, "token"),
        ({"headers": {"Content-Encoding": "gzip"}}, 415, "type"),
        ({"headers": {"Content-Type": "application/json; charset=utf-8"}}, 200, None),
        ({"headers": {"Host": HOST.upper()}}, 200, None),
        ({"headers": {"Host": f"{HOST}:443"}}, 200, None),
        ({"headers": {"Host": f"{HOST}:9016"}}, 421, "host"),
        ({"headers": {"Host": "127.0.0.1"}}, 421, "host"),
        ({"headers": {"Origin": "null"}}, 403, "origin"),
        ({"headers": {"Origin": f"{ORIGIN}.evil.example"}}, 403, "origin"),
        ({"headers": {"Origin": ORIGIN.replace("https", "http")}}, 403, "origin"),
        ({"path": "/v1/actions/data.jq?x=1"}, 404, "path"),
        ({"path": "/v1/actions/../actions/data.jq"}, 404, "path"),
        ({"path": "/v1/actions/data%2ejq"}, 404, "path"),
        ({"path": "/metrics"}, 404, "path"),
        ({"path": "/status"}, 404, "path"),
    ],
    ids=str,
)
async def test_each_answer_of_a_row(bench: Bench, facts: dict[str, Any], status: int, code: str | None) -> None:
    answer = await bench.ask(**facts)
    assert (answer.status, answer.said.get("error", {}).get("code")) == (status, code), answer.body


async def test_two_hosts_or_origins_are_none(bench: Bench) -> None:
    for name, value, status in (("Host", HOST, 421), ("Origin", ORIGIN, 403)):
        made = request(bench, {})
        made.headers.append((name, value))
        answer = await made.send(bench.port)
        assert answer.status in (status, 400), "aiohttp may refuse it first"
        assert bench.actions.acted == []


async def test_a_preflight_allows_exactly_what_a_page_sends(bench: Bench) -> None:
    answer = await bench.ask(method="OPTIONS", body=b"")
    assert answer.status == 204
    shown = {name: value for name, value in answer.headers.items() if name.startswith("access-control")}
    assert shown == {
        "access-control-allow-origin": ORIGIN,
        "access-control-allow-methods": "POST",
        "access-control-allow-headers": "content-type",
        "access-control-max-age": "600",
        "access-control-expose-headers": "X-Runner-Proof, Retry-After",
    }
    foreign = await bench.ask(method="OPTIONS", body=b"", headers={"Origin": "https://evil.example"})
    assert foreign.status == 403
    assert not any(name.startswith("access-control") for name in foreign.headers)


async def test_what_takes_too_long_is_ended_and_may_have_run(bench: Bench) -> None:
    bench.actions.plays["data.jq"] = endless
    answer = await bench.ask()
    assert (answer.status, answer.said["error"]["may_have_run"]) == (504, True)
    await bench.runs.finish(5)
    assert (bench.slots.taken, bench.runs.running) == (0, 0)


async def test_a_failed_action_is_a_value_and_says_what_may_have_run(bench: Bench) -> None:
    async def failing(_order: Order) -> ActionOutcome:
        error = ActionError(code="ACTION", detail="STATUS", message="503", may_have_run=True)
        return ActionOutcome(status=ActionStatus.UNKNOWN, outputs={"status": 503}, error=error)

    bench.actions.plays["data.jq"] = failing
    answer = await bench.ask()
    assert (answer.status, answer.said["outcome"]) == (200, "unknown")
    assert answer.said["error"] == {"code": "ACTION", "detail": "STATUS", "message": "503", "may_have_run": True}


async def test_a_policy_s_refusal_names_its_rule_alone(bench: Bench) -> None:
    bench.actions.plays["data.jq"] = denied
    answer = await bench.ask()
    assert answer.said["error"]["rule"] == "crm"
    assert b"url" not in answer.body


async def test_a_token_of_several_instances_is_claimed_before_it_is_carried_out() -> None:
    async with serving(Bench(several=True)) as bench:
        signed = bench.mint.claims(TEXT, ins=None)
        page = PageRequest(token=bench.mint.seal(signed), text=TEXT)
        assert (await page.send(bench.port)).status == 200
        assert bench.claims == {signed.jti: 1}
        elsewhere = bench.mint.claims(TEXT, ins=None)
        bench.claims[elsewhere.jti] = 1
        page = PageRequest(token=bench.mint.seal(elsewhere), text=TEXT)
        assert (await page.send(bench.port)).code == "used"
        bench.claimable = False
        lost = await bench.ask(claims={"ins": None})
        assert (lost.status, lost.code) == (503, "claim")
        assert len(bench.actions.acted) == 1
        assert bench.slots.taken == 0


async def test_racing_twins_of_one_token_are_carried_out_once(bench: Bench) -> None:
    for _ in range(20):
        page = PageRequest(token=bench.mint.seal(bench.mint.claims(TEXT)), text=TEXT)
        answers = await asyncio.gather(page.send(bench.port), page.send(bench.port))
        assert sorted(answer.status for answer in answers) == [200, 409]
    assert len(bench.actions.acted) == 20


async def test_a_drain_waits_for_requests_and_then_ends_them(bench: Bench) -> None:
    released = asyncio.Event()

    async def held(order: Order) -> ActionOutcome:
        await released.wait()
        return ActionOutcome(status=ActionStatus.SUCCEEDED, outputs=order.input)

    bench.actions.plays["data.jq"] = held
    asked = asyncio.create_task(bench.ask())
    await until(lambda: bench.runs.running == 1)
    finishing = asyncio.create_task(bench.runs.finish(5))
    released.set()
    await finishing
    assert (await asked).status == 200
    bench.actions.plays["data.jq"] = endless
    asked = asyncio.create_task(bench.ask())
    await until(lambda: len(bench.actions.acted) == 2)
    await bench.runs.finish(0)
    answer = await asked
    assert (answer.status, answer.said["outcome"]) == (200, "cancelled")


async def test_probes_ask_for_no_host(bench: Bench) -> None:
    for path in ("/liveness", "/readiness"):
        probe = PageRequest(method="GET", path=path, headers=[("Host", "10.0.0.7:9016")], body=b"")
        assert (await probe.send(bench.port)).status == 200


HEAD = f"POST /v1/actions/data.jq HTTP/1.1\r\nHost: {HOST}\r\nOrigin: {ORIGIN}\r\nContent-Type: application/json\r\n"


async def test_a_body_in_pieces_is_counted_as_it_comes(bench: Bench) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", bench.port)
    writer.write(f"{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode())
    piece = b"10000\r\n" + bytes(65536) + b"\r\n"
    for _ in range(9):
        writer.write(piece)
    answer = PageAnswer.of(await reader.readuntil(b"\r\n\r\n"))
    writer.close()
    assert answer.status == 413


async def test_beside_too_many_slow_bodies_a_page_is_answered_and_the_slowest_go(bench: Bench) -> None:
    """Each sends all of the largest body but one byte, twice as much together as is held."""
    slow = []
    for _ in range(2 * MOST_BODIES // MAX_BODY_BYTES):
        reader, writer = await asyncio.open_connection("127.0.0.1", bench.port)
        writer.write(f"{HEAD}Content-Length: {MAX_BODY_BYTES}\r\n\r\n".encode() + bytes(MAX_BODY_BYTES - 1))
        slow.append((reader, writer))
        await writer.drain()
    refused = PageAnswer.of(await slow[0][0].readuntil(b"\r\n\r\n"))
    assert refused.status == 408
    assert (await bench.ask()).status == 200
    slow[-1][1].write(b"x")
    last = PageAnswer.of(await slow[-1][0].readuntil(b"\r\n\r\n"))
    assert last.status == 400, "it was read to its end, and is no page's"
    for _, writer in slow:
        writer.close()


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://CP.example.com/pl/", "https://cp.example.com"),
        ("https://cp.example.com:443", "https://cp.example.com"),
        ("http://cp.example.com:8080/x", "http://cp.example.com:8080"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_an_origin_is_written_as_browsers_do(url: str, origin: str) -> None:
    assert origin_of(url) == origin


def test_the_hosts_of_a_runner_are_its_registered_one_or_the_operator_s() -> None:
    assert PageAccess.of("https://r.example", (), [ORIGIN]).hosts == {"r.example", "r.example:443"}
    assert PageAccess.of("http://[::1]:9016/pl", (), [ORIGIN]).hosts == {"[::1]:9016"}
    assert PageAccess.of("https://r.example", ["Other.example"], [ORIGIN]).hosts == {"other.example"}
    below = PageAccess.of("https://r.example/pl/", (), [ORIGIN])
    assert below.action("/pl/v1/actions/data.jq") == below.action("/v1/actions/data.jq") == "data.jq"
    assert below.action("/plv1/actions/data.jq") is None


async def test_a_token_of_the_future_is_not_good_yet(bench: Bench) -> None:
    for ahead, status in ((29_999, 200), (30_001, 401)):
        answer = await bench.ask(claims={"iat": bench.now + ahead, "exp": bench.now + ahead + 60_000})
        assert answer.status == status
