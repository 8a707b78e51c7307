"""The command line of `serve`."""

from __future__ import annotations

import logging

import click
import pytest

from controlplane.commands.serve import listen_address, log_to_stderr, metric_tags, public_urls, serve

CONTEXT = click.Context(serve)
PARAMETER = serve.params[0]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("[::1]:0", ("::1", 0)),
        (":443", ("", 443)),
        ("localhost:65535", ("localhost", 65535)),
    ],
)
def test_a_listen_address_is_a_host_and_a_port(text: str, address: tuple[str, int]) -> None:
    assert listen_address(CONTEXT, PARAMETER, text) == address


@pytest.mark.parametrize(
    "text", ["", "8080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "h:-1", "h:²"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not HOST:PORT"):
        listen_address(CONTEXT, PARAMETER, text)


@pytest.mark.parametrize("url", ["plane.example", "http://", "http://a b", "://x"])
def test_a_public_url_is_a_url(url: str) -> None:
    with pytest.raises(click.BadParameter):
        public_urls(CONTEXT, PARAMETER, (url,))


def test_keys_of_tags_become_labels_in_their_order() -> None:
    assert metric_tags(CONTEXT, PARAMETER, "env, team,env,") == ("env", "team")
    assert metric_tags(CONTEXT, PARAMETER, "") == ()


@pytest.mark.parametrize("keys", ["a-b", "1a", "name", "test", "env,location", "__x", "job", 'a"b'])
def test_a_key_that_is_no_label_or_has_a_meaning_is_refused(keys: str) -> None:
    with pytest.raises(click.BadParameter, match="is not a valid label"):
        metric_tags(CONTEXT, PARAMETER, keys)


def test_it_logs_in_the_format_of_the_worker(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    packages = {name: logging.getLogger(name).level for name in ("controlplane", "worker")}
    try:
        log_to_stderr(verbose=False)
        logging.getLogger("controlplane.rest").info("refused: %s", "x\n\x1b[2J", extra={"action": "request_refused"})
        logging.getLogger("worker.web.connections").warning("full", extra={"action": "connections_full"})
        logging.getLogger("controlplane.rest").debug("silent")
        logging.getLogger("alembic").info("silent")
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        for name, before in packages.items():
            logging.getLogger(name).setLevel(before)
    first, second = capsys.readouterr().err.splitlines()
    assert first.partition("  ")[2] == "INFO   refused: x\\u000a\\u001b[2J  action=request_refused"
    assert second.partition("  ")[2] == "WARN   full  action=connections_full"
