"""`validate FILE…`: say of each definition whether it is an API test, and whether this version can run it. Runs nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from worker.apitest.files import Definition, Unusable
from worker.apitest.parse import parse
from worker.apitest.spelling import misspelt
from worker.errors import ExitCode, TestError
from worker.text import json_line, listed, printable

NAME_CHARACTERS = 60
LINE_CHARACTERS = 2000
LINE_SENTENCES = 10
"""Sentences of one definition in its line; `--json` has all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Everything to say of one definition, in sentences that begin with a JSON path; see `APITest`."""

    errors: tuple[str, ...] = ()
    requires_update: tuple[str, ...] = ()
    misspelt: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()

    @property
    def doubtful(self) -> bool:
        """It is a test, and not the one that was meant, or not for this version."""
        return not self.errors and bool(self.requires_update or self.misspelt)


def validate(
    found: Iterable[Definition | Unusable],
    *,
    as_json: bool,
    allow_update: bool = False,
    show: Callable[[str], None],
    complain: Callable[[str], None],
) -> int:
    """Judge each definition, one line each; the exit code. Input that is not a definition at all goes to *complain* instead.

    *allow_update*: what only a newer version may know is not a failure.
    """
    worst = ExitCode.DONE
    for one in found:
        if isinstance(one, Unusable):
            complain(printable(str(one)))
            worst = ExitCode.UNUSABLE
            continue
        judged = judge(one)
        show(json_line(as_object(one, judged)) if as_json else as_line(one, judged))
        if judged.errors or (judged.doubtful and not allow_update):
            worst = max(worst, ExitCode.FAILED)
    return worst


def judge(definition: Definition) -> Judgement:
    """Read one definition."""
    suspects = misspelt(definition.value)
    try:
        test = parse(definition.value)
    except TestError as error:
        return Judgement(errors=error.errors, misspelt=suspects)
    return Judgement(
        requires_update=test.requires_update, misspelt=suspects, ignored=(*definition.remarks, *test.ignored)
    )


def as_object(definition: Definition, judged: Judgement) -> dict[str, Any]:
    """The JSON of one definition's judgement. *ok*: this version can run it, and it says nothing that nobody understands."""
    where = {"line": definition.line} if definition.line is not None else {"index": definition.index or 0}
    return {
        "file": definition.file,
        **where,
        "name": _name(definition),
        "ok": not (judged.errors or judged.doubtful),
        "valid": not judged.errors,
        "errors": list(judged.errors),
        "requires_update": list(judged.requires_update),
        "misspelt": list(judged.misspelt),
        "ignored": list(judged.ignored),
    }


def as_line(definition: Definition, judged: Judgement) -> str:
    """A mark, the place, the name, and every sentence."""
    mark = "✗ invalid " if judged.errors else "! doubtful" if judged.doubtful else "✓ valid   "
    text = f"{mark}  {printable(definition.place)}  {printable(_name(definition), NAME_CHARACTERS)}"
    parts = [
        *_part("", (*judged.errors, *judged.misspelt)),
        *_part("it will end as REQUIRES_UPDATE: ", judged.requires_update),
        *_part("", judged.ignored),
    ]
    return f"{text}: {'; '.join(parts)}" if parts else text


def _part(before: str, sentences: tuple[str, ...]) -> list[str]:
    if not sentences:
        return []
    return [before + printable("; ".join(listed(sentences, LINE_SENTENCES)), LINE_CHARACTERS)]


def _name(definition: Definition) -> str:
    name = definition.value.get("name") if isinstance(definition.value, dict) else None
    return name if isinstance(name, str) else ""
