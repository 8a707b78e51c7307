"""Runs with variables, before and after: values take the places of templates, and secure values are taken out of the result.

A run without variables does not import it. What takes long, many secure values or long texts, is done in a thread, so that the
event loop goes on.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from random import Random
from typing import Any, Final

from msgspec import Struct

from worker.apitest.built_ins import BuiltIns
from worker.apitest.definition import APITest
from worker.apitest.given import GivenVariables
from worker.apitest.one_time import DEFAULT_REFRESH, OneTimeSecret
from worker.apitest.redaction import Redaction
from worker.apitest.result import Result
from worker.apitest.templated import rendered
from worker.apitest.variables import Variable, Variables, resolve
from worker.errors import TemplateError, TestError
from worker.outcome.failure import Failure
from worker.secret import Secret
from worker.wire.messages import Job
from worker.work.scripts import NO_SCRIPT, RunScript, SetVariables, informed

MAX_SECURE: Final = 256 * 1024
"""Characters of all secure values of a run: to make their spellings takes up to a second of a processor."""
_AT_ONCE: Final = 2_000
"""Characters of secure values whose spellings are made on the event loop: some two milliseconds."""
_LOOKED_AT: Final = 20_000
"""Characters of a result, times secure values, that are looked through on the event loop: less than a millisecond."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """The *test* of one run, and what to take out of its result. *mistakes*: it cannot be run with these variables.

    *failure* is that of its script, *trouble* the worker's own in running that.
    """

    test: APITest
    redaction: Redaction
    built_in: BuiltIns
    variables: Variables = field(default_factory=Variables)
    secrets: tuple[Secret[str], ...] = ()
    mistakes: TestError | None = None
    failure: Failure | None = None
    trouble: str | None = None


def given_in(job: Job) -> GivenVariables:
    """The variables that came with *job*."""
    values = {name: Secret(value) for name, value in job.variables.items()}
    secure = frozenset(job.secure)
    return GivenVariables(
        variables=tuple(
            Variable(name=name, value=value, secure=name in secure)
            for name, value in values.items()
            if name not in job.one_time
        ),
        one_time={
            name: OneTimeSecret(key=values[name], digits=each.digits, refresh=each.refresh or DEFAULT_REFRESH)
            for name, each in job.one_time.items()
            if name in values
        },
    )


async def prepare(
    test: APITest, given: GivenVariables | None, at: datetime, random: Random, result_id: str, run: RunScript
) -> Preparation:
    """Resolve the variables of a run that starts *at* this moment, *run* its script, and put the values into *test*.

    A run without a *result_id*, as one of `check`, gets a random one.
    """
    identity = result_id or str(uuid.UUID(int=random.getrandbits(128), version=4))
    built_in = BuiltIns(at=at, random=random, public_id=test.public_id, result_id=identity)
    given = given or GivenVariables()
    try:
        variables = resolve(test.variables, given.at(at), built_in)
    except TemplateError as error:
        redaction = await _redaction_of(given.keys())
        return Preparation(test=_nameless(test), redaction=redaction, built_in=built_in, mistakes=error)
    script: SetVariables = NO_SCRIPT
    overwritten: tuple[Secret[str], ...] = ()
    if test.variables_script and not test.requires_update:
        script = (await run(test.variables_script, variables.known)).at("config.variablesFromScript")
        # What was secure stays so: the value that a script gives to its name may hold it.
        names = {each.name for each in script.variables}
        overwritten = tuple(each.value for each in variables.known if each.secure and each.name in names)
        variables = variables.assigned(script.variables)
    secrets = (*overwritten, *variables.secrets(), *given.keys())
    if length_of(secrets) > MAX_SECURE:
        return Preparation(test=_nameless(test), redaction=Redaction(()), built_in=built_in, mistakes=too_much())
    redaction = await _redaction_of(secrets)
    named = replace(test, name=redaction.text(test.name)) if redaction else test
    prepared = Preparation(
        test=named,
        redaction=redaction,
        built_in=built_in,
        variables=variables,
        secrets=secrets,
        failure=script.failure,
        trouble=script.trouble,
    )
    if script.failure is not None:
        return prepared
    try:
        ready = rendered(test, variables.namespace(built_in))
    except TestError as error:
        return replace(prepared, mistakes=error)
    return replace(prepared, test=replace(informed(ready, variables.known), name=named.name))


async def hiding(run: Preparation, secrets: Sequence[Secret[str]]) -> Preparation:
    """Return *run* with *secrets* among those that its result may not hold."""
    if not secrets:
        return run
    return replace(run, redaction=await _redaction_of((*run.secrets, *secrets)), secrets=(*run.secrets, *secrets))


def too_much() -> TemplateError:
    """The mistake of secure values that take longer to be found than a run may."""
    return TemplateError([f"$: the secure variables of one run hold more than {MAX_SECURE} characters"])


def length_of(secrets: Iterable[Secret[str]]) -> int:
    """Characters of all *secrets*."""
    return sum(len(secret.reveal()) for secret in secrets)


async def _redaction_of(secrets: Sequence[Secret[str]]) -> Redaction:
    return Redaction(secrets) if length_of(secrets) <= _AT_ONCE else await asyncio.to_thread(Redaction, secrets)


async def redacted(result: Result, run: Preparation) -> Result:
    """Return *result* without the secure values of its *run*."""
    redaction = run.redaction
    if not redaction:
        return result
    if _characters(result) * redaction.size <= _LOOKED_AT:
        return redaction(result)
    return await asyncio.to_thread(redaction, result)


def hidden(error: Exception, run: Preparation | None) -> Exception:
    """An error that can be logged for *error*, which ended *run* or, where that is None, its preparation."""
    message = run.redaction.text(str(error)) if run else "its message may hold a value"
    return RuntimeError(f"{type(error).__name__}: {message}").with_traceback(error.__traceback__)


def _nameless(test: APITest) -> APITest:
    return replace(test, name="")


def _characters(value: Any) -> int:
    match value:
        case str():
            return len(value)
        case Struct():
            return sum(_characters(getattr(value, name)) for name in value.__struct_fields__)
        case dict():
            return sum(len(name) + _characters(each) for name, each in value.items())
        case list() | tuple():
            return sum(map(_characters, value))
    return 0
