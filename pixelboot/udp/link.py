"""Frames of an Ethernet interface: sent as they are made, and those received that tell of other machines.

Sockets of the family AF_PACKET (packet(7)) take CAP_NET_RAW, so they are opened with the ports, before privileges are
given up.  What is not for us the kernel drops before it wakes us, by a filter (bpf(2), the classic one), so that no
flood of other traffic loads us; and what passes is read no faster than `Tap` says.
"""

from __future__ import annotations

import array
import errno
import socket
import struct
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from pixelboot.datagram import Destination
from pixelboot.udp.descriptor import Descriptor
from pixelboot.udp.frame import OVERHEAD, datagram
from pixelboot.udp.interfaces import Interface

LARGEST_FRAME = 2048
"""Octets that are read of a frame; what we wait for is shorter."""

_SO_ATTACH_FILTER = 26
_NOTHING = 0
_ETH_P_IP = 0x0800
_ETH_P_ARP = 0x0806
_RECEIVE_BUFFER = 1 << 16

# Instructions of the kernel's filters (linux/bpf_common.h): load of a word, half, octet, from the frame's beginning or
# behind the IPv4 header, whose length goes to X; and the two jumps.
_LOAD_WORD, _LOAD_HALF, _LOAD_OCTET = 0x20, 0x28, 0x30
_LOAD_HALF_BEHIND, _LOAD_OCTET_BEHIND = 0x48, 0x50
_LOAD_HEADER_SIZE = 0xB1
_AND, _MUST_EQUAL, _MUST_LACK, _RETURN = 0x54, 0x15, 0x45, 0x06
_INSTRUCTION = struct.Struct("=HBBI")
_KIND_OF_PACKET = 0xFFFF_F004
"""Where a filter finds to whom a frame was sent: to this host alone 0, to a group or everybody, to others."""

ARP_REPLIES = (
    (_LOAD_OCTET, _KIND_OF_PACKET),
    (_MUST_EQUAL, 0),
    (_LOAD_WORD, 14),
    (_MUST_EQUAL, 0x0001_0800),  # Ethernet, IPv4 …
    (_LOAD_WORD, 18),
    (_MUST_EQUAL, 0x0604_0002),  # … of 6 and 4 octets: a reply.
)
"""Lets pass answers to ARP requests of ours."""

DHCP_REPLIES = (
    (_LOAD_OCTET, 14),
    (_AND, 0xF0),
    (_MUST_EQUAL, 0x40),  # IPv4 …
    (_LOAD_OCTET, 23),
    (_MUST_EQUAL, 17),  # … UDP …
    (_LOAD_HALF, 20),
    (_MUST_LACK, 0x3FFF),  # … not cut into fragments.
    (_LOAD_HEADER_SIZE, 14),
    (_LOAD_HALF_BEHIND, 14),
    (_MUST_EQUAL, 67),
    (_LOAD_HALF_BEHIND, 16),
    (_MUST_EQUAL, 68),
    (_LOAD_OCTET_BEHIND, 22),
    (_MUST_EQUAL, 2),  # BOOTREPLY (RFC 951).
)
"""Lets pass what DHCP servers say to clients."""

_LOST = frozenset({errno.ENETDOWN, errno.ENXIO, errno.ENODEV, errno.ENOBUFS})
"""A frame was not sent because the interface is down, gone, or has no room at this moment."""

_log = Logger(namespace="pixelboot.udp")


def open_packets(interface: Interface, protocol: int, only: tuple[tuple[int, int], ...] = ()) -> socket.socket:
    """A socket for whole frames of `interface`.

    It receives those of the Ethernet type `protocol` that `only` lets pass, with protocol 0 none.

    :raises OSError: without the privilege, and when the interface is gone.
    """
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, _NOTHING)
    try:
        if only:
            # Before it is bound: not one frame gets in that the filter would have dropped.
            instructions = array.array("B", _assembled(only))
            program = struct.pack("@HP", len(only) + 2, instructions.buffer_info()[0])
            opened.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        opened.bind((interface.name, protocol))
    except OSError:
        opened.close()
        raise
    return opened


def _assembled(steps: tuple[tuple[int, int], ...]) -> bytes:
    """The kernel's form of a filter: a step that fails leads to the last instruction, which drops the frame."""
    octets = bytearray()
    for at, (code, value) in enumerate(steps):
        drop = len(steps) - at
        octets += _INSTRUCTION.pack(code, drop * (code == _MUST_LACK), drop * (code == _MUST_EQUAL), value)
    return bytes(octets + _INSTRUCTION.pack(_RETURN, 0, 0, LARGEST_FRAME) + _INSTRUCTION.pack(_RETURN, 0, 0, 0))


