"""The commands as people type them: what they print, what they change, and how they refuse."""

from __future__ import annotations

import base64
import json
import re
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.integration.controlplane.typed import Run, listed, push
from tests.support.definitions import http_test, multistep, step, subtest
from worker.wire.keys import PrivateKey


def test_the_config_file_may_be_standard_output(run: Run, tmp_path: Path) -> None:
    for command in ("create", "rotate"):
        done = run("location", command, "office", "--output", "-")
        assert json.loads(done.stdout)["accessKey"]
        assert "standard output" in done.stderr
        assert "secret" not in done.stderr.lower()
    assert not Path("-").exists()


def test_definitions_may_come_from_standard_input(run: Run, location: str) -> None:
    pushed = run("test", "push", "-", "--location", location, input=json.dumps(http_test()))
    assert pushed.output.startswith("added")
    refused = run("test", "push", "-", "--location", location, input="{", code=2)
    assert refused.output.startswith("-: is not valid JSON")


def test_a_location_is_made_with_its_file_and_the_commands_to_use_it(run: Run) -> None:
    output = run("location", "create", "Office Berlin", "--output", "worker-config.json").output

    path = Path("worker-config.json")
    content = json.loads(path.read_text())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert re.fullmatch(r"pl:office-berlin-[0-9a-f]{32}", content["id"])
    assert content["intakeUrl"] == "http://127.0.0.1:8080"
    assert '-v "$PWD"/worker-config.json:/etc/datadog/synthetics-check-runner.json:ro' in output
    assert "kubectl apply -k k8s/worker" in output


def test_a_config_file_may_go_to_standard_output_with_everything_else_beside_it(run: Run) -> None:
    made = run("location", "create", "office", "--output", "-")
    rotated = run("location", "rotate", "office", "--output", "-")
    first, second = json.loads(made.stdout), json.loads(rotated.stdout)
    assert first["id"] == second["id"]
    assert "location 'office' is ready; its config file is on standard output" in made.stderr
    assert "kubectl" in rotated.stderr
    assert not Path("-").exists()


def test_the_private_half_is_in_the_file_and_nowhere_else(run: Run, location: str) -> None:
    content = json.loads(Path("worker-config.json").read_text())
    key = PrivateKey.from_pem(content["privateKey"])
    der = base64.b64decode("".join(key.pem.reveal().splitlines()[1:-1]))
    stored = b"".join(path.read_bytes() for path in Path().glob("controlplane.db*"))
    assert content["accessKey"].encode() in stored
    for secret in (der, der[-32:], content["secretAccessKey"].encode(), content["privateKey"].encode()):
        assert secret not in stored


def test_rsa_keys_are_made_on_request(run: Run) -> None:
    run("location", "create", "office", "--key-kind", "rsa4096", "--output", "worker-config.json")
    key = PrivateKey.from_pem(json.loads(Path("worker-config.json").read_text())["privateKey"])
    assert key.kind == "rsa"


def test_a_file_that_is_there_is_not_replaced_and_no_location_is_made(run: Run) -> None:
    Path("worker-config.json").write_text("precious")
    result = run("location", "create", "office", "--output", "worker-config.json", code=2)
    assert result.output == "Error: --output worker-config.json: the file exists; it may hold the only copy of a key\n"
    assert Path("worker-config.json").read_text() == "precious"
    assert not Path("controlplane.db").exists()


@pytest.mark.parametrize("name", ["", " ", "x" * 201, "a\nb", "\x1b[31m"])
def test_a_name_is_printable(run: Run, name: str) -> None:
    assert "a name has 1 to 200 printable characters" in run("location", "create", name, "--output", "x", code=2).output


def test_a_name_is_taken_once(run: Run, location: str) -> None:
    result = run("location", "create", location, "--output", "second.json", code=2)
    assert "a location named 'office' exists" in result.output
    assert not Path("second.json").exists()


def test_a_rotated_location_has_a_second_file_with_other_keys(run: Run, location: str) -> None:
    run("location", "rotate", location, "--output", "second.json")
    first, second = (json.loads(Path(name).read_text()) for name in ("worker-config.json", "second.json"))
    assert first["id"] == second["id"]
    for member in ("accessKey", "secretAccessKey", "privateKey", "publicKey"):
        assert first[member] != second[member]


