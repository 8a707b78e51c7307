"""A route of the public API as it is declared, the call that its handler gets, and the reply that it gives."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from multidict import MultiMapping

from controlplane.rest.context import Context
from controlplane.rest.querynumber import number_of
from controlplane.service.principal import KeyScope, Principal

JSON_TYPE = "application/json"


class Keys(Enum):
    """The keys that a route asks for before it does anything."""

    NONE = "none"
    API = "api"
    """The API key alone shows that it is known."""
    BOTH = "both"
    """The application key, alone or beside its API key: it carries the scopes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """An authenticated request: *path* and *query* are decoded once, *body* is what the route's type makes of it."""

    context: Context
    by: Principal
    path: Mapping[str, str]
    query: MultiMapping[str]
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None

    def number(self, name: str, default: int, *, most: int) -> int:
        """A whole number of the query, from 0 to *most*. Raises UnusableError."""
        return number_of(self.query, name, default, most=most)


@dataclass(frozen=True, slots=True, kw_only=True)
class APIReply:
    """*body* is a JSON value; *typed*: an operation's answer. *empty* says that there is none, as some replies have it.

    *later* makes the reply once nothing of the request is held any more: what waits for a minute must keep nobody out.
    """

    body: Any = None
    status: int = 200
    empty: bool = False
    typed: bool = False
    later: Callable[[], Awaitable[APIReply]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter of the query, for the description: handlers read what they know."""

    name: str
    schema: Mapping[str, Any]
    about: str
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """*path* has aiohttp's form, `{name}` for a segment. *body* is a msgspec type, or `dict` for a document that stays as it is.

    *described* is the JSON Schema of such a document, *reply* that of a success with *status*, or one of *also*, None where it
    has no body. *answer* stands for *reply* where that is an operation's type: the description makes its schema, and nobody else.
    *names_scopes* are the forms of scopes that the use case asks for by the name of a thing: `action/GLOB`.
    *tells_cause*: a refusal says in fields what its texts say, for our own commands.
    """

    method: str
    path: str
    about: str
    handler: Callable[[Call], Awaitable[APIReply]]
    scopes: tuple[KeyScope, ...] = ()
    names_scopes: tuple[str, ...] = ()
    keys: Keys = Keys.BOTH
    query: tuple[Parameter, ...] = ()
    body: Any = None
    described: Mapping[str, Any] | None = None
    reply: Mapping[str, Any] | None = None
    answer: Any = None
    status: int = 200
    also: tuple[int, ...] = ()
    refusals: tuple[int, ...] = ()
    tells_cause: bool = False
    tags: tuple[str, ...] = field(default=("synthetics",))

    @property
    def scope_names(self) -> tuple[str, ...]:
        """The scopes of which a caller needs one, as people write them."""
        return (*(scope.value for scope in self.scopes), *self.names_scopes)
