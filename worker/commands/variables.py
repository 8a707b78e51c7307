"""Variables that a command line gives to tests: `--variable NAME=VALUE`, `--variable NAME`, `--variables FILE`.

What came from the environment is secure, as it is not on the command line, where other users of the machine could read it. No
value stands in any message.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence

from worker.apitest.given import GivenVariables, read_given
from worker.apitest.template import is_name
from worker.apitest.variables import Variable
from worker.config.files import read_file
from worker.config.mistake import Mistake
from worker.errors import ConfigError, ConfigErrors, TestError
from worker.secret import Secret
from worker.text import quoted

ENVIRONMENT: Mapping[str, str] = os.environ  # noqa: TID251  # a command's edge


def given_variables(written: Sequence[str], file: str, environ: Mapping[str, str] = ENVIRONMENT) -> GivenVariables:
    """Read the variables that were *written* as flags, which win, and those of *file*, "" where there is none.

    Raises ConfigErrors with every mistake.
    """
    mistakes: list[ConfigError] = []
    of_file = GivenVariables()
    if file:
        try:
            of_file = _of_file(file)
        except ConfigErrors as found:
            mistakes += found.errors
    flags: dict[str, Variable] = {}
    for text in written:
        try:
            variable = _of_flag(text, environ)
        except ConfigError as found:
            mistakes.append(found)
        else:
            flags[variable.name] = variable
    if mistakes:
        raise ConfigErrors(mistakes)
    return GivenVariables(
        variables=(*(each for each in of_file.variables if each.name not in flags), *flags.values()),
        one_time={name: secret for name, secret in of_file.one_time.items() if name not in flags},
    )


def _of_flag(text: str, environ: Mapping[str, str]) -> Variable:
    name, equals, value = text.partition("=")
    if not (is_name(name) if equals else name.isidentifier()):
        # Without an equals sign it may be a value: that is not repeated.
        what = quoted(name) if equals else "a text without ="
        raise ConfigError(f"{what} is not a valid name of a variable", option="variable", place="flag")
    if equals:
        return Variable(name=name, value=Secret(value))
    if name not in environ:
        reason = f"{quoted(name)} has no value, and the environment has no variable of this name"
        raise ConfigError(reason, option="variable", place="flag")
    return Variable(name=name, value=Secret(environ[name]), secure=True)


def _of_file(path: str) -> GivenVariables:
    place = f"file {path if path.isprintable() else quoted(path)}"
    try:
        return read_given(json.loads(read_file(path, called=quoted(path))))
    except Mistake as mistake:
        raise ConfigErrors([ConfigError(str(mistake), option="variables")]) from None
    except json.JSONDecodeError as error:
        reason = f"is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        raise ConfigErrors([ConfigError(reason, option="variables", place=place)]) from None
    except (ValueError, RecursionError):
        reason = "is not valid JSON: a number is too long, or the nesting too deep"
        raise ConfigErrors([ConfigError(reason, option="variables", place=place)]) from None
    except TestError as error:
        raise ConfigErrors([ConfigError(each, option="variables", place=place) for each in error.errors]) from None
