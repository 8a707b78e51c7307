"""The first eight checks as a table: one fault a row, each with its code and nothing later touched; of two faults the earlier."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.support.clock import FakeClock
from tests.support.runnerplane import PlayedActions
from worker.actionrunner.execution import NotStarted
from worker.actionrunner.executor import InstanceIdentity, TaskExecutor
from worker.actionrunner.leasebook import LeaseBook
from worker.actionrunner.seen import SeenTasks
from worker.actions.action import Effect
from worker.wire import compact, jws, keys, order, signingkey
from worker.wire.keyset import KeyEntry, write_keyset
from worker.wire.order import OrderedBy, TaskOrder
from worker.wire.runner_messages import TaskOutcome
from worker.wire.signingkey import SigningKey

URN = "urn:pl:actions:runner:local:1:5f0c5e0e-0b0e-4b4e-8d0c-0d9a3f1d2c3b"
INSTANCE = "0c9d3f0e-0b0e-4b4e-8d0c-0d9a3f1d2c3b"
SIGNING, STRANGER, EXPIRED = (signingkey.generate("Ed25519") for _ in range(3))
KEY = "key-of-the-task"


class Bench:
    """An executor on a clock that only the test moves; *actions* notes what acted."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        now = self.clock.now()
        day = timedelta(days=1)
        self.keyset = write_keyset(
            signingkey.generate("Ed25519"),
            org=1,
            seq=1,
            entries=(
                KeyEntry(key=SIGNING.public, not_before=now - day, expires=now + day),
                KeyEntry(key=EXPIRED.public, not_before=now - 2 * day, expires=now - day),
            ),
            results_key=keys.generate("x25519").public,
        )
        self.actions = PlayedActions(effects={"script.once": Effect.ONCE})
        self.seen, self.book, self.journal, self.counts = SeenTasks(), LeaseBook(), Records(), Counts()
        self.book.take(KEY, "lease.1", lease_ms=30_000, asked_ns=self.clock.monotonic_ns())
        self.executor = TaskExecutor(
            InstanceIdentity(urn=URN, org=1, instance=INSTANCE, version="t"),
            keyset=lambda: self.keyset,
            now=self.clock.now,
            clock=self.clock,
            seen=self.seen,
            book=self.book,
            execution=self.actions,
            starts=self.journal,
            counts=self.counts,
        )

    @property
    def now(self) -> int:
        return round(self.clock.now().timestamp() * 1000)

    def task(self, **changes: Any) -> TaskOrder:
        facts: dict[str, Any] = {
            "task": "task-1",
            "run": "run-1",
            "org": 1,
            "aud": URN,
            "action": "data.jq",
            "input": {"a": 1},
            "client": "cli",
            "by": OrderedBy(kind="user", id="alice"),
            "iat": self.now - 1000,
            "exp": self.now + 60_000,
            "timeout_ms": 1000,
        }
        return TaskOrder(**facts | changes)

    async def run(self, token: str, *, start_by: float = 60.0) -> TaskOutcome:
        start_by_ns = self.clock.monotonic_ns() + round(start_by * 1e9)
        return await self.executor.run(KEY, token, start_by_ns=start_by_ns)


class Counts:
    """What the executor counts."""

    def __init__(self) -> None:
        self.refused: list[tuple[str, str]] = []
        self.waited: list[float] = []

    def count_refusal(self, code: str, *, channel: str) -> None:
        self.refused.append((code, channel))

    def count_wait(self, seconds: float) -> None:
        self.waited.append(seconds)


