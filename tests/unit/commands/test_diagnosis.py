"""Judgements of `doctor` that only values take, and the bounds that the kernel tells."""

from __future__ import annotations

from pathlib import Path

import pytest

from worker.commands.diagnosis import Finding, State, of_clock, of_descriptors, of_memory, of_policy
from worker.commands.machine import memory_bytes
from worker.config.load import LocalConfig, load_local
from worker.start import policy_of


def config(*flags: str) -> LocalConfig:
    return load_local([f"--{flag}" for flag in flags], {}, certificates="/nonexistent").config


def policy_findings(*flags: str) -> list[Finding]:
    given = config(*flags)
    return of_policy(given, policy_of(given))


@pytest.mark.parametrize(
    ("ahead", "state", "words"),
    [
        (0.0, State.RIGHT, "within 2 s"),
        (-20.4, State.RIGHT, "within 20 s"),
        (31.0, State.DOUBTFUL, "31 s behind"),
        (-3600.0, State.DOUBTFUL, "3600 s ahead of"),
    ],
)
def test_a_clock_is_right_within_half_a_minute(ahead: float, state: State, words: str) -> None:
    found = of_clock(ahead)
    assert found.state is state
    assert words in found.found
    assert ("NTP" in found.cure) == (state is State.DOUBTFUL)


@pytest.mark.parametrize(
    ("available", "state"), [(None, State.RIGHT), (2**31, State.RIGHT), (128 * 2**20, State.DOUBTFUL)]
)
def test_memory_must_hold_the_largest_bodies_of_all_slots(available: int | None, state: State) -> None:
    found = of_memory(config(), available)
    assert found.state is state
    assert "10 slots with bodies of 5 MB" in found.found


def test_descriptors_must_suffice_for_all_slots() -> None:
    assert of_descriptors(config(), 1024).state is State.RIGHT
    assert of_descriptors(config("concurrency=500"), 1024).state is State.DOUBTFUL


@pytest.mark.parametrize(
    ("flags", "cures"),
    [
        ((), ["whitelistedRange.4"]),
        (("whitelistedRange.4=10.0.0.0/8",), ["dnsServer"]),
        (("whitelistedRange.4=10.0.0.0/8", "dnsServer=10.0.0.2"), []),
        (("whitelistedRange.4=10.0.0.0/8", "dnsUseHost"), []),
        (("enableDefaultBlockedIpRanges=false",), []),
        (("whitelistedRange.4=10.0.0.0/8", "dnsUseHost", "allowedDomainNames=*.corp"), ["blockedDomainNames"]),
    ],
)
def test_the_traps_of_the_policy_are_named_with_their_cures(flags: tuple[str, ...], cures: list[str]) -> None:
    found = [finding for finding in policy_findings(*flags) if finding.state is not State.RIGHT]
    assert len(found) >= len(cures)
    for cure in cures:
        assert any(cure in finding.cure for finding in found)
    if not cures:
        assert found == []


@pytest.mark.parametrize(
    ("limit", "total", "expected"),
    [
        ("536870912", "8388608", 2**29),
        ("max", "8388608", 2**33),
        ("9223372036854771712", "1024", 2**20),
        (None, None, None),
    ],
)
def test_memory_is_the_containers_limit_or_the_machines_whole(
    limit: str | None, total: str | None, expected: int | None, tmp_path: Path
) -> None:
    if limit is not None:
        (tmp_path / "memory.max").write_text(limit + "\n")
    if total is not None:
        (tmp_path / "meminfo").write_text(f"MemFree: 1 kB\nMemTotal:       {total} kB\n")
    assert memory_bytes(tmp_path / "meminfo", (tmp_path / "memory.max",)) == expected


def test_foreign_text_stays_on_its_line() -> None:
    finding = Finding(part="control plane", state=State.WRONG, found="a\x1b[2J\nb", cure="c\nd")
    assert [line.isprintable() for line in finding.as_text().split("\n")] == [True, True]
