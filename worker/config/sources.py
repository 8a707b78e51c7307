"""Sources read: the command line, the environment and the config file, each as a list of givens under their options.

Knows names, aliases, nesting and the forms in which flags arrive from shells; knows neither precedence nor what a value means.
Every mistake is collected, so that a person sees all of them at once. It parses the command line itself, because the published
forms are no library's: `-f=json`, `--flag` and `--flag=true`, `-vvv` as a level, options on both sides of the command.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct

from worker.config.files import read_file
from worker.config.mistake import AbsentFile, Mistake
from worker.config.option import OptionName, Source, Unused, ValueKind, variable
from worker.config.options import NAMES, OPTIONS, UNUSED_BY_NAME
from worker.config.written import from_text
from worker.errors import ConfigError
from worker.text import nearest, quoted

COMMANDS = ("run", "check", "validate", "policy", "doctor", "spool")
OPERANDS = {"check": "FILE", "validate": "FILE", "policy": "HOST"}
"""The operands of a command; `spool` has its own, and the others take nothing."""
SPOOL_ACTIONS = ("list", "push", "drop")
COMMANDS_OF = {
    "json": ("check", "validate", "policy", "doctor", "spool list"),
    "failuresOnly": ("check",),
    "github": ("check",),
    "watch": ("check",),
    "trace": ("check",),
    "junit": ("check",),
    "variable": ("check",),
    "variables": ("check",),
    "allowUpdate": ("validate",),
}
"""The commands that obey a flag which not all of them know."""
SWITCHES = {option.name for option in OPTIONS if option.kind is ValueKind.BOOLEAN}
SHORT = {option.short: option.name for option in OPTIONS if option.short}
ABBREVIATIONS = {short: option.name for option in OPTIONS for short in option.abbreviations}
PREFIXES = {name.rpartition(".")[0] for name in NAMES if "." in name}
SCHEMA_KEY = "$schema"
"""A key for editors, not an option."""


class Given(Struct, frozen=True, kw_only=True):
    """One value as it was found: text, or from the file any JSON value. *place* is what a message says of where."""

    name: OptionName
    source: Source
    place: str
    value: object


class SourceFindings(Struct, frozen=True, kw_only=True):
    """All that one source holds, mistakes and warnings included. *absent*: a config file that nobody named does not exist."""

    given: tuple[Given, ...] = ()
    mistakes: tuple[ConfigError, ...] = ()
    warnings: tuple[str, ...] = ()
    absent: bool = False


class CommandLine(Struct, frozen=True, kw_only=True):
    """A command, what it is to work on, and the flags. *switches* are the flags that a command itself obeys and that are on,
    *values* those with a value, *lists* those that may be repeated.
    """

    command: str
    operands: tuple[str, ...]
    switches: frozenset[str]
    values: Mapping[str, str]
    lists: Mapping[str, Sequence[str]]
    findings: SourceFindings


def read_command_line(argv: Sequence[str]) -> CommandLine:
    """Read the arguments after the program's name. Never raises: mistakes are among the findings."""
    reader = _Flags(list(argv))
    reader.read()
    reader.check_operands()
    return CommandLine(
        command=reader.command or "run",
        operands=tuple(reader.operands),
        switches=frozenset(reader.switches),
        values=reader.values,
        lists=reader.lists,
        findings=SourceFindings(
            given=tuple(reader.given), mistakes=tuple(reader.mistakes), warnings=tuple(dict.fromkeys(reader.warnings))
        ),
    )


