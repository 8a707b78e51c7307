"""What is in the images, and what is not: their size, programs, packages for scanners, bytecode, names and authorities."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.engine import Engine
from tests.deploy.images import CONTROL_PLANE, RUNNER, WORKER

pytestmark = [pytest.mark.deploy, pytest.mark.timeout(1500)]

LARGEST = 150_000_000
"""Bytes, uncompressed, base included: what `podman images` and `docker images` show."""
MADE_HERE = {"etc/group", "etc/ld.so.cache", "etc/nsswitch.conf", "etc/passwd"}
"""Files that a package's scripts make, on any Debian."""
LINKS_TO_FOLDERS = {"bin", "lib", "lib64", "usr/lib/ssl/certs"}

ENVIRONMENTS = {WORKER: "worker", CONTROL_PLANE: "controlplane", RUNNER: "runner"}

LOAD_EVERYTHING = """
import _ssl, importlib.util, pathlib, sysconfig
if importlib.util.find_spec("psycopg"):
    import psycopg  # whose compiled half refuses to be imported first
for folder in (pathlib.Path(sysconfig.get_path("platlib")), pathlib.Path(_ssl.__file__).parent):
    modules = sorted(folder.rglob("*.so"))
    for path in modules:
        importlib.import_module(".".join(path.relative_to(folder).with_name(path.name.partition(".")[0]).parts))
    print(len(modules))
"""
UNCOMPILED = """
import importlib, pathlib, sys
importlib.import_module(sys.argv[1])
for name, module in sorted(sys.modules.items()):
    source, bytecode = (getattr(module.__spec__, part, None) for part in ("origin", "cached"))
    if not bytecode or not source or not source.endswith(".py"):
        continue
    try:
        flags, time, size = (int.from_bytes(pathlib.Path(bytecode).read_bytes()[at : at + 4], "little") for at in (4, 8, 12))
    except FileNotFoundError:
        print(name)
        continue
    found = pathlib.Path(source).stat()
    if (flags, time, size) != (0, int(found.st_mtime), found.st_size):
        print(name)
"""
NAMES_AND_AUTHORITIES = """
import socket, ssl
print(socket.gethostbyname("target.internal"), len(ssl.create_default_context().get_ca_certs()))
"""


@pytest.fixture(params=[WORKER, CONTROL_PLANE, RUNNER])
def image(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def root(engine: Engine, image: str) -> Iterator[Path]:
    with engine.files(image) as folder:
        yield folder


def python(engine: Engine, image: str, *arguments: str) -> str:
    """What the image's own Python prints, in a read-only root, as nobody in particular."""
    program = f"/opt/{ENVIRONMENTS[image]}/bin/python3"
    hardened = ("--network=none", "--add-host=target.internal:127.0.0.7", "--read-only", "--user=4242:4242")
    done = engine.run(*hardened, f"--entrypoint={program}", image, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_image_is_no_larger_than_promised(engine: Engine, image: str) -> None:
    size = engine.inspect(image)["Size"]
    print(f"{image}: {size / 1e6:.0f} MB")
    assert 50_000_000 < size < LARGEST


def test_the_programs_are_python_and_what_probes_call(root: Path) -> None:
    found = {path.name for folder in ("usr/bin", "usr/local/bin", "usr/sbin") for path in root.glob(f"{folder}/*")}
    versions = {name for name in found if name.startswith("python3.")}
    assert found - versions == {"cat", "dash", "date", "expr", "python3", "rm", "sh"}


def test_nothing_installs_or_compiles_software(root: Path) -> None:
    unwanted = ("pip", "ensurepip", "setuptools", "wheel", "*.h", "*.a", "*.o")
    assert [path for pattern in unwanted for path in root.rglob(pattern)] == []


@pytest.mark.parametrize(
    ("of", "program", "foreign"),
    [
        (WORKER, "synthetics-worker", {"controlplane", "worker/actions", "worker/actionrunner", "psycopg", "yaml"}),
        (CONTROL_PLANE, "synthetics-controlplane", {"worker/actions", "worker/actionrunner", "psycopg"}),
        (RUNNER, "private-action-runner", {"controlplane", "sqlalchemy"}),
    ],
)
def test_an_image_holds_one_program_and_nothing_of_the_others(
    engine: Engine, of: str, program: str, foreign: set[str]
) -> None:
    with engine.files(of) as root:
        (packages,) = root.glob("opt/*/lib/python3*/site-packages")
        assert {name for name in foreign if (packages / name).exists()} == set()
        names = ("synthetics-*", "private-*")
        assert [path for name in names for path in root.glob(f"opt/*/bin/{name}")] == [
            root / f"opt/{ENVIRONMENTS[of]}/bin/{program}"
        ]


def test_nobody_gains_rights_and_only_tmp_is_writable_for_all(root: Path) -> None:
    modes = {path.relative_to(root): path.lstat().st_mode for path in root.rglob("*") if not path.is_symlink()}
    assert {path for path, mode in modes.items() if mode & (stat.S_ISUID | stat.S_ISGID)} == set()
    assert {path for path, mode in modes.items() if mode & stat.S_IWOTH} == {Path("tmp")}
    assert modes[Path("tmp")] & stat.S_ISVTX


def test_every_file_outside_opt_belongs_to_a_package_that_scanners_are_told_of(root: Path) -> None:
    entries = (root / "var/lib/dpkg/status").read_text().split("\n\n")
    packages = {entry.split(maxsplit=2)[1] for entry in entries if entry.strip()}
    assert {"libc6", "libssl3t64", "python3-minimal"} <= packages
    assert not packages & {"apt", "dpkg", "perl-base", "bash", "util-linux"}
    listings = list(root.glob("var/lib/dpkg/info/*.list"))
    assert {path.stem.partition(":")[0] for path in listings} == packages
    known = {line.removeprefix("/") for path in listings for line in path.read_text().splitlines()}
    inside = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_symlink() or path.is_file()}
    added = ("opt/", "etc/ssl/certs/", "usr/share/doc/", "var/lib/dpkg/")
    strangers = {
        name
        for name in inside - known - MADE_HERE - LINKS_TO_FOLDERS
        if not name.startswith(added) and "__pycache__" not in name
    }
    assert strangers == set()
    assert {package for package in packages if not (root / "usr/share/doc" / package / "copyright").is_file()} == set()


def test_every_compiled_module_finds_its_libraries(engine: Engine, image: str) -> None:
    wheels, standard = map(int, python(engine, image, "-c", LOAD_EVERYTHING).split())
    assert wheels > 15
    assert standard > 20


@pytest.mark.parametrize(
    ("of", "module"),
    [(WORKER, "worker.start"), (CONTROL_PLANE, "controlplane.app"), (RUNNER, "worker.actionrunner.app")],
)
def test_no_start_compiles_a_module(engine: Engine, of: str, module: str) -> None:
    assert python(engine, of, "-c", UNCOMPILED, module) == ""


def test_names_of_the_host_and_the_systems_authorities_are_known(engine: Engine, image: str) -> None:
    address, authorities = python(engine, image, "-c", NAMES_AND_AUTHORITIES).split()
    assert address == "127.0.0.7"
    assert int(authorities) > 100
