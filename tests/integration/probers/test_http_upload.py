"""A multipart form as an ordinary server takes it apart."""

from __future__ import annotations

from aiohttp import web

from worker.apitest.protocols.http import HTTPRequest
from worker.apitest.upload import UploadedFile, multipart
from worker.clock import SystemClock
from worker.net.door import Door
from worker.net.http.response import HTTPLimits
from worker.probers.http import probe
from worker.probers.limits import ProbeLimits

LIMITS = ProbeLimits(http=HTTPLimits(max_body_bytes=1_000_000))
EVERY_OCTET = bytes(range(256))


async def test_fields_and_files_arrive_as_they_were_written(door: Door) -> None:
    read: list[tuple[str, object]] = []

    async def handle(request: web.Request) -> web.Response:
        for name, value in (await request.post()).items():
            read.append((name, (value.filename, value.file.read()) if isinstance(value, web.FileField) else value))
        return web.Response()

    app = web.Application()
    app.router.add_post("/", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        file = UploadedFile(name="f", filename="a b.bin", media_type="", content=EVERY_OCTET)
        body, content_type = multipart((("who", "me"), ("ü", "é")), (file,))
        request = HTTPRequest(url=url, method="POST", body=body, content_type=content_type)
        observation = await probe(request, door, SystemClock(), LIMITS)
    finally:
        await runner.cleanup()
    assert observation.failure is None
    assert read == [("who", "me"), ("ü", "é"), ("f", ("a b.bin", EVERY_OCTET))]
