"""The journal on a real disk: what survives, who may take what over, and what a full or broken disk does."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import msgspec
import pytest

from worker.agent.journal import codec, home, store
from worker.agent.journal.codec import HEADER_BYTES, SegmentKeys
from worker.agent.journal.segment import SEGMENT_BYTES
from worker.agent.journal.store import Store
from worker.secret import Secret
from worker.wire.messages import ResultItem, raw

SECRET = Secret(b"the private key of a location")
KEYS = SegmentKeys("pl:a", (SECRET,))
IMPORT_FROM = str(Path(store.__file__).parents[3])
_salts = count()


def item(name: str, *, size: int = 0, lease: str = "") -> ResultItem:
    outcome = raw({"padding": "x" * size, "started_at": 17})
    return ResultItem(result=name, job=f"job-{name}", lease=lease or f"lease-{name}", outcome=outcome)


def store_in(room: Path, *, location: str = "pl:a", secret: Secret[bytes] = SECRET, age: float = 0.0) -> Store:
    """A store whose looks at other directories find them *age* seconds old."""
    keys = SegmentKeys(location, (secret,))
    salt = lambda size: next(_salts).to_bytes(size, "big")  # noqa: E731
    return Store(room, keys, worker=str(uuid.uuid4()), age_ns=lambda _: round(age * 1e9), salt=salt)


def inherited(one: Store) -> list[ResultItem]:
    items: list[ResultItem] = []
    while (more := one.inherit(after=60)) is not None:
        items += more
    return items


def segments(room: Path) -> list[Path]:
    return sorted(room.glob("*/*.segment"))


@contextmanager
def files_at_most(size: int) -> Iterator[None]:
    """No file of this process may grow beyond *size*: as a full disk does, a write stops short and the next one fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_is_done_is_not_left_and_the_rest_is_bytewise_the_same(tmp_path: Path) -> None:
    first = store_in(tmp_path)
    first.write([item("a"), item("b"), item("c")], ())
    first.write([], ["b"])
    first.close()
    assert inherited(store_in(tmp_path, age=100)) == [item("a"), item("c")]


def test_nothing_readable_is_on_the_disk_and_nobody_else_may_look(tmp_path: Path) -> None:
    first = store_in(tmp_path / "spool")
    first.write([item("canary")], ())
    [segment] = segments(tmp_path / "spool")
    assert b"canary" not in segment.read_bytes()
    assert segment.stat().st_mode & 0o777 == 0o600
    assert segment.parent.stat().st_mode & 0o777 == 0o700


def test_a_stop_with_nothing_left_leaves_nothing(tmp_path: Path) -> None:
    first = store_in(tmp_path)
    first.write([item("a")], ())
    first.write([], ["a"])
    first.close()
    assert list(tmp_path.iterdir()) == []


