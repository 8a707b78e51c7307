"""A transition in words: the message that channels are given. Our own line comes first, then what the test's author wrote."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

import msgspec

from controlplane.alerts.message import AlertMessage, MessageEvent, harmless, title
from controlplane.alerts.template import mentioned, render
from controlplane.alerts.templatecontext import locations, template_context
from controlplane.alerts.transitions import Transition, TransitionKind

_EVENTS: Final[Mapping[TransitionKind, MessageEvent]] = {
    TransitionKind.ALERT: MessageEvent.ALERT,
    TransitionKind.RENOTIFY: MessageEvent.ALERT,
    TransitionKind.RECOVERY: MessageEvent.RECOVERY,
    TransitionKind.CLOSED: MessageEvent.RECOVERY,
    TransitionKind.NO_DATA: MessageEvent.NO_DATA,
    TransitionKind.NO_DATA_RECOVERY: MessageEvent.RECOVERY,
    TransitionKind.NOTICE: MessageEvent.ALERT,
    TransitionKind.NOTICE_OVER: MessageEvent.RECOVERY,
    TransitionKind.TEST: MessageEvent.TEST,
}


def words(transition: Transition, outcome: Mapping[str, Any] | None, *, link: str = "") -> AlertMessage:
    """The message of *transition*. *outcome* is that of the run that decided, None where it is gone."""
    context = template_context(transition, outcome, link=link)
    rendered = render(_authored(transition), context)
    event, renotify = _EVENTS[transition.kind], transition.kind is TransitionKind.RENOTIFY
    detail = transition.detail
    failing = detail.failing[0] if detail.failing else None
    return AlertMessage(
        event=event,
        renotify=renotify,
        incident=transition.alert,
        title=title(event, harmless(transition.name), renotify=renotify, priority=rendered.priority),
        text=harmless("\n\n".join(filter(None, (transition.summary, rendered.without_handles)))),
        at=transition.at,
        since=detail.since,
        priority=rendered.priority,
        tags=tuple(map(harmless, transition.tags)),
        incident_tags=None if detail.began_with is None else tuple(map(harmless, detail.began_with)),
        test_id=transition.test or "",
        test_name=harmless(transition.name),
        locations=tuple(map(harmless, locations(transition))),
        failure_code="" if failing is None else harmless(failing.code),
        failure="" if failing is None else harmless(failing.message),
        link=link,
    )


def handles(transition: Transition, outcome: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The handles, without their @, that the message of *transition* names on the branches that its kind and *outcome* take."""
    return render(_authored(transition), template_context(transition, outcome)).handles


def still_waiting(
    told: Collection[str], began: Transition, ended: Transition, outcome: Mapping[str, Any] | None
) -> tuple[str, ...]:
    """Those of the addresses *told* of an alert that its end *ended* is told, too, whatever was edited since it *began*.

    They are all but those whom the message, as it was then, names on other branches only.
    """
    then = msgspec.structs.replace(ended, message=began.message)
    named = handles(then, outcome)
    left_out = mentioned(began.message).difference(named)
    return tuple(address for address in told if address not in left_out)


def _authored(transition: Transition) -> str:
    if transition.kind is TransitionKind.RENOTIFY and transition.escalation:
        return f"{transition.message}\n\n{transition.escalation}"
    return transition.message
