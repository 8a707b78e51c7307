"""The template of a message: the Handlebars subset that the reference system's notifications have. Pure, and it never fails.

Conditions are `{{#is_alert}}` and its like, `is_match`, `is_exact_match`, `is_priority`, `if` and `unless`, each with `{{^…}}`
and `{{else}}`; `each` and `with` walk through values; `local_time` and `override_priority` are the functions. A tag that is
none of these, and a name that nothing has, is shown as it was written, so that its author sees the mistake in the first message;
a known name without a value is empty. Values are put in as they are, without HTML's escapes: each channel escapes for its own
format. An @handle counts only where the template's author wrote it: a target cannot wake anybody by what it sends.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from controlplane.alerts.templatetree import TemplateBlock, TemplateNode, TemplateTag, TemplateText, parse
from controlplane.alerts.templatevalues import ABSENT, AbsentValue, contains, equals, find, is_true, segments, text_of

MAX_OUTPUT: Final = 16_384
"""Characters of a rendered message: the most that the smallest of the channels' limits leaves room for is less."""
MOST_STEPS: Final = 10_000
"""Tags that one rendering may evaluate: a list within a list within a list has no other bound."""
WRITTEN_STEPS: Final = 50
"""Steps that the text of a whole object counts for: a millisecond."""
_HANDLE: Final = re.compile(r"(?<![\w.@])@([A-Za-z0-9](?:[A-Za-z0-9._%+@/-]*[A-Za-z0-9_])?)")
_STATES: Final = frozenset(
    {
        *("is_alert", "is_recovery", "is_no_data", "is_warning", "is_unknown", "is_renotify"),
        *("is_alert_recovery", "is_no_data_recovery", "is_warning_recovery", "is_alert_to_warning"),
    }
)
"""Conditions on the transition. Nothing here warns or is unknown, so that the conditions on that are never true."""
_PRIORITY: Final = re.compile(r"[Pp]?([1-5])")


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateContext:
    """*conditions* are the names of those that are true. *values* are roots by their names; `tags` among them is looked into for
    a name that is no root. Times end in `_epoch` and are milliseconds.
    """

    conditions: frozenset[str] = frozenset()
    values: Mapping[str, Any] = field(default_factory=dict)
    priority: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedText:
    """*handles* are without their @, each once, in their order; *without_handles* is the text for who shall not see them.

    *priority* is what `override_priority` said last, else that of the context.
    """

    text: str
    without_handles: str
    handles: tuple[str, ...]
    priority: int | None


def render(template: str, context: TemplateContext) -> RenderedText:
    """The message that *template* makes of *context*, cut at `MAX_OUTPUT` characters."""
    renderer = _Renderer(context)
    for node in parse(template):
        renderer.add(node)
    written = list(_runs(renderer.pieces))
    handles = dict.fromkeys(handle for text, authored in written if authored for handle in _HANDLE.findall(text))
    bare = (_HANDLE.sub("", text) if authored else text for text, authored in written)
    return RenderedText(
        text=_tidy("".join(text for text, _ in written)),
        without_handles=_tidy("".join(bare)),
        handles=tuple(handles),
        priority=renderer.priority,
    )


def mentioned(template: str) -> frozenset[str]:
    """The handles, without their @, that *template* names on any of its branches."""
    return frozenset(_HANDLE.findall(template))


def _runs(pieces: list[tuple[str, bool]]) -> Iterator[tuple[str, bool]]:
    """*pieces* with neighbours of one origin joined: a handle may stand on both sides of a tag that shows nothing."""
    texts: list[str] = []
    origin = True
    for text, authored in pieces:
        if authored is not origin:
            yield "".join(texts), origin
            texts, origin = [], authored
        texts.append(text)
    yield "".join(texts), origin


def _tidy(text: str) -> str:
    return re.sub(r"[ \t]+\n", "\n", text).strip()