def test_a_full_segment_goes_when_its_last_result_is_done_whatever_waits_in_others(tmp_path: Path) -> None:
    first = store_in(tmp_path)
    large = [item(f"large-{n}", size=SEGMENT_BYTES // 2) for n in range(6)]
    first.write([item("waits"), *large], ())
    assert len(segments(tmp_path)) == 3
    before = first.bytes
    first.write([], [one.result for one in large])
    assert len(segments(tmp_path)) == 2, "the one that waits and the one that is written to"
    assert first.bytes == sum(path.stat().st_size for path in segments(tmp_path)) < before
    first.close()
    assert inherited(store_in(tmp_path, age=100)) == [item("waits")]


def test_a_newer_form_of_a_result_takes_the_place_of_the_older(tmp_path: Path) -> None:
    first = store_in(tmp_path)
    first.write([item("a")], ())
    first.write([item("a", lease="newer")], ())
    first.close()
    assert inherited(store_in(tmp_path, age=100)) == [item("a", lease="newer")]


def test_a_newer_form_that_never_reached_the_disk_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that loses what was not synced may lose any part of it: of the older form nothing may be noted before."""
    first = store_in(tmp_path)
    first.write([item("a"), item("b")], ())
    [segment] = segments(tmp_path)
    synced = segment.stat().st_size

    def fail(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fail)
        with pytest.raises(OSError, match="Input"):
            first.write([item("a", lease="newer")], ())
    written = segment.read_bytes()
    newer = codec.read(written, KEYS.find(written) or pytest.fail("no key")).records[-1]
    assert newer.kind == codec.RecordKind.RESULT, "and no note that the older form is done"
    segment.write_bytes(written[:synced])
    first.write([item("a", lease="newest")], ())
    assert first.results == 2
    first.write([], ["a", "b"])
    assert not segment.exists(), "nothing of it waits"
    first.close()


def test_of_a_result_with_two_forms_the_newer_is_taken_over_once(tmp_path: Path) -> None:
    """Of a worker that died between the newer form and the note that the older is done."""
    first = store_in(tmp_path)
    first.write([item("a"), item("b")], ())
    first.write([item("a", lease="newer")], ())
    first.close()
    heir = store_in(tmp_path, age=100)
    assert inherited(heir) == [item("a", lease="newer"), item("b")]
    heir.write([], ["a", "b"])
    assert segments(tmp_path) != []
    heir.close()
    assert list(tmp_path.iterdir()) == []


def test_taken_over_segments_go_with_their_last_delivery_and_not_before(tmp_path: Path) -> None:
    dead = store_in(tmp_path)
    dead.write([item("a"), item("b")], ())
    dead.close()
    heir = store_in(tmp_path, age=100)
    assert inherited(heir) == [item("a"), item("b")]
    heir.write([], ["a"])
    assert len(list(tmp_path.iterdir())) == 2
    heir.write([], ["b"])
    assert [path.name for path in tmp_path.iterdir()] == [heir.worker]
    assert heir.results == 0


def test_a_worker_that_restarts_within_its_lease_is_the_same_worker(tmp_path: Path) -> None:
    dead = store_in(tmp_path)
    dead.write([item("a")], ())
    dead.close()
    again, late = store_in(tmp_path, age=14), store_in(tmp_path, age=16)
    assert late.open(within=15) == []
    assert late.worker != dead.worker
    assert again.open(within=15) == [item("a")]
    assert again.worker == dead.worker
    again.write([item("b")], ["a"])
    again.close()
    assert inherited(store_in(tmp_path, age=100)) == [item("b")]


def test_a_dead_worker_may_come_back_before_another_takes_it_over(tmp_path: Path) -> None:
    dead = store_in(tmp_path)
    dead.write([item("a")], ())
    dead.close()
    assert inherited(store_in(tmp_path, age=59)) == []
    assert inherited(store_in(tmp_path, age=61)) == [item("a")]


def test_living_workers_on_one_volume_do_not_mix(tmp_path: Path) -> None:
    one, other = store_in(tmp_path), store_in(tmp_path, age=100)
    one.write([item("a")], ())
    other.write([item("b")], ())
    assert other.open(within=1000) == []
    assert inherited(other) == []
    one.close()
    assert inherited(other) == [item("a")]


def test_two_workers_that_start_together_share_what_is_left_and_take_nothing_twice(tmp_path: Path) -> None:
    for name in "ab":
        dead = store_in(tmp_path)
        dead.write([item(name)], ())
        dead.close()
    first, second = store_in(tmp_path, age=1), store_in(tmp_path, age=1)
    found = [first.open(within=15), second.open(within=15)]
    assert sorted(items[0].result for items in found) == ["a", "b"]
    assert first.worker != second.worker


def test_another_locations_results_stay_where_they_are(tmp_path: Path) -> None:
    other = store_in(tmp_path, location="pl:b")
    other.write([item("b")], ())
    other.close()
    ours = store_in(tmp_path, age=100)
    assert ours.open(within=1000) == []
    assert inherited(ours) == []
    assert inherited(store_in(tmp_path, location="pl:b", age=100)) == [item("b")]


def test_what_no_key_opens_stays_and_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    dead = store_in(tmp_path, secret=Secret(b"a key from before the rotation"))
    dead.write([item("a")], ())
    dead.close()
    ours = store_in(tmp_path, age=100)
    assert inherited(ours) == inherited(ours) == []
    assert len(segments(tmp_path)) == 1
    assert [getattr(record, "action", "") for record in caplog.records] == ["journal_foreign"]


@pytest.mark.parametrize("cut", range(0, HEADER_BYTES + 1, 7))
def test_a_segment_whose_header_is_torn_is_empty(tmp_path: Path, cut: int) -> None:
    dead = store_in(tmp_path)
    dead.write([], ())
    dead.close = lambda: None  # type: ignore[method-assign]  # its process is killed: the lock goes with its file
    [segment] = segments(tmp_path)
    os.truncate(segment, cut)
    os.close(dead._home.lock)  # type: ignore[union-attr]
    ours = store_in(tmp_path, age=100)
    assert inherited(ours) == []
    assert list(tmp_path.iterdir()) == []
    assert ours.counts.damaged == 0


def test_damage_is_counted_and_costs_nothing_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    dead = store_in(tmp_path)
    dead.write([item("a"), item("b"), item("c")], ())
    dead.close()
    [segment] = segments(tmp_path)
    data = bytearray(segment.read_bytes())
    data[HEADER_BYTES + 40] ^= 4
    segment.write_bytes(data)
    heir = store_in(tmp_path, age=100)
    assert inherited(heir) == [item("b"), item("c")]
    assert heir.counts.damaged == 1
    assert [getattr(record, "action", "") for record in caplog.records] == ["journal_damaged"]


def test_a_segment_without_any_header_is_put_aside_for_people(tmp_path: Path) -> None:
    dead = store_in(tmp_path)
    dead.write([item("a")], ())
    dead.close()
    [segment] = segments(tmp_path)
    segment.write_bytes(bytes(200))
    heir = store_in(tmp_path, age=100)
    assert inherited(heir) == []
    assert heir.counts.damaged == 1
    assert [path.name for path in tmp_path.glob("*/*.unreadable")] == ["00000001.unreadable"]


def test_a_disk_that_fills_up_keeps_what_it_has_and_takes_more_when_it_can(tmp_path: Path) -> None:
    first = store_in(tmp_path)
    first.write([item("a")], ())
    size = segments(tmp_path)[0].stat().st_size
    with files_at_most(size + 50):
        for _ in range(3):
            with pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
                first.write([item("b", size=5000)], ())
    assert len(segments(tmp_path)) == 2, "what failed leaves no files behind"
    first.write([item("b", size=5000)], ())
    first.close()
    assert inherited(store_in(tmp_path, age=100)) == [item("a"), item("b", size=5000)]


def test_a_result_that_is_done_while_the_disk_is_full_is_done(tmp_path: Path) -> None:
    first = store_in(tmp_path)
    first.write([item("a"), item("b")], ())
    with files_at_most(1), pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
        first.write([item("c")], ["a"])
    assert first.results == 1


def test_a_directory_that_cannot_be_made_is_an_error_until_it_can(tmp_path: Path) -> None:
    room = tmp_path / "file"
    room.touch()
    first = store_in(room)
    with pytest.raises(OSError, match="file"):
        first.write([item("a")], ())
    room.unlink()
    first.write([item("a")], ())
    assert first.results == 1


def test_a_disk_with_little_room_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = store_in(tmp_path)
    assert first.tend()
    monkeypatch.setattr(store, "ROOM", 1 << 62)
    assert not first.tend()


KILLED = """
import os, signal, sys, uuid
from pathlib import Path
from worker.agent.journal.codec import SegmentKeys
from worker.agent.journal.store import Store
from worker.secret import Secret
from worker.wire.messages import ResultItem, raw

keys = SegmentKeys("pl:a", (Secret(b"the private key of a location"),))
store = Store(Path(sys.argv[1]), keys, worker=str(uuid.uuid4()), age_ns=lambda _: 0, salt=os.urandom)
store.write([ResultItem(result=f"r{n}", job="j", lease="l", outcome=raw({})) for n in range(50)], ())
store.write([], [f"r{n}" for n in range(0, 50, 2)])
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_gives_its_lock_back_and_leaves_what_it_had_written(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], env={"PYTHONPATH": IMPORT_FROM}, check=False)
    [left] = home.homes(tmp_path)
    assert not home.is_held(left)
    heir = store_in(tmp_path, age=100)
    assert [one.result for one in inherited(heir)] == [f"r{n}" for n in range(1, 50, 2)]


def test_a_disk_that_is_really_full(tmp_path: Path, tiny_disk: Path) -> None:
    first = store_in(tiny_disk)
    assert not first.tend(), "half a megabyte is no room"
    kept, failure = 0, 0
    while not failure:
        try:
            first.write([item(str(kept), size=50_000)], ())
            kept += 1
        except OSError as error:
            failure = error.errno or 0
    assert failure == errno.ENOSPC
    assert 5 < kept < 11
    first.close()
    heir = store_in(tiny_disk, age=100)
    assert [one.result for one in inherited(heir)] == [str(number) for number in range(kept)]
    heir.write([item("again", size=50_000)], [str(number) for number in range(kept)])
    assert heir.results == 1, "what is delivered makes room"


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(place)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a tmpfs needs root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_items_are_read_as_the_wire_has_them(tmp_path: Path) -> None:
    odd = ResultItem(result="a", job="j", lease="l", outcome=msgspec.Raw(b'{"b" : 1.50, "text": "\xc3\xa4"}'))
    first = store_in(tmp_path)
    first.write([odd], ())
    first.close()
    [found] = inherited(store_in(tmp_path, age=100))
    assert bytes(found.outcome) == bytes(odd.outcome)
