"""Whatever an operator writes, the loader answers with a config or with clear lines, and stronger sources win."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from worker.config.load import load_local
from worker.config.merge import merge
from worker.config.option import NUMBERS, Option, Source, ValueKind
from worker.config.options import NAMES, OPTIONS, UNUSED
from worker.errors import ConfigErrors

FLAG_NAMES = [name.text for name in NAMES.values()] + ["blacklisted.4", "no-such", *(unused.name for unused in UNUSED)]
TEXTS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["", "true", "5e+6", "-1", "1e999", "10.0.0.0/8", "fd00::/8", "[", "[]", "{", "{}", '["a"]', "http://[::1"]
    ),
    st.sampled_from(
        ["\x00", "/" + "a" * 300, "~", "-----BEGIN PRIVATE KEY-----", "::1%lo", "9" * 5000, "[::1]:99", "\udcff"]
    ),
)
WORDS = st.one_of(
    TEXTS,
    st.builds("--{}={}".format, st.sampled_from(FLAG_NAMES), TEXTS),
    st.builds("--{}".format, st.sampled_from(FLAG_NAMES)),
    st.sampled_from(
        ["-f", "-f=json", "-v", "-vvvv", "-x", "-", "--", "-h", "run", "check", "validate", "policy", "--json"]
    ),
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=5,
)
KEYS = st.one_of(st.sampled_from([*FLAG_NAMES, "publicKey", "whitelistedRange", "$schema"]), TEXTS)
VARIABLES = [variable for option in OPTIONS for variable in option.variables]


def read(argv: list[str], environ: dict[str, str]) -> None:
    """Read a config; if it is refused, then in lines that can be printed."""
    try:
        load_local(argv, environ)
        return
    except ConfigErrors as error:
        mistakes = error.errors
    assert mistakes
    for mistake in mistakes:
        assert str(mistake).isprintable(), str(mistake)
        assert len(str(mistake)) < 500
        assert mistake.reason


@given(argv=st.lists(WORDS, max_size=6))
@example(argv=["--livenessFile=/" + "a" * 300])
@example(argv=["--spoolDirectory=a\x00b"])
def test_any_command_line_is_read_or_refused_in_words(argv: list[str]) -> None:
    read(argv, {})


@given(
    environ=st.dictionaries(st.sampled_from([*VARIABLES, "SYNTHETICS_X", "SYNTHETICS_PROXY_FILE"]), TEXTS, max_size=4)
)
def test_any_environment_is_read_or_refused_in_words(environ: dict[str, str]) -> None:
    read([], environ)


@given(content=st.dictionaries(KEYS, JSON, max_size=4))
@example(content={"whitelistedRange": {"4": {}}})
@example(content={"concurrency": 10**4000})
def test_any_json_file_is_read_or_refused_in_words(content: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "worker.json"
        path.write_text(json.dumps(content))
        read([f"--config={path}"], {})


@given(data=st.binary(max_size=60))
@example(data=b"[" * 100_000)
@example(data=b'{"a": ' * 50_000)
@example(data=b'{"concurrency": ' + b"9" * 5000 + b"}")
def test_any_bytes_as_a_file_are_read_or_refused_in_words(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "worker.json"
        path.write_bytes(data)
        read([f"--config={path}"], {})


def pairs(option: Option) -> st.SearchStrategy[Any]:
    """Values of *option* as a file has them."""
    if option.kind is ValueKind.BOOLEAN:
        return st.booleans()
    if option.kind in NUMBERS:
        return st.integers(option.minimum, option.maximum)
    if option.kind is ValueKind.CHOICE:
        return st.sampled_from(option.choices)
    if option.kind in (ValueKind.RANGE_4, ValueKind.RANGE_6):
        networks = st.ip_addresses(v=4 if option.kind is ValueKind.RANGE_4 else 6).filter(
            lambda ip: not getattr(ip, "ipv4_mapped", None)
        )
        return st.lists(networks.map(str), max_size=3)
    return st.lists(st.ip_addresses(v=4).map(str), max_size=3)


SIMPLE = [
    option
    for option in OPTIONS
    if Source.FILE in option.sources
    and option.kind
    in {ValueKind.BOOLEAN, ValueKind.CHOICE, ValueKind.RANGE_4, ValueKind.RANGE_6, ValueKind.NAMESERVER, *NUMBERS}
]


def flags_of(name: str, value: object) -> list[str]:
    if isinstance(value, list):
        return [f"--{name}={member}" for member in value] or [f"--{name}=[]"]
    return [f"--{name}={json.dumps(value) if isinstance(value, bool) else value}"]


def text_of(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


@pytest.mark.parametrize("option", SIMPLE, ids=lambda option: option.name)
@settings(max_examples=15)
@given(data=st.data())
def test_the_same_value_means_the_same_in_every_source_and_the_strongest_wins(
    option: Option, data: st.DataObject
) -> None:
    weak, middle, strong = (data.draw(pairs(option)) for _ in range(3))
    name = data.draw(st.sampled_from(option.names))
    variable = data.draw(st.sampled_from(option.variables))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "worker.json"
        path.write_text(json.dumps({name: weak}))
        file, environ, flags = [f"--config={path}"], {variable: text_of(middle)}, flags_of(name, strong)
        for argv, variables, alone in (
            (file, {}, flags_of(name, weak)),
            (file, environ, flags_of(name, middle)),
            ([*file, *flags], environ, flags),
        ):
            assert merge(argv, variables).settings[option.name].value == merge(alone, {}).settings[option.name].value
