"""Variables: read from a definition, resolved for a run, secure ones never told."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest

from worker.apitest.built_ins import BuiltIns
from worker.apitest.reading import Findings, Node
from worker.apitest.template import render
from worker.apitest.variables import (
    MAX_DECLARED,
    MAX_VALUE,
    DeclaredVariable,
    Variable,
    VariableKind,
    Variables,
    read_variables,
    resolve,
)
from worker.errors import TemplateError
from worker.secret import Secret

CANARY = "hunter2-canary"
BUILT_INS = BuiltIns(at=datetime(2026, 11, 27, tzinfo=UTC), random=Random(1), public_id="p", result_id="r")


def read(content: object) -> tuple[tuple[DeclaredVariable, ...], Findings]:
    findings = Findings()
    return read_variables(Node(content, "config.configVariables", findings)), findings


def text(name: str, pattern: str | None = None, **members: Any) -> dict[str, Any]:
    return {"type": "text", "name": name, **({} if pattern is None else {"pattern": pattern}), **members}


def resolved(*content: dict[str, Any], given: tuple[Variable, ...] = ()) -> Variables:
    declared, findings = read(list(content))
    assert not findings.mistakes
    return resolve(declared, given, BUILT_INS)


def values(variables: Variables) -> dict[str, str]:
    return {variable.name: variable.value.reveal() for variable in variables.known}


def test_declarations_are_read() -> None:
    declared, findings = read(
        [
            {"type": "text", "name": "PROPERTY", "pattern": "content-type", "example": "content-type"},
            {"type": "text", "name": "PASSWORD", "secure": True},
            {"type": "global", "name": "DATADOG_PORT", "id": "9e1f"},
            {"type": "email", "name": "MAILBOX"},
        ]
    )
    assert not findings.mistakes
    assert not findings.missing
    assert declared == (
        DeclaredVariable(name="PROPERTY", kind=VariableKind.TEXT, pattern=Secret("content-type")),
        DeclaredVariable(name="PASSWORD", kind=VariableKind.TEXT, secure=True),
        DeclaredVariable(name="DATADOG_PORT", kind=VariableKind.GLOBAL),
        DeclaredVariable(name="MAILBOX", kind=VariableKind.EMAIL),
    )


@pytest.mark.parametrize(
    ("content", "mistake"),
    [
        ({}, "config.configVariables: must be a list, not an object"),
        (["A"], "config.configVariables[0]: must be an object, not text"),
        ([{"type": "text"}], "config.configVariables[0].name: is missing"),
        ([text("")], "config.configVariables[0].name: is empty"),
        ([text("A(1)")], "config.configVariables[0].name: is not a valid name of a variable: 'A(1)'"),
        ([text("A", secure=1)], "config.configVariables[0].secure: must be true or false, not a number"),
        ([{"name": "A"}], "config.configVariables[0].type: is missing, must be one of text, global, email"),
        (
            [{"type": "text", "name": "A", "pattern": 7}],
            "config.configVariables[0].pattern: must be text, not a number",
        ),
        (
            [text("A", "x" * (MAX_VALUE + 1))],
            f"config.configVariables[0].pattern: must have at most {MAX_VALUE} characters, not {MAX_VALUE + 1}",
        ),
        (
            [text(f"A{index}", "x") for index in range(MAX_DECLARED + 1)],
            f"config.configVariables: must hold at most {MAX_DECLARED} variables, not {MAX_DECLARED + 1}",
        ),
    ],
)
def test_mistakes_are_told_with_their_places(content: object, mistake: str) -> None:
    assert read(content)[1].mistakes.told() == (mistake,)


def test_an_unknown_kind_requires_an_update_and_a_second_declaration_is_ignored() -> None:
    declared, findings = read([{"type": "vault", "name": "A"}, text("B", "1"), text("B", "2")])
    assert findings.missing.told() == ("config.configVariables[0].type: variables of type 'vault' are not known",)
    assert findings.ignored.told() == (
        "config.configVariables[2]: not used: a variable of this name is declared before it",
    )
    assert [variable.pattern for variable in declared] == [Secret("1")]


def test_no_variables_are_no_mistake() -> None:
    assert read(None) == ((), Findings())
    assert read([]) == ((), Findings())


def test_a_pattern_may_name_built_ins_and_what_came_before_it() -> None:
    found = resolved(
        text("HOST", "shop.test"),
        text("URL", "https://{{ HOST }}/{{ TOKEN }}/{{ date(1d, YYYY-MM-DD) }}"),
        text("EMPTY", ""),
        given=(Variable(name="TOKEN", value=Secret("t")),),
    )
    assert values(found) == {
        "TOKEN": "t",
        "HOST": "shop.test",
        "URL": "https://shop.test/t/2026-11-28",
        "EMPTY": "",
    }
    assert found.absent == {}


def test_a_value_is_made_once_a_run() -> None:
    namespace = resolved(text("ID", "{{ uuid }}")).namespace(BUILT_INS)
    once = render("{{ ID }}", namespace)
    assert render("{{ ID }}", namespace) == once
    assert render("{{ uuid }}", namespace) != once


def test_a_given_value_wins_and_is_secure_where_either_says_so() -> None:
    found = resolved(
        text("A", "declared"),
        text("B", secure=True),
        {"type": "global", "name": "C", "id": "x"},
        given=tuple(Variable(name=name, value=Secret(f"given {name}"), secure=name == "C") for name in "ABC"),
    )
    assert values(found) == {"A": "given A", "B": "given B", "C": "given C"}
    assert [secret.reveal() for secret in found.secrets()] == ["given B", "given C"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (
            text("X", secure=True),
            "the variable 'X' has no pattern (exports withhold those of secure variables), and no value was given for it",
        ),
        (text("X"), "the variable 'X' has no pattern, and no value was given for it"),
        (
            {"type": "global", "name": "X", "id": "9"},
            "the variable 'X' is a global one, and no value was given for it",
        ),
        ({"type": "email", "name": "X"}, "the variable 'X' is an email address, which only browser tests have"),
        (text("X", "{{ X }}"), "the variable 'X' has no value: pattern: no variable is called 'X'"),
        (
            text("X", "{{ numeric(0) }}"),
            "the variable 'X' has no value: pattern: the template 'numeric(0)' needs a whole number from 1 to 10000",
        ),
    ],
)
def test_a_variable_without_a_value_fails_only_whoever_names_it(content: dict[str, Any], reason: str) -> None:
    namespace = resolved(content).namespace(BUILT_INS)
    assert render("nothing of it", namespace) == "nothing of it"
    with pytest.raises(TemplateError) as caught:
        render("{{ X }}", namespace)
    assert caught.value.errors == (f"$: {reason}",)


def test_variables_that_double_each_other_end_at_the_bound() -> None:
    doubling = [text(f"V{n}", f"{{{{ V{n - 1} }}}}" * 2) for n in range(1, 60)]
    found = resolved(text("V0", "x"), *doubling)
    assert max(map(len, values(found).values())) <= MAX_VALUE
    assert "add more than" in found.absent["V17"]


def test_assigned_values_replace_those_of_their_name() -> None:
    found = resolved(text("A", "1"), text("B")).assigned(
        [Variable(name="A", value=Secret("2"), secure=True), Variable(name="B", value=Secret("3"))]
    )
    assert values(found) == {"A": "2", "B": "3"}
    assert found.absent == {}
    assert [secret.reveal() for secret in found.secrets()] == ["2"]


def test_no_value_is_told() -> None:
    found = resolved(
        text("A", CANARY),
        text("B", f"{CANARY} {{{{ {CANARY} }}}}", secure=True),
        given=(Variable(name="C", value=Secret(CANARY), secure=True),),
    )
    assert CANARY not in repr(found)
    assert CANARY not in str(found.absent)
    assert CANARY not in repr(found.namespace(BUILT_INS))
    assert CANARY not in repr(read([text("A", CANARY)])[0])
    with pytest.raises(TemplateError) as caught:
        render("{{ A }}{{ B }}{{ C }}", found.namespace(BUILT_INS))
    assert CANARY not in str(caught.value)
