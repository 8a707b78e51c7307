"""Addresses and the channels that they mean."""

from __future__ import annotations

import pytest

from controlplane.alerts.addressing import channel_of

KNOWN = {"ops": "slack", "slack-ops": "webhook", "night": "pagerduty", "email": "email", "t1": "teams", "t2": "teams"}


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("ops", "ops"),
        ("slack-ops", "slack-ops"),
        ("webhook-slack-ops", "slack-ops"),
        ("pagerduty", "night"),
        ("pagerduty-night", "night"),
        ("teams", None),
        ("teams-t1", "t1"),
        ("slack-night", None),
        ("nobody", None),
        ("me@example.com", "email"),
    ],
)
def test_a_handle_means_a_channel_by_its_name_or_its_kind(address: str, name: str | None) -> None:
    assert channel_of(address, KNOWN) == name


@pytest.mark.parametrize(
    ("known", "name"), [({"post": "email"}, "post"), ({"a": "email", "b": "email"}, None), ({"email": "slack"}, None)]
)
def test_an_e_mail_address_is_written_to_by_the_one_channel_that_can(known: dict[str, str], name: str | None) -> None:
    assert channel_of("me@example.com", known) == name
