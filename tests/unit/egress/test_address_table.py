"""The flattened table against asking every range in turn."""

from __future__ import annotations

from ipaddress import IPv4Network, ip_address, ip_network

from hypothesis import given
from hypothesis import strategies as st

from worker.egress.address_table import Network, overlay

# Sixteen addresses at either end of the family: small enough to ask for each, and they nest, touch and reach the edges.
ENDS = [*range(16), *range(2**32 - 16, 2**32)]


@st.composite
def networks(draw: st.DrawFn) -> Network:
    return IPv4Network(
        (draw(st.sampled_from(ENDS)), draw(st.sampled_from([0, 1, 27, 28, 29, 30, 31, 32]))), strict=False
    )


layers = st.lists(st.lists(networks(), max_size=8, unique=True), max_size=3)


@given(layers)
def test_the_first_layer_speaks_with_its_most_specific_range(given_layers: list[list[Network]]) -> None:
    named = [[(network, f"{depth} {network}") for network in layer] for depth, layer in enumerate(given_layers)]
    table = overlay(named, "none")
    for number in ENDS:
        spoken = [
            max(around)[1]
            for layer in named
            if (around := [(network.prefixlen, word) for network, word in layer if ip_address(number) in network])
        ]
        assert table.at(number) == (spoken[0] if spoken else "none")


@given(layers, networks())
def test_the_words_within_a_range_are_those_of_its_addresses(given_layers: list[list[Network]], asked: Network) -> None:
    table = overlay([[(network, str(network)) for network in layer] for layer in given_layers], "none")
    assert {table.at(number) for number in ENDS if ip_address(number) in asked} <= set(table.within(asked))
    if asked.prefixlen >= 28:
        assert set(table.within(asked)) == {table.at(number) for number in ENDS if ip_address(number) in asked}


def test_without_ranges_everything_has_the_default() -> None:
    table = overlay([], "none")
    assert table.at(0) == table.at(2**128 - 1) == "none"


def test_of_equal_ranges_one_speaks_and_what_lies_around_them_goes_on() -> None:
    inner, outer = ip_network("10.0.0.0/8"), ip_network("8.0.0.0/5")
    table = overlay([[(outer, "outer"), (inner, "inner"), (inner, "inner")]], "none")
    assert [table.at(int(ip_address(text))) for text in ("9.9.9.9", "10.0.0.0", "10.255.255.255", "11.0.0.0", "16.0.0.0")] == [
        "outer", "inner", "inner", "outer", "none",
    ]  # fmt: skip