def test_a_rotation_keeps_the_url_of_the_last_file_unless_another_is_named(run: Run) -> None:
    run("location", "create", "lab", "--intake-url", "https://one.example", "--output", "1.json")
    run("location", "rotate", "lab", "--output", "2.json")
    run("location", "rotate", "lab", "--intake-url", "https://two.example", "--output", "3.json")
    run("location", "rotate", "lab", "--output", "4.json")
    urls = [json.loads(Path(f"{number}.json").read_text())["intakeUrl"] for number in range(1, 5)]
    assert urls == ["https://one.example", "https://one.example", "https://two.example", "https://two.example"]


def test_the_state_of_a_location_is_told(run: Run, location: str) -> None:
    assert [(one["name"], one["state"], one["workers"]) for one in listed(run, "location")] == [
        ("office", "never seen", [])
    ]
    run("location", "disable", location)
    assert listed(run, "location")[0]["state"] == "disabled"
    run("location", "enable", location)
    assert listed(run, "location")[0]["state"] == "never seen"
    assert run("location", "list").output.splitlines()[1].split()[:3] == ["office", "never", "seen"]


def test_a_deleted_location_is_gone_with_its_schedule(run: Run, location: str) -> None:
    push(run, location, http_test())
    said = run("location", "delete", location, "--force").output
    assert said.splitlines()[1:] == ["1 test now run nowhere; `test assign` gives them another location:", "  shop"]
    assert listed(run, "location") == []
    assert listed(run, "test")[0]["locations"] == []


def test_a_location_where_tests_run_is_deleted_by_force_only(run: Run, location: str) -> None:
    push(run, location, *(http_test(name=f"test {number:02}") for number in range(12)))
    refused = run("location", "delete", location, code=2).output
    names = ", ".join(f"test {number:02}" for number in range(10))
    assert refused == (
        f"Error: location 'office' is in use: 12 tests would run there no more: {names}, and 2 more;"
        " --force deletes it all the same\n"
    )
    assert [one["name"] for one in listed(run, "location")] == ["office"]


def test_a_location_without_tests_and_workers_is_deleted_at_once(run: Run, location: str) -> None:
    assert run("location", "delete", location).output == "location 'office' is deleted\n"


def test_tests_that_run_elsewhere_too_are_not_called_homeless(run: Run, location: str) -> None:
    run("location", "create", "second", "--output", "second.json")
    push(run, location, http_test(), http_test(name="alone"))
    run("test", "assign", "shop", "--location", "second")
    assert run("location", "delete", location, "--force").output.splitlines()[-1] == "  alone"


def test_a_location_that_is_not_there_is_named_with_those_that_are(run: Run, location: str) -> None:
    assert run("location", "disable", "ofice", code=2).output == "Error: no location 'ofice'; there are: office\n"


def test_a_disabled_location_schedules_nothing(run: Run, location: str) -> None:
    push(run, location, http_test())
    run("location", "disable", location)
    assert listed(run, "test")[0]["locations"][0]["due_at"] is None
    push(run, location, http_test(name="other"))
    assert all(one["locations"][0]["due_at"] is None for one in listed(run, "test"))
    output = run("test", "run", "shop", code=2).output
    assert "assigned to disabled locations only: office; `location enable` undoes that" in output
    run("location", "enable", location)
    assert all(one["locations"][0]["due_at"] is not None for one in listed(run, "test"))


def test_a_pushed_test_gets_an_id_and_is_due(run: Run, location: str) -> None:
    output = push(run, location, http_test()).output
    (test,) = listed(run, "test")
    assert re.fullmatch(rf"added +{test['public_id']}  shop, every 1 min\n", output)
    assert re.fullmatch(r"[a-z2-9]{3}-[a-z2-9]{3}-[a-z2-9]{3}", test["public_id"])
    assert (test["version"], test["status"], test["tick_every"]) == (1, "live", 60)
    assert "office (due)" in run("test", "list").output