@dataclass(slots=True)
class _Flags:
    """One pass over the arguments. A word that is not a flag is the command if there is none yet, and an operand afterwards."""

    rest: list[str]
    command: str = ""
    operands: list[str] = field(default_factory=list)
    switches: set[str] = field(default_factory=set)
    values: dict[str, str] = field(default_factory=dict)
    lists: dict[str, list[str]] = field(default_factory=dict)
    given: list[Given] = field(default_factory=list)
    mistakes: list[ConfigError] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    level: int = 0

    def read(self) -> None:
        while self.rest:
            word = self.rest.pop(0)
            if word == "--":
                for operand in self.rest:
                    self._word(operand)
                break
            if word.startswith("--"):
                self._long(word)
            elif word.startswith("-") and word != "-":
                self._short(word)
            else:
                self._word(word)
        if self.level:
            self._add("verbosity", str(self.level))

    def check_operands(self) -> None:
        if self.command == "?":
            return
        self._check_own_flags()
        if self.command == "spool":
            if len(self.operands) != 2 or self.operands[0] not in SPOOL_ACTIONS:
                self._mistake(f"needs {'|'.join(SPOOL_ACTIONS)} and one DIRECTORY", self.command)
            return
        wanted = OPERANDS.get(self.command)
        if wanted and not self.operands:
            self._mistake(f"needs at least one {wanted}", self.command)
        if not wanted and self.operands:
            self._mistake("takes no further arguments (repeat a flag to give it several values)", self.command or "run")

    def _check_own_flags(self) -> None:
        spoken = f"spool {self.operands[0]}" if self.command == "spool" and self.operands else self.command
        for flag, commands in COMMANDS_OF.items():
            if (flag in self.switches or flag in self.values or flag in self.lists) and spoken not in commands:
                *others, last = commands
                self._mistake(f"is for {', '.join(others)} and {last}" if others else f"is for {last}", flag)

    def _word(self, word: str) -> None:
        """Take a word that is not a flag. A stray one is not repeated: it may be the value of a misspelt secret."""
        if self.command:
            self.operands.append(word)
        elif word in COMMANDS:
            self.command = word
        else:
            self.command = "?"
            meant = nearest(word, COMMANDS, likeness=0.6)
            hint = f"did you mean {meant}?" if meant else f"there are {', '.join(COMMANDS)}"
            self.mistakes.append(ConfigError(f"unknown command: {hint}", place="command line"))

    def _long(self, word: str) -> None:
        text, equals, value = word[2:].partition("=")
        text = ABBREVIATIONS.get(text, text)
        unused = UNUSED_BY_NAME.get(text)
        if unused:
            self.warnings.append(_not_used(unused, "flag"))
            if unused.takes_value and not equals:
                self._next_value()
        elif text not in NAMES:
            self._unknown(text, follows=not equals)
        elif text in SWITCHES:
            self._switch(text, value if equals else self._next_truth())
        else:
            self._valued(text, value if equals else self._next_value())

    def _short(self, word: str) -> None:
        letter, equals, value = word[1:].partition("=")
        if set(letter) == {"v"} and not equals:
            self.level += len(letter)
        elif letter not in SHORT or letter == "v":
            self._unknown(word[1:].partition("=")[0], follows=False, dashes="-")
        elif SHORT[letter] in SWITCHES:
            self._switch(SHORT[letter], value if equals else "true")
        else:
            self._valued(SHORT[letter], value if equals else self._next_value())

    def _valued(self, text: str, value: str | None) -> None:
        name = NAMES[text]
        if Source.FLAG not in name.sources:
            cure = f"use {variable(name.text)}, the config file or --{name.option.file_name}"
            self._mistake(f"is never given by flag, where other users of the machine can read it: {cure}", text)
        elif value is None:
            self._mistake("needs a value", text)
        elif text in OWN_FLAGS:
            self._own_value(text, value)
        else:
            self._add(text, value)

    def _own_value(self, text: str, value: str) -> None:
        if NAMES[text].option.many:
            self.lists.setdefault(text, []).append(value)
            return
        if text in self.values:
            self._mistake("is given twice", text)
        elif not value:
            self._mistake("is empty", text)
        self.values[text] = value

    def _switch(self, text: str, value: str) -> None:
        if text not in OWN_FLAGS:
            self._add(text, value)
            return
        try:
            if from_text(NAMES[text].option, value):
                self.switches.add(text)
        except Mistake as mistake:
            self._mistake(str(mistake), text)

    def _add(self, text: str, value: str) -> None:
        self.given.append(Given(name=NAMES[text], source=Source.FLAG, place="flag", value=value))

    def _next_value(self) -> str | None:
        """The next word, unless it is itself one of our flags: a value may begin with a dash, as a PEM text does."""
        if not self.rest or _is_flag(self.rest[0]):
            return None
        return self.rest.pop(0)

    def _next_truth(self) -> str:
        return self.rest.pop(0) if self.rest and self.rest[0] in ("true", "false") else "true"

    def _unknown(self, text: str, *, follows: bool, dashes: str = "--") -> None:
        """Skip a value that follows, so that it is neither taken for a command nor repeated in a message."""
        if follows and self.rest and not _is_flag(self.rest[0]) and self.rest[0] not in COMMANDS:
            self.rest.pop(0)
        reason = f"unknown flag {quoted(dashes + text)}{_nearest(text, Source.FLAG)}"
        self.mistakes.append(ConfigError(reason, place="flag"))

    def _mistake(self, reason: str, option: str) -> None:
        self.mistakes.append(ConfigError(reason, option=option, place="flag" if option in NAMES else "command line"))


OWN_FLAGS = frozenset({"help", "version", "dumpConfig", *COMMANDS_OF})
"""Flags that a command obeys by itself, before any config is read."""


