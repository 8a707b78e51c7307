"""A row of the table of protocols, as far as `checks` is concerned."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from worker.apitest.assertion import Comparison, Subject
from worker.apitest.definition import APITest
from worker.apitest.protocols.protocol import Protocol
from worker.apitest.result import AssertionResult, Verdict
from worker.checks.evidence import Evidence
from worker.checks.operators import Search

ComparisonJudge: TypeAlias = Callable[[Comparison, Evidence, Search], AssertionResult]
"""Judges a plain comparison. Raises JudgementError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolChecks:
    """*judges* has a judge for every assertion type of *protocol* that takes operators of plain comparison.

    *report* turns a response of that protocol into the `response` object of a result.
    """

    protocol: Protocol
    judges: Mapping[Subject, ComparisonJudge]
    report: Callable[[APITest, Any, Verdict], dict[str, Any]]
