"""Who is the runner: rolling upgrades, crash loops and replicas go on, copies are contested until a person decides."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from controlplane.actions.epochs import COEXISTENCE_MS, EpochClaim, EpochDecision, Standing, Succession, decide

EMPTY = Standing(epoch=0, instance=None, since=0, accepted=None, contested=None, alive=(), allowed=1)


class Plane:
    """The control plane's memory of one runner, moved by nothing but decisions."""

    def __init__(self, allowed: int = 1) -> None:
        self.standing = replace(EMPTY, allowed=allowed)
        self.epochs: dict[str, int] = {}
        self.seen: dict[str, int] = {}
        self.now = 0

    def pull(self, instance: str, *after: str, foreign: str | None = None) -> EpochDecision:
        others = [(one, at) for one, at in self.seen.items() if one != instance]
        alive = [one for one, at in others if self.now - 30_000 <= at >= self.standing.since]
        claim = EpochClaim(instance=instance, epoch=self.epochs.get(instance, 0), after=after, foreign=foreign)
        made = decide(replace(self.standing, alive=alive), claim, now=self.now)
        self.seen[instance] = self.now
        if made.succession is Succession.TAKEN:
            self.epochs[instance] = made.epoch
            self.standing = replace(self.standing, epoch=made.epoch, instance=made.instance, since=self.now)
        elif made.succession is Succession.CONTESTED:
            self.standing = replace(self.standing, contested=made.reason)
        return made


class File:
    """An identity as instances write it: the confirmed one, and the starts since."""

    def __init__(self, *starts: str) -> None:
        self.starts = starts

    def copied(self) -> File:
        return File(*self.starts)

    def begin(self, instance: str) -> tuple[str, ...]:
        self.starts = (*self.starts, instance)
        return self.starts

    def confirm(self, instance: str) -> None:
        self.starts = self.starts[self.starts.index(instance) :]


def start(plane: Plane, file: File, instance: str) -> Succession:
    made = plane.pull(instance, *file.begin(instance))
    if made.succession is Succession.TAKEN:
        file.confirm(instance)
    return made.succession


def test_the_first_instance_is_the_runner_and_stays_it() -> None:
    plane, file = Plane(), File()
    assert start(plane, file, "a") is Succession.TAKEN
    assert plane.pull("a", *file.starts).succession is Succession.KEPT


def test_the_newest_wins_and_the_older_drains() -> None:
    plane, file = Plane(), File()
    start(plane, file, "a")
    assert start(plane, file, "b") is Succession.TAKEN
    told = plane.pull("a", *file.starts)
    assert (told.succession, told.instance) == (Succession.SUPERSEDED, "b")
    plane.now += 2 * COEXISTENCE_MS
    assert plane.pull("a", *file.starts).succession is Succession.SUPERSEDED


def test_a_crash_loop_is_no_copy_even_where_replies_are_lost() -> None:
    plane, file = Plane(), File()
    start(plane, file, "a")
    for name in "bcdefg":
        assert plane.pull(name, *file.begin(name)).succession is Succession.TAKEN  # killed before it heard so


def test_a_copied_identity_is_contested_at_its_first_pull_when_the_true_one_has_restarted() -> None:
    plane, file = Plane(), File()
    start(plane, file, "a")
    copy = file.copied()
    start(plane, file, "b")
    assert start(plane, copy, "x") is Succession.CONTESTED
    assert plane.pull("b", *file.starts).succession is Succession.CONTESTED


def test_a_fresh_copy_takes_over_until_the_true_one_speaks() -> None:
    plane, file = Plane(), File()
    start(plane, file, "a")
    copy = file.copied()
    assert start(plane, copy, "x") is Succession.TAKEN
    assert plane.pull("a", *file.starts).instance == "x"
    assert "x" not in file.starts
    told = plane.pull("a", *file.starts, foreign="x")
    assert told.succession is Succession.CONTESTED
    assert "x" in told.reason
    assert plane.pull("x", *copy.starts).succession is Succession.CONTESTED


def test_nobody_accuses_an_instance_that_is_not_the_current_one() -> None:
    plane, file = Plane(), File()
    start(plane, file, "a")
    start(plane, file, "b")
    assert plane.pull("a", *file.starts, foreign="z").succession is Succession.SUPERSEDED


def test_what_a_person_accepted_is_not_contested_by_the_loser() -> None:
    plane, file = Plane(), File()
    start(plane, file, "a")
    start(plane, file.copied(), "x")
    plane.pull("a", *file.starts, foreign="x")
    plane.standing = replace(plane.standing, contested=None, instance="a", accepted="a", epoch=9)
    assert plane.pull("a", *file.starts).succession is Succession.KEPT
    assert plane.pull("x", "a", "x", foreign="a").succession is Succession.SUPERSEDED


def test_two_of_a_read_only_identity_are_contested_after_ten_minutes() -> None:
    plane = Plane()
    assert plane.pull("a").succession is Succession.TAKEN
    assert plane.pull("b").succession is Succession.TAKEN
    plane.now = COEXISTENCE_MS
    assert plane.pull("a").succession is Succession.SUPERSEDED
    plane.now += 1
    assert plane.pull("a").succession is Succession.CONTESTED


def test_three_replicas_are_three_and_the_fourth_is_a_copy_once_all_others_pull_beside_it() -> None:
    plane, file = Plane(allowed=3), File()
    for name in "abc":
        assert plane.pull(name, *file.begin(name)).succession is Succession.TAKEN
        plane.now += 100
    for name in "abcabc":
        assert plane.pull(name, *file.starts).succession is Succession.KEPT
        plane.now += 100
    assert plane.pull("d").succession is Succession.TAKEN
    told = []
    for name in "abc":
        plane.now += 100
        told.append(plane.pull(name).succession)
    assert told == [Succession.KEPT, Succession.KEPT, Succession.CONTESTED]
    assert plane.pull("d").succession is Succession.CONTESTED


def test_a_replica_that_is_killed_and_starts_again_and_again_is_no_copy() -> None:
    plane = Plane(allowed=3)
    for name in "abc":
        plane.pull(name)
    for name in "defghi":
        plane.now += 1000
        assert {plane.pull(one).succession for one in "ab"} == {Succession.KEPT}
        assert plane.pull(name).succession is Succession.TAKEN
    for _ in range(10):
        plane.now += 10_000
        assert {plane.pull(one).succession for one in "abi"} == {Succession.KEPT}


@given(st.lists(st.tuples(st.sampled_from(["start", "lost reply", "old"]), st.integers(0, 20 * 60_000)), max_size=30))
def test_one_identity_that_is_never_copied_is_never_contested(steps: list[tuple[str, int]]) -> None:
    plane, file, running = Plane(), File(), list[str]()
    for number, (step, wait) in enumerate(steps):
        plane.now += wait
        name = f"i{number}"
        if step == "start":
            assert start(plane, file, name) is Succession.TAKEN
            running.append(name)
        elif step == "lost reply":
            assert plane.pull(name, *file.begin(name)).succession is Succession.TAKEN
            running.append(name)
        elif running:
            old = running[-2] if len(running) > 1 else running[-1]
            told = plane.pull(old, *file.starts)
            assert told.succession in (Succession.SUPERSEDED, Succession.KEPT)
            if told.succession is Succession.SUPERSEDED:
                assert told.instance in file.starts, "an honest one finds its successor in its own file"
