"""`config.steps` of a multistep test → its steps. What a request or a whole test says is read by functions that are handed in.

A subtest stands in its step's member `subtest`, put there by whoever has the definitions (`subtests`). One that does not is
missing, no mistake: the definition is right, and there is nothing to run. Nothing here resolves a public id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from worker.apitest.definition import APIStep, APITest, StepSource, Wait
from worker.apitest.parse_extraction import read_extractions
from worker.apitest.parse_script import read_script
from worker.apitest.reading import Node, quote
from worker.apitest.retry import read_retry
from worker.apitest.subtests import DEEPEST, SUBTEST

MOST_STEPS = 100
"""Steps of one test, those of its subtests counted: the reference system takes ten by default, more on request."""
LONGEST_WAIT = 180
"""Seconds, the reference system's bound."""
WAIT = "wait"

ReadRequest: TypeAlias = Callable[[Node, Node, str], APITest | None]
"""From a step, the options that hold for it, and its subtype to the test that it is."""
ReadTest: TypeAlias = Callable[[Node, tuple[str, ...]], APITest]
"""From the definition of a subtest, and the public ids of the tests around it, outermost first, to the test."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReaders:
    """The two readers of what is more than a step, *parents* being the public ids of the test and those around it."""

    request: ReadRequest
    subtest: ReadTest
    parents: tuple[str, ...]


def read_steps(config: Node, options: Node, readers: StepReaders) -> tuple[APIStep, ...]:
    nodes = config["steps"].items(required=config.present)
    if isinstance(config["steps"].value, list) and not nodes:
        config["steps"].mistake("must hold at least one step")
    if len(readers.parents) == 1 and (steps := sum(1 for _ in _all_steps(config.value, DEEPEST))) > MOST_STEPS:
        config["steps"].mistake(f"must hold at most {MOST_STEPS} steps, those of subtests counted, not {steps}")
        return ()
    found = [_with_source(node, options, readers) for node in nodes]
    return tuple(step for step in found if step is not None)


def in_one_step(config: Node, options: Node, read_request: Callable[[Node], APITest]) -> APITest:
    """Read a test of one request as a test of one step: its *config* has the members of a step.

    *read_request* reads it by the options that hold for it.
    """
    findings = config.findings
    before, findings.templated = findings.templated, False
    test = read_request(_options_of(options, config["request"]))
    step = APIStep(
        name=test.name,
        subtype=test.subtype,
        action=test,
        persist_cookies=_persists_cookies(config),
        source=_source(config, options),
    )
    findings.templated = findings.templated or before
    return replace(test, request=None, url_substitution=None, assertions=(), steps=(step,))


def _with_source(node: Node, options: Node, readers: StepReaders) -> APIStep | None:
    """The step, and its JSON where a text in it that would be executed holds a template."""
    findings = node.findings
    before, findings.templated = findings.templated, False
    step = read_step(node, options, readers)
    if step is not None and step.subtype != SUBTEST:
        step = replace(step, source=_source(node, options))
    findings.templated = findings.templated or before
    return step


def _source(node: Node, options: Node) -> StepSource | None:
    """The JSON of the step that was just read, where it has templates."""
    if not node.findings.templated or not isinstance(node.value, Mapping):
        return None
    return StepSource(step=node.value, options=options.value, path=node.path)


def _persists_cookies(step: Node) -> bool:
    return bool(step["request"].present and step["request"]["persistCookies"].flag())


def read_step(node: Node, options: Node, readers: StepReaders) -> APIStep | None:
    """Read one step; None for a mistake, and for what is missing."""
    step = node.object(required=True)
    subtype = step["subtype"].label()
    if not step.present or not subtype:
        if step.present:
            step["subtype"].mistake("is missing" if subtype is None else "is empty")
        return None
    action = _action(step, options, subtype, readers)
    read = APIStep(
        name=step["name"].label() or "",
        subtype=subtype,
        action=action or Wait(seconds=0),
        identifier=step["id"].label() or "",
        allow_failure=bool(step["allowFailure"].flag()),
        is_critical=bool(step["isCritical"].flag()),
        exit_if_succeed=bool(step["exitIfSucceed"].flag()),
        always_execute=bool(step["alwaysExecute"].flag()),
        persist_cookies=_persists_cookies(step),
        values_script=read_script(step["extractedValuesFromScript"]),
        retry=read_retry(step["retry"]),
    )
    return None if action is None else read


def _action(step: Node, options: Node, subtype: str, readers: StepReaders) -> APITest | Wait | None:
    if subtype == WAIT:
        return _wait(step["value"])
    if subtype == SUBTEST:
        return _subtest(step, readers)
    return read_request_step(step, options, subtype, readers.request)


def read_request_step(step: Node, options: Node, subtype: str, read_request: ReadRequest) -> APITest | None:
    """Read the test that a step is, with what it extracts."""
    test = read_request(step, _options_of(options, step["request"]), subtype)
    extractions = read_extractions(step["extractedValues"])
    return None if test is None else replace(test, extractions=extractions)


def _wait(node: Node) -> Wait | None:
    if not node.present:
        node.mistake("is missing")
        return None
    seconds = node.number()
    if seconds is None:
        return None
    if not 0 <= seconds <= LONGEST_WAIT:
        node.mistake(f"must be from 0 to {LONGEST_WAIT} seconds")
        return None
    return Wait(seconds=float(seconds))


def _subtest(step: Node, readers: StepReaders) -> APITest | None:
    public_id = step["subtestPublicId"].label()
    if not public_id:
        step["subtestPublicId"].mistake("is missing" if public_id is None else "is empty")
        return None
    if public_id in readers.parents:
        step["subtestPublicId"].mistake(f"the test {quote(public_id)} plays itself")
        return None
    if len(readers.parents) > DEEPEST:
        step["subtestPublicId"].mistake(f"subtests go {DEEPEST} levels deep at most")
        return None
    definition = step["subtest"]
    if not definition.present:
        step["subtestPublicId"].requires(f"the subtest {quote(public_id)} is not part of this definition")
        return None
    return readers.subtest(definition, (*readers.parents, public_id))


def _options_of(options: Node, request: Node) -> Node:
    """The test's options less those that the step's request says otherwise: of a step, the request decides."""
    if not isinstance(options.value, Mapping):
        return options
    left = {name: value for name, value in options.value.items() if not request[name].present}
    return Node(left, options.path, options.findings)


def _all_steps(config: object, deeper: int) -> Iterator[object]:
    """Every step within *config*, subtests' *deeper* levels down; whatever the JSON is."""
    steps = config.get("steps") if isinstance(config, Mapping) else None
    for step in steps if isinstance(steps, list | tuple) else ():
        yield step
        subtest = step.get("subtest") if isinstance(step, Mapping) else None
        if deeper and isinstance(subtest, Mapping):
            yield from _all_steps(subtest.get("config"), deeper - 1)
