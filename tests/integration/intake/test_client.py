"""The client against a real HTTP server: only a signed reply counts, and no reply of any kind raises into the loop."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from aiohttp import web

from tests.integration.intake.clients import client_of, pull
from tests.support.jobs import job
from tests.support.servers.controlplane import CREDENTIALS, Answer, protocol_server
from worker.egress.proxy import Proxy
from worker.errors import EnvelopeError, MessageError
from worker.intake.replies import Reaction
from worker.intake.transport import IntakeError, Peer
from worker.secret import Secret
from worker.wire.keys import generate
from worker.wire.messages import MAX_REPLY_BYTES, Jobs, ResultItem, raw


def item(name: str = "r") -> ResultItem:
    return ResultItem(result=name, job="j", lease="l", outcome=raw({"status": "passed"}))


async def test_jobs_arrive_opened_and_results_are_accepted() -> None:
    async with protocol_server() as server, client_of(server) as intake:
        server.answers.append(server.jobs(Jobs(jobs=(job(),), more=True)))
        jobs = await intake.pull(pull())
        assert (jobs.more, bytes(jobs.jobs[0].test)) == (True, b'{"name":"a"}')
        assert await intake.pull(pull()) == Jobs()
        assert (await intake.push([item("r1"), item("r2")])).accepted == ("r1", "r2")
        assert [seen.result for seen in server.results(server.bodies[-1]).results] == ["r1", "r2"]


async def test_a_push_of_many_megabytes_arrives_whole() -> None:
    async with protocol_server() as server, client_of(server) as intake:
        large = ResultItem(result="r", job="j", lease="l", outcome=raw({"body": "x" * 3_000_000}))
        assert (await intake.push([large])).accepted == ("r",)


async def test_each_endpoint_counts_for_itself_from_one() -> None:
    async with protocol_server() as server, client_of(server) as intake:
        for _ in range(2):
            await intake.pull(pull())
            await intake.push([item()])
    assert server.seen == [
        ("/worker/v1/pull", 1),
        ("/worker/v1/results", 1),
        ("/worker/v1/pull", 2),
        ("/worker/v1/results", 2),
    ]


async def test_a_control_plane_below_a_path_is_reached_there() -> None:
    async with protocol_server("/synthetics") as server, client_of(server) as intake:
        await intake.pull(pull())
        assert server.seen == [("/synthetics/worker/v1/pull", 1)]


async def test_what_is_asked_for_is_identity_and_nothing_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    async with protocol_server() as server, client_of(server) as intake:
        await intake.pull(pull())
        assert server.request_headers[0]["Accept-Encoding"] == "identity"
        assert server.request_headers[0]["User-Agent"] == "test/1"


async def test_a_stale_sequence_number_is_passed_and_nothing_is_lost() -> None:
    async with protocol_server() as server, client_of(server) as intake:
        server.answers.append(server.refusal(409, "sequence", last=41))
        assert (await intake.push([item()])).accepted == ("r",)
    assert [seq for _, seq in server.seen] == [1, 42]


async def test_a_control_plane_that_refuses_every_number_is_an_outage() -> None:
    async with protocol_server() as server, client_of(server) as intake:
        server.answers.extend([server.refusal(409, "sequence", last=10**6)] * 3)
        with pytest.raises(IntakeError) as caught:
            await intake.push([item()])
    assert caught.value.reaction is Reaction.RETRY


async def test_a_wrong_clock_is_corrected_by_a_signed_reply_and_the_body_sent_again() -> None:
    async with protocol_server() as server, client_of(server) as intake:
        server.clock_ahead = timedelta(hours=3)
        assert (await intake.push([item()])).accepted == ("r",)
        assert abs(intake.clock_offset - timedelta(hours=3)) < timedelta(seconds=5)


async def test_a_clock_that_is_right_within_a_dates_resolution_is_left_alone() -> None:
    async with protocol_server() as server, client_of(server) as intake:
        await intake.pull(pull())
        assert intake.clock_offset == timedelta()


async def test_an_unsigned_reply_never_moves_the_clock() -> None:
    async with protocol_server() as server, client_of(server) as intake:
        server.answers.append(Answer(401, headers={"X-PL-Date": "20360101T000000Z"}, signed=False))
        with pytest.raises(IntakeError):
            await intake.pull(pull())
        assert intake.clock_offset == timedelta()
        assert intake.last_signed_reply_ns is None


@pytest.mark.parametrize("status", [200, 204, 301, 302, 400, 401, 403, 404, 409, 413, 429, 500, 503])
async def test_every_unsigned_reply_is_a_network_error_whatever_it_says(status: int) -> None:
    async with protocol_server() as server, client_of(server) as intake:
        server.answers.append(
            Answer(status, b'{"accepted":["r"]}', {"Location": server.url}, signed=False, retry_after="86400")
        )
        with pytest.raises(IntakeError) as caught:
            await intake.push([item()])
    # To send less forgets nothing: a proxy that limits sizes is believed that much.
    assert caught.value.reaction is (Reaction.SPLIT if status == 413 else Reaction.RETRY)
    assert not caught.value.signed
    assert caught.value.status == status
    assert len(server.seen) == 1, "a redirect is not followed"


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (400, Reaction.REFUSED),
        (403, Reaction.SLOW_DOWN),
        (413, Reaction.SPLIT),
        (429, Reaction.RETRY),
        (503, Reaction.RETRY),
    ],
)
async def test_a_signed_refusal_means_what_the_table_says(status: int, verdict: Reaction) -> None:
    async with protocol_server() as server, client_of(server) as intake:
        answer = server.refusal(status, "some-word")
        server.answers.append(Answer(status, answer.body, retry_after="7"))
        with pytest.raises(IntakeError) as caught:
            await intake.push([item()])
    assert (caught.value.reaction, caught.value.code, caught.value.retry_after) == (verdict, "some-word", 7.0)


def _with_another_body(response: web.Response) -> web.Response:
    response.body = b'{"accepted":["other"]}'
    return response


def _with_another_retry_after(response: web.Response) -> web.Response:
    response.headers["Retry-After"] = "3600"
    return response


def _with_another_status(response: web.Response) -> web.Response:
    response.set_status(202)
    return response


def _with_a_flipped_signature(response: web.Response) -> web.Response:
    signature = response.headers["X-PL-Signature"]
    response.headers["X-PL-Signature"] = ("0" if signature[0] != "0" else "1") + signature[1:]
    return response


@pytest.mark.parametrize(
    "tamper", [_with_another_body, _with_another_retry_after, _with_another_status, _with_a_flipped_signature]
)
async def test_a_reply_that_was_touched_on_its_way_counts_as_unsigned(tamper: object) -> None:
    async with protocol_server() as server, client_of(server) as intake:
        server.answers.append(Answer(200, b'{"accepted":["r"]}', tamper=tamper))  # type: ignore[arg-type]
        with pytest.raises(IntakeError) as caught:
            await intake.push([item()])
    assert caught.value.reaction is Reaction.RETRY
    assert "unsigned" in caught.value.reason


async def test_the_reply_to_one_request_does_not_answer_another() -> None:
    """A recorded reply, replayed: it is signed, but for another request."""
    async with protocol_server() as server, client_of(server) as intake:
        kept: list[web.Response] = []

        def keep(response: web.Response) -> web.Response:
            kept.append(response)
            return response

        def replay(_: web.Response) -> web.Response:
            old = kept[0]
            return web.Response(status=old.status, body=old.body, headers=old.headers)

        server.answers.append(Answer(200, b'{"accepted":["r"]}', tamper=keep))
        server.answers.append(Answer(200, b'{"accepted":["r"]}', tamper=replay))
        await intake.push([item()])
        with pytest.raises(IntakeError, match="unsigned"):
            await intake.push([item()])


async def test_a_batch_for_another_key_is_refused_and_named() -> None:
    async with protocol_server() as server, client_of(server) as intake:
        server.answers.append(server.jobs(Jobs(jobs=(job(),)), key=generate("x25519")))
        with pytest.raises(EnvelopeError):
            await intake.pull(pull())


async def test_a_signed_batch_that_is_no_message_is_refused() -> None:
    from worker.wire import envelope  # noqa: PLC0415

    async with protocol_server() as server, client_of(server) as intake:
        sealed = envelope.seal(b"[]", server.location_key.public, typ=envelope.JOBS, location=CREDENTIALS.location)
        server.answers.append(Answer(200, sealed))
        with pytest.raises(MessageError):
            await intake.pull(pull())


async def test_a_reply_beyond_the_bound_is_not_read_to_its_end() -> None:
    async with protocol_server() as server, client_of(server) as intake:
        server.answers.append(Answer(200, b"x" * (MAX_REPLY_BYTES + 1)))
        with pytest.raises(IntakeError, match="larger than"):
            await intake.pull(pull())


async def test_nobody_there_is_an_outage_with_a_plain_reason() -> None:
    async with protocol_server() as server:
        pass
    async with client_of(server) as intake:
        with pytest.raises(IntakeError, match=r"cannot connect to 127\.0\.0\.1") as caught:
            await intake.pull(pull())
    assert caught.value.reaction is Reaction.RETRY


async def test_a_peer_that_talks_no_http_is_an_outage() -> None:
    async def babble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(babble, "127.0.0.1", 0) as other, protocol_server() as server:
        port = other.sockets[0].getsockname()[1]
        async with client_of(server, peer=Peer(url=f"http://127.0.0.1:{port}")) as intake:
            with pytest.raises(IntakeError):
                await intake.pull(pull())


async def test_a_proxy_is_named_as_the_culprit_without_its_password() -> None:
    async with protocol_server() as server:
        peer = Peer(url=server.url, proxy=Proxy.parse(Secret("http://user:hunter2@127.0.0.1:1")))
        async with client_of(server, peer=peer) as intake:
            with pytest.raises(IntakeError, match="proxy") as caught:
                await intake.pull(pull())
    assert "hunter2" not in str(caught.value)


async def test_cancelling_a_pull_leaves_the_client_usable() -> None:
    async with protocol_server() as server, client_of(server) as intake:
        task = asyncio.ensure_future(intake.pull(pull()))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert await intake.pull(pull()) == Jobs()


@pytest.mark.parametrize(
    "path", ["/base%7Epath", "/base~path", "/%c3%bc", "/ü", "/a%41b", "/a%3Bb", "/100%", "/[x]", "/a%2Fb", "/a%20b"]
)
async def test_the_path_that_is_signed_is_the_path_that_is_sent(path: str) -> None:
    async with protocol_server("/{prefix:.*}") as server:
        base = server.url.removesuffix("/{prefix:.*}")
        async with client_of(server, peer=Peer(url=f"{base}{path}/")) as intake:
            assert await intake.pull(pull()) == Jobs()


@pytest.mark.parametrize("moment", ["99991231T235959Z", "09991231T235959Z", "00010101T000000Z"])
@pytest.mark.parametrize("status", [200, 204, 401, 409, 503])
async def test_a_signed_date_of_a_far_year_is_survived_and_believed_by_nobody(moment: str, status: int) -> None:
    async with protocol_server() as server, client_of(server) as intake:
        for retry_after in ("1", None):
            server.answers.append(replace(server.refusal(status, "skew", last=1), retry_after=retry_after, date=moment))
            with pytest.raises(IntakeError) as caught:
                await intake.pull(pull())
            assert caught.value.reaction is Reaction.RETRY
        assert intake.clock_offset == timedelta()
        assert await intake.pull(pull()) == Jobs()


@pytest.mark.parametrize("moment", ["19700101T000000Z", "29991231T235959Z"])
async def test_the_furthest_date_that_is_believed_can_be_signed_with(moment: str) -> None:
    async with protocol_server() as server, client_of(server) as intake:
        server.answers.append(replace(Answer(), date=moment))
        await intake.pull(pull())
        assert await intake.pull(pull()) == Jobs()  # told by a signed 401 that its clock is wrong, and signed anew
        assert (await intake.push([item()])).accepted == ("r",)


@pytest.mark.parametrize("last", [2**52 + 1, 2**53 - 1, 2**53, 2**53 + 1, 2**63, 2**64, -1, "x", 1.5, None, [1]])
async def test_a_last_number_out_of_bounds_is_an_outage_and_survived(last: object) -> None:
    async with protocol_server() as server, client_of(server) as intake:
        server.answers.append(server.refusal(409, "sequence", last=last))
        with pytest.raises(IntakeError) as caught:
            await intake.push([item()])
        assert caught.value.reaction is Reaction.RETRY
        assert (await intake.push([item()])).accepted == ("r",)
    assert [seq for _, seq in server.seen] == [1, 2]


async def test_a_worker_counts_on_from_the_greatest_last_number() -> None:
    async with protocol_server() as server, client_of(server) as intake:
        server.answers.append(server.refusal(409, "sequence", last=2**52))
        assert (await intake.push([item()])).accepted == ("r",)
        assert (await intake.push([item("s")])).accepted == ("s",)
    assert [seq for _, seq in server.seen] == [1, 2**52 + 1, 2**52 + 2]
