"""The pages of channels: made, tried and deleted by who may, and no secret on any of them."""

from __future__ import annotations

import html
import re

import pytest

from controlplane.service.principal import Role
from tests.integration.controlplane.plane import Plane
from tests.support.alerts import Outbound
from tests.support.servers.http import reply, serving
from tests.support.visitors import PageVisitor, ShownPage


async def signed_in(plane: Plane, role: Role) -> PageVisitor:
    await plane.add_user(role.value, role)
    return PageVisitor(plane.url, cookies={"session": await plane.session_of(role.value)})


def text_of(page: ShownPage) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page.text)).split())


async def test_a_channel_is_made_tried_and_deleted(plane: Plane) -> None:
    editor, outbound = await signed_in(plane, Role.EDITOR), Outbound(plane.database, plane.clock)
    async with serving(reply(b"ok")) as server:
        await editor.get("/channels/new")
        written = f"url={server.url('/s3cret')}\n\nheaders.X-Key=s3cret\n"
        made = await editor.send("/channels/new", {"name": "ops", "kind": "webhook", "settings": written})
        listed = await editor.follow(made)
        assert f"http://127.0.0.1:{server.port}/…" in text_of(listed)
        tried = await editor.follow(await editor.send("/channels/ops/test", {}))
        assert "queued" in text_of(tried)
        await outbound.send()
        path = re.search(
            r"/channels/tries/[0-9a-f-]+", str(tried.text) + (await editor.send("/channels/ops/test", {})).to
        )
        assert path is not None
        await outbound.send()
        assert "delivered" in text_of(await editor.get(path[0]))
    await editor.get("/channels")
    gone = await editor.follow(await editor.send("/channels/ops/delete", {}))
    assert "There is none yet" in text_of(gone)
    assert "s3cret" not in listed.text + tried.text + gone.text


@pytest.mark.parametrize(
    ("settings", "mistake"),
    [
        ("nonsense/s3cret", "settings: one is not valid: expected MEMBER=VALUE"),
        ("url=ftp://x.example/s3cret", "url: is not a valid URL"),
        ("url=env:HOME", "url: is not a valid URL"),
        ("url=@/etc/passwd", "url: is not a valid URL"),
        ("type=fax\nurl=https://x.example/s3cret\nextra=1", "unknown field `extra`"),
    ],
)
async def test_a_mistake_is_told_and_no_secret_is_shown_again(plane: Plane, settings: str, mistake: str) -> None:
    editor = await signed_in(plane, Role.EDITOR)
    await editor.get("/channels/new")
    refused = await editor.send("/channels/new", {"name": "ops", "kind": "slack", "settings": settings})
    assert refused.status == 400
    assert mistake in text_of(refused)
    assert "/s3cret" not in refused.text


async def test_a_viewer_looks_and_changes_nothing(plane: Plane) -> None:
    await Outbound(plane.database, plane.clock).add("ops", type="slack", url="https://hooks.example/s3cret")
    viewer = await signed_in(plane, Role.VIEWER)
    listed = await viewer.get("/channels")
    assert "hooks.example" in listed.text
    assert "Try ops" not in listed.text
    assert [(await viewer.get("/channels/new")).status, (await viewer.send("/channels/ops/delete", {})).status] == [
        403,
        403,
    ]
