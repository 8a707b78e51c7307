"""Signing in by a provider of identities of others, with JavaScript and without; and answers that nobody asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from controlplane.errors import ConflictError, UnusableError
from controlplane.identity.settings import ProviderSettings, RoleRule
from controlplane.service.principal import Role, operator
from controlplane.service.sessions import Visitor, by_provider
from controlplane.service.users import list_all, read, set_enabled
from tests.integration.controlplane.plane import Plane, served
from tests.support.browser import Browser
from tests.support.servers.oidc import SECRET, sign_on_provider
from tests.support.visitors import PageVisitor
from worker.secret import Secret

RETURN = "/sign-in/provider/return"


def settings(issuer: str) -> ProviderSettings:
    rules = (
        RoleRule(role=Role.ADMIN, value="ann-group"),
        RoleRule(role=Role.VIEWER, value="ann-group"),
    )
    return ProviderSettings(
        issuer=issuer,
        client_id="plane",
        client_secret=Secret(SECRET),
        rules=rules,
        scopes="openid profile groups",
    )


async def test_a_visitor_signs_in_by_a_provider_and_has_the_role_of_their_group(
    tmp_path: Path, browser: Browser
) -> None:
    async with sign_on_provider() as provider, served(tmp_path, provider=settings(provider.issuer)) as plane:
        await provider.serve(plane.url + RETURN)

        def sign_in(name: str) -> Any:
            def steps(page: Any) -> tuple[str, str]:
                page.goto(plane.url + "/account")
                page.get_by_role("link", name="Sign in with 127.0.0.1").click()
                page.locator("[name=login]").fill(name)
                page.locator("[name=password]").fill("anything")
                page.get_by_role("button", name="Sign-in").click()
                page.get_by_role("button", name="Continue").click()
                page.wait_for_url(f"{plane.url}/**")
                return page.get_by_role("heading", level=1).inner_text(), page.locator("main").inner_text()

            return steps

        for javascript in (False, True):
            heading, account = await browser.walk(sign_in("ann"), javascript=javascript)
            assert heading == "ann"
            assert "admin" in account
            assert "none here to change" in account
        heading, _ = await browser.walk(sign_in("eve"))
        assert heading == "Not allowed"
        (ann,) = await list_all(plane.database, operator("tests"))
        assert (ann.name, ann.role, ann.has_identity, ann.has_password) == ("ann", "admin", True, False)
        await refuses_what_nobody_asked_for(plane, provider.issuer)


async def refuses_what_nobody_asked_for(plane: Plane, issuer: str) -> None:
    """Answers without their question, with another one's, of another provider, refusals, and codes that are none."""
    ann = PageVisitor(plane.url)
    assert (await ann.get(RETURN + "?code=x&state=y")).status == 403
    asked = await ann.get("/sign-in/provider?next=//evil.example")
    query = {name: value for name, (value,) in parse_qs(urlsplit(asked.to).query).items()}
    assert asked.to.startswith(f"{issuer}/auth?")
    assert query["redirect_uri"] == plane.url + RETURN
    assert query["code_challenge_method"] == "S256"
    assert len({query["state"], query["nonce"], query["code_challenge"]}) == 3
    assert "session" not in ann.cookies
    other = PageVisitor(plane.url)
    await other.get("/sign-in/provider")
    state = query["state"]
    for visitor, arguments, status in (
        (ann, "code=x&state=y", 403),
        (ann, "code=x", 403),
        (other, f"code=x&state={state}", 403),
        (ann, f"code=x&state={state}&iss=https://evil.example", 403),
        (ann, f"error=access_denied&state={state}", 502),
        (ann, f"code=x&state={state}", 502),
    ):
        answer = await visitor.get(f"{RETURN}?{arguments}")
        assert (answer.status, "session" in visitor.cookies) == (status, False), arguments
    kept = dict(ann.cookies)
    ann.cookies["sign-on"] = kept["sign-on"][:-8] + "AAAAAAA="
    assert (await ann.get(f"{RETURN}?code=x&state={state}")).status == 403
    ann.cookies = kept
    plane.clock.stall(601)
    assert "too long ago" in (await ann.get(f"{RETURN}?code=x&state={state}")).text


async def test_a_person_is_known_by_the_providers_name_for_them_alone(plane: Plane) -> None:
    database, clock, visitor = plane.database, plane.context.clock, Visitor(address="127.0.0.1")

    async def come(subject: str, name: str, role: Role = Role.VIEWER, issuer: str = "https://i.example") -> str:
        new = await by_provider(database, clock, visitor, issuer=issuer, subject=subject, name=name, role=role)
        return new.user.id

    await plane.add_user("Ann", Role.ADMIN)
    with pytest.raises(ConflictError):  # a name at the provider is not that of a user here
        await come("1", "ann")
    bob = await come("2", "bob")
    assert await come("2", "robert", Role.EDITOR) == bob
    assert (await read(database, operator("tests"), bob)).role == "editor"
    with pytest.raises(ConflictError):
        await come("2", "bob", issuer="https://another.example")
    await set_enabled(database, clock, operator("tests"), "bob", enabled=False)
    with pytest.raises(UnusableError, match="is kept out"):
        await come("2", "bob")


async def test_a_provider_that_is_not_there_is_said(tmp_path: Path) -> None:
    async with served(tmp_path, provider=settings("http://127.0.0.1:1")) as plane:
        visitor = PageVisitor(plane.url)
        assert "Sign in with 127.0.0.1" in (await visitor.get("/sign-in")).text
        answer = await visitor.get("/sign-in/provider")
        assert (answer.status, "cannot be reached" in answer.text) == (502, True)


async def test_without_a_provider_its_pages_are_not_there(plane: Plane) -> None:
    for path in ("/sign-in/provider", RETURN):
        assert (await PageVisitor(plane.url).get(path)).status == 404
    assert "Sign in with" not in (await PageVisitor(plane.url).get("/sign-in")).text


@pytest.mark.parametrize(
    ("values", "role"),
    [(["a"], Role.VIEWER), (["a", "b"], Role.ADMIN), ([], None), (["c"], None)],
)
def test_the_highest_role_that_a_rule_gives_is_the_one(values: list[str], role: Role | None) -> None:
    given = (RoleRule(role=Role.VIEWER, value="a"), RoleRule(role=Role.ADMIN, value="b"))
    chosen = ProviderSettings(issuer="https://i.example", client_id="x", client_secret=None, rules=given)
    assert chosen.role_of(values) is role
