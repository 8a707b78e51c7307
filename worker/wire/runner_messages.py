"""The messages between a runner and its control plane as typed values: the pull, the work, and the outcome of a task.

What docs/protocol-runner.md says of them; proofs, keysets, enrolment and signed tasks are other modules'. Results travel in the
kernel's own message (`messages.Results`) under another type. Unknown keys are tolerated, wrong types and values out of bounds are
not. Durations are milliseconds, times of day epoch milliseconds UTC.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec

from worker.wire.messages import MAX_LAST, MAX_LEASES, Count, EpochMilliseconds, Identifier, Label, Leases, Milliseconds

PULL_PATH: Final = "/runner/v1/pull"
RESULTS_PATH: Final = "/runner/v1/results"
CLAIM_PATH: Final = "/runner/v1/claim"

PULL: Final = "pl-pull"
WORK: Final = "pl-work"
OUTCOMES: Final = "pl-outcomes"

LEASE_MS = 30_000
"""A task is held for as long after each pull that names it: three of the longest polls."""
MAX_WAIT_MS = 10_000
"""A pull is answered after this at the latest."""
MAX_DETAILS_BYTES = 256 * 1024
"""The report of a runner on itself: a quarter of a pull."""
MAX_PULL_BYTES = 1024 * 1024
MAX_CLAIM_BYTES = 1024
MAX_WORK_BYTES = 16 * 1024 * 1024
"""The largest reply: thirty tasks at their bound, sealed."""
MAX_OUTCOMES_BYTES = 16 * 1024 * 1024
"""The largest push: three outputs at the highest `maxOutputBytes`, sealed."""
MAX_OUTPUT_BYTES = 5 * 1024 * 1024
MOST_TASKS = 100
"""Tasks of one reply, whatever a runner has free."""

EffectWord = Literal["read", "repeat", "once"]
OutcomeStatus = Literal["succeeded", "failed", "cancelled", "unknown"]
DigestOrNone = Annotated[str, msgspec.Meta(pattern=r"\A(?:[0-9a-f]{64})?\Z")]
"""A SHA-256 in hexadecimal digits, or empty where there is nothing that it could be of."""


class HeldTask(msgspec.Struct, frozen=True, kw_only=True):
    """A task that the instance has. `started` says that it acts, or has acted; `effect` is what that does, once it is known."""

    lease: Identifier
    started: bool = False
    effect: EffectWord | None = None


class Predecessor(msgspec.Struct, frozen=True, kw_only=True):
    """The journal's word on an instance that ended: the leases that it had begun to act on, and those whose results follow.

    A lease of that instance in neither list was never begun.
    """

    instance: Identifier
    started: Leases = ()
    finished: Leases = ()


class RunnerPull(msgspec.Struct, frozen=True, kw_only=True):
    """Runner → control plane, sealed as `pl-pull`. `holding` is complete and renews all of it.

    `after` are the last confirmed instance and those started since, this one among them; empty where the identity is read-only.
    `foreign` is an instance that superseded this one and that its identity knows nothing of. `report` is the digest of the
    text `details` (`runner_details`), empty where nothing is told.
    """

    version: Literal[1] = 1
    agent: Label = ""
    host: Label = ""
    epoch: Annotated[int, msgspec.Meta(ge=0, le=2**53)] = 0
    after: Annotated[tuple[Identifier, ...], msgspec.Meta(max_length=100)] = ()
    foreign: Identifier | None = None
    concurrency: Count
    free_slots: Count
    holding: Annotated[tuple[HeldTask, ...], msgspec.Meta(max_length=MAX_LEASES)] = ()
    release: Leases = ()
    wait_ms: Annotated[int, msgspec.Meta(ge=0, le=MAX_WAIT_MS)] = 0
    draining: bool = False
    degraded: Label | None = None
    journal: bool = False
    keys: Annotated[tuple[Identifier, ...], msgspec.Meta(min_length=1, max_length=4)]
    keyset: Annotated[int, msgspec.Meta(ge=0, le=2**53)] = 0
    report: DigestOrNone = ""
    details: Annotated[str, msgspec.Meta(max_length=MAX_DETAILS_BYTES)] | None = None
    previous: Annotated[tuple[Predecessor, ...], msgspec.Meta(max_length=100)] = ()


class WorkItem(msgspec.Struct, frozen=True, kw_only=True):
    """A task under a lease. `task` is the JWS; `start_by` milliseconds from this reply, after which it must not begin."""

    task: str
    lease: Identifier
    lease_ms: Milliseconds
    start_by: Milliseconds
    delivery: Annotated[int, msgspec.Meta(ge=1, le=100)]


class RunnerWork(msgspec.Struct, frozen=True, kw_only=True):
    """Control plane → runner, sealed as `pl-work`. `cancel` names leases whose actions are to end now.

    `send_details` asks for what the `report` of the pull is the digest of.
    """

    epoch: Annotated[int, msgspec.Meta(ge=0, le=2**53)] = 0
    tasks: Annotated[tuple[WorkItem, ...], msgspec.Meta(max_length=MOST_TASKS)] = ()
    cancel: Leases = ()
    more: bool = False
    keyset: str | None = None
    rotate: bool = False
    send_details: bool = False


class OutcomeError(msgspec.Struct, frozen=True, kw_only=True):
    """A failure in stable words: `code` of the checks or `ACTION`, `detail` the action's own code, `message` for people."""

    code: Identifier
    detail: Label = ""
    message: Annotated[str, msgspec.Meta(max_length=4000)] = ""
    retryable: bool = False
    may_have_run: bool = False


class TaskOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of a task as a result carries it. `outputs` is any JSON; `order_sha256` names the payload that was obeyed.

    `effect` is that of the action, where it began: what says if it may be done again.
    """

    status: OutcomeStatus
    outputs: Any = None
    error: OutcomeError | None = None
    effect: EffectWord | None = None
    started_at: EpochMilliseconds | None = None
    finished_at: EpochMilliseconds
    duration_ms: Milliseconds = 0
    redactions: Count = 0
    order_sha256: DigestOrNone = ""
    instance: Identifier
    version: Label = ""


class TokenClaim(msgspec.Struct, frozen=True, kw_only=True):
    """Runner → control plane, in the clear inside TLS: the id of an app's token that this instance spends for all of them."""

    jti: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f-]{36}\Z")]


class RunnerRefusal(msgspec.Struct, frozen=True, kw_only=True):
    """The body of every signed reply that is not a success: a stable code and a sentence.

    409 `sequence` adds `last`, 409 `superseded` the `instance` that took the sender's place.
    """

    error: Identifier
    message: Annotated[str, msgspec.Meta(max_length=1000)] = ""
    last: Annotated[int, msgspec.Meta(ge=0, le=MAX_LAST)] | None = None
    instance: Identifier | None = None
