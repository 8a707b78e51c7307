"""The words of the code: one name for one idea, docstrings that begin with a noun or a verb, no worn-out metaphors."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.checkout import ROOT

FILES = sorted(path for program in ("worker", "controlplane") for path in (ROOT / program).rglob("*.py"))
RIDDLE = re.compile(r"(What|Who|Whom|Whose|Whether|How|Where|Why|When|Which)\b")
FRAGMENT = re.compile(r"(In|From|By|As|For|Of|Until|On|With|Without|Not|It|Is|To|If|Nobody)\b")
"""Words with which a sentence begins that leaves out what it is about. Of a value they may tell its unit: its name is above."""
METAPHOR = re.compile(r"\b(desk|errand|autopsy|blame|distrust|appetite|fate)\b", re.IGNORECASE)
CAP_WORDS = re.compile(r"[A-Z][A-Za-z0-9]*[a-z][A-Za-z0-9]*")
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def documented(module: ast.Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(module):
        if isinstance(node, Documented) and (text := ast.get_docstring(node)):
            yield getattr(node, "name", "module"), text


def explained(module: ast.Module) -> Iterator[str]:
    """The texts below values, of a module or of a class."""
    for node in ast.walk(module):
        if isinstance(node, ast.Module | ast.ClassDef):
            yield from (
                each.value.value
                for each in node.body
                if isinstance(each, ast.Expr)
                and isinstance(each.value, ast.Constant)
                and isinstance(each.value.value, str)
            )


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_docstring_begins_with_what_the_thing_is_or_does(path: Path) -> None:
    module = ast.parse(path.read_text())
    begun = [name for name, text in documented(module) if RIDDLE.match(text) or FRAGMENT.match(text)]
    assert begun == []
    assert [text for text in explained(module) if RIDDLE.match(text)] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_metaphor_stands_where_the_field_has_a_term(path: Path) -> None:
    assert METAPHOR.findall(path.read_text()) == []


def types(path: Path) -> Iterator[str]:
    """The public names of types that a module makes: classes, and other names for types, which are in CapWords as classes are."""
    for node in ast.parse(path.read_text()).body:
        match node:
            case ast.ClassDef(name=name):
                yield name
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=value)
            ):
                if CAP_WORDS.fullmatch(name) and not (
                    isinstance(value, ast.Call) and ast.unparse(value.func) == "TypeVar"
                ):
                    yield name


def test_no_two_public_types_have_one_name() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for path in FILES:
        for name in types(path):
            if not name.startswith("_"):
                places[name].append(str(path.relative_to(ROOT)))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}
