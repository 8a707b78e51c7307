"""A protected process and another one of the same user: no memory is read, no tracer attaches, no core file is written.

Root passes every such check, so a process of root becomes `nobody` before it tries.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the attribute is Linux's")

NOBODY = 65534

SCENE = """
import ctypes, errno, os, resource, signal, sys
from worker.program.hardening import protect_memory
from worker.telemetry.vitals import open_descriptors

libc = ctypes.CDLL(None, use_errno=True)
if os.getuid() == 0:
    os.setgroups([]); os.setresgid(NOBODY, NOBODY, NOBODY); os.setresuid(NOBODY, NOBODY, NOBODY)
    libc.prctl(4, 1, 0, 0, 0)  # a change of user is an end to dumpable, too
secret = ctypes.create_string_buffer(b"secret")
missing = protect_memory() if sys.argv[1] == "protected" else ()

def tried(attempt):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        libc.prctl(4, 1, 0, 0, 0)  # only its parent is protected
        try:
            said = attempt(os.getppid())
        except OSError as error:
            said = errno.errorcode[error.errno]
        os.write(writing, str(said).encode())
        os._exit(0)
    os.close(writing)
    said = os.read(reading, 100).decode()
    os.close(reading)
    os.waitpid(child, 0)
    return said

def read_memory(pid):
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        return os.pread(memory.fileno(), 6, ctypes.addressof(secret)).decode()

def read_environment(pid):
    return len(open(f"/proc/{pid}/environ", "rb").read()) >= 0

def list_descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd")) > 0

def seize(pid):
    if libc.ptrace(0x4206, pid, None, None) < 0:
        raise OSError(ctypes.get_errno(), "ptrace")
    return "traced"

print(missing, *map(tried, (read_memory, read_environment, list_descriptors, seize)))
print(resource.getrlimit(resource.RLIMIT_CORE), open_descriptors()[0] >= 3, len(open("/proc/self/statm").read().split()))
sys.stdout.flush()
os.abort()
""".replace("NOBODY", str(NOBODY))


def run(code: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = ":".join(str(Path(entry).absolute()) for entry in sys.path)
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env={"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def outcome(mode: str, folder: Path) -> tuple[list[str], int]:
    done = run(SCENE, folder, mode)
    return done.stdout.splitlines(), done.returncode


def test_another_process_of_the_same_user_reads_and_traces_nothing(tmp_path: Path) -> None:
    (said, _), _ = outcome("protected", tmp_path)
    assert said == "() EACCES EACCES EACCES EPERM"


def test_without_protection_it_does(tmp_path: Path) -> None:
    (said, _), _ = outcome("open", tmp_path)
    if said != "() secret True True traced":
        pytest.skip(
            f"this system protects every process from others of its user: {said} (Yama, or a container's profile)"
        )


def test_it_leaves_no_core_file_and_still_counts_its_own_descriptors(tmp_path: Path) -> None:
    (_, said), exit_code = outcome("protected", tmp_path)
    assert said == "(0, 0) True 7"
    assert exit_code < 0
    assert [*tmp_path.iterdir()] == []


PROTECTED = (
    "import ctypes, resource; print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), resource.getrlimit(resource.RLIMIT_CORE))"
)
"""PR_GET_DUMPABLE and the core limit."""


def said_last(code: str, folder: Path) -> str:
    return run(code, folder).stdout.splitlines()[-1]


def test_no_process_is_protected_unasked(tmp_path: Path) -> None:
    assert said_last(PROTECTED, tmp_path).startswith("1 ")


@pytest.mark.parametrize("command", ["run", "check", "policy"])
def test_every_command_of_the_worker_that_reads_secrets_is_protected(command: str, tmp_path: Path) -> None:
    """Before it reads them: here there are none, and the commands end with that."""
    line = f"from worker.cli import execute; execute(['{command}', '--config={tmp_path}/absent.json'])"
    assert said_last(f"{line}; {PROTECTED}", tmp_path) == "0 (0, 0)"


@pytest.mark.parametrize("command", ["'location', 'list'", "'serve', '--tls-key=absent'"])
def test_every_command_of_the_control_plane_is_protected(command: str, tmp_path: Path) -> None:
    line = f"from controlplane.cli import main; arguments = ['--database={tmp_path}/database', {command}]"
    code = f"{line}\ntry:\n    main(arguments, standalone_mode=False)\nexcept Exception: pass\n{PROTECTED}"
    assert said_last(code, tmp_path) == "0 (0, 0)"


@pytest.mark.parametrize("module", ["worker.cli", "worker.actionrunner.cli", "controlplane.cli"])
def test_a_program_that_crashes_in_a_library_says_where_it_was(module: str, tmp_path: Path) -> None:
    """For there is no core file to look at."""
    code = f"import atexit, os, sys; atexit.register(os.abort); sys.argv = ['it', 'serve', '{tmp_path}/absent']"
    done = run(f"{code}\nfrom {module} import main; main()", tmp_path)
    assert done.returncode == -signal.SIGABRT
    assert "Fatal Python error: Aborted" in done.stderr
