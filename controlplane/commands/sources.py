"""Files and folders of tests → definitions to apply: the forms of `worker.apitest.files`, in JSON or YAML, secrets filled in.

A secret is named, and stands in no file: `{"$env": "NAME"}` is a variable of the environment, `{"$file": "PATH"}` a file beside
the one that names it, without the newline at its end; `{"$stored": true}` is what the control plane has.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import orjson

from controlplane.commands import yamltext
from controlplane.errors import NotYAMLError
from controlplane.operations.tests import SentDefinition
from controlplane.service import definitions, references
from controlplane.service.definitions import CheckedDefinition
from worker.apitest import files
from worker.errors import TestError

SUFFIXES = (".json", *files.LINES, ".yaml", ".yml")
"""Of files that a folder is searched for."""
YAML = (".yaml", ".yml")
MOST_FILES = 100_000
SECRET_BYTES = 64 * 1024
"""Of a file that holds one secret: a certificate with its chain is the largest."""
_SECURE = ("example", "pattern", "value")
"""Members that hold the value beside `secure: true`."""


@dataclass(frozen=True, slots=True)
class Read:
    """Definitions and variables to apply, *mistakes* that keep all of them back, and *remarks* that keep back nothing."""

    definitions: list[SentDefinition] = field(default_factory=list)
    variables: list[SentDefinition] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class VariableEntry:
    """A global variable as it stands in a file."""

    file: str
    index: int
    value: Any

    @property
    def place(self) -> str:
        return f"{self.file}: variables[{self.index}]"


SourceEntry = files.Definition | files.Unusable | VariableEntry


def read(paths: Sequence[Path], environment: Mapping[str, str]) -> Read:
    """Read everything in *paths*, in order."""
    found = Read()
    checked: list[CheckedDefinition] = []
    for entry in _entries(paths):
        if isinstance(entry, files.Unusable):
            found.mistakes.append(str(entry))
            continue
        if isinstance(entry, VariableEntry):
            _variable(entry, environment, found)
        elif (one := _definition(entry, environment, found)) is not None:
            checked.append(one)
    found.mistakes.extend(definitions.conflicts(checked))
    return found


def _variable(entry: VariableEntry, environment: Mapping[str, str], found: Read) -> None:
    mistakes = [f"{path}: {reason}" for path, reason in _literals(entry.value)]
    filled = _Filling(Path(entry.file).parent, environment, mistakes).filled(entry.value)
    if not isinstance(filled, dict):
        mistakes.append("is not a valid object")
    elif any(one.content.get("name") == filled.get("name") for one in found.variables):
        mistakes.append(f"name: {str(filled.get('name'))[:100]!r} is that of another variable too")
    found.mistakes.extend(f"{entry.place}: {mistake}" for mistake in mistakes)
    if not mistakes:
        found.variables.append(SentDefinition(place=entry.place, content=filled))


def _definition(entry: files.Definition, environment: Mapping[str, str], found: Read) -> CheckedDefinition | None:
    content = entry.value
    mistakes = [f"{path}: {reason}" for path, reason in _literals(content)]
    filled = _Filling(Path(entry.file).parent, environment, mistakes).filled(content)
    try:
        checked, misspelt = definitions.check_spelled(entry.place, _unmarked(filled))
    except TestError as error:
        mistakes += error.errors
    found.mistakes.extend(f"{entry.place}: {mistake}" for mistake in mistakes)
    if mistakes:
        return None
    found.remarks.extend(f"{entry.place}: {remark}" for remark in (*entry.remarks, *misspelt))
    found.definitions.append(SentDefinition(place=entry.place, content=filled))
    return checked


def _unmarked(value: Any) -> Any:
    """*value* with a text in place of each mark, for a reader that knows none."""
    if references.is_stored(value):
        return "stored"
    if isinstance(value, list):
        return [_unmarked(each) for each in value]
    return {name: _unmarked(each) for name, each in value.items()} if isinstance(value, dict) else value


def _literals(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Secrets of secure variables that stand in the file themselves."""
    if isinstance(value, list):
        for index, each in enumerate(value):
            yield from _literals(each, f"{path}[{index}]")
    elif isinstance(value, dict):
        for name, each in value.items():
            here = f"{path}.{name}" if path else name
            if value.get("secure") is True and name in _SECURE and isinstance(each, str) and each:
                yield here, 'a secure value stands in no file: name it by {"$env": "NAME"} or {"$file": "PATH"}'
            yield from _literals(each, here)


