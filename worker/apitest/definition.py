"""A parsed API test: what to ask, what to demand, and what of it this version cannot do yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from worker.apitest.assertion import Assertion
from worker.apitest.extraction import Extraction
from worker.apitest.request import ProbeRequest
from worker.apitest.retry import Retry
from worker.apitest.scheduling import Scheduling
from worker.apitest.variables import DeclaredVariable

if TYPE_CHECKING:  # few workers see such a test
    from worker.apitest.substitution import URLSubstitution


@dataclass(frozen=True, slots=True, kw_only=True)
class APITest:
    """A test, or the test that is a step. It is runnable exactly when *requires_update* is empty, each entry of which names
    what is missing: then it has *steps*, or else a *request*.

    *public_id* is empty for a definition that no control plane has named yet. *tick_every* in seconds, None if absent.
    *variables_script* runs before the request. *ignored* names what the definition says and nobody here does: the test is run
    without it. *scheduling* is for whoever schedules it.

    *source* is the JSON of a test with templates, else None. Its *request* and *assertions* hold the templates as they are
    written: each run has its own, made by `templated.rendered`.
    """

    name: str
    subtype: str
    public_id: str = ""
    version: int = 1
    request: ProbeRequest | None = None
    url_substitution: URLSubstitution | None = None
    """Changes the URL of an HTTP *request* before it is asked."""
    assertions: tuple[Assertion, ...] = ()
    extractions: tuple[Extraction, ...] = ()
    """Values for the steps behind this one."""
    steps: tuple[APIStep, ...] = ()
    """Of a multistep test, in order."""
    retry: Retry | None = None
    """Executions after one that failed; None for one execution."""
    tick_every: int | None = None
    scheduling: Scheduling | None = None
    variables_script: str = ""
    save_response_body: bool = True
    requires_update: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    variables: tuple[DeclaredVariable, ...] = ()
    source: Mapping[str, Any] | None = field(default=None, repr=False)


class Wait(Struct, frozen=True, kw_only=True):
    """A step that lets *seconds* pass."""

    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class APIStep:
    """One step of a multistep test. *action* is a request with its assertions, a wait, or a whole test played within this one.

    A step that fails ends its test, unless *allow_failure*; then the test fails with it only if *is_critical*, and goes on.
    """

    name: str
    subtype: str
    action: APITest | Wait
    identifier: str = ""
    allow_failure: bool = False
    is_critical: bool = False
    exit_if_succeed: bool = False
    """The test ends with this step where it passes; the rest is skipped."""
    always_execute: bool = False
    """Run also when an earlier step has ended the test."""
    persist_cookies: bool = False
    """Send and keep the cookies that the test's steps share."""
    values_script: str = ""
    """Runs on the response and sets variables for the steps behind it."""
    retry: Retry | None = None
    source: StepSource | None = field(default=None, repr=False)
    """None for a step without templates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSource:
    """The JSON of a step with templates, the options that its test has, and its *path* in the definition."""

    step: Mapping[str, Any]
    options: object
    path: str
