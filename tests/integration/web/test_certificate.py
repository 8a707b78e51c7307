"""The certificate of a listener: mistakes in its files, as OpenSSL makes them, and its renewal while connections are made."""

from __future__ import annotations

import asyncio
import logging
import ssl
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
import trustme

from tests.support.clock import FakeClock
from tests.support.peers import peer
from worker.web.certificate import LOOK_SECONDS, CertificateError, CertificateFiles, ServedCertificate, read


def files_of(cert: Path, key: Path | None = None) -> CertificateFiles:
    return CertificateFiles(cert=cert, key=key, cert_option="--tls-cert", key_option="--tls-key")


class Authority:
    """Issues certificates into the files of a listener; each has a serial number of its own."""

    def __init__(self, folder: Path, clock: FakeClock) -> None:
        self.ca = trustme.CA()
        self.files = files_of(folder / "cert.pem", folder / "key.pem")
        self._clock = clock

    def issue(self, *, valid: timedelta = timedelta(days=90)) -> None:
        now = self._clock.now()
        issued = self.ca.issue_cert("plane.test", not_before=now - timedelta(minutes=1), not_after=now + valid)
        self.files.cert.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        assert self.files.key is not None
        self.files.key.write_bytes(issued.private_key_pem.bytes())

    @property
    def on_disk(self) -> bytes:
        return ssl.PEM_cert_to_DER_cert(self.files.cert.read_text().partition("-----END CERTIFICATE-----")[0] + END)


END = "-----END CERTIFICATE-----\n"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def authority(tmp_path: Path, clock: FakeClock) -> Authority:
    authority = Authority(tmp_path, clock)
    authority.issue()
    return authority


