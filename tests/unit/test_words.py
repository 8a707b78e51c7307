"""The words of the code: one name for one idea, docstrings that begin with a noun or a verb, no worn-out metaphors."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.checkout import ROOT

FILES = sorted(path for program in ("worker", "controlplane") for path in (ROOT / program).rglob("*.py"))
RIDDLE = re.compile(r"(What|Who|Whom|Whose|Whether|How|Where|Why|When|Which)\b")
FRAGMENT = re.compile(r"(In|From|By|As|For|Of|Until|On|With|Without|Not|It|Is|To|If|Nobody)\b")
"""Words with which a sentence begins that leaves out what it is about. Of a value they may tell its unit: its name is above."""
DENIED_NOUN = re.compile(r"(?<!there )\b(?:is|are) no\b(?! longer| more)", re.IGNORECASE)
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


def types(module: ast.Module) -> Iterator[str]:
    """The public names of types that a module makes: classes, and other names for types, which are in CapWords as classes are."""
    for node in module.body:
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


def messages(module: ast.Module) -> Iterator[str]:
    """The texts that are no docstrings."""
    explaining = {id(node.value) for node in ast.walk(module) if isinstance(node, ast.Expr)}
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in explaining:
            yield node.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The findings in one file, and the *types* that it makes."""

    begun: list[str]
    """Docstrings that begin with neither a noun nor a verb, by the name of what they are of, and such texts of values."""
    denied: list[str]
    metaphors: list[str]
    types: list[str]


def words_of(path: Path) -> Words:
    text = path.read_text()
    module = ast.parse(text)
    named = [name for name, docstring in documented(module) if RIDDLE.match(docstring) or FRAGMENT.match(docstring)]
    return Words(
        begun=[*named, *(each for each in explained(module) if RIDDLE.match(each))],
        denied=[message for message in messages(module) if DENIED_NOUN.search(message)],
        metaphors=METAPHOR.findall(text),
        types=[name for name in types(module) if not name.startswith("_")],
    )


@pytest.fixture(scope="module")
def words() -> dict[str, Words]:
    """By file. Each is read once, and all of them in one test: there are some hundreds."""
    return {str(path.relative_to(ROOT)): words_of(path) for path in FILES}


def test_a_docstring_begins_with_what_the_thing_is_or_does(words: dict[str, Words]) -> None:
    assert {file: found.begun for file, found in words.items() if found.begun} == {}


def test_a_message_says_that_something_is_not_a_thing(words: dict[str, Words]) -> None:
    assert {file: found.denied for file, found in words.items() if found.denied} == {}


def test_no_metaphor_stands_where_the_field_has_a_term(words: dict[str, Words]) -> None:
    assert {file: found.metaphors for file, found in words.items() if found.metaphors} == {}


def test_no_two_public_types_have_one_name(words: dict[str, Words]) -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for file, found in words.items():
        for name in found.types:
            places[name].append(file)
    assert {name: files for name, files in places.items() if len(files) > 1} == {}
