"""The commands of docs/, word by word, typed in a terminal beside a control plane that serves under the pages' own name.

A command that a page gains is unknown to this test, which then fails.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import trustme

from tests.support.checkout import ROOT
from tests.support.definitions import http_test
from tests.support.documented import PAGES, of_kubernetes, of_ours
from tests.support.private_network import OUTSIDE, PrivateNetwork
from tests.support.programs import environment
from tests.support.terminal import Terminal

pytestmark = [pytest.mark.acceptance, pytest.mark.long, pytest.mark.timeout(240)]

SERVE = (
    "synthetics-controlplane serve --listen 0.0.0.0:8443 --public-url https://controlplane.example:8443"
    " --tls-cert cert.pem --tls-key key.pem --alert-allow-range 127.0.0.1"
)
SPOOL = "/var/spool/synthetics"
SLACK = """
import http.server
class Slack(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        print(self.rfile.read(int(self.headers["Content-Length"])).decode(), flush=True)
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", 9000), Slack).serve_forever()
"""
KEYS = "export CONTROLPLANE_URL=https://controlplane.example:8443 DD_API_KEY=… DD_APP_KEY=…"
FOLLOW = "synthetics-controlplane --ca-file authority.pem results --follow"
SIGN_IN = "synthetics-controlplane serve --public-url https://controlplane.example --oidc-issuer"
ENROL = "RUNNER_ENROLLMENT_TOKEN=pl1e.… DD_PRIVATE_RUNNER_CONFIG_DIR=$PWD/runner private-action-runner"
PUSHED = "synthetics-controlplane runner create berlin --modes pull,push --host https://runner.corp.example"
CREATE = (
    "synthetics-controlplane location create office --intake-url https://controlplane.example:8443"
    " --output worker-config.json"
)
CRM = """
import http.server, ssl
class CRM(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b'{"customer": 7}' if self.path == "/api/v1/customers/7" else b"{}"
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
server = http.server.HTTPServer(("198.18.0.1", 8443), CRM)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("crm-cert.pem", "crm-key.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""

SAID = {
    "synthetics-controlplane runner create berlin --base-url http://127.0.0.1:8080": "pl1e.",
    "synthetics-controlplane action run http.request --runner berlin --connection crm"
    """ --input '{"verb":"GET","url":"/v1/customers/7"}' --wait 30""": '"customer"',
    PUSHED: "pl1e.",
    "synthetics-controlplane app push customer-desk.yaml": "customer-desk",
    "synthetics-controlplane user add alice@corp.example": "alice@corp.example",
    "synthetics-controlplane app link customer-desk --user alice@corp.example --at https://cp.example.com": "https://cp.example.com/",
    "synthetics-controlplane alert channel add ops slack url=env:SLACK_URL": "ops",
    "synthetics-controlplane alert test ops": "delivered",
    "synthetics-controlplane alert route set prod @pagerduty archive@example.com --tag env:prod": "prod",
    f"synthetics-worker spool list {SPOOL}": "0 results set aside",
    f"synthetics-worker spool push {SPOOL}": "",
    f"synthetics-worker spool drop {SPOOL}": "deleted",
    "synthetics-controlplane user add ann --role editor --at https://controlplane.example": "https://controlplane.example/",
    "synthetics-controlplane backup FOLDER --keep 7": "FOLDER",
    "synthetics-controlplane location rotate office --output worker-config-new.json --overlap-hours 24": "worker-config-new.json",
    "synthetics-controlplane key create ci --scopes read,trigger": "DD_APP_KEY=",
    "synthetics-controlplane key list": "ci",
    "synthetics-controlplane key revoke ci": "ci",
    "synthetics-controlplane audit --limit 50": "key.revoke",
    "synthetics-controlplane test push tests.json --location office": "Shop",
    "synthetics-controlplane export tests": "tests",
    "synthetics-controlplane apply tests --dry-run": "",
    "synthetics-controlplane apply tests --prune": "",
}
"""What ends by itself: something that it says, with exit code 0."""


@pytest.fixture
def network(tmp_path: Path) -> Iterator[PrivateNetwork]:
    """With the certificates that the pages take for granted."""
    authority = trustme.CA()
    for host, name in (("controlplane.example", ""), ("crm.internal", "crm-")):
        shown = authority.issue_cert(host)
        shown.private_key_pem.write_to_path(str(tmp_path / f"{name}key.pem"))
        for pem in shown.cert_chain_pems:
            pem.write_to_path(str(tmp_path / f"{name}cert.pem"), append=True)
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    with PrivateNetwork(tmp_path, {"controlplane.example": OUTSIDE, "crm.internal": OUTSIDE}) as network:
        yield network


@pytest.fixture
def opened(network: PrivateNetwork, tmp_path: Path) -> Iterator[Callable[[], Terminal]]:
    """Open a terminal where the control plane is."""
    path = os.pathsep.join((sysconfig.get_path("scripts"), os.environ["PATH"]))
    known = {"PATH": path, "SLACK_URL": "http://127.0.0.1:9000/services/T0/B0/x", "SSL_CERT_FILE": "authority.pem"}
    with ExitStack() as stack:

        def open_one() -> Terminal:
            terminal = Terminal(tmp_path, environment(known), network.outside)
            stack.callback(terminal.close)
            return terminal

        yield open_one


def typed(terminal: Terminal, command: str) -> str:
    """What *command* says; it must end well."""
    code, said = terminal.run(command)
    assert code == 0, f"{command}: {said}"
    return said.partition(command)[2]


def serve(terminal: Terminal, command: str) -> None:
    terminal.type(command)
    terminal.wait_for("listening on http")


def files_of(page: str) -> dict[str, str]:
    """The files that *page* shows, by the names in their first lines."""
    found = re.findall(
        r"^```yaml\n# (\S+\.yaml).*?\n(.*?)^```$", (ROOT / "docs" / page).read_text(), re.MULTILINE | re.DOTALL
    )
    return dict(reversed(found))


def test_every_command_of_private_actions_does_what_the_page_says(
    opened: Callable[[], Terminal], tmp_path: Path
) -> None:
    serving, beside, running, crm = (opened() for _ in range(4))
    (tmp_path / "runner").mkdir()
    for name, text in files_of("actions.md").items():
        (tmp_path / ("." if name == "customer-desk.yaml" else "runner") / name).write_text(text)
    (tmp_path / "runner/config.yaml").write_text(f"whitelistedRange.4: [{OUTSIDE}/32]\n")
    (tmp_path / "crm.py").write_text(CRM)
    crm.type(f"{sys.executable} crm.py")
    serve(serving, "synthetics-controlplane serve")
    token = ""
    for command in of_ours("actions.md"):
        if command == ENROL:
            running.type(command.replace("pl1e.…", token))
            running.wait_for("this instance is the runner")
            continue
        if command == PUSHED:  # where the page begins again, with another runner of this name
            typed(beside, "export CONTROLPLANE_DATABASE=desk.db")
        said = typed(beside, command)
        assert SAID[command] in said
        token = next(iter(re.findall(r"pl1e\.[\w.-]+", said)), token)


def test_every_command_of_the_other_pages_does_what_they_say(opened: Callable[[], Terminal], tmp_path: Path) -> None:
    serving, beside, receiver = (opened() for _ in range(3))
    for folder in ("spool", "FOLDER"):
        (tmp_path / folder).mkdir()
    (tmp_path / "oidc-secret").write_text("secret")
    (tmp_path / "tests.json").write_text(json.dumps([http_test("Shop", "http://shop.internal/")]))
    (tmp_path / "slack.py").write_text(SLACK)
    receiver.type(f"{sys.executable} slack.py")
    serve(serving, SERVE)
    typed(beside, CREATE)
    keys = typed(beside, "synthetics-controlplane key create pipeline --scopes read,write")
    for command in of_ours(*(page for page in PAGES if page != "actions.md")):
        if command == KEYS:
            values = re.findall(r"DD_\w+=\w+", keys)
            typed(beside, command.replace("DD_API_KEY=… DD_APP_KEY=…", " ".join(values)))
        elif command == FOLLOW:
            typed(beside, command.removesuffix(" --follow"))
        elif command.startswith(SIGN_IN):
            serving.press_ctrl_c()
            serve(serving, f"{command} --database signed-in.db --listen 127.0.0.1:8444")
            serving.press_ctrl_c()
            serve(serving, SERVE)
        else:
            config = " --config=worker-config.json" if "spool" in command else ""
            assert SAID[command] in typed(beside, command.replace(SPOOL, "spool") + config)
    assert '"text"' in receiver.shown
    assert (tmp_path / "worker-config-new.json").stat().st_mode & 0o777 == 0o600
    assert list((tmp_path / "FOLDER").iterdir())


KUBECTL = """
import pathlib, sys
words = sys.argv[1:]
if words[0] == "-n":
    del words[:2]
for flag, value in zip(words, words[1:] + [""]):
    if flag == "-k":
        assert pathlib.Path(value, "kustomization.yaml").is_file(), value
    elif flag == "-f":
        assert pathlib.Path(value).is_file(), value
    elif flag.startswith("--from-file="):
        path = flag.split("=")[-1]
        assert pathlib.Path(path).exists() and pathlib.Path(path).open().read(), path
assert words[:1] == ["apply"] or words[:2] in (["create", "configmap"], ["create", "secret"]), words
"""
"""The files that kubectl is told of are there; what is in them is looked at by `tests/deploy`."""


@pytest.mark.parametrize("command", of_kubernetes(*PAGES))
def test_what_kubectl_is_given_is_there(command: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "k8s", tmp_path / "k8s")
    for name in ("worker-config.json", "company-ca.pem", "crm.json"):
        (tmp_path / name).write_text("{}")
    program = tmp_path / "bin" / "kubectl"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}{KUBECTL}")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    path = os.pathsep.join((str(program.parent), os.environ["PATH"]))
    terminal = Terminal(tmp_path, environment({"PATH": path, "RUNNER_ENROLLMENT_TOKEN": "pl1e.x"}))
    try:
        typed(terminal, command)
    finally:
        terminal.close()
