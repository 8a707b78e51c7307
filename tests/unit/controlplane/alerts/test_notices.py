"""The control plane's own notices: what holds, and when it is over."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from controlplane.alerts.notices import (
    ABSENT_MS,
    TROUBLED_MS,
    OpenNotice,
    OwnState,
    Patience,
    PlaceSight,
    absent,
    begun,
    over,
    own,
)
from controlplane.alerts.transitions import TransitionKind

NOW = 1_767_323_045_000
GIB = 2**30


def place(last_seen: int | None = NOW, *troubles: tuple[str, str]) -> PlaceSight:
    return PlaceSight(id="pl:lab", name="Lab", last_seen=last_seen, troubles=troubles)


def known(*subjects: str) -> dict[str, OpenNotice]:
    return {subject: OpenNotice(subject=subject, alert="a", since=NOW - 1) for subject in subjects}


@pytest.mark.parametrize(
    ("last_seen", "served_ms", "told", "subjects"),
    [
        (NOW - ABSENT_MS, ABSENT_MS, (), ["location/pl:lab"]),
        (NOW - ABSENT_MS + 1, NOW, (), []),
        (NOW - 10 * ABSENT_MS, ABSENT_MS - 1, (), []),  # nobody served meanwhile, so that nobody could be seen
        (None, NOW, (), []),  # nobody has started a worker yet
        (None, 0, ("location/pl:lab",), ["location/pl:lab"]),  # its workers were forgotten after a day
        (NOW, NOW, ("location/pl:lab",), []),
    ],
)
def test_a_location_is_told_of_that_nobody_pulls_for(
    last_seen: int | None, served_ms: int, told: tuple[str, ...], subjects: list[str]
) -> None:
    found = absent([place(last_seen)], known(*told), served_ms=served_ms, now=NOW)
    assert [one.subject for one in found] == subjects


def test_an_absence_names_the_location_and_since_when() -> None:
    (found,) = absent([place(NOW - ABSENT_MS)], {}, served_ms=NOW, now=NOW)
    assert found.name == "Location Lab is not seen"
    assert "2026-01-02 02:59:05 UTC" in found.summary


def test_a_workers_trouble_is_told_of_when_it_lasts() -> None:
    patience = Patience()
    full = [place(NOW, ("host-1", "outbox"), ("host-2", "clock"))]
    assert patience.lasting(full, served_ms=0, now=NOW) == []
    assert patience.lasting([place()], served_ms=1, now=NOW) == []
    assert patience.lasting(full, served_ms=2, now=NOW) == []
    assert patience.lasting(full, served_ms=1 + TROUBLED_MS, now=NOW - 3_600_000) == []
    (found,) = patience.lasting(full, served_ms=2 + TROUBLED_MS, now=NOW)
    assert (found.subject, found.since) == ("workers/pl:lab", NOW - TROUBLED_MS)
    assert found.summary == "host-1: its outbox is full: results do not get through; host-2: clock"


@pytest.mark.parametrize(
    ("free", "size", "told", "subjects"),
    [
        (5 * GIB, 100 * GIB, (), []),
        (5 * GIB - 1, 100 * GIB, (), ["disk"]),
        (7 * GIB, 100 * GIB, ("disk",), ["disk"]),
        (8 * GIB, 100 * GIB, ("disk",), []),
        (0, 0, (), []),
    ],
)
def test_a_disk_that_fills_up_is_told_of_once(free: int, size: int, told: tuple[str, ...], subjects: list[str]) -> None:
    assert [one.subject for one in own(OwnState(free=free, size=size), known(*told), now=NOW)] == subjects


@pytest.mark.parametrize(("year", "verb"), [(2025, "ended"), (2027, "ends")])
def test_a_certificates_end_is_told_of(year: int, verb: str) -> None:
    (found,) = own(OwnState(certificate_ends=datetime(year, 1, 1, tzinfo=UTC)), {}, now=NOW)
    assert f"certificate of the control plane {verb} at {year}-01-01 00:00 UTC" in found.summary


def test_a_notice_and_its_end_are_one_incident() -> None:
    (condition,) = absent([place(NOW - ABSENT_MS)], {}, served_ms=NOW, now=NOW)
    first = begun(condition, now=NOW)
    last = over(OpenNotice(subject=first.subject, alert=first.alert, since=NOW), first.name, now=NOW + 1)
    assert (first.kind, last.kind) == (TransitionKind.NOTICE, TransitionKind.NOTICE_OVER)
    assert first.id == first.alert == last.alert != last.id
    assert first.test is last.test is None
