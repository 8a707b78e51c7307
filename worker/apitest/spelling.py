"""Members of a definition that look misspelt: unknown, and all but the name of one that is absent.

Unknown members are tolerated, because newer versions and other programs write them; so this is a suspicion, for the commands that
people run on their definitions. A worker never asks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from worker.apitest.definition import APITest
from worker.apitest.parse import parse_into, read
from worker.apitest.reading import AskedObject, Findings, Sentences, perhaps, quote

_MOST_STRANGERS = 50
"""Unknown members of one object that are compared: a real definition has a dozen."""


def misspelt(definition: object) -> tuple[str, ...]:
    """One sentence for each member, beginning with its path."""
    asked: dict[str, AskedObject] = {}
    read(definition, Findings(asked=asked))
    return _suspicions(asked)


def parse_spelled(definition: object) -> tuple[APITest, tuple[str, ...]]:
    """Read as `parse`, and tell what is `misspelt`, in one reading. Raises TestError."""
    asked: dict[str, AskedObject] = {}
    test = parse_into(definition, Findings(asked=asked))
    return test, _suspicions(asked)


def _suspicions(asked: Mapping[str, AskedObject]) -> tuple[str, ...]:
    found = Sentences()
    for path, each in asked.items():
        for name, question in _questions(each):
            found.note(f"{path}: the member {quote(name)} is not known{question}")
    return found.told()


def _questions(asked: AskedObject) -> Iterator[tuple[str, str]]:
    absent = [name for name in asked.names if asked.content.get(name) is None]
    strangers = [name for name in asked.content if isinstance(name, str) and name not in asked.names]
    for name in strangers[:_MOST_STRANGERS]:
        if question := perhaps(name, sorted(absent)):
            yield name, question
