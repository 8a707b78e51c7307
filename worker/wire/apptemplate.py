"""The input of an app's query as its author wrote it: a JSON object in which values of parameters have their places.

`{"$param": "id"}` stands for the value of *id* with its type. `{{ params.id }}` within a text stands for it percent-encoded, in
the path and the query of a URL alone. The author fixes the shape: neither may stand in what says *which* thing is done (SQL, a
script, a query, a verb, a host). Who pushes an app and who obeys a token check it by the same functions. A value is never looked
at for templates again.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final, TypeAlias
from urllib.parse import quote

from worker.errors import WireError
from worker.wire.actionwords import PATH_BEGINS

PARAM: Final = "$param"
FIXED: Final = frozenset({"sql", "query", "scriptName", "program", "verb", "test"})
"""Members of inputs that say which thing is done: their values are the author's."""
URL: Final = "url"
MOST_DEPTH: Final = 32
"""Objects and arrays in each other."""

ParamValue: TypeAlias = str | int | float | bool
_TEMPLATE: Final = re.compile(r"\{\{\s*params\.([A-Za-z_][A-Za-z0-9_]{0,63})\s*\}\}")
_DOTS: Final = re.compile(r"\.*")
_LEFT_OUT: Final = object()


class AppTemplateError(WireError):
    """A template that says what it must not, or values that do not fit it. The text names the place, never a value."""


def params_of(template: Mapping[str, Any]) -> frozenset[str]:
    """The parameters that *template* names. Raises AppTemplateError where it is not one that may be used."""
    found: set[str] = set()
    for name, value in template.items():
        found.update(_named_in(value, (name,), typed=name not in FIXED and name != URL))
    return frozenset(found)


def check(template: Mapping[str, Any], known: Collection[str]) -> None:
    """Raise AppTemplateError unless *template* may be used and names parameters of *known* alone."""
    unknown = sorted(params_of(template) - set(known))
    if unknown:
        raise AppTemplateError(
            f"input: names the parameter {unknown[0]!r}, which is not one of the properties of params"
        )


def rendered(template: Mapping[str, Any], params: Mapping[str, ParamValue]) -> dict[str, Any]:
    """The input that *template* makes of *params*; members without a value are left out. Raises AppTemplateError."""
    params_of(template)
    found = {name: _rendered(value, params, (name,)) for name, value in template.items()}
    return {name: value for name, value in found.items() if value is not _LEFT_OUT}


def _named_in(value: Any, place: tuple[str, ...], *, typed: bool) -> Iterator[str]:
    if len(place) > MOST_DEPTH:
        raise AppTemplateError(f"input.{place[0]}: is nested deeper than {MOST_DEPTH}")
    if isinstance(value, str):
        yield from _named_in_text(value, place)
    elif isinstance(value, Mapping) and PARAM in value:
        if not typed:
            raise AppTemplateError(f"{_at(place)}: no parameter may stand here: it says which thing is done")
        yield _name_of(value, place)
    elif isinstance(value, Mapping):
        for name, member in value.items():
            yield from _named_in(member, (*place, str(name)), typed=typed)
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from _named_in(member, (*place, str(index)), typed=typed)


def _name_of(value: Mapping[str, Any], place: tuple[str, ...]) -> str:
    name = value[PARAM]
    if len(value) != 1 or not isinstance(name, str):
        raise AppTemplateError(f"{_at(place)}: {PARAM} is not alone, or does not name a parameter")
    return name


def _named_in_text(text: str, place: tuple[str, ...]) -> Iterator[str]:
    if "{{" not in text:
        return
    begins = PATH_BEGINS.match(text)
    if place != (URL,) or begins is None or "{{" in text[: begins.end()]:
        raise AppTemplateError(f"{_at(place)}: a template may stand in the path and the query of `url` alone")
    left = _TEMPLATE.sub("", text)
    if "{{" in left or "}}" in left:
        raise AppTemplateError(f"{_at(place)}: is not a valid template: expected {{{{ params.NAME }}}}")
    yield from (match[1] for match in _TEMPLATE.finditer(text))


def _rendered(value: Any, params: Mapping[str, ParamValue], place: tuple[str, ...]) -> Any:
    if isinstance(value, str):
        return _TEMPLATE.sub(lambda match: _encoded(match[1], params, place), value)
    if isinstance(value, Mapping) and PARAM in value:
        return params.get(_name_of(value, place), _LEFT_OUT)
    if isinstance(value, Mapping):
        members = {name: _rendered(each, params, (*place, str(name))) for name, each in value.items()}
        return {name: each for name, each in members.items() if each is not _LEFT_OUT}
    if isinstance(value, list):
        items = [_rendered(each, params, (*place, str(index))) for index, each in enumerate(value)]
        if any(item is _LEFT_OUT for item in items):
            raise AppTemplateError(f"{_at(place)}: a parameter of a list has no value")
        return items
    return value


def _encoded(name: str, params: Mapping[str, ParamValue], place: tuple[str, ...]) -> str:
    """The value as a part of a URL. One that is nothing but dots would be another path, and an empty one another resource."""
    if name not in params:
        raise AppTemplateError(f"{_at(place)}: the parameter {name} has no value")
    value = params[name]
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if _DOTS.fullmatch(text):
        raise AppTemplateError(f"{_at(place)}: the parameter {name} is empty or nothing but dots")
    try:
        return quote(text, safe="")
    except UnicodeEncodeError as error:
        raise AppTemplateError(f"{_at(place)}: the parameter {name} is not valid Unicode") from error


def _at(place: tuple[str, ...]) -> str:
    return ".".join(("input", *place))
