"""The rule of a test's alerts, as its definition's options state it, and as the database keeps it. It decides nothing.

What has not the right kind is a mistake for whoever checks a definition; a number beyond what an option takes counts as absent.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from typing import Any, Final, TypeGuard

import msgspec

LONGEST: Final = 7 * 24 * 3600 * 1000
"""Milliseconds of any wait in a rule: a week."""
MOST: Final = 100_000
"""Of locations, and of repetitions."""
NO_DATA_PERIODS: Final = 2
"""Periods of the test that are the time frame of no data where the definition names none, as in the reference system."""
_MINUTE: Final = 60_000


class AlertRule(msgspec.Struct, frozen=True, omit_defaults=True):
    """*failure_ms*: a location must be failing throughout; *locations*: so many at one moment of that time.

    *renotify_ms* is 0 where an alert is not repeated; *renotify_most* is None where it is repeated without end. *no_data_ms* is
    the time after which a blind location is told, 0 where it never is.
    """

    failure_ms: int = 0
    locations: int = 1
    renotify_ms: int = 0
    renotify_most: int | None = None
    no_data_ms: int = 0


DEFAULT: Final = AlertRule()


def read(definition: Mapping[str, Any], *, period_ms: int) -> AlertRule:
    """The rule of a definition; *period_ms* is its `tick_every`."""
    options = _object(definition.get("options"))
    monitor = _object(options.get("monitor_options"))
    most = monitor.get("renotify_occurrences")
    return AlertRule(
        failure_ms=_milliseconds(options.get("min_failure_duration"), 1000),
        locations=max(1, _whole(options.get("min_location_failed"), MOST) or 1),
        renotify_ms=_milliseconds(monitor.get("renotify_interval"), _MINUTE),
        renotify_most=_whole(most, MOST),
        no_data_ms=_no_data(monitor, period_ms) if _notifies_no_data(monitor) else 0,
    )


_NUMBERS: Final = ("min_failure_duration", "min_location_failed", "monitor_priority")
_MONITOR_NUMBERS: Final = ("renotify_interval", "renotify_occurrences", "no_data_timeframe")


def mistakes(definition: Mapping[str, Any]) -> list[str]:
    """A sentence on each option of alerts that has not the right kind: one that was passed over would wake people wrongly."""
    options = _object(definition.get("options"))
    monitor = _object(options.get("monitor_options"))
    numbers = [(f"options.{name}", options.get(name)) for name in _NUMBERS]
    numbers += [(f"options.monitor_options.{name}", monitor.get(name)) for name in _MONITOR_NUMBERS]
    found = [f"{path}: must be a number" for path, value in numbers if value is not None and not _is_number(value)]
    if monitor.get("notify_no_data") not in (None, True, False):
        found.append("options.monitor_options.notify_no_data: must be true or false")
    if not isinstance(monitor.get("escalation_message") or "", str):
        found.append("options.monitor_options.escalation_message: must be a text")
    return found


_KNOWN: Final = frozenset({*_MONITOR_NUMBERS, "notify_no_data", "escalation_message"})
_USUAL: Final[Mapping[str, Collection[str]]] = {
    "on_missing_data": ("default", "show_no_data", "show_and_notify_no_data"),
    "notification_preset_name": ("show_all",),
}
"""Values of monitor options that ask for what is done anyway, or is honoured."""
MOST_IGNORED: Final = 20
"""Options that are told by name: the reference system's own are fewer."""


def ignored(definition: Mapping[str, Any]) -> tuple[str, ...]:
    """A sentence on each option of alerts that has no effect here; what is false, empty or 0 asks for nothing."""
    options = _object(definition.get("options"))
    monitor = _object(options.get("monitor_options"))
    found = ["options.downtime_ids: downtimes are not followed"] if options.get("downtime_ids") else []
    unknown = [name for name, value in monitor.items() if name not in _KNOWN and value]
    found += [
        f"options.monitor_options.{name[:60]}: {json.dumps(monitor[name])[:60]} has no effect"
        for name in unknown
        if not (isinstance(monitor[name], str) and monitor[name] in _USUAL.get(name, ()))
    ]
    return tuple(found[:MOST_IGNORED])


def _is_number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def written(rule: AlertRule) -> str | None:
    """The text that the database keeps; None for the rule of a definition that says nothing."""
    return None if rule == DEFAULT else msgspec.json.encode(rule).decode()


def of(text: str | None) -> AlertRule:
    """The rule that was `written`."""
    return DEFAULT if text is None else msgspec.json.decode(text, type=AlertRule)


def priority(definition: Mapping[str, Any]) -> int | None:
    """`options.monitor_priority`, from 1, the most urgent one, to 5; None without it."""
    found = _whole(_object(definition.get("options")).get("monitor_priority"), 5)
    return found or None


def escalation(definition: Mapping[str, Any]) -> str:
    """The message that a repetition adds, empty without one."""
    text = _object(_object(definition.get("options")).get("monitor_options")).get("escalation_message")
    return text if isinstance(text, str) else ""


def title(definition: Mapping[str, Any], name: str) -> str:
    """`options.monitor_name`, else the test's *name*."""
    text = _object(definition.get("options")).get("monitor_name")
    return text if isinstance(text, str) and text.strip() else name


def _notifies_no_data(monitor: Mapping[str, Any]) -> bool:
    return monitor.get("notify_no_data") is True or monitor.get("on_missing_data") == "show_and_notify_no_data"


def _no_data(monitor: Mapping[str, Any], period_ms: int) -> int:
    return _milliseconds(monitor.get("no_data_timeframe"), _MINUTE) or min(NO_DATA_PERIODS * period_ms, LONGEST)


def _milliseconds(value: Any, unit: int) -> int:
    if not _is_number(value) or value <= 0:
        return 0
    return min(round(value * unit), LONGEST)


def _whole(value: Any, most: int) -> int | None:
    return int(value) if _is_number(value) and 0 <= value <= most else None


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
