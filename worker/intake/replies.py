"""The meaning of a reply of the control plane for the worker: a table. Exact status first, then its family.

Only a signed reply may make the worker forget data, so everything that nobody signed is a network error, whatever it says.
"""

from __future__ import annotations

from enum import Enum


class Reaction(Enum):
    """The next step of the caller."""

    ACCEPT = "accept"
    """The request was understood; read the body."""
    RESEQUENCE = "resequence"
    """Signed 409: sign the same body anew with a later sequence number; discard nothing."""
    SPLIT = "split"
    """Signed 413: send less at once."""
    SLOW_DOWN = "slow_down"
    """Signed 401/403: nothing will change by hurrying; wait long and say why."""
    REFUSED = "refused"
    """Signed 4xx of any other kind: this message will never be taken as it is."""
    RETRY = "retry"
    """Everything that may pass: network trouble, 408, 429, 5xx, and whatever is unsigned."""


_EXACT = {
    200: Reaction.ACCEPT,
    204: Reaction.ACCEPT,
    401: Reaction.SLOW_DOWN,
    403: Reaction.SLOW_DOWN,
    408: Reaction.RETRY,
    409: Reaction.RESEQUENCE,
    413: Reaction.SPLIT,
    429: Reaction.RETRY,
}
_FAMILY = {4: Reaction.REFUSED, 5: Reaction.RETRY}


def of_signed_reply(status: int) -> Reaction:
    """The meaning of a reply whose signature holds."""
    return _EXACT.get(status) or _FAMILY.get(status // 100, Reaction.RETRY)
