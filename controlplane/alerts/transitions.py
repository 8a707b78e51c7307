"""Transitions of monitors as values: what changed, why, and what people are told of it. Notifications are made of them.

A transition is decided once and never changes. Times are epoch milliseconds.
"""

from __future__ import annotations

import uuid
from enum import Enum
from typing import Final

import msgspec

_NOTIFICATIONS: Final = uuid.UUID("7b6f2f0c-2d5e-5a53-9f0a-5c7b1d3f9a41")
"""The namespace of notifications' keys."""


class TransitionKind(Enum):
    """The kinds of transitions; the values are the database's and the API's.

    `closed` ends an alert that nobody watches any more: its test was paused, deleted or taken from its locations. `notice` and
    `notice_over` are of the control plane itself and name no test. `test` is somebody who tries a channel: nothing happened.
    """

    ALERT = "alert"
    RENOTIFY = "renotify"
    RECOVERY = "recovery"
    CLOSED = "closed"
    NO_DATA = "no_data"
    NO_DATA_RECOVERY = "no_data_recovery"
    NOTICE = "notice"
    NOTICE_OVER = "notice_over"
    TEST = "test"


ENDED_BY_A_RUN: Final = frozenset({TransitionKind.RECOVERY, TransitionKind.NO_DATA_RECOVERY})
"""The kinds of ends that a run decided: what was told as failing is well again, and what was blind sees."""


class FailingPlace(msgspec.Struct, frozen=True, kw_only=True):
    """A location where a test fails *since* a moment: its newest failure's *code* and *message*, and that *result*'s id."""

    location: str
    name: str = ""
    since: int
    code: str
    message: str
    result: str


class SeenProbe(msgspec.Struct, frozen=True, kw_only=True):
    """A worker of a location: its process's *id*, its machine's name, and when it was seen last."""

    id: str
    host: str
    last_seen: int


class BlindPlace(msgspec.Struct, frozen=True, kw_only=True):
    """A location that has seen nothing of a test *since* a moment, the newest *reason*, and its *workers*."""

    location: str
    name: str = ""
    since: int
    reason: str
    workers: tuple[SeenProbe, ...] = ()


class TransitionDetail(msgspec.Struct, frozen=True, kw_only=True):
    """The places of a transition: those that fail of *watched* ones, those that are blind.

    *since* is the moment at which what it tells of began; *renotified* counts the repetitions so far, this one included.
    *began_with* are the tags that the test bore then, None where they are those of now: receivers know the incident by them.
    """

    since: int
    watched: int = 0
    failing: tuple[FailingPlace, ...] = ()
    blind: tuple[BlindPlace, ...] = ()
    renotified: int = 0
    reason: str = ""
    began_with: tuple[str, ...] | None = None


class Transition(msgspec.Struct, frozen=True, kw_only=True):
    """A decided change. *alert* is the id of the one that began it: the same for an alert, its repetitions and its end.

    *subject* is a test's public id, or what a notice is about; *name* is its name for people. *summary* is one line in our own
    words. *message* is the template of the test's author, with the *escalation* of a repetition. *muted_by* is the silence that
    keeps it from being told, empty without one.
    """

    id: str
    kind: TransitionKind
    alert: str
    at: int
    subject: str
    name: str
    summary: str
    detail: TransitionDetail
    test: str | None = None
    location: str | None = None
    message: str = ""
    escalation: str = ""
    tags: tuple[str, ...] = ()
    priority: int | None = None
    muted_by: str = ""


def notification_key(transition: str, address: str) -> str:
    """The key of the one notification of a transition to an address: the same however often it is queued or sent."""
    return str(uuid.uuid5(_NOTIFICATIONS, f"{transition} {address}"))
