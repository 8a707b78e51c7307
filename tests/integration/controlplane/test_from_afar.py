"""Commands over the API: each says, changes and refuses what it does at the database; and what only happens from afar."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
from click.testing import CliRunner, Result

from controlplane.cli import main
from tests.integration.controlplane.process import issue, keys_of, serving
from tests.integration.controlplane.typed import Run
from tests.support.definitions import http_test
from worker.secret import Secret
from worker.wire.enrolment import EnrolmentToken

SHOP = http_test("shop", public_id="aaa-aaa-aaa")
HOME = http_test("home", public_id="bbb-bbb-bbb", tick_every=300, status="paused")
FILES = {
    "tests.json": [SHOP, HOME],
    "changed.json": SHOP | {"message": "changed"},
    "twin.json": http_test("shop", public_id="ccc-ccc-ccc"),
    "nameless.json": http_test("shop"),
    "bad.json": http_test("bad", options={}),
    "elsewhere.json": http_test("elsewhere", locations=["nowhere"]),
    "code/tests.json": [http_test("one", public_id="ddd-ddd-ddd", locations=["office"]), SHOP | {"message": "by file"}],
    "code/variables.json": {"variables": [{"name": "PLACE", "value": {"secure": False, "value": "Berlin"}}]},
}
OFFICE = ("--location", "office")
URL = ("--intake-url", "https://plane.example")
SAID_BOTH_WAYS: tuple[tuple[str, ...], ...] = (
    ("location", "list"),
    ("location", "create", "office", "--output", "office.json", *URL),
    ("location", "create", "office", "--output", "again.json", *URL),
    ("location", "create", "lab", "--output", "-", *URL),
    ("location", "create", "\x1b", "--output", "never.json", *URL),
    ("location", "rotate", "lab", "--output", "lab.json", "--overlap-hours", "1"),
    ("location", "rotate", "ofice", "--output", "never.json"),
    ("location", "list"),
    ("location", "list", "--json"),
    ("test", "list"),
    ("test", "push", "tests.json", *OFFICE),
    ("test", "push", "tests.json", *OFFICE),
    ("test", "push", "changed.json", *OFFICE),
    ("test", "push", "bad.json", *OFFICE),
    ("test", "push", "tests.json", "--location", "ofice"),
    ("test", "push", "twin.json", *OFFICE),
    ("test", "push", "nameless.json", *OFFICE),
    ("test", "pause", "shop"),
    ("test", "delete", "ccc-ccc-ccc"),
    ("test", "pause", "shop"),
    ("test", "resume", "aaa-aaa-aaa"),
    ("test", "resume", "none"),
    ("test", "assign", "shop", "--location", "lab"),
    ("test", "unassign", "shop", *OFFICE),
    ("test", "unassign", "shop", *OFFICE),
    ("test", "list"),
    ("test", "list", "--json"),
    ("test", "run", "home"),
    ("location", "disable", "lab"),
    ("test", "run", "shop"),
    ("test", "run", "none"),
    ("location", "list"),
    ("location", "delete", "lab"),
    ("location", "delete", "lab", "--force"),
    ("test", "run", "shop"),
    ("location", "enable", "office"),
    ("results",),
    ("results", "--json"),
    ("results", "--test", "shop", "--failed", "--since", "1h"),
    ("results", "--test", "none"),
    ("results", "--location", "none"),
    ("key", "create", "ci", "--scopes", "read,trigger"),
    ("key", "create", "ci", "--scopes", "read"),
    ("key", "create", "x", "--scopes", "everything"),
    ("key", "list"),
    ("key", "list", "--json"),
    ("key", "revoke", "ci"),
    ("key", "revoke", "ci"),
    ("test", "delete", "home"),
    ("apply", "code", "--dry-run"),
    ("apply", "code"),
    ("apply", "code", "--dry-run"),
    ("apply", "bad.json"),
    ("apply", "elsewhere.json"),
    ("export", "out"),
    ("apply", "changed.json", "--prune"),
    ("apply", "changed.json", "--prune", "--yes"),
    ("alert", "list"),
    ("alert", "list", "--all", "--test", "shop"),
    ("alert", "show", "shop"),
    ("alert", "ack", "none"),
    ("alert", "silence", "none"),
    ("alert", "unsilence", "none"),
    ("alert", "route", "set", "prod", "@ops", "--tag", "env:prod"),
    ("alert", "route", "list"),
    ("alert", "route", "remove", "none"),
    ("maintenance", "add", "night", "--start", "2026-01-01T22:00", "--for", "1h", "--rrule", "FREQ=SECONDLY"),
    ("maintenance", "list"),
    ("alert", "channel", "add", "ops", "slack", "url=https://hooks.example/services/s3cret"),
    ("alert", "channel", "add", "ops", "slack", "url=https://hooks.example/services/s3cret"),
    ("alert", "channel", "list", "--json"),
    ("alert", "channel", "delete", "ops"),
    ("alert", "test", "ops"),
    ("runner", "list"),
    ("runner", "create", "berlin", "--base-url", "https://plane.example", "--instances", "2"),
    ("runner", "create", "berlin", "--base-url", "https://plane.example"),
    ("runner", "create", "paris", "--base-url", "https://plane.example", "--modes", "push"),
    ("runner", "create", "paris", "--base-url", "nowhere"),
    ("runner", "token", "berlin", "--uses", "50", "--ttl", "30d", "--json"),
    ("runner", "list"),
    ("runner", "list", "--json"),
    ("runner", "disable", "berlin"),
    ("runner", "token", "berlin"),
    ("runner", "show", "berlin"),
    ("runner", "enable", "berlin"),
    ("runner", "rotate", "berlin"),
    ("runner", "accept", "berlin", "--instance", "none"),
    ("runner", "revoke", "berlin"),
    ("runner", "revoke", "paris"),
    ("runner", "renew-keys"),
    ("runner", "renew-keys"),
    ("runner", "replace-keys"),
    ("workflow", "run", "none", "--no-wait"),
    ("action", "run", "data.jq", "--runner", "paris", "--no-wait"),
    ("run", "list", "--runner", "berlin"),
    ("audit", "--limit", "200"),
    ("audit", "verify"),
    ("audit", "--json", "--limit", "7"),
    ("audit", "--subject", "aaa-aaa-aaa"),
)
"""In this order, each on what those before it left behind."""


@dataclass(frozen=True)
class Side:
    """One way to a control plane: a folder with the files, and the flags that name it."""

    folder: Path
    flags: tuple[str, ...]
    env: dict[str, str]

    def say(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, [*arguments, *self.flags], env=self.env, catch_exceptions=False)


def ready(folder: Path) -> Path:
    folder.mkdir()
    for name, content in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(json.dumps(content))
    return folder


@pytest.fixture(scope="module")
def afar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Side]:
    """A serving process behind TLS."""
    folder = ready(tmp_path_factory.mktemp("afar") / "here")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    with serving(folder, *issue(authority, folder)) as plane:
        flags = ("--url", plane.url, "--ca-file", str(folder / "authority.pem"))
        yield Side(folder, flags, keys_of(folder))


@pytest.fixture
def beside(tmp_path: Path) -> Side:
    """The database itself, which `serve` has made."""
    folder = ready(tmp_path / "here")
    with serving(folder):
        pass
    keys_of(folder)
    return Side(folder, ("--database", str(folder / "c.db")), {})


def plain(output: str) -> str:
    """Without what differs between any two control planes: chance, time, and the way that the audit log tells."""
    for pattern, word in (
        (r"(?<![\w-])[\w-]{43}(?![\w-])", "KID"),
        (r"pl1e\.[A-Za-z0-9_-]+", "TOKEN"),
        (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "HEX"),
        (r"(-|sha256)?\b[0-9a-f]{16,64}\b", "HEX"),
        (r"\b[0-9]{13}\b", "MOMENT"),
        (r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8}Z", "MOMENT"),
        (r"\b(never|[0-9]+ s ago)\b", "AGO"),
        (r"\bin [0-9]+ s\b", "SOON"),
        (r'"last_used_at":(null|"?MOMENT"?)', "USED"),
        (r"\b(command|api)\b", "VIA"),
        (r'"seq":[0-9]+', "SEQ"),
        (r'"(pem|fingerprint|privateKey|secretAccessKey|accessKey)": ".*"', "KEY"),
        (r"[ ]+", " "),
    ):
        output = re.sub(pattern, word, output)
    return output


def test_every_command_says_the_same_over_the_api(beside: Side, afar: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    codes = set()
    for arguments in SAID_BOTH_WAYS:
        said = []
        for side in (beside, afar):
            monkeypatch.chdir(side.folder)
            result = side.say(*arguments)
            said.append((result.exit_code, plain(result.output)))
        assert said[0] == said[1], arguments
        codes.add(said[0][0])
    assert codes == {0, 1, 2}
    exported = [{file.name: file.read_text() for file in (side.folder / "out").iterdir()} for side in (beside, afar)]
    assert exported[0] == exported[1]
    assert sorted(exported[0]) == ["aaa-aaa-aaa.json", "ddd-ddd-ddd.json", "variables.json"]
    for name in ("office.json", "lab.json"):
        made = [json.loads((side.folder / name).read_text()) for side in (beside, afar)]
        assert [one["intakeUrl"] for one in made] == ["https://plane.example"] * 2
    for name in ("never.json", "again.json"):
        assert not any((side.folder / name).exists() for side in (beside, afar)), "a refusal leaves no file"


def test_a_location_made_from_afar_is_served_where_it_was_made(
    afar: Side, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert afar.say("location", "create", "far", "--output", "far.json").exit_code == 0
    assert json.loads(Path("far.json").read_text())["intakeUrl"] == afar.flags[1]
    assert afar.say("location", "delete", "far").exit_code == 0


def test_a_runner_made_from_afar_enrols_where_it_was_made(afar: Side) -> None:
    token = json.loads(afar.say("runner", "create", "far", "--json").output)["token"]
    assert EnrolmentToken.parse(Secret(token)).base_url == afar.flags[1]


def test_a_key_gives_away_nothing_that_it_has_not(afar: Side) -> None:
    writer = json.loads(afar.say("key", "create", "writer", "--scopes", "write", "--json").output)
    mine = Side(afar.folder, afar.flags, {"DD_APP_KEY": writer["app_key"]})
    for refused in (mine.say("key", "create", "more", "--scopes", "write,trigger"), mine.say("test", "run", "shop")):
        assert (refused.exit_code, refused.output) == (
            2,
            "Error: the key 'writer' lacks the scope 'trigger'; `key create NAME --scopes trigger,…` makes one that has it\n",
        )
    assert mine.say("key", "create", "same", "--scopes", "write").exit_code == 0


def test_a_key_ends_no_key_that_may_do_more(afar: Side) -> None:
    own = json.loads(afar.say("key", "create", "ender", "--scopes", "write", "--json").output)
    mine = Side(afar.folder, afar.flags, {"DD_APP_KEY": own["app_key"]})
    assert afar.say("key", "create", "more", "--scopes", "write,trigger").exit_code == 0
    refused = mine.say("key", "revoke", "more")
    assert (refused.exit_code, "lacks the scope 'trigger'" in refused.output) == (2, True)
    assert mine.say("key", "revoke", "ender").exit_code == 0, "its own"
    assert afar.say("key", "revoke", "more").exit_code == 0


@pytest.mark.parametrize(
    ("url", "env", "said"),
    [
        ("plane.example", {}, "--url 'plane.example' is not a valid URL: expected http(s)://host[:port][/path]"),
        ("https://u:p@plane.example", {}, "is not a valid URL"),
        ("http://plane.example", {"DD_APP_KEY": "k"}, "keys are sent over https, or to this machine alone"),
        ("http://127.plane.example", {"DD_APP_KEY": "k"}, "keys are sent over https, or to this machine alone"),
        ("https://plane.example", {"DD_API_KEY": "k"}, "there is no application key: set DD_API_KEY and DD_APP_KEY"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_before_anything_is_sent(
    run: Run, url: str, env: dict[str, str], said: str
) -> None:
    nothing = dict.fromkeys(("DD_API_KEY", "DD_APP_KEY", "DATADOG_APP_KEY", "SYNTHETICS_APP_KEY"))
    assert said in run("test", "list", "--url", url, code=2, env=nothing | env).output


def test_what_opens_the_database_itself_takes_no_url(run: Run) -> None:
    assert "`serve` works on the database itself" in run("--url", "https://x", "serve", code=2).output
    said = run("test", "list", "--url", "https://x", "--database", "x.db", code=2).output
    assert "--database and --url are two ways to a control plane: name one of them" in said


def test_the_url_is_named_before_or_after_the_command_or_in_the_environment(afar: Side) -> None:
    url, trust = afar.flags[:2], afar.flags[2:]
    here = afar.env | {"CONTROLPLANE_URL": afar.flags[1]}
    for arguments, env in (
        ((*url, *trust, "location", "list", "--json"), afar.env),
        (("location", "list", "--json", *url, *trust), afar.env | {"CONTROLPLANE_DATABASE": "none.db"}),
        (("location", "list", "--json", *trust), here),
    ):
        done = CliRunner().invoke(main, arguments, env=env, catch_exceptions=False)
        assert done.exit_code == 0, done.output
    database = ("location", "list", "--database", str(afar.folder / "c.db"))
    assert CliRunner().invoke(main, database, env=here).exit_code == 0, "a flag has more weight than the environment"


def test_what_is_wrong_is_told_with_the_url_and_the_cure(afar: Side, tmp_path: Path) -> None:
    url = afar.flags[1]
    strangers = Side(afar.folder, afar.flags, {"DD_APP_KEY": "0" * 40}).say("test", "list")
    assert strangers.output.startswith(f"Error: {url}: the keys open nothing here: set DD_API_KEY and DD_APP_KEY")
    unknown = Side(afar.folder, ("--url", url), afar.env).say("test", "list")
    assert "its certificate is not accepted" in unknown.output
    assert "--ca-file names an internal authority" in unknown.output
    elsewhere = Side(afar.folder, ("--url", f"{url}/elsewhere", *afar.flags[2:]), afar.env).say("test", "list")
    assert "there is no control plane of this version: see --url" in elsewhere.output
    (tmp_path / "no.pem").write_text("none")
    untrusted = Side(afar.folder, ("--url", url, "--ca-file", str(tmp_path / "no.pem")), afar.env).say("test", "list")
    assert "holds no certificates that can be read" in untrusted.output
    with socket.create_server(("127.0.0.1", 0)) as taken:
        closed = taken.getsockname()[1]
    gone = Side(afar.folder, ("--url", f"http://127.0.0.1:{closed}"), afar.env).say("test", "list")
    assert gone.output == f"Error: http://127.0.0.1:{closed}: cannot be reached: Connection refused\n"


@contextmanager
def answering(reply: bytes) -> Iterator[str]:
    """A server that gives everybody the same bytes, and their end."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"0000feed" not in head.split(b"\r\n")[0], "a key is in no address"
        writer.write(reply)
        await writer.drain()
        writer.close()

    async def run() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        found.append((asyncio.get_running_loop(), server.sockets[0].getsockname()[1]))
        ready.set()
        await stopped.wait()
        server.close()

    found: list[tuple[asyncio.AbstractEventLoop, int]] = []
    ready, stopped = threading.Event(), asyncio.Event()
    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    assert ready.wait(60)
    loop, port = found[0]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        loop.call_soon_threadsafe(stopped.set)
        thread.join(30)


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "the answer is not one of this version's"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[", "ended the exchange"),
        (
            b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
            "answered with status 302",
        ),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 4\r\n\r\nhtml", "answered with status 502"),
        (b"HTTP/1.1 429 Slow\r\nContent-Length: 2\r\n\r\n{}", "too many wrong keys"),
        (b"not http at all\r\n\r\n", "ended the exchange"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b" " * (65 * 1024 * 1024), "the answer is larger than"),
    ],
    ids=["other JSON", "cut short", "redirect", "proxy's page", "slow down", "nonsense", "without end"],
)
def test_an_answer_that_nobody_can_use_is_an_error_of_one_line(run: Run, reply: bytes, said: str) -> None:
    with answering(reply) as url:
        env = {"DD_APP_KEY": "0000feed", "DD_API_KEY": "0000feed"}
        output = run("test", "list", "--url", url, code=2, env=env).output
    assert output.startswith(f"Error: {url}: {said}"), output
    assert len(output.splitlines()) == 1
    assert "0000feed" not in output
