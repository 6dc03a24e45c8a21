"""When the steps of a boot were seen on the wire, whoever the server is: DHCP's messages, TFTP's and HTTP's requests.

tcpdump writes the packets that begin a step, and nothing else, to a file; it is read when the boot is over.
"""

from __future__ import annotations

import re
import signal
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from lab.clients.message import Message, decode
from lab.needs import program
from lab.network.namespace import SERVER_ADDRESS, Segment
from lab.process import LabError, Process

_FILTER = (
    "udp port 67 or udp port 4011 or udp dst port 69 or "
    f"(tcp and dst host {SERVER_ADDRESS} and tcp[tcpflags] & tcp-push != 0)"
)
_MESSAGES = {1: "DISCOVER", 2: "OFFER", 3: "REQUEST", 4: "DECLINE", 5: "ACK", 6: "NAK", 7: "RELEASE", 8: "INFORM"}
_BOOT_SERVER_PORT = 4011
_UDP = 17
_TFTP_ACK, _TFTP_OACK = b"\0\4", b"\0\6"
_GET = re.compile(rb"GET (\S+) HTTP/1")
_READ = re.compile(rb"\x00\x45.{4}\x00\x01([!-~]+)\x00octet\x00", re.IGNORECASE | re.DOTALL)
"""A read request (RFC 1350 §5) in a frame: port 69, length and checksum, what it is, the name, the mode."""


@dataclass(frozen=True, slots=True)
class Step:
    """One packet that begins a step of a boot."""

    at: float
    """When, in seconds since 1970."""

    what: str
    """``DISCOVER``, ``ACK`` …, the same at port 4011: ``4011:ACK``, or the file that was asked for: ``/boot.ipxe``
    by HTTP, ``tftp:snponly.efi`` by TFTP.  What else of TFTP is captured: ``tftp:OACK tsize=42 windowsize=4``, with
    the options in order of their names, and ``tftp:ACK 8``."""

    frame: bytes
    """The Ethernet frame."""

    @property
    def destination(self) -> IPv4Address:
        """The address that the packet goes to."""
        return IPv4Address(self.frame[30:34])

    @property
    def ports(self) -> tuple[int, int]:
        """UDP's source and destination."""
        start = 14 + (self.frame[14] & 0x0F) * 4
        return int.from_bytes(self.frame[start : start + 2]), int.from_bytes(self.frame[start + 2 : start + 4])

    @property
    def message(self) -> Message:
        """The DHCP message in it.

        :raises ValueError: if it is none.
        """
        return decode(self.frame[14 + (self.frame[14] & 0x0F) * 4 + 8 :])


class Capture:
    """A capture on the bridge of a segment that runs until it is stopped."""

    def __init__(self, segment: Segment, name: str, also: str = "") -> None:
        """Begin; `name` distinguishes the captures of one network.

        What `also` is true of (pcap-filter(7)) is captured too.

        :raises lab.process.LabError: if tcpdump does not start.
        """
        self._path = segment.folder / f"{name}.pcap"
        self._tcpdump = Process(
            "tcpdump",
            segment.home.argv(
                *(program("tcpdump"), "-i", segment.bridge, "-n", "-p", "-U", "-Z", "root", "--immediate-mode"),
                *("--time-stamp-precision=nano", "-w", str(self._path), f"{_FILTER} or ({also})" if also else _FILTER),
            ),
        )
        segment.until_closed.callback(self._tcpdump.stop)
        self._tcpdump.wait_for("listening on", 10.0)

    def stop(self) -> list[Step]:
        """End it and return what was seen.

        :raises LabError: if tcpdump does not end.
        """
        self._tcpdump.send_signal(signal.SIGINT)
        self._tcpdump.wait(10.0)
        return [Step(at, what, frame) for at, frame in _frames(self._path) if (what := _meaning(frame))]


def _frames(path: Path) -> Iterator[tuple[float, bytes]]:
    """The Ethernet frames of a capture file (pcap with nanoseconds, in this computer's byte order) and their times."""
    octets = path.read_bytes()
    if octets[:4] != struct.pack("=I", 0xA1B23C4D):
        raise LabError(f"{path.name} is not a capture file")
    at = 24
    while at + 16 <= len(octets):
        seconds, nanoseconds, size, _ = struct.unpack_from("=IIII", octets, at)
        yield seconds + nanoseconds / 1e9, octets[at + 16 : at + 16 + size]
        at += 16 + size


def _meaning(frame: bytes) -> str | None:
    if match := _GET.search(frame):
        return match[1].decode("ascii", "replace")
    if match := _READ.search(frame):
        return f"tftp:{match[1].decode('ascii')}"
    if told := _tftp(frame):
        return f"tftp:{told}"
    step = Step(0.0, "", frame)
    try:
        message = _MESSAGES.get(step.message.kind)
    except ValueError:
        return None
    return f"4011:{message}" if _BOOT_SERVER_PORT in step.ports else message


def _tftp(frame: bytes) -> str:
    """What a frame acknowledges, if it is TFTP's OACK (RFC 2347) or ACK; empty otherwise."""
    if frame[23] != _UDP:
        return ""
    start = 14 + (frame[14] & 0x0F) * 4
    octets = frame[start + 8 : start + int.from_bytes(frame[start + 4 : start + 6])]
    if octets[:2] == _TFTP_ACK:
        return f"ACK {int.from_bytes(octets[2:4])}"
    if octets[:2] == _TFTP_OACK:
        words = octets[2:].decode("ascii", "replace").split("\0")
        options = zip(words[:-1:2], words[1::2], strict=True)
        return " ".join(("OACK", *sorted(f"{name.lower()}={value}" for name, value in options)))
    return ""
