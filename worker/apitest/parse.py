"""JSON of an API test → `APITest`. The only place that reads a definition; everything after it sees frozen values.

Unknown keys are tolerated, unknown meanings are not: what a test asks for and this version cannot do is listed in
`requires_update`, and then nothing is run; what it is run without is listed in `ignored`. Mistakes are told all at once, in one
TestError.
"""

from __future__ import annotations

from dataclasses import replace

from worker.apitest.assertion import Assertion
from worker.apitest.definition import APITest
from worker.apitest.parse_assertion import read_assertion
from worker.apitest.protocols.protocol import Protocol
from worker.apitest.protocols.table import PROTOCOLS
from worker.apitest.reading import Findings, Node, perhaps, quote
from worker.apitest.scheduling import read_scheduling
from worker.errors import TestError

MOST_ASSERTIONS = 20
"""Assertions of one test, the reference system's limit."""
TICK_EVERY = (30, 604_800)
"""Seconds between two runs: half a minute to a week."""
DEFAULT_SUBTYPE = "http"


def parse(definition: object) -> APITest:
    """Read a decoded JSON *definition*. Raises TestError with every mistake in it, whatever the JSON is."""
    findings = Findings()
    test = read(definition, findings)
    if findings.mistakes:
        raise TestError(findings.mistakes.told())
    return test


def read(definition: object, findings: Findings) -> APITest:
    """Read as `parse`, into *findings*; the value means nothing where there are mistakes."""
    return _test(Node(definition, "$", findings).object(required=True))


def _test(root: Node) -> APITest:
    findings = root.findings
    if not root.present:
        return APITest(name="", subtype="")
    kind = root["type"].label()
    if kind != "api" and not findings.mistakes:
        root["type"].mistake("is missing" if kind is None else f"must be 'api', not {quote(kind)}")
    subtype = root["subtype"].label() or DEFAULT_SUBTYPE
    config, options = root["config"].object(required=True), root["options"].object()
    _people(root)
    _left_out(options)
    test = APITest(
        name=root["name"].label() or "",
        subtype=subtype,
        public_id=root["public_id"].label() or "",
        version=root["version"].whole(0, 2**53) or 1,
        tick_every=options["tick_every"].whole(*TICK_EVERY),
        scheduling=read_scheduling(options["scheduling"]),
        ignored=findings.ignored.told(),
    )
    protocol = PROTOCOLS.get(subtype)
    if protocol is None:
        root["subtype"].requires(f"{quote(subtype)} tests are not there yet{perhaps(subtype, PROTOCOLS)}")
        return replace(test, requires_update=findings.missing.told())
    assertions = _assertions(protocol, config)
    _script(config["variablesFromScript"])
    request = config["request"].object(required=config.present)
    asked = protocol.read_request(request, options, assertions)
    return replace(
        test,
        request=None if findings.missing else asked,
        assertions=assertions,
        save_response_body=not request["noSavingResponseBody"].flag(),
        requires_update=findings.missing.told(),
    )


def _people(root: Node) -> None:
    """Members that nothing here uses and whose shape is nevertheless part of the language."""
    root["message"].label()
    for member in ("locations", "tags"):
        for item in root[member].items():
            item.label()


def _left_out(options: Node) -> None:
    """Options that add or remove runs: each run says the truth without them, but there may be more or fewer of them."""
    retry = options["retry"].object()
    retry["interval"].number()
    if (retry["count"].number() or 0) > 0:
        retry.ignores("not executed: a run that fails is not run again before it is reported")


def _assertions(protocol: Protocol, config: Node) -> tuple[Assertion, ...]:
    nodes = config["assertions"].items(required=config.present)
    if isinstance(config["assertions"].value, list) and not nodes:
        config["assertions"].mistake("must hold at least one assertion")
    if len(nodes) > MOST_ASSERTIONS:
        config["assertions"].mistake(f"must hold at most {MOST_ASSERTIONS} assertions, not {len(nodes)}")
        return ()
    read = (read_assertion(protocol, node) for node in nodes)
    return tuple(assertion for assertion in read if assertion is not None)


def _script(node: Node) -> None:
    """A script may fail the run as well as name variables, so that leaving it out would change the outcome."""
    code = node.label()
    if code and code.strip():
        node.requires("scripts are not there yet")
