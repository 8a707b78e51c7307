"""Canaries in every place that may hold a secret, and a search for them in everything that can be printed."""

from __future__ import annotations

import io
import json
import logging
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.cli import execute
from worker.config.dump import dump
from worker.config.load import load, load_local
from worker.config.option import Option, Source, ValueKind
from worker.config.options import OPTIONS, UNUSED
from worker.errors import ConfigErrors
from worker.telemetry.log import configure
from worker.wire.keys import generate

CANARY = "cAnArY0123456789"
KEY = generate("x25519")
PEM_BODY = KEY.pem.reveal().splitlines()[1]

SECRET_TEXTS = {
    "plain": CANARY,
    "with blanks": f" {CANARY} {CANARY}",
    "with a line break": f"{CANARY}\n{CANARY}",
    "with control characters": f"\x1b[2J{CANARY}\x00",
    "a list": json.dumps([CANARY, CANARY]),
    "a broken list": f'["{CANARY}"',
    "braces": f"{{{CANARY},{CANARY}}}",
    "a URL": f"http://user:{CANARY}@proxy:3128",
    "a URL of a name alone": f"http://{CANARY}@proxy:3128",
    "a URL of a wrong port": f"http://user:{CANARY}@proxy:{CANARY}",
    "a URL of a wrong scheme": f"ftp://user:{CANARY}@proxy:21",
    "a URL without a scheme": f"user:{CANARY}@proxy:3128",
    "a URL with slashes in its password": f"http://user:{CANARY}/{CANARY}@proxy:3128",
    "a URL with a query": f"http://user:{CANARY}@proxy:3128/?{CANARY}",
    "a URL with broken brackets": f"http://user:{CANARY}@[::1",
    "a malformed PKCS#1 key": f"-----BEGIN RSA PRIVATE KEY-----\n{CANARY}\n-----END RSA PRIVATE KEY-----",
    "a malformed PKCS#8 key": f"-----BEGIN PRIVATE KEY-----\n{PEM_BODY}{CANARY}\n-----END PRIVATE KEY-----",
    "an encrypted key": f"-----BEGIN ENCRYPTED PRIVATE KEY-----\n{CANARY}\n-----END ENCRYPTED PRIVATE KEY-----",
    "a key without an end": f"-----BEGIN PRIVATE KEY-----\n{CANARY}\n",
}
NO_FREE_TEXTS = [
    option
    for option in OPTIONS
    if not option.confidential
    and Source.FILE in option.sources
    and option.kind
    not in (ValueKind.TEXT, ValueKind.PATH, ValueKind.DIRECTORY, ValueKind.HEADER, ValueKind.HEADER_VALUE)
]
CONFIDENTIAL = [name for option in OPTIONS if option.confidential for name in (*option.names, option.file_name)]


def printed(read: Callable[[], object]) -> str:
    """Everything that can come out of reading a config: representation, dump, messages, and the traceback with all causes."""
    try:
        loaded = read()
    except ConfigErrors as error:
        alone = "".join(traceback.format_exception(error))
        return "\n".join(
            (str(error), repr(error), alone, repr(error.errors), repr([vars(one) for one in error.errors]))
        )
    return f"{loaded!r}\n{dump(loaded.settings)}"  # type: ignore[attr-defined]


def leaks(text: str) -> list[str]:
    return [line for line in text.splitlines() if CANARY.lower() in line.lower() or PEM_BODY in line]


def read(*argv: str, **environ: str) -> str:
    return printed(lambda: load_local(argv, environ))


