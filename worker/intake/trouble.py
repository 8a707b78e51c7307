"""Sentences on why an exchange with the control plane came to nothing: what was seen, whose fault it is, and the cure.

None repeats an exception's own text, which may hold the proxy's URL with its credentials.
"""

from __future__ import annotations

import os
import socket
import ssl

import aiohttp

from worker.egress.proxy import Proxy
from worker.outcome import tls

_BY_STATUS = {
    301: "a redirect: the intake URL is probably not the control plane's own",
    302: "a redirect: the intake URL is probably not the control plane's own, or a login page stands before it",
    307: "a redirect: the intake URL is probably not the control plane's own",
    308: "a redirect: the intake URL is probably not the control plane's own",
    400: "something between worker and control plane did not understand the request",
    401: (
        "the control plane does not accept accessKey, secretAccessKey or id, and its log says which: is the config file another"
        " location's, or has a rotation ended it (`location rotate` makes a new one)? Or a proxy asks for credentials"
    ),
    403: "a proxy or firewall refused the request",
    404: "nothing answers to this path: is the intake URL right?",
    413: "a proxy in between limits the size of requests",
    429: "a proxy in between limits the rate of requests",
    502: "a proxy cannot reach the control plane",
    503: "the control plane or a proxy before it is overloaded or starting",
    504: "a proxy waited for the control plane in vain",
}


def likely_cause(status: int, proxy: Proxy | None = None) -> str:
    """A guess for people at why a reply carries no valid signature."""
    if status == 407:
        return f"{_called(proxy)} asks for credentials: {_LOGIN}"
    return _BY_STATUS.get(status, "no control plane of this location signed this reply")


def of_exchange_error(error: Exception, host: str, proxy: Proxy | None) -> str:
    """The trouble that kept an exchange with *host*, through *proxy* where there is one, from having a reply."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return _of_handshake(error.certificate_error, _peer(error, host, proxy))
        case aiohttp.ClientConnectorSSLError():
            return _of_handshake(error.os_error, _peer(error, host, proxy))
        case aiohttp.ClientConnectorDNSError():
            return _unresolved(_peer(error, host, proxy))
        case aiohttp.ClientProxyConnectionError(os_error=socket.gaierror()):
            return _unresolved(_called(proxy))
        case aiohttp.ClientProxyConnectionError():
            return f"{_called(proxy)} cannot be reached: {_said(error)}"
        case aiohttp.ClientHttpProxyError():
            return _of_refused_tunnel(error.status, host, proxy)
        case aiohttp.ClientConnectorError():
            return f"cannot connect to {host}: {_said(error)}"
        case aiohttp.ServerDisconnectedError():
            return f"{host} closed the connection without a reply"
        case ValueError():
            return f"{host} sent {error}"
    return f"the exchange with {host} failed: {type(error).__name__}"


_LOGIN = "set them in the option proxy, http://USER:PASSWORD@HOST:PORT"


def _of_refused_tunnel(status: int, host: str, proxy: Proxy | None) -> str:
    if status == 407:
        return f"{_called(proxy)} asks for credentials, HTTP 407: {_LOGIN}"
    if status in (403, 405):
        return f"{_called(proxy)} does not allow CONNECT to {host}, HTTP {status}: its rules must allow that"
    return f"{_called(proxy)} makes no tunnel to {host}, HTTP {status}: can it reach the control plane?"


def _called(proxy: Proxy | None) -> str:
    return "a proxy" if proxy is None else f"the proxy {proxy}"


def _peer(error: aiohttp.ClientConnectorError, host: str, proxy: Proxy | None) -> str:
    """The peer that was being connected to: behind a proxy that is the proxy first."""
    if proxy is not None and (error.host, error.port) == (str(proxy.host), proxy.port):
        return _called(proxy)
    return host


def _unresolved(peer: str) -> str:
    return f"the name of {peer} cannot be resolved by this machine's own resolver (/etc/resolv.conf): is it right?"


def _of_handshake(error: Exception, peer: str) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return tls.certificate_fault(error.verify_code, error.verify_message, peer)
    reason = getattr(error, "reason", None)
    if reason is None:
        return f"{peer} closed the connection during the TLS handshake"
    return tls.handshake_fault(str(reason), peer)


def _said(error: aiohttp.ClientConnectorError) -> str:
    number = error.os_error.errno or 0
    return os.strerror(number) if number > 0 else error.strerror or type(error.os_error).__name__
