"""`options.scheduling`: the frames of the week in which a test runs, as frozen values. No rules of time zones, no clock."""

from __future__ import annotations

import re

from msgspec import Struct

from worker.apitest.reading import Node, quote

MOST_FRAMES = 100
"""Frames of one test: more than an hour's steps of every day of the week, merged, can need."""
DAY = 24 * 60
"""Minutes."""
_TIME = re.compile(r"(\d{1,2}):(\d{2})", re.ASCII)
_ZONE = re.compile(r"[A-Za-z0-9_+\-]+(/[A-Za-z0-9_+\-]+){0,2}", re.ASCII)
_LONGEST_ZONE = 64


class TimeFrame(Struct, frozen=True, order=True):
    """A part of each week, in local time: minutes from the beginning of *day* (1 is Monday, 7 Sunday), *end* excluded.

    An *end* beyond `DAY` lies on the day after.
    """

    day: int
    start: int
    end: int


class Scheduling(Struct, frozen=True, kw_only=True):
    """The test runs inside of *frames* only. *timezone* is a name of the IANA database, or what looks like one."""

    frames: tuple[TimeFrame, ...]
    timezone: str


def read_scheduling(node: Node) -> Scheduling | None:
    """Read `options.scheduling`; None where it restricts nothing, or is mistaken."""
    node = node.object()
    frames = node["timeframes"].items()
    if len(frames) > MOST_FRAMES:
        node["timeframes"].mistake(f"must hold at most {MOST_FRAMES} frames, not {len(frames)}")
        return None
    zone = _zone(node["timezone"], required=bool(frames))
    found = [_frame(frame.object(required=True)) for frame in frames]
    read = tuple(sorted(frame for frame in found if frame is not None))
    return Scheduling(frames=read, timezone=zone) if read and zone is not None else None


def _zone(node: Node, *, required: bool) -> str | None:
    zone = node.label()
    if zone is None:
        if required and not node.present:
            node.mistake("is missing: time frames need their time zone")
        return None
    if len(zone) > _LONGEST_ZONE or not _ZONE.fullmatch(zone):
        node.mistake(f"{quote(zone)} is not a valid time zone: expected a name as Europe/Berlin")
        return None
    return zone


def _frame(node: Node) -> TimeFrame | None:
    day = node["day"].whole(1, 7)
    if node.present and not node["day"].present:
        node["day"].mistake("is missing")
    start, end = _minutes(node, "from"), _minutes(node, "to")
    if day is None or start is None or end is None:
        return None
    if start == DAY:
        node["from"].mistake("must be before 24:00")
        return None
    return TimeFrame(day, start, end if end > start else end + DAY)


def _minutes(frame: Node, name: str) -> int | None:
    """Minutes since midnight; 24:00 is a day's end."""
    node = frame[name]
    written = node.label()
    if written is None:
        if frame.present and not node.present:
            node.mistake("is missing")
        return None
    parts = _TIME.fullmatch(written)
    minutes = int(parts[1]) * 60 + int(parts[2]) if parts and int(parts[2]) < 60 else DAY + 1
    if minutes > DAY:
        node.mistake(f"{quote(written)} is not a valid time of day: expected HH:MM")
        return None
    return minutes