def test_a_test_is_updated_by_its_id_or_its_name(run: Run, location: str) -> None:
    push(run, location, http_test())
    public_id = listed(run, "test")[0]["public_id"]
    assert push(run, location, http_test(message="new")).output.startswith("updated")
    assert push(run, location, http_test(message="new")).output.startswith("unchanged")
    assert push(run, location, http_test(name="renamed", public_id=public_id)).output.startswith("updated")
    assert [(one["public_id"], one["name"], one["version"]) for one in listed(run, "test")] == [
        (public_id, "renamed", 3)
    ]


def test_a_test_that_was_exported_elsewhere_keeps_its_id(run: Run, location: str) -> None:
    push(run, location, http_test(public_id="32u-qxh-q25", version=7))
    assert [(one["public_id"], one["version"]) for one in listed(run, "test")] == [("32u-qxh-q25", 1)]


def test_one_test_may_run_in_several_places(run: Run, location: str) -> None:
    run("location", "create", "second", "--output", "second.json")
    push(run, location, http_test())
    assert push(run, "second", http_test()).output.startswith("unchanged")
    assert [place["name"] for place in listed(run, "test")[0]["locations"]] == ["office", "second"]


def test_a_push_names_several_places_and_all_of_them_run_it(run: Run, location: str) -> None:
    run("location", "create", "second", "--output", "second.json")
    Path("tests.json").write_text(json.dumps(http_test()))
    run("test", "push", "tests.json", "--location", "second", "--location", location)
    assert [place["name"] for place in listed(run, "test")[0]["locations"]] == ["office", "second"]


def test_nothing_is_pushed_where_one_of_the_places_is_not_there(run: Run, location: str) -> None:
    Path("tests.json").write_text(json.dumps(http_test()))
    said = run("test", "push", "tests.json", "--location", location, "--location", "ofice", code=2).output
    assert said == "Error: no location 'ofice'; there are: office\n"
    assert listed(run, "test") == []


def test_a_test_is_assigned_and_unassigned(run: Run, location: str) -> None:
    run("location", "create", "second", "--output", "second.json")
    push(run, location, http_test())
    assert run("test", "assign", "shop", "--location", "second").output == "test 'shop' runs at second\n"
    assert run("test", "unassign", "shop", "--location", location).output == "test 'shop' runs at second\n"
    assert [place["name"] for place in listed(run, "test")[0]["locations"]] == ["second"]
    again = run("test", "unassign", "shop", "--location", location, code=2).output
    assert again == "Error: test 'shop' is not assigned to location 'office'\n"
    assert run("test", "unassign", "shop", "--location", "second").output == "test 'shop' runs nowhere now\n"
    assert "nowhere" in run("test", "list").output


@pytest.mark.parametrize(
    "second", [http_test(message="other"), http_test(public_id="bbb-bbb-bbb")], ids=["no id", "one id"]
)
def test_two_definitions_of_one_name_are_a_mistake(run: Run, location: str, second: dict[str, Any]) -> None:
    result = push(run, location, http_test(), second, code=2)
    assert result.output.splitlines() == [
        "tests.json[1]: name: 'shop' is that of tests.json[0] too; give each a public_id",
        "1 mistake; nothing was pushed",
    ]
    assert listed(run, "test") == []


def test_two_definitions_of_one_id_are_a_mistake(run: Run, location: str) -> None:
    one, other = (http_test(name=name, public_id="bbb-bbb-bbb") for name in ("a", "b"))
    result = push(run, location, one, other, code=2)
    assert result.output.splitlines()[0] == "tests.json[1]: public_id: 'bbb-bbb-bbb' is that of tests.json[0] too"


def test_many_mistakes_are_cut_and_counted(run: Run, location: str) -> None:
    result = push(run, location, *({"type": "api", "name": f"{n}"} for n in range(60)), code=2)
    lines = result.output.splitlines()
    assert len(lines) == 52
    hidden = int(lines[-2].removeprefix("and ").removesuffix(" more"))
    assert lines[-1] == f"{hidden + 50} mistakes; nothing was pushed"


