"""A row of the table of protocols, as far as `checks` is concerned."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import Struct

from worker.apitest.assertion import Comparison, Subject
from worker.apitest.observation import ProbeResponse
from worker.apitest.result import AssertionResult, Verdict
from worker.checks.evidence import Evidence
from worker.checks.operators import Search

if TYPE_CHECKING:
    from worker.apitest.definition import APITest

ComparisonJudge: TypeAlias = Callable[[Comparison, Evidence, Search], AssertionResult]
"""Judges a plain comparison. Raises JudgementError."""


class ProtocolChecks(Struct, frozen=True, kw_only=True):
    """*judges* has a judge for every assertion type of the protocol of *response* that takes operators of plain comparison.

    *report* turns a response of that protocol into the `response` object of a result.
    """

    response: type[ProbeResponse]
    judges: Mapping[Subject, ComparisonJudge]
    report: Callable[[APITest, Any, Verdict], dict[str, Any]]
