"""Waits between attempts, and how replies are taken."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from controlplane.alerts.attempts import GIVE_UP_MS, LONGEST_PAUSE, LONGEST_SECONDS, is_over, next_wait, pause
from controlplane.alerts.channels.post import Reception, read_reply

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("attempts", "asked", "chance", "seconds"),
    [
        *(
            (1, None, 1, 5),
            (1, None, 0, 2.5),
            (2, None, 1, 10),
            (4, None, 1, 40),
            (9, None, 1, 900),
            (1000, None, 1, 900),
        ),
        *((1, 60.0, 1, 60), (9, 60.0, 1, 900)),
    ],
)
def test_waits_double_up_to_a_quarter_of_an_hour_or_what_is_asked_for(
    attempts: int, asked: float | None, chance: float, seconds: float
) -> None:
    assert next_wait(attempts, asked, chance) == seconds <= LONGEST_SECONDS


def test_a_receiver_is_left_alone_the_longer_the_more_often_it_failed() -> None:
    assert [pause(failures, 1) for failures in (0, 1, 2, 5, 6, 1000)] == [0, 2, 4, 32, 60, LONGEST_PAUSE]


def test_a_day_is_the_end_of_it() -> None:
    assert [is_over(0, due) for due in (GIVE_UP_MS - 1, GIVE_UP_MS)] == [False, True]


@pytest.mark.parametrize(
    ("status", "reception"),
    [
        *((200, Reception.TAKEN), (202, Reception.TAKEN), (204, Reception.TAKEN), (301, Reception.RETRY)),
        *((400, Reception.REFUSED), (401, Reception.RETRY), (404, Reception.RETRY), (408, Reception.RETRY)),
        *((410, Reception.REFUSED), (413, Reception.REFUSED), (422, Reception.REFUSED), (429, Reception.RETRY)),
        *((500, Reception.RETRY), (503, Reception.RETRY)),
    ],
)
def test_a_status_says_how_a_message_was_received(status: int, reception: Reception) -> None:
    assert read_reply(status, b"", None, NOW).reception is reception


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        *(
            (None, None),
            ("120", 120),
            (" 7 ", 7),
            ("99999999999999", 3600),
            ("-1", None),
            ("soon", None),
            ("\u0663", None),
        ),
        ("Fri, 02 Jan 2026 03:05:05 GMT", 60),
        ("Fri, 02 Jan 2026 03:00:00 GMT", 0),
        ("Fri, 02 Jan 2026 03:05:05 -0000", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(written: str | None, seconds: float | None) -> None:
    assert read_reply(503, b"", written, NOW).wait == seconds


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        (b'{"ok":false,"error_code":429,"description":"Too Many Requests","parameters":{"retry_after":35}}', 35),
        *((b'{"parameters":{"retry_after":%s}}' % odd, None) for odd in (b"-1", b'"5"', b"null", b"[]")),
        *((odd, None) for odd in (b"", b"[]", b"5", b"{", b'{"parameters":7}')),
    ],
)
def test_telegram_says_in_the_body_how_long_to_wait(body: bytes, seconds: float | None) -> None:
    """ResponseParameters, "Making requests" (core.telegram.org/bots/api)."""
    assert read_reply(429, body, None, NOW).wait == seconds
    assert read_reply(429, body, "7", NOW).wait == 7


def test_a_reason_repeats_a_little_of_the_reply_on_one_line() -> None:
    assert read_reply(500, b"\x1b[2Jbad\nthing" + b"x" * 1000, None, NOW).reason.startswith(
        r"HTTP 500: \x1b[2Jbad\nthing"
    )
    assert len(read_reply(500, b"x" * 1000, None, NOW).reason) < 250
