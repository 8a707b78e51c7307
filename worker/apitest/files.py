"""The bytes of a definition file → the definitions in it: every form in which the reference system's tools export tests.

| form | written by |
|---|---|
| one JSON object, an array, JSON lines | the API's reply to one test, people |
| `{"tests": [{…}]}` | the API's list |
| `{"tests": [{"localTestDefinition": {…}, "testOverrides": {…}}]}` | the CI client; overrides are laid over each test |
| `{"tests": [{"local_test_definition": {…}, "config": {…}}]}` | the same by its earlier versions |
| `{"abc-def-ghi#7": {…}}` | the tool that copies from one organisation to another (datadog-sync-cli) |

It opens nothing, and does not ask what a definition means: `parse` does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Final, TypeGuard

import orjson

from worker.apitest.overrides import RULES, overridden
from worker.errors import TestError
from worker.text import printable

MAX_BYTES = 64 * 1024 * 1024
"""Largest file: some ten thousand large definitions."""
LINES = (".jsonl", ".ndjson")
_TERRAFORM: Final = (
    "holds Terraform's own form of tests, which only its provider reads: export the tests themselves, with the CI client"
    " (`datadog-ci synthetics import-tests -p PUBLIC_ID -f FILE`) or from the API (GET /api/v1/synthetics/tests/PUBLIC_ID)"
)
_IDENTITIES: Final = ("id", "public_id")
_LOCAL: Final = ("localTestDefinition", "local_test_definition")
"""Names under which the CI client writes a definition."""
_PARTS: Final = frozenset({"type", "config", *_LOCAL})
"""Members of which a definition has at least one."""
_CONTENTS: Final = frozenset({"request", "assertions", "steps"})
"""Members of which the `config` of a definition has at least one; earlier versions of the CI client gave overrides that name."""
_SHOWN: Final = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """One decoded definition and where it stood: the *line* of a JSON-lines file, the *index* in an array, both, or neither.

    *skipped*: its file says that it is not to be run. *remarks* name what the file says besides and has no effect.
    """

    file: str
    value: object
    line: int | None = None
    index: int | None = None
    skipped: bool = False
    remarks: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        return _place(self.file, self.line, self.index)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unusable:
    """A file, or a part of one, that holds no definition at all. *reason* in one sentence."""

    file: str
    reason: str
    line: int | None = None
    index: int | None = None

    def __str__(self) -> str:
        return f"{_place(self.file, self.line, self.index)}: {self.reason}"


def _place(file: str, line: int | None, index: int | None) -> str:
    return f"{file}{'' if line is None else f':{line}'}{'' if index is None else f'[{index}]'}"


def read(file: str, data: bytes) -> Iterator[Definition | Unusable]:
    """Yield everything that *data*, the content of *file*, holds, in order; an `Unusable` for what cannot be used."""
    found = list(_read(file, data.removeprefix(b"\xef\xbb\xbf")))
    yield from found or [Unusable(file=file, reason="holds no definition")]


def _read(file: str, data: bytes) -> Iterator[Definition | Unusable]:
    if len(data) > MAX_BYTES:
        yield Unusable(file=file, reason=f"is larger than {MAX_BYTES} bytes")
        return
    if PurePath(file).suffix == ".tf":
        yield Unusable(file=file, reason=_TERRAFORM)
        return
    if PurePath(file).suffix in LINES or _is_json_lines(data):
        yield from _lines(file, data)
        return
    try:
        content = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        yield Unusable(file=file, reason=_not_json(error))
        return
    yield from decoded(file, content)


def decoded(file: str, content: object, line: int | None = None) -> Iterator[Definition | Unusable]:
    """Yield everything that is in *content*, a value that begins at *line* of *file*, whatever it was written in."""
    match content:
        case dict():
            yield from _entries(file, content, line)
        case list():
            for index, value in enumerate(content):
                yield _entry(file, value, line, index)
        case _:
            yield Unusable(file=file, line=line, reason="holds neither a JSON object nor an array of them")


def _is_json_lines(data: bytes) -> bool:
    """True when the first line with anything in it is a whole JSON object, and there is more behind it."""
    first, _, rest = data.lstrip().partition(b"\n")
    try:
        return bool(rest.strip()) and isinstance(orjson.loads(first), dict)
    except orjson.JSONDecodeError:
        return False


def _lines(file: str, data: bytes) -> Iterator[Definition | Unusable]:
    for number, line in enumerate(data.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            yield Unusable(file=file, line=number, reason=_not_json(error, line=number))
        else:
            yield from _entries(file, value, number)


def _entries(file: str, value: object, line: int | None = None) -> Iterator[Definition | Unusable]:
    """The members of a list of tests, or of an object of them, or *value* itself."""
    if isinstance(value, dict) and isinstance(value.get("tests"), list) and not _PARTS & value.keys():
        for index, entry in enumerate(value["tests"]):
            yield _entry(file, entry, line, index)
    elif _is_by_identity(value):
        for index, entry in enumerate(value.values()):
            yield _entry(file, entry, line, index)
    else:
        yield _entry(file, value, line)


def _is_by_identity(value: object) -> TypeGuard[Mapping[str, Any]]:
    """True for an object whose members are definitions, by names of their own."""
    if not isinstance(value, dict) or not value or _PARTS & value.keys():
        return False
    return all(isinstance(each, dict) and {"type", "config"} <= each.keys() for each in value.values())


def _entry(file: str, value: object, line: int | None = None, index: int | None = None) -> Definition | Unusable:
    if isinstance(value, dict):
        if reason := _no_definition(value):
            return Unusable(file=file, reason=reason, line=line, index=index)
        local = next((name for name in _LOCAL if name in value), None)
        if local is not None and not _is_definition(value):
            return _local(file, value, local, line, index)
    return Definition(file=file, value=value, line=line, index=index)


def _no_definition(value: Mapping[str, Any]) -> str | None:
    """The reason why an object is another thing that tools write."""
    if "type" in value or any(name in value for name in _LOCAL) or ("config" in value and _is_definition(value)):
        return None
    if "terraform_version" in value or "planned_values" in value or "resource" in value:
        return _TERRAFORM
    name = next((value[each] for each in _IDENTITIES if isinstance(value.get(each), str)), None)
    if name is None or ("config" in value and not isinstance(value["config"], dict)):
        return None
    shown = printable(name, _SHOWN)
    return (
        f"names the test {shown} and does not hold it: import it with `datadog-ci synthetics import-tests -p {shown} -f FILE`,"
        " and give the file that this writes"
    )


def _is_definition(value: Mapping[str, Any]) -> bool:
    """True where `config` is that of a test, and not the overrides of one."""
    config = value.get("config")
    return isinstance(config, dict) and bool(_CONTENTS & config.keys())


def _local(
    file: str, value: Mapping[str, Any], name: str, line: int | None, index: int | None
) -> Definition | Unusable:
    """A definition that the CI client imported as *name*, with its overrides."""
    test = value[name]
    if not isinstance(test, dict):
        return Unusable(file=file, reason=f"{name}: must be an object", line=line, index=index)
    overrides = "testOverrides" if "testOverrides" in value else "config"
    try:
        found = overridden(_with_config_variables(test), value.get(overrides), path=overrides)
    except TestError as error:
        return Unusable(file=file, reason=str(error), line=line, index=index)
    rule = (f"executionRule: {found.rule} has no effect: a failure counts",) if found.rule == RULES[1] else ()
    remarks = (*found.ignored, *rule)
    skipped = found.rule == RULES[2]
    return Definition(file=file, value=found.test, line=line, index=index, skipped=skipped, remarks=remarks)


def _with_config_variables(test: dict[str, Any]) -> dict[str, Any]:
    """The CI client's own name of `config.configVariables` is `config.variables`."""
    config = test.get("config")
    if not isinstance(config, dict) or "variables" not in config or config.get("configVariables"):
        return test
    return {**test, "config": {**config, "configVariables": config["variables"]}}


def _not_json(error: orjson.JSONDecodeError, line: int = 0) -> str:
    return f"is not valid JSON: {error.msg} at line {line or error.lineno}, column {error.colno}"
