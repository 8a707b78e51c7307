"""The effect that an order shows by itself: enough to know what may be offered again when an instance falls silent.

The runner alone knows what its scripts, queries and connections do, and says so with a pull. Until it has, everything that is not
plainly harmless counts as `once`: that costs a doubtful task at worst, and never a second payment.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controlplane.actions.states import TaskEffect

_READING = frozenset({"postgresql.select", "checks.run", "data.jq"})
_BY_VERB = {"GET": TaskEffect.READ, "HEAD": TaskEffect.READ, "PUT": TaskEffect.REPEAT, "DELETE": TaskEffect.REPEAT}


def shown_by(action: str, arguments: Mapping[str, Any]) -> TaskEffect:
    """The effect of *action* with these *arguments*, as far as they tell."""
    if action in _READING or action.endswith(".testConnection"):
        return TaskEffect.READ
    if action == "http.request":
        verb = arguments.get("verb")
        return _BY_VERB.get(verb, TaskEffect.ONCE) if isinstance(verb, str) else TaskEffect.ONCE
    return TaskEffect.ONCE
