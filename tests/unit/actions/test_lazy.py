"""A worker that runs tests imports nothing of private actions, and a runner nothing of what its orders do not use."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys

from tests.support.checkout import ROOT
from worker.actionrunner.optiontable import OPTIONS as RUNNER_OPTIONS
from worker.config.options import OPTIONS

COSTLY = {"psycopg", "jq", "jsonschema_rs", "worker.apitest", "worker.evaluators", "worker.work"}
SHARED = {
    *("whitelistedRange.4", "whitelistedRange.6", "blacklistedRange.4", "blacklistedRange.6"),
    *("allowedDomainNames", "blockedDomainNames", "dnsServer", "dnsUseHost", "enableIPv6"),
    *("caFile", "proxy", "privateKey", "drainTimeout", "logFormat"),
}
"""Options that both programs have: ways out, keys, a drain and a log."""


def imported(code: str) -> set[str]:
    program = f"{code}\nimport sys; print(*sys.modules)"
    return set(
        subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True).stdout.split()
    )


def test_a_worker_imports_nothing_of_private_actions() -> None:
    found = imported(
        "import worker.start as s; s.import_agent(); import worker.work.tests, worker.probers.table, worker.cli"
    )
    assert [name for name in found if name.startswith(("worker.action", "psycopg", "yaml", "jq"))] == []


def test_a_worker_has_no_option_of_private_actions() -> None:
    """It cannot be configured for what it does not do: an option that only a runner has is an unknown key to it."""
    assert {option.name for option in OPTIONS} & {option.name for option in RUNNER_OPTIONS} == SHARED


def test_the_image_of_a_worker_holds_no_package_of_private_actions() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    extra = re.findall(r"^([A-Za-z0-9]+)", setup["options.extras_require"]["actions"], re.MULTILINE)
    assert extra
    locked = re.findall(r"^([a-z0-9.-]+)==", (ROOT / "requirements" / "worker.txt").read_text(), re.MULTILINE)
    assert {name.lower() for name in extra} & {name.partition("-")[0] for name in locked} == set()


CONNECTIONS = """
crm: {type: http, base_url: 'https://crm/', headers: {A: b}, credentials: {env: [TOKEN]}, allow: {actions: ['*']}}
db: {type: postgresql, host: db, database: d, user: u, tls: {mode: require},
     queries: {one: {sql: select 1, params: {properties: {n: {type: integer}}, required: [n]}}}}
"""
POLICY = """
rules: [{name: r, allow: http.request, connections: [crm], when: {url: {paths: ['/v1/**']}}, rate: {max: 3, per: 1h}}]
"""
USUAL = f"""
from pathlib import Path
from worker.actionrunner import connections, doors, execution, localstate, policyfile
from worker.actionrunner.yamlfile import parse_operators_file
from worker.actions.catalogue import CATALOGUE
from worker.schemas.schema import violation
written = parse_operators_file({CONNECTIONS.encode()!r}, "connections.yaml", "connections")
found = connections.connections_of(written, Path("/"), {{"TOKEN": "t"}})
assert [*found.usable] == ["crm", "db"], found.unusable
policyfile.policy_of(parse_operators_file({POLICY.encode()!r}, "policy.yaml", "policy"))
assert violation(CATALOGUE["http.request"].input_schema, {{"verb": "GET", "url": "/v1/customers/7"}}) is None
"""


def test_a_runner_imports_costly_parts_at_their_first_use() -> None:
    """The validator of JSON Schema among them: reading usual files and judging usual input is no use of it."""
    assert imported(USUAL) & COSTLY == set()
