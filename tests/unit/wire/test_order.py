"""The signed task: what is signed is what is carried, and every tampered twin is refused with the code of its check."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from worker.wire import compact, jws, order, signingkey
from worker.wire.order import OrderedBy, TaskError, TaskFault, TaskOrder

KEY, STRANGER = signingkey.generate("Ed25519"), signingkey.generate("Ed25519")


def task(**changes: Any) -> TaskOrder:
    facts: dict[str, Any] = {
        "task": "5f0c5e0e-0b0e-4b4e-8d0c-0d9a3f1d2c3b",
        "run": "9f0c5e0e-0b0e-4b4e-8d0c-0d9a3f1d2c3b",
        "org": 1,
        "aud": "urn:pl:actions:runner:local:1:5f0c5e0e-0b0e-4b4e-8d0c-0d9a3f1d2c3b",
        "action": "http.request",
        "connection": "crm",
        "input": {"verb": "GET", "url": "/v1/customers/7"},
        "client": "cli",
        "by": OrderedBy(kind="user", id="alice"),
        "iat": 1_767_323_045_000,
        "exp": 1_767_323_345_000,
        "timeout_ms": 60_000,
    }
    return TaskOrder(**facts | changes)


def opened(token: str) -> TaskOrder:
    return order.open_task(order.read_form(token), KEY.public).task


def test_a_task_opens_as_it_was_signed() -> None:
    token = order.sign(task(select=".body", step="one"), KEY)
    assert opened(token) == task(select=".body", step="one")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(max_size=10), json_values, max_size=5))
def test_any_input_of_json_survives(arguments: dict[str, Any]) -> None:
    assert opened(order.sign(task(input=arguments), KEY)).input == arguments


def test_the_signature_is_the_curves_over_the_bytes_that_are_carried() -> None:
    """RFC 8037 section 3.1, without a JOSE library."""
    token = order.sign(task(), KEY)
    x = KEY.public.members()["x"]
    raw = base64.urlsafe_b64decode(x + "=" * (-len(x) % 4))
    signed, _, signature = token.rpartition(".")
    Ed25519PublicKey.from_public_bytes(raw).verify(compact.decode(signature.encode()), signed.encode())


def header_of(**changes: Any) -> Callable[[str], str]:
    """Sign the same payload under a header with *changes*; None leaves a member out."""

    def spoil(token: str) -> str:
        payload = token.split(".")[1]
        members = {"alg": "Ed25519", "typ": "pl-task", "kid": KEY.kid} | changes
        kept = {name: value for name, value in members.items() if value is not None}
        return f"{compact.encode(json.dumps(kept).encode()).decode()}.{payload}.{token.split('.')[2]}"

    return spoil


def claims(**changes: Any) -> Callable[[str], str]:
    """The same task with other claims, signed with the right key by somebody careless; None leaves a claim out."""

    def spoil(token: str) -> str:
        good = json.loads(compact.decode(token.split(".")[1].encode())) | changes
        kept = {name: value for name, value in good.items() if value != "absent"}
        return jws.sign(json.dumps(kept).encode(), KEY, typ=order.TASK)

    return spoil


def payload_of(data: bytes) -> Callable[[str], str]:
    return lambda _token: jws.sign(data, KEY, typ=order.TASK)


def unsigned(**changes: Any) -> Callable[[str], str]:
    """Other claims under the old signature."""

    def spoil(token: str) -> str:
        head, payload, signature = token.split(".")
        changed = json.loads(compact.decode(payload.encode())) | changes
        return f"{head}.{compact.encode(json.dumps(changed).encode()).decode()}.{signature}"

    return spoil


def deep(levels: int) -> dict[str, Any]:
    found: Any = 1
    for _ in range(levels):
        found = {"a": found}
    return {"a": found}


BAD, SIGNATURE = TaskFault.BAD_TASK, TaskFault.SIGNATURE
TWINS: dict[str, tuple[Callable[[str], str], TaskFault]] = {
    "empty": (lambda _: "", BAD),
    "two segments": (lambda token: token.rpartition(".")[0], BAD),
    "four segments": (lambda token: token + ".e30", BAD),
    "five segments": (lambda token: token + ".e30.e30", BAD),
    "padded": (lambda token: token + "=", BAD),
    "standard alphabet": (lambda token: token.replace("-", "+").replace("_", "/") + "+", BAD),
    "a blank": (lambda token: token.replace(".", ". ", 1), BAD),
    "a line break": (lambda token: token + "\n", BAD),
    "not ascii": (lambda token: token + "é", BAD),
    "stray bits": (lambda token: token[:-1] + ("B" if token[-1] != "B" else "C"), BAD),
    "no signature": (lambda token: token.rpartition(".")[0] + ".", BAD),
    "short signature": (lambda token: token[:-4], BAD),
    "long signature": (lambda token: token + "AAAA", BAD),
    "alg none": (header_of(alg="none"), BAD),
    "alg HS256": (header_of(alg="HS256"), BAD),
    "alg EdDSA": (header_of(alg="EdDSA"), BAD),
    "alg ES256": (header_of(alg="ES256"), BAD),
    "alg in another case": (header_of(alg="ed25519"), BAD),
    "alg a list": (header_of(alg=["Ed25519"]), BAD),
    "no alg": (header_of(alg=None), BAD),
    "typ of an app token": (header_of(typ="pl-app"), BAD),
    "typ of a reply": (header_of(typ="pl-reply"), BAD),
    "typ JWT": (header_of(typ="JWT"), BAD),
    "no typ": (header_of(typ=None), BAD),
    "no kid": (header_of(kid=None), BAD),
    "kid a number": (header_of(kid=7), BAD),
    "kid empty": (header_of(kid=""), BAD),
    "kid very long": (header_of(kid="k" * 300), BAD),
    "crit": (header_of(crit=["exp"]), BAD),
    "b64 false": (header_of(b64=False), BAD),
    "jwk brought along": (header_of(jwk=STRANGER.public.members()), BAD),
    "jku": (header_of(jku="https://evil.example/keys"), BAD),
    "x5u": (header_of(x5u="https://evil.example/cert"), BAD),
    "cty": (header_of(cty="JWT"), BAD),
    "zip": (header_of(zip="DEF"), BAD),
    "unknown kid": (header_of(kid=STRANGER.kid), TaskFault.SIGNATURE_KEY_NOT_FOUND),
    "another action": (unsigned(action="script.runPredefinedScript"), SIGNATURE),
    "another input": (unsigned(input={"verb": "DELETE", "url": "/"}), SIGNATURE),
    "another connection": (unsigned(connection="other"), SIGNATURE),
    "another runner": (unsigned(aud="urn:pl:actions:runner:local:1:x"), SIGNATURE),
    "a later end": (unsigned(exp=1_767_323_445_000), SIGNATURE),
    "another caller": (unsigned(by={"kind": "user", "id": "root"}), SIGNATURE),
    "another run": (unsigned(run="x"), SIGNATURE),
    "a longer limit": (unsigned(timeout_ms=3_000_000), SIGNATURE),
    "a select": (unsigned(select="."), SIGNATURE),
    "one more claim": (unsigned(admin=True), SIGNATURE),
    "the same claims in other bytes": (unsigned(), SIGNATURE),
    "another version": (claims(v=2), BAD),
    "no version": (claims(v="absent"), BAD),
    "no task": (claims(task="absent"), BAD),
    "an empty task": (claims(task=""), BAD),
    "a task with a blank": (claims(task="a b"), BAD),
    "no input": (claims(input="absent"), BAD),
    "an input that is a list": (claims(input=[1]), BAD),
    "an input that is a text": (claims(input="x"), BAD),
    "an action with a slash": (claims(action="http/request"), BAD),
    "an action that begins with a dot": (claims(action=".request"), BAD),
    "an unknown client": (claims(client="app"), BAD),
    "no caller": (claims(by="absent"), BAD),
    "a caller with more": (claims(by={"kind": "user", "id": "a", "admin": True}), BAD),
    "org a text": (claims(org="1"), BAD),
    "org negative": (claims(org=-1), BAD),
    "iat a text": (claims(iat="1767323045000"), BAD),
    "exp before iat": (claims(exp=1_767_323_044_999), BAD),
    "exp after a day": (claims(exp=1_767_323_045_000 + 86_400_001), BAD),
    "no limit": (claims(timeout_ms=0), BAD),
    "a limit of two hours": (claims(timeout_ms=7_200_000), BAD),
    "an empty connection": (claims(connection=""), BAD),
    "an empty select": (claims(select=""), BAD),
    "a very deep input": (claims(input=deep(70)), BAD),
    "not JSON": (payload_of(b"{"), BAD),
    "a list": (payload_of(b"[]"), BAD),
    "not UTF-8": (payload_of(b'{"v":1,"task":"\xff"}'), BAD),
    "nested without end": (payload_of(b'{"v":1,"step":"","input":' + b"[" * 5000 + b"}"), BAD),
}


def _read(token: str) -> TaskOrder:
    form = order.read_form(token)
    return order.open_task(form, KEY.public if form.kid == KEY.kid else None).task


@pytest.mark.parametrize("name", TWINS)
def test_a_tampered_twin_is_refused_with_the_code_of_its_check(name: str) -> None:
    spoil, wanted = TWINS[name]
    token = spoil(order.sign(task(), KEY))
    with pytest.raises(TaskError) as refused:
        _read(token)
    assert refused.value.code is wanted


def test_there_are_sixty_twins() -> None:
    assert len(TWINS) >= 60


def test_a_kid_that_names_another_key_is_no_signature_of_it() -> None:
    token = jws.sign(order.sign(task(), KEY).split(".")[1].encode(), STRANGER, typ=order.TASK)
    with pytest.raises(TaskError) as refused:
        order.open_task(order.read_form(token), KEY.public)
    assert refused.value.code is SIGNATURE


@pytest.mark.parametrize(
    "changes",
    [{"input": {"x": "y" * 262_144}}, {"exp": 0}, {"timeout_ms": 0}, {"action": "a b"}, {"input": deep(70)}],
    ids=["input", "exp", "timeout", "action", "depth"],
)
def test_what_no_runner_would_read_is_not_signed(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"not a valid task|larger|nested|exp"):
        order.sign(task(**changes), KEY)
