"""Flags as people type them, variables as charts leave them, files as editors write them: what each is read as."""

from __future__ import annotations

import json
import subprocess
import sys
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from worker.config.load import LocalConfig, load_local
from worker.config.options import NAMES
from worker.config.sources import SourceFindings, read_command_line
from worker.egress.nameserver import Nameserver
from worker.egress.rules import parse_glob

TWO_RANGES = (ip_network("10.0.0.0/8"), ip_network("192.168.0.0/16"))


def servers(*written: tuple[str, int]) -> tuple[Nameserver, ...]:
    return tuple(Nameserver(ip_address(address), port) for address, port in written)


BRACES = '--whitelistedRange.4={"10.0.0.0/8","192.168.0.0/16"}'
ECHO = "import sys, json; json.dump(sys.argv[1:], sys.stdout)"


def config(*flags: str, **environ: str) -> LocalConfig:
    return load_local(flags, environ).config


def from_file(folder: Path, content: object) -> LocalConfig:
    path = folder / "worker.json"
    path.write_text(json.dumps(content))
    return config(f"--config={path}")


def typed_in(shell: str, words: str) -> list[str]:
    """The arguments that a program gets when a person types *words* behind its name in *shell*."""
    command = [shell, "-c", f"exec {sys.executable} -c '{ECHO}' {words}"]
    arguments: list[str] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return arguments


