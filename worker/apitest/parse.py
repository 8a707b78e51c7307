"""JSON of an API test → `APITest`. The only place that reads a definition; everything after it sees frozen values.

Unknown keys are tolerated, unknown meanings are not: what a test asks for and this version cannot do is listed in
`requires_update`, and then nothing is run; what it is run without is listed in `ignored`. Mistakes are told all at once, in one
TestError.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from worker.apitest.assertion import Assertion
from worker.apitest.definition import APITest, StepSource
from worker.apitest.parse_assertion import read_assertion
from worker.apitest.parse_script import read_script
from worker.apitest.protocols.protocol import Protocol
from worker.apitest.protocols.table import PROTOCOLS
from worker.apitest.reading import Findings, Node, perhaps, quote
from worker.apitest.request import DEFAULT_SUBTYPE
from worker.apitest.retry import read_retry
from worker.apitest.scheduling import read_scheduling
from worker.apitest.variables import read_variables
from worker.errors import TestError

if TYPE_CHECKING:
    from worker.apitest.substitution import URLSubstitution

MOST_ASSERTIONS = 20
"""Assertions of one test, the reference system's limit."""
TICK_EVERY = (30, 604_800)
"""Seconds between two runs: half a minute to a week."""
MULTISTEP = "multi"
"""The subtype of a test whose steps are tests of the table's protocols."""
_SUBTYPES = (*PROTOCOLS, MULTISTEP, "playSubTest")
"""Subtypes that a misspelt one may be."""
OTHER_KINDS = ("browser", "mobile", "network")
"""Values of `type` in the reference system's lists whose other members are of other languages: nothing is said of those."""


def parse(definition: object) -> APITest:
    """Read a decoded JSON *definition*. Raises TestError with every mistake in it, whatever the JSON is."""
    return parse_into(definition, Findings())


def parse_rendered(definition: object) -> APITest:
    """Read as `parse` a definition whose templates were replaced: what looks like one now is text."""
    return parse_into(definition, Findings(rendered=True))


def parse_rendered_step(source: StepSource, whole: APITest) -> APITest:
    """Read the request of one step of *whole* whose templates were replaced. Raises TestError."""
    from worker.apitest.parse_steps import read_request_step  # noqa: PLC0415  # few workers see such a test

    findings = Findings(rendered=True)
    step, options = Node(source.step, source.path, findings), Node(source.options, "options", findings)
    test = read_request_step(step, options, whole.subtype, partial(_read_step_test, whole))
    if findings.mistakes or test is None:
        raise TestError(findings.mistakes.told())
    missing = findings.missing.told()
    return replace(test, request=None if missing else test.request, requires_update=missing)


def parse_into(definition: object, findings: Findings) -> APITest:
    """Read as `parse`, into *findings*. Raises TestError."""
    test = read(definition, findings)
    if findings.mistakes:
        raise TestError(findings.mistakes.told())
    return test


def read(definition: object, findings: Findings) -> APITest:
    """Read as `parse`, into *findings*; the value means nothing where there are mistakes."""
    return _test(Node(definition, "$", findings).object(required=True))


def _test(root: Node, parents: tuple[str, ...] = ()) -> APITest:
    """Read a test; *parents* are the public ids of those that play it, its own the last of them."""
    findings = root.findings
    if not root.present:
        return APITest(name="", subtype="")
    kind = root["type"].label()
    if kind != "api" and not findings.mistakes:
        root["type"].mistake("is missing" if kind is None else f"must be 'api', not {quote(kind)}")
        if kind in OTHER_KINDS:
            return APITest(name="", subtype="")
    subtype = root["subtype"].label() or DEFAULT_SUBTYPE
    config, options = root["config"].object(required=True), root["options"].object()
    _people(root)
    test = APITest(
        name=root["name"].label() or "",
        subtype=subtype,
        public_id=root["public_id"].label() or "",
        version=root["version"].whole(0, 2**53) or 1,
        tick_every=options["tick_every"].whole(*TICK_EVERY),
        retry=None if parents else read_retry(options["retry"]),
        scheduling=None if parents else read_scheduling(options["scheduling"]),
    )
    if subtype == MULTISTEP:
        test = _multistep(test, config, options, parents or (test.public_id,))
    elif parents:
        test = _of_one_step(test, root["subtype"], config, options)
    else:
        test = _of_protocol(test, root["subtype"], config, options)
    return replace(
        test,
        request=None if findings.missing else test.request,
        steps=() if findings.missing else test.steps,
        requires_update=findings.missing.told(),
        ignored=findings.ignored.told(),
        source=root.value if test.request and findings.templated and isinstance(root.value, Mapping) else None,
    )