class Tap(Descriptor):
    """Reads frames from a socket made by `open_packets`, no faster than is said; the kernel drops the others."""

    def __init__(
        self,
        reactor: Any,
        opened: socket.socket,
        received: Callable[[bytes], None],
        most: int,
        pause: float,
        name: str = "",
    ) -> None:
        """`received` is called with each frame; after `most` in one turn there is a `pause` of so many seconds.

        `name` is what the log calls the interface.
        """
        super().__init__(reactor, opened)
        self._name = name
        self._clock = reactor
        self._received = received
        self._most = most
        self._pause = pause
        self._rest: IDelayedCall | None = None

    def __str__(self) -> str:
        return f"{self._name} frames".lstrip()

    def start(self) -> None:
        """Read from now on."""
        self._read_on()

    def stop(self) -> None:
        """See `Descriptor.stop`."""
        rest, self._rest = self._rest, None
        if rest is not None:
            rest.cancel()
        super().stop()

    def doRead(self) -> None:
        """Take what has arrived, then rest if there may be more."""
        for _ in range(self._most):
            if not self._is_reading:
                return
            try:
                frame = self._socket.recv(LARGEST_FRAME)
            except OSError:  # Nothing more; or the interface went down, of which others tell.
                return
            self._received(frame)
        if self._is_reading:
            self._reactor.removeReader(self)
            self._rest = self._clock.callLater(self._pause, self._rested)

    def _rested(self) -> None:
        self._rest = None
        self._reactor.addReader(self)


class Link:
    """What the privileges allow to do with the frames of one interface; where they do not, that is said once."""

    def __init__(self, reactor: Any, interface: Interface) -> None:
        """Open what sends."""
        self.interface: Interface = interface
        """The interface; whoever opened the link renews it when the interface changes, but for its index."""
        self._reactor = reactor
        self._taps: list[Tap] = []
        self._is_said = False
        self._sending: socket.socket | None = None
        if interface.hwaddr is None:
            self._say("it is no Ethernet")
        else:
            self._sending = self._opened(_NOTHING)

    def __str__(self) -> str:
        return self.interface.name

    def listen_for_arp(self, received: Callable[[bytes], None]) -> None:
        """Hand answers to ARP requests of ours to `received`, up to 6,400 in a second, once `start` is called."""
        self._listen(_ETH_P_ARP, ARP_REPLIES, received, 64, 0.01)

    def overhear(self, received: Callable[[bytes], None]) -> None:
        """Hand what DHCP servers say to clients to `received`, up to 64 in a second, once `start` is called."""
        self._listen(_ETH_P_IP, DHCP_REPLIES, received, 32, 0.5)

    def start(self) -> None:
        """Receive."""
        for tap in self._taps:
            tap.start()

    def stop(self) -> None:
        """Close everything.  May be called more than once."""
        taps, self._taps = self._taps, []
        for tap in taps:
            tap.stop()
        sending, self._sending = self._sending, None
        if sending is not None:
            sending.close()

    def send(self, frame: bytes) -> bool:
        """Send a frame; False when that cannot be."""
        if self._sending is None:
            return False
        try:
            self._sending.send(frame)
        except OSError as problem:
            # Down or gone: whatever is done instead meets the same, and tells it.
            if problem.errno not in _LOST:
                self._say(problem.strerror or str(problem))
            return False
        return True

    def deliver(self, octets: bytes, destination: Destination, number: int) -> bool:
        """Send a datagram from UDP port `number` to a link address; False when that cannot be.

        It cannot if the link address is not one machine's on Ethernet, the datagram would have to be cut, or we do
        not have the source address here.
        """
        address, port, source, _, receiver = destination
        interface = self.interface
        sender = interface.hwaddr
        if self._sending is None or sender is None or receiver is None or source not in interface.addresses:
            return False
        if len(receiver.octets) != 6 or receiver.octets[0] & 1:
            return False
        if len(octets) + OVERHEAD > interface.mtu:
            self._say(f"{len(octets)} octets are too many for a frame")
            return False
        return self.send(datagram(octets, source, number, address, port, sender, receiver))

    def _listen(
        self,
        protocol: int,
        only: tuple[tuple[int, int], ...],
        received: Callable[[bytes], None],
        most: int,
        pause: float,
    ) -> None:
        if self._sending is not None and (opened := self._opened(protocol, only)) is not None:
            self._taps.append(Tap(self._reactor, opened, received, most, pause, self.interface.name))

    def _opened(self, protocol: int, only: tuple[tuple[int, int], ...] = ()) -> socket.socket | None:
        try:
            return open_packets(self.interface, protocol, only)
        except OSError as problem:
            self._say(problem.strerror or str(problem))
            return None

    def _say(self, problem: str) -> None:
        if not self._is_said:
            self._is_said = True
            _log.info(
                "{link}: {problem}: machines without an address are answered by broadcast, "
                "and what takes frames (probing addresses, hearing other servers) is left out",
                link=self,
                problem=problem,
            )
