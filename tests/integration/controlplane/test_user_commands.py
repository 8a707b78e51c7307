"""`user`: who may sign in, from a shell beside the database and from afar."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner

from controlplane.cli import main
from tests.integration.controlplane.plane import Plane
from tests.integration.controlplane.process import command, serving
from tests.integration.controlplane.typed import Run, listed
from tests.support.public_api import PublicAPI
from tests.support.visitors import PageVisitor

PASSWORD = "correct horse battery"
USERS = "/api/controlplane/v1/users/"


@pytest.mark.usefixtures("location")
def test_a_user_is_added_changed_kept_out_and_deleted(run: Run) -> None:
    added = run("user", "add", "Ann", "--role", "admin").output.splitlines()
    assert added[0] == "user 'Ann' may sign in as admin"
    assert added[1].startswith("http://127.0.0.1:8080/sign-in/link?token=")
    assert "may sign in as viewer" in run("user", "add", "Bob", "--password", input=PASSWORD + "\n").output
    assert "exists" in run("user", "add", "ANN", code=2).output
    assert [(one["name"], one["role"], one["has_password"]) for one in listed(run, "user")] == [
        ("Ann", "admin", False),
        ("Bob", "viewer", True),
    ]
    assert "is editor" in run("user", "role", "bob", "editor").output
    assert "is kept out" in run("user", "disable", "bob").output
    assert "kept out" in run("user", "list").output
    assert "may sign in" in run("user", "enable", "bob").output
    assert "new password" in run("user", "password", "bob", input="another good one\n").output
    assert "12 to 200 characters" in run("user", "password", "bob", input="short\n", code=2).output
    assert "last administrator" in run("user", "role", "ann", "viewer", code=2).output
    assert run("user", "link", "bob", "--at", "https://plane.example/").output.startswith(
        "https://plane.example/sign-in/link?token="
    )
    assert "is deleted" in run("user", "delete", "bob").output
    assert "no user 'bob'" in run("user", "link", "bob", code=2).output
    actions = [json.loads(line)["action"] for line in run("audit", "--json").output.splitlines()]
    assert [action for action in actions if action.startswith("user.")] == [
        *("user.create", "user.link", "user.create", "user.role", "user.disable", "user.enable"),
        *("user.password", "user.link", "user.delete"),
    ]
    assert PASSWORD not in run("audit", "--json").output


async def test_only_a_key_with_the_scope_admin_manages_users(plane: Plane, api: PublicAPI) -> None:
    wanted = {"name": "Ann", "role": "admin", "password": PASSWORD}
    assert (await api.call("POST", USERS + "create", wanted)).status == 403
    api_key, app_key = await plane.add_key("admin", name="admin")
    admin = api.holding(api_key=api_key, app_key=app_key)
    assert (await admin.call("POST", USERS + "create", wanted)).status == 200
    told = await admin.call("POST", USERS + "list", {})
    assert [(one["name"], one["role"]) for one in told.body] == [("Ann", "admin")]
    assert "argon2" not in json.dumps(told.body)
    link = await admin.post(USERS + "link", {"user": "ann"})
    ann = PageVisitor(plane.url)
    assert (await ann.get(link["path"])).heading == "Sign in as Ann"


async def test_serve_prints_a_link_for_the_first_administrator(tmp_path: Path) -> None:
    with serving(tmp_path) as plane:
        assert plane.process.stdout is not None
        line = plane.process.stdout.readline()
        assert line.startswith("nobody can sign in yet; the first administrator begins here, within an hour: http")
        parts = urlsplit(line.split()[-1])
        assert f"{parts.scheme}://{parts.netloc}" == plane.url
        visitor = PageVisitor(plane.url)
        assert (await visitor.get(f"{parts.path}?{parts.query}")).heading == "Make the first administrator"
        fields = {"token": parts.query.partition("=")[2], "name": "root", "password": PASSWORD, "repeated": PASSWORD}
        assert (await visitor.send("/sign-in/first", fields)).status == 303
        assert (await visitor.get("/users")).status == 200
    assert "root" in command(tmp_path, "user", "list")


@pytest.mark.parametrize(
    "flags",
    [
        ("--trust-user-header", "X-User"),
        ("--from", "10.0.0.0/8"),
        ("--trust-user-header", "X User", "--from", "10.0.0.0/8"),
        ("--trust-user-header", "X-User", "--from", "10.0.0.1/8"),
        ("--trust-user-header", "X-User", "--from", "everywhere"),
    ],
)
def test_a_header_is_trusted_from_named_networks_alone(flags: tuple[str, ...]) -> None:
    assert CliRunner().invoke(main, ["serve", *flags]).exit_code == 2
