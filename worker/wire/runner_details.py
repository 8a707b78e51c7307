"""The details that a runner tells of itself for people: its tags, its actions, and the connections that orders may name.

They travel inside a pull, as the text that `report` is the digest of, and only when the control plane has asked. No address, no
credential, no SQL and no rule of the policy is among them: a connection is its name, its type, and what may be asked of it.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Any

import msgspec

from worker.errors import MessageError
from worker.wire.messages import Identifier, Label
from worker.wire.runner_messages import MAX_DETAILS_BYTES

_MANY = msgspec.Meta(max_length=500)


class ToldChoice(msgspec.Struct, frozen=True, kw_only=True):
    """A script or a named query. *schema* is that of its parameters, absent where names alone are told."""

    name: Label
    schema: dict[str, Any] | None = None


class ToldConnection(msgspec.Struct, frozen=True, kw_only=True):
    """A connection. *kind* is empty where it is not usable; *choices* are its scripts or queries."""

    name: Label
    kind: Label = ""
    usable: bool = True
    actions: Annotated[tuple[Label, ...], _MANY] = ()
    choices: Annotated[tuple[ToldChoice, ...], _MANY] = ()


class RunnerDetails(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a runner tells."""

    version: int = 1
    isolation: Label = ""
    tags: Annotated[tuple[Label, ...], _MANY] = ()
    actions: Annotated[tuple[Identifier, ...], _MANY] = ()
    connections: Annotated[tuple[ToldConnection, ...], _MANY] = ()


def encode_details(details: RunnerDetails) -> str:
    return msgspec.json.encode(details).decode()


def decode_details(text: str) -> RunnerDetails:
    """Read what `encode_details` wrote. Raises MessageError."""
    if len(text) > MAX_DETAILS_BYTES:
        raise MessageError(f"the details of a runner have more than {MAX_DETAILS_BYTES} characters")
    try:
        return msgspec.json.decode(text, type=RunnerDetails)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise MessageError(f"not a RunnerDetails message: {str(error)[:300]}") from error


def details_digest(text: str) -> str:
    """The `report` of a pull: the SHA-256 of the details as they are carried, in hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()
