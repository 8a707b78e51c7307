"""Makes app.json: app tokens and proofs of answers, and their tampered twins.

This is an implementation of its own, over that of the runner's and the envelope's vectors; it uses nothing from `worker`. A twin
is a good token changed after it was made, or one "signed so": it opens, its signature holds, and it is refused all the same.
"""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives.keywrap import aes_key_wrap

from tests.vectors.envelope_cases import agree, fixed, header_for, seal
from tests.vectors.runner_cases import (
    INSTANCE,
    NOW,
    RUNNER,
    RUNNER_KEY,
    SIGNING,
    STRANGER,
    UNKNOWN_SIGNING,
    URN,
    WARNING,
    Case,
    Key,
    Members,
    digest,
    encode,
    flipped,
    jws,
    named,
    without,
)

INPUT = '{"params":{"id":7},"salt":"AAAAAAAAAAAAAAAAAAAAAA"}'
ORIGIN = "https://cp.example.com"


def claims(**changes: Any) -> dict[str, Any]:
    made = {
        "v": 1,
        "org": 1,
        "aud": URN,
        "ins": INSTANCE,
        "jti": "7d0f7a52-3a9c-4a55-9a0e-2f1d3c4b5a60",
        "iat": NOW * 1000,
        "exp": NOW * 1000 + 60_000,
        "by": {"kind": "user", "id": "alice@corp.example"},
        "app": "customer-desk",
        "query": "customer",
        "version": 3,
        "action": "postgresql.namedQuery",
        "connection": "crm-db",
        "input": {"query": "customer_by_id", "params": {"id": {"$param": "id"}}},
        "params": {
            "type": "object",
            "properties": {"id": {"type": "integer", "title": "Customer number"}},
            "required": ["id"],
            "additionalProperties": False,
        },
        "select": None,
        "origin": ORIGIN,
        "digest": digest(INPUT.encode()),
        "timeout_ms": 30_000,
    }
    return {**made, **changes}


def sealed(label: str, signed: str, **header: Any) -> str:
    """*signed* in an envelope for the X25519 key."""
    wrapping, epk, _ = agree(label, "ECDH-ES+A256KW", 256)
    cek = fixed(f"{label}: cek", 32)
    head = {**header_for("x25519", **{"typ": "pl-app-token", "loc": URN, **header}), "epk": epk}
    token, _ = seal(label, head, wrapped=aes_key_wrap(wrapping, cek), cek=cek, payload=signed.encode())
    return token


def signed(payload: Members | bytes, *, header: Members | None = None, key: Key = SIGNING) -> str:
    return jws(named(key, "pl-app") if header is None else header, payload, key)


def accepted() -> list[Case]:
    several = claims(ins=None, select=".rows[0]", connection=None, exp=NOW * 1000 + 1)
    return [
        {"name": "a query", "token": sealed("app query", signed(claims())), "claims": claims()},
        {"name": "a runner with several instances", "token": sealed("app several", signed(several)), "claims": several},
    ]