def test_nothing_is_pushed_unless_everything_is_valid(run: Run, location: str) -> None:
    result = push(run, location, http_test(), http_test(name="bad", options={}), {"type": "browser"}, code=2)
    assert "tests.json[1]: options.tick_every: is missing" in result.output
    assert "tests.json[2]: " in result.output
    assert result.output.splitlines()[-1] == "2 mistakes; nothing was pushed"
    assert push(run, location, http_test(name="bad", options={}), code=2).output.endswith(
        "1 mistake; nothing was pushed\n"
    )
    assert listed(run, "test") == []


def test_what_cannot_run_yet_is_said_at_once(run: Run, location: str) -> None:
    newer = http_test(options={"tick_every": 60, "httpVersion": "http3"})
    assert "will end as REQUIRES_UPDATE: options.httpVersion" in push(run, location, newer).output


def test_what_a_test_is_run_without_is_said_at_once(run: Run, location: str) -> None:
    exported = http_test()
    exported["config"]["request"]["certificate"] = {"cert": {"filename": "c.pem"}}
    exported["options"] |= {"monitor_options": {"renotify_interval": 10, "on_missing_data": "resolve"}}
    exported["options"] |= {"min_location_failed": 2}
    said = push(run, location, exported).output
    assert "note: config.request.certificate: without its contents" in said
    assert 'note: options.monitor_options.on_missing_data: "resolve" has no effect' in said
    assert "note: options.min_location_failed: 2 counts as 1: no more locations run the test" in said
    assert "renotify_interval" not in said


def test_a_paused_test_is_due_nowhere_until_it_is_resumed(run: Run, location: str) -> None:
    push(run, location, http_test())
    run("test", "pause", "shop")
    assert [(one["status"], one["locations"][0]["due_at"]) for one in listed(run, "test")] == [("paused", None)]
    push(run, location, http_test(message="edited"))
    assert listed(run, "test")[0]["status"] == "paused", "an edit is no reason to run again"
    run("test", "resume", "shop")
    assert listed(run, "test")[0]["locations"][0]["due_at"] is not None


def test_a_definition_may_say_that_it_is_paused(run: Run, location: str) -> None:
    push(run, location, http_test(status="paused"))
    assert listed(run, "test")[0]["locations"][0]["due_at"] is None
    push(run, location, http_test(status="live"))
    assert listed(run, "test")[0]["status"] == "live"


def test_a_test_is_named_by_id_or_name_and_only_if_it_is_the_only_one(run: Run, location: str) -> None:
    push(run, location, http_test(public_id="aaa-aaa-aaa"), http_test(public_id="bbb-bbb-bbb"))
    result = run("test", "pause", "shop", code=2)
    assert result.output == "Error: 2 tests are named 'shop'; use a public id: aaa-aaa-aaa, bbb-bbb-bbb\n"
    run("test", "pause", "bbb-bbb-bbb")
    assert run("test", "pause", "none", code=2).output.startswith("Error: no test 'none'")


@pytest.mark.parametrize(
    "arguments",
    [("location", "list"), ("test", "list"), ("results",), ("results", "--follow"), ("test", "run", "x"),
     ("location", "rotate", "x", "--output", "y")],
    ids=" ".join,
)  # fmt: skip
def test_a_missing_database_is_named_and_not_made(run: Run, arguments: tuple[str, ...]) -> None:
    result = run(*arguments, "--database", "none.db", code=2)
    assert result.output == "Error: database none.db does not exist; `serve` and `location create` make it\n"
    assert list(Path().iterdir()) == []


def test_the_database_is_named_before_or_after_the_command_or_in_the_environment(run: Run) -> None:
    run("location", "create", "office", "--output", "a.json", "--database", "named.db")
    for arguments, environment in (
        (("--database", "named.db", "location", "list", "--json"), {}),
        (("location", "list", "--json", "--database", "named.db"), {"CONTROLPLANE_DATABASE": "none.db"}),
        (("location", "list", "--json"), {"CONTROLPLANE_DATABASE": "named.db"}),
    ):
        assert json.loads(run(*arguments, env=environment).output)["name"] == "office"


