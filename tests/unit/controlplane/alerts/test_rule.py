"""The rule of a test's alerts: from the options of definitions, from recorded ones too, into the database and back."""

from __future__ import annotations

from typing import Any

import pytest

from controlplane.alerts.rule import (
    DEFAULT,
    AlertRule,
    escalation,
    ignored,
    mistakes,
    of,
    priority,
    read,
    title,
    too_few,
    written,
)

PERIOD = 60_000
RECORDED = {"include_tags": True, "new_host_delay": 300, "notify_audit": False, "on_missing_data": "show_no_data"}
"""What the reference system adds to a request with `monitor_options`."""
RULES: dict[str, tuple[dict[str, Any], AlertRule]] = {
    "nothing": ({}, DEFAULT),
    "as recorded": (
        {"min_failure_duration": 10, "min_location_failed": 1, "monitor_priority": 5},
        AlertRule(failure_ms=10_000),
    ),
    "what the reference system adds": ({"monitor_options": RECORDED | {"renotify_interval": 0}}, DEFAULT),
    "repetitions": (
        {"monitor_options": {"renotify_interval": 120, "renotify_occurrences": 3}},
        AlertRule(renotify_ms=7_200_000, renotify_most=3),
    ),
    "several locations": ({"min_location_failed": 3}, AlertRule(locations=3)),
    "no data after two periods": ({"monitor_options": {"notify_no_data": True}}, AlertRule(no_data_ms=120_000)),
    "no data by its newer name": (
        {"monitor_options": {"on_missing_data": "show_and_notify_no_data", "no_data_timeframe": 10}},
        AlertRule(no_data_ms=600_000),
    ),
    "a time frame that nobody asked to be told of": ({"monitor_options": {"no_data_timeframe": 10}}, DEFAULT),
    "more locations than there can be": ({"min_location_failed": 10**9}, AlertRule(locations=100_000)),
    "less than nothing": (
        {
            "min_location_failed": -1,
            "min_failure_duration": -5,
            "monitor_options": {"renotify_interval": 5, "renotify_occurrences": -1, "notify_no_data": True}
            | {"no_data_timeframe": -1},
        },
        AlertRule(renotify_ms=300_000, no_data_ms=120_000),
    ),
    "for ever": ({"min_failure_duration": 1e300}, AlertRule(failure_ms=604_800_000)),
}


@pytest.mark.parametrize(("options", "rule"), RULES.values(), ids=RULES)
def test_options_are_read_written_and_read_again(options: dict[str, Any], rule: AlertRule) -> None:
    definition = {"options": options}
    assert mistakes(definition) == []
    assert read(definition, period_ms=PERIOD) == rule
    assert of(written(rule)) == rule
    assert (written(rule) is None) is (rule == DEFAULT)


@pytest.mark.parametrize("value", ["300", True, [], {}, float("nan")])
@pytest.mark.parametrize("name", ["min_failure_duration", "min_location_failed", "monitor_priority"])
def test_an_option_of_another_kind_is_a_mistake_and_not_passed_over(name: str, value: object) -> None:
    assert mistakes({"options": {name: value}}) == [f"options.{name}: must be a number"]


FORBIDDEN: list[tuple[dict[str, Any], str]] = [
    ({"monitor_priority": 0}, "options.monitor_priority: 0 is not a valid number from 1 to 5"),
    ({"monitor_priority": 6}, "options.monitor_priority: 6 is not a valid number from 1 to 5"),
    (
        {"monitor_options": {"renotify_interval": -10}},
        "options.monitor_options.renotify_interval: -10 is not a valid number from 0 to 10080",
    ),
    (
        {"monitor_options": {"renotify_interval": 10_081}},
        "options.monitor_options.renotify_interval: 10081 is not a valid number from 0 to 10080",
    ),
]


@pytest.mark.parametrize(("options", "mistake"), FORBIDDEN)
def test_a_number_that_the_reference_systems_schema_forbids_is_a_mistake(options: dict[str, Any], mistake: str) -> None:
    assert mistakes({"options": options}) == [mistake]
    assert read({"options": options}, period_ms=PERIOD) == DEFAULT, "what was stored before is passed over"


