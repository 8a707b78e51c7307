"""The configuration as a whole: precedence, identity, the control plane's address, and what each source may say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path

import pytest

from worker.config import Config, load, load_local
from worker.errors import ConfigErrors
from worker.wire.keys import PrivateKey, generate

WORKER_KEY = generate("x25519")
CONTROL_PLANE_KEY = generate("x25519").public


def identity() -> dict[str, object]:
    """A config file as `location create` writes it."""
    return {
        "id": "pl:paris-0123",
        "intakeUrl": "https://intake.internal",
        "accessKey": "0123456789abcdef",
        "secretAccessKey": "s3cret",
        "privateKey": WORKER_KEY.pem.reveal(),
        "publicKey": {"pem": CONTROL_PLANE_KEY.pem, "fingerprint": CONTROL_PLANE_KEY.kid},
    }


def loaded(
    folder: Path, content: Mapping[str, object], *flags: str, environ: Mapping[str, str] | None = None
) -> Config:
    path = folder / "worker-config.json"
    path.write_text(json.dumps(content))
    return load([f"--config={path}", *flags], environ or {}, certificates=str(folder)).config


def mistakes(*flags: str, environ: Mapping[str, str] | None = None) -> str:
    with pytest.raises(ConfigErrors) as raised:
        load_local(flags, environ or {})
    return str(raised.value)


def test_a_generated_file_is_all_that_a_worker_needs(tmp_path: Path) -> None:
    config = loaded(tmp_path, identity())
    assert config.location_id == "pl:paris-0123"
    assert config.intake_url == "https://intake.internal"
    assert config.secret_access_key.reveal() == "s3cret"
    assert config.private_keys == (WORKER_KEY,)
    assert config.public_key == CONTROL_PLANE_KEY
    assert (config.poll_interval, config.drain_timeout, config.max_timeout, config.regex_timeout) == (
        1.0,
        65.0,
        60.0,
        0.5,
    )


def test_a_flag_wins_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    content = identity() | {"concurrency": 1, "maxBodySize": 1, "regexTimeout": 1}
    environ = {"DATADOG_WORKER_CONCURRENCY": "2", "SYNTHETICS_MAX_BODY_SIZE": "2"}
    config = loaded(tmp_path, content, "--concurrency=3", environ=environ)
    assert (config.concurrency, config.max_body_size, config.regex_timeout) == (3, 2, 0.001)


def test_a_list_in_a_stronger_source_replaces_the_weaker_one(tmp_path: Path) -> None:
    content = identity() | {"whitelistedRange": {"4": ["10.0.0.0/8"]}, "whitelistedRange.6": ["fd00::/8"]}
    config = loaded(tmp_path, content, "--whitelistedRange.4=192.168.0.0/16")
    assert config.allow_ranges == (ip_network("192.168.0.0/16"), ip_network("fd00::/8"))


def test_two_names_that_disagree_within_one_source_are_a_mistake() -> None:
    environ = {"DATADOG_ALLOWED_IP_RANGES_4": "10.0.0.0/8", "SYNTHETICS_WHITELISTED_RANGE_4": "10.0.0.0/9"}
    assert "whitelistedRange.4: is given twice with different values" in mistakes(environ=environ)


def test_keys_may_be_several_while_they_are_rotated(tmp_path: Path) -> None:
    new = generate("x25519")
    pems = [WORKER_KEY.pem.reveal(), new.pem.reveal()]
    assert loaded(tmp_path, identity() | {"privateKey": pems}).private_keys == (WORKER_KEY, new)
    assert loaded(tmp_path, identity() | {"privateKey": "".join(pems)}).private_keys == (WORKER_KEY, new)
    assert isinstance(loaded(tmp_path, identity()).private_keys[0], PrivateKey)
