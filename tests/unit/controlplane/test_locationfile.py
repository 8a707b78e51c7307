"""A location's config file: the reference system's names and forms, written once, and openable by what the database keeps."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
from pathlib import Path

import pytest
import yaml

from controlplane.commands import locationfile as written
from controlplane.errors import UnusableError
from controlplane.service import locationfile, startcommands
from controlplane.service.startcommands import ConfigPath
from tests.support.checkout import ROOT
from worker.config.options import NAMES
from worker.secret import Secret
from worker.wire import envelope
from worker.wire.keys import PrivateKey, PublicKey


def test_the_file_has_the_names_and_forms_of_the_reference_system() -> None:
    new = locationfile.make("pl:x-" + "0" * 32, key_kind="x25519", intake_url="https://plane.example")
    content = json.loads(new.text.reveal())

    assert content.keys() == {"id", "intakeUrl", "accessKey", "secretAccessKey", "privateKey", "publicKey"}
    assert content["intakeUrl"] == "https://plane.example"
    assert re.fullmatch(r"[0-9a-f]{32}", content["accessKey"])
    assert re.fullmatch(r"[0-9a-f]{64}", content["secretAccessKey"])
    assert content["publicKey"].keys() == {"pem", "fingerprint"}
    assert re.fullmatch(r"sha256\$base64\$[A-Za-z0-9+/]{43}=", content["publicKey"]["fingerprint"])


def test_the_two_sides_open_what_the_other_sealed() -> None:
    new = locationfile.make("pl:x", key_kind="x25519", intake_url="https://plane.example")
    content = json.loads(new.text.reveal())
    mine = PrivateKey.from_pem(content["privateKey"])
    kept = PrivateKey.from_pem(new.credential.results_private_pem.reveal())

    jobs = envelope.seal(b"jobs", PublicKey.from_pem(new.credential.jobs_public_pem), typ="pl-jobs", location="pl:x")
    theirs = PublicKey.from_pem(content["publicKey"]["pem"], content["publicKey"]["fingerprint"])
    results = envelope.seal(b"results", theirs, typ="pl-results", location="pl:x")

    assert mine.kid == new.credential.jobs_kid
    assert kept.kid == new.credential.results_kid
    assert envelope.unseal(jobs, [mine], typ="pl-jobs", location="pl:x", max_bytes=10_000) == b"jobs"
    assert envelope.unseal(results, [kept], typ="pl-results", location="pl:x", max_bytes=10_000) == b"results"


def test_what_the_control_plane_keeps_does_not_open_jobs() -> None:
    new = locationfile.make("pl:x", key_kind="x25519", intake_url="https://plane.example")
    private = json.loads(new.text.reveal())["privateKey"]

    assert private not in {new.credential.results_private_pem.reveal(), new.credential.jobs_public_pem}
    assert PrivateKey.from_pem(private).kid != new.credential.results_kid


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Office Berlin", "office-berlin"),
        ("--", "location"),
        ("Ümläut", "ml-ut"),
        ("a" * 200, "a" * 60),
        ("x.y", "x-y"),
    ],
)
def test_an_id_is_made_of_the_name_and_chance(name: str, slug: str) -> None:
    first, second = locationfile.location_id(name), locationfile.location_id(name)
    assert re.fullmatch(rf"pl:{slug}-[0-9a-f]{{32}}", first)
    assert first != second


def keep(path: Path, text: str) -> None:
    with written.reserved(path) as write:
        write(Secret(text))


def test_a_file_has_room_before_there_are_keys_and_is_gone_where_there_are_none(tmp_path: Path) -> None:
    path = tmp_path / "worker-config.json"
    with written.reserved(path):
        assert path.stat().st_size == written.ROOM_BYTES
    assert not path.exists()
    keep(path, "one")
    assert path.read_text() == "one"


def test_a_file_is_private_and_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "worker-config.json"
    keep(path, "one")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600

    with pytest.raises(UnusableError, match=r"worker-config\.json: the file exists"):
        keep(path, "two")
    assert path.read_text() == "one"


def test_a_link_is_not_followed_to_a_file_that_is_to_be_made(tmp_path: Path) -> None:
    path = tmp_path / "worker-config.json"
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnusableError, match="the file exists"):
        keep(path, "one")
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnusableError, match=r"none/x\.json: No such file"):
        keep(tmp_path / "none" / "x.json", "one")


@pytest.mark.parametrize(
    "url",
    ["", "plane.example", "ftp://plane.example", "https://", "https://u:p@plane.example", "https://plane.example?x",
     "https://plane.example:99999", "https://plane.example#x"],
)  # fmt: skip
def test_what_is_no_intake_url_is_refused(url: str) -> None:
    with pytest.raises(UnusableError, match="--intake-url"):
        written.check_intake_url(url)


def test_an_intake_url_may_have_a_path() -> None:
    assert written.check_intake_url("https://plane.example:8443/synthetics/") == (
        "https://plane.example:8443/synthetics"
    )


RUN = (
    'docker run --rm --user "$(id -u)" -v "$PWD"/worker-config.json:/etc/datadog/synthetics-check-runner.json:ro'
    " open-private-location"
)


def test_the_commands_can_be_typed_as_they_are_printed() -> None:
    text = written.how_to_start(Path("worker-config.json"), "https://plane.example")
    lines = [line.strip() for line in text.splitlines()]
    assert RUN in lines
    assert "cp worker-config.json k8s/worker/worker-config.json && kubectl apply -k k8s/worker" in lines
    assert "curl -sS https://plane.example/" in lines
    assert "curl -sS --proxy http://PROXY:PORT https://plane.example/" in lines
    assert "network host" not in text


@pytest.mark.parametrize("page", ["README.md", "docs/guide.md"])
def test_the_pages_print_the_same_docker_run(page: str) -> None:
    assert f"\n{RUN}\n" in (ROOT / page).read_text()
    assert startcommands.powershell(ConfigPath(text="worker-config.json")) in (ROOT / "docs" / "guide.md").read_text()


@pytest.mark.parametrize("name", ["worker-config.json", "my file.json", "a$b.json", "it's.json"])
def test_a_shell_hands_docker_the_file_that_was_written(tmp_path: Path, name: str) -> None:
    """A `docker` that prints its arguments stands for the real one."""
    (tmp_path / "docker").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (tmp_path / "docker").chmod(0o755)
    for path in (Path(name), tmp_path / name):
        command = startcommands.docker(ConfigPath(text=str(path)))
        environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
        done = subprocess.run(["sh", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True)
        expected = ["run", "--rm", "--user", str(os.getuid()), "-v"]
        mount = f"{tmp_path / name}:/etc/datadog/synthetics-check-runner.json:ro"
        assert done.stdout.splitlines() == [*expected, mount, "open-private-location"]


def test_the_config_map_has_the_key_that_the_pod_mounts() -> None:
    text = written.how_to_start(Path("elsewhere/office.json"), "https://plane.example")
    assert (
        "  kubectl create configmap private-worker-config --from-file=worker-config.json=elsewhere/office.json\n"
        in text
    )
    pod = yaml.safe_load((ROOT / "k8s" / "private-worker-pod.yaml").read_text())
    (mount,) = (mount for mount in pod["spec"]["containers"][0]["volumeMounts"] if mount["name"] == "worker-config")
    assert (mount["mountPath"], mount["subPath"]) == (startcommands.MOUNT, "worker-config.json")
    (volume,) = (volume for volume in pod["spec"]["volumes"] if volume["name"] == "worker-config")
    assert volume["configMap"]["name"] == "private-worker-config"


def test_what_a_private_target_needs_is_said_with_flags_that_exist() -> None:
    text = written.how_to_start(Path("x.json"), "https://plane.example")
    flags = set(re.findall(r"^  --([\w.]+)", text, re.MULTILINE))
    assert flags == {"whitelistedRange.4", "dnsUseHost", "caFile"}
    assert flags <= NAMES.keys()


def test_plain_http_to_another_machine_is_pointed_out() -> None:
    assert "--insecureIntake" in written.how_to_start(Path("x.json"), "http://plane.example")
    assert "--insecureIntake" not in written.how_to_start(Path("x.json"), "https://plane.example")


def test_a_loopback_intake_is_pointed_out() -> None:
    text = written.how_to_start(Path("/tmp/my config.json"), "http://127.0.0.1:8080")
    assert "-v '/tmp/my config.json':" in text
    assert "--network host" in text
    assert "Workers on other machines do not reach http://127.0.0.1:8080" in text


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("worker config.json", "worker config.json"),
        ("$HOME.json", "`$HOME.json"),
        ('a"b`c.json', 'a`"b``c.json'),
        ("of \u201cours\u201d.json", "of `\u201cours`\u201d.json"),
    ],
)
def test_a_name_means_nothing_to_powershell(name: str, shown: str) -> None:
    """By about_Quoting_Rules: within double quotes a dollar, a back-tick and any double quote are themselves behind `."""
    assert f'-v "${{PWD}}/{shown}:{startcommands.MOUNT}:ro" ' in startcommands.powershell(ConfigPath(text=name))
