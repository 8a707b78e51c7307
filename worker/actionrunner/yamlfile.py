"""A file of an operator in YAML or JSON, with the line of every part of it. Aliases, tags and doubled names are refused.

A file that can be misread is refused and never repaired: it is about credentials and permissions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import yaml

from worker.errors import ConfigError
from worker.schemas.schema import first_breach

MAX_FILE: Final = 1 << 20
"""Bytes of a file."""
MAX_DEPTH: Final = 30
YAMLPlace: TypeAlias = tuple[str | int, ...]
_KINDS: Final = frozenset({"str", "int", "float", "bool", "null", "map", "seq"})


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorsFile:
    """*data* is the content as JSON would have it; *lines* has the line of each part by its place."""

    path: str
    option: str
    data: Any
    lines: Mapping[YAMLPlace, int]

    def place(self, at: Sequence[str | int] = ()) -> str:
        """`FILE, line N` of the part, or of the nearest one around it."""
        steps = tuple(at)
        while steps not in self.lines and steps:
            steps = steps[:-1]
        return f"{self.path}, line {self.lines.get(steps, 1)}"

    def mistake(self, reason: str, at: Sequence[str | int] = ()) -> ConfigError:
        where = ".".join(map(str, at))
        return ConfigError(f"{where}: {reason}" if where else reason, option=self.option, place=self.place(at))

    def require(self, schema: Mapping[str, Any], at: Sequence[str | int], value: Any) -> None:
        """Raises ConfigError where *value*, which stands at *at*, breaks *schema*."""
        found = first_breach(schema, value)
        if found is not None:
            raise self.mistake(found[1], (*at, *found[0]))


def read_operators_file(path: Path, option: str) -> OperatorsFile:
    """Raises ConfigError, which has the line."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE + 1)
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", option=option, place=str(path)) from None
    if len(content) > MAX_FILE:
        raise ConfigError(f"is larger than {MAX_FILE} bytes", option=option, place=str(path))
    return parse_operators_file(content, str(path), option)


def parse_operators_file(content: bytes, path: str, option: str) -> OperatorsFile:
    """Raises ConfigError, which has the line."""
    try:
        node = yaml.compose(content.decode(), Loader=_WithoutAliases)
    except UnicodeDecodeError:
        raise ConfigError("is not valid UTF-8", option=option, place=path) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = "" if mark is None else f", line {mark.line + 1}"
        problem = getattr(error, "problem", None) or "it cannot be read"
        raise ConfigError(f"is not valid YAML: {problem}", option=option, place=f"{path}{line}") from None
    lines: dict[YAMLPlace, int] = {}
    data = None if node is None else _value(node, (), lines, (path, option))
    return OperatorsFile(path=path, option=option, data=data, lines=lines)


class _WithoutAliases(yaml.SafeLoader):
    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event = self.get_event()  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "aliases are not taken", event.start_mark)
        return super().compose_node(parent, index)


def _value(node: yaml.Node, at: YAMLPlace, lines: dict[YAMLPlace, int], origin: tuple[str, str]) -> Any:
    line = node.start_mark.line + 1
    lines[at] = line
    kind = node.tag.rpartition(":")[2]
    if kind not in _KINDS or len(at) > MAX_DEPTH:
        raise _refused("is of a kind that is not taken, or too deep", line, origin)
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, at, lines, origin)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*at, index), lines, origin) for index, item in enumerate(node.value)]
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_object(node)
    except (ValueError, yaml.YAMLError):
        raise _refused("is not a valid value", line, origin) from None
    finally:
        loader.dispose()


def _mapping(
    node: yaml.MappingNode, at: YAMLPlace, lines: dict[YAMLPlace, int], origin: tuple[str, str]
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise _refused("has a name that is not a text", line, origin)
        name = str(key.value)
        if name in found:
            raise _refused(f"has {name!r} twice", line, origin)
        found[name] = _value(value, (*at, name), lines, origin)
        lines[(*at, name)] = line
    return found


def _refused(reason: str, line: int, origin: tuple[str, str]) -> ConfigError:
    path, option = origin
    return ConfigError(reason, option=option, place=f"{path}, line {line}")
