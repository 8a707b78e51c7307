"""Ways in and out of the pages: passwords, links, sessions, forms from elsewhere, and guesses."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest

from controlplane.rest.forwarding import ForwardTrust
from controlplane.rest.headertrust import HeaderTrust
from controlplane.service import attempts, links, sessions, users
from controlplane.service.principal import Role, operator
from controlplane.store.usertables import sign_in_links, user_sessions
from controlplane.store.usertables import users as user_table
from tests.integration.controlplane.plane import Plane, served
from tests.support.visitors import PageVisitor, ShownPage
from worker.secret import Secret

PASSWORD = "correct horse battery"
WRONG = "wrong horse battery"


@pytest.fixture
async def ann(plane: Plane) -> PageVisitor:
    """A visitor who could sign in as Ann, an editor."""
    await plane.add_user("Ann", Role.EDITOR, PASSWORD)
    return PageVisitor(plane.url)


async def sign_in(visitor: PageVisitor, name: str = "Ann", password: str = PASSWORD, **fields: str) -> ShownPage:
    await visitor.get("/sign-in")
    return await visitor.send("/sign-in", {"name": name, "password": password, **fields})


async def test_a_password_opens_the_pages_and_signing_out_closes_them(ann: PageVisitor) -> None:
    asked = await ann.get("/account?x=1")
    assert (asked.status, asked.to) == (303, "/sign-in?next=%2Faccount%3Fx%3D1")
    entered = await sign_in(ann, next="/account?x=1")
    assert (entered.status, entered.to) == (303, "/account?x=1")
    assert (await ann.follow(entered)).heading == "Ann"
    kept = dict(ann.cookies)
    left = await ann.send("/sign-out", {})
    assert left.to == "/sign-in"
    assert "You are signed out." in (await ann.follow(left)).text
    ann.cookies = kept  # whoever copied the cookie has nothing
    assert (await ann.get("/account")).status == 303


async def test_the_cookie_is_for_no_script_and_no_other_site(ann: PageVisitor, plane: Plane) -> None:
    entered = await sign_in(ann)
    (session,) = [value for value in entered.headers.getall("Set-Cookie") if value.startswith("session=")]
    attributes = {part.strip().lower() for part in session.split(";")[1:]}
    assert attributes == {"httponly", "path=/", "samesite=lax", "max-age=604800"}
    (row,) = (await plane.rows(user_sessions))[0]
    assert ann.cookies["session"].encode() not in b"".join(bytes(str(value), "utf-8") for value in row)
    (user,) = (await plane.rows(user_table))[0]
    assert user.password_hash.startswith("$argon2id$")


async def test_over_tls_the_cookie_is_bound_to_the_host(ann: PageVisitor) -> None:
    ann.headers = {"X-Forwarded-Proto": "https"}
    entered = await sign_in(ann)
    (session,) = [value for value in entered.headers.getall("Set-Cookie") if value.startswith("__Host-session=")]
    assert "; Secure" in session
    assert (await ann.get("/account")).status == 200
    ann.headers = {}
    assert (await ann.get("/account")).status == 303


async def test_each_way_in_makes_a_new_session_and_ends_the_one_before(ann: PageVisitor) -> None:
    await sign_in(ann)
    before = dict(ann.cookies)
    await ann.get("/account")
    assert (await ann.send("/sign-in", {"name": "ANN", "password": PASSWORD})).status == 303
    assert ann.cookies["session"] != before["session"]
    other = PageVisitor(ann.url, cookies=before)
    assert (await other.get("/account")).status == 303


@pytest.mark.parametrize(
    ("name", "password"), [("Ann", WRONG), ("Ann", ""), ("nobody", PASSWORD), ("", ""), ("Ann\x00", PASSWORD)]
)
async def test_a_wrong_name_and_a_wrong_password_look_alike(ann: PageVisitor, name: str, password: str) -> None:
    refused = await sign_in(ann, name, password)
    assert refused.status == 403
    assert "Name and password do not fit." in refused.text
    assert "session" not in ann.cookies


@pytest.mark.parametrize(
    "to", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "/\t/x"]
)
async def test_nobody_is_sent_to_another_site_after_a_sign_in(ann: PageVisitor, to: str) -> None:
    assert (await sign_in(ann, next=to)).to == "/"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 303),
        ({"Sec-Fetch-Site": "same-origin"}, 303),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "OURS"}, 303),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://evil.example"}, 403),
    ],
)
async def test_a_form_from_another_site_does_nothing(ann: PageVisitor, headers: dict[str, str], status: int) -> None:
    await ann.get("/sign-in")
    sent = {name: ann.url if value == "OURS" else value for name, value in headers.items()}
    answer = await ann.send("/sign-in", {"name": "Ann", "password": PASSWORD}, **sent)
    assert answer.status == status


async def test_a_form_without_the_token_of_its_visitor_does_nothing(ann: PageVisitor) -> None:
    await sign_in(ann)
    await ann.get("/account")
    stranger = PageVisitor(ann.url)
    await stranger.get("/sign-in")
    for token in ("", "x", "A" * 88, ann.token[:-4] + "AAAA", stranger.token):
        answer = await ann.send("/sign-out", {"csrf": token})
        assert answer.status == 403, token
    assert (await ann.get("/account")).status == 200
    assert (await ann.send("/sign-out", {})).status == 303


async def test_a_token_is_another_one_on_each_page_and_each_is_good(ann: PageVisitor) -> None:
    await sign_in(ann)
    await ann.get("/account")
    first = ann.token
    await ann.get("/account")
    assert ann.token != first
    assert (await ann.send("/sign-out", {"csrf": first})).status == 303


async def test_a_session_ends_after_a_night_without_use_and_after_a_week_of_it(ann: PageVisitor, plane: Plane) -> None:
    await sign_in(ann)
    for _ in range(3):
        plane.clock.stall(sessions.IDLE_MS / 1000 - 1)
        assert (await ann.get("/account")).status == 200
    plane.clock.stall(sessions.IDLE_MS / 1000)
    assert (await ann.get("/account")).status == 303
    await sign_in(ann)
    for _ in range(sessions.ABSOLUTE_MS // sessions.IDLE_MS + 1):
        plane.clock.stall(sessions.IDLE_MS / 1000 - 1)
        await ann.get("/account")
    assert (await ann.get("/account")).status == 303


async def test_a_page_that_renews_itself_keeps_no_session_alive(ann: PageVisitor, plane: Plane) -> None:
    await sign_in(ann)
    plane.clock.stall(sessions.IDLE_MS / 1000 - 1)
    assert (await ann.get("/account", **{"X-Live": "1"})).status == 200
    plane.clock.stall(1)
    assert (await ann.get("/account")).status == 303


async def test_guesses_at_an_account_end_after_ten_for_five_minutes(ann: PageVisitor, plane: Plane) -> None:
    for _ in range(attempts.MOST_PER_ACCOUNT):
        assert (await sign_in(ann, password=WRONG)).status == 403
    refused = await sign_in(ann)
    assert (refused.status, refused.headers["Retry-After"]) == (429, "300")
    plane.clock.stall(300)
    assert (await sign_in(ann)).status == 303


async def test_a_link_signs_in_once_and_not_for_long(ann: PageVisitor, plane: Plane) -> None:
    made = await links.create(plane.database, plane.context.clock, operator("tests"), "ann")
    path = made.path.reveal()
    for _ in range(2):  # whoever only looks spends nothing
        shown = await ann.get(path)
        assert (shown.status, shown.heading) == (200, "Sign in as Ann")
    token = path.rpartition("=")[2]
    entered = await ann.send("/sign-in/link", {"token": token})
    assert (await ann.follow(entered)).status == 200
    late = PageVisitor(ann.url)
    assert (await late.get(path)).heading == "This link has ended"
    await late.get("/sign-in")
    assert (await late.send("/sign-in/link", {"token": token})).status == 410
    stale = await links.create(plane.database, plane.context.clock, operator("tests"), "ann")
    plane.clock.stall(links.LINK_MS / 1000)
    assert (await late.get(stale.path.reveal())).status == 410
    assert (await late.send("/sign-in/link", {"token": stale.path.reveal().rpartition("=")[2]})).status == 410


async def test_a_newer_link_ends_the_one_before(ann: PageVisitor, plane: Plane) -> None:
    older = await links.create(plane.database, plane.context.clock, operator("tests"), "Ann")
    await links.create(plane.database, plane.context.clock, operator("tests"), "Ann")
    assert (await ann.get(older.path.reveal())).status == 410
    ((only,),) = await plane.rows(sign_in_links)
    assert older.path.reveal().rpartition("=")[2].encode() not in only.token_hash


async def test_a_new_password_and_the_end_of_all_sessions_end_a_link_as_well(ann: PageVisitor, plane: Plane) -> None:
    boss, clock, hasher = operator("tests"), plane.context.clock, plane.context.passwords
    made = await links.create(plane.database, clock, boss, "ann")
    await users.set_password(plane.database, clock, boss, "ann", Secret("a new one entirely"), hasher=hasher)
    assert (await ann.get(made.path.reveal())).status == 410
    made = await links.create(plane.database, clock, boss, "ann")
    await sessions.end_all_of(plane.database, clock, boss, "ann")
    assert (await ann.get(made.path.reveal())).status == 410


async def test_the_first_administrator_is_made_by_a_link_and_only_the_first(plane: Plane) -> None:
    link = await links.create_first(plane.database, plane.context.clock)
    assert link is not None
    path = link.path.reveal()
    visitor = PageVisitor(plane.url)
    assert (await visitor.get("/sign-in")).heading == "Nobody can sign in yet"
    assert (await visitor.get(path)).heading == "Make the first administrator"
    fields = {"token": path.rpartition("=")[2], "name": "root", "password": PASSWORD}
    assert "not the same" in (await visitor.send("/sign-in/first", {**fields, "repeated": WRONG})).text
    short = {**fields, "password": "short", "repeated": "short"}
    assert "12 to 200 characters" in (await visitor.send("/sign-in/first", short)).text
    entered = await visitor.send("/sign-in/first", {**fields, "repeated": PASSWORD})
    assert entered.status == 303
    assert (await visitor.get("/users")).status == 200
    assert (await PageVisitor(plane.url).get(path)).status == 410
    assert (await PageVisitor(plane.url).get("/sign-in")).heading == "Sign in"
    assert await links.create_first(plane.database, plane.context.clock) is None


async def test_a_role_that_changes_and_a_user_who_is_kept_out_count_at_once(ann: PageVisitor, plane: Plane) -> None:
    boss, clock = operator("tests"), plane.context.clock
    await sign_in(ann)
    assert (await ann.get("/users")).status == 403
    await users.set_role(plane.database, clock, boss, "ann", Role.ADMIN)
    assert (await ann.get("/users")).status == 200
    await plane.add_user("Bob", Role.ADMIN)
    await users.set_enabled(plane.database, clock, boss, "ann", enabled=False)
    assert (await ann.get("/account")).status == 303
    assert (await sign_in(ann)).status == 403


async def test_a_new_password_of_ones_own_wants_the_old_one_and_ends_other_sessions(ann: PageVisitor) -> None:
    await sign_in(ann)
    other = PageVisitor(ann.url)
    await sign_in(other)
    await ann.get("/account")
    new = {"password": "a new one entirely", "repeated": "a new one entirely"}
    assert "not the right one" in (await ann.send("/account/password", {"old": WRONG, **new})).text
    assert (await ann.send("/account/password", {"old": PASSWORD, **new})).status == 303
    assert (await ann.get("/account")).status == 200
    assert (await other.get("/account")).status == 303
    assert (await sign_in(other)).status == 403
    assert (await sign_in(other, password="a new one entirely")).status == 303


async def test_who_forgot_a_password_sets_a_new_one_by_a_link_within_ten_minutes(
    ann: PageVisitor, plane: Plane
) -> None:
    made = await links.create(plane.database, plane.context.clock, operator("tests"), "ann")
    await ann.get(made.path.reveal())
    await ann.send("/sign-in/link", {"token": made.path.reveal().rpartition("=")[2]})
    assert "Old password" not in (await ann.get("/account")).text
    new = {"password": "a new one entirely", "repeated": "a new one entirely"}
    plane.clock.stall(sessions.FORGOTTEN_MS / 1000)
    assert "not the right one" in (await ann.send("/account/password", new)).text
    made = await links.create(plane.database, plane.context.clock, operator("tests"), "ann")
    await ann.get(made.path.reveal())
    await ann.send("/sign-in/link", {"token": made.path.reveal().rpartition("=")[2]})
    await ann.get("/account")
    assert (await ann.send("/account/password", new)).status == 303
    assert (await sign_in(PageVisitor(ann.url), password="a new one entirely")).status == 303


async def test_sessions_are_listed_and_each_can_be_ended_by_its_owner_alone(ann: PageVisitor, plane: Plane) -> None:
    await plane.add_user("Bob", Role.ADMIN, PASSWORD)
    phone, bob = PageVisitor(ann.url, {"User-Agent": "a phone"}), PageVisitor(ann.url)
    for visitor, name in ((ann, "Ann"), (phone, "Ann"), (bob, "Bob")):
        await sign_in(visitor, name)
    shown = await ann.get("/account")
    assert "a phone" in shown.text
    (ended,) = {row.id for row in (await plane.rows(user_sessions))[0] if row.agent == "a phone"}
    await bob.get("/account")
    assert (await bob.send(f"/account/sessions/{ended}/end", {})).status == 404
    assert (await ann.send(f"/account/sessions/{ended}/end", {})).status == 303
    assert (await phone.get("/account")).status == 303
    assert (await ann.get("/account")).status == 200


async def test_an_administrator_manages_users_on_their_page(plane: Plane) -> None:
    await plane.add_user("Bob", Role.ADMIN, PASSWORD)
    bob = PageVisitor(plane.url)
    await sign_in(bob, "Bob")
    await bob.get("/users")
    made = await bob.send("/users", {"name": "Eve <i>", "role": "viewer", "password": ""})
    page = await bob.follow(made)
    assert page.heading == "Eve <i>"
    assert "<i>" not in page.text
    taken = await bob.send("/users", {"name": "EVE <I>", "role": "viewer", "password": ""})
    assert (taken.status, "exists" in taken.text) == (400, True)
    linked = await bob.send(made.to + "/link", {})
    assert "/sign-in/link?token=" in linked.text
    assert (await bob.send(made.to + "/role", {"role": "editor"})).status == 303
    assert (await bob.send(made.to + "/nonsense", {})).status == 400
    ((user,),) = [[row for row in rows if row.name == "Bob"] for rows in await plane.rows(user_table)]
    last = await bob.send(f"/users/{user.id}/role", {"role": "viewer"})
    assert "last administrator" in last.text
    assert "last administrator" in (await bob.send(f"/users/{user.id}/delete", {})).text
    assert (await bob.send(made.to + "/delete", {})).to == "/users"


@pytest.mark.parametrize(("network", "status"), [("127.0.0.0/8", 200), ("10.0.0.0/8", 303)])
async def test_a_proxys_header_names_a_user_from_its_networks_alone(tmp_path: Path, network: str, status: int) -> None:
    trust = HeaderTrust(name="X-User", proxies=(ip_network(network),))
    async with served(tmp_path, header_trust=trust) as plane:
        await plane.add_user("Ann", Role.EDITOR)
        ann = PageVisitor(plane.url, {"X-User": "ann"})
        assert (await ann.get("/account")).status == status
        assert (await PageVisitor(plane.url).get("/account")).status == 303
        if status == 200:
            assert (await ann.get("/users")).status == 403
            assert "none here to change" in (await ann.get("/account")).text
            assert (await PageVisitor(plane.url, {"X-User": "nobody"}).get("/account")).status == 403


async def test_a_header_that_nobody_trusts_names_nobody(ann: PageVisitor) -> None:
    assert (await ann.get("/account", **{"X-User": "ann", "X-Forwarded-User": "ann"})).status == 303


async def test_a_stranger_behind_the_proxy_that_we_trust_keeps_nobody_else_out(tmp_path: Path) -> None:
    async with served(tmp_path, forward_trust=ForwardTrust((ip_network("127.0.0.0/8"),))) as plane:
        await plane.add_user("Ann", Role.EDITOR, PASSWORD)
        stranger = PageVisitor(plane.url, {"X-Forwarded-For": "203.0.113.9, 198.51.100.7"})
        for number in range(attempts.MOST_PER_ADDRESS):
            assert (await sign_in(stranger, f"user {number}", WRONG)).status == 403
        assert (await sign_in(stranger)).status == 429
        ann = PageVisitor(plane.url, {"X-Forwarded-For": "198.51.100.8"})
        assert (await sign_in(ann)).status == 303
        assert "198.51.100.8" in (await ann.get("/account")).text