class _Renderer:
    """One rendering: the text so far, in pieces that tell what the author wrote from values."""

    def __init__(self, context: TemplateContext) -> None:
        self.pieces: list[tuple[str, bool]] = []
        self.priority = context.priority
        self._context = context
        self._room = MAX_OUTPUT
        self._steps = MOST_STEPS
        tags = context.values.get("tags")
        self._scopes: list[Any] = [tags if isinstance(tags, Mapping) else {}, context.values]

    def add(self, node: TemplateNode) -> None:
        """Render *node*; nothing, once there is no room or there were too many steps."""
        self._steps -= 1
        if self._steps < 0 or not self._room:
            return
        match node:
            case TemplateText():
                self._put(node.text, authored=True)
            case TemplateTag():
                self._tag(node)
            case TemplateBlock():
                self._block(node)

    def _put(self, text: str, *, authored: bool) -> None:
        if len(text) > self._room:
            text = text[: self._room - 1] + "…"
        if text:
            self._room -= len(text)
            self.pieces.append((text, authored))

    def _tag(self, tag: TemplateTag) -> None:
        name, arguments = tag.name, tag.arguments
        if name == "override_priority" and arguments and (found := _PRIORITY.fullmatch(arguments[0])):
            self.priority = int(found[1])
        elif name == "local_time" and len(arguments) == 2 and (local := self._local_time(*arguments)) is not None:
            self._put(local, authored=False)
        elif not arguments and (value := self._value(name)) is not ABSENT:
            self._put(_listed_tags(value) if name == "tags" else text_of(value), authored=False)
        else:
            self._put(tag.source, authored=True)

    def _local_time(self, name: str, zone: str) -> str | None:
        """The time *name* in *zone* as the reference system writes it; None where one of them is not known."""
        at = self._value(f"{name.removesuffix('_epoch')}_epoch")
        if not isinstance(at, int) or not re.fullmatch(r"[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+)*", zone):
            return None
        try:
            return datetime.fromtimestamp(at / 1000, UTC).astimezone(ZoneInfo(zone)).isoformat(" ", "seconds")
        except (OSError, OverflowError, ValueError, KeyError):
            return None

    def _value(self, path: str) -> Any:
        found = find(segments(path), self._scopes)
        inside = len(self._scopes) > 2
        return None if inside and isinstance(found, AbsentValue) else found

    def _compared(self, path: str) -> Any:
        """The value at *path*, to be compared as text: what has to be written out for that costs more than a step."""
        value = self._value(path)
        if isinstance(value, Mapping | list):
            self._steps -= WRITTEN_STEPS
        return value

    def _block(self, block: TemplateBlock) -> None:
        if block.name == "each":
            self._each(block)
            return
        if block.name == "with":
            value = self._value(block.arguments[0]) if block.arguments else None
            self._choose(block, holds=is_true(value), scope=value)
            return
        holds = self._holds(block)
        if holds is None:
            self._put(block.source, authored=True)
            self._all(block.body)
            self._put(f"{{{{/{block.name}}}}}", authored=True)
        else:
            self._choose(block, holds=holds)

    def _choose(self, block: TemplateBlock, *, holds: bool, scope: Any = None) -> None:
        chosen = block.body if holds is not block.inverted else block.otherwise
        if scope is not None and holds:
            self._scopes.append(scope)
            self._all(chosen)
            self._scopes.pop()
        else:
            self._all(chosen)

    def _holds(self, block: TemplateBlock) -> bool | None:
        """The truth of a condition; None where there is no such condition."""
        name, arguments = block.name, block.arguments
        if name in _STATES:
            return name in self._context.conditions
        if not arguments:
            return None
        match name:
            case "if":
                return is_true(self._value(arguments[0]))
            case "unless":
                return not is_true(self._value(arguments[0]))
            case "is_match":
                return contains(self._compared(arguments[0]), arguments[1:])
            case "is_exact_match":
                return equals(self._compared(arguments[0]), arguments[1:])
            case "is_priority":
                found = _PRIORITY.fullmatch(arguments[0])
                return found is not None and int(found[1]) == self.priority
        return None

    def _each(self, block: TemplateBlock) -> None:
        value = self._value(block.arguments[0]) if block.arguments else None
        if isinstance(value, Mapping):
            items = [({"@key": key}, each) for key, each in value.items()]
        else:
            items = [({}, each) for each in value] if isinstance(value, list) else []
        if bool(items) is block.inverted or not items:
            self._all(block.body if block.inverted else block.otherwise)
            return
        for index, (extra, each) in enumerate(items):
            place = {"@index": index, "@first": index == 0, "@last": index == len(items) - 1, "this": each, **extra}
            self._scopes += [place, each]
            self._all(block.body)
            del self._scopes[-2:]
            if self._steps < 0 or not self._room:
                return

    def _all(self, nodes: tuple[TemplateNode, ...]) -> None:
        for node in nodes:
            self.add(node)


def _listed_tags(value: Any) -> str:
    """All tags, as the reference system shows them."""
    if not isinstance(value, Mapping):
        return text_of(value)
    return text_of(", ".join(f"{key}:{each}" if each else str(key) for key, each in value.items()))