def refused() -> list[Case]:
    head = named(SIGNING, "pl-app")

    def inside(name: str, token: str) -> Case:
        return {"name": name, "token": sealed(f"app twin: {name}", token)}

    def twin(name: str, payload: Members | bytes, *, header: Members | None = None, key: Key = SIGNING) -> Case:
        return inside(f"{name}, signed so", signed(payload, header=header, key=key))

    def outside(name: str, **header: Any) -> Case:
        return {"name": name, "token": sealed(f"app twin: {name}", signed(claims()), **header)}

    good = signed(claims())
    token = sealed("app query", good)
    life = NOW * 1000 + 60_001
    return [
        outside("sealed as another typ", typ="pl-work"),
        outside("sealed for another runner", loc=URN.replace(RUNNER, STRANGER_ID)),
        outside("sealed for a key that is not held", kid="sha256$base64$AAAA"),
        outside("an envelope with a content type", cty="JWT"),
        outside("an envelope of another algorithm", enc="A128GCM"),
        *({"name": f"one bit of segment {n} of the envelope", "token": flipped(token, n)} for n in range(1, 5)),
        {"name": "the signed token without its envelope", "token": good},
        {"name": "an envelope of four segments", "token": token.rpartition(".")[0]},
        {"name": "nothing", "token": ""},
        {"name": "not ASCII", "token": token + "é"},
        inside("nothing inside", ""),
        inside("one bit of the claims", flipped(good, 1)),
        inside("one bit of the signature", flipped(good, 2)),
        inside("two segments", good.rpartition(".")[0]),
        twin("a task in its place", claims(), header=named(SIGNING, "pl-task")),
        twin("alg none", claims(), header={**head, "alg": "none"}),
        twin("alg EdDSA", claims(), header={**head, "alg": "EdDSA"}),
        twin("an unknown header member", claims(), header={**head, "cty": "JWT"}),
        twin("a key by value", claims(), header={"alg": "Ed25519", "typ": "pl-app", "jwk": SIGNING.jwk}),
        twin("an unknown key", claims(), key=UNKNOWN_SIGNING),
        twin("another key under the name of ours", claims(), header=head, key=UNKNOWN_SIGNING),
        twin("the runner's own key", claims(), key=RUNNER_KEY),
        twin("a stranger's key", claims(), key=STRANGER),
        *(twin(f"no {name}", without(claims(), name)) for name in claims() if name != "v"),
        twin("another version", claims(v=2)),
        twin("an unknown claim", claims(scope="*")),
        twin("a life of more than a minute", claims(exp=life)),
        twin("an end before the beginning", claims(exp=NOW * 1000)),
        twin("dates that are texts", claims(iat=str(NOW), exp=str(NOW))),
        twin("a digest in hexadecimal", claims(digest="ab" * 32)),
        twin("an origin with a path", claims(origin=ORIGIN + "/app")),
        twin("any origin", claims(origin="*")),
        twin("an instance that is not one", claims(ins="all")),
        twin("a token id with a line in it", claims(jti="7d0f7a52-3a9c-4a55-9a0e-2f1d3c4b5a6\n")),
        twin("an app with a slash", claims(app="../desk")),
        twin("an input that is a text", claims(input="{}")),
        twin("a schema that is a list", claims(params=[])),
        twin("a caller without a kind", claims(by={"id": "alice"})),
        twin("a time-out of 0", claims(timeout_ms=0)),
        twin("claims that are not JSON", b"{"),
        twin("claims that are a list", b"[]"),
        twin("100 kB", claims(input={"x": "x" * 100_000})),
    ]


STRANGER_ID = "00000000-1b2c-4d3e-8f90-a1b2c3d4e5f6"
BODY = '{"outcome":"succeeded","outputs":{"rows":[]},"task":"7d0f7a52-3a9c-4a55-9a0e-2f1d3c4b5a60","duration_ms":4}'


def proof_of(jti: str, status: int, body: str) -> str:
    text = f"PL2-PROOF\n{jti}\n{status}\n{digest(body.encode())}"
    return encode(RUNNER_KEY.sign(text.encode()))


def answers() -> list[Case]:
    jti = str(claims()["jti"])
    return [
        {"name": "a success", "jti": jti, "status": 200, "body": BODY, "proof": proof_of(jti, 200, BODY)},
        {"name": "a refusal", "jti": jti, "status": 409, "body": "{}", "proof": proof_of(jti, 409, "{}")},
    ]


def refused_answers() -> list[Case]:
    good = answers()[0]
    raw = good["proof"]
    other = STRANGER.sign(b"PL2-PROOF")
    return [
        {**good, "name": "another row", "body": BODY.replace("[]", "[1]")},
        {**good, "name": "another status", "status": 403},
        {**good, "name": "another token", "jti": STRANGER_ID},
        {**good, "name": "one bit of the signature", "proof": flipped(raw, 0)},
        {**good, "name": "a stranger's signature", "proof": encode(other)},
        {**good, "name": "no signature", "proof": ""},
        {**good, "name": "padded", "proof": raw + "=="},
        {**good, "name": "not ASCII", "proof": raw[:-1] + "é"},
    ]


def document() -> dict[str, Any]:
    return {
        "warning": WARNING,
        "now": NOW,
        "urn": URN,
        "input": INPUT,
        "accepted": accepted(),
        "refused": refused(),
        "answers": answers(),
        "refused_answers": refused_answers(),
    }
