"""Secrets at rest: what opens, what does not, and where the key may come from."""

from __future__ import annotations

import base64
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.errors import DatabaseError
from controlplane.store import sealing
from controlplane.store.sealing import KEY_BYTES, Sealer
from worker.secret import Secret


def sealer(byte: bytes = b"k") -> Sealer:
    return Sealer(Secret(byte * KEY_BYTES), origin="key file x")


@given(st.binary(max_size=200))
def test_what_was_sealed_opens_and_never_looks_the_same_twice(plain: bytes) -> None:
    first, second = sealer().seal(plain, "place"), sealer().seal(plain, "place")
    assert sealer().open(first, "place").reveal() == plain
    assert first != second


@given(st.binary(min_size=1, max_size=50), st.data())
def test_one_changed_bit_does_not_open(plain: bytes, data: st.DataObject) -> None:
    sealed = bytearray(sealer().seal(plain, "place"))
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(DatabaseError):
        sealer().open(bytes(sealed), "place")


@pytest.mark.parametrize("sealed", [b"", b"short", b"x" * 12, b"x" * 27])
def test_what_is_too_short_does_not_open(sealed: bytes) -> None:
    with pytest.raises(DatabaseError, match="key file x"):
        sealer().open(sealed, "place")


def test_neither_another_key_nor_another_place_opens_it() -> None:
    sealed = sealer().seal(b"secret", "credentials.secret a")
    with pytest.raises(DatabaseError):
        sealer(b"l").open(sealed, "credentials.secret a")
    with pytest.raises(DatabaseError):
        sealer().open(sealed, "credentials.secret b")


@pytest.mark.parametrize(
    "text", ["", "not base64!", base64.b64encode(b"k" * 31).decode(), base64.b64encode(b"k" * 33).decode()]
)
def test_what_is_no_key_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(DatabaseError) as caught:
        sealing.read_key(text, origin="CONTROLPLANE_KEY")
    assert "CONTROLPLANE_KEY" in str(caught.value)
    assert not text or text not in str(caught.value)


def test_a_key_is_made_once_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "x.db.key"
    made = sealing.make_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sealing.load_key(path) == made
    assert sealing.make_key(path) == made


def test_a_key_that_everybody_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.db.key"
    sealing.make_key(path)
    path.chmod(0o604)
    with pytest.raises(DatabaseError, match=r"x\.db\.key: readable by everybody \(mode 0604\); chmod 600 it"):
        sealing.load_key(path)


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match=r"none: No such file"):
        sealing.load_key(tmp_path / "none")
