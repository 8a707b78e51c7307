"""The rule of a test's alerts, as its definition's options state it, and as the database keeps it. It decides nothing.

What has not the right kind, or is a number that the reference system's schema forbids, is a mistake for whoever checks a
definition. Any other number below what an option takes counts as absent, one above as the largest: `ignored` says so of each.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeGuard

import msgspec

from worker.apitest.members import object_of

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


@dataclass(frozen=True, slots=True, kw_only=True)
class _NumberOption:
    """A number among `options`, at *path* in them: from *least* to *most*, in the option's own unit.

    *forbidden*: the reference system's schema takes no others either, so that one outside of the bounds is a mistake.
    """

    path: str
    least: int = 0
    most: int = MOST
    whole: bool = True
    forbidden: bool = False

    def said(self, options: Mapping[str, Any]) -> Any:
        """The value as it stands in a definition, None without one."""
        outer, dot, inner = self.path.partition(".")
        return object_of(options.get(outer)).get(inner) if dot else options.get(outer)

    def read(self, options: Mapping[str, Any]) -> float | None:
        """The number that is gone by, None where the option counts as absent."""
        value = self.said(options)
        if not _is_number(value) or value < self.least or (self.forbidden and value > self.most):
            return None
        bounded = min(value, self.most)
        return int(bounded) if self.whole else bounded

    def mistake(self, options: Mapping[str, Any]) -> str | None:
        value = self.said(options)
        if value is None:
            return None
        if not _is_number(value):
            return f"options.{self.path}: must be a number"
        if self.forbidden and not self.least <= value <= self.most:
            return f"options.{self.path}: {_shown(value)} is not a valid number from {self.least} to {self.most}"
        return None

    def remark(self, options: Mapping[str, Any]) -> str | None:
        """A sentence where a number is not what is gone by; 0 asks for nothing."""
        value, read = self.said(options), self.read(options)
        if not _is_number(value) or not value or read == value:
            return None
        return f"options.{self.path}: {_shown(value)} counts as {'absent' if read is None else read}"


_FAILURE_SECONDS: Final = _NumberOption(path="min_failure_duration", most=LONGEST // 1000, whole=False)
_LOCATIONS: Final = _NumberOption(path="min_location_failed", least=1)
_PRIORITY: Final = _NumberOption(path="monitor_priority", least=1, most=5, forbidden=True)
_RENOTIFY_MINUTES: Final = _NumberOption(
    path="monitor_options.renotify_interval", most=LONGEST // _MINUTE, whole=False, forbidden=True
)
_RENOTIFY_MOST: Final = _NumberOption(path="monitor_options.renotify_occurrences")
_NO_DATA_MINUTES: Final = _NumberOption(path="monitor_options.no_data_timeframe", most=LONGEST // _MINUTE, whole=False)
_NUMBERS: Final = (_FAILURE_SECONDS, _LOCATIONS, _PRIORITY, _RENOTIFY_MINUTES, _RENOTIFY_MOST, _NO_DATA_MINUTES)


def read(definition: Mapping[str, Any], *, period_ms: int) -> AlertRule:
    """The rule of a definition; *period_ms* is its `tick_every`."""
    options = object_of(definition.get("options"))
    most = _RENOTIFY_MOST.read(options)
    return AlertRule(
        failure_ms=_milliseconds(_FAILURE_SECONDS, options, 1000),
        locations=_locations(options),
        renotify_ms=_milliseconds(_RENOTIFY_MINUTES, options, _MINUTE),
        renotify_most=None if most is None else int(most),
        no_data_ms=_no_data(options, period_ms),
    )


def mistakes(definition: Mapping[str, Any]) -> list[str]:
    """A sentence on each option of alerts that is of the wrong kind or forbidden: passed over, it would wake people wrongly."""
    options = object_of(definition.get("options"))
    monitor = object_of(options.get("monitor_options"))
    found = [mistake for option in _NUMBERS if (mistake := option.mistake(options)) is not None]
    if monitor.get("notify_no_data") not in (None, True, False):
        found.append("options.monitor_options.notify_no_data: must be true or false")
    if not isinstance(monitor.get("escalation_message") or "", str):
        found.append("options.monitor_options.escalation_message: must be a text")
    return found


_KNOWN: Final = frozenset(
    {"renotify_interval", "renotify_occurrences", "no_data_timeframe", "notify_no_data", "escalation_message"}
)
_USUAL: Final[Mapping[str, Collection[str]]] = {
    "on_missing_data": ("default", "show_no_data", "show_and_notify_no_data"),
    "notification_preset_name": ("show_all",),
}
"""Values of monitor options that ask for what is done anyway, or is honoured."""
MOST_IGNORED: Final = 20
"""Options that are told by name: the reference system's own are fewer."""


def ignored(definition: Mapping[str, Any]) -> tuple[str, ...]:
    """A sentence on each option of alerts that has not the effect that it asks for; false, empty and 0 ask for nothing."""
    options = object_of(definition.get("options"))
    monitor = object_of(options.get("monitor_options"))
    found = [remark for option in _NUMBERS if (remark := option.remark(options)) is not None]
    found += ["options.downtime_ids: downtimes are not followed"] if options.get("downtime_ids") else []
    unknown = [name for name, value in monitor.items() if name not in _KNOWN and value]
    found += [
        f"options.monitor_options.{name[:60]}: {json.dumps(monitor[name])[:60]} has no effect"
        for name in unknown
        if not (isinstance(monitor[name], str) and monitor[name] in _USUAL.get(name, ()))
    ]
    return tuple(found[:MOST_IGNORED])


def too_few(definition: Mapping[str, Any], places: int) -> tuple[str, ...]:
    """A sentence where more locations are to fail than the *places* that run the test; nothing where none does yet."""
    wanted = _locations(object_of(definition.get("options")))
    if not 0 < places < wanted:
        return ()
    return (f"options.min_location_failed: {wanted} counts as {places}: no more locations run the test",)


def _shown(value: float) -> str:
    return json.dumps(value)[:40]


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
    found = _PRIORITY.read(object_of(definition.get("options")))
    return None if found is None else int(found)


def escalation(definition: Mapping[str, Any]) -> str:
    """The message that a repetition adds, empty without one."""
    text = object_of(object_of(definition.get("options")).get("monitor_options")).get("escalation_message")
    return text if isinstance(text, str) else ""


def title(definition: Mapping[str, Any], name: str) -> str:
    """`options.monitor_name`, else the test's *name*."""
    text = object_of(definition.get("options")).get("monitor_name")
    return text if isinstance(text, str) and text.strip() else name


def _locations(options: Mapping[str, Any]) -> int:
    return int(_LOCATIONS.read(options) or 1)


def _no_data(options: Mapping[str, Any], period_ms: int) -> int:
    monitor = object_of(options.get("monitor_options"))
    told = monitor.get("notify_no_data") is True or monitor.get("on_missing_data") == "show_and_notify_no_data"
    if not told:
        return 0
    return _milliseconds(_NO_DATA_MINUTES, options, _MINUTE) or min(NO_DATA_PERIODS * period_ms, LONGEST)


def _milliseconds(option: _NumberOption, options: Mapping[str, Any], unit: int) -> int:
    return round((option.read(options) or 0) * unit)