@dataclass(frozen=True, slots=True)
class _Filling:
    """Secrets for the definitions of a file in *folder*; what cannot be had is among *mistakes*, with its path."""

    folder: Path
    environment: Mapping[str, str]
    mistakes: list[str]

    def filled(self, value: Any, path: str = "") -> Any:
        if isinstance(value, list):
            return [self.filled(each, f"{path}[{index}]") for index, each in enumerate(value)]
        if not isinstance(value, dict):
            return value
        if len(value) == 1 and isinstance(name := value.get("$env"), str):
            return self._of_environment(name, path)
        if len(value) == 1 and isinstance(name := value.get("$file"), str):
            return self._of_file(name, path)
        return {name: self.filled(each, f"{path}.{name}" if path else name) for name, each in value.items()}

    def _of_environment(self, name: str, path: str) -> str:
        found = self.environment.get(name)
        if found is None:
            self.mistakes.append(f"{path}: the environment has no variable {name[:100]!r}")
        return found or ""

    def _of_file(self, name: str, path: str) -> str:
        try:
            with (self.folder / name).open("rb") as file:
                data = file.read(SECRET_BYTES + 1)
            text = data.decode()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "is not a text in UTF-8"
            self.mistakes.append(f"{path}: the file {name[:200]!r}: {reason}")
            return ""
        if len(data) > SECRET_BYTES:
            self.mistakes.append(f"{path}: the file {name[:200]!r} is larger than {SECRET_BYTES} bytes")
        return text.removesuffix("\n").removesuffix("\r")


def _entries(paths: Sequence[Path]) -> Iterator[SourceEntry]:
    for path in paths:
        some = list(_walked(path)) if path.is_dir() else [path]
        if not some:
            yield files.Unusable(file=str(path), reason=f"holds no file that ends with {', '.join(SUFFIXES)}")
        if len(some) > MOST_FILES:
            yield files.Unusable(file=str(path), reason=f"holds more than {MOST_FILES} files")
            continue
        for file in some:
            yield from _held(file)


def _walked(folder: Path) -> Iterator[Path]:
    """The files of a folder and of those in it, in the order of their names; hidden ones are left out, links not followed."""
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(here, name) for name in sorted(names) if name.endswith(SUFFIXES) and not name.startswith("."))


def _held(file: Path) -> Iterator[SourceEntry]:
    try:
        with click.open_file(str(file), "rb") as opened:  # `-` is standard input
            data = opened.read(files.MAX_BYTES + 1)
    except OSError as error:
        yield files.Unusable(file=str(file), reason=error.strerror or "cannot be read")
        return
    if not file.name.endswith(YAML):
        yield from _of_json(str(file), data)
    elif len(data) > files.MAX_BYTES:
        yield files.Unusable(file=str(file), reason=f"is larger than {files.MAX_BYTES} bytes")
    else:
        yield from _of_yaml(str(file), data)


def _variables(file: str, value: Any) -> list[VariableEntry] | None:
    """The variables of a file of them, in the form of the API's list; None where it holds something else."""
    if not isinstance(value, dict) or not isinstance(value.get("variables"), list) or value.keys() - {"variables"}:
        return None
    return [VariableEntry(file, index, each) for index, each in enumerate(value["variables"])]


def _of_json(file: str, data: bytes) -> Iterator[SourceEntry]:
    """Variables are looked for where the file says the word: most files are tests, and decoded once."""
    if b'"variables"' in data and len(data) <= files.MAX_BYTES:
        try:
            found = _variables(file, orjson.loads(data))
        except orjson.JSONDecodeError:
            found = None  # a mistake, or JSON lines: told or read below
        if found is not None:
            yield from found
            return
    yield from files.read(file, data)


def _of_yaml(file: str, data: bytes) -> Iterator[SourceEntry]:
    try:
        held: list[SourceEntry] = []
        for one in yamltext.read(data):
            found = _variables(file, one.value)
            held += files.decoded(file, one.value, one.line) if found is None else found
    except NotYAMLError as error:
        yield files.Unusable(file=file, reason=str(error))
        return
    yield from held or [files.Unusable(file=file, reason="holds no definition")]
