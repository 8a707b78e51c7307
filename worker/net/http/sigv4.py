"""AWS Signature Version 4 of the requests of a test: which fields are signed, and in whose name. The rules are in `wire.sigv4`.

Every hop to the origin is signed anew. Signed are Host, Content-Type and all X-Amz- fields, as little as Amazon accepts: what a
proxy on the way may change is not among them. Region and service are the test's, else what the host's name says of them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from worker.net.http.fields import OWS, Fields, first_value
from worker.net.http.outgoing import Flow, Outgoing
from worker.secret import Secret
from worker.wire import sigv4
from worker.wire.sigv4 import Scheme, Scope

DEFAULT_REGION: Final = "us-east-1"
DEFAULT_SERVICE: Final = "execute-api"
"""API Gateway, which is what stands behind a name of one's own."""

_AMAZON = (".amazonaws.com", ".amazonaws.com.cn")
_LAMBDA = ".on.aws"
_REGION_FIRST = frozenset({"es", "aoss", "s3"})
"""Services whose hosts are named `NAME.REGION.SERVICE.amazonaws.com`."""
_MADE_BY_SIGNING = frozenset({"x-amz-date", "x-amz-security-token", "x-amz-content-sha256"})


class SigV4Credentials(Struct, frozen=True, kw_only=True):
    """A key pair of Amazon's; *session_token* where it is a temporary one. An empty *region* or *service* is the host's."""

    access_key: Secret[str]
    secret_key: Secret[str]
    session_token: Secret[str] | None = None
    region: str = ""
    service: str = ""

    def flow(self, outgoing: Outgoing, now: datetime) -> Flow:
        """One request, in which the signature's own fields replace the author's."""
        kept = tuple(field for field in outgoing.headers if field[0].lower() not in _MADE_BY_SIGNING)
        bare = replace(outgoing, headers=kept)
        yield replace(bare, authorization=self.signed(bare, now))

    def signed(self, outgoing: Outgoing, now: datetime) -> Fields:
        """The fields that sign *outgoing* at the time *now*."""
        named_service, named_region = place_of(outgoing.target.host)
        scheme = _scheme(self.service or named_service or DEFAULT_SERVICE)
        moment, content = sigv4.timestamp(now), sigv4.sha256_hex(outgoing.body or b"")
        scope = Scope(day=moment[:8], region=self.region or named_region or DEFAULT_REGION)
        made = [(scheme.date_header, moment)]
        if _is_s3(scheme):
            made.append((scheme.content_header, content))
        if self.session_token is not None:
            made.append(("X-Amz-Security-Token", self.session_token.reveal()))
        headers = (*_signed_fields(outgoing), *made)
        canonical = sigv4.canonical_request_as_is if _is_s3(scheme) else sigv4.canonical_request
        text = sigv4.string_to_sign(
            scheme, scope, moment, canonical(outgoing.method, outgoing.target.path, headers, content)
        )
        signature = sigv4.signature(sigv4.signing_key(scheme, scope, self.secret_key), text)
        _, names = sigv4.canonical_headers(headers)
        credential = f"{self.access_key.reveal()}/{scope.text(scheme)}"
        value = f"{scheme.algorithm} Credential={credential}, SignedHeaders={names}, Signature={signature}"
        return (*made, ("Authorization", value))


def place_of(host: str) -> tuple[str, str]:
    """The service and the region that a host of Amazon's names; "" for what it does not say."""
    if host.endswith(_LAMBDA):
        labels = host.removesuffix(_LAMBDA).split(".")
        return ("lambda", labels[-1]) if labels[-2:-1] == ["lambda-url"] else ("", "")
    suffix = next((each for each in _AMAZON if host.endswith(each)), None)
    if suffix is None:
        return "", ""
    labels = host.removesuffix(suffix).split(".")
    if labels[-1] in _REGION_FIRST:
        return labels[-1], labels[-2] if len(labels) > 1 and labels[-1] != "s3" else ""
    return (labels[-2], labels[-1]) if len(labels) > 1 else (labels[-1], "")


def _scheme(service: str) -> Scheme:
    return Scheme(
        algorithm="AWS4-HMAC-SHA256",
        key_prefix="AWS4",
        service=service,
        terminator="aws4_request",
        header_prefix="X-Amz-",
    )


def _is_s3(scheme: Scheme) -> bool:
    return scheme.service == "s3" or scheme.service.startswith("s3-")


def _signed_fields(outgoing: Outgoing) -> list[tuple[str, str]]:
    """Those of the fields that will be sent by which Amazon recognises the request."""
    written = [(name, value.strip(OWS)) for name, value in outgoing.headers]
    signed = [field for field in written if field[0].lower().startswith("x-amz-")]
    signed.append(("Host", first_value(tuple(written), "host") or outgoing.target.authority))
    content_type = first_value(tuple(written), "content-type")
    if content_type is None and outgoing.body is not None:
        content_type = outgoing.content_type
    if content_type is not None:
        signed.append(("Content-Type", content_type))
    return signed
