"""Forms with a mistake come back: it stands beside its field, for eyes and ears, and what was typed is kept, but secrets."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

from controlplane.service.principal import Role
from tests.integration.controlplane.plane import Plane
from tests.support.visitors import PageVisitor

LOCATION = {"name": "Lab", "description": "in the cellar", "tags": "a, b", "intake_url": "https://plane.example"}
TEST = {"name": "Shop", "tags": "team:a", "period": "60", "status": "live", "document": '{"config": {"a": 7}}'}
PLAN = {"name": "night", "start": "2026-11-28T22:00", "zone": "UTC", "hours": "2", "tags": "env:prod", "test": ""}
ROUTE = {"name": "prod", "tags": "env:prod", "handles": "ops"}
SILENCE = {"name": "move", "test": "", "tags": "env:prod", "hours": "5"}
PASSWORDS = {"old": "", "password": "correct horse", "repeated": "correct horse"}


CASES: Sequence[tuple[str, dict[str, str], dict[str, str], str, str]] = (
    ("/locations/new", LOCATION, {"name": " "}, "name", "1 to 200 printable characters"),
    ("/locations/new", LOCATION, {"name": "office"}, "name", "a location named 'office' exists"),
    ("/locations/new", LOCATION, {"intake_url": "ftp://x"}, "intake_url", "'ftp://x' is not a valid URL"),
    ("/locations/new", LOCATION, {"tags": "t" * 201}, "tags", "at most 200 characters"),
    ("/locations/PLACE/edit", {"name": "", "description": "d", "tags": "x"}, {}, "name", "printable characters"),
    ("/locations/PLACE/rotate", {}, {"overlap_hours": "-1"}, "overlap_hours", "is not a valid number"),
    ("/tests/new", TEST, {"period": "x"}, "period", "options.tick_every: 'x' is not a valid number"),
    ("/tests/new", TEST, {"document": "{"}, "document", "$: is not valid JSON"),
    ("/tests/new", TEST, {}, "document", "config.request: is missing"),
    ("/tests/new", TEST, {"location": "pl:gone"}, "location", "no location 'pl:gone'"),
    ("/tests/import", {"definitions": '{"name": "b"}'}, {}, "definitions", "config"),
    ("/alerts/maintenance/new", PLAN, {"zone": "Mars"}, "zone", "'Mars' is not a valid time zone"),
    ("/alerts/maintenance/new", PLAN, {"start": ""}, "start", "maintenance needs a start"),
    ("/alerts/maintenance/new", PLAN, {"hours": "x"}, "hours", "hours: 'x' is not a valid number"),
    ("/alerts/maintenance/new", PLAN, {"rule": "x"}, "rule", "rule 'x' is not a valid one"),
    ("/alerts/maintenance/new", PLAN, {"test": "gone"}, "test", "no test 'gone'"),
    ("/alerts/routes/new", ROUTE, {"name": "a b"}, "name", "route 'a b': is not a valid name"),
    ("/alerts/routes/new", ROUTE, {"handles": ""}, "handles", "from 1 to"),
    ("/alerts/silences", SILENCE, {"hours": "x"}, "hours", "hours: 'x' is not a valid number"),
    ("/alerts/silences", SILENCE, {"test": "gone"}, "test", "no test 'gone'"),
    ("/channels/new", {"name": "a b", "settings": "host=mail.test"}, {}, "name", "'a b': is not a valid name"),
    ("/channels/new", {"name": "ops", "kind": "email", "settings": "port=x"}, {}, "settings", "email channel"),
    ("/users", {"name": " "}, {"role": "viewer"}, "name", "printable characters"),
    ("/users", {"name": "Eve"}, {"role": "king"}, "role", "'king' is not a valid role"),
    ("/users", {"name": "Eve"}, {"role": "viewer", "password": "s3cret"}, "password", "12 to 200 characters"),
    ("/users/USER/password", {}, {"password": "s3cret"}, "password", "12 to 200 characters"),
    ("/account/password", {}, PASSWORDS | {"repeated": "s3cret"}, "repeated", "not the same"),
    ("/account/password", {}, PASSWORDS | {"password": "s3", "repeated": "s3"}, "password", "12 to 200 characters"),
    ("/account/password", {}, PASSWORDS, "old", "not the right one"),
)
"""Address, what is typed, what of it is wrong, its field, and what is told of it."""


async def test_a_mistake_stands_beside_its_field_and_what_was_typed_is_kept(plane: Plane) -> None:
    place = (await plane.add_location()).location
    user = await plane.add_user("Ada", Role.ADMIN, "correct horse battery")
    ada = PageVisitor(plane.url, cookies={"session": await plane.session_of("Ada")})
    plane.clock.stall(3600)  # the link by which she came stands for the old password no more
    await ada.get("/account")
    for path, typed, wrong, field, told in CASES:
        page = await ada.send(path.replace("PLACE", place).replace("USER", user.id), typed | wrong)
        assert page.status == 400, (path, page.text)
        shown = re.search(rf'<div class="mistake" id="{field}-mistake">(.*?)</div>', page.text, re.DOTALL)
        assert shown is not None, (path, field, page.text)
        assert told in html.unescape(shown[1])
        assert re.search(rf'id="{field}"[^>]* aria-describedby="{field}-mistake[ "][^>]*aria-invalid="true"', page.text)
        assert f'<a href="#{field}">' in page.text
        text = html.unescape(page.text)
        for value in (typed | {key: value for key, value in wrong.items() if key in typed}).values():
            assert value in text, (path, field, value)
        assert "s3cret" not in text
        assert "data-live-seconds" not in text, "a page that turns would throw away what is typed into it"


async def test_a_channels_form_comes_back_without_what_may_be_a_secret(plane: Plane) -> None:
    await plane.add_user("Ed", Role.EDITOR)
    ed = PageVisitor(plane.url, cookies={"session": await plane.session_of("Ed")})
    await ed.get("/channels/new")
    settings = (
        "host=mail.test\nsender=a@b.test\npassword=s3cret\nheaders.X-Key=s3cret\nurl=https://x.test/s3cret\ns3cret"
    )
    refused = await ed.send("/channels/new", {"name": "ops", "kind": "email", "settings": settings})
    assert refused.status == 400
    assert "host=mail.test\nsender=a@b.test\npassword=\nheaders.X-Key=\nurl=</textarea>" in html.unescape(refused.text)
    assert "s3cret" not in refused.text
