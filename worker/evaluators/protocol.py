"""The protocol between the worker and an evaluator, both directions, as payloads of `sandbox.framing`. No IO here.

To the evaluator: a task in MessagePack, then the body's bytes as they came from the wire; RESUME or FORGET after a pause.
From the evaluator: one `Ready`, then one or more replies for each task. The evaluator has read hostile input, so its messages are
decoded into typed values of bounded size, and nothing in them is ever executed, unpickled or used as a name. Assertions and
responses travel with the name of their dataclass, so that a new kind needs nothing here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal, TypeAlias, get_args

import msgspec
from msgspec.structs import replace

from worker.apitest.assertion import Assertion
from worker.apitest.observation import Observation, ProbeResponse
from worker.apitest.responses.http import HTTPResponse
from worker.apitest.responses.table import RESPONSES
from worker.apitest.result import AssertionResult
from worker.checks.evidence import AssertionLimits
from worker.checks.limits import MAX_KEPT_BODY
from worker.outcome.failure import Failure
from worker.outcome.phases import Timings
from worker.outcome.resolution import Resolution

MAX_RESULT_BYTES: Final = 64 * 1024
"""One encoded result. `actual` and messages are cut far below this; a library that embeds its instance is not trusted to."""
MAX_REPLY_BYTES: Final = 2 * 1024 * 1024
"""One message from an evaluator: the language's 20 assertions at their bound, and room for a test that has more."""

RESUME: Final = b""
"""Go on with the task that was paused. No task is empty."""
FORGET: Final = b"\0"
"""Drop the task that was paused."""

EvaluationState: TypeAlias = Literal["more", "paused", "done", "recycle"]


class EvaluatorSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of an evaluator, one argument of its command line. Seconds and bytes."""

    limits: AssertionLimits
    """`pattern_seconds` is the CPU time of every assertion, whatever its kind."""
    turn_seconds: float
    """CPU after which the evaluator offers, between two assertions, to turn to another test."""
    memory_bytes: int
    """Resident memory of the process."""
    recycle_bytes: int
    """Resident size after a task beyond which the process asks to be replaced."""


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """The first message of an evaluator: it is confined and warm. *missing* names the protections that this system lacks."""

    missing: tuple[Annotated[str, msgspec.Meta(max_length=100)], ...] = ()


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """A `BodyPreview`, bounded."""

    text: Annotated[str, msgspec.Meta(max_length=MAX_KEPT_BODY)]
    is_cut: bool


class EvaluatorReply(msgspec.Struct, frozen=True, kw_only=True):
    """Results of consecutive assertions of the task, beginning where the reply before it ended.

    The last one has the *preview* of the body, where it was asked for and could be made.

    `more` follow; `paused`: the turn is over and the evaluator waits for RESUME or FORGET; `done`; `recycle`: done, and the
    evaluator has grown so much that it must be replaced.
    """

    results: tuple[AssertionResult, ...]
    state: EvaluationState
    preview: Preview | None = None


class Tagged(msgspec.Struct, frozen=True, array_like=True):
    """A value of a closed union, with the name of its class."""

    kind: str
    value: msgspec.Raw


class _Observation(msgspec.Struct, frozen=True, kw_only=True):
    """An observation without the body of its response."""

    timings: Timings
    failure: Failure | None
    resolution: Resolution | None
    response: Tagged | None


class _Task(msgspec.Struct, frozen=True, kw_only=True):
    """*observation* holds an `_Observation`: encoded once, however many evaluators work on it."""

    assertions: tuple[Tagged, ...]
    observation: msgspec.Raw
    preview: bool


_encode = msgspec.msgpack.Encoder().encode
_tasks = msgspec.msgpack.Decoder(_Task)
_observations = msgspec.msgpack.Decoder(_Observation)
_replies = msgspec.msgpack.Decoder(EvaluatorReply)
_readies = msgspec.msgpack.Decoder(Ready)
_kinds: Final[dict[str, msgspec.msgpack.Decoder[Any]]] = {
    kind.__name__: msgspec.msgpack.Decoder(kind) for kind in (*get_args(Assertion), *RESPONSES)
}


def encode_settings(settings: EvaluatorSettings) -> str:
    """Encode as one argument of a command line."""
    return msgspec.json.encode(settings).decode()


def decode_settings(text: str) -> EvaluatorSettings:
    return msgspec.json.decode(text, type=EvaluatorSettings)


def encode_assertion(assertion: Assertion) -> Tagged:
    return _tag(assertion)


def encode_observation(observation: Observation) -> tuple[msgspec.Raw, bytes]:
    """Encode the observation without its body; the body as it came from the wire."""
    response = observation.response
    body = b""
    if isinstance(response, HTTPResponse):
        body = response.body
        response = replace(response, body=b"")
    head = _Observation(
        timings=observation.timings,
        failure=observation.failure,
        resolution=observation.resolution,
        response=None if response is None else _tag(response),
    )
    return msgspec.Raw(_pack(head)), body


def encode_task(assertions: Sequence[Tagged], observation: msgspec.Raw, *, preview: bool = False) -> bytes:
    """Encode a task without its body, which follows in a frame of its own, so that a large one is not copied."""
    return _encode(_Task(assertions=tuple(assertions), observation=observation, preview=preview))


def decode_task(message: bytes, body: bytes) -> tuple[tuple[Assertion, ...], Observation, bool]:
    """Decode what `encode_task` made: assertions, observation, and whether a preview is wanted.

    Raises msgspec.DecodeError: the worker and its evaluator are of one version.
    """
    task = _tasks.decode(message)
    head = _observations.decode(task.observation)
    response: ProbeResponse | None = None if head.response is None else _untag(head.response)
    if isinstance(response, HTTPResponse):
        response = replace(response, body=body)
    observation = Observation(timings=head.timings, failure=head.failure, resolution=head.resolution, response=response)
    return tuple(_untag(tagged) for tagged in task.assertions), observation, task.preview


def encode_reply(reply: EvaluatorReply | Ready) -> bytes:
    return _pack(reply)


def is_too_large(result: AssertionResult) -> bool:
    return len(_pack(result)) > MAX_RESULT_BYTES


def decode_ready(message: bytes) -> Ready:
    """Raises msgspec.DecodeError."""
    return _readies.decode(message)


def decode_reply(message: bytes) -> EvaluatorReply:
    """Raises msgspec.DecodeError."""
    return _replies.decode(message)


def _tag(value: Assertion | ProbeResponse) -> Tagged:
    return Tagged(type(value).__name__, msgspec.Raw(_pack(value)))


def _untag(tagged: Tagged) -> Any:
    return _kinds[tagged.kind].decode(tagged.value)


def _pack(value: object) -> bytes:
    try:
        return _encode(value)
    except (UnicodeEncodeError, OverflowError):
        return _encode(_packable(msgspec.to_builtins(value, builtin_types=(bytes, msgspec.Raw))))


def _packable(value: Any) -> Any:
    """Replace what JSON and headers can hold and MessagePack cannot: half a surrogate pair, an integer of more than 64 bits."""
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
