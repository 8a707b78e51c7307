"""The root of all images: what a Python program needs of the Debian that it was built on, copied into an empty folder.

It starts from a closed list and follows what that loads: links, shared libraries. Nothing is taken out of anything: a package
manager, a compiler and a shell's tools never come in. Packages that a file came from keep their entry in the package database, so
that scanners find them with their versions, and their licence. It refuses a program whose shared libraries are not all there.

Run by the base's own Python inside a build: `python3 rootfs.py ROOT FOLDER`. Compiled modules below FOLDER will be loaded there.
"""

from __future__ import annotations

import compileall
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

PROGRAMS = ("python3", "/bin/sh", "cat", "date", "expr", "rm")
"""Beside Python, what the probes of k8s/ and HEALTHCHECK call, and what moves a config file out of a container."""
LOADED_LATE = ("libgcc_s.so.1",)
"""No program names it: the C library opens it when a thread is ended from within."""
FILES = (
    "/etc/debian_version",
    "/etc/group",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/nsswitch.conf",
    "/etc/os-release",
    "/etc/passwd",
    "/etc/protocols",
    "/etc/services",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/usr/lib/locale/C.utf8",
    "/usr/lib/ssl/cert.pem",
    "/usr/lib/ssl/certs",
    "/usr/lib/ssl/openssl.cnf",
    "/usr/share/common-licenses",
)
"""Copied where they exist: names, certificate authorities and OpenSSL's limits, the locale, what says which Debian this is."""
LEFT_OUT = re.compile(
    r"config-.*|curses|dbm|dist-packages|ensurepip|idlelib|lib2to3|pydoc_data|site-packages|test|tkinter|turtledemo|venv"
    r"|(?:_curses|_curses_panel|_dbm|_gdbm|_tkinter|nis|readline|_test.*|_ctypes_test|_xxtest.*|xx.*)\..*so"
)
"""Of the standard library: terminals, windows, NIS, its own tests, and what installs software."""


def copy(path: Path, root: Path) -> None:
    """*path*, with all that is in it if it is a folder, and each link on the way as the link that it is."""
    for step in (*reversed(path.parents), path):
        place = root / step.relative_to("/")
        if step.is_symlink():
            if not place.is_symlink():
                place.symlink_to(step.readlink())
            target = Path(os.path.normpath(step.parent / step.readlink()))
            copy(target / path.relative_to(step), root)
            return
        if step.is_dir():
            place.mkdir(exist_ok=True)
            shutil.copystat(step, place)
        elif step.is_file():
            shutil.copy2(step, place)
    for inner in sorted(path.iterdir()) if path.is_dir() else ():
        copy(inner, root)


def copy_standard_library(root: Path) -> None:
    """With bytecode for each module: the image's root is read-only, so a start would compile them anew each time."""
    for folder in {Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")}:
        for inner in sorted([*folder.iterdir(), *folder.glob("lib-dynload/*")]):
            if inner.name != "lib-dynload" and not LEFT_OUT.fullmatch(inner.name):
                copy(inner, root)
        inside = root / folder.relative_to("/")
        if not compileall.compile_dir(inside, quiet=1, stripdir=str(root), prependdir="/"):
            sys.exit(f"{inside} does not compile")


def shared_libraries(binaries: Iterable[Path]) -> Iterator[Path]:
    """Every file that the loader would map for *binaries*."""
    listed = subprocess.run(["ldd", *map(str, binaries)], capture_output=True, text=True, check=False).stdout
    if "not found" in listed:
        sys.exit(f"a shared library is missing:\n{listed}")
    return map(Path, re.findall(r"^\s+(?:\S+ => )?(/\S+) \(0x", listed, re.MULTILINE))


def library_called(name: str) -> Path:
    known = subprocess.run(["ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    found = re.search(rf"^\s+{re.escape(name)} .* => (\S+)$", known, re.MULTILINE)
    if found is None:
        sys.exit(f"{name} is not installed")
    return Path(found[1])


def keep_packages(root: Path) -> None:
    """Entries, lists of files and licences of the packages that something in *root* came from."""
    database = Path("/var/lib/dpkg")
    kept = root / "var/lib/dpkg/info"
    kept.mkdir(parents=True)
    owners = set()
    for listing in sorted((database / "info").glob("*.list")):
        files = [line for line in listing.read_text().splitlines() if is_inside(line, root)]
        if files:
            (kept / listing.name).write_text("\n".join([*files, ""]))
            owners.add(listing.stem.partition(":")[0])
    entries = (database / "status").read_text().split("\n\n")
    named = [entry for entry in entries if re.match(r"Package: (\S+)", entry)]
    mine = [entry for entry in named if entry.split(maxsplit=2)[1] in owners]
    (kept.parent / "status").write_text("\n\n".join([*mine, ""]))
    for owner in sorted(owners):
        copy(Path("/usr/share/doc", owner, "copyright"), root)


def is_inside(name: str, root: Path) -> bool:
    """Whether the file or link *name* of a package is in *root*; folders belong to many packages and do not count."""
    original = Path(name)
    place = root / original.relative_to("/")
    return not original.is_dir() and (place.is_symlink() or place.is_file())


def assemble(root: Path, modules: Path) -> None:
    root.mkdir()
    programs = [Path(found) for found in map(shutil.which, PROGRAMS) if found]
    if len(programs) < len(PROGRAMS):
        sys.exit(f"the base lacks one of {PROGRAMS}")
    for path in (*programs, *map(library_called, LOADED_LATE), *map(Path, FILES)):
        copy(path, root)
    copy_standard_library(root)
    binaries = [path for folder in (root, modules) for path in folder.rglob("*.so*") if path.is_file()]
    for library in set(shared_libraries([*programs, *binaries])):
        if not library.is_relative_to(root) and not library.is_relative_to(modules):
            copy(library, root)
    subprocess.run(["ldconfig", "-r", str(root)], check=True)
    keep_packages(root)


if __name__ == "__main__":
    assemble(Path(sys.argv[1]), Path(sys.argv[2]))