@pytest.mark.parametrize("name", CONFIDENTIAL)
@pytest.mark.parametrize("text", SECRET_TEXTS.values(), ids=SECRET_TEXTS.keys())
def test_a_secret_is_in_nothing_that_is_printed(name: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / "worker.json"
    mounted = tmp_path / "mounted"
    mounted.write_text(text)
    option = next(option for option in OPTIONS if name in (*option.names, option.file_name))
    for content in ({name: text}, {name: [text]}, {name: {"pem": text}}, {option.file_name or name: str(mounted)}):
        path.write_text(json.dumps(content))
        assert not leaks(read(f"--config={path}"))
    for variable in option.variables:
        assert not leaks(read(**{variable: text.replace("\x00", "")}))
        assert not leaks(read(**{f"{variable}_FILE": text.replace("\x00", "")}))
    assert not leaks(read(f"--{name}={text}"))
    assert not leaks(read(f"--{name}", text))


@pytest.mark.parametrize(
    "name", ["secretAccesKey", "secret-access-key", "SecretAccessKey", "privatKey", "proxi", *(u.name for u in UNUSED)]
)
def test_the_value_of_a_misspelt_or_unused_name_is_not_repeated(name: str, tmp_path: Path) -> None:
    path = tmp_path / "worker.json"
    for content in ({name: CANARY}, {name: {"a": CANARY}}, {"publicKey": {name: CANARY}}):
        path.write_text(json.dumps(content))
        assert not leaks(read(f"--config={path}"))
    assert not leaks(read(f"--{name}", CANARY))
    assert not leaks(read(f"--{name}={CANARY}"))


def test_a_word_that_is_out_of_place_is_not_repeated() -> None:
    assert not leaks(read(CANARY))
    assert not leaks(read("run", CANARY))


@pytest.mark.parametrize(
    "broken", ['{{"secretAccessKey": "{0}"', '{{"secretAccessKey": "{0}" "{0}"}}', '"{0}"', "{0}", '["{0}"]']
)
def test_a_broken_file_is_not_repeated(broken: str, tmp_path: Path) -> None:
    path = tmp_path / "worker.json"
    path.write_text(broken.format(CANARY))
    assert not leaks(read(f"--config={path}"))


@pytest.mark.parametrize("option", NO_FREE_TEXTS, ids=lambda option: option.name)
def test_a_password_in_a_url_is_not_repeated_where_no_url_belongs(option: Option, tmp_path: Path) -> None:
    path = tmp_path / "worker.json"
    for text in (f"http://user:{CANARY}@proxy", f"user:{CANARY}/{CANARY}@proxy:1", f"ftp://a b\n:{CANARY}@proxy"):
        for content in ({option.name: text}, {option.name: [text]}):
            path.write_text(json.dumps(content))
            output = read(f"--config={path}")
            assert f"{option.name}: " in output
            assert not leaks(output)


def valid(folder: Path) -> Path:
    """A config of which every secret is a canary, and which a worker would start with."""
    path = folder / "worker.json"
    content = {
        "id": "pl:a",
        "intakeUrl": "https://intake.invalid",
        "accessKey": "0123",
        "secretAccessKey": CANARY,
        "privateKey": KEY.pem.reveal(),
        "publicKey": {"pem": KEY.public.pem},
        "proxy": f"http://user:{CANARY}@proxy:3128",
        "proxyTestRequests": f"socks5://{CANARY}@proxy:1080",
        "datadogApiKey": CANARY,
    }
    path.write_text(json.dumps(content))
    return path


def test_a_config_that_holds_secrets_can_be_printed_and_logged(tmp_path: Path) -> None:
    loaded = load([f"--config={valid(tmp_path)}"], {})
    assert loaded.config.secret_access_key.reveal() == CANARY
    stream = io.StringIO()
    root, before = logging.getLogger(), logging.getLogger().handlers[:]
    try:
        for style in ("pretty", "json"):
            configure("json" if style == "json" else "pretty", 4, stream)
            logging.getLogger("worker").info("%s", loaded.config, extra={"action": "x", "config": loaded.config})
            logging.getLogger("worker").info("%r", loaded.warnings, extra={"action": "x", "settings": loaded.settings})
    finally:
        root.handlers[:] = before
        root.setLevel(logging.WARNING)
    text = "\n".join((repr(loaded), str(loaded), dump(loaded.settings), stream.getvalue()))
    assert len(text) > 5000
    assert not leaks(text)


def test_dump_config_prints_no_secret(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["--dumpConfig", f"--config={valid(tmp_path)}"]) == 0
    output = capsys.readouterr()
    assert "<redacted>" in output.out
    assert KEY.kid in output.out
    assert not leaks(output.out + output.err)


@given(text=st.text(max_size=40), before=st.text(max_size=10), position=st.integers(0, 10))
def test_no_text_around_a_password_brings_it_to_light(text: str, before: str, position: int) -> None:
    url = f"{text[:position]}http://{before}:{CANARY}@{text[position:]}"
    for option in OPTIONS:
        if option.confidential:
            assert not leaks(read(**{option.variables[0]: url}))
