"""The limit from outside, read from a /proc and a /sys made of files: as hosts and containers show control groups."""

from __future__ import annotations

from pathlib import Path

import pytest

from worker.sandbox.memory import memory_limit

MIB = 1024 * 1024
MACHINE = "MemTotal:        8388608 kB\nMemFree:         1000000 kB\n"
NO_LIMIT_V1 = "9223372036854771712\n"


def system(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


V2_POD = "kubepods.slice/kubepods-pod1.slice"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        pytest.param({}, 8192, id="no control groups: the machine"),
        pytest.param(
            {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "1073741824\n"}, 1024, id="v2 container"
        ),
        pytest.param(
            {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"}, 8192, id="v2 without a limit"
        ),
        pytest.param({"proc/self/cgroup": "0::/\n"}, 8192, id="v2, the root group of a host has no such file"),
        pytest.param(
            {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": str(1 << 50)}, 8192, id="more than there is"
        ),
        pytest.param(
            {
                "proc/self/cgroup": f"0::/{V2_POD}/worker.scope\n",
                f"sys/fs/cgroup/{V2_POD}/worker.scope/memory.max": "max\n",
                f"sys/fs/cgroup/{V2_POD}/memory.max": str(512 * MIB),
                "sys/fs/cgroup/kubepods.slice/memory.max": str(2048 * MIB),
            },
            512,
            id="v2, the limit of a group above",
        ),
        pytest.param(
            {
                "proc/self/cgroup": "0::/a\n",
                "sys/fs/cgroup/a/memory.max": str(300 * MIB),
                "sys/fs/cgroup/b/memory.max": str(100 * MIB),
            },
            300,
            id="v2, another group's limit is nobody's business",
        ),
        pytest.param(
            {
                "proc/self/cgroup": "9:name=systemd:/\n4:cpu,cpuacct:/a\n3:hugetlb,memory:/a/b\n",
                "sys/fs/cgroup/memory/a/b/memory.limit_in_bytes": NO_LIMIT_V1,
                "sys/fs/cgroup/memory/a/memory.limit_in_bytes": str(256 * MIB),
                "sys/fs/cgroup/memory/memory.limit_in_bytes": NO_LIMIT_V1,
            },
            256,
            id="v1, the limit of a group above",
        ),
        pytest.param(
            {
                "proc/self/cgroup": "3:memory:/docker/0123456789abcdef\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": str(200 * MIB),
            },
            200,
            id="v1 container, the path is the host's",
        ),
        pytest.param(
            {
                "proc/self/cgroup": "4:memory:/x\n0::/\n",
                "sys/fs/cgroup/memory/x/memory.limit_in_bytes": str(150 * MIB),
                "sys/fs/cgroup/memory.max": "max\n",
            },
            150,
            id="both versions",
        ),
        pytest.param({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "\n"}, 8192, id="an empty file"),
    ],
)
def test_the_least_limit_counts(files: dict[str, str], expected: int, tmp_path: Path) -> None:
    assert memory_limit(system(tmp_path, {"proc/meminfo": MACHINE, **files})) == expected * MIB


def test_where_nothing_tells_there_is_no_limit(tmp_path: Path) -> None:
    assert memory_limit(tmp_path) is None
