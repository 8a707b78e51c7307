"""Precedence: flags over environment over file over defaults: one value an option, with the place that it came from.

Checks every value that was given, also one that a stronger source replaces, so that a mistake does not wait for the day on
which the stronger one goes. Within one source, two names of an option must agree. Knows no rule between two different options.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from worker.config.files import read_file
from worker.config.kinds import meaning
from worker.config.mistake import Mistake
from worker.config.option import Option, Source, ValueKind, Written
from worker.config.options import DEFAULT_CONFIG, OPTIONS
from worker.config.sources import OWN_FLAGS, Given, SourceFindings, read_command_line, read_config, read_environment
from worker.config.written import from_json, from_text
from worker.errors import ConfigError


class Setting(Struct, frozen=True, kw_only=True):
    """One option's effective value, and where it came from: "default", "flag", "environment DATADOG_SITE", "file /etc/…".

    *value* is None and *place* empty for an option without default that nobody gave.
    """

    option: Option
    value: Any = None
    place: str = ""


class Merged(Struct, frozen=True, kw_only=True):
    """Every option's setting by its primary name, in the order of the table, and the mistakes in any of them.

    *config* is the path of the config file; it may be absent unless someone named it.
    """

    settings: Mapping[str, Setting]
    mistakes: tuple[ConfigError, ...]
    warnings: tuple[str, ...]
    config: str
    config_absent: bool


def merge(argv: Sequence[str], environ: Mapping[str, str]) -> Merged:
    """Read all sources and lay them over each other. Never raises for what an operator wrote: mistakes are listed."""
    flags = read_command_line(argv).findings
    variables = read_environment(environ)
    path, chosen = _config_path(flags, variables)
    file = read_config(path, must_exist=chosen)
    settings = {option.name: _default(option) for option in OPTIONS if option.name not in OWN_FLAGS}
    mistakes: list[ConfigError] = []
    for findings in (file, variables, flags):
        mistakes.extend(findings.mistakes)
        for option, given in _by_option(findings.given):
            try:
                settings[option.name] = _settle(option, given)
            except ConfigError as mistake:
                mistakes.append(mistake)
    return Merged(
        settings=settings,
        mistakes=tuple(mistakes),
        warnings=(*file.warnings, *variables.warnings, *flags.warnings, *_passwords_in_flags(flags.given)),
        config=path,
        config_absent=file.absent,
    )


def _config_path(flags: SourceFindings, variables: SourceFindings) -> tuple[str, bool]:
    """The path of the config file, and whether someone chose it. A disagreement about it is found later, as any other."""
    for findings in (flags, variables):
        for given in findings.given:
            if given.name.option.name == "config":
                return str(given.value), True
    return DEFAULT_CONFIG, False


def _default(option: Option) -> Setting:
    if option.default is None:
        return Setting(option=option)
    return Setting(option=option, value=meaning(option, option.default), place="default")


def _by_option(given: Iterable[Given]) -> Iterable[tuple[Option, list[Given]]]:
    table: dict[str, list[Given]] = {}
    for one in given:
        table.setdefault(one.name.option.name, []).append(one)
    return ((members[0].name.option, members) for members in table.values())


def _settle(option: Option, given: Sequence[Given]) -> Setting:
    """The value that one source gives to *option*. Raises ConfigError."""
    last = given[-1]
    written = [(one, _written(one)) for one in given]
    if option.many and last.source is Source.FLAG and len({one.name.text for one in given}) == 1:
        written = [(last, tuple(item for _, part in written for item in _members(part)))]
    for other, value in written[:-1]:
        if value != written[-1][1]:
            raise _disagreement(option, other, last)
    try:
        return Setting(option=option, value=meaning(option, written[-1][1]), place=last.place)
    except Mistake as mistake:
        raise ConfigError(str(mistake), option=last.name.text, place=last.place) from None


def _members(part: Written) -> tuple[str, ...]:
    assert isinstance(part, tuple)
    return part


def _disagreement(option: Option, one: Given, other: Given) -> ConfigError:
    if one.name == other.name and one.place == other.place:
        return ConfigError("is given twice, with different values", option=one.name.text, place=one.place)
    if one.source is Source.ENVIRONMENT:
        return ConfigError("these mean the same and differ", option=option.name, place=f"{one.place}, {other.place}")
    reason = f"{one.name.text} and {other.name.text} mean the same and differ"
    return ConfigError(reason, option=option.name, place=one.place)


def _written(given: Given) -> Written:
    try:
        if given.name.of_file:
            return from_text(given.name.option, _mounted(given.value))
        if isinstance(given.value, str) and given.source is not Source.FILE:
            return from_text(given.name.option, given.value)
        return from_json(given.name.option, given.value)
    except Mistake as mistake:
        raise ConfigError(str(mistake), option=given.name.text, place=given.place) from None


def _mounted(path: object) -> str:
    """The content of a `…File` path. The path is not repeated: it may be the secret itself, put into the wrong option."""
    if not isinstance(path, str):
        raise Mistake("must be a string, the path of a file")
    return read_file(path, called="the file it names")


def _passwords_in_flags(given: Iterable[Given]) -> Iterable[str]:
    for one in given:
        if one.name.option.kind is ValueKind.PROXY and not one.name.of_file and "@" in str(one.value):
            yield (
                f"{one.name.text} holds a password and is a flag, which other users of the machine can read: use"
                f" {one.name.option.variables[0]} or {one.name.option.file_name}"
            )
