"""The interfaces on which DHCP is answered: a socket for each and each port, as long as the interface is there.

A socket stays bound to the interface that it was opened on, and notices neither its end nor a new one of the same name;
an address comes and goes.  So what there is is compared with what is wanted at the start, and whenever it may have
changed.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address
from typing import Any, ClassVar

from twisted.logger import Logger

from pixelboot.datagram import Arrival
from pixelboot.hwaddr import HardwareAddress
from pixelboot.malformed import Malformed
from pixelboot.outcome import Outcome, Severity, printable
from pixelboot.udp.arp import Prober
from pixelboot.udp.changes import Changes
from pixelboot.udp.frame import read_datagram
from pixelboot.udp.interfaces import Interface, interfaces
from pixelboot.udp.link import Link
from pixelboot.udp.port import UdpPort
from pixelboot.udp.sockets import open_socket

Received = Callable[[bytes, Arrival, UdpPort], None]
"""Takes a datagram, where it came from, and the port to answer by."""
Overheard = Callable[[bytes, str, IPv4Address, HardwareAddress], None]
"""Takes what another server said to a client, the interface, and the address and link address it came from."""

_log = Logger(namespace="pixelboot.dhcp")


@dataclass(frozen=True, slots=True)
class InterfaceOutcome(Outcome):
    """Something has become of an interface."""

    service: ClassVar[str] = "dhcp"

    interface: str
    """Its name."""


@dataclass(frozen=True, slots=True)
class Served(InterfaceOutcome):
    """Machines on an interface are answered from now on, or at other addresses than before."""

    addresses: tuple[IPv4Address, ...]
    """Our addresses there."""

    ports: tuple[int, ...]
    """The UDP ports that are listened at."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        ports = " and ".join(map(str, self.ports))
        return f"answering on {self.interface}, udp {ports}, as {', '.join(map(str, self.addresses))}"


