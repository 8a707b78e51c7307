"""Story 3 of private actions by the guide's own commands: an app, a link, and answers of the runner itself."""

from __future__ import annotations

import json
import re
import signal
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import trustme

from tests.support.actions import token_file
from tests.support.apppages import app_request
from tests.support.apptokens import HOST, PageRequest
from tests.support.programs import ControlPlane, Program
from tests.support.runnerprograms import RunnerProgram
from tests.support.servers.postgresql import PASSWORD, PostgresServer, running_postgresql
from tests.support.servers.tcp import closed_port
from tests.support.visitors import PageVisitor
from tests.support.workflow_guide import guide_files, type_guide
from worker.wire.signingkey import VerifyingKey

pytestmark = pytest.mark.acceptance

NUMBER = 8_675_309_024_601
NAME = "canary-8675309"
HEADING = "A support page looks a customer up, and no row reaches the control plane"
DATABASE = "  host: db.corp.example\n  database: crm\n"
PATH = "/v1/actions/postgresql.namedQuery"


class Desk:
    """The guide's app and its runner beside a control plane, and Alice in front of it. *create* are flags of `runner create`."""

    def __init__(self, plane: ControlPlane, folder: Path, *create: str) -> None:
        self.plane = plane
        self.folder = folder
        self.cert, self.key = folder / "runner.pem", folder / "runner.key"
        self.believing = self.certify()
        flags = ("--modes", "pull,push", "--host", f"https://{HOST}", *create)
        options = {"tlsCert": str(self.cert), "tlsKey": str(self.key)}
        self.runner = RunnerProgram(plane, folder / "runner", create=flags, **options)
        for name, text in guide_files(folder).items():
            (folder / name).write_text(text)
        (folder / "runner/credentials").mkdir()
        token_file(folder / "runner/credentials/crm-db.json", password=PASSWORD)
        self.visitor = PageVisitor(plane.url)

    def certify(self) -> ssl.SSLContext:
        """Have an authority of its own issue the runner's certificate; returns what believes that authority alone."""
        authority = trustme.CA()
        issued = authority.issue_cert(HOST)
        self.cert.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        self.key.write_bytes(issued.private_key_pem.bytes())
        context = ssl.create_default_context()
        authority.configure_trust(context)
        return context

    def use(self, port: int, ca_file: Path) -> None:
        """Have the runner's connection lead to a database at *port* of loopback."""
        file = self.folder / "runner/connections.yaml"
        text = file.read_text()
        assert DATABASE in text
        there = f"  host: 127.0.0.1\n  port: {port}\n  database: postgres\n  tls: {{ca_file: {ca_file}}}\n"
        file.write_text(text.replace(DATABASE, there))

    async def open(self) -> None:
        """Type the guide's commands, and follow the link that they print."""
        said = type_guide(HEADING, self.plane, self.folder)
        assert "app 'customer-desk' is version 1: 1 query on runner 'berlin'" in said
        link = said.split()[-1]
        await self.visitor.get(link.removeprefix(self.plane.url))
        fields = dict(re.findall(r"(token|next)=([^&]*)", link.replace("%2F", "/")))
        entered = await self.visitor.send("/sign-in/link", fields)
        assert (entered.status, entered.to) == (303, "/apps/customer-desk")
        page = await self.visitor.follow(entered)
        assert (page.status, page.heading) == (200, "customer-desk")
        assert f"connect-src 'self' https://{HOST}" in page.headers["Content-Security-Policy"]

    async def request(self) -> tuple[PageRequest, dict[str, Any]]:
        """What the page sends to ask for NUMBER, with a token that the control plane minted for it."""
        request, token = await app_request(self.visitor, "customer-desk", "customer", {"id": NUMBER})
        assert token["url"] == f"https://{HOST}{PATH}"
        return request, token


def port_of(program: Program) -> int:
    """The port at which a runner takes requests of pages."""
    return int(re.findall(r"requests of pages on 127\.0\.0\.1, port (\d+)", program.output)[0])


@pytest.fixture
def crm() -> Iterator[PostgresServer]:
    with running_postgresql() as made:
        place = f"host=127.0.0.1 port={made.port} user=reader password={PASSWORD} dbname=postgres"
        with psycopg.connect(place) as connection:
            connection.execute("CREATE TABLE customer (id bigint PRIMARY KEY, name text)")
            connection.execute("INSERT INTO customer VALUES (%s, %s)", (NUMBER, NAME))
        yield made


async def test_a_person_signs_in_by_a_link_and_is_answered_by_the_runner(
    control_plane: ControlPlane, crm: PostgresServer, tmp_path: Path
) -> None:
    plane, desk = control_plane, Desk(control_plane, tmp_path)
    desk.use(crm.port, crm.ca_file)
    first = desk.runner.start()
    try:
        await desk.open()
        request, token = await desk.request()
        answer = await request.send(port_of(first), tls=desk.believing)
        assert answer.status == 200, answer.body
        assert answer.said["outputs"] == {"columns": ["id", "name"], "rows": [[NUMBER, NAME]], "truncated": False}
        assert answer.is_proven(VerifyingKey.from_jwk(token["runner_keys"][0], "ES256"), token["jti"])

        renewed = desk.certify()
        first.signal(signal.SIGHUP)
        first.wait_for("a new certificate")
        assert (await request.send(port_of(first), tls=renewed)).code == "used"
        disk = {"scriptName": "disk", "parameters": {"path": "/"}}
        pulled = desk.runner.order("script.runPredefinedScript", disk, "--connection", "ops")
        assert (pulled.returncode, "Filesystem" in pulled.stdout) == (0, True), "both modes in one process"

        request, _ = await desk.request()
        first.kill()
        second = desk.runner.start()
        late = await request.send(port_of(second), tls=renewed)
        assert (late.status, late.code) == (401, "instance")
        request, _ = await desk.request()
        again = await request.send(port_of(second), tls=renewed)
        assert json.loads(again.body)["outputs"]["rows"] == [[NUMBER, NAME]], "the page asks anew, and is answered"
        second.signal(signal.SIGTERM)
        assert second.wait() == 0
    finally:
        desk.runner.kill()
    files = [path for path in plane.folder.rglob("controlplane*") if path.is_file()]
    assert plane.database in files
    for canary in (str(NUMBER), NAME):
        assert not [path for path in files if canary.encode() in path.read_bytes()]
    assert f'"task":"{token["jti"]}"' in first.output, "the runner's audit log has the id of the control plane's"


@pytest.mark.long
async def test_a_token_of_several_instances_is_not_carried_out_while_the_control_plane_is_dead(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    desk = Desk(control_plane, tmp_path, "--instances", "2")
    desk.use(closed_port(), desk.cert)
    program = desk.runner.start()
    try:
        await desk.open()
        request, before = await desk.request()
        tried = await request.send(port_of(program), tls=desk.believing)
        assert (tried.status, tried.said["outcome"]) == (200, "failed"), "there is no database"
        request, after = await desk.request()
        assert control_plane.program is not None
        control_plane.program.kill()
        refused = await request.send(port_of(program), tls=desk.believing)
        assert (refused.status, refused.code) == (503, "claim")
        assert "retry-after" in refused.headers
        assert f'"task":"{before["jti"]}"' in program.output
        assert after["jti"] not in program.output
    finally:
        desk.runner.kill()
