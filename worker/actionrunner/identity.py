"""The identity of a runner: its keys, whom it believes, and the instances that it has had; and the file that keeps it.

The file is replaced as a whole, 0600, and on disk before anything is told to anybody: a runner that is killed at any point starts
with the identity that it had. What is written here is the only copy of the private keys; no message and no log shows them.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal, Protocol

import msgspec

from worker.errors import ConfigError, WireError
from worker.program.file import in_the_way
from worker.secret import Secret
from worker.wire import keys, signingkey
from worker.wire.enrolment import Enrolled, HostText, Mode, Modes, RunnerName, TokenId
from worker.wire.keys import MAX_PEM_CHARACTERS, PrivateKey
from worker.wire.keyset import MAX_KEYSET_BYTES, Keyset, read_keyset
from worker.wire.signingkey import SigningKey, VerifyingKey

MAX_IDENTITY_BYTES = 128 * 1024
MOST_STARTS = 100
"""Instances that the file names: the last confirmed one, and starts since. A control plane that is away for more starts than
this may call the next one a copy."""
MOST_FORMER = 3
"""Opening keys of before; a pull names four."""
MODE = 0o600


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerKeyPairs:
    """*signing* (P-256) proves requests, *opening* (X25519) opens what is sealed for the runner."""

    signing: SigningKey
    opening: PrivateKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """The answer that made the keys a runner's. *root* signs keysets; *instances* may live at a time."""

    root: VerifyingKey
    urn: str
    org: int
    name: str
    modes: tuple[Mode, ...]
    host: str | None
    keyset: Keyset
    instances: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptIdentity:
    """*token* is the id of the enrolment token; *enrolment* is None until that is answered. *next_keys* are those of a rotation.

    *former* are opening keys of before a rotation, the newest first: what they sealed on this disk may still be wanted.
    *starts* are the last confirmed instance and those started since, the oldest first.
    """

    token: str
    base_url: str
    keys: RunnerKeyPairs
    enrolment: Enrolment | None = None
    next_keys: RunnerKeyPairs | None = None
    former: tuple[PrivateKey, ...] = ()
    starts: tuple[str, ...] = ()


def new_keys() -> RunnerKeyPairs:
    return RunnerKeyPairs(signing=signingkey.generate("ES256"), opening=keys.generate("x25519"))


def rotated(identity: KeptIdentity) -> KeptIdentity:
    """The identity after the control plane took its next keys."""
    assert identity.next_keys is not None, "a rotation is under way"
    former = (identity.keys.opening, *identity.former)[:MOST_FORMER]
    return replace(identity, keys=identity.next_keys, next_keys=None, former=former)


def enrolled(identity: KeptIdentity, answer: Enrolled, root: VerifyingKey) -> KeptIdentity:
    """The identity that an answer makes of a pending one. Raises WireError for a keyset that its root did not sign."""
    found = Enrolment(
        root=root,
        urn=answer.urn,
        org=answer.org,
        name=answer.name,
        modes=answer.modes,
        host=answer.host,
        keyset=read_keyset(answer.keyset, root),
        instances=answer.instances,
    )
    return replace(identity, enrolment=found)


def started(identity: KeptIdentity, instance: str) -> KeptIdentity:
    """The identity after a start of *instance*; the confirmed one stays the first."""
    confirmed, since = identity.starts[:1], identity.starts[1:]
    return replace(identity, starts=(*confirmed, *since[-(MOST_STARTS - 2) :], instance))


def confirmed(identity: KeptIdentity, instance: str) -> KeptIdentity:
    """The identity after a signed reply told *instance* its epoch: older starts are history."""
    position = identity.starts.index(instance) if instance in identity.starts else len(identity.starts)
    return replace(identity, starts=(instance, *identity.starts[position + 1 :]))


def there(found: KeptIdentity | None) -> KeptIdentity:
    """An identity that a running runner knows of. Raises ConfigError where it has gone."""
    if found is None:
        raise ConfigError("has gone while the runner was running: restore it", option="identityFile")
    return found


class IdentityStore(Protocol):
    """A place that keeps an identity."""

    place: str
    """The name of the place, for people."""

    @property
    def writable(self) -> bool: ...

    def load(self) -> KeptIdentity | None:
        """Read the identity; None where there is none yet. Raises ConfigError."""
        ...

    def change(self, step: Callable[[KeptIdentity | None], KeptIdentity]) -> KeptIdentity:
        """Replace the identity by what *step* makes of it, kept when this returns. Raises ConfigError."""
        ...

    def keep_old(self) -> None:
        """Put the identity aside, in the place of an older one. Raises ConfigError."""
        ...


