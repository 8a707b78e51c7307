"""The text of a template as a tree of literals, tags and blocks. It refuses nothing: what is not a tag is text.

A block that nobody closes ends with the text; an end without a beginning is text. A tag of a block, an `{{else}}` and a comment
that have a line to themselves take the line away, as in Handlebars.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

MAX_TEMPLATE: Final = 65_536
"""Characters that are read; the rest is left out. The reference system's editor takes fewer."""
DEEPEST: Final = 16
"""Blocks within blocks; the tag of a deeper one is text."""
MOST_NODES: Final = 5000
"""Of one template; what follows them is text."""
_ARGUMENT: Final = re.compile(r""""([^"]*)"|'([^']*)'|((?:\[[^\[\]]{0,200}\]|[^\s"'\[])+)""")
_FORMS: Final = (("{{!--", "--}}"), ("{{{", "}}}"), ("{{", "}}"))
_LINE_END: Final = re.compile(r"[ \t]*(?:\r?\n|\Z)")


@dataclass(frozen=True, slots=True)
class TemplateText:
    text: str


@dataclass(frozen=True, slots=True)
class TemplateTag:
    """A value or the call of a function; *source* is the tag as it was written."""

    name: str
    arguments: tuple[str, ...]
    source: str


@dataclass(frozen=True, slots=True)
class TemplateBlock:
    """*inverted* begins with `^`; *otherwise* stands behind `{{else}}`."""

    name: str
    arguments: tuple[str, ...]
    source: str
    inverted: bool
    body: tuple[TemplateNode, ...]
    otherwise: tuple[TemplateNode, ...]


TemplateNode: TypeAlias = TemplateText | TemplateTag | TemplateBlock


@dataclass(slots=True)
class _Open:
    """A block whose end is not seen yet."""

    name: str = ""
    arguments: tuple[str, ...] = ()
    source: str = ""
    inverted: bool = False
    body: list[TemplateNode] = field(default_factory=list)
    otherwise: list[TemplateNode] | None = None

    def add(self, node: TemplateNode) -> None:
        (self.body if self.otherwise is None else self.otherwise).append(node)

    def closed(self) -> TemplateBlock:
        return TemplateBlock(
            self.name, self.arguments, self.source, self.inverted, tuple(self.body), tuple(self.otherwise or ())
        )


def parse(template: str) -> tuple[TemplateNode, ...]:
    """The tree of *template*."""
    blocks = [_Open()]
    for source, content in _pieces(template[:MAX_TEMPLATE]):
        if content is None:
            blocks[-1].add(TemplateText(source))
        else:
            _take(blocks, source, content)
    while len(blocks) > 1:
        ended = blocks.pop()
        blocks[-1].add(ended.closed())
    return tuple(blocks[0].body)


def _take(blocks: list[_Open], source: str, content: str) -> None:
    """Put a tag where it belongs among *blocks*, the innermost last."""
    kind, words = content[:1], _arguments(content.lstrip("#^/"))
    if kind == "!":
        return
    if kind == "/" and words and len(blocks) > 1 and blocks[-1].name == words[0]:
        ended = blocks.pop()
        blocks[-1].add(ended.closed())
    elif content == "else" and len(blocks) > 1 and blocks[-1].otherwise is None:
        blocks[-1].otherwise = []
    elif kind in "#^" and words and len(blocks) <= DEEPEST:
        blocks.append(_Open(words[0], words[1:], source, kind == "^"))
    elif kind not in "#^/" and words:
        blocks[-1].add(TemplateTag(words[0], words[1:], source))
    else:
        blocks[-1].add(TemplateText(source))


def _arguments(text: str) -> tuple[str, ...]:
    return tuple(next(group for group in match.groups() if group is not None) for match in _ARGUMENT.finditer(text))


def _pieces(template: str) -> Iterator[tuple[str, str | None]]:
    """Literals, and tags with what is between their braces, in their order."""
    at = 0
    for _ in range(MOST_NODES):
        start = template.find("{{", at)
        if start < 0:
            break
        opening, closing = next(form for form in _FORMS if template.startswith(form[0], start))
        end = template.find(closing, start + len(opening))
        if end < 0:
            break
        content = "!" if opening == "{{!--" else template[start + len(opening) : end].strip()
        before, after = template[at:start], end + len(closing)
        if (
            _stands_alone(content)
            and _at_line_start(template, at, before)
            and (rest := _LINE_END.match(template, after))
        ):
            before, after = before.rstrip(" \t"), rest.end()
        if before:
            yield before, None
        yield template[start : end + len(closing)], content
        at = after
    if at < len(template):
        yield template[at:], None


def _stands_alone(content: str) -> bool:
    return content[:1] in ("#", "^", "/", "!") or content == "else"


def _at_line_start(template: str, at: int, before: str) -> bool:
    """Tell if only blanks stand between a line's start and the tag behind *before*, which begins at *at* of the template."""
    line = before[before.rfind("\n") + 1 :]
    return not line.strip(" \t") and ("\n" in before or at == 0 or template[at - 1] == "\n")
