"""Transitions in words: the message of each kind, and the names that its template may use."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from controlplane.alerts.message import MessageEvent
from controlplane.alerts.transitions import FailingPlace, Transition, TransitionDetail, TransitionKind
from controlplane.alerts.wording import words

FAILING = FailingPlace(location="pl:lab", name="Lab", since=1000, code="TIMEOUT", message="no answer", result="17")
TRANSITION = Transition(
    id="t1",
    kind=TransitionKind.ALERT,
    alert="a1",
    at=61_000,
    subject="abc-def-ghi",
    name="Checkout",
    summary="Checkout fails at Lab",
    detail=TransitionDetail(since=1000, watched=2, failing=(FAILING,)),
    test="abc-def-ghi",
    message="{{#is_alert}}{{failure.code}} at {{location.name}}, {{triggered_duration_sec}} s @slack-ops{{/is_alert}}",
    escalation="Still. {{synthetics.attributes.result.response.statusCode}}",
    tags=("env:prod", "env:b"),
    priority=2,
)
OUTCOME: dict[str, Any] = {
    "status": "failed",
    "started_at": 5,
    "failure": {"code": "TIMEOUT", "message": "no answer"},
    "response": {"status_code": 503, "headers": {"x_y": "1"}},
    "test": {"subtype": "http", "version": 4},
    "steps": [{"name": "one", "status": "passed"}, {"name": "two", "status": "failed", "failure": {"message": "m"}}],
}


def test_an_alert_says_what_fails_in_our_words_and_the_authors() -> None:
    message = words(TRANSITION, OUTCOME, link="https://cp.example/t/abc-def-ghi")
    assert message.title == "[P2] [Triggered] Checkout"
    assert message.text == "Checkout fails at Lab\n\nTIMEOUT at Lab, 60 s"
    assert (message.event, message.incident, message.locations) == (MessageEvent.ALERT, "a1", ("Lab",))
    assert (message.failure_code, message.failure, message.priority) == ("TIMEOUT", "no answer", 2)


HOSTILE = "\u202eevil\u2066 \x1b[2J\x00 \x85 \u2029 \u05d0\u200f \U0001f469\u200d\U0001f52c"
HARMLESS = r"\u202eevil\u2066 \x1b[2J\x00 \x85 \u2029 " + "\u05d0\u200f \U0001f469\u200d\U0001f52c"


def test_nothing_that_a_target_sends_turns_or_hides_what_people_read() -> None:
    """Hebrew, marks of its direction and joined emoji stay as they are; overrides, isolates and controls are shown as escapes."""
    failing = replace(FAILING, name=HOSTILE, code=HOSTILE, message=HOSTILE)
    detail = replace(TRANSITION.detail, failing=(failing,), began_with=(HOSTILE,))
    hostile = replace(
        TRANSITION, name=HOSTILE, summary=HOSTILE, tags=(HOSTILE,), detail=detail, message="a\r\n{{tags}}"
    )
    message = words(hostile, None)
    assert message.text == f"{HARMLESS}\n\na\n{HARMLESS}"
    assert message.title == f"[P2] [Triggered] {HARMLESS}"
    assert (message.test_name, message.failure_code, message.failure) == (HARMLESS,) * 3
    assert message.locations == message.tags == message.incident_tags == (HARMLESS,)


@pytest.mark.parametrize(
    ("kind", "event", "word"),
    [
        (TransitionKind.RENOTIFY, MessageEvent.ALERT, "Re-triggered"),
        (TransitionKind.RECOVERY, MessageEvent.RECOVERY, "Recovered"),
        (TransitionKind.CLOSED, MessageEvent.RECOVERY, "Recovered"),
        (TransitionKind.NO_DATA, MessageEvent.NO_DATA, "No data"),
        (TransitionKind.NO_DATA_RECOVERY, MessageEvent.RECOVERY, "Recovered"),
        (TransitionKind.NOTICE, MessageEvent.ALERT, "Triggered"),
        (TransitionKind.NOTICE_OVER, MessageEvent.RECOVERY, "Recovered"),
    ],
)
def test_each_kind_of_transition_has_its_words(kind: TransitionKind, event: MessageEvent, word: str) -> None:
    message = words(replace(TRANSITION, kind=kind), OUTCOME)
    assert (message.event, message.title) == (event, f"[P2] [{word}] Checkout")


def test_a_repetition_brings_the_escalation() -> None:
    message = words(replace(TRANSITION, kind=TransitionKind.RENOTIFY), OUTCOME)
    assert message.text.endswith("Still. 503")
    assert message.renotify


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{synthetics.attributes.result.testStartedAt}}", "5"),
        ("{{synthetics.attributes.result.response.headers.x_y}}", "1"),
        ("{{synthetics.attributes.test.subType}} {{synthetics.attributes.test.id}}", "http abc-def-ghi"),
        ("{{synthetics.failed_step.name}}: {{synthetics.failed_step.failure.message}}", "two: m"),
        ("{{synthetics.result.step_count}}", "2"),
        ("{{env.name}}", "b, prod"),
        ("{{synthetics.attributes.location.id}}", "pl:lab"),
        ("{{first_triggered_at}}", "1970-01-01 00:00:01 UTC"),
        ("{{link}}", "https://cp.example/"),
    ],
)
def test_a_template_names_what_the_run_saw(template: str, text: str) -> None:
    message = words(replace(TRANSITION, message=template), OUTCOME, link="https://cp.example/")
    assert message.text == f"Checkout fails at Lab\n\n{text}"


def test_without_the_result_the_transition_itself_says_what_failed() -> None:
    template = "{{synthetics.attributes.result.failure.message}} {{synthetics.attributes.result.response.statusCode}}."
    assert words(replace(TRANSITION, message=template), None).text.endswith("no answer .")