def shown(served: ServedCertificate, authority: Authority, *, name: str | None = "plane.test") -> bytes:
    """The certificate that a client is given in a handshake, in memory; *name* None sends none."""
    client_context = ssl.create_default_context()
    authority.ca.configure_trust(client_context)
    client_context.check_hostname = False
    client_context.verify_mode = ssl.CERT_NONE
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server, server_hostname=name)
    server = served.context.wrap_bio(to_server, to_client, server_side=True)
    done: set[ssl.SSLObject] = set()
    for _ in range(10):
        for side in (client, server):
            try:
                side.do_handshake()
                done.add(side)
            except ssl.SSLWantReadError:
                pass
    assert done == {client, server}
    certificate = client.getpeercert(binary_form=True)
    assert certificate is not None
    return certificate


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The levels of what was logged above information, which other tests may have switched on."""
    return [record.levelname for record in caplog.records if record.levelno >= logging.WARNING]


def openssl(*arguments: str) -> None:
    done = subprocess.run([peer("openssl"), *arguments], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr


def mistake(files: CertificateFiles) -> str:
    with pytest.raises(CertificateError) as caught:
        read(files)
    return str(caught.value)


@pytest.mark.parametrize("name", ["plane.test", None])
def test_a_renewed_certificate_is_shown_to_the_next_client(
    authority: Authority, clock: FakeClock, name: str | None
) -> None:
    served = ServedCertificate(authority.files, clock)
    first = authority.on_disk
    assert shown(served, authority, name=name) == first
    authority.issue()
    assert shown(served, authority, name=name) == first
    served.look()
    assert shown(served, authority, name=name) == authority.on_disk != first


async def test_the_files_are_looked_at_by_itself(authority: Authority, clock: FakeClock) -> None:
    served = ServedCertificate(authority.files, clock)
    following = asyncio.create_task(served.follow())
    await asyncio.sleep(0)
    authority.issue(valid=timedelta(days=200))
    await clock.advance(LOOK_SECONDS)
    assert served.not_after.date() == (clock.now() + timedelta(days=200)).date()
    following.cancel()


def test_a_certificate_without_its_key_yet_replaces_nothing_and_is_told_once(
    authority: Authority, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    served = ServedCertificate(authority.files, clock)
    first = authority.on_disk
    assert authority.files.key is not None
    old_key = authority.files.key.read_bytes()
    authority.issue()
    new_key = authority.files.key.read_bytes()
    authority.files.key.write_bytes(old_key)
    with caplog.at_level(logging.INFO):
        served.look()
        served.look()
    assert warned(caplog) == ["ERROR"]
    assert "is not the key of the first certificate" in caplog.text
    assert (shown(served, authority), served.current) == (first, False)
    authority.files.key.write_bytes(new_key)
    served.look()
    assert (shown(served, authority), served.current) == (authority.on_disk, True)


def test_files_that_vanish_and_come_back_change_nothing(authority: Authority, clock: FakeClock) -> None:
    served = ServedCertificate(authority.files, clock)
    content = authority.files.cert.read_bytes()
    authority.files.cert.unlink()
    served.look()
    before = served.current
    authority.files.cert.write_bytes(content)
    served.look()
    assert (before, served.current) == (False, True)
    assert shown(served, authority) == authority.on_disk


@pytest.mark.parametrize(
    ("valid", "level", "verb"),
    [
        (timedelta(days=15), None, ""),
        (timedelta(days=13), "WARNING", "expires at 2026-03-03 03:04 UTC"),
        (timedelta(days=3), None, ""),
        (timedelta(seconds=-30), "ERROR", "expired at 2026-01-02 03:03 UTC"),
    ],
    ids=["in time", "soon", "short, and new", "expired"],
)
def test_the_end_is_told_at_the_start(
    authority: Authority,
    clock: FakeClock,
    caplog: pytest.LogCaptureFixture,
    valid: timedelta,
    level: str | None,
    verb: str,
) -> None:
    """Of 60 days the last 14 are near, of three days the last quarter."""
    lifetime = timedelta(days=60)
    authority.issue(valid=lifetime if valid.days > 10 else valid)
    if valid.days > 10:
        clock.stall((lifetime - valid).total_seconds())
    ServedCertificate(authority.files, clock)
    assert warned(caplog) == ([level] if level else [])
    assert verb in caplog.text


def test_the_end_is_told_again_every_day_until_the_certificate_is_renewed(
    authority: Authority, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    authority.issue(valid=timedelta(days=90))
    clock.stall(80 * 86_400)
    served = ServedCertificate(authority.files, clock)
    for _ in range(48):
        clock.stall(3600)
        served.look()
    assert warned(caplog) == ["WARNING"] * 3
    authority.issue(valid=timedelta(days=90))
    for _ in range(48):
        clock.stall(3600)
        served.look()
    assert warned(caplog) == ["WARNING"] * 3


def test_a_key_with_a_passphrase_is_named_and_asks_nobody(authority: Authority, tmp_path: Path) -> None:
    sealed = tmp_path / "sealed.pem"
    openssl("pkey", "-in", str(authority.files.key), "-aes256", "-passout", "pass:x", "-out", str(sealed))
    assert mistake(files_of(authority.files.cert, sealed)) == (
        f"--tls-key {sealed}: the key has a passphrase, which nobody could type when the service starts:"
        f" openssl pkey -in {sealed} -out key.pem"
    )


def test_der_is_named_with_the_command_that_converts_it(authority: Authority, tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.der", tmp_path / "key.der"
    openssl("x509", "-in", str(authority.files.cert), "-outform", "der", "-out", str(cert))
    openssl("pkey", "-in", str(authority.files.key), "-outform", "der", "-out", str(key))
    assert mistake(files_of(cert, authority.files.key)) == (
        f"--tls-cert {cert}: is DER, not PEM: openssl x509 -inform der -in {cert} -out cert.pem"
    )
    assert mistake(files_of(authority.files.cert, key)) == (
        f"--tls-key {key}: is DER, not PEM: openssl pkey -inform der -in {key} -out key.pem"
    )


def test_a_missing_file_is_the_one_that_is_named(authority: Authority, tmp_path: Path) -> None:
    none = tmp_path / "none.pem"
    assert mistake(files_of(none, none)) == f"--tls-cert {none}: No such file or directory"
    assert mistake(files_of(authority.files.cert, none)) == f"--tls-key {none}: No such file or directory"


def test_files_without_what_they_should_hold_are_named(authority: Authority) -> None:
    cert, key = authority.files.cert, authority.files.key
    assert key is not None
    assert mistake(files_of(key, key)) == f"--tls-cert {key}: holds no certificate in PEM"
    assert mistake(files_of(cert, cert)) == f"--tls-key {cert}: holds no private key in PEM"
    assert mistake(files_of(cert)) == (
        f"--tls-cert {cert}: holds no private key in PEM; name the file that does with --tls-key"
    )


@pytest.mark.parametrize("key_first", [True, False])
def test_one_file_may_hold_both(authority: Authority, clock: FakeClock, tmp_path: Path, key_first: bool) -> None:
    both = tmp_path / "both.pem"
    assert authority.files.key is not None
    parts = [authority.files.cert.read_text(), authority.files.key.read_text()]
    both.write_text("".join(reversed(parts) if key_first else parts))
    served = ServedCertificate(files_of(both), clock)
    assert shown(served, authority) == authority.on_disk


@pytest.mark.parametrize("form", ["RSA", "EC"])
def test_the_older_forms_of_a_key_are_read(tmp_path: Path, form: str) -> None:
    """PKCS #1 and SEC 1, which OpenSSL writes with -traditional."""
    new = ["-newkey", "rsa:2048"] if form == "RSA" else ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    key, cert, old = tmp_path / "k.pem", tmp_path / "c.pem", tmp_path / "old.pem"
    openssl("req", "-x509", "-nodes", *new, "-subj", "/CN=plane.test", "-keyout", str(key), "-out", str(cert))
    openssl("pkey", "-in", str(key), "-traditional", "-out", str(old))
    assert f"BEGIN {form} PRIVATE KEY" in old.read_text()
    assert read(files_of(cert, old)).content[1] == old.read_bytes()
