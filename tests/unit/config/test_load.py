"""The configuration as a whole: precedence, identity, the control plane's address, and what each source may say."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import fields
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from worker.config.load import Config, load, load_local
from worker.config.options import OPTIONS
from worker.egress.nameserver import Nameserver
from worker.errors import ConfigErrors
from worker.secret import Secret
from worker.start import trust_of
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


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_a_file_may_come_from_a_windows_editor_and_a_windows_mount(tmp_path: Path, encoding: str, ends: str) -> None:
    """Notepad marks UTF-8, PowerShell's > writes UTF-16; Docker Desktop mounts everything with mode 0777."""
    path = tmp_path / "worker-config.json"
    text = json.dumps(identity(), indent=2).replace("\n", ends)
    path.write_bytes((b"\xfe\xff" if encoding == "utf-16-be" else b"") + text.encode(encoding))
    path.chmod(0o777)
    config = load([f"--config={path}"], {}, certificates=str(tmp_path)).config
    assert (config.location_id, config.private_keys) == ("pl:paris-0123", (WORKER_KEY,))


def test_keys_in_files_of_their_own_may_have_windows_line_ends(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.mkdir()
    key, secret = keys / "key.pem", keys / "secret.txt"
    key.write_bytes(b"\xef\xbb\xbf" + WORKER_KEY.pem.reveal().replace("\n", "\r\n").encode())
    secret.write_bytes("s3cret\r\n".encode("utf-16"))
    rest = {name: value for name, value in identity().items() if name not in ("privateKey", "secretAccessKey")}
    config = loaded(tmp_path, rest | {"privateKeyFile": str(key), "secretAccessKeyFile": str(secret)})
    assert (config.private_keys, config.secret_access_key.reveal()) == ((WORKER_KEY,), "s3cret")


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
    assert mistakes(environ=environ).startswith("whitelistedRange.4: these mean the same and differ (environment ")


def test_keys_may_be_several_while_they_are_rotated(tmp_path: Path) -> None:
    new = generate("x25519")
    pems = [WORKER_KEY.pem.reveal(), new.pem.reveal()]
    assert loaded(tmp_path, identity() | {"privateKey": pems}).private_keys == (WORKER_KEY, new)
    assert loaded(tmp_path, identity() | {"privateKey": "".join(pems)}).private_keys == (WORKER_KEY, new)
    assert isinstance(loaded(tmp_path, identity()).private_keys[0], PrivateKey)


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({"site": "example.com"}, "https://intake.synthetics.example.com"),
        ({"site": "example.com", "datadogHostOverride": "intake.example.org:8443"}, "https://intake.example.org:8443"),
        ({"site": "a", "datadogHostOverride": "b", "intakeUrl": "https://c/prefix/"}, "https://c/prefix"),
        ({"intakeUrl": "http://127.0.0.1:8080"}, "http://127.0.0.1:8080"),
        ({"intakeUrl": "http://127.9.9.9"}, "http://127.9.9.9"),
        ({"intakeUrl": "http://[::1]:8080"}, "http://[::1]:8080"),
        ({"intakeUrl": "http://localhost:8080"}, "http://localhost:8080"),
        ({"intakeUrl": "http://intake", "insecureIntake": True}, "http://intake"),
    ],
)
def test_the_control_plane_is_named_by_url_or_host_or_site(tmp_path: Path, given: dict[str, object], url: str) -> None:
    content = {key: value for key, value in identity().items() if key != "intakeUrl"}
    assert loaded(tmp_path, content | given).intake_url == url


@pytest.mark.parametrize("host", ["localhost.example.com", "10.0.0.1", "127.0.0.1.example.com", "[::2]"])
def test_plain_http_leaves_this_machine_on_request_only(host: str) -> None:
    assert "insecureIntake" in mistakes(f"--intakeUrl=http://{host}")


def test_a_foreign_fingerprint_is_used_verbatim(tmp_path: Path) -> None:
    public = {"pem": CONTROL_PLANE_KEY.pem, "fingerprint": "sha256$base64$foreign"}
    assert loaded(tmp_path, identity() | {"publicKey": public}).public_key.kid == "sha256$base64$foreign"
    assert loaded(tmp_path, identity() | {"publicKey": {"pem": CONTROL_PLANE_KEY.pem}}).public_key == CONTROL_PLANE_KEY


