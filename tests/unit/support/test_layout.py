"""The order of the tests: each stands where what it tests stands, and there is one helper of a kind."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.checkout import ROOT

TESTS = ROOT / "tests"
MODULES = {path.relative_to(ROOT): path.read_text() for path in sorted(TESTS.rglob("*.py"))}
PARSED = {path: list(ast.walk(ast.parse(text))) for path, text in MODULES.items()}
"""Every node of each module: to walk costs more than to look."""
ONE_OF_EACH = {
    "until": "tests/support/waiting.py",
    "eventually": "tests/support/waiting.py",
    "api_test": "tests/support/definitions.py",
    "http_test": "tests/support/definitions.py",
    "open_descriptors": "tests/support/descriptors.py",
}
"""Where the one helper of a name is."""


def imported(nodes: list[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def functions(name: str) -> list[str]:
    """The files that define a function *name*, once for each."""
    return [
        path.as_posix()
        for path, nodes in PARSED.items()
        for node in nodes
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name
    ]


def test_no_module_imports_a_module_of_tests() -> None:
    modules = {".".join(path.with_suffix("").parts) for path in PARSED if path.name.startswith("test_")}
    found = {path.as_posix(): modules & set(imported(nodes)) for path, nodes in PARSED.items()}
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize(("name", "place"), ONE_OF_EACH.items())
def test_there_is_one_helper_of_a_name(name: str, place: str) -> None:
    assert functions(name) == [place]


def test_only_one_module_builds_the_jobs_of_the_wire() -> None:
    callers = Counter(
        path.as_posix()
        for path, nodes in PARSED.items()
        if "worker.wire.messages.Job" in set(imported(nodes))
        for node in nodes
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Job"
    )
    assert callers == {"tests/support/jobs.py": 1}


def test_only_one_module_knows_the_members_of_a_test() -> None:
    """By a dictionary that is written with both of these keys; what one or the other test is about has one of them."""
    written = {
        path.as_posix()
        for path, nodes in PARSED.items()
        for node in nodes
        if isinstance(node, ast.Dict)
        and {"config", "locations"} <= {key.value for key in node.keys if isinstance(key, ast.Constant)}
    }
    assert written == {"tests/support/definitions.py"}


@pytest.mark.parametrize("kind", ["unit", "integration"])
def test_each_folder_is_named_after_a_package_that_it_tests(kind: str) -> None:
    folders = {path.parent.relative_to(Path("tests", kind)) for path in PARSED if path.parts[1] == kind}
    roots = (ROOT / "worker", ROOT, TESTS)  # a package of the worker, the control plane or container, or tests/support
    strangers = [folder for folder in folders if not any((root / folder).is_dir() for root in roots)]
    assert strangers == []
