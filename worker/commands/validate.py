"""`validate FILE…`: say of each definition whether it is an API test, and what of it this version cannot do. Runs nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from worker.apitest.files import Definition, Unusable
from worker.apitest.parse import parse
from worker.errors import ExitCode, TestError
from worker.text import json_line, printable

NAME_CHARACTERS = 60
LINE_CHARACTERS = 2000


def validate(
    found: Iterable[Definition | Unusable],
    *,
    as_json: bool,
    show: Callable[[str], None],
    complain: Callable[[str], None],
) -> int:
    """Judge each definition, one line each; the exit code. Input that is not a definition at all goes to *complain* instead."""
    worst = ExitCode.DONE
    for one in found:
        if isinstance(one, Unusable):
            complain(printable(str(one)))
            worst = ExitCode.UNUSABLE
            continue
        verdict = judge(one)
        show(json_line(verdict) if as_json else _line(one, verdict))
        if not verdict["ok"]:
            worst = max(worst, ExitCode.FAILED)
    return worst


def judge(definition: Definition) -> dict[str, Any]:
    """The JSON of one definition's verdict."""
    value = definition.value
    name = value.get("name") if isinstance(value, dict) else None
    errors: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    try:
        test = parse(value)
        missing, ignored = test.requires_update, test.ignored
    except TestError as error:
        errors = error.errors
    where = {"line": definition.line} if definition.line is not None else {"index": definition.index or 0}
    return {
        "file": definition.file,
        **where,
        "name": name if isinstance(name, str) else "",
        "ok": not errors,
        "errors": list(errors),
        "requires_update": list(missing),
        "ignored": list(ignored),
    }


def _line(definition: Definition, verdict: dict[str, Any]) -> str:
    mark = "✓ valid  " if verdict["ok"] else "✗ invalid"
    text = f"{mark}  {printable(definition.place)}  {printable(verdict['name'], NAME_CHARACTERS)}"
    if verdict["errors"]:
        return f"{text}: {printable('; '.join(verdict['errors']), LINE_CHARACTERS)}"
    if verdict["requires_update"]:
        return f"{text}: needs a newer worker: {printable('; '.join(verdict['requires_update']), LINE_CHARACTERS)}"
    if verdict["ignored"]:
        return f"{text}: {printable('; '.join(verdict['ignored']), LINE_CHARACTERS)}"
    return text