def _of_protocol(test: APITest, name: Node, config: Node, options: Node, *, fewest: int = 1) -> APITest:
    """*test* with the request and the assertions, *fewest* at least, that *config* holds."""
    protocol = PROTOCOLS.get(test.subtype)
    if protocol is None:
        name.requires(f"{quote(test.subtype)} tests are not there yet{perhaps(test.subtype, _SUBTYPES)}")
        return test
    variables = read_variables(config["configVariables"])
    assertions = _assertions(protocol, config, fewest)
    request = config["request"].object(required=config.present)
    asked = protocol.read_request(request, options, assertions)
    return replace(
        test,
        request=None if asked is None else replace(asked, test_id=test.public_id),
        url_substitution=_url_substitution(request["startUrlSubstitutionRegex"])
        if test.subtype == DEFAULT_SUBTYPE
        else None,
        assertions=assertions,
        variables_script=read_script(config["variablesFromScript"]),
        save_response_body=not request["noSavingResponseBody"].flag(),
        variables=variables,
    )


def _url_substitution(node: Node) -> URLSubstitution | None:
    if not node.present:
        return None
    from worker.apitest.substitution import read_substitution  # noqa: PLC0415  # few workers see such a test

    return read_substitution(node)


def _multistep(test: APITest, config: Node, options: Node, parents: tuple[str, ...]) -> APITest:
    from worker.apitest.parse_steps import StepReaders, read_steps  # noqa: PLC0415  # few workers see such a test

    readers = StepReaders(request=partial(_read_step_test, test), subtest=_test, parents=parents)
    variables = read_variables(config["configVariables"])
    script = read_script(config["variablesFromScript"])
    return replace(test, variables=variables, variables_script=script, steps=read_steps(config, options, readers))


def _of_one_step(test: APITest, subtype: Node, config: Node, options: Node) -> APITest:
    """A test of one request that another test plays."""
    from worker.apitest.parse_steps import in_one_step  # noqa: PLC0415  # as above

    return in_one_step(config, options, partial(_of_protocol, test, subtype, config))


def _read_step_test(whole: APITest, step: Node, options: Node, subtype: str) -> APITest:
    """The test that a step of *whole* is: it goes by the id of that."""
    name = step["name"].label() or ""
    test = APITest(name=name, subtype=subtype, public_id=whole.public_id, version=whole.version)
    return _of_protocol(test, step["subtype"], step, options, fewest=0)


def _people(root: Node) -> None:
    """Members that nothing here uses and whose shape is nevertheless part of the language."""
    root["message"].label()
    for member in ("locations", "tags"):
        for item in root[member].items():
            item.label()


def _assertions(protocol: Protocol, config: Node, fewest: int) -> tuple[Assertion, ...]:
    nodes = config["assertions"].items(required=config.present and fewest > 0)
    if isinstance(config["assertions"].value, list) and len(nodes) < fewest:
        config["assertions"].mistake("must hold at least one assertion")
    if len(nodes) > MOST_ASSERTIONS:
        config["assertions"].mistake(f"must hold at most {MOST_ASSERTIONS} assertions, not {len(nodes)}")
        return ()
    read = (read_assertion(protocol, node) for node in nodes)
    return tuple(assertion for assertion in read if assertion is not None)
