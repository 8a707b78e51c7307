"""`validate FILE…`: say of each definition whether it is an API test, and whether this version can run it. Runs nothing.

All that there is to say of a definition is said at once, mistakes and what this version lacks alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from worker.apitest.files import Definition, Unusable
from worker.apitest.parse import read
from worker.apitest.reading import Findings
from worker.apitest.spelling import misspelt
from worker.errors import ExitCode
from worker.text import counted, json_line, listed, printable

NAME_CHARACTERS = 60
_MARKS: Final = {"valid": "✓", "doubtful": "!", "invalid": "✗"}
MAX_SENTENCE = 500
MAX_SENTENCES = 10
"""Sentences of one sort that are shown of a definition; `--json` has all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Everything to say of one definition, in sentences that begin with a JSON path; see `APITest`."""

    errors: tuple[str, ...] = ()
    requires_update: tuple[str, ...] = ()
    misspelt: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()

    @property
    def doubtful(self) -> bool:
        """True: it is a test, and not the one that was meant, or not for this version."""
        return not self.errors and bool(self.requires_update or self.misspelt)

    @property
    def word(self) -> str:
        return "invalid" if self.errors else "doubtful" if self.doubtful else "valid"


def validate(
    found: Iterable[Definition | Unusable],
    *,
    as_json: bool,
    allow_update: bool = False,
    show: Callable[[str], None],
    complain: Callable[[str], None],
) -> int:
    """Judge each definition, one block each; the exit code. Input that is not a definition at all goes to *complain* instead.

    *allow_update*: what only a newer version may know is not a failure.
    """
    worst = ExitCode.DONE
    counts = Counter[str]()
    for one in found:
        if isinstance(one, Unusable):
            complain(printable(str(one)))
            worst = ExitCode.UNUSABLE
            continue
        judged = judge(one)
        counts[judged.word] += 1
        show(json_line(as_object(one, judged)) if as_json else as_block(one, judged))
        if judged.errors or (judged.doubtful and not allow_update):
            worst = max(worst, ExitCode.FAILED)
    if not as_json and counts.total() > 1:
        show(summary(counts))
    return worst


def judge(definition: Definition) -> Judgement:
    """Read one definition."""
    findings = Findings()
    read(definition.value, findings)
    return Judgement(
        errors=findings.mistakes.told(),
        requires_update=findings.missing.told(),
        misspelt=misspelt(definition.value),
        ignored=(*definition.remarks, *findings.ignored.told()),
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


def as_block(definition: Definition, judged: Judgement) -> str:
    """A line with a mark, the place and the name, and below it one for each sentence."""
    head = f"{_MARKS[judged.word]} {judged.word:<8}  {printable(definition.place)}"
    name = printable(_name(definition), NAME_CHARACTERS)
    sorts = {
        "error": judged.errors,
        "needs update": judged.requires_update,
        "misspelt": judged.misspelt,
        "ignored": judged.ignored,
    }
    below = [
        f"    {sort:<12}  {printable(sentence, MAX_SENTENCE)}"
        for sort, sentences in sorts.items()
        for sentence in listed(sentences, MAX_SENTENCES)
    ]
    return "\n".join([f"{head}  {name}".rstrip(), *below])


def summary(counts: Counter[str]) -> str:
    """`3 definitions: 2 valid, 1 invalid`."""
    words = ", ".join(f"{counts[word]} {word}" for word in _MARKS if counts[word])
    return f"{counted(counts.total(), 'definition')}: {words}"


def _name(definition: Definition) -> str:
    name = definition.value.get("name") if isinstance(definition.value, dict) else None
    return name if isinstance(name, str) else ""
