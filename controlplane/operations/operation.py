"""Operations: a question, its answer, and the use case between them; and the JSON of both. They know neither HTTP nor a shell."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Protocol, TypeVar

import msgspec

from controlplane.service.principal import KeyScope, Principal
from controlplane.store.database import Database
from worker.clock import Clock
from worker.secret import Secret

S = TypeVar("S")
R = TypeVar("R")

PREFIX = "/api/controlplane/v1/"
"""The path before an operation's name: ours, beside the reference system's."""
LARGEST = 2**53
"""Of a number in a question: what every JSON writer can send."""
MAX_ANSWER_BYTES = 16 * 1024 * 1024
"""Of what one answer lists: whoever wants more asks again."""
WholeNumber = Annotated[int, msgspec.Meta(ge=0, le=LARGEST)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation(Generic[S, R]):
    """*sent* is the type of the question, *reply* that of the answer. *scopes* are those that *run* asks for, *names_scopes* the
    forms of those that go by the name of a thing. *wakes* are the runners and runs that somebody may wait for.
    """

    name: str
    about: str
    sent: type[S]
    reply: Any
    run: Callable[[Database, Clock, Principal, S], Awaitable[R]]
    scopes: tuple[KeyScope, ...] = ()
    names_scopes: tuple[str, ...] = ()
    wakes: Callable[[R], tuple[str, ...]] = lambda _found: ()

    @property
    def path(self) -> str:
        return PREFIX + self.name


class PlaneClient(Protocol):
    """A way to a control plane."""

    async def ask(self, operation: Operation[S, R], sent: S) -> R:
        """Do *operation*. Raises ControlPlaneError, or TestError for a definition."""
        ...


def encode(value: object) -> bytes:
    """The JSON of a question or an answer, secrets included: it is for the wire alone."""
    return msgspec.json.encode(value, enc_hook=_revealed)


def decode(data: bytes, kind: Any) -> Any:
    """Read a question or an answer. Raises msgspec.DecodeError."""
    return msgspec.json.decode(data, type=kind, dec_hook=_hidden)


def decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    """A reader of many questions of one kind, as `decode` reads one."""
    return msgspec.json.Decoder(kind, dec_hook=_hidden)


def schema(kind: Any) -> dict[str, Any]:
    """The JSON Schema of a question or an answer, with the types that it names in their places: none holds itself."""
    (found,), components = msgspec.json.schema_components(
        [kind], schema_hook=_secret_schema, ref_template="#/$defs/{name}"
    )
    inlined: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(_inlined(found, components)))
    return inlined


def _inlined(value: Any, components: dict[str, Any]) -> Any:
    if isinstance(value, list):
        return [_inlined(each, components) for each in value]
    if not isinstance(value, dict):
        return value
    if "$ref" in value:
        return _inlined(components[value["$ref"].rpartition("/")[2]], components)
    return {name: _inlined(each, components) for name, each in value.items()}


def _revealed(value: object) -> object:
    if isinstance(value, Secret):
        return value.reveal()
    raise NotImplementedError(type(value).__name__)


def _hidden(kind: Any, value: object) -> object:
    if kind is not Secret and getattr(kind, "__origin__", None) is not Secret:
        raise NotImplementedError(str(kind))
    if not isinstance(value, str):
        raise TypeError("expected a text")  # msgspec makes a ValidationError of it, with the place
    return Secret(value)


def _secret_schema(_kind: Any) -> dict[str, Any]:
    return {"type": "string"}
