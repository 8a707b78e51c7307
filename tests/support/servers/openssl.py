"""OpenSSL's own servers: an HTTPS target that speaks the protocol and cipher that a test names, and an OCSP responder."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.peers import peer


@asynccontextmanager
async def tls_server(certificate: Path, *options: str) -> AsyncIterator[int]:
    """The port of a server that shows *certificate* (PEM, key included) and answers every GET with a page about itself."""
    shown = ("-accept", "127.0.0.1:0", "-cert", str(certificate), "-key", str(certificate))
    async with _listening("s_server", *shown, "-www", *options) as port:
        yield port


@asynccontextmanager
async def ocsp_responder(index: Path, authority: Path, signer: Path) -> AsyncIterator[int]:
    """The port of a responder that knows what *index* (of `openssl ca`) says. *signer* has its certificate and key."""
    files = ("-index", str(index), "-CA", str(authority), "-rsigner", str(signer), "-rkey", str(signer))
    async with _listening("ocsp", *files, "-port", "0", "-ndays", "1") as port:
        yield port


@asynccontextmanager
async def _listening(*arguments: str) -> AsyncIterator[int]:
    process = await asyncio.create_subprocess_exec(
        peer("openssl"),
        *arguments,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout is not None
    try:
        said: list[str] = []
        async with asyncio.timeout(60):
            while not (line := (await process.stdout.readline()).decode()).startswith("ACCEPT"):
                assert line, f"openssl {arguments[0]} did not start: {''.join(said)}"
                said.append(line)
        yield int(line.split()[1].rpartition(":")[2])
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def self_signed(path: Path, *, key: str = "rsa:2048", subject: str = "127.0.0.1", name: str = "IP:127.0.0.1") -> Path:
    """A certificate and its key in one new file; *key* as `openssl req -newkey` takes it."""
    subprocess.run(
        [
            *(peer("openssl"), "req", "-x509", "-newkey", key, "-nodes", "-days", "2", "-sha256"),
            *(
                "-subj",
                f"/CN={subject}",
                "-addext",
                f"subjectAltName={name}",
                "-keyout",
                str(path),
                "-out",
                f"{path}.crt",
            ),
        ],
        check=True,
        capture_output=True,
        timeout=60,
    )
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path
