"""The TFTP service: the port that is asked, the port that answers, the protocol between them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address
from typing import Any

from twisted.application.service import Service
from twisted.logger import Logger

from pixelboot.hwaddr import HardwareAddress
from pixelboot.outcome import Outcome
from pixelboot.payload import Payload
from pixelboot.tftp.protocol import TftpProtocol
from pixelboot.tftp.settings import TftpSettings
from pixelboot.udp.data_port import DataPort
from pixelboot.udp.port import UdpPort, open_socket

_log = Logger(namespace="pixelboot.tftp")


class TftpService(Service):
    """Runs a `pixelboot.tftp.protocol.TftpProtocol` between its two ports."""

    name = "tftp"

    def __init__(
        self,
        reactor: Any,
        settings: TftpSettings,
        open_file: Callable[[str], Awaitable[Payload]],
        report: Callable[[Outcome], None],
        machine_at: Callable[[IPv4Address], HardwareAddress | None],
        wall: Callable[[], float],
    ) -> None:
        """`reactor` watches descriptors and gives the time, which must be monotonic; `wall` is in seconds since 1970.

        `open_file` finds the file that a client asks for by its name, which may be any text; it raises
        `pixelboot.library.tree.Absent` or ``Forbidden``.  `machine_at` knows, or does not, whose an address is.
        """
        self._reactor = reactor
        self._settings = settings
        self._open_file = open_file
        self._report = report
        self._machine_at = machine_at
        self._wall = wall
        self._requests: UdpPort | None = None
        self._data: DataPort | None = None
        self._protocol: TftpProtocol | None = None

    @property
    def address(self) -> IPv4Address:
        """The address that is listened at; 0.0.0.0 is all."""
        return self._settings.address

    @property
    def port(self) -> int:
        """The UDP port that requests come to: before `listen`, the one of the settings."""
        return self._settings.port if self._requests is None else self._requests.number

    @property
    def transfers(self) -> int:
        """How many transfers run."""
        return 0 if self._protocol is None else self._protocol.transfers

    def listen(self) -> None:
        """Take both ports; nothing is answered before the service is started.

        :raises OSError: if that cannot be; then neither is taken.
        """
        requests = open_socket(None, self._settings.port, self.address)
        try:
            data = open_socket(None, 0, self.address)
        except OSError:
            requests.close()
            raise
        self._requests = UdpPort(self._reactor, requests, None, self._wall)
        self._data = DataPort(self._reactor, data)

    def startService(self) -> None:
        """Answer; takes the ports if that was not done yet."""
        if self._requests is None or self._data is None:
            self.listen()
        super().startService()
        assert self._requests is not None
        assert self._data is not None
        self._protocol = TftpProtocol(
            self._settings, self._open_file, self._report, self._machine_at, self._reactor, self._data
        )
        self._data.start(self._protocol.received)
        self._requests.start(self._protocol.requested)
        _log.info("answering on {port}", port=self._requests)

    def stopService(self) -> None:
        """End the transfers, whose clients are told, and give the ports back."""
        if self.running:
            super().stopService()
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            protocol.stop()
        for port in (self._requests, self._data):
            if port is not None:
                port.stop()
        self._requests = self._data = None
