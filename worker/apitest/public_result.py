"""A stored outcome in the shape of the public v2 API: the `result` object of `/api/v2/synthetics/tests/{id}/results/{id}`.

One direction only: what the outcome does not tell is left out, never invented, and absent is never `null`, which the public
clients refuse. An outcome may come from a database or from another version: nothing in it can raise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from worker.apitest.members import object_of

_LIFTED: Final = ("connection_outcome", "ocsp")
"""Members of our `response` that the public shape has beside it."""
_PASSED_ON: Final = (
    "initial_id",
    "is_fast_retry",
    "is_last_retry",
    "request",
    "variables",
    "exited_on_step_success",
)
"""Members of an outcome that are already what the public shape has."""
_STATUSES: Final = {"passed": "passed", "failed": "failed"}


def public_result(
    outcome: Mapping[str, Any], *, result_id: str | None = None, run_type: str | None = None
) -> dict[str, Any]:
    """The v2 `result` object of *outcome*. *run_type* is `scheduled`, `triggered`, `ci` or `fast`.

    Two members are ours: `unhealthy_reason`, the sentence behind `unhealthy`, and `cut`, the parts that were shortened.
    """
    trouble = outcome.get("unhealthy")
    members = {
        "id": result_id,
        "status": _STATUSES.get(str(outcome.get("status")), "no_data"),
        "run_type": run_type,
        "duration": object_of(outcome.get("timings")).get("total"),
        "started_at": outcome.get("started_at"),
        "finished_at": outcome.get("finished_at"),
        "triggered_at": outcome.get("scheduled_at"),
        "unhealthy": bool(trouble),
        "unhealthy_reason": trouble or None,
        **{name: outcome.get(name) for name in _PASSED_ON},
        **_seen(outcome),
        "steps": _steps(outcome.get("steps")),
        "cut": outcome.get("cut") or None,
    }
    return {name: value for name, value in members.items() if value is not None}


def _steps(steps: object) -> list[dict[str, Any]] | None:
    """The rows of a multistep test. A step has its own status, phases, assertions and response, and they are put likewise."""
    if not isinstance(steps, list):
        return None
    return [_step(step) for step in steps if isinstance(step, Mapping)]


def _step(step: Mapping[str, Any]) -> dict[str, Any]:
    shown = {**step, **_seen(step)}
    if "steps" in step:
        shown["steps"] = _steps(step["steps"])
    return {name: value for name, value in shown.items() if value is not None}


def _seen(part: Mapping[str, Any]) -> dict[str, Any]:
    """One request's findings and verdict, for a whole outcome and for a step alike; absent members are None."""
    response = part.get("response")
    resolution = _resolution(part.get("dns_resolution"))
    shown = {
        "failure": part.get("failure"),
        "assertions": part.get("assertions"),
        "timings": part.get("timings"),
        "resolved_ip": (resolution or {}).get("resolved_ip"),
        "dns_resolution": resolution,
        "response": response,
    }
    if not isinstance(response, Mapping):
        return shown
    apart = {"certificate", "handshake", *_LIFTED}
    rest = {name: value for name, value in response.items() if name not in apart}
    return shown | {
        "response": rest or None,
        "cert": _certificate(response),
        **{name: response.get(name) for name in _LIFTED},
    }


def _resolution(resolution: object) -> dict[str, Any] | None:
    """The same without absent members; the public shape has ports and every member of an attempt as text."""
    if not isinstance(resolution, Mapping):
        return None
    attempts = resolution.get("attempts")
    members = {**resolution, "resolved_port": _text(resolution.get("resolved_port"))}
    if isinstance(attempts, list):
        tried = [attempt for attempt in attempts if isinstance(attempt, Mapping)]
        members["attempts"] = [
            {name: _text(value) for name, value in each.items() if value is not None} for each in tried
        ]
    return {name: value for name, value in members.items() if value is not None}


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _certificate(response: Mapping[str, Any]) -> dict[str, Any] | None:
    """The certificate's facts and what the handshake agreed on, which the public shape has in one object."""
    handshake = object_of(response.get("handshake"))
    protocol = handshake.get("protocol")
    members = {
        **object_of(response.get("certificate")),
        "cipher": handshake.get("cipher"),
        "protocol": protocol,
        "tls_version": _version(protocol),
    }
    return {name: value for name, value in members.items() if value is not None} or None


def _version(protocol: object) -> float | None:
    """`TLSv1.3` → 1.3, `TLSv1` → 1.0."""
    if not isinstance(protocol, str):
        return None
    try:
        return float(protocol.removeprefix("TLSv"))
    except ValueError:
        return None
