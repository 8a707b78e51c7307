"""The commands on a location's page, copied out of it and run as they stand, by the programs that they are for."""

from __future__ import annotations

import asyncio
import html
import json
import os
import re
from pathlib import Path

import pytest
import yaml

from controlplane.pages.home import GREETING
from controlplane.service.principal import Role
from controlplane.service.startcommands import IMAGE, MOUNT
from tests.integration.controlplane.plane import Plane
from tests.support.peers import peer
from tests.support.visitors import PageVisitor

BLOCK = re.compile(r"<p>([^<]*)</p>\s*<pre[^>]*>(.*?)</pre>", re.DOTALL)


@pytest.fixture
async def blocks(plane: Plane, tmp_path: Path) -> dict[str, str]:
    """Each block of the page that has the config file, by the words before it; the file is saved as the page says."""
    await plane.add_user("Ed", Role.EDITOR)
    ed = PageVisitor(plane.url, cookies={"session": await plane.session_of("Ed")})
    await ed.get("/locations/new")
    fields = {"name": "Office", "description": "", "tags": "", "key_kind": "x25519", "intake_url": plane.url}
    made = await ed.send("/locations/new", fields | {"answer": "page"})
    config = re.search(r'<textarea id="file"[^>]*>(.*?)</textarea>', made.text, re.DOTALL)
    assert config is not None
    (tmp_path / "worker-config.json").write_text(html.unescape(config[1]))
    return {html.unescape(words): html.unescape(text) for words, text in BLOCK.findall(made.text)}


def block(blocks: dict[str, str], word: str) -> str:
    (found,) = (text for words, text in blocks.items() if word in words)
    return found


async def shell(folder: Path, command: str, **environ: str) -> str:
    """What a command prints that a reader types in the folder of the file. It must succeed."""
    running = await asyncio.create_subprocess_exec(
        *("sh", "-c", command),
        cwd=folder,
        env={**os.environ, **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    printed, errors = await running.communicate()
    assert running.returncode == 0, f"{command}: {errors.decode()}"
    return printed.decode()


async def test_curl_finds_the_control_plane(blocks: dict[str, str], tmp_path: Path) -> None:
    peer("curl")
    direct, by_proxy = block(blocks, "can be reached").splitlines()
    assert await shell(tmp_path, direct) == GREETING
    assert by_proxy == direct.replace("curl -sS", "curl -sS --proxy http://PROXY:PORT")


async def test_compose_reads_the_file_and_mounts_the_config(blocks: dict[str, str], tmp_path: Path) -> None:
    compose = peer("docker-compose")
    (tmp_path / "compose.yaml").write_text(block(blocks, "compose.yaml"))
    command = block(blocks, "and then")
    assert command == 'CONFIG_UID="$(id -u)" docker compose up --detach'
    shown = command.replace("docker compose up --detach", f"{compose} -f compose.yaml config")
    (worker,) = yaml.safe_load(await shell(tmp_path, shown))["services"].values()
    assert (worker["image"], worker["user"]) == (IMAGE, str(os.getuid()))
    assert worker["volumes"] == [f"{tmp_path / 'worker-config.json'}:{MOUNT}:ro"]


async def test_kubectl_makes_the_config_map_that_the_pod_mounts(blocks: dict[str, str], tmp_path: Path) -> None:
    peer("kubectl")
    create, apply = block(blocks, "one pod with a ConfigMap").splitlines()
    made = json.loads(await shell(tmp_path, f"{create} --dry-run=client --output json"))
    assert made["metadata"]["name"] == "private-worker-config"
    assert made["data"] == {"worker-config.json": (tmp_path / "worker-config.json").read_text()}
    assert apply == "kubectl apply -f k8s/private-worker-pod.yaml"