class IdentityFile:
    """An identity in a file of its own. One that cannot be written is read all the same, and never changes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.place = f"file {path}"

    @property
    def writable(self) -> bool:
        return os.access(self.path.parent, os.W_OK | os.X_OK) and in_the_way(self.path) is None

    def load(self) -> KeptIdentity | None:
        try:
            with self.path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                data = file.read(MAX_IDENTITY_BYTES + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._error(f"cannot be read: {error.strerror}") from error
        if mode & 0o007:
            raise self._error(f"is open to every user of the machine (mode {mode & 0o777:04o}): chmod 600 it")
        return read(data, option="identityFile", place=self.place)

    def change(self, step: Callable[[KeptIdentity | None], KeptIdentity]) -> KeptIdentity:
        try:
            with self._locked():
                changed = step(self.load())
                self._write(encode(changed))
        except OSError as error:
            raise self._error(f"cannot be written: {error.strerror}") from error
        return changed

    def keep_old(self) -> None:
        """Put the identity aside as NAME.old, in the place of an older one. Raises ConfigError."""
        try:
            self.path.replace(self.path.with_name(f"{self.path.name}.old"))
        except OSError as error:
            raise self._error(f"cannot be put aside: {error.strerror}") from error

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Read and write as one step, as two instances may start together. The directory is the lock: the file is replaced."""
        descriptor = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # held for the milliseconds of one write
            yield
        finally:
            os.close(descriptor)

    def _write(self, data: bytes) -> None:
        other = in_the_way(self.path)
        if other is not None:
            raise OSError(errno.EEXIST, f"it is {other}, not a regular file")
        partial = self.path.with_name(f"{self.path.name}.part")
        partial.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(partial, flags, MODE), "wb") as file:  # noqa: PTH123 - the flags are the point
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self.path)
        descriptor = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _error(self, reason: str) -> ConfigError:
        return ConfigError(reason, option="identityFile", place=self.place)


def read(data: bytes, *, option: str, place: str) -> KeptIdentity:
    """Read an identity as it is kept at *place*. Raises ConfigError, which quotes nothing of it."""
    if len(data) > MAX_IDENTITY_BYTES:
        raise ConfigError(f"is larger than {MAX_IDENTITY_BYTES} bytes", option=option, place=place)
    try:
        return decode(data)
    except (WireError, msgspec.DecodeError, UnicodeDecodeError) as error:
        reason = "is not a valid identity: restore it, or enrol anew with `enroll --again` and a new token"
        raise ConfigError(f"{reason} ({_without_values(error)})", option=option, place=place) from None


def decode(data: bytes) -> KeptIdentity:
    """Read an identity as it is kept. Raises WireError, msgspec.DecodeError."""
    kept = msgspec.json.decode(data, type=_Kept)
    answer = kept.enrolment
    return KeptIdentity(
        token=kept.token,
        base_url=kept.base_url,
        keys=_pairs(kept.keys),
        enrolment=None if answer is None else _enrolment(answer),
        next_keys=None if kept.next_keys is None else _pairs(kept.next_keys),
        former=tuple(PrivateKey.from_pem(pem) for pem in kept.former),
        starts=kept.starts,
    )


class _KeptKeys(msgspec.Struct, frozen=True, kw_only=True):
    signing: Annotated[str, msgspec.Meta(max_length=1000)]
    opening: Annotated[str, msgspec.Meta(max_length=MAX_PEM_CHARACTERS)]


class _KeptEnrolment(msgspec.Struct, frozen=True, kw_only=True):
    root: dict[str, str]
    urn: str
    org: int
    name: RunnerName
    modes: Modes
    host: HostText | None = None
    keyset: Annotated[str, msgspec.Meta(max_length=MAX_KEYSET_BYTES)]
    instances: int = 1


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    version: Literal[1] = 1
    token: TokenId
    base_url: str
    keys: _KeptKeys
    enrolment: _KeptEnrolment | None = None
    next_keys: _KeptKeys | None = None
    former: Annotated[tuple[str, ...], msgspec.Meta(max_length=MOST_FORMER)] = ()
    starts: Annotated[tuple[str, ...], msgspec.Meta(max_length=MOST_STARTS)] = ()


def encode(identity: KeptIdentity) -> bytes:
    """Write an identity as it is kept."""
    answer = identity.enrolment
    kept = _Kept(
        token=identity.token,
        base_url=identity.base_url,
        keys=_kept(identity.keys),
        enrolment=None if answer is None else _kept_enrolment(answer),
        next_keys=None if identity.next_keys is None else _kept(identity.next_keys),
        former=tuple(key.pem.reveal() for key in identity.former),
        starts=identity.starts,
    )
    return msgspec.json.format(msgspec.json.encode(kept), indent=1) + b"\n"


def _kept(pairs: RunnerKeyPairs) -> _KeptKeys:
    return _KeptKeys(signing=pairs.signing.text().reveal(), opening=pairs.opening.pem.reveal())


def _kept_enrolment(answer: Enrolment) -> _KeptEnrolment:
    return _KeptEnrolment(
        root=answer.root.members(),
        urn=answer.urn,
        org=answer.org,
        name=answer.name,
        modes=answer.modes,
        host=answer.host,
        keyset=answer.keyset.token,
        instances=answer.instances,
    )


def _pairs(kept: _KeptKeys) -> RunnerKeyPairs:
    return RunnerKeyPairs(
        signing=SigningKey.from_text(Secret(kept.signing), "ES256"), opening=PrivateKey.from_pem(kept.opening)
    )


def _enrolment(kept: _KeptEnrolment) -> Enrolment:
    root = VerifyingKey.from_jwk(kept.root, "Ed25519")
    return Enrolment(
        root=root,
        urn=kept.urn,
        org=kept.org,
        name=kept.name,
        modes=kept.modes,
        host=kept.host,
        keyset=read_keyset(kept.keyset, root),
        instances=kept.instances,
    )


def _without_values(error: Exception) -> str:
    """The mistake, without the texts that a parser's error may quote."""
    return str(error).partition(":")[0][:100] if isinstance(error, msgspec.DecodeError) else str(error)[:200]
