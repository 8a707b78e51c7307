"""The facts of a certificate beside those that OpenSSL and Node print of the same one."""

from __future__ import annotations

import json
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from tests.support.certificates import Issued, issue
from tests.support.peers import peer
from worker.outcome.certificate import CertificateFacts, moment
from worker.probers.certificates.facts import facts_of

_NODE = """
const {X509Certificate} = require("crypto");
const read = new X509Certificate(require("fs").readFileSync(process.argv[1]));
console.log(JSON.stringify(Object.assign(read.toLegacyObject(), {altName: read.subjectAltName})));
"""
USAGE = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])


def certificates() -> dict[str, Issued]:
    root = issue("Root", ca=True)
    return {
        "elliptic": issue("shop.test", root, names=["shop.test", "*.shop.test", "192.0.2.1", "2001:db8::1"]),
        "rsa": issue("Größe", root, rsa_bits=2048, names=["shop.test"], extensions=[USAGE]),
        "self-signed": root,
        "long serial": issue("shop.test", serial=0x0ABCDEF0123456789ABCDEF),
    }


MADE = certificates()


def facts(der: bytes) -> CertificateFacts:
    found = facts_of(der)
    assert found is not None
    return found


@pytest.mark.parametrize("made", MADE.values(), ids=MADE)
def test_openssl_prints_the_same(made: Issued, tmp_path: Path) -> None:
    path = made.write(tmp_path / "certificate.pem")
    said = subprocess.run(
        [
            peer("openssl"),
            "x509",
            "-in",
            str(path),
            "-noout",
            "-serial",
            "-fingerprint",
            "-sha256",
            "-dates",
            "-subject",
        ],
        capture_output=True,
        check=True,
        text=True,
        timeout=60,
    ).stdout
    printed = dict(line.split("=", 1) for line in said.splitlines())
    read = facts(made.der)
    assert read.serial_number == printed["serial"]
    assert read.fingerprint256 == printed["sha256 Fingerprint"]
    assert read.valid_from == ssl.cert_time_to_seconds(printed["notBefore"])
    assert read.valid_to == ssl.cert_time_to_seconds(printed["notAfter"])


def in_node(path: Path) -> dict[str, Any]:
    said = subprocess.run(
        [peer("node"), "-e", _NODE, str(path)], capture_output=True, check=True, text=True, timeout=60
    ).stdout
    read: dict[str, Any] = json.loads(said)
    return read


@pytest.mark.parametrize("made", MADE.values(), ids=MADE)
def test_node_reads_the_same(made: Issued, tmp_path: Path) -> None:
    path = tmp_path / "certificate.pem"
    path.write_text(made.pem)
    node, read = in_node(path), facts(made.der)
    assert read.subject.as_json() == node["subject"]
    assert read.issuer.as_json() == node["issuer"]
    assert (", ".join(read.alternative_names) or None) == node.get("altName")
    assert read.serial_number == node["serialNumber"]
    assert (read.fingerprint, read.fingerprint256) == (node["fingerprint"], node["fingerprint256"])
    assert list(read.extended_key_usage) == node.get("ext_key_usage", [])
    key = read.public_key
    assert key.size == node["bits"]
    if key.kind == "RSA":
        assert key.modulus == node["modulus"].upper()
        assert key.exponent == int(node["exponent"], 16)
    else:
        assert (key.kind, key.curve) == ("EC", "secp256r1")
    assert moment(read.valid_to).startswith(str(made.certificate.not_valid_after_utc.date()))


ORDINARY = MADE["rsa"].der


@given(st.integers(0, len(ORDINARY) - 1), st.integers(1, 255))
def test_a_certificate_with_a_changed_byte_is_read_or_is_none(at: int, by: int) -> None:
    changed = bytearray(ORDINARY)
    changed[at] ^= by
    read = facts_of(bytes(changed))
    assert read is None or read.fingerprint != facts(ORDINARY).fingerprint


@pytest.mark.parametrize("der", [b"", b"\x30", b"\x30\x80" * 10_000, b"certificate" * 1000, ORDINARY[:-1]])
def test_what_is_not_a_certificate_is_none(der: bytes) -> None:
    assert facts_of(der) is None
