"""An identity survives whatever happens to its process, is readable by its owner alone, and shows no key."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.runner_identity import enrolled_identity
from worker.actionrunner import identity as identities
from worker.actionrunner.identity import MOST_STARTS, IdentityFile, KeptIdentity
from worker.errors import ConfigError


@pytest.fixture
def file(tmp_path: Path) -> IdentityFile:
    return IdentityFile(tmp_path / "identity.json")


def keep(file: IdentityFile, identity: KeptIdentity) -> None:
    file.change(lambda _found: identity)


def same(one: KeptIdentity, other: KeptIdentity) -> bool:
    return (
        (one.token, one.base_url, one.enrolment, one.starts)
        == (other.token, other.base_url, other.enrolment, other.starts)
        and one.keys.signing.text() == other.keys.signing.text()
        and one.keys.opening.pem == other.keys.opening.pem
        and [key.pem for key in one.former] == [key.pem for key in other.former]
    )


def test_what_is_kept_is_read(file: IdentityFile) -> None:
    made = replace(enrolled_identity(), starts=("a", "b"), next_keys=identities.new_keys())
    keep(file, made)
    found = file.load()
    assert found is not None
    assert same(found, made)
    assert found.next_keys is not None
    assert made.next_keys is not None
    assert found.next_keys.signing.kid == made.next_keys.signing.kid


def test_a_place_without_an_identity_has_none(file: IdentityFile) -> None:
    assert file.load() is None


def test_only_its_owner_reads_it_whatever_the_umask(file: IdentityFile) -> None:
    before = os.umask(0)
    try:
        keep(file, enrolled_identity())
    finally:
        os.umask(before)
    assert file.path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_everybody_reads_is_refused(file: IdentityFile) -> None:
    keep(file, enrolled_identity())
    file.path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        file.load()


def test_a_write_that_was_cut_short_leaves_the_old_one(file: IdentityFile) -> None:
    made = enrolled_identity()
    keep(file, made)
    file.path.with_name("identity.json.part").write_text("{")
    found = file.load()
    assert found is not None
    assert same(found, made)
    keep(file, made)
    assert [each.name for each in file.path.parent.iterdir()] == ["identity.json"]


def test_a_link_in_its_place_is_not_followed(file: IdentityFile, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("precious")
    file.path.symlink_to(tmp_path / "elsewhere")
    assert not file.writable
    (tmp_path / "elsewhere").unlink()
    with pytest.raises(ConfigError, match="a link"):
        keep(file, enrolled_identity())


@pytest.mark.parametrize(
    "spoil", [lambda text: text[:-40], lambda text: "{}", lambda text: text.replace('"token"', '"tok"')]
)
def test_a_spoilt_file_is_refused_without_showing_a_key(file: IdentityFile, spoil: object) -> None:
    made = enrolled_identity()
    keep(file, made)
    assert callable(spoil)
    file.path.write_text(spoil(file.path.read_text()))
    with pytest.raises(ConfigError, match="is not a valid identity") as refused:
        file.load()
    secret = json.loads(made.keys.signing.text().reveal())["d"]
    assert secret not in str(refused.value)
    assert "PRIVATE" not in str(refused.value)


def test_the_starts_are_those_since_the_confirmed_one() -> None:
    identity = enrolled_identity()
    for name in ("a", "b", "c"):
        identity = identities.started(identity, name)
    assert identity.starts == ("a", "b", "c")
    assert identities.confirmed(identity, "b").starts == ("b", "c")
    assert identities.confirmed(identity, "c").starts == ("c",)
    assert identities.confirmed(identity, "x").starts == ("x",)


def test_many_starts_push_out_the_older_ones_but_never_the_confirmed_one() -> None:
    identity = identities.started(enrolled_identity(), "confirmed")
    for number in range(3 * MOST_STARTS):
        identity = identities.started(identity, str(number))
    assert len(identity.starts) == MOST_STARTS
    assert identity.starts[0] == "confirmed"
    assert identity.starts[-1] == str(3 * MOST_STARTS - 1)


def test_a_rotation_keeps_the_opening_keys_of_before() -> None:
    identity, opened = enrolled_identity(), list[str]()
    for _ in range(5):
        opened.insert(0, identity.keys.opening.kid)
        identity = identities.rotated(replace(identity, next_keys=identities.new_keys()))
    assert [key.kid for key in identity.former] == opened[: identities.MOST_FORMER]
    assert identity.next_keys is None
