"""A server's part of a handshake, as OpenSSL writes it: what is ordinary stays in place, what a server made large does not."""

from __future__ import annotations

import random
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from tests.support.dh import write_group
from worker.net.server_flight import MAX_CERTIFICATES, MAX_HIDDEN_BYTES, ServerFlight

NAME = "www.example.org"
RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
SIGNER = ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(scope="module")
def leaf() -> trustme.LeafCert:
    return trustme.CA(key_type=trustme.KeyType.RSA).issue_cert(NAME, key_type=trustme.KeyType.RSA)


def serving(leaf: trustme.LeafCert, *, newest: bool = True, ciphers: str | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf.configure_cert(context)
    if not newest:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    if ciphers is not None:
        context.set_ciphers(ciphers)
    return context


def sent_by(server: ssl.SSLContext) -> bytes:
    """Everything that the server says until both sides are done."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    client.set_ciphers("DEFAULT:@SECLEVEL=0")
    to_server, from_server, to_client, from_client = (ssl.MemoryBIO() for _ in range(4))
    ours = client.wrap_bio(to_client, from_client, server_hostname=NAME)
    its = server.wrap_bio(to_server, from_server, server_side=True)
    said, finished = b"", 0
    while finished < 2:
        finished = 0
        for session in (ours, its):
            try:
                session.do_handshake()
                finished += 1
            except ssl.SSLWantReadError:
                pass
            to_server.write(from_client.read())
            flight = from_server.read()
            said += flight
            to_client.write(flight)
    return said


def is_costly(data: bytes, sizes: random.Random | None = None) -> bool:
    """Fed at once, or in pieces of any size."""
    flight, at = ServerFlight(), 0
    while at < len(data):
        size = sizes.choice((1, 2, 5, 100, 1460)) if sizes else len(data)
        flight.feed(data[at : at + size])
        at += size
    return flight.costly


@pytest.mark.parametrize("newest", [True, False])
def test_an_ordinary_handshake_stays_in_place(newest: bool, leaf: trustme.LeafCert) -> None:
    said = sent_by(serving(leaf, newest=newest))
    assert not is_costly(said)
    assert not is_costly(said, random.Random(1))


@pytest.mark.parametrize(("bits", "costly"), [(1279, False), (2203, True), (4253, True)])
def test_the_size_of_the_group_decides(bits: int, costly: bool, leaf: trustme.LeafCert, tmp_path: Path) -> None:
    server = serving(leaf, newest=False, ciphers="DHE-RSA-AES256-GCM-SHA384:@SECLEVEL=0")
    server.load_dh_params(str(write_group(tmp_path / "group.pem", bits)))
    said = sent_by(server)
    assert is_costly(said) is costly
    assert is_costly(said, random.Random(bits)) is costly


def record(content: bytes, kind: int = 22) -> bytes:
    return bytes((kind, 3, 3)) + len(content).to_bytes(2, "big") + content


def message(kind: int, content: bytes) -> bytes:
    return bytes((kind,)) + len(content).to_bytes(3, "big") + content


def hello(group: int, *, retry: bool = False) -> bytes:
    share = group.to_bytes(2, "big") + (b"" if retry else b"\x00\x01x")
    extensions = b"\x00\x2b\x00\x02\x03\x04" + b"\x00\x33" + len(share).to_bytes(2, "big") + share
    body = b"\x03\x03" + (RETRY if retry else bytes(32)) + b"\x20" + bytes(32) + b"\x13\x02\x00"
    return record(message(2, body + len(extensions).to_bytes(2, "big") + extensions))


@pytest.mark.parametrize(
    ("group", "costly"),
    [
        (29, False),
        (23, False),
        (4588, False),
        (0x100, False),
        (0x101, True),
        (0x102, True),
        (0x103, True),
        (0x104, True),
    ],
)
@pytest.mark.parametrize("retry", [True, False])
def test_the_group_of_tls_1_3_decides_from_the_retry_on(group: int, costly: bool, retry: bool) -> None:
    assert is_costly(hello(group, retry=retry)) is costly
    changed = record(b"\x01", 20)
    assert is_costly(hello(29, retry=True) + changed + hello(group)) is costly


def test_a_hidden_flight_of_unusual_size_is_costly() -> None:
    hidden = record(bytes(4096), 23)
    assert not is_costly(hello(29) + hidden * 3)
    assert is_costly(hello(29) + hidden * (MAX_HIDDEN_BYTES // 4096 + 1))


def certificate(key: rsa.RSAPublicKey | dsa.DSAPublicKey | ec.EllipticCurvePublicKey) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key, 1, now, now + timedelta(days=1))
    return builder.sign(SIGNER, hashes.SHA256()).public_bytes(Encoding.DER)


def certificates(*ders: bytes) -> bytes:
    entries = b"".join(len(der).to_bytes(3, "big") + der for der in ders)
    content = message(11, len(entries).to_bytes(3, "big") + entries)
    return b"".join(record(content[at : at + 16_384]) for at in range(0, len(content), 16_384))


@pytest.mark.parametrize(
    ("bits", "costly"), [(2048, False), (4096, False), (8192, False), (9216, True), (16_384, True)]
)
@pytest.mark.parametrize("exponent", [3, 65_537, 2**64 - 59])
def test_the_size_of_a_key_decides(bits: int, costly: bool, exponent: int) -> None:
    key = rsa.RSAPublicNumbers(exponent, 2**bits - 1).public_key()
    assert is_costly(certificates(certificate(key))) is costly
    assert is_costly(certificates(certificate(SIGNER.public_key()), certificate(key))) is costly


@pytest.mark.parametrize(("number", "costly"), [(1, False), (MAX_CERTIFICATES, False), (MAX_CERTIFICATES + 1, True)])
def test_the_length_of_a_chain_decides(number: int, costly: bool) -> None:
    assert is_costly(certificates(*[certificate(SIGNER.public_key())] * number)) is costly


@given(st.binary(max_size=200), st.binary(max_size=400))
def test_whatever_a_server_says_is_survived(prefix: bytes, junk: bytes) -> None:
    for data in (junk, record(junk), *(record(message(kind, prefix + junk)) for kind in (2, 11, 12, 14))):
        is_costly(data)
        is_costly(hello(29, retry=True) + data, random.Random(len(junk)))


def test_what_never_becomes_a_message_takes_no_memory_without_end() -> None:
    flight = ServerFlight()
    for _ in range(1000):
        flight.feed(record(b"\x0b\xff\xff\xff" + bytes(1000)))
    assert flight.costly
    assert len(flight._messages) <= MAX_HIDDEN_BYTES + 16_384 + 5
