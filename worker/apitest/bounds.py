"""Bounds on a result: what a target or an author made too large is cut, and named as cut; the verdict always stays.

A result as it is made usually lies far below the bound and is not looked into. One above it is taken apart: each part has a
budget of its own, so that no part can push another one out. Pure: JSON values in, JSON values and bytes out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from worker.text import cut

MAX_OUTCOME_BYTES: Final = 288 * 1024
"""A result as JSON: the sum of all budgets. A body at its bound takes 96 KiB of it, escapes included."""
_BODY_BYTES: Final = 100 * 1024
_BUDGETS: Final = {
    "response": 48 * 1024,
    "assertions": 56 * 1024,
    "failure": 60 * 1024,
    "dns_resolution": 8 * 1024,
    "timings": 4 * 1024,
    "test": 4 * 1024,
    "request": 4 * 1024,
    "unhealthy": 2 * 1024,
    "location": 1024,
}
"""Bytes of each part of a result, `response` without its body."""
_CUTS: Final = ((4_000, 500), (1_000, 100), (200, 50), (50, 10))
"""Characters of one text and entries of one list or object, from generous to harsh: the first that fits is taken."""
_DEEPEST: Final = 16
"""Levels of lists and objects; a result of our own has six."""
_STEPS_BYTES: Final = 200 * 1024
"""The rows of a multistep test, which has neither a response nor assertions of its own: the budgets of those, nearly."""
_SHARES: Final = {
    "response": 0.35,
    "request": 0.05,
    "assertions": 0.25,
    "failure": 0.2,
    "variables": 0.1,
    "dns_resolution": 0.05,
}
"""The part of a row's bytes that each of its members may take where the row is too large."""
_ROW_BYTES: Final = 400
"""Bytes of a row beside those members: its name and its words."""
_MOST_ROWS: Final = 100
"""Rows of a result that has nothing else left."""
_MAX_NAME: Final = 60
"""Characters of a step's name there."""
MAX_CODE: Final = 100
MAX_REASON: Final = 2_000
"""Characters of the message of a failure whose result was left out."""


def encode(outcome: dict[str, Any]) -> bytes:
    """The JSON of a result, at most `MAX_OUTCOME_BYTES`. Its `cut` names the parts that were shortened for that."""
    data = orjson.dumps(outcome)
    return data if len(data) <= MAX_OUTCOME_BYTES else orjson.dumps(_bounded(outcome))


def shrink(data: bytes) -> bytes | None:
    """A smaller result with the same verdict: without its body, then the verdict alone; None where it is that already."""
    outcome = orjson.loads(data)
    if not isinstance(outcome, dict):
        return None
    without_body = _without_bodies(outcome)
    if without_body != outcome:
        return orjson.dumps(without_body)
    left = verdict_alone(outcome)
    smaller = orjson.dumps(left)
    return smaller if left != outcome and len(smaller) < len(data) else None


def verdict_alone(outcome: Mapping[str, Any]) -> dict[str, Any]:
    """The rest of a result that nobody can take: which test, how it ended, when, and everything else named as cut."""
    kept = {name: value for name, value in outcome.items() if name not in _BUDGETS and _is_small(value)}
    failure = outcome.get("failure")
    if isinstance(failure, Mapping):
        kept["failure"] = {
            "code": cut(str(failure.get("code", "")), MAX_CODE),
            "message": cut(str(failure.get("message", "")), MAX_REASON),
        }
    elif "failure" in outcome:
        kept["failure"] = None
    if "test" in outcome:
        kept["test"] = _fitted(outcome["test"], _BUDGETS["test"])
    if "steps" in outcome:
        kept["steps"] = [_row_alone(row) for row in _listed(outcome["steps"])][:_MOST_ROWS]
    empty: dict[str, Any] = {"assertions": [], "dns_resolution": None, "response": None, "timings": {"total": 0.0}}
    left_out = [name for name in (*_BUDGETS, *outcome) if name in outcome and name not in kept and outcome[name]]
    kept |= {name: empty.get(name) for name in _BUDGETS if name in outcome and name not in kept}
    if "steps" in kept and kept["steps"] != outcome["steps"]:
        left_out.append("steps")
    return _marked(kept, outcome, left_out) if left_out else kept


def _bounded(outcome: dict[str, Any]) -> dict[str, Any]:
    parts, shortened = dict(outcome), []
    if "steps" in outcome:
        parts["steps"] = _rows(outcome["steps"], _STEPS_BYTES)
        shortened = ["steps"] if parts["steps"] != outcome["steps"] else []
    for name, budget in _BUDGETS.items():
        value = outcome.get(name)
        if value is None:
            continue
        parts[name] = _response(value) if name == "response" else _fitted(value, budget)
        if parts[name] != value:
            shortened.append(name)
    return _marked(parts, outcome, shortened)


