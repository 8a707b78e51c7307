"""API-test definitions as the control plane stores them: valid, named, and with a period."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from controlplane.alerts import rule
from controlplane.frames import is_time_zone
from worker.apitest.definition import APITest
from worker.apitest.parse import parse
from worker.apitest.spelling import parse_spelled
from worker.errors import TestError

MAX_DEFINITION_CHARACTERS = 8 * 1024 * 1024
"""One definition: it must fit a reply of 16 MiB sealed, beside others."""
AT_ONCE = 25
"""Definitions that are read in one turn of the loop: some milliseconds."""
MISTAKES_SHOWN = 50
"""Lines of mistakes: more than a person mends at once, few enough to keep the first ones on the screen."""

PUBLIC_ID_ALPHABET = "abcdefghijklmnopqrstuvwxyz23456789"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedDefinition:
    """A valid definition. *place* is its origin, for error lines."""

    place: str
    content: dict[str, Any]
    parsed: APITest


def check(place: str, content: object) -> CheckedDefinition:
    """Read the decoded JSON *content* of a definition. Raises TestError with every mistake in it."""
    return _scheduled(place, content, parse(content))


def check_spelled(place: str, content: object) -> tuple[CheckedDefinition, tuple[str, ...]]:
    """Read as `check`, and tell what is `misspelt`, in one reading. Raises TestError."""
    parsed, suspicions = parse_spelled(content)
    return _scheduled(place, content, parsed), suspicions


def _scheduled(place: str, content: object, parsed: APITest) -> CheckedDefinition:
    """Check what the test language leaves open and a schedule does not."""
    mistakes = []
    if not parsed.name.strip():
        mistakes.append("name: is missing")
    if parsed.tick_every is None:
        mistakes.append("options.tick_every: is missing: a scheduled test needs its period in seconds")
    if parsed.public_id and not is_public_id(parsed.public_id):
        mistakes.append(f"public_id: {parsed.public_id[:40]!r} has not the form xxx-xxx-xxx of [a-z2-9]")
    if parsed.scheduling is not None and not is_time_zone(parsed.scheduling.timezone):
        mistakes.append(f"options.scheduling.timezone: {parsed.scheduling.timezone!r} is not a known time zone")
    if len(json.dumps(content)) > MAX_DEFINITION_CHARACTERS:
        mistakes.append(f"$: is larger than {MAX_DEFINITION_CHARACTERS} characters")
    assert isinstance(content, dict), "parse lets nothing else through"
    mistakes += rule.mistakes(content)
    if mistakes:
        raise TestError(mistakes)
    if ignored := rule.ignored(content):
        parsed = replace(parsed, ignored=(*parsed.ignored, *ignored))
    return CheckedDefinition(place=place, content=content, parsed=parsed)


def conflicts(definitions: Sequence[CheckedDefinition]) -> list[str]:
    """A line for each definition that would overwrite an earlier one: by its public id, or by its name where one has no id."""
    lines = []
    ids: dict[str, CheckedDefinition] = {}
    names: dict[str, CheckedDefinition] = {}
    for one in definitions:
        first = ids.setdefault(one.parsed.public_id, one) if one.parsed.public_id else one
        if first is not one:
            lines.append(f"{one.place}: public_id: {one.parsed.public_id!r} is that of {first.place} too")
            continue
        first = names.setdefault(one.parsed.name, one)
        if first is not one and not (first.parsed.public_id and one.parsed.public_id):
            lines.append(f"{one.place}: name: {one.parsed.name!r} is that of {first.place} too; give each a public_id")
    return lines


def public_id() -> str:
    """Make an id of the reference system's form: three times three of [a-z2-9]."""
    number = secrets.randbelow(len(PUBLIC_ID_ALPHABET) ** 9)  # one question to the system, not nine
    letters = ""
    for _ in range(9):
        number, at = divmod(number, len(PUBLIC_ID_ALPHABET))
        letters += PUBLIC_ID_ALPHABET[at]
    return f"{letters[:3]}-{letters[3:6]}-{letters[6:]}"


def is_public_id(text: str) -> bool:
    parts = text.split("-")
    return len(parts) == 3 and all(len(part) == 3 and set(part) <= set(PUBLIC_ID_ALPHABET) for part in parts)
