"""The proxy as a service: its ports, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from pixelboot.datagram import Arrival
from pixelboot.dhcp.outcomes import Deaf
from pixelboot.outcome import Outcome
from pixelboot.udp.port import UdpPort

LOOK = 5.0
"""Seconds between two looks at whether the interface is still as it was."""

_log = Logger(namespace="pixelboot.dhcp")


class ProxyService(Service):
    """Runs `pixelboot.udp.port.UdpPort`s whose datagrams go to a `pixelboot.dhcp.proxy.protocol.ProxyProtocol`."""

    name = "proxydhcp"

    def __init__(
        self,
        ports: Sequence[UdpPort],
        received: Callable[[bytes, Arrival, UdpPort], None],
        report: Callable[[Outcome], None],
        clock: IReactorTime,
    ) -> None:
        """The `ports` are bound already; all are on one interface.  `received` is `ProxyProtocol.received`."""
        self.ports = tuple(ports)
        """Ports 67 and 4011; the latter alone beside an address server of our own, which looks at the interface."""
        self._received = received
        self._report = report
        self._look = LoopingCall(self._look_at_ports)
        self._look.clock = clock

    def startService(self) -> None:
        """Answer."""
        super().startService()
        for port in self.ports:
            port.start(self._received)
        if len(self.ports) > 1:
            self._look.start(LOOK, now=False)
            _log.info("proxyDHCP on {ports}", ports=" and ".join(map(str, self.ports)))
        else:
            _log.info("firmware that asks on {port} is answered, too", port=self.ports[0])

    def stopService(self) -> None:
        """Close the ports."""
        super().stopService()
        if self._look.running:
            self._look.stop()
        for port in self.ports:
            port.stop()

    def _look_at_ports(self) -> None:
        problem = next((port.problem for port in self.ports if port.problem), "")
        if problem:
            self._report(Deaf(problem))