def test_a_key_may_come_from_the_environment(run: Run) -> None:
    key = base64.b64encode(b"k" * 32).decode()
    run("location", "create", "office", "--output", "a.json", env={"CONTROLPLANE_KEY": key})
    assert not Path("controlplane.db.key").exists()
    assert "No such file" in run("location", "list", code=2).output
    said = run("location", "list", code=2, env={"CONTROLPLANE_KEY": "nonsense!"}).output
    assert said == "Error: CONTROLPLANE_KEY: not a key: expected 32 bytes in base64\n"
    Path("elsewhere.key").write_text(key)
    Path("elsewhere.key").chmod(0o600)
    run("location", "list", env={"CONTROLPLANE_KEY_FILE": "elsewhere.key"})


def test_serve_refuses_a_malformed_key_in_one_line(run: Run) -> None:
    said = run("serve", "--listen", "127.0.0.1:0", code=2, env={"CONTROLPLANE_KEY": "nonsense!"}).output
    assert said == "Error: CONTROLPLANE_KEY: not a key: expected 32 bytes in base64\n"


def test_a_definition_with_the_name_of_several_tests_needs_an_id(run: Run, location: str) -> None:
    push(run, location, http_test(public_id="aaa-aaa-aaa"), http_test(public_id="bbb-bbb-bbb"))
    result = push(run, location, http_test(), code=2)
    assert result.output == "Error: tests.json[0]: 2 tests are named 'shop'; give it a public_id\n"


def test_the_first_steps_are_told_where_there_is_nothing_yet(run: Run, location: str) -> None:
    run("location", "delete", location)
    said = run("location", "disable", location, code=2).output
    assert said == "Error: no location 'office'; there are none; `location create` makes one\n"
    said = run("test", "delete", "home", code=2).output
    assert said == "Error: no test 'home'; `test list` shows those that there are\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("serve", "--listen", "nowhere"),
        ("serve", "--listen", "127.0.0.1:99999"),
        ("serve", "--public-url", "plane.example"),
        ("serve", "--public-url", "http://"),
        ("serve", "--tls-key", "key.pem"),
        ("serve", "--tls-cert", "none.pem"),
        ("serve", "--retention-days", "0"),
        ("serve", "--listen", "192.0.2.1:0"),
        ("backup", "none"),
        ("location", "create", "office"),
        ("location", "create", "office", "--output", "x", "--key-kind", "rsa1024"),
        ("location", "create", "office", "--output", "x", "--intake-url", "plane.example"),
        ("nonsense",),
    ],
    ids=" ".join,
)
def test_bad_usage_is_exit_2_without_a_traceback(run: Run, arguments: tuple[str, ...]) -> None:
    result = run(*arguments, code=2)
    assert "Traceback" not in result.output
    assert result.output.splitlines()[-1].startswith("Error: ")
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("name", ["a\x1b[2J\u202eb", "a\x9b31mb", "a\u2066b\u2069", "a\x7fb"])
def test_what_a_definition_holds_cannot_command_the_terminal(run: Run, location: str, name: str) -> None:
    told = [
        push(
            run, location, http_test(name=name, options={"tick_every": 60, "retry": {"count": 1, "interval": 60_000}})
        ).output,
        *(run(what, "list").output for what in ("test", "location")),
        *(run(*what, "--json").output for what in (("test", "list"), ("results",))),
    ]
    invalid = Path(f"bad {name}.json")
    invalid.write_text(json.dumps({"name": name, name: 1}))
    told.append(run("test", "push", str(invalid), "--location", "office", code=2).output)
    for output in told:
        assert all(line.isprintable() for line in output.splitlines()), output
    assert json.loads(run("test", "list", "--json").output)["name"] == name


def test_a_subtest_may_be_pushed_after_the_test_that_plays_it(run: Run, location: str) -> None:
    outer = multistep(subtest("inn-inn-inn"), public_id="ooo-ooo-ooo")
    assert "the subtest 'inn-inn-inn' is not part of this definition" in push(run, location, outer).output
    inner = multistep(step(), public_id="inn-inn-inn", name="inner")
    assert "REQUIRES_UPDATE" not in push(run, location, outer | {"message": "b"}, inner).output
