"""What the worker and an evaluator say to each other over their socket, both directions. No IO here.

To the evaluator: the lengths of two parts, a task in MessagePack, then the body's bytes as they came from the wire. From the
evaluator: the length of one part and a `Ready` or a `Reply`. The evaluator has read hostile input, so its words are decoded into
typed values of bounded size, and nothing in them is ever executed, unpickled or used as a name. Assertions and responses travel
with the name of their dataclass, so that a new kind needs nothing here.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Final, Literal, TypeAlias, get_args

import msgspec

from worker.apitest.assertion import Assertion
from worker.apitest.observation import HTTPResponse, Observation, Response
from worker.apitest.result import AssertionResult
from worker.checks.evidence import Limits
from worker.outcome.failure import Failure
from worker.outcome.phases import Timings
from worker.outcome.resolution import Resolution

TASK_HEADER: Final = struct.Struct("!II")
REPLY_HEADER: Final = struct.Struct("!I")

POSITION: Final = struct.Struct("=I")
"""All that is in the shared page: the index, within the task in hand, of the assertion in hand."""
MAX_RESULT_BYTES: Final = 64 * 1024
"""One encoded result. `actual` and messages are cut far below this; a library that embeds its instance is not trusted to."""
MAX_REPLY_BYTES: Final = 2 * 1024 * 1024
"""One frame from an evaluator: the language's 20 assertions at their bound, and room for a test that has more."""

RESUME: Final = TASK_HEADER.pack(0, 0)
"""Go on with the task that was put aside: a frame of two empty parts, which no task is."""
FORGET: Final = TASK_HEADER.pack(0, 1) + b"\0"
"""Let go of the task that was put aside."""


State: TypeAlias = Literal["going", "paused", "done", "spent"]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the worker tells an evaluator at its birth. Seconds and bytes."""

    parent: int
    page: int
    """The inherited file descriptor of the shared page."""
    limits: Limits
    """`pattern_seconds` is the CPU time of every assertion, whatever its kind."""
    turn_seconds: float
    """CPU after which the evaluator offers, between two assertions, to turn to another test."""
    memory_bytes: int
    """Address space of the process."""
    spent_bytes: int
    """Resident size after a task beyond which the process asks to be replaced."""


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """The first word of an evaluator: it is confined and warm. *missing* names the protections that this system lacks."""

    missing: tuple[Annotated[str, msgspec.Meta(max_length=100)], ...] = ()


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """Results of consecutive assertions of the task, beginning where the reply before it ended.

    `going` more follow; `paused` the turn is over and the evaluator waits for RESUME or FORGET; `done`; `spent` done, and the
    evaluator has grown so much that it must be replaced.
    """

    results: tuple[AssertionResult, ...]
    state: State


class Tagged(msgspec.Struct, frozen=True, array_like=True):
    """A value of a closed union, with the name of its class."""

    kind: str
    value: msgspec.Raw


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """An observation without the body of its response."""

    timings: Timings
    failure: Failure | None
    resolution: Resolution | None
    response: Tagged | None


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """*seen* holds a `Seen`: encoded once, however many evaluators work on it."""

    assertions: tuple[Tagged, ...]
    seen: msgspec.Raw


_encode = msgspec.msgpack.Encoder().encode
_tasks = msgspec.msgpack.Decoder(Task)
_seen = msgspec.msgpack.Decoder(Seen)
_replies = msgspec.msgpack.Decoder(Reply)
_readies = msgspec.msgpack.Decoder(Ready)
_kinds: Final[dict[str, msgspec.msgpack.Decoder[Any]]] = {
    kind.__name__: msgspec.msgpack.Decoder(kind) for kind in (*get_args(Assertion), *get_args(Response))
}


def encode_settings(settings: Settings) -> str:
    """One argument of a command line."""
    return msgspec.json.encode(settings).decode()


def decode_settings(text: str) -> Settings:
    return msgspec.json.decode(text, type=Settings)


def encode_assertion(assertion: Assertion) -> Tagged:
    return _tag(assertion)


def encode_observation(observation: Observation) -> tuple[msgspec.Raw, bytes]:
    """What was seen, and the body as it came from the wire."""
    response = observation.response
    body = b""
    if isinstance(response, HTTPResponse):
        body = response.body
        response = replace(response, body=b"")
    seen = Seen(
        timings=observation.timings,
        failure=observation.failure,
        resolution=observation.resolution,
        response=None if response is None else _tag(response),
    )
    return msgspec.Raw(_pack(seen)), body


def encode_task(assertions: Sequence[Tagged], seen: msgspec.Raw, body_size: int) -> bytes:
    """The frame without its body: a large one is written by itself, so that it is not copied."""
    message = _encode(Task(assertions=tuple(assertions), seen=seen))
    return TASK_HEADER.pack(len(message), body_size) + message


def decode_task(message: bytes, body: bytes) -> tuple[tuple[Assertion, ...], Observation]:
    """The evaluator's side of `encode_task`. Raises msgspec.DecodeError: the worker and its evaluator are of one version."""
    task = _tasks.decode(message)
    seen = _seen.decode(task.seen)
    response: Response | None = None if seen.response is None else _untag(seen.response)
    if isinstance(response, HTTPResponse):
        response = replace(response, body=body)
    observation = Observation(timings=seen.timings, failure=seen.failure, resolution=seen.resolution, response=response)
    return tuple(_untag(tagged) for tagged in task.assertions), observation


def encode_reply(reply: Reply | Ready) -> bytes:
    message = _pack(reply)
    return REPLY_HEADER.pack(len(message)) + message


def is_too_large(result: AssertionResult) -> bool:
    return len(_pack(result)) > MAX_RESULT_BYTES


def decode_ready(message: bytes) -> Ready:
    """Raises msgspec.DecodeError."""
    return _readies.decode(message)


def decode_reply(message: bytes) -> Reply:
    """Raises msgspec.DecodeError."""
    return _replies.decode(message)


def take_reply(buffer: bytearray) -> bytes | None:
    """Remove one whole message from the front of *buffer*; None while it is incomplete. ValueError if it is too large."""
    if len(buffer) < REPLY_HEADER.size:
        return None
    (length,) = REPLY_HEADER.unpack_from(buffer)
    if length > MAX_REPLY_BYTES:
        raise ValueError(f"an evaluator announced a reply of {length} bytes")
    end = REPLY_HEADER.size + length
    if len(buffer) < end:
        return None
    message = bytes(buffer[REPLY_HEADER.size : end])
    del buffer[:end]
    return message


def _tag(value: Assertion | Response) -> Tagged:
    return Tagged(type(value).__name__, msgspec.Raw(_pack(value)))


def _untag(tagged: Tagged) -> Any:
    return _kinds[tagged.kind].decode(tagged.value)


def _pack(value: object) -> bytes:
    try:
        return _encode(value)
    except (UnicodeEncodeError, OverflowError):
        return _encode(_packable(msgspec.to_builtins(value, builtin_types=(bytes, msgspec.Raw))))


def _packable(value: Any) -> Any:
    """Without what JSON and headers can hold and MessagePack cannot: half a surrogate pair, an integer of more than 64 bits."""
    match value:
        case str():
            return value.encode("utf-8", "replace").decode()
        case int() if not -(1 << 63) <= value < 1 << 64:
            return str(value)
        case dict():
            return {key: _packable(member) for key, member in value.items()}
        case list() | tuple():
            return [_packable(member) for member in value]
        case _:
            return value