class Records:
    """A start journal in memory; *trouble* makes it refuse."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.trouble = False

    async def begin(self, key: str, *, task: str, lease: str, exp: int) -> None:
        if self.trouble:
            raise NotStarted("JOURNAL", "the disk is full")
        self.begun.append(task)

    def undo(self, key: str) -> None:
        self.begun.pop()


def code(outcome: TaskOutcome) -> str:
    assert outcome.error is not None
    return outcome.error.code


def altered(token: str, **changes: Any) -> str:
    """The token with other claims under the old signature."""
    header, payload, signature = token.split(".")
    claims = json.loads(compact.decode(payload.encode())) | changes
    return ".".join((header, compact.encode(json.dumps(claims).encode()).decode(), signature))


Fault = tuple[str, str, Callable[[Bench, dict[str, Any]], object]]
"""A name, the code, and what it does to the facts of a signing: `claims`, `key`, `alter`, `form`, `seen`."""

FAULTS: list[Fault] = [
    ("form", "BAD_TASK", lambda _bench, facts: facts.update(form=True)),
    ("kid", "SIGNATURE_KEY_NOT_FOUND", lambda _bench, facts: facts.update(key=STRANGER)),
    ("signature", "SIGNATURE", lambda _bench, facts: facts.update(alter=True)),
    ("payload", "BAD_TASK", lambda _bench, facts: facts["claims"].update(timeout_ms=0)),
    ("org", "MISMATCHED_ORG", lambda _bench, facts: facts["claims"].update(org=2)),
    ("aud", "MISMATCHED_RUNNER", lambda _bench, facts: facts["claims"].update(aud=URN[:-1] + "0")),
    ("exp", "EXPIRED_TASK", lambda bench, facts: facts["claims"].update(exp=bench.now)),
    ("seen", "REPLAYED", lambda bench, _facts: bench.seen.add("task-1", bench.now + 60_000, now=bench.now)),
]


def faulty(bench: Bench, *faults: Fault) -> str:
    facts: dict[str, Any] = {"claims": {}, "key": SIGNING, "alter": False, "form": False}
    for _, _, spoil in faults:
        spoil(bench, facts)
    token = signed(bench, facts["key"], facts["claims"])
    if facts["alter"]:
        token = altered(token, run="another")
    return token + "." if facts["form"] else token


def signed(bench: Bench, key: SigningKey, claims: dict[str, Any]) -> str:
    """A token as a careless signer makes it: `order.sign` refuses claims out of their bounds."""
    good = json.loads(compact.decode(order.sign(bench.task(), SIGNING).split(".")[1].encode()))
    return jws.sign(json.dumps(good | claims).encode(), key, typ=order.TASK)


async def test_a_task_without_a_fault_acts_once() -> None:
    bench = Bench()
    token = order.sign(bench.task(), SIGNING)
    outcome = await bench.run(token)
    assert (outcome.status, outcome.outputs) == ("succeeded", {"a": 1})
    assert outcome.order_sha256 == order.payload_sha256(token)
    assert bench.counts.waited == [1.0], "from its signature by the control plane's clock"
    assert code(await bench.run(token)) == "REPLAYED"
    assert (bench.counts.refused, bench.counts.waited) == ([("REPLAYED", "pull")], [1.0])
    assert len(bench.actions.acted) == 1


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault[0])
async def test_a_fault_is_an_outcome_with_its_code(fault: Fault) -> None:
    bench = Bench()
    outcome = await bench.run(faulty(bench, fault))
    assert (outcome.status, code(outcome)) == ("failed", fault[1])
    assert bench.actions.acted == []
    assert outcome.instance == INSTANCE


@pytest.mark.parametrize(("first", "second"), list(itertools.combinations(FAULTS, 2)), ids=lambda fault: fault[0])
async def test_of_two_faults_the_earlier_is_told(first: Fault, second: Fault) -> None:
    bench = Bench()
    outcome = await bench.run(faulty(bench, first, second))
    assert code(outcome) == first[1]
    assert bench.actions.acted == []


async def test_a_key_of_the_keyset_signs_within_its_dates_only() -> None:
    bench = Bench()
    assert code(await bench.run(signed(bench, EXPIRED, {}))) == "SIGNATURE_KEY_NOT_FOUND"


async def test_the_time_to_start_is_also_what_the_reply_said() -> None:
    bench = Bench()
    assert code(await bench.run(order.sign(bench.task(), SIGNING), start_by=0.0)) == "EXPIRED_TASK"


async def test_a_refused_task_is_remembered_until_ten_minutes_after_its_end() -> None:
    bench = Bench()
    await bench.run(order.sign(bench.task(), SIGNING))
    bench.clock.stall(659)
    assert not bench.seen.add("task-1", 0, now=bench.now)
    bench.clock.stall(2)
    assert bench.seen.add("task-1", 0, now=bench.now)


async def test_a_once_action_is_on_record_before_it_acts() -> None:
    bench = Bench()
    await bench.run(order.sign(bench.task(action="script.once"), SIGNING))
    assert bench.journal.begun == ["task-1"]
    assert len(bench.actions.acted) == 1


async def test_a_once_action_does_not_act_where_its_start_cannot_be_written() -> None:
    bench = Bench()
    bench.journal.trouble = True
    assert code(await bench.run(order.sign(bench.task(action="script.once"), SIGNING))) == "JOURNAL"
    assert bench.actions.acted == []


async def test_a_once_action_does_not_act_under_a_lease_that_has_ended() -> None:
    bench = Bench()
    bench.clock.stall(31)
    outcome = await bench.run(order.sign(bench.task(action="script.once"), SIGNING))
    assert code(outcome) == "JOURNAL"
    assert bench.journal.begun == []
    assert bench.actions.acted == []


async def test_a_read_action_acts_whatever_became_of_its_lease() -> None:
    bench = Bench()
    bench.clock.stall(31)
    assert (await bench.run(order.sign(bench.task(), SIGNING))).status == "succeeded"
    assert bench.journal.begun == []


async def test_a_full_memory_of_ids_takes_no_more_orders() -> None:
    bench = Bench()
    full = SeenTasks(most=1)
    full.add("other", bench.now + 60_000, now=bench.now)
    bench.seen = full
    bench.executor = TaskExecutor(
        InstanceIdentity(urn=URN, org=1, instance=INSTANCE, version="t"),
        keyset=lambda: bench.keyset,
        now=bench.clock.now,
        clock=bench.clock,
        seen=full,
        book=bench.book,
        execution=bench.actions,
    )
    assert code(await bench.run(order.sign(bench.task(), SIGNING))) == "BUSY"
