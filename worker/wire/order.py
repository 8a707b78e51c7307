"""The task: one signed order to do one action on one runner, and nothing that a proxy or a database can change.

It is signed when its caller was authorised. Lease and delivery are outside of it. Reading has three steps in
the order of the checks of docs/protocol-runner.md: `read_form`, then `open_task` with the key that the keyset has for its kid, of
which the decoding is the last. Who asks whether it is for us, and still good, is the runner's executor: this module has no clock.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

import msgspec

from worker.errors import EnvelopeError, WireError
from worker.wire import compact, jws
from worker.wire.actionwords import ActionName
from worker.wire.jws import Unverified
from worker.wire.messages import EpochMilliseconds, Identifier, Label
from worker.wire.signingkey import SigningKey, VerifyingKey

TASK: Final = "pl-task"
MAX_TASK_BYTES = 512 * 1024
"""The whole token: an input at its bound, as base64, and what stands around it."""
MAX_INPUT_BYTES = 256 * 1024
"""An input as JSON."""
MAX_WITHIN_MS = 24 * 3600 * 1000
"""Milliseconds from `iat` to `exp` at the most."""
MAX_SELECT_CHARACTERS = 16 * 1024
MAX_DEPTH = 64
"""Objects and arrays in each other."""

OrderClient = Literal["cli", "api", "hook", "test"]


class TaskFault(StrEnum):
    """The code of a task that is not an order that can be obeyed, in the order of the checks."""

    BAD_TASK = "BAD_TASK"
    SIGNATURE_KEY_NOT_FOUND = "SIGNATURE_KEY_NOT_FOUND"
    SIGNATURE = "SIGNATURE"


class TaskError(WireError):
    """A task that cannot be read. *code* says which check it failed."""

    def __init__(self, code: TaskFault, text: str) -> None:
        self.code = code
        super().__init__(text)


class OrderedBy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The caller who was authorised: `kind` is `user` at a shell, or `key` of the API."""

    kind: Label
    id: Label


class TaskOrder(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The claims that are signed. `timeout_ms` bounds how long it may act, `exp` says until when it must have started."""

    v: Literal[1] = 1
    task: Identifier
    run: Identifier
    step: Label = ""
    org: Annotated[int, msgspec.Meta(ge=0, le=2**53)]
    aud: Identifier
    action: ActionName
    connection: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | None = None
    input: dict[str, Any]
    select: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_SELECT_CHARACTERS)] | None = None
    client: OrderClient
    by: OrderedBy
    iat: EpochMilliseconds
    exp: EpochMilliseconds
    timeout_ms: Annotated[int, msgspec.Meta(ge=1, le=3_600_000)]
    traceparent: Annotated[str, msgspec.Meta(max_length=100)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedTask:
    """A task whose signature holds. *sha256* is that of the signed payload's bytes, in hexadecimal; *kid* is who signed."""

    task: TaskOrder
    sha256: str
    kid: str


class _Carried(msgspec.Struct, frozen=True, kw_only=True):
    """The members that must stand in every payload whatever else a later version says."""

    v: int
    step: str
    input: msgspec.Raw


def sign(task: TaskOrder, key: SigningKey) -> str:
    """The token of *task*. Raises ValueError where the task would not be read: too large, or out of its bounds."""
    payload = msgspec.json.encode({**msgspec.to_builtins(task), "v": 1, "step": task.step})
    token = jws.sign(payload, key, typ=TASK)
    try:
        _decode(payload)
    except TaskError as error:
        raise ValueError(str(error)) from error
    if len(token) > MAX_TASK_BYTES:
        raise ValueError(f"the task is larger than {MAX_TASK_BYTES} bytes")
    return token


def read_form(token: str) -> Unverified:
    """Check size and form. Raises TaskError (BAD_TASK)."""
    try:
        return jws.read(token, typ=TASK, algorithm="Ed25519", max_bytes=MAX_TASK_BYTES)
    except EnvelopeError as error:
        raise TaskError(TaskFault.BAD_TASK, f"the task is not valid: {error}") from error


def open_task(found: Unverified, key: VerifyingKey | None) -> SignedTask:
    """Check the signature with the keyset's *key* for this kid, None where it has none; only then decode. Raises TaskError."""
    if key is None:
        reason = f"the key {found.kid[:60]!r} is not a signing key of the keyset, or not now"
        raise TaskError(TaskFault.SIGNATURE_KEY_NOT_FOUND, reason)
    try:
        payload = jws.verify(found, key)
    except EnvelopeError as error:
        raise TaskError(TaskFault.SIGNATURE, str(error)) from error
    return SignedTask(task=_decode(payload), sha256=hashlib.sha256(payload).hexdigest(), kid=found.kid)


def decode_unverified(token: str) -> TaskOrder:
    """The claims of a token that its holder sealed away himself, and whose signature he has no doubt of. Raises TaskError."""
    return _decode(_payload(token))


def payload_sha256(token: str) -> str:
    """The digest of the signed payload's bytes, in hexadecimal. Raises TaskError (BAD_TASK)."""
    return hashlib.sha256(_payload(token)).hexdigest()


def _payload(token: str) -> bytes:
    read_form(token)
    return compact.decode(token.split(".")[1].encode())


def _decode(payload: bytes) -> TaskOrder:
    try:
        payload.decode()
        carried = msgspec.json.decode(payload, type=_Carried)
        if len(bytes(carried.input)) > MAX_INPUT_BYTES:
            raise TaskError(TaskFault.BAD_TASK, f"input: larger than {MAX_INPUT_BYTES} bytes")
        task = msgspec.json.decode(payload, type=TaskOrder)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise TaskError(TaskFault.BAD_TASK, f"not a valid task: {str(error)[:300]}") from error
    if not 0 <= task.exp - task.iat <= MAX_WITHIN_MS:
        raise TaskError(TaskFault.BAD_TASK, "exp: not within 24 h after iat")
    if _is_deeper(task.input, MAX_DEPTH):
        raise TaskError(TaskFault.BAD_TASK, f"input: nested deeper than {MAX_DEPTH}")
    return task


def _is_deeper(value: Any, left: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    if left == 0:
        return True
    return any(_is_deeper(one, left - 1) for one in (value.values() if isinstance(value, dict) else value))
