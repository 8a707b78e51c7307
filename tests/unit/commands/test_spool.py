"""`spool`: what is shown, delivered and deleted, what is left alone, and the exit codes that a script wants."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from tests.support.servers.controlplane import CREDENTIALS, Answer, ProtocolServer, protocol_server
from worker import cli
from worker.agent.journal.codec import HEADER_BYTES, SegmentKeys
from worker.agent.journal.rejected import set_aside
from worker.agent.journal.store import Store
from worker.commands import spool
from worker.config.load import Config, load
from worker.wire.keys import PrivateKey, generate
from worker.wire.messages import ResultItem, raw


@pytest.fixture
async def control_plane() -> AsyncIterator[ProtocolServer]:
    async with protocol_server() as server:
        yield server


def config_of(control_plane: ProtocolServer, folder: Path) -> Config:
    path = folder / "worker.json"
    content = {
        "id": CREDENTIALS.location,
        "intakeUrl": control_plane.url,
        "accessKey": CREDENTIALS.access_key,
        "secretAccessKey": CREDENTIALS.secret_key.reveal(),
        "privateKey": control_plane.location_key.pem.reveal(),
        "publicKey": {"pem": control_plane.results_key.public.pem},
    }
    path.write_text(json.dumps(content))
    return load([f"--config={path}"], {}, certificates=str(folder)).config


def store_in(room: Path, key: PrivateKey, *, location: str = CREDENTIALS.location) -> Store:
    return Store(room, SegmentKeys.of(location, [key]), worker=str(uuid.uuid4()), age_ns=lambda _: 0)


def leave(room: Path, key: PrivateKey, *results: str, location: str = CREDENTIALS.location) -> str:
    """Have a worker finish *results* and end; its identity."""
    store = store_in(room, key, location=location)
    items = [ResultItem(result=one, job="j", lease="l", outcome=raw({"started_at": 17})) for one in results]
    store.write(items, ())
    store.close()
    return store.worker


class Said:
    def __init__(self) -> None:
        self.shown: list[str] = []
        self.complaints: list[str] = []


async def test_everything_of_the_location_is_pushed_as_it_was_and_deleted(
    control_plane: ProtocolServer, tmp_path: Path
) -> None:
    config, room, said = config_of(control_plane, tmp_path), tmp_path / "spool", Said()
    for name in "ab":
        leave(room, control_plane.location_key, name, f"{name}{name}")
    other = leave(room, control_plane.location_key, "other", location="pl:other")
    code = await spool.push_spool(config, room, show=said.shown.append, complain=said.complaints.append)
    assert (code, said.shown, said.complaints) == (0, ["4 accepted"], [])
    items = [item for body in control_plane.bodies for item in control_plane.results(body).results]
    assert sorted(item.result for item in items) == ["a", "aa", "b", "bb"]
    assert {bytes(item.outcome) for item in items} == {b'{"started_at":17}'}
    assert [path.name for path in room.iterdir()] == [other]


async def test_what_the_control_plane_rejects_is_set_aside_and_is_a_failure(
    control_plane: ProtocolServer, tmp_path: Path
) -> None:
    config, room, said = config_of(control_plane, tmp_path), tmp_path / "spool", Said()
    leave(room, control_plane.location_key, "a")
    rejected = {"rejected": [{"result": "a", "reason": "no such job"}]}
    control_plane.answers.append(Answer(200, orjson.dumps(rejected)))
    code = await spool.push_spool(config, room, show=said.shown.append, complain=said.complaints.append)
    assert (code, said.shown) == (1, ["1 rejected"])
    assert [path.name for path in room.iterdir()] == ["a.jwe"]


async def test_a_control_plane_that_is_away_costs_nothing(
    control_plane: ProtocolServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "PATIENCE", 0.5)
    config, room, said = config_of(control_plane, tmp_path), tmp_path / "spool", Said()
    worker = leave(room, control_plane.location_key, "a")
    control_plane.answers.extend([control_plane.refusal(503, "database")] * 50)
    code = await spool.push_spool(config, room, show=said.shown.append, complain=said.complaints.append)
    assert code == 1
    assert "1 result undelivered" in said.complaints[0]
    assert spool.show_spool(config, room, as_json=True, show=said.shown.append, complain=said.complaints.append) == 0
    listing = json.loads(said.shown[-2])
    assert (listing["worker"], listing["results"]) == (worker, 1)


async def test_a_list_says_what_is_waiting_damaged_sealed_in_use_and_set_aside(
    control_plane: ProtocolServer, tmp_path: Path
) -> None:
    config, room, said = config_of(control_plane, tmp_path), tmp_path / "spool", Said()
    damaged = leave(room, control_plane.location_key, "a", "b")
    [segment] = (room / damaged).glob("*.segment")
    data = bytearray(segment.read_bytes())
    data[HEADER_BYTES + 30] ^= 1
    segment.write_bytes(data)
    foreign = leave(room, generate("x25519"), "c")
    living = store_in(room, control_plane.location_key)
    living.write([], ())
    set_aside(room, "d", b"sealed")
    code = spool.show_spool(config, room, as_json=True, show=said.shown.append, complain=said.complaints.append)
    *listings, aside = map(json.loads, said.shown)
    by_worker = {one["worker"]: one for one in listings}
    assert code == 0
    assert aside == {"set_aside": 1}
    keys = ("in_use", "results", "damaged", "sealed")
    assert {worker: tuple(one[key] for key in keys) for worker, one in by_worker.items()} == {
        damaged: (False, 1, 1, 0),
        foreign: (False, 0, 0, 1),
        living.worker: (True, 0, 0, 0),
    }
    said.shown.clear()
    spool.show_spool(config, room, as_json=False, show=said.shown.append, complain=said.complaints.append)
    assert f"{damaged}  left behind  1 result in 1 segment, " in "\n".join(said.shown)
    assert "1 record damaged" in "\n".join(said.shown)


def test_a_drop_needs_no_config_and_spares_the_living(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = generate("x25519")
    room = tmp_path / "spool"
    leave(room, key, "a")
    leave(room, key, "b", location="pl:other")
    living = store_in(room, key)
    living.write([], ())
    set_aside(room, "d", b"sealed")
    assert cli.execute(["spool", "drop", str(room)]) == 1
    assert [path.name for path in room.iterdir()] == [living.worker]
    assert f"{living.worker} is in use and stays" in capsys.readouterr().err
    living.close()
    assert cli.execute(["spool", "drop", str(room)]) == 0
    assert list(room.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [["spool"], ["spool", "burn", "x"], ["spool", "drop"], ["spool", "drop", "x", "y"], ["spool", "drop", "no"]],
)
def test_what_is_not_a_command_on_a_directory_is_refused(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.execute(words) == 2
    assert capsys.readouterr().err
