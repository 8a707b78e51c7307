"""Makes envelope.json: JWEs by the letter of the RFCs, with every random value fixed and shown, and their tampered twins.

This is an implementation of its own: primitives from `cryptography` (and RSA as arithmetic, because OAEP's seed has to be
fixed), nothing from `worker`. It seals, correctly, what the product refuses to open, so that a refusal is for the header
and not for a tag.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

Header = dict[str, Any]
Case = dict[str, Any]

WARNING = "TEST KEYS. They are published with the source code and protect nothing. Never use them."
LOCATION = "pl:office-0123456789abcdef0123456789abcdef"
PAYLOAD = (
    '{"jobs":[{"job":"j-1","lease":"l-1","lease_ms":15000,"scheduled_at":1767323045000,"start_by":60000,"delivery":1,'
    '"test":{"name":"Café"},"variables":{}}],"more":false,"cancel":[]}'
)
RSA_PEM = (Path(__file__).parent / "test-key-rsa4096.pem").read_text()


def _rsa_key() -> rsa.RSAPrivateKey:
    key = load_pem_private_key(RSA_PEM.encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


RSA = _rsa_key()


def fixed(label: str, size: int) -> bytes:
    """What would be random, as a function of its label."""
    return hashlib.shake_256(f"open private location vectors: {label}".encode()).digest(size)


X25519 = X25519PrivateKey.from_private_bytes(fixed("x25519 key", 32))
STRANGER = X25519PrivateKey.from_private_bytes(fixed("a key that nobody holds", 32))


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def flip(data: bytes, byte: int = 0, bit: int = 0) -> bytes:
    changed = bytearray(data)
    changed[byte] ^= 1 << bit
    return bytes(changed)


def kid(key: rsa.RSAPrivateKey | X25519PrivateKey) -> str:
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return "sha256$base64$" + base64.b64encode(hashlib.sha256(spki).digest()).decode()


def keys() -> list[Case]:
    def case(name: str, key: rsa.RSAPrivateKey | X25519PrivateKey, private_pem: str) -> Case:
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        return {"name": name, "kid": kid(key), "private_pem": private_pem, "public_pem": public}

    pkcs8 = X25519.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return [
        case("x25519", X25519, pkcs8) | {"private_raw_hex": fixed("x25519 key", 32).hex()},
        case("rsa4096", RSA, RSA_PEM[RSA_PEM.index("-----BEGIN") :]),
    ]


def header_for(key: str, **changes: Any) -> Header:
    """The right header (without epk), with *changes*; a change to None takes a name out."""
    right = {
        "alg": "ECDH-ES+A256KW" if key == "x25519" else "RSA-OAEP-256",
        "enc": "A256GCM",
        "kid": kid(X25519) if key == "x25519" else kid(RSA),
        "typ": "pl-jobs",
        "loc": LOCATION,
    }
    return {name: value for name, value in {**right, **changes}.items() if value is not None}


def agree(label: str, alg: str, bits: int, shared: bytes = b"") -> tuple[bytes, Header, Case]:
    """ECDH-ES (RFC 7518 section 4.6, RFC 8037): the key for wrapping, the epk, and the steps between."""
    ephemeral = X25519PrivateKey.from_private_bytes(fixed(f"{label}: ephemeral key", 32))
    shared = shared or ephemeral.exchange(X25519.public_key())
    name = alg.encode()
    other = len(name).to_bytes(4, "big") + name + bytes(8) + bits.to_bytes(4, "big")
    wrapping = hashlib.sha256((1).to_bytes(4, "big") + shared + other).digest()[: bits // 8]
    x = ephemeral.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    steps = {
        "ephemeral_private_hex": fixed(f"{label}: ephemeral key", 32).hex(),
        "shared_secret_hex": shared.hex(),
        "kdf_other_info_hex": other.hex(),
        "wrapping_key_hex": wrapping.hex(),
    }
    return wrapping, {"kty": "OKP", "crv": "X25519", "x": b64(x)}, steps


def oaep(cek: bytes, seed: bytes, digest: str = "sha256") -> bytes:
    """RSAES-OAEP (RFC 8017 section 7.1.1) to the RSA key, with this seed."""
    size = hashlib.new(digest).digest_size
    length = RSA.key_size // 8

    def mask(source: bytes, count: int) -> bytes:
        blocks = range(-(-count // size))
        return b"".join(hashlib.new(digest, source + n.to_bytes(4, "big")).digest() for n in blocks)[:count]

    def xor(one: bytes, two: bytes) -> bytes:
        return bytes(a ^ b for a, b in zip(one, two, strict=True))

    block = hashlib.new(digest, b"").digest() + bytes(length - len(cek) - 2 * size - 2) + b"\x01" + cek
    masked = xor(block, mask(seed, len(block)))
    encoded = b"\x00" + xor(seed, mask(masked, size)) + masked
    public = RSA.public_key().public_numbers()
    return pow(int.from_bytes(encoded, "big"), public.e, public.n).to_bytes(length, "big")


def seal(label: str, header: Header | str, *, wrapped: bytes, cek: bytes, payload: bytes) -> tuple[str, Case]:
    """Content encryption and compact serialization (RFC 7516 section 5.1). A text as *header* is used as it stands."""
    text = header if isinstance(header, str) else json.dumps(header, separators=(",", ":"))
    iv = fixed(f"{label}: iv", 12)
    protected = b64(text.encode())
    if '"zip":"DEF"' in text:
        payload = zlib.compress(payload, wbits=-zlib.MAX_WBITS)
    sealed = AESGCM(cek).encrypt(iv, payload, protected.encode())
    token = ".".join((protected, b64(wrapped), b64(iv), b64(sealed[:-16]), b64(sealed[-16:])))
    return token, {"header": text, "cek_hex": cek.hex(), "iv_hex": iv.hex()}


def seal_x25519(label: str, *, epk: Header | None = None, text: str = "", **changes: Any) -> tuple[str, Case]:
    header = header_for("x25519", **changes)
    bits = 128 if header["alg"] == "ECDH-ES+A128KW" else 256
    small_order = (epk or {}).get("x") == b64(bytes(32))  # whoever accepts it agrees on zero
    wrapping, right_epk, steps = agree(label, header["alg"], bits, bytes(32) if small_order else b"")
    cek = fixed(f"{label}: cek", 16 if header["enc"] == "A128GCM" else 32)
    header["epk"] = {**right_epk, **(epk or {})}
    token, more = seal(
        label,
        text.replace("EPK", json.dumps(right_epk, separators=(",", ":"))) if text else header,
        wrapped=aes_key_wrap(wrapping, cek),
        cek=cek,
        payload=PAYLOAD.encode(),
    )
    return token, steps | more


def seal_rsa(label: str, **changes: Any) -> tuple[str, Case]:
    header = header_for("rsa4096", **changes)
    digest = "sha1" if header["alg"] == "RSA-OAEP" else "sha256"
    seed = fixed(f"{label}: oaep seed", hashlib.new(digest).digest_size)
    cek = fixed(f"{label}: cek", 32)
    token, more = seal(label, header, wrapped=oaep(cek, seed, digest), cek=cek, payload=PAYLOAD.encode())
    return token, {"oaep_seed_hex": seed.hex()} | more


def accepted() -> list[Case]:
    cases = []
    for key, (token, steps) in (("x25519", seal_x25519("x25519")), ("rsa4096", seal_rsa("rsa4096"))):
        cases.append({"name": key, "key": key, "payload": PAYLOAD, **steps, "token": token})
    return cases


def bit_flips(name: str, token: str) -> list[Case]:
    """Twins that differ from a good token in one bit of one decoded segment."""
    header, wrapped, iv, ciphertext, tag = (unb64(segment) for segment in token.split("."))

    def twin(what: str, **changed: bytes) -> Case:
        parts = {"header": header, "wrapped": wrapped, "iv": iv, "ciphertext": ciphertext, "tag": tag, **changed}
        return {"name": f"{name}: one bit of {what}", "token": ".".join(b64(part) for part in parts.values())}

    def in_header(value: str) -> bytes:
        return flip(header, header.index(value.encode()) + len(value) - 1)

    return [
        twin("the header's alg", header=in_header("256" if name == "rsa4096" else "A256K")),
        twin("the header's enc", header=in_header("A256GCM")),
        twin("the header's kid", header=in_header("sha256$base64$")),
        twin("the header's typ", header=in_header("pl-jobs")),
        twin("the header's loc", header=in_header(LOCATION)),
        twin("the header's first byte", header=flip(header)),
        *([twin("the header's epk", header=flip(header, header.index(b'"x":"') + 5))] if name == "x25519" else []),
        twin("the encrypted key", wrapped=flip(wrapped)),
        twin("the initialization vector", iv=flip(iv, 11)),
        twin("the ciphertext", ciphertext=flip(ciphertext, 7, 3)),
        twin("the tag", tag=flip(tag, 15, 7)),
    ]


def other_forms(token: str) -> list[Case]:
    """The same content in spellings that a lenient reader would take."""
    header, wrapped, iv, ciphertext, tag = token.split(".")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    stray = tag[:-1] + alphabet[alphabet.index(tag[-1]) + 1]
    assert unb64(stray) == unb64(tag)
    flattened = {"protected": header, "encrypted_key": wrapped, "iv": iv, "ciphertext": ciphertext, "tag": tag}
    forms = {
        "empty": "",
        "four segments": ".".join((header, wrapped, iv, ciphertext)),
        "six segments": token + ".AA",
        "a line break at the end": token + "\n",
        "padding": f"{token}==",
        "stray bits in the last character of the tag": ".".join((header, wrapped, iv, ciphertext, stray)),
        "the tag cut to 12 bytes": ".".join((header, wrapped, iv, ciphertext, b64(unb64(tag)[:12]))),
        "an initialization vector of 16 bytes": ".".join((header, wrapped, b64(unb64(iv) + bytes(4)), ciphertext, tag)),
        "an encrypted key of 32 bytes": ".".join((header, b64(unb64(wrapped)[:32]), iv, ciphertext, tag)),
        "no encrypted key": ".".join((header, "", iv, ciphertext, tag)),
        "the JSON serialization": json.dumps(flattened),
        "a header that is no object": ".".join((b64(b"[]"), wrapped, iv, ciphertext, tag)),
        "a header that is not UTF-8": ".".join((b64(b"\xff"), wrapped, iv, ciphertext, tag)),
        "a header beyond its bound": ".".join((b64(b" " * 2000 + unb64(header)), wrapped, iv, ciphertext, tag)),
    }
    return [{"name": name, "token": text} for name, text in forms.items()]


def foreign_headers() -> list[Case]:
    """Sealed without a mistake, under a header outside the exact set."""
    x25519: dict[str, dict[str, Any]] = {
        "zip": {"zip": "DEF"},
        "crit": {"crit": ["loc"]},
        "cty": {"cty": "json"},
        "apu": {"apu": ""},
        "a key by value": {"jwk": {"kty": "OKP", "crv": "X25519", "x": b64(fixed("jwk", 32))}},
        "no typ": {"typ": None},
        "no loc": {"loc": None},
        "no kid": {"kid": None},
        "the typ of results": {"typ": "pl-results"},
        "a typ that is no text": {"typ": ["pl-jobs"]},
        "another location": {"loc": "pl:elsewhere"},
        "a key that is not held": {"kid": kid(STRANGER)},
        "a kid that is no text": {"kid": [kid(X25519)]},
        "A128GCM": {"enc": "A128GCM"},
        "ECDH-ES+A128KW": {"alg": "ECDH-ES+A128KW"},
        "the algorithm of another key": {"alg": "RSA-OAEP-256"},
        "an epk with a kid": {"epk": {"kid": "k"}},
        "an epk of another curve": {"epk": {"crv": "X448"}},
        "an epk of another type": {"epk": {"kty": "EC"}},
        "an epk of 31 bytes": {"epk": {"x": b64(bytes(31))}},
        "an epk of small order": {"epk": {"x": b64(bytes(32))}},
        "an epk that is no text": {"epk": {"x": 5}},
    }
    rsa4096: dict[str, dict[str, Any]] = {
        "RSA-OAEP with SHA-1": {"alg": "RSA-OAEP"},
        "an epk beside RSA": {"epk": {"kty": "OKP", "crv": "X25519", "x": b64(fixed("epk", 32))}},
        "the key of another algorithm": {"kid": kid(X25519)},
    }
    right = header_for("x25519")
    twice = json.dumps(right, separators=(",", ":"))[:-1] + f',"loc":"{LOCATION}","epk":EPK}}'
    sealed = [(name, seal_x25519(name, **changes)[0]) for name, changes in x25519.items()]
    sealed += [(name, seal_rsa(name, **changes)[0]) for name, changes in rsa4096.items()]
    sealed.append(("a name twice", seal_x25519("a name twice", text=twice)[0]))
    return [{"name": name, "token": token} for name, token in sealed]


def document() -> Case:
    good = accepted()
    refused = [twin for case in good for twin in bit_flips(case["name"], case["token"])]
    return {
        "warning": WARNING,
        "expected": {"typ": "pl-jobs", "location": LOCATION, "max_bytes": 16 * 1024 * 1024},
        "keys": keys(),
        "accepted": good,
        "refused": refused + other_forms(good[0]["token"]) + foreign_headers(),
    }
