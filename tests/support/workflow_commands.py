"""A reader of a step's output as a runner of GitHub Actions reads it: which commands it would obey.

Written from the runner's rules (ActionCommand, ActionCommandManager): `::name key=value,…::data` at the beginning of a line,
blanks aside; the older `##[name key=value;…]data` anywhere in it; and nothing at all between `::stop-commands::TOKEN` and
`::TOKEN::`.
"""

from __future__ import annotations

import re
from typing import NamedTuple

KNOWN = frozenset(
    {"add-mask", "add-matcher", "add-path", "debug", "echo", "endgroup", "error", "group", "notice", "remove-matcher"}
    | {"save-state", "set-env", "set-output", "stop-commands", "warning"}
)
_NEW = re.compile(r"\s*::(?P<name>[^ :]*)(?: (?P<properties>.*?))?::(?P<data>.*)", re.DOTALL)
_OLD = re.compile(r".*?##\[(?P<name>[^ \]]*)(?: (?P<properties>[^\]]*))?\](?P<data>.*)", re.DOTALL)


class Command(NamedTuple):
    """One command that the runner would obey, unescaped."""

    name: str
    properties: dict[str, str]
    data: str


def obeyed(output: str) -> list[Command]:
    """Every command in *output* that counts, without those that stop and resume."""
    found: list[Command] = []
    token: str | None = None
    for line in re.split(r"\r\n|\r|\n", output):
        command = _read(line, _NEW, ",", token) or _read(line, _OLD, ";", token)
        if command is None:
            continue
        if token is not None:
            token = None if command.name == token else token
        elif command.name == "stop-commands":
            token = command.data
        else:
            found.append(command)
    return found


def _read(line: str, form: re.Pattern[str], separator: str, token: str | None) -> Command | None:
    match = form.match(line)
    if match is None or (name := match["name"].lower()) not in (KNOWN if token is None else {*KNOWN, token}):
        return None
    pairs = (pair.partition("=") for pair in (match["properties"] or "").split(separator) if pair)
    return Command(name, {key.strip(): _unescaped(value) for key, _, value in pairs}, _unescaped(match["data"]))


def _unescaped(text: str) -> str:
    for token, replacement in (("\r", "%0D"), ("\n", "%0A"), (":", "%3A"), (",", "%2C"), ("%", "%25")):
        text = text.replace(replacement, token)
    return text