REMARKS: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"min_failure_duration": -5}, ("options.min_failure_duration: -5 counts as absent",)),
    ({"min_failure_duration": 604_801}, ("options.min_failure_duration: 604801 counts as 604800",)),
    ({"min_failure_duration": 1.5}, ()),
    ({"min_location_failed": -1}, ("options.min_location_failed: -1 counts as absent",)),
    ({"min_location_failed": 2.5}, ("options.min_location_failed: 2.5 counts as 2",)),
    ({"min_location_failed": 2.0}, ()),
    ({"min_location_failed": 10**9}, ("options.min_location_failed: 1000000000 counts as 100000",)),
    ({"min_location_failed": 0, "monitor_options": {"no_data_timeframe": 0, "renotify_occurrences": 0}}, ()),
    (
        {"monitor_options": {"renotify_occurrences": -1, "no_data_timeframe": 20_000}},
        (
            "options.monitor_options.renotify_occurrences: -1 counts as absent",
            "options.monitor_options.no_data_timeframe: 20000 counts as 10080",
        ),
    ),
]


@pytest.mark.parametrize(("options", "told"), REMARKS)
def test_a_number_that_is_not_gone_by_is_told_with_its_place(options: dict[str, Any], told: tuple[str, ...]) -> None:
    assert mistakes({"options": options}) == []
    assert ignored({"options": options}) == told


def test_more_locations_than_run_the_test_are_told() -> None:
    three = {"options": {"min_location_failed": 3}}
    assert too_few(three, 2) == ("options.min_location_failed: 3 counts as 2: no more locations run the test",)
    assert [too_few(three, places) for places in (0, 3, 4)] == [(), (), ()]
    assert too_few({}, 1) == too_few({"options": {"min_location_failed": "3"}}, 1) == ()


def test_every_mistake_is_told_with_its_place() -> None:
    monitor = {"renotify_interval": "1", "notify_no_data": "yes", "escalation_message": 7}
    assert mistakes({"options": {"monitor_options": monitor}}) == [
        "options.monitor_options.renotify_interval: must be a number",
        "options.monitor_options.notify_no_data: must be true or false",
        "options.monitor_options.escalation_message: must be a text",
    ]


def test_what_an_export_asks_for_and_nobody_does_is_told_and_what_is_done_anyway_is_not() -> None:
    done = {"renotify_interval": 120, "notify_no_data": True, "escalation_message": "@boss", "no_data_timeframe": 10}
    nothing = {"locked": False, "notification_preset_name": "show_all", "on_missing_data": "show_no_data", "x": None}
    assert ignored({"options": {"monitor_options": done | nothing | {"renotify_occurrences": 3}}}) == ()
    assert ignored({"options": {"monitor_options": RECORDED}}) == (
        "options.monitor_options.include_tags: true has no effect",
        "options.monitor_options.new_host_delay: 300 has no effect",
    )
    others = {"on_missing_data": "resolve", "notification_preset_name": "hide_all", "renotify_intervall": 5, "y": [1]}
    assert ignored({"options": {"monitor_options": others, "downtime_ids": [7]}}) == (
        "options.downtime_ids: downtimes are not followed",
        'options.monitor_options.on_missing_data: "resolve" has no effect',
        'options.monitor_options.notification_preset_name: "hide_all" has no effect',
        "options.monitor_options.renotify_intervall: 5 has no effect",
        "options.monitor_options.y: [1] has no effect",
    )
    many = {f"o{number}": "v" * 10_000 for number in range(1000)}
    assert sum(map(len, ignored({"options": {"monitor_options": many}}))) < 5000
    assert ignored({}) == ignored({"options": {"monitor_options": "text", "downtime_ids": []}}) == ()


def test_words_of_a_definition() -> None:
    definition = {
        "options": {
            "monitor_name": "Shop down",
            "monitor_priority": 2,
            "monitor_options": {"escalation_message": "@boss"},
        }
    }
    assert (title(definition, "shop"), priority(definition), escalation(definition)) == ("Shop down", 2, "@boss")
    assert (title({}, "shop"), priority({}), escalation({})) == ("shop", None, "")
    assert [priority({"options": {"monitor_priority": value}}) for value in (0, 6, None)] == [None, None, None]
