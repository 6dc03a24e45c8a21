"""DHCP as a service: the interfaces it is answered on, the leases, the address server and the proxy."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from ipaddress import IPv4Address
from typing import Protocol

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from pixelboot.boot.memory import Memory
from pixelboot.boot.policy import Policy
from pixelboot.boot.pxe import PxeSettings
from pixelboot.dhcp.exchange import Answer, Exchange
from pixelboot.dhcp.listening import Listening
from pixelboot.dhcp.neighbours import Neighbour
from pixelboot.dhcp.network.network import Network
from pixelboot.dhcp.proxy import answer as proxy
from pixelboot.dhcp.reception import Answering, Reception
from pixelboot.dhcp.server.protocol import AddressServer
from pixelboot.dhcp.settings.dhcp import DhcpSettings
from pixelboot.hwaddr import HardwareAddress
from pixelboot.leases.memory import MemoryLeases
from pixelboot.leases.seam import LeaseStore
from pixelboot.outcome import Outcome
from pixelboot.udp.interfaces import Interface

EXPIRY = 5.0
"""Seconds between two looks at the leases that have run out; a lease is free at its end all the same."""

_log = Logger(namespace="pixelboot.dhcp")


class OpenStore(LeaseStore, Protocol):
    """A lease store that was opened and has to be closed."""

    def close(self) -> Deferred[None]:
        """Fires when everything is on disk and nothing is held any more."""


class DhcpService(Service):
    """Answers on the interfaces of a `Listening`: as address server where a link is served so, as proxy elsewhere."""

    name = "dhcp"

    def __init__(
        self,
        settings: DhcpSettings,
        network: Network,
        listening: Listening,
        policy: Policy,
        memory: Memory,
        open_store: Callable[[], Awaitable[OpenStore]],
        failed: Callable[[Failure], None],
        report: Callable[[Outcome], None],
        clock: IReactorTime,
        wall: Callable[[], float],
        pxe: PxeSettings,
    ) -> None:
        """The ports of `listening` are bound already.

        `startService` opens the leases, if any link needs some, and then answers; it calls `failed` when they cannot be
        opened.  `clock` is what timers run by, `wall` the time of day, in seconds since 1970.
        """
        self.network = network
        """The networks that are served."""
        self.listening = listening
        """The interfaces on which they are."""
        self.store: LeaseStore | None = None
        """The leases; None until they are open, and where no link has any."""
        self._settings = settings
        self._policy = policy
        self._memory = memory
        self._open_store = open_store
        self._failed = failed
        self._report = report
        self._clock = clock
        self._wall = wall
        self._pxe = pxe
        self._opened: OpenStore | None = None
        self._opening: Deferred[None] | None = None
        self._reception: Reception | None = None
        self._expiry = LoopingCall(self._expire)
        self._expiry.clock = clock
        listening.changed = self._own
        self._own(listening.interfaces)

    @property
    def gives_addresses(self) -> bool:
        """Whether machines of any link get their addresses here."""
        return any(link.mode == "server" for link in self.network.links)

    @property
    def neighbours(self) -> tuple[Neighbour, ...]:
        """Other servers that were noticed, the one noticed last at the end."""
        return () if self._reception is None else self._reception.neighbours.list()

    def startService(self) -> None:
        """Open the leases, then answer."""
        super().startService()
        self._opening = Deferred.fromCoroutine(self._run()).addErrback(self._not_opened)

    def stopService(self) -> Deferred[None]:
        """Close the ports, so that nothing is answered any more, and then the leases."""
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    def overheard(self, octets: bytes, interface: str, source: IPv4Address, hwaddr: HardwareAddress) -> None:
        """Take what another DHCP server said to a client, by an interface, from its addresses."""
        found = self.listening.interfaces.get(interface)
        if self._reception is None or found is None:
            return
        link = self.network.at(found.addresses)
        mode = self._settings.mode if link is None else link.mode
        noticed = self._reception.neighbours.overheard(octets, interface, source, hwaddr, self._wall(), mode)
        if noticed is not None:
            self._report(noticed)

    async def _run(self) -> None:
        if self.gives_addresses:
            self.store = self._opened = await self._open_store()
            _log.info("leases known: {known}", known=len(await self.store.list()))
        self._reception = self._received_by(self.store or MemoryLeases())
        self._own(self.listening.interfaces)
        self.listening.start(self._reception.received, self.overheard)
        if self.store is not None:
            self._expiry.start(EXPIRY, now=True)

    def _received_by(self, store: LeaseStore) -> Reception:
        """What takes the datagrams."""
        settings = self._settings
        server = AddressServer(
            settings, self.network, store, self._memory, self._report, self.listening.prober, self._pxe
        )
        answering = Answering(server.answer, self._by_proxy, server.query, server.once_more)
        return Reception(settings, self.network, self._policy, answering, self._report, self._clock)

    def _by_proxy(self, exchange: Exchange) -> Answer:
        """What the proxy answers; it has no leases, so who has which address is noted here."""
        number = self._settings.proxy_port
        address, hwaddr = proxy.held(exchange, number), exchange.machine.hwaddr
        if address is not None and hwaddr is not None:
            self._memory.met(address, hwaddr)
        return proxy.answer(exchange, number, self._pxe)

    def _own(self, interfaces: Mapping[str, Interface]) -> None:
        """Our addresses have changed: they are never given out, and we are called by them."""
        own = [address for interface in interfaces.values() for address in interface.addresses]
        self.network.own(own)
        if self._reception is not None:
            self._reception.own(own)

    def _not_opened(self, failure: Failure) -> None:
        if failure.check(CancelledError) is None:
            self._failed(failure)

    async def _stop(self) -> None:
        if self._expiry.running:
            self._expiry.stop()
        self.listening.stop()
        if self._reception is not None:
            self._reception.stop()
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.cancel()
            await opening
        opened, self.store, self._opened = self._opened, None, None
        if opened is not None:
            await opened.close()

    def _expire(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._expire_leases()).addErrback(
            lambda failure: _log.failure("leases could not be expired", failure)
        )

    async def _expire_leases(self) -> None:
        if self.store is not None:
            await self.store.expire(self._wall())
