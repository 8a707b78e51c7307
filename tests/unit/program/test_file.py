"""Files that are replaced whole, and what is never replaced or followed."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from worker.program.file import in_the_way, replace_file


def socket_at(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


def device_at(path: Path) -> None:
    try:
        os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("only root makes device nodes")


OTHERS = pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.symlink_to(path.with_name("target")), "a link"),
        (lambda path: path.symlink_to("/dev/null"), "a link"),
        (Path.mkdir, "a directory"),
        (os.mkfifo, "a pipe"),
        (socket_at, "a socket"),
        (device_at, "a device"),
    ],
    ids=["link", "link to a device", "directory", "pipe", "socket", "device"],
)


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_made_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for content in (b"first", b"the second", b""):
        replace_file(path, content, 0o644)
        assert path.read_bytes() == content
    assert listing(tmp_path) == ["file"]


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_it_has_the_mode_that_was_asked_for_whatever_the_old_one_had(mode: int, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch(mode=0o666)
    replace_file(path, b"x", mode)
    assert stat.S_IMODE(path.stat().st_mode) == mode


@OTHERS
def test_what_is_not_a_regular_file_stays(make: Callable[[Path], None], words: str, tmp_path: Path) -> None:
    path, target = tmp_path / "file", tmp_path / "target"
    target.write_text("as it was")
    make(path)
    before = path.lstat()
    with pytest.raises(OSError, match=words):
        replace_file(path, b"x", 0o644)
    assert (path.lstat().st_ino, path.lstat().st_mode) == (before.st_ino, before.st_mode)
    assert target.read_text() == "as it was"
    assert listing(tmp_path) == ["file", "target"]
    assert in_the_way(path) == words


@pytest.mark.parametrize("left", ["file", "link", "dangling link", "pipe"])
def test_what_has_the_temporary_name_is_neither_followed_nor_written_to(left: str, tmp_path: Path) -> None:
    """A crash leaves such a file; somebody else who may write to the folder leaves such a link."""
    path, partial, target = tmp_path / "file", tmp_path / "file.part", tmp_path / "target"
    target.write_text("as it was")
    match left:
        case "file":
            os.link(target, partial)
        case "link":
            partial.symlink_to(target)
        case "dangling link":
            partial.symlink_to(tmp_path / "nothing")
        case _:
            os.mkfifo(partial)
    replace_file(path, b"new", 0o600)
    assert path.read_bytes() == b"new"
    assert target.read_text() == "as it was"
    assert listing(tmp_path) == ["file", "target"]


def test_a_folder_of_the_temporary_name_is_an_error_and_the_old_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    (tmp_path / "file.part").mkdir()
    with pytest.raises(OSError, match=r"file\.part"):
        replace_file(path, b"new", 0o600)
    assert path.read_text() == "old"


def test_nothing_is_in_the_way_of_a_file_or_of_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert in_the_way(tmp_path / "file") is None
    assert in_the_way(tmp_path / "absent" / "file") is None