def _marked(parts: dict[str, Any], outcome: Mapping[str, Any], shortened: list[str]) -> dict[str, Any]:
    known = outcome.get("cut")
    before = [name for name in known if isinstance(name, str) and name in outcome] if isinstance(known, list) else []
    return parts | {"cut": list(dict.fromkeys((*before, *shortened)))}


def _response(response: dict[str, Any]) -> dict[str, Any]:
    """The response with its body apart: that has a bound of its own, and marks of its own."""
    body = {name: response[name] for name in ("body", "is_body_truncated") if name in response}
    rest = _fitted({name: value for name, value in response.items() if name not in body}, _BUDGETS["response"])
    if len(orjson.dumps(body)) > _BODY_BYTES:
        body = {"body": "", "is_body_truncated": True}
    return (rest or {}) | body


def _rows(rows: Any, budget: int) -> Any:
    """*rows* in at most *budget* bytes: each has the same share, and none can push another one out."""
    if not isinstance(rows, list) or len(orjson.dumps(rows)) <= budget:
        return rows
    share = budget // len(rows)
    return [_row(row, share) for row in rows]


def _row(row: Any, budget: int) -> Any:
    """*row* in at most *budget* bytes, its verdict and the rows within it last of all to go."""
    if not isinstance(row, dict) or len(orjson.dumps(row)) <= budget:
        return row
    room = max(0, budget - _ROW_BYTES)
    inner = _rows(row.get("steps"), room * 3 // 4) if row.get("steps") else None
    if inner is not None:
        room //= 4
    rest = {name: value for name, value in row.items() if name not in _SHARES and name != "steps"}
    fitted = _fitted(rest, _ROW_BYTES) or {}
    for name, share in _SHARES.items():
        if row.get(name) is not None:
            fitted[name] = _fitted_member(name, row[name], int(room * share))
    whole = fitted | ({} if inner is None else {"steps": inner})
    return whole if len(orjson.dumps(whole)) <= budget else _row_alone(row)


def _fitted_member(name: str, value: Any, budget: int) -> Any:
    if name == "failure" and isinstance(value, Mapping):
        return _failure(value, budget)
    if name != "response" or not isinstance(value, dict) or len(orjson.dumps(value)) <= budget:
        return _fitted(value, budget)
    return _fitted(_without_body(value), budget)


def _failure(failure: Mapping[str, Any], budget: int) -> dict[str, str]:
    """The code, and as much of the message as *budget* bytes hold."""
    code, message = cut(str(failure.get("code", "")), MAX_CODE), str(failure.get("message", ""))
    while message and len(orjson.dumps({"code": code, "message": message})) > budget:
        message = cut(message, len(message) // 2) if len(message) > 1 else ""
    return {"code": code, "message": message}


def _row_alone(row: Any) -> dict[str, Any]:
    """The verdict of a step."""
    if not isinstance(row, Mapping):
        return {}
    failure = row.get("failure")
    kept: dict[str, Any] = {name: cut(str(row.get(name, "")), _MAX_NAME) for name in ("name", "subtype", "status")}
    return kept | {"failure": _failure(failure, 0) if isinstance(failure, Mapping) else None}


def _listed(rows: Any) -> list[Any]:
    return rows if isinstance(rows, list) else []


def _without_bodies(holder: dict[str, Any]) -> dict[str, Any]:
    """A result or a row without the bodies of its responses, those of its steps too."""
    left = dict(holder)
    if isinstance(holder.get("response"), dict) and holder["response"].get("body"):
        left["response"] = _without_body(holder["response"])
    if _listed(holder.get("steps")):
        left["steps"] = [_without_bodies(row) if isinstance(row, dict) else row for row in holder["steps"]]
    return left


def _without_body(response: dict[str, Any]) -> dict[str, Any]:
    return response | {"body": "", "is_body_truncated": True}


def _fitted(value: Any, budget: int) -> Any:
    """*value* in at most *budget* bytes of JSON; None where nothing of it fits."""
    if len(orjson.dumps(value)) <= budget:
        return value
    for characters, entries in _CUTS:
        trimmed = _trimmed(value, characters, entries, _DEEPEST)
        if len(orjson.dumps(trimmed)) <= budget:
            return trimmed
    return [] if isinstance(value, list) else {} if isinstance(value, dict) else None


def _trimmed(value: Any, characters: int, entries: int, deepest: int) -> Any:
    if isinstance(value, str):
        return cut(value, characters)
    if isinstance(value, list):
        return [_trimmed(each, characters, entries, deepest - 1) for each in value[:entries]] if deepest else []
    if isinstance(value, dict):
        pairs = list(value.items())[:entries] if deepest else []
        return {cut(name, characters): _trimmed(each, characters, entries, deepest - 1) for name, each in pairs}
    return value


def _is_small(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float) or (isinstance(value, str) and len(value) <= MAX_CODE)
