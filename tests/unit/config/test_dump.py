"""`--dumpConfig` as it is read: aligned, one member a line, each value with its place."""

from __future__ import annotations

import json
from pathlib import Path

from worker.config.dump import dump
from worker.config.load import load_local
from worker.wire.keys import generate


def rows(text: str) -> dict[str, tuple[str, str]]:
    """First line of each option: value and place."""
    found = {}
    header, *lines = text.splitlines()
    value, place = header.index("VALUE"), header.index("FROM")
    for line in lines:
        if not line.startswith(" "):
            found[line[:value].strip()] = (line[value:place].strip(), line[place:].strip())
    return found


def test_every_value_stands_beside_its_place(tmp_path: Path) -> None:
    key = generate("x25519")
    path = tmp_path / "worker.json"
    content = {"privateKey": key.pem.reveal(), "site": "example.com", "publicKey": {"pem": key.public.pem}}
    path.write_text(json.dumps(content))
    argv = [
        f"--config={path}",
        "--dnsServer=[fd00::1]:54",
        "--maxTimeout=1500",
        "--proxy=http://u:p@h:1",
        "--enableIPv6",
    ]
    found = rows(dump(load_local(argv, {"DATADOG_WORKER_CONCURRENCY": "3"}).settings))
    assert found["privateKey"] == (f"<redacted> {key.kid}", f"file {path}")
    assert found["publicKey.pem"] == (key.kid, f"file {path}")
    assert found["intakeUrl"] == ("https://intake.synthetics.example.com", f"site, file {path}")
    assert found["concurrency"] == ("3", "environment DATADOG_WORKER_CONCURRENCY")
    assert found["dnsServer"] == ("[fd00::1]:54", "flag")
    assert found["maxTimeout"] == ("1500 ms", "flag")
    assert found["drainTimeout"] == ("65 s", "default")
    assert found["proxy"] == ("http://<redacted>@h:1", "flag")
    assert found["enableIPv6"] == ("true", "flag")
    assert found["secretAccessKey"] == ("-", "not set")
    assert found["config"] == (str(path), "flag")


def test_a_list_stands_with_one_member_a_line() -> None:
    text = dump(load_local(["--whitelistedRange.4=10.0.0.0/8,192.168.0.0/16"], {}).settings)
    (first,) = [number for number, line in enumerate(text.splitlines()) if line.startswith("whitelistedRange.4")]
    lines = text.splitlines()
    assert lines[first].split() == ["whitelistedRange.4", "10.0.0.0/8", "flag"]
    assert lines[first + 1].split() == ["192.168.0.0/16"]
    assert lines[first + 1].index("192") == lines[first].index("10.0")
