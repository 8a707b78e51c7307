"""Templates of messages, case by case from the reference's pages "Variables" (monitors/notify), "Synthetic Monitoring Conditional
Alerting", "Synthetic Monitoring Advanced Notifications" and "Synthetic Monitoring Notifications".
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.alerts.template import MAX_OUTPUT, RenderedText, TemplateContext, render

STEPS = [
    {"name": "login", "status": "passed", "id": "abc-def-ghi"},
    {"name": "stagedomain checkout", "status": "failed", "failure": {"code": "TIMEOUT"}, "duration": 1500.0},
    {"name": "My Complex Name", "status": "skipped", "url": "https://x.example/"},
]
RESULT = {
    "duration": 52.7,
    "failure": {"code": "DNS", "message": "no such <host>"},
    "response": {"statusCode": 500, "headers": {"content-type": "text/html", "x-b": "2"}, "body": ""},
    "steps": STEPS,
}
VALUES: dict[str, Any] = {
    "synthetics": {"attributes": {"result": RESULT}},
    "tags": {"env": "production", "role": "db_cassandra", "team": "a, b"},
    "list": STEPS,
    "empty": [],
    "last_triggered_at": "2021-05-31 14:43:27 UTC",
    "last_triggered_at_epoch": 1622472207000,
}


def rendered(template: str, *conditions: str, priority: int | None = 3) -> RenderedText:
    return render(template, TemplateContext(conditions=frozenset(conditions), values=VALUES, priority=priority))


@pytest.mark.parametrize(
    ("template", "conditions", "text"),
    [
        ("{{#is_alert}}down{{/is_alert}}", "is_alert", "down"),
        ("{{#is_alert}}down{{/is_alert}}", "", ""),
        ("{{^is_alert}}calm{{/is_alert}}", "is_alert", ""),
        ("{{^is_alert}}calm{{/is_alert}}", "", "calm"),
        ("{{#is_alert}}down{{else}}calm{{/is_alert}}", "", "calm"),
        ("{{#is_recovery}}up{{/is_recovery}}", "is_recovery", "up"),
        ("{{#is_no_data}}blind{{/is_no_data}}", "is_no_data", "blind"),
        ("{{#is_warning}}never{{/is_warning}}{{^is_unknown}}known{{/is_unknown}}", "is_alert", "known"),
        (
            "{{^is_renotify}}first{{/is_renotify}} always {{#is_renotify}}again{{/is_renotify}}",
            "is_alert is_renotify",
            "always again",
        ),
        ("{{#is_priority 'P3'}}three{{/is_priority}}{{#is_priority 'P1'}}one{{/is_priority}}", "", "three"),
        ('{{#is_match "role.name" "db"}}db{{/is_match}}', "", "db"),
        ('{{#is_match "role.name" "web" "cassandra"}}either{{/is_match}}', "", "either"),
        ('{{^is_match "role.name" "db"}}other{{/is_match}}', "", ""),
        ('{{#is_match "env" "production"}}prod{{/is_match}}', "", "prod"),
        ('{{#is_match "env" ""}}set{{/is_match}}{{#is_match "nothing" ""}}unset{{/is_match}}', "", "set"),
        ('{{#is_exact_match "env.name" "prod"}}no{{else}}not only{{/is_exact_match}}', "", "not only"),
        ('{{#is_exact_match "synthetics.attributes.result.response.statusCode" "500.0"}}5xx{{/is_exact_match}}', "", "5xx"),
        ("{{#if synthetics.attributes.result.failure}}failed{{/if}}", "", "failed"),
        ("{{#if empty}}full{{else}}empty{{/if}}", "", "empty"),
        ("{{#unless synthetics.attributes.result.response.body}}no body{{/unless}}", "", "no body"),
        ("{{synthetics.attributes.result.failure.message}}", "", "no such <host>"),
        ("{{{synthetics.attributes.result.failure.message}}}", "", "no such <host>"),
        ("{{synthetics.attributes.result.response.headers.[content-type]}}", "", "text/html"),
        ("{{list.2.name}}|{{list.-1.status}}|{{list[My Complex Name]url}}", "", "My Complex Name|skipped|https://x.example/"),
        ("{{list.ABC-def-ghi.name}}", "", "login"),
        ("{{list.1.duration}} {{list.9.name}}.", "", "1500 ."),
        ("{{tags}}", "", "env:production, role:db_cassandra, team:a, b"),
        ("{{tags.env}} {{env.name}} {{tags.none}}.", "", "production production ."),
        ("{{local_time 'last_triggered_at' 'Asia/Tokyo'}}", "", "2021-05-31 23:43:27+09:00"),
        ("a{{! a comment }}b{{!-- with }} in it --}}c", "", "abc"),
        (
            "{{#with synthetics.attributes.result.response}}{{statusCode}}{{#each headers}} {{@key}}={{this}}{{/each}}{{/with}}",
            "",
            "500 content-type=text/html x-b=2",
        ),
        ("{{#each list}}{{@index}}{{status}}{{#unless @last}}, {{/unless}}{{/each}}", "", "0passed, 1failed, 2skipped"),
        ("{{#each empty}}x{{else}}none{{/each}}", "", "none"),
    ],
)  # fmt: skip
def test_a_template_reads_as_the_reference_says(template: str, conditions: str, text: str) -> None:
    assert rendered(template, *conditions.split()).text == text


@pytest.mark.parametrize(
    "template",
    [
        "{{unknown}}",
        '{{eval "humanize_bytes(bodySize)"}}',
        "{{local_time 'last_triggered_at' 'Mars/Olympus'}}",
        "{{#is_odd x}}odd{{/is_odd}}",
        "{{/is_alert}} stray",
        "{{ never closed",
        "{{}}",
        "{{else}} alone",
    ],
)
def test_an_author_sees_what_is_not_known_as_it_was_written(template: str) -> None:
    assert rendered(template).text == template


def test_a_tag_with_a_line_to_itself_takes_the_line_away() -> None:
    template = (
        "{{!\nwhy\n}}\n{{#is_alert}}\nThe test fails.\n{{/is_alert}}\n"
        "{{#is_recovery}}\nIt is well.\n{{/is_recovery}}\n\nRunbook: x\n"
    )
    assert rendered(template, "is_alert").text == "The test fails.\n\nRunbook: x"


def test_the_last_priority_that_is_said_holds() -> None:
    template = (
        "{{#is_alert}}{{#each synthetics.attributes.result.steps}}{{#is_match 'status' 'failed'}}"
        "{{#is_match 'name' 'stagedomain'}}{{override_priority 'P2'}}{{else}}{{override_priority 'P4'}}{{/is_match}}"
        "{{/is_match}}{{/each}}{{/is_alert}}"
    )
    assert rendered(template, "is_alert").priority == 2
    assert rendered(template).priority == 3


@pytest.mark.parametrize(
    ("template", "handles"),
    [
        ("{{#is_alert}}@slack-ops{{/is_alert}} {{#is_recovery}}@pagerduty{{/is_recovery}}", ("slack-ops",)),
        (
            "to @example@email.com, and (@webhook-one). @slack-a @slack-a",
            ("example@email.com", "webhook-one", "slack-a"),
        ),
        ("mail me at a@b.example", ()),
        ("{{list.0.mention}} {{synthetics.attributes.result.mention}}", ()),
        ("@{{tags.env}}", ()),
    ],
)
def test_handles_are_those_that_the_author_wrote_and_that_are_shown(template: str, handles: tuple[str, ...]) -> None:
    hostile = {**VALUES, "list": [{"mention": "@pagerduty"}]}
    found = render(template, TemplateContext(conditions=frozenset({"is_alert"}), values=hostile))
    assert found.handles == handles


def test_a_value_is_not_read_as_a_template_and_not_as_a_handle() -> None:
    found = render("{{said}}", TemplateContext(values={"said": "{{#each x}} @pagerduty {{tags}}"}))
    assert (found.text, found.handles, found.without_handles) == (
        "{{#each x}} @pagerduty {{tags}}",
        (),
        "{{#each x}} @pagerduty {{tags}}",
    )


def test_handles_can_be_left_out_of_the_text() -> None:
    assert rendered("Down! @slack-ops @a@b.example\nNow.").without_handles == "Down!\nNow."


@pytest.mark.timeout(5)
@pytest.mark.parametrize(
    "template",
    [
        "{{" * 30_000,
        "{{#is_alert}}" * 5_000,
        "{{!--" * 10_000,
        "{{#each list}}" * 10 + "x" * 100 + "{{/each}}" * 10,
        "@a" + "%" * 60_000,
        "{{list" + ".0" * 30_000 + "}}",
        "[" * 60_000,
        "{{" + "[" * 60_000 + "}}",
    ],
    ids=str.__len__,
)
def test_a_hostile_template_is_bounded(template: str) -> None:
    wide = {"list": [list(range(1000))] * 1000}
    found = render(template, TemplateContext(conditions=frozenset({"is_alert"}), values=wide))
    assert len(found.text) <= MAX_OUTPUT


PIECES = [
    *(
        "{{",
        "}}",
        "{{{",
        "}}}",
        "{{#is_alert}}",
        "{{/is_alert}}",
        "{{else}}",
        "{{^if_list}}",
        "{{/if}}",
        "{{#each_list}}",
    ),
    *("{{/each}}", "{{this}}", "{{!", "--}}", "@a", "text", "{{@index}}", "'", '"'),
]


@given(
    st.lists(st.sampled_from([*(piece.replace("_l", " l") for piece in PIECES), "\n", " "]), max_size=30).map("".join)
)
@settings(max_examples=200, deadline=None)
def test_no_text_makes_rendering_fail(template: str) -> None:
    rendered(template, "is_alert")
