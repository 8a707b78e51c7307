"""`results`: lines and JSON, filters, colours and widths, of a terminal and of none."""

from __future__ import annotations

import json
import os
import pty
import re
import sqlite3
import subprocess
from contextlib import closing

import pytest

from tests.integration.controlplane.typed import Run, listed, push, store
from tests.support import programs
from tests.support.definitions import http_test
from tests.support.protocol import outcome

FAILURE = {"code": "TIMEOUT", "message": "no reply in 5 s, and more is to be said of it than fits a line"}


def test_a_deleted_test_leaves_its_results(run: Run, location: str) -> None:
    push(run, location, http_test())
    store([outcome()])
    run("test", "delete", "shop")
    assert listed(run, "test") == []
    assert "shop" in run("results").output


def test_results_are_told_a_line_each_with_phases_and_reasons(run: Run, location: str) -> None:
    push(run, location, http_test())
    failure = {"code": "TIMEOUT", "message": "no reply in 5 s"}
    store([outcome(), outcome("failed", failure=failure)])
    first, second = run("results").output.splitlines()
    public_id = listed(run, "test")[0]["public_id"]
    assert re.fullmatch(
        rf"2026-01-02 \d\d:04:05[+-]\d{{4}}  ✓ passed  shop +{public_id}  office  dns 1\.2 · tcp 0\.3 = 1\.5 ms", first
    )
    assert second.endswith("= 1.5 ms  TIMEOUT: no reply in 5 s")


def test_what_a_target_sent_cannot_command_the_terminal(run: Run, location: str) -> None:
    push(run, location, http_test())
    hostile = {"code": "SSL\x1b[2J", "message": "bad\r\n\x9b31mfaked\u202e"}
    store([outcome("failed", failure=hostile, timings={"dns\x1b": 1.0, "total": 1.0})])
    output = run("results").output
    assert output.count("\n") == 1
    assert output.rstrip("\n").isprintable()


def test_results_come_as_json_with_everything(run: Run, location: str) -> None:
    push(run, location, http_test(), http_test(name="other"))
    sent = outcome(response={"status_code": 200})
    store([sent])
    store([outcome("failed")], name="other")
    (one,) = [json.loads(line) for line in run("results", "--json", "--test", "shop").output.splitlines()]
    assert one["outcome"] == sent
    assert (one["status"], one["origin"], one["test_name"], one["job"]) == ("passed", "worker", "shop", "shop-0")


def spoil(job: str, text: str) -> None:
    """What an older version may have stored."""
    with closing(sqlite3.connect("controlplane.db")) as connection, connection:
        connection.execute("UPDATE results SET outcome = ? WHERE job_id = ?", (text, job))


@pytest.mark.parametrize(
    "text",
    ["1" + "0" * 399, "1" + "0" * 4999, "1e400", "[" * 100_000, '"\\ud800"', "nothing", ""],
    ids=["400 digits", "5000 digits", "an exponent", "levels", "half a surrogate pair", "not JSON", "empty"],
)
def test_a_bad_row_costs_itself_alone(run: Run, location: str, text: str) -> None:
    push(run, location, http_test())
    store([outcome(), outcome(), outcome()])
    spoil("shop-1", f'{{"status":"passed","timings":{{"total":{text}}}}}')
    first, bad, last = run("results").output.splitlines()
    assert "1.5 ms" in first
    assert "1.5 ms" in last
    assert "the stored outcome cannot be read" in bad
    rows = [json.loads(line) for line in run("results", "--json").output.splitlines()]
    assert [row["outcome"] is None for row in rows] == [False, True, False]
    assert rows[1]["unreadable"] == "the stored outcome cannot be read"


def test_the_newest_results_come_last_and_their_number_is_bounded(run: Run, location: str) -> None:
    push(run, location, http_test())
    store([outcome() for _ in range(30)])
    lines = [json.loads(line)["job"] for line in run("results", "--json", "--limit", "3").output.splitlines()]
    assert lines == ["shop-27", "shop-28", "shop-29"]
    assert len(run("results").output.splitlines()) == 20


@pytest.fixture
def several(run: Run, location: str) -> Run:
    """Two passed results of `shop` and a failed one of `home`."""
    push(run, location, http_test(), http_test(name="home"))
    store([outcome(), outcome()])
    store([outcome("failed", failure=FAILURE)], name="home")
    return run


def names(run: Run, *flags: str) -> list[str]:
    return [json.loads(line)["test_name"] for line in run("results", "--json", *flags).output.splitlines()]


