"""The content of a location's config file. Its secrets are in that file and, sealed, in the database; nowhere else.

The private half of the job key is in the file alone: if the file is lost, make a new one by a rotation.
"""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass
from typing import Literal

from controlplane.store.locations import Credential
from worker.secret import Secret
from worker.wire import keys
from worker.wire.keys import PrivateKey

KeyKind = Literal["x25519", "rsa4096"]

MAX_SLUG = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFile:
    """A config file that is to be written, and the control plane's part of it."""

    text: Secret[str]
    credential: Credential


def location_id(name: str) -> str:
    """Make an id of a location's name and chance."""
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:MAX_SLUG].strip("-") or "location"
    return f"pl:{slug}-{secrets.token_hex(16)}"


def make(location: str, *, key_kind: KeyKind, intake_url: str) -> NewFile:
    """Make keys and secrets. RSA takes seconds."""
    job_key, results_key = keys.generate(key_kind), keys.generate(key_kind)
    credential = Credential(
        access_key=secrets.token_hex(16),
        secret=Secret(secrets.token_hex(32)),
        jobs_kid=job_key.kid,
        jobs_public_pem=job_key.public.pem,
        results_kid=results_key.kid,
        results_private_pem=results_key.pem,
    )
    return NewFile(text=Secret(_text(location, intake_url, credential, job_key, results_key)), credential=credential)


def _text(location: str, intake_url: str, credential: Credential, job_key: PrivateKey, results_key: PrivateKey) -> str:
    content = {
        "id": location,
        "intakeUrl": intake_url,
        "accessKey": credential.access_key,
        "secretAccessKey": credential.secret.reveal(),
        "privateKey": job_key.pem.reveal(),
        "publicKey": {"pem": results_key.public.pem, "fingerprint": results_key.kid},
    }
    return json.dumps(content, indent=2) + "\n"
