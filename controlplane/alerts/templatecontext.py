"""The names that a message's template may use for one transition: conditions, times, and the reference system's `synthetics`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from controlplane.alerts.message import utc
from controlplane.alerts.template import TemplateContext
from controlplane.alerts.transitions import Transition, TransitionKind
from worker.apitest.members import object_of
from worker.apitest.public_result import public_result

_CONDITIONS: Final[Mapping[TransitionKind, frozenset[str]]] = {
    TransitionKind.ALERT: frozenset({"is_alert"}),
    TransitionKind.RENOTIFY: frozenset({"is_alert", "is_renotify"}),
    TransitionKind.RECOVERY: frozenset({"is_recovery", "is_alert_recovery"}),
    TransitionKind.NO_DATA: frozenset({"is_no_data"}),
    TransitionKind.NO_DATA_RECOVERY: frozenset({"is_recovery", "is_no_data_recovery"}),
}
"""Of the other kinds none is true: a closed alert has not recovered, and a notice has no author."""
_RENAMED: Final = {
    "started_at": "testStartedAt",
    "finished_at": "testFinishedAt",
    "triggered_at": "testTriggeredAt",
}
_AS_SENT: Final = frozenset({"headers"})
"""Members whose own members are names that a target chose."""
_UNDERSCORE: Final = re.compile(r"_([a-z0-9])")


def template_context(transition: Transition, outcome: Mapping[str, Any] | None, *, link: str = "") -> TemplateContext:
    """The context of *transition*. *outcome* is that of the run that decided, None where it is not there (any more)."""
    place = _place(transition)
    result = _result(outcome or {}, transition)
    tested = object_of((outcome or {}).get("test"))
    test = {
        "id": transition.test or "",
        "name": transition.name,
        "type": "api",
        "subType": tested.get("subtype", ""),
        "version": tested.get("version"),
    }
    values: dict[str, Any] = {
        "synthetics": {
            "attributes": {"test": test, "location": place, "result": result},
            "failed_step": _failed_step(result),
            "result": {"step_count": len(result.get("steps") or ()), "duration": result.get("duration")},
        },
        "test": test,
        "location": place,
        "failure": result.get("failure"),
        "tags": tags(transition),
        "link": link,
        **_times(transition),
    }
    return TemplateContext(
        conditions=_CONDITIONS.get(transition.kind, frozenset()), values=values, priority=transition.priority
    )


def tags(transition: Transition) -> dict[str, str]:
    """The tags by their keys; several values of one key with commas between them, in their order."""
    found: dict[str, list[str]] = {}
    for tag in transition.tags:
        key, _, value = tag.partition(":")
        found.setdefault(key, []).append(value)
    return {key: ", ".join(sorted(values)) for key, values in found.items()}


def locations(transition: Transition) -> tuple[str, ...]:
    """The names of the places that the transition tells of: those that fail, then those that are blind."""
    failing = (place.name or place.location for place in transition.detail.failing)
    return (*failing, *(place.name or place.location for place in transition.detail.blind))


def _place(transition: Transition) -> dict[str, Any]:
    """The first of the places that the transition tells of."""
    names = locations(transition)
    ids = [place.location for place in transition.detail.failing] + [
        place.location for place in transition.detail.blind
    ]
    return {
        "id": transition.location or (ids[0] if ids else ""),
        "name": names[0] if names else "",
        "privateLocation": True,
    }


def _result(outcome: Mapping[str, Any], transition: Transition) -> dict[str, Any]:
    """The `result` object in the spelling of templates. Without an outcome it tells what the transition knows."""
    failing = transition.detail.failing
    if outcome:
        shown = public_result(outcome, result_id=failing[0].result if failing else None, run_type="scheduled")
        return {name: value for name, value in _camel(shown).items() if value is not None}
    if not failing:
        return {}
    failure = {"code": failing[0].code, "message": failing[0].message}
    return {"id": failing[0].result, "status": "failed", "failure": failure}


def _failed_step(result: Mapping[str, Any]) -> dict[str, Any]:
    """The first step that failed; of a test without steps the request itself."""
    steps = [step for step in result.get("steps") or () if object_of(step).get("status") == "failed"]
    if steps:
        return dict(steps[0])
    return {"failure": result["failure"]} if result.get("failure") else {}


def _times(transition: Transition) -> dict[str, Any]:
    first, last = transition.detail.since, transition.at
    return {
        "first_triggered_at": utc(first),
        "first_triggered_at_epoch": first,
        "last_triggered_at": utc(last),
        "last_triggered_at_epoch": last,
        "triggered_duration_sec": max(0, last - first) // 1000,
    }


def _camel(value: Any) -> Any:
    """*value* with its members' names in camel case, some of them otherwise named in templates."""
    if isinstance(value, list):
        return [_camel(each) for each in value]
    if not isinstance(value, Mapping):
        return value
    return {
        _RENAMED.get(name) or _UNDERSCORE.sub(lambda found: found[1].upper(), name): each
        if name in _AS_SENT
        else _camel(each)
        for name, each in value.items()
    }