def test_results_are_chosen_by_what_they_are_of(several: Run) -> None:
    several("location", "create", "empty", "--output", "empty.json")
    assert names(several) == ["shop", "shop", "home"]
    assert names(several, "--failed") == ["home"]
    assert names(several, "--test", "shop") == ["shop", "shop"]
    assert names(several, "--test", "shop", "--failed") == []
    assert names(several, "--location", "office", "--limit", "2") == ["shop", "home"]
    assert names(several, "--location", "empty") == []


def test_results_are_chosen_by_their_time(several: Run) -> None:
    """They were stored at 2026-01-02T03:04:05Z."""
    assert len(names(several, "--since", "2026-01-02T03:04:05+00:00")) == 3
    assert names(several, "--since", "2026-01-02T03:04:06+00:00") == []
    assert len(names(several, "--since", "2026-01-01")) == 3
    assert names(several, "--since", "2h") == []
    assert len(names(several, "--since", "99999d")) == 3


def test_a_renamed_test_brings_its_older_results_along(several: Run) -> None:
    public_id = next(one["public_id"] for one in listed(several, "test") if one["name"] == "shop")
    push(several, "office", http_test(name="store", public_id=public_id))
    assert names(several, "--test", "store") == names(several, "--test", public_id) == ["shop", "shop"]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--test", "shp"), "Error: no test 'shp'; `test list` shows those that there are\n"),
        (("--location", "ofice"), "Error: no location 'ofice'; there are: office\n"),
        (("--since", "yesterday"), "Error: --since 'yesterday' is not a time: expected 90s, 30min, 2h, 7d, or a date"),
        (("--since", "9999999999d"), "Error: --since '9999999999d' is not a time"),
        (("--since", "999999999d"), "Error: --since '999999999d' is not a time"),
    ],
)
def test_a_filter_that_names_nothing_is_an_error(several: Run, flags: tuple[str, ...], said: str) -> None:
    for more in ((), ("--follow",)):
        assert several("results", *flags, *more, code=2).output.startswith(said)


def test_results_of_what_was_deleted_are_still_found(several: Run) -> None:
    place = listed(several, "location")[0]["id"]
    several("test", "delete", "home")
    several("location", "delete", "office", "--force")
    assert names(several, "--test", "home") == ["home"]
    assert len(names(several, "--location", place)) == 3
    assert place in several("results").output


def test_the_list_of_tests_shows_how_each_went_last(several: Run) -> None:
    lines = {line.split()[1]: line for line in several("test", "list").output.splitlines()[1:]}
    assert re.search(r"  failed  office \(failed \d+ \w+ ago, due\)$", lines["home"])
    assert re.search(r"  passed  office \(passed \d+ \w+ ago, due\)$", lines["shop"])
    last = {one["name"]: one["locations"][0]["last"] for one in listed(several, "test")}
    assert last["home"] == {"status": "failed", "stored_at": 1_767_323_045_000}


def on_a_terminal(*arguments: str, columns: int = 80, **environment: str) -> str:
    """What a command prints on a real terminal, without the carriage returns that one adds."""
    ours, theirs = pty.openpty()
    size = {"COLUMNS": str(columns), "LINES": "24"}
    done = subprocess.Popen(
        programs.command("controlplane", *arguments),
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        env=programs.environment({"TERM": "xterm", **size, **environment}),
    )
    os.close(theirs)
    said = b""
    try:
        while chunk := os.read(ours, 65536):
            said += chunk
    except OSError:  # the last writer has closed it
        pass
    os.close(ours)
    assert done.wait(60) == 0, said
    return said.decode().replace("\r", "")


def test_long_lines_are_wrapped_between_words_on_a_terminal(several: Run) -> None:
    said = on_a_terminal("results", "--failed", NO_COLOR="1")
    lines = said.splitlines()
    assert len(lines) > 1
    assert all(len(line) <= 80 for line in lines)
    assert all(line.startswith("    ") for line in lines[1:])
    whole = several("results", "--failed").output
    assert said.split() == whole.split()


def test_a_table_is_as_wide_as_the_terminal(several: Run) -> None:
    push(several, "office", http_test(name="a name that says very much of what it is that the test looks at, and why"))
    said = on_a_terminal("test", "list")
    assert max(map(len, said.splitlines())) <= 80
    assert max(map(len, several("test", "list").output.splitlines())) > 80
    assert max(map(len, on_a_terminal("location", "list").splitlines())) <= 80


def test_colours_are_for_terminals_that_want_them(several: Run) -> None:
    """https://no-color.org: any value but the empty one."""
    assert "\x1b[31m" in on_a_terminal("results")
    assert "\x1b[31m" in on_a_terminal("results", NO_COLOR="")
    assert "\x1b" not in on_a_terminal("results", NO_COLOR="1")
    assert "\x1b" not in on_a_terminal("results", TERM="dumb")
    assert "\x1b" not in several("results").output
