"""A test with templates → the test of one run, in which values stand in their places.

What is replaced are the texts of `config.request` and `config.assertions`; scripts see variables by other ways, so their code
stays as it is. The result is read anew by the reader of all definitions, to which braces that came from a value are text.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from worker.apitest.definition import APITest, StepSource
from worker.apitest.parse import parse_rendered, parse_rendered_step
from worker.apitest.template import Namespace, render

_PARTS: Final = ("request", "assertions")
_SCRIPTS: Final = frozenset({"code"})
"""Members of an assertion that hold a script."""


def rendered(test: APITest, namespace: Namespace) -> APITest:
    """Return *test* with its templates replaced; *test* itself where it has none.

    Raises TemplateError for templates without a value, TestError where what became of the definition is no valid test.
    """
    if test.source is None:
        return test
    config = test.source["config"]
    values = render({name: _templates_of(config[name]) for name in _PARTS if name in config}, namespace, path="config")
    for assertion, written in zip(values["assertions"], config["assertions"], strict=True):
        assertion.update({name: written[name] for name in _SCRIPTS if name in written})
    return parse_rendered({**test.source, "config": {**config, **values}})


def rendered_step(source: StepSource, whole: APITest, namespace: Namespace) -> APITest:
    """Return the test that a step is, *whole* before, with its templates replaced. Raises as `rendered` does."""
    step = source.step
    parts = {name: _templates_of(step[name]) for name in (*_PARTS, "extractedValues") if name in step}
    values = render(parts, namespace, path=source.path)
    for assertion, written in zip(values.get("assertions", ()), step.get("assertions", ()), strict=True):
        assertion.update({name: written[name] for name in _SCRIPTS if name in written})
    return parse_rendered_step(replace(source, step={**step, **values}), whole)


def _templates_of(part: Any) -> Any:
    """The request as it is, or the assertions without their scripts."""
    if not isinstance(part, list):
        return part
    return [{name: value for name, value in each.items() if name not in _SCRIPTS} for each in part]
