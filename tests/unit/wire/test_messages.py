"""The JSON of each message: its names, its bounds, and what is tolerated."""

from __future__ import annotations

import json
from typing import Any

import pytest

from worker.errors import MessageError
from worker.wire import messages
from worker.wire.messages import Jobs, Pull, Refusal, Results, ResultsReply

PULL: dict[str, Any] = {
    "version": 1,
    "agent": "0.1.0",
    "host": "box-7",
    "concurrency": 10,
    "free_slots": 3,
    "holding": ["l-1", "l-2"],
    "finished": ["l-2"],
    "release": ["l-3"],
    "keys": ["sha256$base64$AAAA"],
    "draining": False,
    "degraded": None,
    "restarted": True,
}
JOB: dict[str, Any] = {
    "job": "j-1",
    "lease": "l-1",
    "lease_ms": 15000,
    "scheduled_at": 1767323045000,
    "start_by": 60000,
    "delivery": 1,
    "test": {"name": "Café", "config": {}},
    "variables": {"HOST": "example.com", "OTP": "JBSWY3DPEHPK3PXP"},
    "secure": ["HOST"],
    "one_time": {"OTP": {"digits": 8, "refresh": 0}},
}
SAMPLES: list[tuple[Any, dict[str, Any]]] = [
    (Pull, PULL),
    (Jobs, {"jobs": [JOB], "more": True, "cancel": ["l-9"]}),
    (
        Results,
        {
            "reported_at": 1767323045000,
            "results": [{"result": "r-1", "job": "j-1", "lease": "l-1", "outcome": {"passed": True}}],
        },
    ),
    (
        ResultsReply,
        {
            "accepted": ["r-1"],
            "duplicate": ["r-2"],
            "superseded": ["r-3"],
            "rejected": [{"result": "r-4", "reason": "no such job"}],
        },
    ),
    (Refusal, {"error": "sequence", "message": "that number has been used", "last": 41}),
]


@pytest.mark.parametrize(("kind", "value"), SAMPLES, ids=[kind.__name__ for kind, _ in SAMPLES])
def test_a_message_survives_its_json(kind: Any, value: dict[str, Any]) -> None:
    message = messages.decode(kind, json.dumps(value).encode())
    assert json.loads(messages.encode(message)) == value


@pytest.mark.parametrize(("kind", "value"), SAMPLES, ids=[kind.__name__ for kind, _ in SAMPLES])
def test_a_key_of_a_newer_peer_is_tolerated(kind: Any, value: dict[str, Any]) -> None:
    assert messages.decode(kind, json.dumps({**value, "newer": [1]}).encode()) == messages.decode(
        kind, json.dumps(value).encode()
    )


def test_a_test_and_an_outcome_pass_through_untouched() -> None:
    job = messages.decode(Jobs, json.dumps({"jobs": [JOB]}).encode()).jobs[0]
    assert json.loads(bytes(job.test)) == JOB["test"]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"version": 2}, "$.version"),
        ({"version": "1"}, "$.version"),
        ({"concurrency": -1}, "$.concurrency"),
        ({"free_slots": 100_001}, "$.free_slots"),
        ({"free_slots": 1.5}, "$.free_slots"),
        ({"free_slots": True}, "$.free_slots"),
        ({"holding": [""]}, "$.holding[0]"),
        ({"holding": ["a b"]}, "$.holding[0]"),
        ({"holding": ["a\u0000"]}, "$.holding[0]"),
        ({"holding": ["a\n"]}, "$.holding[0]"),
        ({"holding": ["l" * 201]}, "$.holding[0]"),
        ({"holding": ["l"] * 10_001}, "$.holding"),
        ({"holding": None}, "$.holding"),
        ({"keys": []}, "$.keys"),
        ({"keys": ["k"] * 17}, "$.keys"),
        ({"draining": 1}, "$.draining"),
        ({"degraded": ""}, None),
        ({"degraded": "two\nlines"}, "$.degraded"),
        ({"agent": "\u0000"}, "$.agent"),
    ],
)
def test_a_value_out_of_bounds_is_refused_with_its_place(change: dict[str, Any], place: str | None) -> None:
    text = json.dumps({**PULL, **change}).encode()
    if place is None:
        assert messages.decode(Pull, text)
        return
    with pytest.raises(MessageError) as refused:
        messages.decode(Pull, text)
    assert place in str(refused.value)


@pytest.mark.parametrize("missing", ["job", "lease", "lease_ms", "scheduled_at", "start_by", "delivery", "test"])
def test_a_job_is_complete(missing: str) -> None:
    job = {name: value for name, value in JOB.items() if name != missing}
    with pytest.raises(MessageError, match=missing):
        messages.decode(Jobs, json.dumps({"jobs": [job]}).encode())


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b"\xff",
        b'{"error":"\xed\xa0\x80"}',
        b'{"error":"\\ud800"}',
        b'{"error":"x"} trailing',
        b'{"error":' + b"[" * 100_000,
    ],
)
def test_what_is_no_json_of_a_message_is_refused(text: bytes) -> None:
    with pytest.raises(MessageError):
        messages.decode(Refusal, text)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"variables": {"": "x"}}, "$.jobs[0].variables"),
        ({"variables": {"a\n": "x"}}, "$.jobs[0].variables"),
        ({"variables": {"A": 1}}, "$.jobs[0].variables"),
        ({"variables": {"A": "x" * 65_537}}, "$.jobs[0].variables"),
        ({"variables": {str(number): "" for number in range(1_001)}}, "$.jobs[0].variables"),
        ({"secure": ["x" * 201]}, "$.jobs[0].secure[0]"),
        ({"one_time": {"A": {"digits": 3}}}, "$.jobs[0].one_time"),
        ({"one_time": {"A": {"digits": 11}}}, "$.jobs[0].one_time"),
        ({"one_time": {"A": {"refresh": 1_000}}}, "$.jobs[0].one_time"),
    ],
)
def test_variables_are_bounded(change: dict[str, Any], place: str) -> None:
    with pytest.raises(MessageError) as refused:
        messages.decode(Jobs, json.dumps({"jobs": [JOB | change]}).encode())
    assert place in str(refused.value)


def test_what_stays_raw_is_text_too() -> None:
    text = json.dumps({"jobs": [JOB]}, ensure_ascii=False).encode()
    assert messages.decode(Jobs, text)
    with pytest.raises(MessageError):
        messages.decode(Jobs, text.replace("é".encode(), b"\xe9"))


def test_defaults_need_not_be_sent() -> None:
    assert messages.decode(Jobs, b"{}") == Jobs()
    assert messages.decode(ResultsReply, b"{}") == ResultsReply()
    pull = messages.decode(Pull, b'{"version":1,"concurrency":1,"free_slots":0,"keys":["k"]}')
    assert pull == Pull(version=1, concurrency=1, free_slots=0, keys=("k",))
