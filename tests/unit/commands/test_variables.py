"""Variables on the command line: what wins, what is secure, and mistakes that repeat no value."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from worker.apitest.given import GivenVariables
from worker.commands.variables import given_variables
from worker.errors import ConfigErrors


def shown(given: GivenVariables) -> dict[str, tuple[str, bool]]:
    return {each.name: (each.value.reveal(), each.secure) for each in given.variables}


def file_of(tmp_path: Path, content: Any) -> str:
    path = tmp_path / "variables.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def mistakes(written: list[str], file: str = "") -> list[str]:
    with pytest.raises(ConfigErrors) as caught:
        given_variables(written, file, {})
    return [str(each) for each in caught.value.errors]


def test_a_flag_holds_a_value_or_names_a_secure_one_of_the_environment() -> None:
    given = given_variables(["HOST=shop.test", "QUERY=a=b", "EMPTY=", "TOKEN"], "", {"TOKEN": "s3cret", "OTHER": "x"})
    assert shown(given) == {
        "HOST": ("shop.test", False),
        "QUERY": ("a=b", False),
        "EMPTY": ("", False),
        "TOKEN": ("s3cret", True),
    }


def test_a_file_holds_texts_secure_ones_and_one_time_passwords(tmp_path: Path) -> None:
    file = file_of(
        tmp_path,
        {
            "HOST": "shop.test",
            "TOKEN": {"value": "s3cret", "secure": True},
            "PLAIN": {"value": "x"},
            "PIN": {"value": "JBSWY3DPEHPK3PXP", "totp": {"digits": 8, "refresh": 60}},
            "PIN2": {"value": "JBSWY3DPEHPK3PXP", "totp": {"refresh": 0}},
        },
    )
    given = given_variables([], file, {})
    assert shown(given) == {"HOST": ("shop.test", False), "TOKEN": ("s3cret", True), "PLAIN": ("x", False)}
    forms = {name: (each.key.reveal(), each.digits, each.refresh) for name, each in given.one_time.items()}
    assert forms == {"PIN": ("JBSWY3DPEHPK3PXP", 8, 60), "PIN2": ("JBSWY3DPEHPK3PXP", 6, 30)}


def test_a_flag_wins_over_the_file_and_the_last_of_two_flags_over_the_first(tmp_path: Path) -> None:
    file = file_of(tmp_path, {"A": "file", "B": "file", "PIN": {"value": "JBSWY3DPEHPK3PXP", "totp": {}}})
    given = given_variables(["A=one", "A=two", "PIN=1234"], file, {})
    assert shown(given) == {"A": ("two", False), "B": ("file", False), "PIN": ("1234", False)}
    assert given.one_time == {}


def test_every_mistake_is_told_with_its_place_and_no_value_is_repeated(tmp_path: Path) -> None:
    file = file_of(
        tmp_path,
        {
            "A": 7,
            "B": None,
            "C": {"secure": True},
            "D": {"value": "s3cret", "hidden": True},
            "E": {"value": ["s3cret"]},
            "F ": "s3cret",
            "G": {"value": "s3cret", "totp": {"digits": 3, "refresh": 1_000}},
            "H": {"value": "s3cret", "totp": True, "secure": "yes"},
        },
    )
    found = mistakes(["s3cret value", "bad name =s3cret", "=s3cret", "ABSENT"], file)
    assert not any("s3cret" in each for each in found)
    place = f" (file {file})"
    assert found == [
        f"variables: $.A: must be text, not a number{place}",
        f"variables: $.B: is null, must be text or an object{place}",
        f"variables: $.C.value: is missing{place}",
        f"variables: $.D.hidden: is not known, must be one of value, secure, totp{place}",
        f"variables: $.E.value: must be text, not a list{place}",
        f"variables: $.F : is not a valid name of a variable{place}",
        f"variables: $.G.totp.digits: must be a whole number from 4 to 10, not 3{place}",
        f"variables: $.G.totp.refresh: must be a whole number from 0 to 999, not 1000{place}",
        f"variables: $.H.secure: must be true or false, not text{place}",
        f"variables: $.H.totp: must be an object, not true{place}",
        "variable: a text without = is not a valid name of a variable (flag)",
        'variable: "bad name " is not a valid name of a variable (flag)',
        'variable: "" is not a valid name of a variable (flag)',
        'variable: "ABSENT" has no value, and the environment has no variable of this name (flag)',
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"A": "s3cret"', "is not valid JSON: Expecting ',' delimiter at line 1, column 15"),
        ("[]", "$: must be an object, not a list"),
        ("[" * 100_000, "is not valid JSON: a number is too long, or the nesting too deep"),
    ],
)
def test_what_is_no_object_is_told(content: str, reason: str, tmp_path: Path) -> None:
    file = file_of(tmp_path, content)
    assert mistakes([], file) == [f"variables: {reason} (file {file})"]


def test_a_file_that_is_not_there_is_told() -> None:
    (mistake,) = mistakes([], "/nowhere/variables.json")
    assert mistake == 'variables: "/nowhere/variables.json" does not exist'
