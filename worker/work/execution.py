"""One execution of a test's request, as values: what was seen, what it means, and the worker's own trouble on the way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

from worker.apitest.definition import APITest
from worker.apitest.observation import Observation
from worker.apitest.result import AssertionResult, Verdict

if TYPE_CHECKING:
    from worker.net.http.cookies import Cookies


class Execution(Struct, frozen=True, kw_only=True):
    """*extracted* has one result for each extraction of the test, or none where there was no response to look at.

    A msgspec struct, because one is made in each run.
    """

    verdict: Verdict
    observation: Observation
    extracted: tuple[AssertionResult, ...] = ()
    trouble: str | None = None


Execute: TypeAlias = "Callable[[APITest, Cookies | None], Awaitable[Execution]]"
"""Executes a test that has a request, with the cookies that it shares with others. Raises nothing that a target can cause."""
