"""Apps as their authors write them: read, checked, and made whole. The runner checks its tokens by the same functions. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, Final, Literal

import msgspec

from controlplane.actions import effects
from controlplane.actions.states import TaskEffect
from controlplane.errors import UnusableError
from worker.wire import appparams, apptemplate
from worker.wire.actionwords import ActionName, plain_name
from worker.wire.apptemplate import AppTemplateError
from worker.wire.apptoken import AppName, QueryName
from worker.wire.order import MAX_SELECT_CHARACTERS

MAX_APP_BYTES: Final = 256 * 1024
MAX_QUERY_BYTES: Final = 48 * 1024
"""As JSON: a token holds one query, and is as large again after it was signed and sealed."""
MOST_QUERIES: Final = 50
DEFAULT_TIMEOUT_S: Final = 30.0

Words = Annotated[str, msgspec.Meta(max_length=4000)]
CallerGlob = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"\Auser/[^\x00-\x20]+\Z")]


class AppQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One form and its answer. *input* is a template, *params* the schema of its values. *effect* is what the author knows of it:
    a page asks before it does what must not happen twice.
    """

    action: ActionName
    connection: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | None = None
    input: dict[str, Any] = {}
    params: dict[str, Any] = {}
    title: Words = ""
    description: Words = ""
    show: Literal["table", "json"] = "json"
    select: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_SELECT_CHARACTERS)] | None = None
    effect: Literal["read", "repeat", "once"] | None = None
    timeout_s: Annotated[float, msgspec.Meta(ge=0.001, le=3600)] = DEFAULT_TIMEOUT_S

    @property
    def asks_first(self) -> bool:
        """Tell if a person must say yes: it may change something, and a second time changes it again."""
        if self.effect is not None:
            return self.effect == "once"
        if self.action == "postgresql.namedQuery":  # which reads, unless its entry on the runner says otherwise
            return False
        return effects.shown_by(self.action, self.input) is TaskEffect.ONCE


class AppDefinition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """An app: the runner that it asks, who may use it, and its queries by name."""

    name: AppName
    runner: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    allow: Annotated[list[CallerGlob], msgspec.Meta(min_length=1, max_length=100)]
    title: Words = ""
    description: Words = ""
    queries: Annotated[dict[QueryName, AppQuery], msgspec.Meta(min_length=1, max_length=MOST_QUERIES)]

    def lets(self, caller: str) -> bool:
        """Tell if *caller*, as `kind/id`, may use it."""
        return any(_glob(pattern).fullmatch(caller) for pattern in self.allow)


def read_app(written: object) -> AppDefinition:
    """The app that *written*, a JSON value, says. Raises UnusableError with the place of the first mistake."""
    try:
        found = msgspec.convert(written, AppDefinition)
    except msgspec.ValidationError as error:
        raise UnusableError(f"is not a valid app: {error}") from error
    queries = {name: _checked(name, query) for name, query in found.queries.items()}
    made = msgspec.structs.replace(found, queries=queries)
    if len(msgspec.json.encode(made)) > MAX_APP_BYTES:
        raise UnusableError(f"is not a valid app: larger than {MAX_APP_BYTES} bytes")
    return made


def stored_app(definition: bytes) -> AppDefinition:
    """An app as it was stored."""
    return msgspec.json.decode(definition, type=AppDefinition)


def _checked(name: str, query: AppQuery) -> AppQuery:
    """The query with its action's plain name and a whole schema. Raises UnusableError."""
    place = f"is not a valid app: queries.{name}"
    fault = appparams.fault(query.params)
    if fault is not None:
        raise UnusableError(f"{place}.params.{fault}")
    try:
        apptemplate.check(query.input, _names(query.params))
    except AppTemplateError as error:
        raise UnusableError(f"{place}.{error}") from error
    if len(msgspec.json.encode(query)) > MAX_QUERY_BYTES:
        raise UnusableError(f"{place}: larger than {MAX_QUERY_BYTES} bytes")
    action = plain_name(query.action)
    return msgspec.structs.replace(query, action=action, params=appparams.closed(query.params))


def _names(schema: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(schema.get("properties", {}))


@lru_cache(maxsize=1000)
def _glob(pattern: str) -> re.Pattern[str]:
    """A star stands for any characters."""
    return re.compile(".*".join(re.escape(part) for part in pattern.split("*")))
