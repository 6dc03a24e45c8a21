"""Endpoints that can listen, made of endpoint strings."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Any

from twisted.internet import tcp, unix
from twisted.internet.defer import Deferred, execute
from twisted.internet.endpoints import (
    AdoptedStreamServerEndpoint,
    TCP4ServerEndpoint,
    TCP6ServerEndpoint,
    serverFromString,
)
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from pixelboot.http.endpoint.certificate import Certificate, Transport
from pixelboot.http.endpoint.pair import Files
from pixelboot.http.endpoint.said import PARAMETERS, Endpoint
from pixelboot.malformed import Malformed

BACKLOG = 1024
"""Connections that may wait in the kernel, where the string says nothing.

With Twisted's 50, a room full of machines that are switched on together would wait: what comes while 50 wait the kernel
drops, and the client tries again after one second, then three, then seven.
"""

_FIXED = {
    "sslmethod": "TLS 1.2 and 1.3 are spoken, and nothing else",
    "dhParameters": "keys are exchanged over elliptic curves",
}
"""What Twisted's ``ssl`` takes and cannot be chosen here, and why not."""


class NotHandedOver(Malformed):
    """A socket that systemd is to hand over is not there."""


@implementer(IStreamServerEndpoint)
class TlsEndpoint:
    """TLS over another endpoint."""

    def __init__(self, inner: IStreamServerEndpoint, certificate: Certificate, reactor: Any) -> None:
        self.certificate = certificate
        self._inner = inner
        self._reactor = reactor

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """As `IStreamServerEndpoint.listen`."""
        factory = TLSMemoryBIOFactory(self.certificate, False, protocolFactory, self._reactor)
        factory.protocol = Transport
        listening: Deferred[IListeningPort] = self._inner.listen(factory)
        return listening


@implementer(IStreamServerEndpoint)
class Ipv6Endpoint:
    """A port at every IPv6 address, and at no IPv4 address.

    The system gives a port at ``::`` those of IPv4, too, unless it is told otherwise before the port is bound; an IPv4
    endpoint of the same port could not be had then.
    """

    def __init__(self, reactor: Any, port: int, backlog: int) -> None:
        self._reactor = reactor
        self._port = port
        self._backlog = backlog

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """As `IStreamServerEndpoint.listen`."""
        return execute(self._listen, protocolFactory)

    def _listen(self, factory: IProtocolFactory) -> IListeningPort:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as opened:
            opened.setblocking(False)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                opened.bind(("::", self._port))
                opened.listen(self._backlog)
            except OSError as problem:
                raise CannotListenError("::", self._port, problem) from None
            listening: IListeningPort = self._reactor.adoptStreamPort(opened.fileno(), socket.AF_INET6, factory)
        return listening


class _KeptPort(unix.Port):
    """A Unix socket whose file is another's to remove."""

    def connectionLost(self, reason: Failure) -> None:
        """Close the socket, and leave its file."""
        tcp.Port.connectionLost(self, reason)


@implementer(IStreamServerEndpoint)
class HandedOverEndpoint:
    """A Unix socket that systemd holds as well, and which is there when this server has ended and for the next one.

    Twisted's own endpoint would remove its file at the end, and nobody could reach the socket any more.
    """

    def __init__(self, reactor: Any, descriptor: int) -> None:
        self._reactor = reactor
        self._descriptor = descriptor

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """As `IStreamServerEndpoint.listen`."""
        return execute(self._listen, protocolFactory)

    def _listen(self, factory: IProtocolFactory) -> IListeningPort:
        os.set_blocking(self._descriptor, False)
        port = _KeptPort._fromListeningDescriptor(self._reactor, self._descriptor, factory)
        port.startListening()
        os.close(self._descriptor)
        listening: IListeningPort = port
        return listening


def make(
    endpoint: Endpoint, others: Sequence[Endpoint], reactor: Any, certificate: Callable[[Files], Certificate]
) -> IStreamServerEndpoint:
    """What listens where the string says, beside the `others`; `certificate` is asked for that of one with TLS.

    :raises Malformed: if it cannot be.
    """
    if endpoint.is_secure:
        found = files(endpoint)
        return TlsEndpoint(_with_port(endpoint, others, reactor), certificate(found), reactor)
    try:
        made: IStreamServerEndpoint = serverFromString(reactor, _with_backlog(endpoint))
    except Exception as problem:  # noqa: BLE001 - endpoints are read by plugins, and each raises what it likes
        if endpoint.kind == "systemd" and isinstance(problem, LookupError):
            raise NotHandedOver("systemd has handed over no such socket") from None
        raise Malformed(f"must be a Twisted endpoint: {problem}") from None
    if isinstance(made, AdoptedStreamServerEndpoint) and made.addressFamily == socket.AF_UNIX:
        return HandedOverEndpoint(reactor, made.fileno)
    return _with_port(endpoint, others, reactor) if _is_to_leave_ipv4(endpoint, others) else made


def files(endpoint: Endpoint) -> Files:
    """The files of an endpoint with TLS; `Malformed` if its string does not name them or has a mistake."""
    parameters = endpoint.parameters
    for name in parameters:
        if name in _FIXED:
            raise Malformed(f"must not have {name}: {_FIXED[name]}")
        if name not in PARAMETERS["ssl"]:
            known = ", ".join(each for each in PARAMETERS["ssl"] if each not in _FIXED)
            raise Malformed(f"must be a Twisted endpoint: ssl has no {name}; there are {known}")
    if endpoint.port is None:
        raise Malformed("must be a Twisted endpoint: ssl begins with a port, like ssl:443")
    if not parameters.get("privateKey"):
        raise Malformed("must name the file of the private key, as privateKey=/etc/pixelboot/key.pem")
    key = os.path.abspath(parameters["privateKey"])
    # The server may go to another folder later.  One file may have both, as with Twisted's own endpoint.
    certificate, chain = (parameters.get(name, "") for name in ("certKey", "extraCertChain"))
    return Files(key, os.path.abspath(certificate) if certificate else key, os.path.abspath(chain) if chain else "")


def _with_backlog(endpoint: Endpoint) -> str:
    """The string, with `BACKLOG` where it says nothing of that."""
    said = "backlog" in endpoint.parameters or "backlog" not in PARAMETERS.get(endpoint.kind, ())
    return endpoint.text if said else f"{endpoint.text}:backlog={BACKLOG}"


def _with_port(endpoint: Endpoint, others: Sequence[Endpoint], reactor: Any) -> IStreamServerEndpoint:
    digits = endpoint.parameters.get("backlog", str(BACKLOG))
    if not (digits.isascii() and digits.isdigit()):
        raise Malformed("must be a Twisted endpoint: backlog is a number of connections")
    try:
        ip_address(endpoint.address)
    except ValueError:
        raise Malformed("must be a Twisted endpoint: interface is an IP address, with \\: for each colon") from None
    port, backlog = endpoint.port or 0, int(digits)
    if _is_to_leave_ipv4(endpoint, others):
        return Ipv6Endpoint(reactor, port, backlog)
    kind = TCP6ServerEndpoint if endpoint.is_ipv6 else TCP4ServerEndpoint
    made: IStreamServerEndpoint = kind(reactor, port, backlog, endpoint.address)
    return made


def _is_to_leave_ipv4(endpoint: Endpoint, others: Sequence[Endpoint]) -> bool:
    return endpoint.address == "::" and any(endpoint.shares_port(other) for other in others)
