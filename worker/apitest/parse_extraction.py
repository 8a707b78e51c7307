"""`extractedValues` of a step: raw JSON → `Extraction`s, and the mistakes in it."""

from __future__ import annotations

from worker.apitest.extraction import Extraction, ExtractionSource, Parser
from worker.apitest.reading import Node, perhaps, quote
from worker.apitest.template import is_name

MOST_EXTRACTIONS = 20
"""Values of one step; the reference system takes ten by default."""


def read_extractions(node: Node) -> tuple[Extraction, ...]:
    """`extractedValues` of a step. A name that comes twice is a mistake: nobody could tell which value it stands for."""
    nodes = node.items()
    if len(nodes) > MOST_EXTRACTIONS:
        node.mistake(f"must hold at most {MOST_EXTRACTIONS} values, not {len(nodes)}")
        return ()
    found = [each for each in map(_extraction, nodes) if each is not None]
    names = [each.name for each in found]
    for name in sorted({name for name in names if names.count(name) > 1}):
        node.mistake(f"holds the name {quote(name)} more than once")
    return tuple(found)


def _extraction(node: Node) -> Extraction | None:
    if not node.object(required=True).present:
        return None
    name, source = node["name"].label(), _source(node["type"])
    if not name:
        node["name"].mistake("is missing")
    elif not is_name(name):
        node["name"].mistake(f"is not a valid name of a variable: {quote(name)}")
    field = node["field"].text(required=source is ExtractionSource.HEADER)
    parser, expression = _parser(node["parser"], source)
    secure = node["secure"].flag()
    if not name or source is None or parser is None:
        return None
    return Extraction(
        name=name, source=source, parser=parser, expression=expression, field=field or "", secure=bool(secure)
    )


def _source(node: Node) -> ExtractionSource | None:
    name = node.label()
    if not name:
        node.mistake("is missing")
        return None
    for each in ExtractionSource:
        if each.value == name:
            return each
    node.requires(
        f"values from {quote(name)} are not there yet{perhaps(name, [each.value for each in ExtractionSource])}"
    )
    return None


def _parser(node: Node, source: ExtractionSource | None) -> tuple[Parser | None, str]:
    parser = node.object()
    name = parser["type"].label() or Parser.RAW.value
    found = next((each for each in Parser if each.value == name), None)
    if found is None:
        parser["type"].requires(
            f"the parser {quote(name)} is not known{perhaps(name, [each.value for each in Parser])}"
        )
        return None, ""
    if found is Parser.XPATH and source not in (ExtractionSource.BODY, None):
        parser["type"].mistake("finds a value in a body alone")
    expression = parser["value"].text(required=found is not Parser.RAW)
    return found, expression or ""
