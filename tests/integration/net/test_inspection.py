"""What OpenSSL tells of a handshake through Python's `ssl`, which `net.inspection` rests on, and the reading of it."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.integration.net.way import recorder
from tests.support.certificates import issue
from tests.support.servers.door import loopback_door
from tests.support.servers.tcp import Listener
from worker.net.inspection import MAX_CERTIFICATE_BYTES, Aim, certificates_of, inspect

HOST = "127.0.0.1"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("believed", [True, False])
async def test_the_whole_chain_is_kept_whether_or_not_it_is_believed(
    version: ssl.TLSVersion, believed: bool, tmp_path: Path
) -> None:
    root = issue("Root", ca=True)
    middle = issue("Middle", root, ca=True)
    leaf = issue("shop", middle, names=[HOST])
    context = leaf.serving(tmp_path / "leaf.pem", middle)
    context.minimum_version = context.maximum_version = version
    door = loopback_door(ca_files=[root.write(tmp_path / "root.pem")] if believed else ())
    async with Listener(tls=context) as target:
        seen = await inspect(door, Aim(host=HOST, port=target.port, server_name=HOST), recorder())
    assert (seen.presented, seen.count) == ((leaf.der, middle.der), 2)
    assert seen.verified == ((leaf.der, middle.der, root.der) if believed else ())
    assert (seen.fault is None, seen.failure is None, seen.handshake is not None) == (believed, believed, believed)


async def test_a_certificate_above_the_bound_is_counted_and_not_kept(tmp_path: Path) -> None:
    large = issue("shop", names=[HOST, *(f"host-{number:05}.shop.example" for number in range(1400))])
    assert len(large.der) > MAX_CERTIFICATE_BYTES
    async with Listener(tls=large.serving(tmp_path / "large.pem")) as target:
        seen = await inspect(loopback_door(), Aim(host=HOST, port=target.port, server_name=HOST), recorder())
    assert (seen.presented, seen.count) == ((b"",), 1)


def message(entries: list[bytes], *, with_extensions: bool) -> bytes:
    """A Certificate message as RFC 5246 §7.4.2 or RFC 8446 §4.4.2 has it."""
    end = b"\x00\x02\xab\xcd" if with_extensions else b""
    listed = b"".join(len(each).to_bytes(3, "big") + each + end for each in entries)
    body = (b"\x00" if with_extensions else b"") + len(listed).to_bytes(3, "big") + listed
    return b"\x0b" + len(body).to_bytes(3, "big") + body


@given(st.lists(st.binary(min_size=1, max_size=400), max_size=8), st.booleans())
def test_both_forms_of_the_message_are_read(entries: list[bytes], with_extensions: bool) -> None:
    assert certificates_of(message(entries, with_extensions=with_extensions)) == entries


@given(st.binary(max_size=200))
def test_any_bytes_are_read_as_something_no_longer_than_they_are(data: bytes) -> None:
    assert sum(map(len, certificates_of(data))) <= len(data)