@dataclass(frozen=True, slots=True)
class Missing(InterfaceOutcome):
    """No machine on an interface is answered, until that changes."""

    severity: ClassVar[Severity] = "warn"

    reason: str
    """Why."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return f"no machine on {printable(self.interface, 16)} is answered: {self.reason}; waiting for that to change"


@dataclass(frozen=True, slots=True)
class Left(InterfaceOutcome):
    """Machines on an interface are not answered any more, nor shall they be."""

    def summary(self) -> str:
        """See `Outcome.summary`."""
        return f"no machine on {self.interface} is answered any more: the settings do not mean it, as it is now"


@dataclass(slots=True)
class _Place:
    """What is open on one interface."""

    interface: Interface
    ports: tuple[UdpPort, ...]
    link: Link

    def follow(self, interface: Interface) -> None:
        """It has changed, and still is the one that everything was opened on."""
        self.interface = self.link.interface = interface
        for port in self.ports:
            port.follow(interface)

    def start(self, received: Received) -> None:
        """Take what arrives."""
        for port in self.ports:
            port.start(received)
        self.link.start()

    def stop(self) -> None:
        """Close everything."""
        for port in self.ports:
            port.stop()
        self.link.stop()


class Listening:
    """Keeps ports open on the interfaces that are wanted, as long as these are there and have an address."""

    def __init__(
        self,
        reactor: Any,
        wanted: Callable[[Mapping[str, Interface]], Collection[str]],
        numbers: Sequence[int],
        report: Callable[[Outcome], None],
        wall: Callable[[], float],
        *,
        probes: bool = True,
        overhears: bool = True,
    ) -> None:
        """`reactor` watches descriptors and gives the time; `wall` is the time of day, in seconds since 1970.

        `wanted` is asked with all interfaces of the machine, whenever these have changed, by which names we listen:
        those that are not there are waited for.  `numbers` are the UDP ports.  `probes` says whether `prober` shall be
        able to ask, `overhears` whether other servers shall be heard; both only where the privileges allow it.
        """
        self._reactor = reactor
        self._wanted = wanted
        self._numbers = tuple(numbers)
        self._report = report
        self._wall = wall
        self._probes = probes
        self._overhears = overhears
        self._received: Received | None = None
        self._overheard: Overheard | None = None
        self._places: dict[str, _Place] = {}
        self._links: dict[str, Link] = {}
        self._waiting: dict[str, str] = {}
        self._changes = Changes(reactor, self._look)
        self.prober = Prober(reactor, self._links)
        """Asks on these interfaces whether an address is in use."""
        self.changed: Callable[[Mapping[str, Interface]], None] = lambda served: None
        """Called with the interfaces that are listened at, by name, whenever they or their addresses have changed."""

    @property
    def interfaces(self) -> Mapping[str, Interface]:
        """The interfaces that are listened at, by name."""
        return {name: place.interface for name, place in self._places.items() if place.interface.addresses}

    @property
    def ports(self) -> tuple[UdpPort, ...]:
        """All that is open."""
        return tuple(port for place in self._places.values() for port in place.ports)

    @property
    def addresses(self) -> frozenset[IPv4Address]:
        """Our addresses on the interfaces that are listened at."""
        return frozenset(each for place in self._places.values() for each in place.interface.addresses)

    @property
    def waiting(self) -> Mapping[str, str]:
        """Why those interfaces are not listened at that should be, by name."""
        return dict(self._waiting)

    def open(self) -> None:
        """Open everything that can be; nothing is read before `start`.

        :raises OSError: if a port is taken or forbidden: then nothing is left open; ``filename`` names interface and
            port.
        """
        try:
            self._compare(interfaces(), is_strict=True)
        except OSError:
            self.stop()
            raise

    def start(self, received: Received, overheard: Overheard | None = None) -> None:
        """Read from now on, and follow what becomes of the interfaces.

        `overheard` is called with what other DHCP servers say to their clients, up to 64 times in a second.
        """
        self._received, self._overheard = received, overheard
        for place in self._places.values():
            place.start(received)
            self._tell(place)
        self._changes.start()

    def stop(self) -> None:
        """Close everything.  May be called more than once."""
        self._changes.stop()
        self._received = self._overheard = None
        self.prober.stop()
        for name in list(self._places):
            self._close(name)
        self._waiting.clear()

    def _look(self) -> None:
        """See what has become of the interfaces."""
        try:
            now = interfaces()
        except OSError as problem:
            _log.error("interfaces cannot be looked at: {problem}", problem=problem)
        else:
            self._compare(now, is_strict=False)

    def _compare(self, now: Mapping[str, Interface], is_strict: bool) -> None:
        """Make of what there is what is wanted; where `is_strict`, a port that cannot be had is an error."""
        wanted = list(dict.fromkeys(self._wanted(now)))
        before = self.interfaces
        for name, place in list(self._places.items()):
            found = now.get(name)
            if name not in wanted:
                self._close(name)
                self._report(Left(name))
            elif found is None or found.index != place.interface.index:
                self._close(name)
            elif found != place.interface:
                is_moved = found.addresses != place.interface.addresses
                place.follow(found)
                if is_moved:
                    self._tell(place)
        self._waiting = {name: reason for name, reason in self._waiting.items() if name in wanted}
        for name in wanted:
            reason = "" if name in self._places else self._try(name, now.get(name), is_strict)
            if name in self._places and not self._places[name].interface.addresses:
                # Its ports stay open: without the privileges of the start they might not be had again.
                reason = "it has no IPv4 address"
            if not reason:
                self._waiting.pop(name, None)
            elif self._waiting.get(name) != reason:
                self._waiting[name] = reason
                self._report(Missing(name, reason))
        if self.interfaces != before:
            self.changed(self.interfaces)

    def _try(self, name: str, interface: Interface | None, is_strict: bool) -> str:
        """Listen at an interface, or say why that cannot be now."""
        if interface is None:
            return "there is no such interface"
        try:
            place = self._open(interface)
        except OSError as problem:
            if is_strict and problem.errno != errno.ENODEV:
                raise
            return f"{problem.filename}: {problem.strerror}"  # It may have gone since it was looked at.
        self._places[name] = place
        self._links[name] = place.link
        if self._received is not None:
            place.start(self._received)
            self._tell(place)
        return ""

    def _open(self, interface: Interface) -> _Place:
        """All ports of an interface, or none."""
        ports: list[UdpPort] = []
        link = Link(self._reactor, interface)
        try:
            for number in self._numbers:
                try:
                    opened = open_socket(interface, number)
                except OSError as problem:
                    raise OSError(problem.errno, problem.strerror, f"{interface.name} udp {number}") from None
                ports.append(UdpPort(self._reactor, opened, interface, self._wall, link, self._changes.look))
        except OSError:
            _Place(interface, tuple(ports), link).stop()
            raise
        if self._probes:
            link.listen_for_arp(partial(self.prober.heard, interface.name))
        if self._overhears:
            link.overhear(partial(self._hear, interface.name))
        return _Place(interface, tuple(ports), link)

    def _close(self, name: str) -> None:
        del self._links[name]
        self._places.pop(name).stop()

    def _tell(self, place: _Place) -> None:
        addresses, ports = place.interface.addresses, tuple(port.number for port in place.ports)
        if addresses and self._received is not None:
            self._report(Served(place.interface.name, addresses, ports))

    def _hear(self, name: str, frame: bytes) -> None:
        try:
            said = read_datagram(frame)
        except Malformed:
            return
        if self._overheard is not None:
            self._overheard(said.octets, name, said.source, said.hwaddr)
