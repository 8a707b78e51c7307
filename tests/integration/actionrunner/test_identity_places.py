"""Identities in a Kubernetes Secret and out of two values, and credentials out of a Secret: over a real HTTPS server."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import trustme

from controlplane.service import runners
from controlplane.service.runners import WantedRunner
from tests.support.clock import FakeClock
from tests.support.runnerplane import BOSS, RunnerPlane, keys_of, runner_plane
from tests.support.servers.cluster import Cluster, running_cluster
from worker.actionrunner import cluster as clusters
from worker.actionrunner import enrolling
from worker.actionrunner import identity as identities
from worker.actionrunner.chain import InstanceChain
from worker.actionrunner.channel import RunnerChannel
from worker.actionrunner.cluster import ClusterAPI, ClusterError
from worker.actionrunner.credentials import read_credentials
from worker.actionrunner.enrolling import EnrolmentWishes
from worker.actionrunner.identification import store_of
from worker.actionrunner.identity import IdentityFile, IdentityStore, KeptIdentity, RunnerKeyPairs
from worker.actionrunner.identitygiven import IdentityGiven, given_text
from worker.actionrunner.identitysecret import IdentitySecret
from worker.actionrunner.leasebook import LeaseBook
from worker.actionrunner.options import load
from worker.actionrunner.rotation import KeyRotation
from worker.actions.connection import CredentialsError, CredentialSource
from worker.clock import SystemClock
from worker.errors import ConfigError
from worker.intake.transport import Peer, Transport
from worker.secret import Secret
from worker.wire.enrolment import EnrolmentToken
from worker.wire.messages import Pull

NAME = "berlin-identity"
WISHES = EnrolmentWishes(name=None, modes=None, host=None, hostname="h", agent="tests", platform="linux")
BASIC = {"auth_type": "Basic Auth", "credentials": [{"username": "crm", "password": "canary-password"}]}


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[RunnerPlane]:
    async with runner_plane(tmp_path) as running:
        yield running


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with running_cluster(tmp_path / "account") as running:
        yield running


def api_of(cluster: Cluster) -> ClusterAPI:
    return ClusterAPI.of(cluster.environment, cluster.account)


def kept(instance: str = "i-1") -> KeptIdentity:
    return identities.started(KeptIdentity(token="t", base_url="http://127.0.0.1:1", keys=PAIRS), instance)


PAIRS: RunnerKeyPairs = identities.new_keys()


async def enrolled(plane: RunnerPlane, store: IdentityStore) -> KeptIdentity:
    wanted = WantedRunner(name="berlin", modes=("pull",), host=None, base_url=plane.url)
    issued = await runners.create(plane.database, plane.clock, BOSS, wanted, ttl_ms=3_600_000)
    async with Transport(Peer(url=plane.url), agent="tests") as way:
        token = EnrolmentToken.parse(issued.text)
        return await enrolling.enrol(store, token, WISHES, way, SystemClock(), instance=str(uuid.uuid4()))


async def pull(plane: RunnerPlane, store: IdentityStore) -> InstanceChain:
    """One pull of a new instance; its chain."""
    clock, name = SystemClock(), str(uuid.uuid4())
    chain = InstanceChain(store, clock, name)
    keys = keys_of(await asyncio.to_thread(chain.begin))
    channel = RunnerChannel(
        Peer(url=plane.url), keys, clock, instance=name, agent="tests", book=LeaseBook(), standing=chain
    )
    async with channel:
        await channel.pull(Pull(version=1, concurrency=1, free_slots=0, keys=(keys.opening[0].kid,)))
    return chain


async def test_a_runner_enrols_into_an_empty_secret_and_the_next_pod_is_the_same_runner(
    plane: RunnerPlane, cluster: Cluster
) -> None:
    cluster.make(NAME)
    store = IdentitySecret(api_of(cluster), NAME)
    assert await asyncio.to_thread(store.load) is None
    done = await enrolled(plane, store)
    assert (await pull(plane, store)).epoch == 1
    again = await asyncio.to_thread(IdentitySecret(api_of(cluster), NAME).load)
    assert again is not None
    assert again.keys.signing.kid == done.keys.signing.kid
    assert (await pull(plane, store)).epoch == 2
    assert cluster.secrets[NAME]["metadata"]["labels"] == {"app": "runner"}, "the rest of it is as it was"


async def test_new_keys_are_in_the_secret_before_they_are_told(plane: RunnerPlane, cluster: Cluster) -> None:
    cluster.make(NAME)
    store = IdentitySecret(api_of(cluster), NAME)
    before = await enrolled(plane, store)
    seen: list[KeptIdentity] = []

    class Offer:
        async def offer_keys(self, signing: object, opening: object) -> None:
            seen.append(identities.decode(cluster.content(NAME, "identity.json")))

    await KeyRotation(store, keys_of(before), Offer(), SystemClock()).rotate()
    (told,) = seen
    assert told.next_keys is not None
    assert told.keys.signing.kid == before.keys.signing.kid
    after = identities.decode(cluster.content(NAME, "identity.json"))
    assert after.keys.signing.kid == told.next_keys.signing.kid
    assert after.next_keys is None


def test_two_that_start_together_are_both_in_the_chain(cluster: Cluster) -> None:
    cluster.make(NAME, {"identity.json": identities.encode(kept("i-1"))})
    api = api_of(cluster)

    def meanwhile() -> None:
        cluster.before_put = lambda: None
        IdentitySecret(api, NAME).change(lambda found: identities.started(identities.there(found), "i-2"))

    cluster.before_put = meanwhile
    changed = IdentitySecret(api, NAME).change(lambda found: identities.started(identities.there(found), "i-3"))
    assert changed.starts == ("i-1", "i-2", "i-3")
    assert identities.decode(cluster.content(NAME, "identity.json")).starts == changed.starts


def test_a_secret_that_is_always_changed_by_others_is_an_error_and_no_endless_loop(cluster: Cluster) -> None:
    cluster.make(NAME)

    def meanwhile() -> None:
        cluster.version += 1
        cluster.secrets[NAME]["metadata"]["resourceVersion"] = str(cluster.version)

    cluster.before_put = meanwhile
    with pytest.raises(ConfigError, match="changed by others"):
        IdentitySecret(api_of(cluster), NAME).change(lambda _found: kept())
    assert cluster.asked.count(f"PUT /api/v1/namespaces/private-actions/secrets/{NAME}") == 10


def test_what_was_there_is_put_aside(cluster: Cluster) -> None:
    cluster.make(NAME, {"identity.json": identities.encode(kept()), "other": b"stays"})
    store = IdentitySecret(api_of(cluster), NAME)
    store.keep_old()
    assert store.load() is None
    assert identities.decode(cluster.content(NAME, "identity.json.old")).starts == ("i-1",)
    assert cluster.content(NAME, "other") == b"stays"


def forbid(cluster: Cluster) -> None:
    cluster.allowed.clear()


def remove(cluster: Cluster) -> None:
    cluster.secrets.clear()


def revoke(cluster: Cluster) -> None:
    cluster.token = "another"


def distrust(cluster: Cluster) -> None:
    trustme.CA().cert_pem.write_to_path(str(cluster.account / "ca.crt"))


def answer(raw: bytes) -> Callable[[Cluster], None]:
    def change(cluster: Cluster) -> None:
        cluster.raw = raw

    return change


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (forbid, r"HTTP 403 secrets \"berlin-identity\" is forbidden.*its Role needs `get` and `update`"),
        (remove, r"HTTP 404 .*not found.*make it empty"),
        (revoke, r"HTTP 401 Unauthorized"),
        (distrust, r"does not answer: .*CERTIFICATE_VERIFY_FAILED"),
        (answer(b"{"), r"is not a Secret"),
        (answer(b"[]"), r"is not a Secret"),
        (answer(b'{"metadata": {}, "data": {}}'), r"is not a Secret"),
        (answer(b'{"metadata": {"resourceVersion": "1"}, "data": {"identity.json": "%%%"}}'), r"is not a Secret"),
        (answer(b"x" * (clusters.MAX_ANSWER + 1)), r"is not a Secret"),
    ],
    ids=["forbidden", "not there", "no token", "another authority", "cut", "list", "no version", "no base64", "huge"],
)
def test_a_cluster_that_does_not_help_is_told_with_its_cure(
    cluster: Cluster, trouble: Callable[[Cluster], None], words: str
) -> None:
    cluster.make(NAME, {"identity.json": identities.encode(kept())})
    trouble(cluster)
    with pytest.raises(ConfigError, match=words) as raised:
        IdentitySecret(api_of(cluster), NAME).load()
    assert PAIRS.signing.text().reveal() not in str(raised.value)


def test_the_token_is_read_for_each_call(cluster: Cluster) -> None:
    cluster.make(NAME)
    store = IdentitySecret(api_of(cluster), NAME)
    cluster.token = "the next one"
    with pytest.raises(ConfigError, match="401"):
        store.load()
    (cluster.account / "token").write_text("the next one")
    assert store.load() is None


@pytest.mark.parametrize("name", ["../configmaps/x", "a/b", "A", "", "x" * 300])
def test_a_name_is_no_path(cluster: Cluster, name: str) -> None:
    with pytest.raises(ClusterError, match="is not a valid name"):
        api_of(cluster).secret(name)
    assert cluster.asked == []


def test_nobody_who_answers_is_waited_for_for_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "SECONDS", 0.05)
    import socket  # noqa: PLC0415 - for a server that says nothing

    with running_cluster(tmp_path / "account") as cluster, socket.create_server(("127.0.0.1", 0)) as silent:
        cluster.port = silent.getsockname()[1]
        with pytest.raises(ClusterError, match="does not answer"):
            api_of(cluster).secret(NAME)


async def test_two_values_are_a_runner_that_keeps_nothing(plane: RunnerPlane, tmp_path: Path) -> None:
    done = await enrolled(plane, IdentityFile(tmp_path / "identity.json"))
    assert done.enrolment is not None
    given = IdentityGiven(done.enrolment.urn, given_text(done))
    for _ in range(2):
        chain = await pull(plane, given)
        assert chain.trouble == ""
    await KeyRotation(given, keys_of(done), Never(), FakeClock()).rotate()
    with pytest.raises(ConfigError, match="read-only"):
        given.change(lambda _found: done)


class Never:
    async def offer_keys(self, signing: object, opening: object) -> None:
        raise AssertionError("a read-only identity offers no keys")


async def test_values_that_are_cut_or_of_another_runner_are_refused_without_a_word_of_them(
    plane: RunnerPlane, tmp_path: Path
) -> None:
    done = await enrolled(plane, IdentityFile(tmp_path / "identity.json"))
    assert done.enrolment is not None
    text, urn = given_text(done).reveal(), done.enrolment.urn
    plain = done.keys.signing.text().reveal()
    for wrong in (text[:-20], text[20:], "", "e30", plain):
        with pytest.raises(ConfigError, match=r"privateKey: is not a (whole|valid) identity") as raised:
            IdentityGiven(urn, Secret(wrong)).load()
        assert text[40:80] not in str(raised.value)
    with pytest.raises(ConfigError, match="urn: is not the name"):
        IdentityGiven(urn[:-1] + "x", Secret(text)).load()


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({}, IdentityFile),
        ({"identitySecret": "berlin"}, IdentitySecret),
        ({"urn": "u", "privateKey": "k"}, IdentityGiven),
    ],
)
def test_the_place_of_an_identity_follows_the_options(
    tmp_path: Path, options: dict[str, str], kind: type[object]
) -> None:
    (tmp_path / "config.yaml").write_text(json.dumps(options))
    environment = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}
    assert type(store_of(load({}, str(tmp_path)).config, environment)) is kind


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"urn": "u"}, "go together"),
        ({"privateKey": "k"}, "go together"),
        ({"urn": "u", "privateKey": "k", "identitySecret": "s"}, "a privateKey as well"),
        ({"identitySecret": "s"}, "this is not a pod of Kubernetes"),
    ],
)
def test_half_an_identity_and_two_of_them_are_refused(tmp_path: Path, options: dict[str, str], words: str) -> None:
    (tmp_path / "config.yaml").write_text(json.dumps(options))
    with pytest.raises(ConfigError, match=words):
        store_of(load({}, str(tmp_path)).config, {})


def test_credentials_are_read_from_a_secret_each_time(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "SERVICE_ACCOUNT", cluster.account)
    source = CredentialSource(secret=("crm", "crm.json"))
    cluster.make("crm", {"crm.json": json.dumps(BASIC).encode()})
    assert read_credentials(source, cluster.environment)["crm"] == Secret("canary-password")
    cluster.make("crm", {"other.json": b""})
    with pytest.raises(CredentialsError, match=r"Secret crm has no key crm.json"):
        read_credentials(source, cluster.environment)
    cluster.make("crm", {"crm.json": b'{"auth_type": "Basic Auth", "credentials": "canary-password"}'})
    with pytest.raises(CredentialsError, match=r"Secret crm, key crm.json is not a valid file") as raised:
        read_credentials(source, cluster.environment)
    assert "canary" not in str(raised.value)
    forbid(cluster)
    with pytest.raises(CredentialsError, match="403"):
        read_credentials(source, cluster.environment)
    with pytest.raises(CredentialsError, match="not a pod of Kubernetes"):
        read_credentials(source, {})
