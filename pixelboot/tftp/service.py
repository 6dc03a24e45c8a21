"""The TFTP service: the ports that are asked, the ports that answer, the protocol between them."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from ipaddress import IPv4Address, IPv6Address
from socket import if_indextoname, socket
from typing import Any, NamedTuple

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from pixelboot.hwaddr import HardwareAddress
from pixelboot.outcome import Outcome
from pixelboot.tftp.protocol import Entrance, Files, TftpProtocol
from pixelboot.tftp.settings import TftpSettings, port_range
from pixelboot.tftp.write.uploads import Uploads
from pixelboot.udp.batch.plain import Datagram
from pixelboot.udp.batch.port import BatchPort
from pixelboot.udp.sockets import open_socket

EVERY_IPV6 = "::"
"""Every IPv6 address of this machine; there may be none."""

_OF_THE_PORT = frozenset({errno.EADDRINUSE, errno.EACCES})
"""What the system says where the address is one of ours, and the port is not to be had."""

_NO_IPV6 = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})

_log = Logger(namespace="pixelboot.tftp")


class NotBound(OSError):
    """A port that cannot be had."""

    def __init__(self, problem: OSError, key: str, value: object, address: str) -> None:
        """`problem` is the system's, `key` the setting in ``[tftp]`` that asks for this, with its `value`."""
        super().__init__(problem.errno, problem.strerror or str(problem))
        self.key, self.value, self.address = key, value, address


class Listening(NamedTuple):
    """One address that is listened at."""

    address: str
    """``0.0.0.0`` and ``::`` are all."""

    port: int
    """The UDP port that requests come to."""

    data_port: int
    """The one that files are sent from; the same, if all is done at one."""

    def __str__(self) -> str:
        sent = f", files from udp {self.data_port}" if self.data_port != self.port else ", files from the same"
        return f"{self.address} udp {self.port}{sent}"


