"""Workflows: a named list of one to twenty steps, each one action on one runner, and what starts them; and their reading.

There are no branches, no loops and nothing at once. Reading asks nobody: which tests, runners and secrets there are is not known
here. Every mistake names its place.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

import msgspec

from controlplane.actions.templates import Reference, references
from controlplane.errors import UnusableError
from worker.wire.actionwords import PATH_BEGINS, PROGRAMS, ActionName, plain_name

MAX_BYTES: Final = 256 * 1024
"""A definition as JSON: each of its runs keeps a copy."""
MOST_STEPS: Final = 20
MOST_TRIGGERS: Final = 20
URL_INPUTS: Final = {"http.request": frozenset({"url"})}
"""Inputs that are URLs: values stand in their paths and queries, percent-encoded."""
_UNITS: Final = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}
_TIME: Final = re.compile(r"([0-9]{1,9})(s|m|min|h|d)")
_RATE: Final = re.compile(r"([1-9][0-9]{0,3})/(m|min|h|d)")
_PLACE: Final = re.compile(r"(.*) - at `\$\.?(.*)`", re.DOTALL)

ShortName = Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=r"\A[A-Za-z0-9][A-Za-z0-9_-]*\Z")]
Named = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class StepRetry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Further attempts at a step that failed, each *wait_s* seconds after the one before: only where its effect allows it."""

    times: Annotated[int, msgspec.Meta(ge=1, le=10)]
    wait_s: Annotated[int, msgspec.Meta(ge=0, le=3600)] = 0


