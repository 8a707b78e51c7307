"""Hashing passwords: Argon2id as another reader of its text sees it, as slow for nobody, and never more than two at once."""

from __future__ import annotations

import asyncio
import threading

import pytest
from argon2 import extract_parameters

from controlplane.errors import RefusedError, UnusableError
from controlplane.service.passwords import AT_ONCE, COSTS, MAX_WAITING, UNKNOWN, HashCosts, Passwords, check
from tests.support.waiting import until
from worker.secret import Secret

CHEAP = HashCosts(memory_kib=8, passes=1, lanes=1)
GOOD = Secret("correct horse battery")


@pytest.mark.parametrize("text", ["short", "x" * 201, "aaaaaaaaaaaaaaaa", ""])
def test_what_is_guessed_at_once_is_no_password(text: str) -> None:
    with pytest.raises(UnusableError):
        check(Secret(text))
    check(GOOD)


async def test_a_hash_is_argon2id_with_the_costs_that_owasp_names() -> None:
    stored = await Passwords().hash(GOOD)
    assert stored.startswith("$argon2id$v=19$m=47104,t=1,p=1$")
    assert await Passwords().fits(stored, GOOD)
    assert not await Passwords().fits(stored, Secret("correct horse batteri"))
    assert GOOD.reveal() not in stored


def test_nobody_is_as_dear_as_somebody() -> None:
    found = extract_parameters(UNKNOWN)
    assert (found.memory_cost, found.time_cost, found.parallelism) == (COSTS.memory_kib, COSTS.passes, COSTS.lanes)
    assert found.type.name == "ID"


async def test_nobody_has_no_password_that_fits() -> None:
    assert not await Passwords(CHEAP).fits(None, GOOD)


async def test_a_text_that_is_no_hash_is_fitted_by_nothing() -> None:
    assert not await Passwords(CHEAP).fits("$argon2id$nonsense", GOOD)


async def test_a_password_is_the_same_from_every_keyboard() -> None:
    hasher = Passwords(CHEAP)
    stored = await hasher.hash(Secret("gr\u00fc\u00dfe aus k\u00f6ln"))
    assert await hasher.fits(stored, Secret("gru\u0308\u00dfe aus ko\u0308ln"))


async def test_a_hash_of_other_costs_is_outdated() -> None:
    stored = await Passwords(CHEAP).hash(GOOD)
    assert Passwords().is_outdated(stored)
    assert not Passwords(CHEAP).is_outdated(stored)


async def test_no_more_than_two_are_hashed_at_once_and_a_crowd_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    hasher, running, most, gate = Passwords(CHEAP), 0, 0, threading.Event()

    def work(*_: object) -> bool:
        nonlocal running, most
        running += 1
        most = max(most, running)
        gate.wait(60)
        running -= 1
        return False

    monkeypatch.setattr(hasher, "_compare", work)
    asked = [asyncio.create_task(hasher.fits(UNKNOWN, GOOD)) for _ in range(MAX_WAITING + 5)]
    await until(lambda: hasher._waiting == MAX_WAITING and running == AT_ONCE)
    asked[0].cancel()  # who goes away leaves its thread behind, and nobody takes its turn before that is done
    await asyncio.sleep(0)
    gate.set()
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert most == AT_ONCE
    assert isinstance(outcomes[0], asyncio.CancelledError)
    assert [outcome.status for outcome in outcomes if isinstance(outcome, RefusedError)] == [503] * 5
    assert hasher._waiting == 0
