"""docs/test-language.md and the parser know the same language."""

from __future__ import annotations

import json
import re

import pytest

from tests.support.checkout import ROOT
from worker.apitest.assertion import Elements, Operator, Subject
from worker.apitest.built_ins import MAX_LENGTH
from worker.apitest.parse import MOST_ASSERTIONS, TICK_EVERY, parse
from worker.apitest.protocols.dns import RECORD_TYPES
from worker.apitest.protocols.http import METHODS
from worker.apitest.template import MAX_INSERTED
from worker.apitest.variables import MAX_DECLARED, MAX_VALUE, VariableKind
from worker.checks import limits
from worker.checks.schema import VALIDATORS
from worker.work.preparation import MAX_SECURE

PAGE = (ROOT / "docs" / "test-language.md").read_text()
TEXT = " ".join(PAGE.split())
"""The page without its breaks of lines."""
WORDS = set(re.findall(r"[\w.-]+", PAGE))


def test_the_example_of_the_page_is_a_valid_test_that_can_be_run() -> None:
    (example,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    test = parse(json.loads(example))
    assert (test.requires_update, len(test.assertions)) == ((), 2)


@pytest.mark.parametrize(
    "word",
    [
        *(each.value for enumeration in (Operator, Subject, Elements, VariableKind) for each in enumeration),
        *METHODS,
        *RECORD_TYPES,
        *VALIDATORS,
    ],
)
def test_every_word_of_the_language_is_on_the_page(word: str) -> None:
    assert word in WORDS


@pytest.mark.parametrize(
    "bound",
    [
        f"1 to {MOST_ASSERTIONS}",
        f"{TICK_EVERY[0]} to {TICK_EVERY[1]:,} seconds",
        f"{limits.MAX_PATTERN:,} characters",
        f"{limits.MAX_PATH:,} characters",
        f"{limits.MAX_SCRIPT:,} characters",
        f"{limits.MAX_SCRIPT_LOG:,} characters",
        f"{limits.MAX_SCRIPT_VARIABLES} variables of {limits.MAX_SCRIPT_VARIABLES_TEXT:,} characters",
        f"{limits.MAX_SCHEMA // 1024} KiB",
        f"cut at {limits.SHOWN} characters",
        f"up to {MAX_DECLARED} [variables]",
        f"at most {MAX_VALUE // 1024} Ki characters",
        f"at most {MAX_INSERTED // 1024**2} MiB",
        f"1 to {MAX_LENGTH:,}; another text",
        f"at most {MAX_SECURE:,} characters",
    ],
)
def test_every_bound_of_the_language_is_on_the_page(bound: str) -> None:
    assert bound in TEXT