class WorkflowStep(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One action. *runner* is the workflow's where none is said; *within* and *timeout* are seconds, as of a run."""

    name: ShortName
    action: ActionName
    runner: Named | None = None
    connection: Named | None = None
    input: dict[str, Any] = {}
    select: Annotated[str, msgspec.Meta(min_length=1, max_length=16_384)] | None = None
    within: Annotated[int, msgspec.Meta(ge=1, le=86_400)] = 300
    timeout: Annotated[int, msgspec.Meta(ge=1, le=3600)] = 3600
    retry: StepRetry | None = None
    on_failure: Literal["end", "continue"] = "end"


class TransitionTrigger(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A test that begins to fail, or passes again. *id* is its name or public id.

    *after* are failed runs in a row at one location; *cooldown* and *at_most* bound the runs over all of them.
    """

    id: Named
    on: Literal["failed", "recovered"]
    after: Annotated[int, msgspec.Meta(ge=1, le=100)] = 1
    cooldown: Annotated[str, msgspec.Meta(max_length=20)] = "0s"
    at_most: Annotated[str, msgspec.Meta(max_length=20)] | None = None

    @property
    def cooldown_ms(self) -> int:
        return _milliseconds(self.cooldown)

    @property
    def rate(self) -> tuple[int, int] | None:
        """The most runs, and the milliseconds in which they may be made."""
        if self.at_most is None:
            return None
        most, _, unit = self.at_most.partition("/")
        return int(most), _UNITS[unit] * 1000


class HookTrigger(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request from elsewhere, proven by the secret of this name."""

    verify: Literal["bearer", "hmac-sha256", "slack"]
    secret: ShortName


class WorkflowTrigger(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Exactly one of *test* and *hook*. *params* are the run's, with templates of `trigger`."""

    test: TransitionTrigger | None = None
    hook: HookTrigger | None = None
    params: dict[str, Any] = {}


class Workflow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A definition that was read. *params* is the JSON Schema of what its callers may say; without it they say nothing."""

    name: ShortName
    runner: Named
    description: Annotated[str, msgspec.Meta(max_length=2000)] = ""
    params: dict[str, Any] = msgspec.field(default_factory=lambda: {"type": "object", "additionalProperties": False})
    triggers: Annotated[tuple[WorkflowTrigger, ...], msgspec.Meta(max_length=MOST_TRIGGERS)] = ()
    steps: Annotated[tuple[WorkflowStep, ...], msgspec.Meta(min_length=1, max_length=MOST_STEPS)]

    @property
    def secrets(self) -> tuple[str, ...]:
        """The names of the secrets that its hooks need."""
        return tuple(dict.fromkeys(one.hook.secret for one in self.triggers if one.hook is not None))


def read(value: Any) -> Workflow:
    """Read a definition. Raises UnusableError with the place of the first mistake."""
    try:
        workflow = msgspec.convert(value, Workflow)
    except msgspec.ValidationError as error:
        raise UnusableError(_placed(str(error))) from error
    if len(encode(workflow)) > MAX_BYTES:
        raise UnusableError(f"the workflow is larger than {MAX_BYTES} bytes")
    workflow = msgspec.structs.replace(workflow, steps=tuple(_short(step) for step in workflow.steps))
    for index, trigger in enumerate(workflow.triggers):
        _check_trigger(trigger, f"triggers[{index}]")
    seen: list[str] = []
    for index, step in enumerate(workflow.steps):
        place = f"steps[{index}]"
        if step.name in seen:
            raise UnusableError(f"{place}.name: {step.name!r} is the name of an earlier step too")
        _check_step(step, place, seen, workflow.params)
        seen.append(step.name)
    return workflow


def encode(workflow: Workflow) -> bytes:
    """Write a definition as JSON, as it is kept."""
    return msgspec.json.encode(workflow)


def decode(data: bytes) -> Workflow:
    """Read a definition that was kept."""
    return msgspec.json.decode(data, type=Workflow)


def _short(step: WorkflowStep) -> WorkflowStep:
    return msgspec.structs.replace(step, action=plain_name(step.action))


def _placed(text: str) -> str:
    """msgspec's own sentence with the place before it, as everywhere."""
    found = _PLACE.fullmatch(text)
    return f"the workflow is not valid: {text}" if found is None else f"{found[2]}: {found[1]}"


def _check_trigger(trigger: WorkflowTrigger, place: str) -> None:
    if (trigger.test is None) == (trigger.hook is None):
        raise UnusableError(f"{place}: is not a valid trigger: expected test or hook")
    for found in references(trigger.params, f"{place}.params"):
        if found.parts[0] != "trigger":
            raise UnusableError(f"{found.place}: {'.'.join(found.parts)!r} is not known yet: expected trigger.NAME")
    if trigger.test is not None:
        if _TIME.fullmatch(trigger.test.cooldown) is None:
            raise UnusableError(f"{place}.test.cooldown: {trigger.test.cooldown!r} is not a valid time: expected 15m")
        if trigger.test.at_most is not None and _RATE.fullmatch(trigger.test.at_most) is None:
            raise UnusableError(f"{place}.test.at_most: {trigger.test.at_most!r} is not a valid rate: expected 3/d")


def _check_step(step: WorkflowStep, place: str, earlier: Sequence[str], params: dict[str, Any]) -> None:
    for name in PROGRAMS.get(step.action, ()):
        if any(True for _ in references(step.input.get(name), f"{place}.input.{name}")):
            raise UnusableError(f"{place}.input.{name}: a program takes no templates: give values as its parameters")
    for found in references(step.input, f"{place}.input"):
        _check_reference(found, earlier, params)
    for name in URL_INPUTS.get(step.action, ()):
        _check_url(step.input.get(name), f"{place}.input.{name}")


def _check_url(url: Any, place: str) -> None:
    """Raises UnusableError for a URL whose host, or the beginning of whose path, a caller would choose."""
    if isinstance(url, str) and any(True for _ in references(url, place)) and not PATH_BEGINS.match(url):
        raise UnusableError(
            f"{place}: templates may stand in the path and the query of a URL alone: write its beginning"
        )


def _check_reference(found: Reference, earlier: Sequence[str], params: dict[str, Any]) -> None:
    root, name = found.parts[:2]
    if root == "steps" and name not in earlier:
        raise UnusableError(f"{found.place}: {name!r} is not the name of an earlier step")
    if root == "steps" and found.parts[2:3] != ("outputs",):
        raise UnusableError(f"{found.place}: {'.'.join(found.parts)!r} is not valid: expected steps.{name}.outputs")
    known = params.get("properties")
    if root == "params" and not (isinstance(known, dict) and name in known):
        raise UnusableError(f"{found.place}: {name!r} is not a property of params")


def _milliseconds(text: str) -> int:
    """Read `90s`, `15m`, `2h` or `7d`."""
    found = _TIME.fullmatch(text)
    return 0 if found is None else int(found[1]) * _UNITS[found[2]] * 1000
