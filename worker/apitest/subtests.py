"""Puts the definitions of subtests into the tests that play them, so that a definition is whole wherever it goes. Reads no file.

The same on both sides of the wire, and in `check`: who has many definitions makes one out of those that belong together. What
cannot be found stays as it is, for the reader to name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

SUBTEST = "playSubTest"
"""The subtype of a step that plays another test."""
DEEPEST = 2
"""Levels of subtests below a test, the reference system's bound."""

FindDefinition: TypeAlias = Callable[[str], object]
"""From a public id to the definition that bears it, None where there is none."""


def subtest_ids(definition: object) -> Iterator[str]:
    """The public ids of the tests that *definition* plays itself, and does not hold."""
    for step in _steps(definition):
        public_id = _wanted(step)
        if public_id is not None:
            yield public_id


def embed(definition: object, find: FindDefinition) -> object:
    """*definition* with each subtest that *find* knows in its step's `subtest`, two levels down. Nothing is changed in place.

    A test that is played within itself is left out: there is no end to it.
    """
    return _embedded(definition, find, (), DEEPEST)


def _embedded(definition: object, find: FindDefinition, parents: tuple[str, ...], deeper: int) -> object:
    if not isinstance(definition, Mapping) or not any(map(_wanted, _steps(definition))):
        return definition
    own = definition.get("public_id")
    around = (*parents, own) if isinstance(own, str) else parents
    steps = [_step(step, find, around, deeper) for step in _steps(definition)]
    return {**definition, "config": {**definition["config"], "steps": steps}}


def _step(step: object, find: FindDefinition, parents: tuple[str, ...], deeper: int) -> object:
    public_id = _wanted(step)
    if public_id is None or not isinstance(step, Mapping) or public_id in parents or not deeper:
        return step
    found = find(public_id)
    if found is None:
        return step
    return {**step, "subtest": _embedded(found, find, (*parents, public_id), deeper - 1)}


def _steps(definition: object) -> list[object]:
    config = definition.get("config") if isinstance(definition, Mapping) else None
    steps = config.get("steps") if isinstance(config, Mapping) else None
    return list(steps) if isinstance(steps, list | tuple) else []


def _wanted(step: object) -> str | None:
    """The public id of the subtest that *step* plays and does not hold."""
    if not isinstance(step, Mapping) or step.get("subtype") != SUBTEST or step.get("subtest") is not None:
        return None
    public_id = step.get("subtestPublicId")
    return public_id if isinstance(public_id, str) and public_id else None
