"""Identities of runners as an enrolment leaves them, with the root and the signing key of their control plane."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from worker.actionrunner import identity as identities
from worker.actionrunner.identity import Enrolment, KeptIdentity
from worker.wire import keys, signingkey
from worker.wire.keys import PrivateKey
from worker.wire.keyset import KeyEntry, Keyset, write_keyset
from worker.wire.signingkey import SigningKey

URN = "urn:pl:actions:runner:local:1:8d5f6a0e-1b2c-4d3e-8f90-a1b2c3d4e5f6"
BASE_URL = "http://127.0.0.1:8080"


@dataclass(frozen=True, kw_only=True)
class Authorities:
    """The keys of a control plane towards its runners."""

    root: SigningKey
    signing: SigningKey
    results: PrivateKey
    keyset: Keyset


def authorities(*, seq: int = 1) -> Authorities:
    root, signing, results = signingkey.generate("Ed25519"), signingkey.generate("Ed25519"), keys.generate("x25519")
    start = datetime(2020, 1, 1, tzinfo=UTC)
    entry = KeyEntry(key=signing.public, not_before=start, expires=start + timedelta(days=36_500))
    keyset = write_keyset(root, org=1, seq=seq, entries=[entry], results_key=results.public)
    return Authorities(root=root, signing=signing, results=results, keyset=keyset)


def enrolled_identity(of: Authorities | None = None) -> KeptIdentity:
    found = of or authorities()
    return KeptIdentity(
        token="token-1",
        base_url=BASE_URL,
        keys=identities.new_keys(),
        enrolment=Enrolment(
            root=found.root.public,
            urn=URN,
            org=1,
            name="berlin",
            modes=("pull",),
            host=None,
            keyset=found.keyset,
            instances=1,
        ),
    )