def test_an_rsa_key_as_the_reference_system_writes_it_is_read(tmp_path: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode().rstrip("\n")
    spki = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    (read,) = loaded(tmp_path, identity() | {"privateKey": pem}).private_keys
    assert read.public.pem == spki


def test_secrets_may_be_mounted_as_files_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret\n")
    (tmp_path / "keys.txt").write_text(f"\n{WORKER_KEY.pem.reveal()}\n{generate('x25519').pem.reveal()}\n")
    (tmp_path / "proxy").write_text("http://user:password@proxy:3128\n")
    content = {key: value for key, value in identity().items() if key not in ("secretAccessKey", "privateKey")}
    environ = {
        "SYNTHETICS_SECRET_ACCESS_KEY_FILE": str(tmp_path / "secret"),
        "SYNTHETICS_PROXY_FILE": str(tmp_path / "proxy"),
    }
    config = loaded(tmp_path, content, f"--privateKeyFile={tmp_path / 'keys.txt'}", environ=environ)
    assert config.secret_access_key.reveal() == "s3cret"
    assert [key.kid for key in config.private_keys][:1] == [WORKER_KEY.kid]
    assert len(config.private_keys) == 2
    assert config.proxy is not None
    assert (str(config.proxy), config.proxy.username) == ("http://proxy:3128", Secret("user"))
    assert config.proxy.password == Secret("password")


def test_a_mounted_secret_and_the_secret_itself_must_agree(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2")
    environ = {"SYNTHETICS_SECRET_ACCESS_KEY_FILE": str(tmp_path / "secret"), "DATADOG_SECRET_ACCESS_KEY": "hunter3"}
    assert mistakes(environ=environ).startswith("secretAccessKey: these mean the same and differ (")
    assert "hunter" not in mistakes(environ=environ)


def test_line_breaks_of_a_key_may_be_written_as_two_characters(tmp_path: Path) -> None:
    content = {key: value for key, value in identity().items() if key != "privateKey"}
    environ = {"DATADOG_PRIVATE_KEY": WORKER_KEY.pem.reveal().replace("\n", "\\n")}
    assert loaded(tmp_path, content, environ=environ).private_keys == (WORKER_KEY,)


def test_every_pem_of_the_certificates_directory_is_trusted_besides_ca_file(tmp_path: Path) -> None:
    named, certificates = tmp_path / "ca.crt", tmp_path / "certs"
    certificates.mkdir()
    trustme.CA().cert_pem.write_to_path(str(named))
    for name in ("b.pem", "a.pem", "ignored.crt"):
        (certificates / name).write_bytes(named.read_bytes() if name.endswith(".pem") else b"")
    got = load_local([f"--caFile={named}"], {}, certificates=str(certificates))
    assert got.config.ca_files == (named, certificates / "a.pem", certificates / "b.pem")
    assert load_local([], {}, certificates=str(tmp_path / "absent")).config.ca_files == ()


def test_a_comment_in_any_encoding_beside_a_certificate_is_no_mistake(tmp_path: Path) -> None:
    trusted = tmp_path / "ca.pem"
    trusted.write_bytes("# Behörde der Zentrale\n".encode("latin-1") + trustme.CA().cert_pem.bytes())
    got = load_local([f"--caFile={trusted}"], {}, certificates=str(tmp_path))
    assert got.config.ca_files == (trusted, trusted)
    assert len(trust_of(got.config).context(verify=True).get_ca_certs()) > 0


@pytest.mark.parametrize(
    "content", [b"", b"# nothing\n", "Behörde".encode("latin-1"), b"-----BEGIN CERTIFICATE-----\nx"]
)
def test_a_file_of_the_certificates_directory_that_holds_none_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_bytes(content)
    with pytest.raises(ConfigErrors) as raised:
        load_local([], {}, certificates=str(tmp_path))
    assert str(raised.value) == (
        f'caFile: "{tmp_path}/empty.pem" holds no PEM certificate, or a malformed one (directory {tmp_path})'
    )


@pytest.mark.parametrize("quote", ['"', "'"])
def test_quotes_that_an_env_file_keeps_are_taken_off(quote: str) -> None:
    given = {
        "SYNTHETICS_SECRET_ACCESS_KEY": "s3cret",
        "SYNTHETICS_INTAKE_URL": "https://intake.internal",
        "SYNTHETICS_ACCESS_KEY": "0123",
        "SYNTHETICS_PROXY": "http://user:word@proxy:3128",
        "SYNTHETICS_CONCURRENCY": "7",
        "SYNTHETICS_ENABLE_IPV6": "true",
        "SYNTHETICS_PRIVATE_KEY": WORKER_KEY.pem.reveal().replace("\n", "\\n"),
        "SYNTHETICS_PUBLIC_KEY_PEM": CONTROL_PLANE_KEY.pem.replace("\n", "\\n"),
        "SYNTHETICS_DNS_SERVER": "127.0.0.1",
        "SYNTHETICS_ID": "pl:a",
    }
    plain, quoted = (
        load([], {key: f"{mark}{value}{mark}" for key, value in given.items()}).config for mark in ("", quote)
    )
    assert quoted == plain
    assert quoted.secret_access_key.reveal() == "s3cret"


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_proxy_of_the_environment_is_said_not_to_be_obeyed(name: str, tmp_path: Path) -> None:
    path = tmp_path / "worker-config.json"
    path.write_text(json.dumps(identity()))
    environ = {name: "http://user:hunter2@proxy:3128"}
    (warning,) = load([f"--config={path}"], environ, certificates=str(tmp_path)).warnings
    assert warning.startswith(f"{name} is not obeyed: ")
    assert "SYNTHETICS_PROXY" in warning
    assert "hunter2" not in warning
    chosen = environ | {"SYNTHETICS_PROXY": "http://proxy:3128"}
    assert load([f"--config={path}"], chosen, certificates=str(tmp_path)).warnings == ()
    assert (
        load([f"--config={path}"], {"HTTP_PROXY": "http://p:1", name: " "}, certificates=str(tmp_path)).warnings == ()
    )


def test_empty_paths_switch_off_what_would_be_written(tmp_path: Path) -> None:
    config = loaded(tmp_path, identity() | {"livenessFile": ""})
    assert (config.liveness_file, config.spool_directory) == (None, None)
    config = loaded(tmp_path, identity(), f"--spoolDirectory={tmp_path / 'later'}", "--livenessFile=")
    assert (config.liveness_file, config.spool_directory) == (None, tmp_path / "later")


def test_the_defaults_are_the_first_generations(tmp_path: Path) -> None:
    config = loaded(tmp_path, identity())
    assert config.dns_servers == (Nameserver(ip_address("8.8.8.8"), 53), Nameserver(ip_address("1.1.1.1"), 53))
    assert (config.dns_use_host, config.enable_default_blocked_ip_ranges) == (False, True)
    assert (config.concurrency, config.max_timeout, config.regex_timeout) == (10, 60.0, 0.5)
    assert (config.max_body_size, config.max_body_size_if_processed) == (5_000_000, 5_000_000)
    assert (config.log_format, config.verbosity) == ("pretty", 3)
    assert config.liveness_file == Path("/tmp/liveness.date")


def test_each_setting_knows_where_it_came_from(tmp_path: Path) -> None:
    path = tmp_path / "worker.json"
    path.write_text('{"maxBodySize": 7, "site": "example.com"}')
    got = load_local([f"--config={path}", "-f=json"], {"DATADOG_WORKER_CONCURRENCY": "2"})
    places = {setting.option.name: setting.place for setting in got.settings}
    assert places["maxBodySize"] == f"file {path}"
    assert places["concurrency"] == "environment DATADOG_WORKER_CONCURRENCY"
    assert places["logFormat"] == "flag"
    assert places["maxTimeout"] == "default"
    assert places["intakeUrl"] == f"site, file {path}"
    assert places["caFile"] == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="another user's file takes another user")
def test_a_file_of_another_user_is_refused_with_the_cure(tmp_path: Path) -> None:
    """A 0600 file of root, read by a user of a container. The effective user of the whole process changes for a moment."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder) / "worker.json"
        path.write_text("{}")
        path.chmod(0o600)
        os.seteuid(65534)
        try:
            words = mistakes(f"--config={path}")
        finally:
            os.seteuid(0)
    assert words == (
        f'config: "{path}" cannot be read by user 65534: it belongs to user 0 with mode 0600; run the container'
        " with --user 0, or chown the file to 65534, or in Kubernetes set fsGroup"
    )


def test_every_option_fills_a_field_and_every_field_is_filled() -> None:
    filled = {option.field for option in OPTIONS if option.field} - {"public_key_fingerprint"}
    assert filled == {field.name for field in fields(Config)}
    rules = {option.name for option in OPTIONS if not option.field}
    of_check = {"failuresOnly", "junit", "github", "trace", "watch", "variable", "variables"}
    of_commands = {"config", "json", "allowUpdate", "dumpConfig", "version", "help"} | of_check
    assert rules == of_commands | {"datadogHostOverride", "site", "insecureIntake"}
