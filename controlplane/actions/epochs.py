"""The succession of a runner's processes: the newest wins, the older one drains, and two that cannot both be true are contested.

A runner with a writable identity writes each start into it before its first pull; a true successor therefore names the instance
that it follows, and the older one finds its successor in its own file. Who holds a copy of the identity can do neither for long.
Pure: no store, no clock.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum

COEXISTENCE_MS = 10 * 60 * 1000
"""Milliseconds for which two instances of a read-only identity may be alive: longer than any drain."""


class Succession(Enum):
    """The decision on a pull."""

    TAKEN = "taken"
    KEPT = "kept"
    SUPERSEDED = "superseded"
    CONTESTED = "contested"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The runner as it stands: *instance* took *epoch* at *since*, *accepted* is one that a person chose.

    *alive* are other instances that pulled lately, not before *since*, and do not drain; *allowed* may be alive at a time.
    """

    epoch: int
    instance: str | None
    since: int
    accepted: str | None
    contested: str | None
    alive: Collection[str]
    allowed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochClaim:
    """A pull of *instance*, which took *epoch* once (0: never). *after* and *foreign* are what it says: `RunnerPull`."""

    instance: str
    epoch: int
    after: Collection[str]
    foreign: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochDecision:
    """*epoch* and *instance* are those that hold after it. *reason* says why it is contested."""

    succession: Succession
    epoch: int
    instance: str | None
    reason: str = ""


def decide(standing: Standing, claim: EpochClaim, *, now: int) -> EpochDecision:
    """Judge one pull at *now*, epoch milliseconds."""
    if standing.contested is not None:
        return _contested(standing, standing.contested)
    if standing.allowed > 1:
        return _among_several(standing, claim)
    if standing.instance == claim.instance:
        return EpochDecision(succession=Succession.KEPT, epoch=standing.epoch, instance=standing.instance)
    if claim.epoch:
        return _of_an_older(standing, claim, now)
    return _of_a_new(standing, claim)


def _among_several(standing: Standing, claim: EpochClaim) -> EpochDecision:
    """No chain: each of the *allowed* is as good as the others. A new one may follow one that was killed just now; that it is one
    too many shows when all the others pull after it.
    """
    if not claim.epoch:
        return EpochDecision(succession=Succession.TAKEN, epoch=standing.epoch + 1, instance=claim.instance)
    others = [one for one in standing.alive if one != claim.instance]
    if len(others) >= standing.allowed:
        return _contested(standing, f"{len(others) + 1} instances are alive, and {standing.allowed} may be")
    return EpochDecision(succession=Succession.KEPT, epoch=claim.epoch, instance=standing.instance)


def _of_an_older(standing: Standing, claim: EpochClaim, now: int) -> EpochDecision:
    if claim.foreign is not None and claim.foreign == standing.instance != standing.accepted:
        reason = f"instance {standing.instance} follows {claim.instance}, whose identity knows nothing of it"
        return _contested(standing, reason)
    if not claim.after and now - standing.since > COEXISTENCE_MS and standing.instance != standing.accepted:
        reason = (
            f"instances {standing.instance} and {claim.instance} have been alive together for more than ten minutes"
        )
        return _contested(standing, reason)
    return EpochDecision(succession=Succession.SUPERSEDED, epoch=standing.epoch, instance=standing.instance)


def _of_a_new(standing: Standing, claim: EpochClaim) -> EpochDecision:
    if standing.instance is not None and claim.after and standing.instance not in claim.after:
        return _contested(standing, f"instance {claim.instance} does not follow {standing.instance}: a copied identity")
    return EpochDecision(succession=Succession.TAKEN, epoch=standing.epoch + 1, instance=claim.instance)


def _contested(standing: Standing, reason: str) -> EpochDecision:
    return EpochDecision(
        succession=Succession.CONTESTED, epoch=standing.epoch, instance=standing.instance, reason=reason
    )
