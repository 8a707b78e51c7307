"""Failures of the way to a target, as the reference system's codes and a sentence for the engineer who is on call.

Foreign exceptions (OSError, ssl), time-outs and refusals of name servers are put into words here, once. What is wrong with
this machine (no file descriptors, no ports) is INTERNAL_ERROR: trouble of the probe is never reported as trouble of the
target. No text names an address that the policy refused.
"""

from __future__ import annotations

import errno
import re
import ssl

from worker.errors import SyntheticsError
from worker.outcome import tls
from worker.outcome.failure import Failure, FailureCode

_WORDS = re.compile(r"\[SSL\] ([a-z0-9 ]+) \(_ssl\.c:")
"""A reason without a name as Python tells it: `[SSL] tlsv1 alert no application protocol (_ssl.c:1006)`."""

_REFUSED = "the connection was refused: nothing listens there, or a firewall rejects it"
_RESET = "the peer reset the connection"
_NO_HOST = "no route to the host: it is down, or a router or firewall says it cannot be reached"
_NO_NETWORK = "no route to that network from here"
_NO_ANSWER = "no answer before the time-out"

_BY_ERRNO = {
    errno.ECONNREFUSED: (FailureCode.CONNREFUSED, _REFUSED),
    errno.ECONNRESET: (FailureCode.CONNRESET, _RESET),
    errno.ECONNABORTED: (FailureCode.CONNRESET, _RESET),
    errno.EPIPE: (FailureCode.CONNRESET, _RESET),
    errno.EHOSTUNREACH: (FailureCode.HOSTUNREACH, _NO_HOST),
    errno.EHOSTDOWN: (FailureCode.HOSTUNREACH, _NO_HOST),
    errno.ENETUNREACH: (FailureCode.NETUNREACH, _NO_NETWORK),
    errno.ENETDOWN: (FailureCode.NETUNREACH, _NO_NETWORK),
    errno.EAFNOSUPPORT: (FailureCode.NETUNREACH, "this machine does not speak that address family"),
    errno.ETIMEDOUT: (FailureCode.TIMEOUT, _NO_ANSWER),
    errno.EACCES: (FailureCode.INTERNAL_ERROR, "a firewall of this machine forbids the connection"),
    errno.EPERM: (FailureCode.INTERNAL_ERROR, "a firewall of this machine forbids the connection"),
    errno.EMFILE: (FailureCode.INTERNAL_ERROR, "the worker has no file descriptor left"),
    errno.ENFILE: (FailureCode.INTERNAL_ERROR, "this machine has no file descriptor left"),
    errno.ENOBUFS: (FailureCode.INTERNAL_ERROR, "this machine has no network buffers left"),
    errno.ENOMEM: (FailureCode.INTERNAL_ERROR, "this machine has no memory left"),
    errno.EADDRNOTAVAIL: (FailureCode.INTERNAL_ERROR, "this machine has no local address or port for the connection"),
}


class DoorError(SyntheticsError):
    """No way to the target. *failure* is what the result will carry."""

    def __init__(self, failure: Failure) -> None:
        self.failure = failure
        super().__init__(failure.message)


def door_error(code: FailureCode, message: str) -> DoorError:
    return DoorError(Failure(code, message))


def of_os_error(error: OSError, peer: str) -> Failure:
    """An error of the kernel about *peer* ("10.0.0.1:443", as it may be printed)."""
    known = _BY_ERRNO.get(error.errno or 0)
    if known is not None:
        code, text = known
    elif isinstance(error, ConnectionError):
        code, text = FailureCode.CONNRESET, _RESET
    elif isinstance(error, TimeoutError):
        code, text = FailureCode.TIMEOUT, _NO_ANSWER
    else:
        code, text = FailureCode.UNKNOWN, error.strerror or type(error).__name__
    return Failure(code, f"{peer}: {text}")


def of_handshake_error(error: OSError, peer: str) -> Failure:
    """A TLS handshake that did not end well; *peer* is the name that the certificate should bear."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return Failure(FailureCode.SSL, tls.certificate_fault(error.verify_code, error.verify_message, peer))
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
        reason = _reason(error)
        return Failure(FailureCode.SSL, tls.handshake_fault(reason, peer))
    if isinstance(error, ssl.SSLEOFError | ConnectionError):
        return Failure(FailureCode.CONNRESET, f"{peer} closed the connection during the TLS handshake")
    return of_os_error(error, peer)


_MISSING = {
    "dns": "the answer of the name servers",
    "proxy": "the tunnel through the proxy",
    "tcp": "the connection to be accepted",
    "ssl": "the TLS handshake to end",
    "handshake": "the TLS handshake to end",
}


def interrupted(peer: str) -> Failure:
    """The caller gave up, by its own limit or otherwise, while *peer* was being connected to."""
    return Failure(FailureCode.TIMEOUT, f"{peer}: no answer before the test's time was over")


def no_answer_within(seconds: float) -> str:
    """The words for every limit of ours that was over, to a thousandth of a second."""
    return f"no answer within {round(seconds, 3):g} s"


def out_of_time(seconds: float, phase: str | None) -> Failure:
    """The test's own limit of *seconds* was over while *phase*, one of the door's, was running (`Recorder.latest`)."""
    return still_waiting(seconds, _MISSING.get(phase or "", "the connection"))


def still_waiting(seconds: float, missing: str) -> Failure:
    """The test's own limit of *seconds* was over before *missing* came."""
    return Failure(FailureCode.TIMEOUT, f"{no_answer_within(seconds)}, waiting for {missing}")


def _reason(error: ssl.SSLError) -> str:
    """OpenSSL's name for it, made of its words where Python's table lacks it; errors that Python raises by itself have none."""
    named = getattr(error, "reason", None)
    if named is None and (words := _WORDS.match(str(error.args[-1] if error.args else ""))) is not None:
        named = words[1].upper().replace(" ", "_")
    return named or "UNKNOWN"


def of_broken_connection(error: Exception, waiting_for: str) -> Failure:
    """A connection that was open and broke; *waiting_for* says what was still to come."""
    if isinstance(error, ssl.SSLError):
        reason = _reason(error)
        return Failure(FailureCode.SSL, f"waiting for {waiting_for}: TLS failed ({reason}){tls.hint(reason)}")
    if isinstance(error, OSError):
        return of_os_error(error, f"waiting for {waiting_for}")
    return Failure(FailureCode.INTERNAL_ERROR, f"waiting for {waiting_for}: {type(error).__name__} in the worker")


def unresolved(hostname: str, code: str, reason: str) -> Failure:
    """A look-up of *hostname* that led to nothing; *code* as resolvers name it (c-ares, node)."""
    return Failure(FailureCode.DNS, f"the DNS resolution of hostname {hostname} failed ({code}): {reason}")


_RCODES = {
    "NXDOMAIN": ("ENOTFOUND", "it does not exist"),
    "SERVFAIL": ("ESERVFAIL", "the server could not find out"),
    "REFUSED": ("EREFUSED", "the server refuses to answer"),
}


def of_rcode(hostname: str, rcode: str, server: str) -> Failure:
    """An answer of *server* whose *rcode* says that the look-up of *hostname* failed."""
    code, meaning = _RCODES.get(rcode, (rcode, "the server cannot answer that"))
    return unresolved(hostname, code, f"{meaning}, says {server}")
