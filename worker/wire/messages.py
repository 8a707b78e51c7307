"""The four messages of the protocol as typed values, and the only place where their JSON is read or written.

Unknown keys are tolerated (a newer peer may say more), wrong types and values out of bounds are not. A test and an
outcome pass through as raw JSON: the wire carries them, `apitest` knows what they mean. Times of day are epoch
milliseconds UTC; durations, never deadlines, cross the wire, in milliseconds.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec

from worker.errors import MessageError

VERSION: Final = 1
PULL_PATH: Final = "/worker/v1/pull"
RESULTS_PATH: Final = "/worker/v1/results"

MAX_REPLY_BYTES = 16 * 1024 * 1024
"""The largest reply a worker reads: 1,000 jobs of the largest sensible definition."""
MAX_PUSH_BYTES = 8 * 1024 * 1024
"""The largest push a control plane reads: more than 100 results with a body each at its bound."""
MAX_PULL_BYTES = 1024 * 1024
"""The largest pull a control plane reads: `MAX_LEASES` held, of which all are finished."""
MAX_LEASES = 10_000
"""Leases that a pull can name, in each of its lists. A worker takes no more jobs than it can name in all of them together."""

MAX_VARIABLES = 1_000
"""Variables that come with a job: twice what a test may declare."""

MAX_LAST = 2**52
"""The greatest number that a refusal may name: half of what a request may bear, so that its worker can always count on."""

Identifier = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"\A[!-~]+\Z")]
"""Printable ASCII without blanks: it goes through logs, headers and databases as it is."""
Leases = Annotated[tuple[Identifier, ...], msgspec.Meta(max_length=MAX_LEASES)]
Label = Annotated[str, msgspec.Meta(max_length=200, pattern=r"\A[^\x00-\x1f\x7f]*\Z")]
"""One line for people."""
Count = Annotated[int, msgspec.Meta(ge=0, le=100_000)]
VariableName = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"\A[^\x00-\x1f\x7f]*\Z")]
"""A name that no template can name is of no use, and not a mistake."""
VariableValue = Annotated[str, msgspec.Meta(max_length=64 * 1024)]
"""More than the largest request body, so that any body can be one."""
MAX_MILLISECONDS = 1_000_000_000
"""The longest duration, more than eleven days."""
Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=MAX_MILLISECONDS)]
EpochMilliseconds = Annotated[int, msgspec.Meta(ge=0, le=100_000_000_000_000)]


class Pull(msgspec.Struct, frozen=True, kw_only=True):
    """Worker → control plane, in the clear inside TLS: what is free, held and given back. Also the heartbeat.

    `holding` is complete: a job leased to this worker that is missing from it was lost on the way and is offered again.
    `finished` names those of `holding` whose runs have ended, and whose results wait.
    """

    version: Literal[1]
    agent: Label = ""
    host: Label = ""
    concurrency: Count
    free_slots: Count
    holding: Leases = ()
    finished: Leases = ()
    release: Leases = ()
    keys: Annotated[tuple[Identifier, ...], msgspec.Meta(min_length=1, max_length=16)]
    draining: bool = False
    degraded: Label | None = None
    restarted: bool = False


class OneTime(msgspec.Struct, frozen=True, kw_only=True):
    """The form of a one-time password: its digits, and the seconds for which each holds; 0 stands for 30."""

    digits: Annotated[int, msgspec.Meta(ge=4, le=10)] = 6
    refresh: Annotated[int, msgspec.Meta(ge=0, le=999)] = 30


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One leased execution of one test. `start_by` is milliseconds from this reply; after that the run is missed.

    `secure` names the variables whose values no result may hold; `one_time` those whose value is the base32 text of a shared
    secret, and that stand for the password of the moment at which the run starts.
    """

    job: Identifier
    lease: Identifier
    lease_ms: Milliseconds
    scheduled_at: EpochMilliseconds
    start_by: Milliseconds
    delivery: Annotated[int, msgspec.Meta(ge=1, le=100)]
    test: msgspec.Raw
    variables: Annotated[dict[VariableName, VariableValue], msgspec.Meta(max_length=MAX_VARIABLES)] = {}
    secure: Annotated[tuple[VariableName, ...], msgspec.Meta(max_length=MAX_VARIABLES)] = ()
    one_time: Annotated[dict[VariableName, OneTime], msgspec.Meta(max_length=MAX_VARIABLES)] = {}


class Jobs(msgspec.Struct, frozen=True, kw_only=True):
    """Control plane → worker, sealed as `pl-jobs`. `cancel` names leases whose runs are no longer wanted."""

    jobs: Annotated[tuple[Job, ...], msgspec.Meta(max_length=MAX_LEASES)] = ()
    more: bool = False
    cancel: Annotated[tuple[Identifier, ...], msgspec.Meta(max_length=MAX_LEASES)] = ()


class ResultItem(msgspec.Struct, frozen=True, kw_only=True):
    """One result of one job. `outcome` is apitest's JSON of the run; `result` makes a resent item recognisable."""

    result: Identifier
    job: Identifier
    lease: Identifier
    outcome: msgspec.Raw


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """Worker → control plane, sealed as `pl-results`."""

    reported_at: EpochMilliseconds
    results: Annotated[tuple[ResultItem, ...], msgspec.Meta(max_length=10_000)]


class Rejection(msgspec.Struct, frozen=True, kw_only=True):
    result: Identifier
    reason: Annotated[str, msgspec.Meta(max_length=1000)]


class ResultsReply(msgspec.Struct, frozen=True, kw_only=True):
    """Control plane → worker, signed: what became of each result, by its id."""

    accepted: tuple[Identifier, ...] = ()
    duplicate: tuple[Identifier, ...] = ()
    superseded: tuple[Identifier, ...] = ()
    rejected: tuple[Rejection, ...] = ()


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """The body of every signed reply that is not a success: a stable code and a sentence. 409 `sequence` adds `last`."""

    error: Identifier
    message: Annotated[str, msgspec.Meta(max_length=1000)] = ""
    last: Annotated[int, msgspec.Meta(ge=0, le=MAX_LAST)] | None = None


Message = TypeVar("Message", bound=msgspec.Struct)


def encode(message: msgspec.Struct) -> bytes:
    return msgspec.json.encode(message)


def decode(kind: type[Message], data: bytes) -> Message:
    """Read one message, of this protocol or a runner's. Raises MessageError, with the JSON path of the first mistake."""
    try:
        data.decode()  # msgspec does not look into what stays raw, and its readers want text
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise MessageError(f"not a {kind.__name__} message: {str(error)[:300]}") from error


def raw(value: dict[str, Any]) -> msgspec.Raw:
    """A JSON object as it travels inside a message."""
    return msgspec.Raw(msgspec.json.encode(value))
