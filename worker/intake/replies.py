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


_LIKELY_CAUSE = {
    301: "a redirect: the intake URL is probably not the control plane's own",
    302: "a redirect: the intake URL is probably not the control plane's own, or a login page stands before it",
    307: "a redirect: the intake URL is probably not the control plane's own",
    308: "a redirect: the intake URL is probably not the control plane's own",
    400: "something between worker and control plane did not understand the request",
    401: "the control plane does not know this access key, or a proxy asks for credentials",
    403: "a proxy or firewall refused the request",
    404: "nothing answers to this path: is the intake URL right?",
    407: "the proxy asks for credentials: set them in the proxy URL",
    413: "a proxy in between limits the size of requests",
    429: "a proxy in between limits the rate of requests",
    502: "a proxy cannot reach the control plane",
    503: "the control plane or a proxy before it is overloaded or starting",
    504: "a proxy waited for the control plane in vain",
}


def likely_cause(status: int) -> str:
    """A guess for people at why a reply carries no valid signature."""
    return _LIKELY_CAUSE.get(status, "no control plane of this location signed this reply")