@pytest.mark.parametrize(
    ("flags", "field", "value"),
    [
        (["-f=json"], "log_format", "json"),
        (["-f", "json"], "log_format", "json"),
        (["--logFormat=json"], "log_format", "json"),
        (["--logFormat", "json"], "log_format", "json"),
        (["-v"], "verbosity", 1),
        (["-vv"], "verbosity", 2),
        (["-vvv"], "verbosity", 3),
        (["-vvvv"], "verbosity", 4),
        (["-vv", "-v"], "verbosity", 3),
        (["--verbosity=4"], "verbosity", 4),
        (["--dnsUseHost"], "dns_use_host", True),
        (["--dnsUseHost=true"], "dns_use_host", True),
        (["--dnsUseHost=false"], "dns_use_host", False),
        (["--dnsUseHost", "true"], "dns_use_host", True),
        (["--dnsUseHost", "false"], "dns_use_host", False),
        (["--dnsUseHost", "--enableIPv6"], "enable_ipv6", True),
        (["--enableDefaultBlockedIpRanges=false"], "enable_default_blocked_ip_ranges", False),
        (["--maxBodySize=5e+6"], "max_body_size", 5_000_000),
        (["--maxBodySize", "1000"], "max_body_size", 1000),
        (["--concurrency=3", "--concurrency=3"], "concurrency", 3),
        (["--apiRequestMaxTimeout=1500"], "max_timeout", 1.5),
        (
            ["--dnsServer=10.0.0.1", "--dnsServer=10.0.0.2:5353"],
            "dns_servers",
            servers(("10.0.0.1", 53), ("10.0.0.2", 5353)),
        ),
        (
            ["--dnsServer", "10.0.0.1", "--dnsServer", "[fd00::1]:54"],
            "dns_servers",
            servers(("10.0.0.1", 53), ("fd00::1", 54)),
        ),
        (["--dnsServer=fd00::1", "--dnsServer=[fd00::2]"], "dns_servers", servers(("fd00::1", 53), ("fd00::2", 53))),
        (["--dnsServer=10.0.0.1,10.0.0.2"], "dns_servers", servers(("10.0.0.1", 53), ("10.0.0.2", 53))),
        ([BRACES], "allow_ranges", TWO_RANGES),
        (["--whitelistedRange.4={10.0.0.0/8,192.168.0.0/16}"], "allow_ranges", TWO_RANGES),
        (["--whitelistedRange.4={ '10.0.0.0/8', '192.168.0.0/16' }"], "allow_ranges", TWO_RANGES),
        (['--whitelistedRange.4=["10.0.0.0/8","192.168.0.0/16"]'], "allow_ranges", TWO_RANGES),
        (["--whitelistedRange.4=10.0.0.0/8", "--whitelistedRange.4=192.168.0.0/16"], "allow_ranges", TWO_RANGES),
        (["--allowedIPRanges.4", "10.0.0.0/8", "--allowedIPRanges.4=192.168.0.0/16"], "allow_ranges", TWO_RANGES),
        (["--blacklisted.4=10.0.0.0/8", "--blacklisted.4=192.168.0.0/16"], "deny_ranges", TWO_RANGES),
        (["--blacklistedRange.4=10.0.0.0/8", "--blacklisted.4=192.168.0.0/16"], "deny_ranges", TWO_RANGES),
        (["--blacklistedRange.6=fd00::/8", "--blacklistedRange.4=10.0.0.0/8"], "deny_ranges", None),
        (["--whitelistedRange.4={}"], "allow_ranges", ()),
        (["--whitelistedRange.4=[]"], "allow_ranges", ()),
        (["--allowedDomainNames=*.example.com"], "allowed_domain_names", (parse_glob("*.example.com"),)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_flag_is_read_as_people_type_it(flags: list[str], field: str, value: object) -> None:
    expected = (ip_network("10.0.0.0/8"), ip_network("fd00::/8")) if value is None else value
    assert getattr(config(*flags), field) == expected


@pytest.mark.parametrize("shell", ["bash", "dash"])
@pytest.mark.parametrize(
    "words",
    [
        BRACES,
        "--whitelistedRange.4={10.0.0.0/8,192.168.0.0/16}",
        '--whitelistedRange.4=\'{"10.0.0.0/8","192.168.0.0/16"}\'',
        '--whitelistedRange.4="10.0.0.0/8" --whitelistedRange.4="192.168.0.0/16"',
    ],
)
def test_a_brace_list_survives_a_shell(shell: str, words: str) -> None:
    assert config(*typed_in(shell, words)).allow_ranges == TWO_RANGES


@pytest.mark.parametrize("shell", ["bash", "dash"])
def test_a_brace_list_of_one_survives_a_shell(shell: str) -> None:
    """No shell expands a lone member: the braces arrive."""
    arguments = typed_in(shell, '--whitelistedRange.4={"10.0.0.0/8"}')
    assert arguments == ["--whitelistedRange.4={10.0.0.0/8}"]
    assert config(*arguments).allow_ranges == TWO_RANGES[:1]


def test_bash_makes_two_flags_of_a_brace_list_and_dash_leaves_the_braces() -> None:
    """What the two tests above rest on."""
    assert len(typed_in("bash", BRACES)) == 2
    assert typed_in("dash", BRACES) == ["--whitelistedRange.4={10.0.0.0/8,192.168.0.0/16}"]


@pytest.mark.parametrize(
    ("argv", "command", "operands"),
    [
        ([], "run", ()),
        (["--concurrency=3"], "run", ()),
        (["run", "-f=json"], "run", ()),
        (["check", "a.json", "b.json"], "check", ("a.json", "b.json")),
        (["--concurrency=3", "check", "a.json"], "check", ("a.json",)),
        (
            ["--concurrency", "3", "check", "-f", "json", "a.json", "--dnsUseHost", "b.json"],
            "check",
            ("a.json", "b.json"),
        ),
        (["--dnsUseHost", "check", "a.json"], "check", ("a.json",)),
        (["validate", "-", "--json"], "validate", ("-",)),
        (["validate", "--", "--json", "-f"], "validate", ("--json", "-f")),
        (["policy", "::1", "run"], "policy", ("::1", "run")),
    ],
)
def test_options_stand_on_both_sides_of_the_command(argv: list[str], command: str, operands: tuple[str, ...]) -> None:
    line = read_command_line(argv)
    assert (line.command, line.operands, line.findings.mistakes) == (command, operands, ())


@pytest.mark.parametrize(
    ("argv", "switches"),
    [
        (["-h"], {"help"}),
        (["--help"], {"help"}),
        (["--version"], {"version"}),
        (["check", "x", "--json"], {"json"}),
        (["check", "x", "--json=false"], set()),
        (["--dumpConfig", "-f=json"], {"dumpConfig"}),
    ],
)
def test_what_a_command_itself_obeys_is_a_switch(argv: list[str], switches: set[str]) -> None:
    assert read_command_line(argv).switches == switches


@pytest.mark.parametrize(
    "argv", [["check", "x", "--junit=-"], ["check", "--junit", "-", "x"], ["--junit=-", "check", "x"]]
)
def test_a_command_has_values_of_its_own(argv: list[str]) -> None:
    line = read_command_line(argv)
    assert (line.values, line.operands, line.findings) == ({"junit": "-"}, ("x",), SourceFindings())


@pytest.mark.parametrize(
    ("argv", "mistake"),
    [
        (["check", "x", "--junit"], "junit: needs a value (flag)"),
        (["check", "x", "--junit="], "junit: is empty (flag)"),
        (["check", "x", "--junit=a", "--junit=b"], "junit: is given twice (flag)"),
        (["validate", "x", "--junit=a"], "junit: is for check (flag)"),
        (["validate", "x", "--watch"], "watch: is for check (flag)"),
    ],
)
def test_a_value_of_a_command_is_given_once_and_to_that_command(argv: list[str], mistake: str) -> None:
    assert list(map(str, read_command_line(argv).findings.mistakes)) == [mistake]


def test_a_pem_text_may_follow_its_flag_though_it_begins_with_dashes() -> None:
    line = read_command_line(["--publicKey.pem", "-----BEGIN PUBLIC KEY-----", "--dnsUseHost"])
    assert [given.value for given in line.findings.given] == ["-----BEGIN PUBLIC KEY-----", "true"]


@pytest.mark.parametrize(
    "content",
    [
        {"whitelistedRange": {"4": ["10.0.0.0/8", "192.168.0.0/16"]}},
        {"whitelistedRange.4": ["10.0.0.0/8", "192.168.0.0/16"]},
        {"allowedIPRanges": {"4": ["10.0.0.0/8", "192.168.0.0/16"], "6": []}},
        {"allowedIPRanges.4": ["10.0.0.0/8", "192.168.0.0/16"], "$schema": "worker-config.schema.json"},
        {"whitelistedRange.4": ["10.0.0.0/8", "192.168.0.0/16"], "allowedIPRanges.4": ["10.0.0.0/8", "192.168.0.0/16"]},
    ],
)
def test_dotted_and_nested_keys_are_the_same(tmp_path: Path, content: object) -> None:
    assert from_file(tmp_path, content).allow_ranges == TWO_RANGES


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "worker.json"
    path.write_bytes(b'\xef\xbb\xbf{"concurrency": 5e0}')
    assert config(f"--config={path}").concurrency == 5


def test_the_config_file_may_be_named_by_a_variable(tmp_path: Path) -> None:
    path = tmp_path / "worker.json"
    path.write_text('{"concurrency": 7}')
    assert config(SYNTHETICS_CONFIG=str(path)).concurrency == 7


@pytest.mark.parametrize(
    ("environ", "field", "value"),
    [
        (
            {"DATADOG_TESTS_DNS_SERVER": '["8.8.8.8","1.1.1.1"]'},
            "dns_servers",
            servers(("8.8.8.8", 53), ("1.1.1.1", 53)),
        ),
        ({"DATADOG_TESTS_DNS_SERVER": "8.8.8.8, 1.1.1.1"}, "dns_servers", servers(("8.8.8.8", 53), ("1.1.1.1", 53))),
        ({"DATADOG_DNS_USE_HOST": "True"}, "dns_use_host", True),
        ({"DATADOG_TESTS_DNS_USE_HOST": "1", "DATADOG_DNS_USE_HOST": "true"}, "dns_use_host", True),
        ({"DATADOG_TESTS_TIMEOUT": "2000"}, "max_timeout", 2.0),
        ({"SYNTHETICS_API_REQUEST_MAX_TIMEOUT": "2000"}, "max_timeout", 2.0),
        ({"SYNTHETICS_ENABLE_IPV6": "true"}, "enable_ipv6", True),
        ({"SYNTHETICS_MAX_API_BODY_SIZE_IF_PROCESSED": "9"}, "max_body_size_if_processed", 9),
        ({"SYNTHETICS_WHITELISTED_RANGE_4": "10.0.0.0/8,192.168.0.0/16"}, "allow_ranges", TWO_RANGES),
        ({"DATADOG_WORKER_LOG_FORMAT": " json\n"}, "log_format", "json"),
        ({"DATADOG_WORKER_CONCURRENCY": ""}, "concurrency", 10),
        ({"DATADOG_API_KEY": "not ours", "DATADOG_ENV": "x"}, "concurrency", 10),
    ],
)
def test_a_variable_is_read_as_charts_write_it(environ: dict[str, str], field: str, value: object) -> None:
    loaded = load_local([], environ)
    assert getattr(loaded.config, field) == value
    assert loaded.warnings == ()


def test_every_option_but_the_commands_own_has_its_variable() -> None:
    without = {name for name, found in NAMES.items() if not found.option.variables}
    of_check = {"failuresOnly", "junit", "github", "trace", "watch", "variable", "variables"}
    assert without == {"json", "allowUpdate", "dumpConfig", "version", "help"} | of_check


def test_a_variable_that_is_nearly_ours_is_worth_a_warning_and_a_service_link_is_not() -> None:
    environ = {
        "SYNTHETICS_CONCURENCY": "3",
        "SYNTHETICS_WORKER_SERVICE_HOST": "10.0.0.1",
        "SYNTHETICS_WORKER_PORT": "tcp:",
    }
    assert load_local([], environ).warnings == (
        'the environment variable "SYNTHETICS_CONCURENCY" is not read: did you mean SYNTHETICS_CONCURRENCY?',
    )


def test_published_options_that_are_not_used_are_accepted_with_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "worker.json"
    path.write_text('{"datadogApiKey": "hunter2", "publicKeysByMainDC": {"a": "b"}, "concurrency": 4}')
    argv = [f"--config={path}", "--variableOverride", "A=hunter2", "--proxyEnableConnectTunnel", "--dnsUseHost"]
    loaded = load_local(argv, {})
    assert (loaded.config.concurrency, loaded.config.dns_use_host) == (4, True)
    words = [warning.partition(" is accepted and not used: ")[0] for warning in loaded.warnings]
    assert words == ["datadogApiKey", "publicKeysByMainDC", "variableOverride", "proxyEnableConnectTunnel"]
    assert "hunter2" not in str(loaded.warnings)


def test_a_password_in_a_flag_is_worth_a_warning() -> None:
    loaded = load_local(["--proxyTestRequests=http://user:hunter2@proxy:3128"], {})
    (warning,) = loaded.warnings
    assert warning.endswith("use SYNTHETICS_PROXY_TEST_REQUESTS or proxyTestRequestsFile")
    assert "hunter2" not in warning
    assert load_local(["--proxyTestRequests=http://proxy:3128"], {}).warnings == ()