def read_environment(environ: Mapping[str, str]) -> SourceFindings:
    """Look up every variable of every option. An empty one is not given: compose files and charts leave such behind."""
    given = []
    for text, name in NAMES.items():
        if Source.ENVIRONMENT not in name.sources:
            continue
        published = name.option.environment if text == name.option.name else ()
        for key in (variable(text), *published):
            value = environ.get(key, "").strip()
            if value:
                given.append(Given(name=name, source=Source.ENVIRONMENT, place=f"environment {key}", value=value))
    return SourceFindings(given=tuple(given), warnings=tuple(_near_misses(environ)))


def read_config(path: str, *, must_exist: bool) -> SourceFindings:
    """Read the config file. Never raises: an unreadable file is a mistake like another."""
    place = f"file {path if path.isprintable() else quoted(path)}"
    try:
        text = read_file(path, called=quoted(path))
    except Mistake as mistake:
        if isinstance(mistake, AbsentFile) and not must_exist:
            return SourceFindings(absent=True)
        return SourceFindings(mistakes=(ConfigError(str(mistake), option="config"),))
    try:
        content = _parse(text)
    except Mistake as mistake:
        return SourceFindings(mistakes=(ConfigError(f"{quoted(path)} {mistake}", option="config"),))
    given: list[Given] = []
    mistakes: list[ConfigError] = []
    warnings: list[str] = []
    for key, value in _flattened(content):
        if key in NAMES and Source.FILE in NAMES[key].sources:
            given.append(Given(name=NAMES[key], source=Source.FILE, place=place, value=value))
        elif key in UNUSED_BY_NAME:
            warnings.append(_not_used(UNUSED_BY_NAME[key], place))
        elif key in PREFIXES:
            members = " or ".join(quoted(name.rpartition(".")[2]) for name in NAMES if name.startswith(f"{key}."))
            mistakes.append(ConfigError(f"must be an object that holds {members}", option=key, place=place))
        elif key in NAMES:
            mistakes.append(ConfigError("cannot be set in the config file", option=key, place=place))
        elif key != SCHEMA_KEY:
            mistakes.append(ConfigError(f"unknown key {quoted(key)}{_nearest(key, Source.FILE)}", place=place))
    return SourceFindings(given=tuple(given), mistakes=tuple(mistakes), warnings=tuple(warnings))


def _parse(text: str) -> dict[str, Any]:
    try:
        content = json.loads(text, object_pairs_hook=_without_duplicates, parse_constant=_refused_constant)
    except json.JSONDecodeError as error:
        raise Mistake(f"is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    except Mistake:
        raise
    except (ValueError, RecursionError):
        raise Mistake("is not valid JSON: a number is too long, or the nesting too deep") from None
    if not isinstance(content, dict):
        raise Mistake("must be a JSON object")
    return content


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse two equal keys: JSON parsers keep the last, and half of what the person wrote would silently not count."""
    content = dict(pairs)
    if len(content) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise Mistake(f"holds the key {quoted(twice)} twice")
    return content


def _refused_constant(text: str) -> None:
    raise Mistake(f"is not valid JSON: {text} is not a number")


def _flattened(content: Mapping[str, Any]) -> Iterable[tuple[str, object]]:
    """Nested keys as dotted ones: {"publicKey": {"pem": …}} and {"publicKey.pem": …} are the same."""
    for key, value in content.items():
        if key in PREFIXES and isinstance(value, dict):
            for inner, member in value.items():
                yield f"{key}.{inner}", member
        else:
            yield key, value


def _is_flag(word: str) -> bool:
    text = word.lstrip("-").partition("=")[0]
    if word.startswith("--"):
        return text in NAMES or text in ABBREVIATIONS or text in UNUSED_BY_NAME
    return word.startswith("-") and (text in SHORT or set(text) == {"v"})


def _not_used(unused: Unused, place: str) -> str:
    return f"{unused.name} is accepted and not used: {unused.why} ({place})"


def _nearest(text: str, source: Source) -> str:
    """The question whether the name known to *source* that is most like *text* was meant."""
    found = nearest(text, (name.text for name in NAMES.values() if source in name.sources), likeness=0.6)
    return f": did you mean {'--' if source is Source.FLAG else ''}{found}?" if found else ""


def _near_misses(environ: Mapping[str, str]) -> Iterable[str]:
    """Warn of likely slips. Unknown variables are allowed: Kubernetes puts its service links there."""
    known = [variable(text) for text, name in NAMES.items() if Source.ENVIRONMENT in name.sources]
    for key in sorted(environ):
        if key.startswith("SYNTHETICS_") and key not in known:
            found = nearest(key, known, likeness=0.93)
            if found:
                yield f"the environment variable {quoted(key)} is not read: did you mean {found}?"
