"""Tests as files: plan, apply, prune and export, with secrets by reference; and export → apply, which changes nothing."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.controlplane.process import COMMAND, keys_of, serving
from tests.integration.controlplane.typed import Run, listed, push
from tests.support.definitions import http_test, multistep, step

SHOP = http_test("shop", public_id="aaa-aaa-aaa", locations=["office"])
HOME = http_test("home", locations=["office"], tick_every=300)


def put(name: str, content: Any) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def stored(run: Run, name: str = "shop") -> dict[str, Any]:
    (found,) = [one for one in listed(run, "test") if one["name"] == name]
    return found


def test_a_folder_is_applied_once_and_then_is_no_change(run: Run, location: str) -> None:
    put("tests/a.json", SHOP)
    put("tests/b/home.yaml", yaml.safe_dump(HOME))
    put("tests/readme.txt", "no test")
    put("tests/.hidden.json", "no test")
    first = run("apply", "tests", "--dry-run", code=1).output
    assert first == "+ shop  (new)\n+ home  (new)\n2 to add\n"
    assert listed(run, "test") == []
    assert run("apply", "tests").output.endswith("applied: 2 added\n")
    assert [(one["name"], [place["name"] for place in one["locations"]]) for one in listed(run, "test")] == [
        ("home", ["office"]),
        ("shop", ["office"]),
    ]
    assert stored(run)["public_id"] == "aaa-aaa-aaa"
    assert run("apply", "tests", "--dry-run").output == "2 unchanged\n"
    assert run("apply", "tests").output == "2 unchanged\napplied: 2 unchanged\n"
    assert {one["version"] for one in listed(run, "test")} == {1}


def test_a_change_is_shown_member_by_member_and_then_made(run: Run, location: str) -> None:
    run("location", "create", "lab", "--output", "lab.json")
    put("shop.json", SHOP)
    run("apply", "shop.json")
    changed = SHOP | {"tags": ["team:a"], "locations": ["lab", "office"], "status": "paused"}
    changed["config"] = json.loads(json.dumps(SHOP["config"]))
    changed["config"]["request"]["url"] = "https://other.test/"
    changed["config"]["assertions"].append({"type": "responseTime", "operator": "lessThan", "target": 500})
    put("shop.json", changed)
    said = run("apply", "shop.json", "--dry-run", code=1).output
    assert said.splitlines() == [
        "~ shop  aaa-aaa-aaa",
        '    config.request.url: "https://shop.test/" → "https://other.test/"',
        '    config.assertions[1]: + {"type": "responseTime", "operator": "lessThan", "target": 500}',
        '    locations[0]: "office" → "lab"',
        '    locations[1]: + "office"',
        '    tags[0]: + "team:a"',
        '    status: "live" → "paused"',
        "1 to change",
    ]
    assert stored(run)["version"] == 1
    run("apply", "shop.json")
    found = stored(run)
    assert (found["version"], found["status"], [place["name"] for place in found["locations"]]) == (
        2,
        "paused",
        ["lab", "office"],
    )


def test_a_file_without_locations_leaves_them_as_they_are(run: Run, location: str) -> None:
    without = {name: value for name, value in SHOP.items() if name != "locations"}
    push(run, location, without)
    put("shop.json", without | {"message": "new"})
    run("apply", "shop.json")
    assert [place["name"] for place in stored(run)["locations"]] == ["office"]
    run("test", "pause", "shop")
    assert run("apply", "shop.json", "--dry-run").output == "1 unchanged\n", (
        "a file that says no status leaves it alone"
    )
    put("shop.json", without | {"message": "new", "locations": []})
    run("apply", "shop.json")
    assert stored(run)["locations"] == []


def test_a_prune_deletes_what_was_applied_from_this_collection_alone(run: Run, location: str) -> None:
    push(run, location, http_test("by hand"))
    put("theirs/x.json", http_test("theirs"))
    run("apply", "theirs", "--collection", "theirs")
    put("tests/a.json", SHOP)
    put("tests/b.json", HOME)
    run("apply", "tests")
    Path("tests/b.json").unlink()
    home = stored(run, "home")["public_id"]
    assert run("apply", "tests", "--dry-run").output == "1 unchanged\n"
    assert run("apply", "tests", "--prune", "--dry-run", code=1).output == f"- home  {home}\n1 to delete, 1 unchanged\n"
    refused = run("apply", "tests", "--prune", code=2).output
    assert refused.endswith("Error: --prune would delete 1 test: --yes says that this is meant\n")
    assert len(listed(run, "test")) == 4
    assert run("apply", "tests", "--prune", "--yes").output.endswith("applied: 1 deleted, 1 unchanged\n")
    assert [one["name"] for one in listed(run, "test")] == ["by hand", "shop", "theirs"]
    assert run("apply", "tests", "--prune").output.endswith("applied: 1 unchanged\n"), "nothing is left to ask for"


def test_a_test_made_by_hand_belongs_to_the_files_once_they_hold_it(run: Run, location: str) -> None:
    push(run, location, SHOP)
    put("tests/a.json", SHOP)
    put("tests/b.json", HOME)
    assert run("apply", "tests").output.endswith("applied: 1 added, 1 unchanged\n")
    Path("tests/a.json").unlink()
    assert "- shop  aaa-aaa-aaa" in run("apply", "tests", "--prune", "--yes").output


@pytest.mark.parametrize("form", [(), ("--yaml",)], ids=["JSON", "YAML"])
def test_an_export_changes_nothing_when_it_is_applied_and_is_the_same_the_next_time(
    run: Run, location: str, form: tuple[str, ...]
) -> None:
    difficult = http_test("ünïcode \U0001f600: yes", locations=["office"], tags=["1e3", "yes", "2026-01-01", "a:b"])
    difficult["config"]["request"]["basicAuth"] = {"type": "web", "username": "u", "password": "hunter2"}
    difficult["config"]["request"]["headers"] = {
        "Authorization": "Bearer {{ TOKEN }}",
        "x-api-key": "sesame",
        "n": "007",
    }
    difficult["config"]["configVariables"] = [
        {"name": "TOKEN", "type": "text", "secure": True, "pattern": "t0ken"},
        {"name": "OPEN", "type": "text", "example": "e"},
    ]
    several = multistep(step("one"), step("two"), locations=["office"], name="several")
    push(run, location, difficult, several, http_test("plain", options={"tick_every": 60.0}))
    run("test", "pause", "plain")
    said = run("export", "out", *form).output
    assert said == "3 tests in out: 3 files written, the others are as they were\n"
    files = {path.name: path.read_text() for path in Path("out").iterdir()}
    assert {Path(name).stem for name in files} == {one["public_id"] for one in listed(run, "test")}
    for secret in ("hunter2", "sesame", "t0ken"):
        assert secret not in "".join(files.values())
    assert "Bearer {{ TOKEN }}" in "".join(files.values()), "a text that a variable fills in is no secret"
    assert run("apply", "out", "--dry-run").output == "3 unchanged\n"
    assert run("apply", "out").output.endswith("applied: 3 unchanged\n")
    assert run("export", "out", *form).output.startswith("3 tests in out: 0 files written")
    assert {path.name: path.read_text() for path in Path("out").iterdir()} == files
    run("test", "delete", "plain")
    assert "there is no such test" in run("export", "out", *form).output
    other = () if form else ("--yaml",)
    assert "exported in the other form already" in run("export", "out", *other, code=2).output


def test_a_secret_is_named_by_a_file_and_stands_in_none(run: Run, location: str) -> None:
    secret = {"name": "TOKEN", "type": "text", "secure": True, "pattern": {"$env": "SHOP_TOKEN"}}
    shop = json.loads(json.dumps(SHOP))
    shop["config"]["configVariables"] = [secret]
    shop["config"]["request"]["basicAuth"] = {"type": "web", "username": "u", "password": {"$file": "password.txt"}}
    put("tests/password.txt", "first\n")
    put("tests/shop.json", shop)
    env = {"SHOP_TOKEN": "t0ken"}
    run("apply", "tests", env=env)
    assert run("apply", "tests", "--dry-run", env=env).output == "1 unchanged\n"
    put("tests/password.txt", "second\n")
    said = run("apply", "tests", "--dry-run", code=1, env=env | {"SHOP_TOKEN": "other"}).output
    assert said.splitlines()[1:3] == [
        "    config.request.basicAuth.password: changed, and not shown",
        "    config.configVariables[0].pattern: changed, and not shown",
    ]
    for text in ("first", "second", "t0ken", "other"):
        assert text not in said
    run("apply", "tests", env=env)
    run("export", "out")
    exported = json.loads(Path("out/aaa-aaa-aaa.json").read_text())
    assert exported["config"]["request"]["basicAuth"]["password"] == {"$stored": True}
    assert run("apply", "out", "--dry-run").output == "1 unchanged\n"
    for told in (run("audit", "--json", "--limit", "100").output, said):
        assert "second" not in told


TOKEN = {"name": "TOKEN", "description": "d", "tags": ["a"], "value": {"secure": True, "value": {"$env": "SHOP_TOKEN"}}}
PLACE = {"name": "PLACE", "description": "", "tags": [], "value": {"secure": False, "value": "Berlin"}}


def test_global_variables_are_applied_pruned_and_exported_as_tests_are(run: Run, location: str) -> None:
    env = {"SHOP_TOKEN": "t0ken"}
    put("tests/shop.json", SHOP)
    put("tests/variables.yaml", yaml.safe_dump({"variables": [TOKEN, PLACE]}))
    said = run("apply", "tests", env=env).output
    assert said.splitlines() == [
        "+ variable TOKEN  (new)",
        "+ variable PLACE  (new)",
        "+ shop  (new)",
        "3 to add",
        "applied: 3 added",
    ]
    assert run("apply", "tests", "--dry-run", env=env).output == "3 unchanged\n"
    changed = PLACE | {"value": {"secure": False, "value": "Bonn"}, "tags": ["x"]}
    put("tests/variables.yaml", yaml.safe_dump({"variables": [TOKEN, changed]}))
    told = run("apply", "tests", "--dry-run", code=1, env={"SHOP_TOKEN": "other"}).output
    lines = [line for line in told.splitlines() if line.startswith("    ")]
    assert lines == [
        "    value.value: changed, and not shown",
        '    tags[0]: + "x"',
        '    value.value: "Berlin" → "Bonn"',
    ]
    run("apply", "tests", env=env)
    run("export", "out")
    held = json.loads(Path("out/variables.json").read_text())["variables"]
    assert [(one["name"], one["value"]) for one in held] == [
        ("PLACE", {"secure": False, "value": "Bonn"}),
        ("TOKEN", {"secure": True}),
    ]
    assert run("apply", "out", "--dry-run").output == "3 unchanged\n", "a secure value that is not said stays"
    put("tests/variables.yaml", yaml.safe_dump({"variables": [TOKEN]}))
    said = run("apply", "tests", "--prune", code=2, env=env).output
    assert said.endswith("Error: --prune would delete 1 variable: --yes says that this is meant\n")
    run("apply", "tests", "--prune", "--yes", env=env)
    run("export", "again")
    assert len(json.loads(Path("again/variables.json").read_text())["variables"]) == 1
    actions = [json.loads(line)["action"] for line in run("audit", "--json", "--limit", "100").output.splitlines()]
    assert [one for one in actions if one.startswith("variable")] == [
        *("variable.create", "variable.create", "variable.update", "variable.delete"),
    ]


MISTAKES: dict[str, tuple[str, str, str]] = {
    "a secret that stands there": (
        "a.json",
        json.dumps(http_test("a") | {"config": http_test()["config"] | {
            "configVariables": [{"name": "T", "type": "text", "secure": True, "pattern": "hunter2"}]}}),
        'a.json: config.configVariables[0].pattern: a secure value stands in no file: name it by {"$env": "NAME"} or',
    ),
    "no variable": ("a.json", json.dumps(http_test("a", message={"$env": "NONE"})),
                    "a.json: message: the environment has no variable 'NONE'"),
    "no file": ("a.json", json.dumps(http_test("a", message={"$file": "none"})),
                "a.json: message: the file 'none': No such file or directory"),
    "nothing stored": ("a.json", json.dumps(http_test("a", message={"$stored": True})),
                       'a.json: message: is not stored here: name it by {"$env": "NAME"} or {"$file": "PATH"}'),
    "no location": ("a.json", json.dumps(http_test("a", locations=["ofice"])),
                    "a.json: locations: no location 'ofice'"),
    "not JSON": ("a.json", '{\n  "name":,\n}', "expected a JSON value at line 2, column 10"),
    "not YAML": ("a.yaml", "name: a\nconfig: [\n", "a.yaml: is not valid YAML: "),
    "twice in YAML": ("a.yaml", "name: a\nname: b\n", "a.yaml: is not valid YAML: the member 'name' is there twice at line 2"),
    "a tag": ("a.yaml", "name: !!python/name:os.system x\n", "means nothing here at line 1"),
    "a bomb": ("a.yaml", "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 10)}]\n" for n in range(8)),
               "more than 1000000 values"),
    "a mistake in the second document": (
        "a.yaml", "---\n" + yaml.safe_dump(http_test("a")) + "---\n" + yaml.safe_dump(http_test("b", options={})),
        "options.tick_every: is missing"),
    "one name twice": ("a.json", json.dumps([http_test("a"), http_test("a")]), "a.json[1]: name: 'a' is that of a.json[0] too"),
    "a secret value of a variable": (
        "v.json", json.dumps({"variables": [PLACE, TOKEN | {"value": {"secure": True, "value": "hunter2"}}]}),
        "v.json: variables[1]: value.value: a secure value stands in no file"),
    "a new variable without its value": (
        "v.json", json.dumps({"variables": [TOKEN | {"value": {"secure": True}}]}), "v.json: variables[0]: value: is missing"),
    "one variable twice": ("v.json", json.dumps({"variables": [PLACE, PLACE]}), "'PLACE' is that of another variable too"),
    "a variable's name": ("v.json", json.dumps({"variables": [PLACE | {"name": "a-b"}]}), "is not a valid variable name"),
    "no variable at all": ("v.json", '{"variables": [7]}', "v.json: variables[0]: is not a valid object"),
    "an empty folder": ("folder/x.txt", "", "holds no file that ends with .json"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "content", "said"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_with_its_place_and_nothing_is_applied(
    run: Run, location: str, name: str, content: str, said: str
) -> None:
    put("good.json", SHOP)
    path = put(name, content)
    told = run("apply", "good.json", str(path.parent if path.suffix == ".txt" else path), code=2).output
    assert said in told
    assert "hunter2" not in told
    assert listed(run, "test") == []


def test_the_line_of_a_yaml_document_is_told(run: Run, location: str) -> None:
    good = yaml.safe_dump(http_test("a"))
    put("a.yaml", f"---\n{good}---\n{yaml.safe_dump(http_test('b', options={}))}")
    said = run("apply", "a.yaml", code=2).output
    assert said.startswith(f"a.yaml:{good.count(chr(10)) + 3}: options.tick_every: is missing")


def test_steps_that_were_written_without_ids_keep_those_that_they_got(run: Run, location: str) -> None:
    put("multi.json", multistep(step("one"), step("two"), name="multi"))
    run("apply", "multi.json")
    assert run("apply", "multi.json", "--dry-run").output == "1 unchanged\n"


def test_files_are_applied_over_the_api_as_they_are_at_the_database(run: Run, tmp_path: Path) -> None:
    run("location", "create", "office", "--output", "office.json", "--database", "c.db")
    for number in range(3):
        put(f"tests/{number}.json", [http_test(f"test {number}-{n}", locations=["office"]) for n in range(60)])
    env = keys_of(tmp_path)
    with serving(tmp_path) as plane:
        afar = ("--url", plane.url)
        assert run("apply", "tests", *afar, env=env).output.endswith("applied: 180 added\n")
        assert run("export", "out", *afar, env=env).output.startswith("180 tests in out: 180 files written")
        assert run("apply", "out", "--dry-run", *afar, env=env).output == "180 unchanged\n"
        Path("tests/2.json").unlink()
        assert run("apply", "tests", "--prune", "--yes", *afar, env=env).output.endswith("60 deleted, 120 unchanged\n")
    assert run("apply", "tests", "--prune", "--dry-run", "--database", "c.db").output == "120 unchanged\n"


def at_a_terminal(folder: Path, answer: bytes) -> tuple[int, str]:
    """`apply tests --prune` with a terminal for its input, at which somebody answers."""
    ours, theirs = pty.openpty()
    os.write(ours, answer)
    try:
        done = subprocess.run(
            [*COMMAND, "apply", "tests", "--prune"],
            cwd=folder,
            stdin=theirs,
            capture_output=True,
            text=True,
            timeout=60,
        )
    finally:
        os.close(ours)
        os.close(theirs)
    return done.returncode, done.stdout + done.stderr


def test_a_person_at_a_terminal_is_asked_before_anything_is_deleted(run: Run, location: str, tmp_path: Path) -> None:
    put("tests/a.json", SHOP)
    put("tests/b.json", HOME)
    run("apply", "tests")
    Path("tests/b.json").unlink()
    code, said = at_a_terminal(tmp_path, b"n\n")
    assert (code, "Delete 1 test and what is scheduled of it? [y/N]" in said) == (1, True), said
    assert len(listed(run, "test")) == 2
    code, said = at_a_terminal(tmp_path, b"y\n")
    assert (code, said.endswith("applied: 1 deleted, 1 unchanged\n")) == (0, True), said
    assert len(listed(run, "test")) == 1