class TftpService(Service):
    """Runs a `pixelboot.tftp.protocol.TftpProtocol` between its ports."""

    name = "tftp"

    def __init__(
        self,
        reactor: Any,
        settings: TftpSettings,
        files: Files,
        report: Callable[[Outcome], None],
        machine_at: Callable[[IPv4Address], HardwareAddress | None],
        root: str = "",
    ) -> None:
        """`reactor` watches descriptors and gives the time, which must be monotonic.

        `files` finds the file that a client asks for by its name, which may be any text.  `machine_at` knows, or does
        not, whose an address is.  `root` is the folder that `[[tftp.write]]` is about; empty where there is none.
        """
        self._reactor = reactor
        self._settings = settings
        self._files = files
        self._report = report
        self._machine_at = machine_at
        self._root = root
        self._opened: list[tuple[socket, socket | None]] = []
        self._ports: list[BatchPort] = []
        self._protocol: TftpProtocol | None = None
        self._uploads = Uploads(reactor, settings, root) if settings.write else None

    @property
    def address(self) -> IPv4Address:
        """The IPv4 address that is listened at; 0.0.0.0 is all."""
        return self._settings.address

    @property
    def port(self) -> int:
        """The UDP port that requests come to: before `listen`, the one of the settings."""
        number: int = self._opened[0][0].getsockname()[1] if self._opened else self._settings.port
        return number

    @property
    def listening(self) -> list[Listening]:
        """Where, after `listen`."""
        found = []
        for requests, data in self._opened:
            address, port = _name(requests)
            found.append(Listening(address, port, port if data is None else _name(data)[1]))
        return found

    @property
    def writable(self) -> list[str]:
        """The folders that clients may leave files in, a text for each."""
        return [
            f"names {f'in {each.folder}' if each.folder else 'without a folder'}, kept in "
            f"{each.path or os.path.join(self._root, each.folder)}"
            for each in self._settings.write
        ]

    @property
    def transfers(self) -> int:
        """How many transfers run."""
        return 0 if self._protocol is None else self._protocol.transfers()

    def listen(self) -> None:
        """Take all ports; nothing is answered before the service is started.

        :raises NotBound: if that cannot be; then none is taken.
        """
        settings = self._settings
        try:
            self._open(settings.address, settings.port)
            if settings.address6:
                try:
                    # Where any port will do, the same one as for IPv4.
                    self._open(IPv6Address(settings.address6), self.port)
                except OSError as problem:
                    if settings.address6 != EVERY_IPV6 or problem.errno not in _NO_IPV6:
                        raise
        except OSError:
            self._close()
            raise

    def _open(self, address: IPv4Address | IPv6Address, port: int) -> None:
        settings = self._settings
        try:
            requests = open_socket(None, port, address)
        except OSError as problem:
            if problem.errno in _OF_THE_PORT:
                raise NotBound(problem, "port", port, str(address)) from None
            key, value = ("address", address) if isinstance(address, IPv4Address) else ("address6", settings.address6)
            raise NotBound(problem, key, str(value), f"udp port {port}") from None
        if settings.single_port:
            self._opened.append((requests, None))
            return
        try:
            self._opened.append((requests, _first_free(port_range(settings.data_ports), address)))
        except OSError as problem:
            requests.close()
            raise NotBound(problem, "data_ports", settings.data_ports, str(address)) from None

    def startService(self) -> None:
        """Answer; takes the ports if that was not done yet."""
        if not self._opened:
            self.listen()
        super().startService()
        protocol = self._protocol = TftpProtocol(
            self._settings, self._files, self._report, self._machine_at, self._reactor, self._uploads
        )
        if self._uploads is not None:
            self._uploads.start()
        for requests, data in self._opened:
            # A socket that is bound to one address sends from that one.
            pinned = requests.getsockname()[0] in ("0.0.0.0", EVERY_IPV6)
            entry = self._port(requests, protocol, asked=True, sends=data is None)
            if data is None:
                entry.start(partial(protocol.mixed, entrance=Entrance(entry, pinned)))
            else:
                exit_ = self._port(data, protocol, asked=False, sends=True)
                entrance = Entrance(exit_, pinned)
                exit_.start(partial(protocol.received, entrance=entrance), protocol.foresight)
                entry.start(partial(_together, exit_, partial(protocol.requested, entrance=entrance)))

        for each in self.listening:
            _log.info("answering on {where}", where=each)
        for folder in self.writable:
            _log.info("files may be written: {folder}", folder=folder)

    def _port(self, opened: socket, protocol: TftpProtocol, *, asked: bool, sends: bool) -> BatchPort:
        """A port that is asked, or sends files, or both."""
        spin = self._settings.spin / 1e6 if sends else 0.0
        port = BatchPort(self._reactor, opened, protocol.not_sent, told=asked, spin=spin, is_busy=protocol.transfers)
        self._ports.append(port)
        return port

    def stopService(self) -> Deferred[None]:
        """End the transfers, whose clients are told, and give the ports back; fires when no upload is left."""
        if self.running:
            super().stopService()
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            protocol.stop()
        for port in self._ports:
            port.stop()
        self._ports = []
        self._close()
        return succeed(None) if self._uploads is None else self._uploads.stop()

    def _close(self) -> None:
        for opened in self._opened:
            for one in opened:
                if one is not None:
                    one.close()
        self._opened = []


def _name(opened: socket) -> tuple[str, int]:
    """The address and port of a socket; behind a link-local address its interface."""
    address, port, *rest = opened.getsockname()
    if rest and rest[1] and "%" not in address:
        with suppress(OSError):  # It is gone.
            address = f"{address}%{if_indextoname(rest[1])}"
    return address, port


def _first_free(ports: Sequence[int], address: IPv4Address | IPv6Address) -> socket:
    """A socket at the first of these ports that is free."""
    for port in ports[:-1]:
        try:
            return open_socket(None, port, address)
        except OSError as problem:
            if problem.errno != errno.EADDRINUSE:
                raise
    return open_socket(None, ports[-1], address)


def _together(port: BatchPort, take: Callable[[Iterable[Datagram]], None], datagrams: Iterable[Datagram]) -> None:
    """What `take` answers to datagrams of another port leaves this one together.

    What arrived here before goes first: a client that ends a transfer, and asks anew from the same port, is otherwise
    heard the other way round, and its end would be taken for the new one's.
    """
    port.catch_up()
    with port.together():
        take(datagrams)
